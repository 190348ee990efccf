"""The unit of work's part for what proves: finding entries, witnesses' lines, retention, the subject's view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from broker.core.log_export import Filter


@dataclass(frozen=True, slots=True)
class Indexed:
    """By what an entry with its place can be found again; the entry itself says it too, and that is what counts."""

    position: int
    at: datetime
    kind: str
    client: str | None = None
    case: str | None = None
    operator: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry with its place in the log."""

    position: int
    body: bytes


class ProofWork(Protocol):
    """One transaction's methods for what proves."""

    def index_entries(self, rows: Sequence[Indexed]) -> None:
        """Let entries be found by what they say; in the transaction that gives them their places."""
        ...

    def find_entries(self, wanted: Filter, start: int, stop: int, limit: int) -> list[Placed]:
        """Up to ``limit`` entries with places from ``start`` to before ``stop`` that the filter wants, in order."""
        ...
