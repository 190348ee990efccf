"""The unit of work's part for the holders' consent (持证人授权)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Consent:
    """That a person is asked whether certain sources may be asked about them in one case, and what they said."""

    id: str
    client: str
    case: str  # the case's number
    subject: str  # keyed pseudonym
    sources: tuple[str, ...]
    text: str  # the version of the words the holder is shown
    requested_at: datetime
    until: datetime  # by when it must be decided; once granted, how long it holds
    state: str  # a ConsentState
    decided_at: datetime | None = None
    decided_by: str | None = None  # the key that signed the decision
    statement: str | None = None  # salted digest of what the holder declared
    lookup: str | None = None  # the lookup whose source asks the holder itself; None: the portal does


class ConsentWork(Protocol):
    """One transaction's methods for consents."""

    def add_consents(self, rows: Sequence[Consent]) -> None:
        """Ask for consents."""
        ...

    def consents_in(self, client: str, case: str) -> list[Consent]:
        """Every consent of a case, the oldest first."""
        ...

    def consents_of(self, subject: str, limit: int) -> list[Consent]:
        """What a person was asked for, the newest first."""
        ...

    def lock_consent(self, number: str) -> Consent | None:
        """A consent, locked until this transaction ends."""
        ...

    def change_consent(self, consent: Consent) -> None:
        """Keep what has become of a consent; the caller has locked it."""
        ...

    def lock_consents_at(self, lookups: Collection[str]) -> dict[str, Consent]:
        """Those that the sources of these lookups ask for themselves, by lookup; locked."""
        ...

    def release_lookups(self, consent: str, now: datetime) -> list[str]:
        """Let the lookups that wait for a consent be due now; returns their sources."""
        ...

    def expire_consents(self, now: datetime) -> list[Consent]:
        """Write down which consents are over, each once; as they now stand."""
        ...
