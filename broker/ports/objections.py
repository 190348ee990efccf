"""The unit of work's part for objections to data (数据异议)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from broker.core.objection import Objection


@dataclass(frozen=True, slots=True)
class Asked:
    """Of which source and about whom a lookup was, and the key of its case."""

    source: str
    about: str
    wrapped_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedLookup:
    """A lookup's question and answer as they are kept, and the key of its case; empty once that was destroyed."""

    id: str
    question: bytes = field(repr=False)
    answer: bytes | None = field(repr=False)
    wrapped_key: bytes = field(repr=False)
    asked_at: datetime | None
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reopened:
    """A verification whose decision used a record that was corrected since."""

    verification: str
    client: str
    case: str
    receipt: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Concern:
    """Which objections concern somebody: those to what their departments say, and those their bodies have raised."""

    owners: Collection[str] = ()  # credit codes of departments; "" where the list names none
    sources: Collection[str] = ()  # of departments that are known by name
    units: Collection[str] = ()  # bodies that raised them


@dataclass(frozen=True, slots=True)
class ObjectionsWanted:
    """A stretch of the objections: those that concern somebody (None: all), or the overdue ones among them."""

    concern: Concern | None
    skip: int
    limit: int
    due_by: datetime | None = None  # those alone whose next act was due by then


class ObjectionWork(Protocol):
    """One transaction's methods for objections."""

    def add_objection(self, objection: Objection, words: bytes) -> None:
        """A new objection with what was said, encrypted."""
        ...

    def objection(self, number: str) -> Objection | None:
        """An objection as it stands; in a writing transaction locked until it ends."""
        ...

    def objections(
        self, ended: int, *, verification: str | None = None, concern: Concern | None = None
    ) -> list[Objection]:
        """Every objection that stands, those due first come first; then the latest ``ended`` of those that are over.

        Of a verification, or of those that concern somebody, where they are given.
        """
        ...

    def objections_where(self, wanted: ObjectionsWanted) -> list[Objection]:
        """Those that stand, due first, and behind them those that are over, the latest first."""
        ...

    def change_objection(self, objection: Objection) -> None:
        """Keep what has become of it; the caller has read it in this transaction."""
        ...

    def add_words(self, objection: str, act: str, by: str, words: bytes, now: datetime) -> None:
        """Keep what somebody said with an act, encrypted."""
        ...

    def words_about(self, objection: str) -> list[tuple[str, str, bytes, datetime]]:
        """Act, by whom, encrypted words and when, in their order."""
        ...

    def asked_about(self, lookup: str) -> Asked | None:
        """Of which source and about whom a lookup was."""
        ...

    def sealed_lookup(self, lookup: str) -> SealedLookup | None:
        """A lookup with what was asked and answered, still encrypted."""
        ...

    def key_of(self, verification: str) -> bytes:
        """The wrapped key of a verification's case; empty once it was destroyed."""
        ...

    def decisions_on(self, source: str, about: str, limit: int) -> list[Reopened]:
        """The decided verifications that asked this source about these persons, or used again what it said."""
        ...

    def reopen(self, objection: str, rows: Sequence[Reopened], now: datetime) -> None:
        """Keep which decisions were reopened by an objection."""
        ...

    def reopened_by(self, objection: str) -> list[Reopened]:
        """The decisions that an objection reopened."""
        ...

    def remind_objections(self, now: datetime) -> list[Objection]:
        """Mark as reminded whichever is overdue and was not reminded of since its last act; each is returned once."""
        ...
