"""The unit of work's part for those who look a case up: what is known of it without opening anything about a person."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from broker.ports.grants import Parties


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A case as it is found: its persons are roles and pseudonyms."""

    id: str
    client: str
    number: str
    applicant: str
    parties: Parties
    state: str  # open | closed
    opened_at: datetime
    closed_at: datetime | None
    shredded_at: datetime | None  # when its answers were destroyed


@dataclass(frozen=True, slots=True)
class VerificationLine:
    """A verification of a case, and which body asked."""

    id: str
    request_id: str
    edition: int
    state: str  # admitted | pending | decided
    admitted_at: datetime
    decided_at: datetime | None
    unit: str  # credit code
    operator: str  # staff number


@dataclass(frozen=True, slots=True)
class RecentCase:
    """A verification in a list of the day's work, with its case."""

    case: str  # the case's id
    number: str  # the case's number
    client: str
    item: str  # item or scene
    line: VerificationLine


class CaseWork(Protocol):
    """One transaction's methods for looking cases up."""

    def cases_numbered(self, number: str, limit: int) -> list[CaseLine]:
        """The cases of this number, of whichever system, the newest first."""
        ...

    def case_line(self, case: str) -> CaseLine | None:
        """A case by its id."""
        ...

    def case_of(self, verification: str) -> CaseLine | None:
        """The case that a verification belongs to."""
        ...

    def verifications_in(self, cases: Sequence[str], limit: int) -> dict[str, list[VerificationLine]]:
        """The verifications of these cases by case, the newest first."""
        ...

    def count_undecided(self, units: Collection[str] | None) -> int:
        """How many verifications of these bodies (None: of all) are not decided yet."""
        ...

    def undecided(self, units: Collection[str] | None, limit: int) -> list[RecentCase]:
        """Those, the newest first."""
        ...

    def recent(self, units: Collection[str] | None, limit: int) -> list[RecentCase]:
        """The latest verifications of these bodies (None: of all), decided or not, the newest first."""
        ...

    def count_to_ask_again(self, units: Collection[str] | None) -> int:
        """How many decisions of these bodies an objection reopened whose case was not verified again since."""
        ...

    def to_ask_again(self, units: Collection[str] | None, limit: int) -> list[RecentCase]:
        """Those, the newest first."""
        ...

    def bodiless(self, limit: int) -> list[str]:
        """The newest verifications whose row does not name their body yet, locked in the order all steps lock in."""
        ...

    def name_bodies(self, verifications: Sequence[str]) -> None:
        """Take their bodies from the entries that admitted them; the caller holds them."""
        ...

    def receipts_of(self, verification: str) -> tuple[str | None, str | None]:
        """The preliminary receipt and the final one."""
        ...
