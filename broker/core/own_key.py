"""The broker's own signing keys as the register has them: where each is in its life, and what its signatures are worth.

A key is *coming* while it is published and signs nothing yet, then *active*. Its successor makes it *retiring* for the
time of the overlap, in which processes that were not started again still sign with it, and then *retired*: what it
signed in its time counts for ever. *Revoked* is what was stolen, or may have been.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.core.envelope import Revoked, Told, Verifier
from broker.core.errors import OperatorProblem


class KeyState(StrEnum):
    """Where a key is in its life."""

    COMING = "coming"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"
    REVOKED = "revoked"


class KeyRole(StrEnum):
    """What a key signs."""

    RECEIPT = "receipt"  # receipts, editions, answers
    LOG = "log"  # checkpoints


@dataclass(frozen=True, slots=True)
class Dated(Told):
    """A published key, and the time in which it signed: what says that it was signed at another time counts nothing.

    Whoever verifies something that bears a time asks ``timely``; a key without dates was never outside of its time.
    """

    not_before: datetime | None = None
    not_after: datetime | None = None  # not included


def timely(key: Verifier, at: object) -> bool:
    """Whether a key was in its time at a moment, told as RFC 3339; what is no moment is in no key's time."""
    dated = key.key if isinstance(key, Revoked) else key
    if not isinstance(dated, Dated):
        return True
    when = _moment(at)
    if when is None or (dated.not_before is not None and when < dated.not_before):
        return False
    return dated.not_after is None or when < dated.not_after


def _moment(text: object) -> datetime | None:
    try:
        when = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return when if when is not None and when.tzinfo is not None else None


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key of ours; without ``not_before`` it is older than its registration, and signed who knows how early."""

    verifier: Verifier
    role: KeyRole
    name: str  # which of the key files it was made for; empty where it had retired before it was registered
    state: KeyState
    not_before: datetime | None = None
    not_after: datetime | None = None
    revoked_at: datetime | None = None

    def state_at(self, now: datetime) -> KeyState:
        """Where it is now; a key whose time is over has retired, whether or not it has a successor."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if self.not_after is not None and now >= self.not_after:
            return KeyState.RETIRED
        return KeyState.RETIRING if self.state is KeyState.RETIRED and self.not_after is not None else self.state

    def ends(self, now: datetime) -> datetime | None:
        """When what signs now, or is to sign, will sign no more; None where nobody has said, or it signs no more."""
        return self.not_after if self.state_at(now) in {KeyState.COMING, KeyState.ACTIVE} else None

    def published(self) -> Verifier:
        """The key as those who verify must take it."""
        dated = self.not_before is not None or self.not_after is not None
        key = Dated(self.verifier, self.not_before, self.not_after) if dated else self.verifier
        return key if self.revoked_at is None else Revoked(key, self.revoked_at)

    def require_signing(self, now: datetime) -> None:
        """Raise ``OperatorProblem`` ``key.expired`` where whoever verifies would refuse what it signs now."""
        state = self.state_at(now)
        if state in {KeyState.RETIRED, KeyState.REVOKED}:
            raise OperatorProblem("key.expired", got=self.verifier.key_id, expected=f"a key that is not {state}")
