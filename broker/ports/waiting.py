"""The unit of work's part for what a verification waits for."""

from __future__ import annotations

from typing import Protocol


class WaitingWork(Protocol):
    """One transaction's methods for what a verification waits for."""
