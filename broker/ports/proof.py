"""The unit of work's part for what proves: finding entries, witnesses' lines, retention, the subject's view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from broker.core.log_export import Filter

MATERIAL, LOGIN = "material", "login"
NAMED = (LOGIN, MATERIAL)  # facts of which one entry may hold several


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
    unit: str | None = None
    source: str | None = None
    outcome: str | None = None
    request_id: str | None = field(default=None, kw_only=True)
    item: str | None = field(default=None, kw_only=True)
    region: str | None = field(default=None, kw_only=True)
    related: tuple[str, ...] = field(default=(), kw_only=True)  # further persons it is about, as pseudonyms
    named: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)  # what it may name several of: ``NAMED``


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry with its place in the log."""

    position: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Shredded:
    """A case whose key was destroyed: how many verifications and lookups lost what was encrypted with it."""

    client: str
    case: str
    verifications: int
    lookups: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """Something encrypted with a case's key, and the row it stands in."""

    row: str
    cipher: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Embargo:
    """What the subject's view hides until a time: a person's entries, or those of a system's case."""

    id: str
    subject: str | None
    client: str | None
    case: str | None
    reason: str
    until: datetime
    requested_by: str
    requested_at: datetime
    approved_by: str | None = None
    requested_from: str = ""  # the system that signed it


@dataclass(frozen=True, slots=True)
class About:
    """Which entries a person is shown: those about them, as subject or beside it, of these kinds."""

    subject: str
    kinds: tuple[str, ...]
    since: datetime | None = None
    until: datetime | None = None


class ProofWork(Protocol):
    """One transaction's methods for what proves."""

    def indexed(self, start: int, stop: int) -> list[Indexed]:
        """The rows by which these entries are found, in order; ``related`` and ``named`` are sorted."""
        ...

    def index_entries(self, rows: Sequence[Indexed]) -> None:
        """Let entries be found by what they say; in the transaction that gives them their places."""
        ...

    def find_entries(self, wanted: Filter, start: int, stop: int, limit: int) -> list[Placed]:
        """Up to ``limit`` entries with places from ``start`` to before ``stop`` that the filter wants, in order."""
        ...

    def refusals_of(self, request_id: str, client: str | None, limit: int) -> list[Placed]:
        """The latest entries with places that refuse a request of this id, of one system or of all, in order."""
        ...

    def entries_on(self, wanted: About, start: int, stop: int, limit: int) -> list[Placed]:
        """Up to ``limit`` entries with places from ``start`` to before ``stop`` that are about a person, in order."""
        ...

    def expired_cases(self, before: datetime, limit: int) -> list[str]:
        """Up to ``limit`` cases, locked: closed, or nothing done, since ``before``; none with an open verification."""
        ...

    def stuck_cases(self, before: datetime, now: datetime, limit: int) -> list[str]:
        """Up to ``limit`` cases, locked, where something is open, nothing was done since ``before``, and none waits."""
        ...

    def case_key(self, case: str) -> bytes:
        """The wrapped key of a case; empty where it was destroyed."""
        ...

    def latest_case_key(self, besides: Sequence[str]) -> bytes | None:
        """The wrapped key of the latest case that is none of these."""
        ...

    def sealed_of(self, case: str) -> list[Sealed]:
        """What of a case must be readable for its open verifications and lookups to go on."""
        ...

    def expired_answers(self, before: datetime, limit: int) -> list[str]:
        """Up to ``limit`` lookups, locked, of decided verifications, that were answered before a time."""
        ...

    def forget_answers(self, lookups: Sequence[str]) -> list[Shredded]:
        """Destroy questions, answers and memos of these locked lookups, and of their orders; counted by case."""
        ...

    def lock_case(self, client: str, number: str) -> str | None:
        """The id of the case, locked: nobody adds to it until this transaction ends."""
        ...

    def is_open(self, case: str) -> bool:
        """Whether something of this case is still to be answered or decided."""
        ...

    def shred(self, cases: Sequence[str], now: datetime, *, erased: bool) -> list[Shredded]:
        """Destroy the keys of these locked cases, and with them requests, questions, answers, clerks' notes.

        What is still due in them is asked never.
        """
        ...

    def renew_case_key(self, case: str, wrapped_key: bytes) -> bool:
        """Give a case whose key was destroyed by expiry a new one; False where it has one, or was erased."""
        ...

    # witnesses
    def checkpoint_at(self, size: int) -> str | None:
        """The checkpoint of this size as we signed it."""
        ...

    def add_cosignature(self, size: int, witness: str, line: str, now: datetime) -> bool:
        """Keep a witness's line under a checkpoint; False where it has one there already."""
        ...

    def witness_line(self, witness: str) -> str | None:
        """The newest line that was handed in under a witness's name."""
        ...

    def witnessed_checkpoint(self) -> str | None:
        """The newest checkpoint that a witness has signed, with the lines of all who did."""
        ...

    # the subject's view
    def add_embargo(self, embargo: Embargo) -> None:
        """An embargo that nobody has approved yet."""
        ...

    def embargo(self, number: str) -> Embargo | None:
        """An embargo, locked until this transaction ends."""
        ...

    def find_embargo(self, number: str) -> Embargo | None:
        """An embargo as it stands, for reading."""
        ...

    def approve_embargo(self, number: str, by: str, now: datetime) -> None:
        """Let an embargo hide what it names; the caller has locked it."""
        ...

    def lift_embargo(self, number: str, now: datetime) -> None:
        """Let an embargo end now; the caller has locked it."""
        ...

    def embargoes(self, since: datetime, limit: int) -> list[Embargo]:
        """The embargoes that end later than this, the newest first."""
        ...

    def count_embargoes_to_approve(self, now: datetime) -> int:
        """How many are not over yet, and approved by nobody."""
        ...

    def embargoes_on(self, subject: str, now: datetime) -> list[Embargo]:
        """The embargoes not over yet on this person, and on all cases."""
        ...
