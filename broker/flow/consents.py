"""Consents: the holder's side – what they are asked for, what they decide, and when it ends.

Lookups wait for them from ``settle`` on (``flow.consented``); ``look_up`` looks at them whenever it claims a lookup.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from broker.core.answer import answer_digest
from broker.core.case import Party
from broker.core.consent import ConsentDecision, ConsentState, after, standing
from broker.core.envelope import canonical
from broker.core.errors import CallerProblem
from broker.flow.caller import Caller, Identify, identified
from broker.flow.consented import new_consent, told
from broker.flow.matters import SALT_BYTES
from broker.flow.parts import Parts
from broker.ports import Pulse, Work
from broker.ports.consents import Consent

MAX_DAYS = 180  # a consent is for one case, and no case takes longer
MAX_LISTED = 200


@dataclass(frozen=True, slots=True)
class Statement:
    """What the holder declared at the portal: the version of the words, and how the portal knew who it was."""

    text: str
    reference: str = field(repr=False)  # the portal's record of the authentication


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision as the portal hands it in."""

    subject: Party = field(repr=False)
    decision: ConsentDecision
    statement: Statement
    days: int = 30  # how long a granted one holds


def request_consent(parts: Parts, case: str, subject: Party, sources: Sequence[str], identify: Identify) -> Consent:
    """An approval system asks beforehand. Raises ``CallerProblem`` ``case.unknown``, ``case.closed``."""
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = _identified(parts, work, pulse, identify)
        opened = work.find_case(caller.client.id, case)
        if opened is None or opened.state != "open":
            raise CallerProblem("case.closed" if opened else "case.unknown", pointer="/case/number")
        pseudonym = parts.vault.pseudonym(subject.subject)
        made = new_consent(parts, (caller.client.id, case), pseudonym, sources, pulse.now)
        work.add_consents([made])
        work.record([told("requested", made, pulse.now, key=caller.key_id)])
        # Crash before this commit: nobody is asked. After it, with the answer lost: asked twice, which harms nobody.
        work.commit()
    return made


def show_consents(parts: Parts, subject: Party, identify: Identify) -> list[Consent]:
    """What the person at the portal was asked for; those shown for the first time are waiting from now on."""
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = _identified(parts, work, pulse, identify)
        found = work.consents_of(parts.vault.pseudonym(subject.subject), MAX_LISTED)
        shown = [_shown(work, one) for one in found]
        fresh = [one for one, before in zip(shown, found, strict=True) if one != before]
        work.record([told("shown", one, pulse.now, portal=caller.client.id) for one in fresh])
        work.commit()
    return [replace(one, state=standing(ConsentState(one.state), one.until, pulse.now)) for one in shown]


def consents_of_case(parts: Parts, client: str, case: str) -> list[Consent]:
    """Every consent of a system's case as it stands now, the oldest first; persons are pseudonyms."""
    with parts.store.read() as work:
        return standing_in(work, client, case)


def standing_in(work: Work, client: str, case: str) -> list[Consent]:
    """The same in a transaction of the caller's."""
    now = work.pulse().now
    found = work.consents_in(client, case)
    return [replace(one, state=standing(ConsentState(one.state), one.until, now)) for one in found]


def decide_consent(parts: Parts, number: str, decided: Decided, identify: Identify) -> Consent:
    """Grant, refuse or revoke, as the holder declared at the portal, whose key signs.

    Raises ``CallerProblem``: ``consent.unknown``, also for another person's; ``consent.at-source``; ``consent.state``;
    ``consent.refused``, ``consent.revoked``, ``consent.expired`` where it is that already.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = _identified(parts, work, pulse, identify)
        found = work.lock_consent(number)
        if found is None or found.subject != parts.vault.pseudonym(decided.subject.subject):
            raise CallerProblem("consent.unknown")
        if found.lookup is not None:
            raise CallerProblem("consent.at-source")
        changed = _decided(found, decided, caller, pulse)
        work.change_consent(changed)
        sources = work.release_lookups(changed.id, pulse.now)
        work.record([told(changed.state, changed, pulse.now, portal=caller.client.id, key=caller.key_id,
                          text=decided.statement.text, statement=changed.statement)])  # fmt: skip
        # Crash before this commit: nothing was decided, the holder says it again. After it: the lookups are due, and
        # each claim looks at the consent: a granted one is asked, a refused one ends unasked.
        work.commit()
    parts.wake.wake(sources)
    return changed


def expire_consents(parts: Parts) -> int:
    """Write down what time has ended; the lookups that waited end by themselves. Returns how many."""
    with parts.store.write() as work:
        now = work.pulse().now
        over = work.expire_consents(now)
        work.record([told("expired", one, now) for one in over])
        work.commit()
    return len(over)


def _identified(parts: Parts, work: Work, pulse: Pulse, identify: Identify) -> Caller:
    return identified(work, parts.policy(work, pulse), identify, pulse.now)


def _shown(work: Work, consent: Consent) -> Consent:
    if consent.state != ConsentState.REQUESTED or consent.lookup is not None:  # a source shows its own
        return consent
    locked = work.lock_consent(consent.id)
    if locked is None or locked.state != ConsentState.REQUESTED:
        return consent
    work.change_consent(replace(locked, state=ConsentState.WAITING.value))
    return replace(locked, state=ConsentState.WAITING.value)


def _decided(found: Consent, decided: Decided, caller: Caller, pulse: Pulse) -> Consent:
    state = standing(ConsentState(found.state), found.until, pulse.now)
    following = after(state, decided.decision)
    if following is None:
        ended = state in {ConsentState.REFUSED, ConsentState.REVOKED, ConsentState.EXPIRED}
        raise CallerProblem(f"consent.{state}" if ended else "consent.state", got=state)
    said = canonical({"text": decided.statement.text, "reference": decided.statement.reference})
    granted = following is ConsentState.GRANTED
    return replace(
        found,
        state=following.value,
        until=pulse.now + timedelta(days=min(decided.days, MAX_DAYS)) if granted else found.until,
        decided_at=pulse.now,
        decided_by=caller.key_id,
        statement=answer_digest(os.urandom(SALT_BYTES), said),
    )
