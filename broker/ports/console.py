"""The unit of work's part for the console."""

from __future__ import annotations

from typing import Protocol


class ConsoleWork(Protocol):
    """One transaction's methods for the console."""
