"""The unit of work's part for how grants come about."""

from __future__ import annotations

from typing import Protocol


class GrantsWork(Protocol):
    """One transaction's methods for how grants come about."""
