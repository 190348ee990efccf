"""The unit of work's part for how grants come about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from broker.core.authorise import Grant
from broker.core.grant_application import Application
from broker.core.misuse import Action, Evidence, RuleName

Parties = Sequence[tuple[str, str]]  # (role, pseudonym) of those who take part in a case, the applicant left out


@dataclass(frozen=True, slots=True)
class ConductRow:
    """One admitted verification, or refused request, as the rules against misuse remember it.

    ``position`` is its entry's; ``verification`` is the request id where it was refused.
    """

    position: int
    verification: str
    client: str
    operator: str
    case: str
    region: str
    item: str | None
    scene: str | None
    channel: str
    basis: str
    reference: str
    subject: str
    edition: int
    at: datetime
    related: tuple[str, ...] = field(default=(), kw_only=True)  # the parties beside the applicant, as pseudonyms
    refused: str = field(default="", kw_only=True)  # the problem code


@dataclass(frozen=True, slots=True)
class Flag:
    """Something remarkable about an operator, until an auditor has looked at it."""

    id: str
    rule: RuleName
    client: str
    operator: str
    action: Action
    state: str  # open | cleared
    raised_at: datetime
    evidence: Evidence
    cleared_by: str | None = None
    cleared_at: datetime | None = None
    comment: str | None = None


class GrantsWork(Protocol):
    """One transaction's methods for how grants come about."""

    def holders(self, grants: Collection[str], operators: Collection[str], day: str) -> dict[tuple[str, str], set[str]]:
        """About whom each operator has asked under each grant on a day, by (grant, operator)."""
        ...

    def add_holders(self, asked: Sequence[tuple[str, str, str]], day: str) -> None:
        """Further (grant, operator, subject); the caller has the grants' usage locked."""
        ...

    def change_parties(self, case: str, before: Parties, after: Parties) -> bool:
        """False where the case's parties are no longer those from before."""
        ...

    def add_application(self, application: Application) -> None:
        """A new application."""
        ...

    def application(self, number: str) -> Application | None:
        """An application; in a writing transaction locked until it ends."""
        ...

    def applications(self, *, open_only: bool = False, decided: int | None = None) -> list[Application]:
        """All applications, or those that nobody has decided yet, the newest first.

        With ``decided``: those that nobody has decided yet, and then so many of the others.
        """
        ...

    def change_application(self, application: Application) -> None:
        """Keep what has become of an application; the caller has locked it."""
        ...

    def change_grant_state(self, grant: str, before: str, after: str, by: str) -> bool:
        """False where its state is no longer the one from before. ``by``: a department, or the role that acts."""
        ...

    def grant(self, number: str) -> Grant | None:
        """A grant as it stands, not as the policy has it in memory; locked until this transaction ends."""
        ...

    def permits_of(self, verification: str) -> str:
        """What was permitted at admission, as JSON: lookup key → grant or rule."""
        ...

    def entries_about(self, verification: str) -> list[tuple[int | None, bytes]]:
        """Every entry about a verification in the order they were written, each with its place once it has one."""
        ...

    def watch_from(self) -> int | None:
        """The place in the log from which conduct is looked at, locked; None where another is looking just now."""
        ...

    def conduct_in(self, start: int, stop: int) -> list[tuple[int, bytes]]:
        """The log's entries `admitted` and `refused` from one place to before another, each with its place."""
        ...

    def watched_to(self, position: int) -> None:
        """Conduct was looked at up to before this place."""
        ...

    def add_conduct(self, rows: Sequence[ConductRow]) -> None:
        """Remember what operators did."""
        ...

    def conduct_of(self, operator: str, since: datetime, limit: int) -> list[ConductRow]:
        """An operator's latest acts, in their order."""
        ...

    def conduct_of_body(self, body: str, since: datetime, limit: int) -> list[ConductRow]:
        """The latest acts of all operators of a system's body (``client/unit``), in their order."""
        ...

    def newcomers(self, body: str, since: datetime) -> list[str]:
        """A verification of each operator of that body who was never seen before then."""
        ...

    def overdue_since(self, since: datetime, until: datetime) -> list[str]:
        """The operators who asked between these times, in order."""
        ...

    def overdue_at(self) -> datetime | None:
        """Until when cases that became overdue have been looked at; the caller has the place locked."""
        ...

    def overdue_looked(self, at: datetime) -> None:
        """They have, until then."""
        ...

    def undecided_of(self, operator: str, since: datetime, until: datetime, limit: int) -> tuple[int, list[str]]:
        """How many of an operator's cases were opened between, and one verification of each without a decision."""
        ...

    def added_parties(self, client: str, cases: Sequence[str], since: datetime) -> dict[str, int]:
        """How many parties later verifications added since then, by case; cases without any are missing."""
        ...

    def requests_of(self, verifications: Sequence[str]) -> list[tuple[str, bytes, bytes]]:
        """Id, encrypted request and wrapped case key of these verifications."""
        ...

    def case_states(self, verifications: Sequence[str]) -> dict[str, str]:
        """The state of each verification's case as it stands now."""
        ...

    def forget_conduct(self, before: datetime) -> None:
        """Forget what operators did before."""
        ...

    def add_flag(self, flag: Flag) -> None:
        """A new flag."""
        ...

    def flag(self, number: str) -> Flag | None:
        """A flag; in a writing transaction locked until it ends."""
        ...

    def flags(
        self, *, operators: Collection[str] | None = None, open_only: bool = False, cleared: int | None = None
    ) -> list[Flag]:
        """Flags, the newest first; with ``cleared``, the open ones first, and then so many of the others."""
        ...

    def clear_flag(self, flag: Flag) -> None:
        """Keep that it was cleared, by whom and why; the caller has locked it."""
        ...
