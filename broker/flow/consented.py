"""Which lookups may go, and which wait for the consent of the person they are about: part of ``settle.carry_on``.

Where a request rests on the holder's consent, each of its lookups needs that of the person it is about, in this case,
for this source. All that a plan may ask about a person is asked for at once. A source that runs a consent transaction
itself (the e-licence platform, with a 用证码) asks the holder on its own: nobody is asked twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from broker.core.answer import Awaited, Wait
from broker.core.authorise import Permit
from broker.core.case import Basis
from broker.core.consent import OPEN, ConsentState, standing
from broker.core.entry import Entry, entry
from broker.core.plan import PlannedLookup
from broker.core.receipt import moment
from broker.flow.matters import Matters
from broker.flow.parts import Parts, new_id
from broker.ports import NewLookup, Work
from broker.ports.consents import Consent

TEXT = "holder-consent/1"  # the version of the words the portal shows


@dataclass(frozen=True, slots=True)
class Consented:
    """The lookups with the consents they go or wait by, what they wait for by key, and consents to be asked for."""

    lookups: list[NewLookup]
    waits: dict[str, Wait] = field(default_factory=dict)
    consents: list[Consent] = field(default_factory=list)


def consented(
    parts: Parts, work: Work, matters: Matters, lookups: list[NewLookup], asked_for: Iterable[Consent], now: datetime
) -> Consented:
    """Hold the lookups that need a consent against the case's; ``asked_for`` are those of this transaction."""
    if matters.request.basis is not Basis.HOLDER_CONSENT:
        return Consented(lookups)
    standing_by = [*work.consents_in(matters.client, matters.request.case_number), *asked_for]
    wanted = _wanted(parts, matters)
    found = Consented([])
    for lookup in lookups:
        planned = matters.plan.lookups[lookup.key]
        if _asks_itself(parts, matters, planned):
            found.lookups.append(lookup)
            continue
        subject = parts.vault.pseudonym(planned.subject.subject)
        consent = _covering([*standing_by, *found.consents], subject, lookup.source, now)
        if consent is None:
            consent = new_consent(parts, (matters.client, matters.request.case_number), subject, wanted[subject], now)
            found.consents.append(consent)
        goes = consent.state == ConsentState.GRANTED
        wait = None if goes else Wait(Awaited.CONSENT, consent.until)
        found.lookups.append(replace(lookup, consent=consent.id, wait=wait, ready_at=now if goes else consent.until))
        if wait is not None:
            found.waits[lookup.key] = wait
    return found


def new_consent(parts: Parts, where: tuple[str, str], subject: str, sources: Sequence[str], now: datetime) -> Consent:
    """A consent to be asked for: in this client's case, of this person (a pseudonym), for these sources."""
    until = now + timedelta(hours=parts.limits.consent_hours)
    return Consent(new_id(now), *where, subject, tuple(sorted(set(sources))), TEXT, now, until, "requested")


def told(kind: str, consent: Consent, now: datetime, *, verification: str | None = None, **facts: str | None) -> Entry:
    """An entry about a consent; ``verification`` is the one for which it is asked."""
    return entry(
        f"consent_{kind}",
        now,
        verification=verification,
        consent=consent.id,
        client=consent.client,
        case=consent.case,
        subject=consent.subject,
        sources=list(consent.sources),
        until=moment(consent.until),
        **facts,
    )


def _wanted(parts: Parts, matters: Matters) -> Mapping[str, list[str]]:
    """Every source that the plan may ask about a person, by the person's pseudonym."""
    found: dict[str, list[str]] = {}
    for key, planned in matters.plan.lookups.items():
        if isinstance(matters.permits[key], Permit) and not _asks_itself(parts, matters, planned):
            found.setdefault(parts.vault.pseudonym(planned.subject.subject), []).append(planned.source)
    return found


def _asks_itself(parts: Parts, matters: Matters, planned: PlannedLookup) -> bool:
    """Whether the source asks the holder: its option, or its platform's, says so, and the holder showed a code."""
    source = matters.edition.catalog.sources[planned.source]
    connection = parts.connections.get(source.platform)
    platform = connection.options.get("consent", False) if connection else False
    return bool(planned.subject.token) and source.options.get("consent", platform) is True


def _covering(consents: Sequence[Consent], subject: str, source: str, now: datetime) -> Consent | None:
    """The consent that counts: a granted one, else one that is asked for; what has ended is asked for anew."""
    theirs = [one for one in consents if one.subject == subject and source in one.sources]
    states = {one.id: standing(ConsentState(one.state), one.until, now) for one in theirs}
    granted = (one for one in theirs if states[one.id] is ConsentState.GRANTED)
    asked = (one for one in theirs if states[one.id] in OPEN)
    return next(granted, None) or next(asked, None)
