"""The unit of work's part for how the sources are."""

from __future__ import annotations

from typing import Protocol


class HealthWork(Protocol):
    """One transaction's methods for how the sources are."""
