"""The holder's consent (持证人授权): of one person, in one case, for certain sources."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from broker.core.answer import Answer, Outcome, Reason


class ConsentState(StrEnum):
    """How far a consent has come."""

    REQUESTED = "requested"  # asked for; the holder has not been shown it yet
    WAITING = "waiting"  # shown to the holder by the portal
    GRANTED = "granted"
    REFUSED = "refused"
    EXPIRED = "expired"  # not decided in time, or granted and over
    REVOKED = "revoked"


class ConsentDecision(StrEnum):
    """What the holder decides."""

    GRANT = "grant"
    REFUSE = "refuse"
    REVOKE = "revoke"


OPEN = frozenset({ConsentState.REQUESTED, ConsentState.WAITING})
_AFTER = {
    (ConsentState.REQUESTED, ConsentDecision.GRANT): ConsentState.GRANTED,
    (ConsentState.REQUESTED, ConsentDecision.REFUSE): ConsentState.REFUSED,
    (ConsentState.WAITING, ConsentDecision.GRANT): ConsentState.GRANTED,
    (ConsentState.WAITING, ConsentDecision.REFUSE): ConsentState.REFUSED,
    (ConsentState.GRANTED, ConsentDecision.REVOKE): ConsentState.REVOKED,
}
UNCONSENTED = {  # the answer of a lookup that a rule of consent keeps from being asked
    "consent.refused": Answer(Reason.CONSENT_REFUSED),
    "consent.revoked": Answer(Reason.CONSENT_REVOKED),
    "consent.expired": Answer(Reason.CONSENT_EXPIRED),
}


_ENDED_BY = {Reason.CONSENT_REFUSED: ConsentState.REFUSED, Reason.CONSENT_EXPIRED: ConsentState.EXPIRED}
_TOLD = frozenset({Reason.NOT_FOUND, Reason.AMBIGUOUS})  # unknown, but said by a source that was allowed to speak


def at_source(reason: Reason) -> ConsentState | None:
    """What the consent was that a source asked for itself, by the answer it then gave; None where that leaves it open.

    An outage says nothing of the holder: whoever was asked may still decide, until time ends it.
    """
    told = reason.outcome is not Outcome.UNKNOWN or reason in _TOLD
    return _ENDED_BY.get(reason, ConsentState.GRANTED if told else None)


def unwilling(state: ConsentState, *, decided: bool) -> bool:
    """Whether a consent ended because the holder would not: who once agreed and whose time is over may be asked."""
    return state in {ConsentState.REFUSED, ConsentState.REVOKED} or (state is ConsentState.EXPIRED and not decided)


def after(state: ConsentState, decision: ConsentDecision) -> ConsentState | None:
    """The state that a decision leads to, None where it cannot be made any more, or not yet."""
    return _AFTER.get((state, decision))


def standing(state: ConsentState, until: datetime, now: datetime) -> ConsentState:
    """What a consent is at a moment: time ends it, whether or not anybody has written so yet."""
    return ConsentState.EXPIRED if now >= until and state in {*OPEN, ConsentState.GRANTED} else state
