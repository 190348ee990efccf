"""The unit of work's part for what proves."""

from __future__ import annotations

from typing import Protocol


class ProofWork(Protocol):
    """One transaction's methods for what proves."""
