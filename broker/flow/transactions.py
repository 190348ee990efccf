"""Consents that sources ask for themselves (the e-licence platform's transaction): kept like those of the portal.

Runs inside look_up's recording transaction. A row is there from the moment the source said that the holder is being
asked; what it came to is read off the answer that the source then gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.answer import Question, Reason, Waiting
from broker.core.consent import OPEN, ConsentState, at_source
from broker.core.entry import Entry
from broker.flow.consented import told
from broker.flow.parts import Parts, new_id
from broker.ports import Claimed, Work
from broker.ports.consents import Consent

TEXT = "source-consent/1"  # the words are the source's own


@dataclass(frozen=True, slots=True)
class Asking:
    """A claimed lookup whose source is asking the holder."""

    claim: Claimed
    question: Question
    waiting: Waiting


def follow(
    parts: Parts, work: Work, asking: Sequence[Asking], answered: Mapping[str, Reason], now: datetime
) -> list[Entry]:
    """Write down what has become of the consents of these lookups; the entries are the caller's to record."""
    known = work.lock_consents_at({*answered, *(one.claim.id for one in asking)})
    begun = [_begun(parts, one, now) for one in asking if one.claim.id not in known]
    work.add_consents(begun)
    entries = [told("requested", one, now, verification=_of(asking, one), asked_by="source") for one in begun]
    for one in asking:
        found = known.get(one.claim.id)
        if found is not None and found.state == ConsentState.REQUESTED:  # asked after for the first time
            entries.append(_changed(work, replace(found, state=ConsentState.WAITING.value), "shown", one.claim, now))
    for lookup, reason in answered.items():
        entries += _ended(work, known.get(lookup), reason, now)
    return entries


def _begun(parts: Parts, one: Asking, now: datetime) -> Consent:
    claim, question = one.claim, one.question
    subject = parts.vault.pseudonym(question.subject.subject)
    return Consent(
        new_id(now), claim.client, question.matter.case_number, subject, (claim.source,), TEXT, now, one.waiting.until,
        ConsentState.REQUESTED.value, lookup=claim.id,
    )  # fmt: skip


def _changed(work: Work, consent: Consent, kind: str, claim: Claimed, now: datetime) -> Entry:
    work.change_consent(consent)
    return told(kind, consent, now, verification=claim.verification, asked_by="source")


def _ended(work: Work, consent: Consent | None, reason: Reason, now: datetime) -> list[Entry]:
    state = at_source(reason)
    if consent is None or state is None or ConsentState(consent.state) not in OPEN:
        return []
    decided = None if state is ConsentState.EXPIRED else now
    changed = replace(consent, state=state.value, decided_at=decided)
    work.change_consent(changed)
    return [told(state.value, changed, now, asked_by="source", lookup=consent.lookup)]


def _of(asking: Sequence[Asking], consent: Consent) -> str:
    return next(one.claim.verification for one in asking if one.claim.id == consent.lookup)
