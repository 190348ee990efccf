"""The unit of work's part for the audit review: searching the log page by page, and what reviewers wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from broker.core.log_export import Filter
from broker.ports.proof import Placed


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries found on the way down from a place, the newest first; ``further`` is where to go on, None at the end."""

    found: Sequence[Placed]
    further: int | None


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a reviewer wrote about an entry, by its place, or about a flag."""

    id: str
    position: int | None
    flag: str | None
    verdict: str  # "" or "confirmed": a flag that the reviewer holds to be right
    by: str
    text: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Cosigned:
    """That a witness has signed the checkpoint of a size."""

    size: int
    witness: str
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class Lag:
    """Entries that wait for their place in the log."""

    waiting: int
    oldest: bytes | None  # the body of the one that waits longest


class AuditWork(Protocol):
    """One transaction's methods for the audit review."""

    def search(self, wanted: Filter, before: int, limit: int, most_read: int) -> Stretch:
        """Up to ``limit`` entries below a place that the filter wants; at most ``most_read`` are looked at for it."""
        ...

    def annotations(self, *, position: int | None = None, flag: str | None = None) -> list[Annotation]:
        """What was written about an entry or a flag, in order."""
        ...

    def annotated(self, positions: Sequence[int]) -> set[int]:
        """Those among these places about which something was written."""
        ...

    def add_annotation(self, annotation: Annotation) -> None:
        """Keep what a reviewer wrote."""
        ...

    def cosignatures(self, limit: int) -> list[Cosigned]:
        """The latest lines of witnesses, the newest first."""
        ...

    def lag(self) -> Lag:
        """What waits for the sequencer."""
        ...

    def values_of(self, fact: str, limit: int) -> list[str]:
        """Up to ``limit`` values that a fact (``source``, ``outcome``) has in the log, in order."""
        ...

    def reasons(self, source: str, limit: int) -> dict[str, int]:
        """The reasons among a source's latest answers in the log, with how often each was given."""
        ...
