"""The unit of work's part for how grants come about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from broker.core.grant_application import Application

Parties = Sequence[tuple[str, str]]  # (role, pseudonym) of those who take part in a case, the applicant left out


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
        """An application, locked until this transaction ends."""
        ...

    def applications(self, *, open_only: bool = False) -> list[Application]:
        """All applications, or those that nobody has decided yet, the newest first."""
        ...

    def change_application(self, application: Application) -> None:
        """Keep what has become of an application; the caller has locked it."""
        ...

    def change_grant_state(self, grant: str, before: str, after: str) -> bool:
        """False where the grant's state is no longer the one from before."""
        ...

    def permits_of(self, verification: str) -> str:
        """What was permitted at admission, as JSON: lookup key → grant or rule."""
        ...

    def entries_about(self, verification: str) -> list[tuple[int | None, bytes]]:
        """Every entry about a verification in the order they were written, each with its place once it has one."""
        ...
