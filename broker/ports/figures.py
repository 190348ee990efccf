"""The unit of work's part for what was collected on paper, and for figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from broker.core.figures import Counted, Refused

Where: TypeAlias = Mapping[str, str | tuple[str, ...]]  # column to its value, or to any of several


@dataclass(frozen=True, slots=True)
class Paper:
    """One paper that was taken, or demanded to be seen in the original."""

    material: str
    original: bool
    standing: str  # core.collected.Standing
    reason: str  # core.collected.PaperReason, or ""
    source: str  # the live source that covers it, or ""
    verification: str  # whose receipt decided it, or ""
    note: bytes = field(repr=False)  # encrypted for the deployment; b"" without one


@dataclass(frozen=True, slots=True)
class Report:
    """What an approval system reported of one case and item."""

    id: str
    client: str
    request_id: str
    digest: str
    case: str
    region: str
    item: str
    scene: str
    department: str
    operator: str
    unit: str
    edition: int
    day: str
    at: datetime
    papers: tuple[Paper, ...] = ()
    salt: bytes | None = field(default=None, repr=False)  # encrypted: of the digest; none once the notes are gone


@dataclass(frozen=True, slots=True)
class Frozen:
    """A month that is frozen."""

    month: str
    digest: str
    frozen_at: datetime


@dataclass(frozen=True, slots=True)
class Own:
    """Whose reports somebody may read: those whose item their departments lead, and those their bodies' staff made."""

    departments: Collection[str]  # names in the list
    units: Collection[str]  # credit codes


class FiguresWork(Protocol):
    """One transaction's methods for what was collected on paper, and for figures."""

    def add_report(self, report: Report) -> bool:
        """False where the system has used this request id before."""
        ...

    def report_of(self, client: str, request_id: str) -> Report | None:
        """What a system reported under a request id."""
        ...

    def receipts_of_case(self, client: str, number: str) -> list[tuple[str, str]]:
        """The decided verifications of a case with their receipts, the latest decision first."""
        ...

    def reports(
        self, where: Mapping[str, str], since: str, until: str, limit: int, *, skip: int = 0, own: Own | None = None
    ) -> list[Report]:
        """Reports from one day up to another that hold an unused paper, the newest first; of ``own`` alone if given."""
        ...

    def reports_of_case(self, client: str, case: str, limit: int) -> list[Report]:
        """The reports of a system's case, the newest first."""
        ...

    def forget_notes(self, before: str) -> None:
        """Drop what clerks wrote with reports before this day, and the salts of their digests; the reports stay."""
        ...

    def objections_to(self, since: datetime) -> dict[str, int]:
        """How many objections were raised to each source's data from this moment on."""
        ...

    def folded_to(self) -> int | None:
        """The place in the log up to which figures are folded, locked; None where another folds."""
        ...

    def fold_place(self) -> int:
        """The same place, not locked."""
        ...

    def receipts_between(self, start: int, stop: int) -> list[str]:
        """The final receipts whose decisions stand from one place of the log to before another."""
        ...

    def refusals_between(self, start: int, stop: int) -> list[bytes]:
        """The entries of refused requests from one place of the log to before another."""
        ...

    def add_counts(self, counts: Counter[Counted], refusals: Counter[Refused], folded_to: int) -> None:
        """Add to the counters, and move the place; the caller has it locked."""
        ...

    def frozen(self) -> list[Frozen]:
        """Every frozen month, ascending."""
        ...

    def first_day(self) -> str | None:
        """The first day of which there is anything to count."""
        ...

    def place_is_after(self, place: int, moment: datetime) -> bool:
        """Whether everything in the log before this moment stands before this place."""
        ...

    def copy_month(self, month: str) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """Copy a month's lines to where they never change: its counters, and its papers; returns both."""
        ...

    def freeze_month(self, frozen: Frozen) -> None:
        """Say that a month is frozen."""
        ...

    def frozen_lines(self, month: str) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """A frozen month's lines, as they stand."""
        ...

    def counts(
        self, by: Sequence[str], where: Where, months: Sequence[str]
    ) -> list[tuple[tuple[str, ...], str, str, int]]:
        """Counters of these months by these columns: (values, decision, reach, count). Frozen months stay as frozen."""
        ...

    def papers(self, by: Sequence[str], where: Where, months: Sequence[str]) -> list[tuple[tuple[str, ...], str, int]]:
        """Papers of these months by these columns: (values, standing, count). Frozen months stay as frozen."""
        ...

    def decided_by(self, source: str, since: str) -> dict[str, int]:
        """How many decisions rested on a fresh answer of a source from this day on, by material."""
        ...

    def refusals(self, where: Where, months: Sequence[str]) -> list[tuple[str, int]]:
        """Refused requests of these months by code, the most frequent first."""
        ...
