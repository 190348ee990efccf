"""Which lookups may go, and which wait for the consent of the person they are about: part of ``settle.carry_on``.

Where a request rests on the holder's consent, each of its lookups needs that of the person it is about, in this case,
for this source. All that a plan may ask about a person is asked for at once. A source that runs a consent transaction
itself (the e-licence platform, with a 用证码) asks the holder on its own: nobody is asked twice.

Who refused, took it back or let the time pass is not asked again in the same case for what would replace the same
materials, by whichever source, until somebody asks anew: an approval system (``consents.request_consent``), or the
holder by showing a code in a later request. The lookup then ends unasked, with the reason of the consent that ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from broker.core.answer import Awaited, Wait
from broker.core.authorise import Permit
from broker.core.case import Basis
from broker.core.consent import OPEN, ConsentState, standing, unwilling
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
    rests = matters.request.basis is Basis.HOLDER_CONSENT
    planned = matters.plan.lookups
    alone = {one.key for one in lookups if _asks_itself(parts, matters, planned[one.key])}
    if not rests and not alone:
        return Consented(lookups)
    standing_by = [*work.consents_in(matters.client, matters.request.case_number), *asked_for]
    wanted = _wanted(parts, matters) if rests else {}
    found = Consented([])
    for lookup in lookups:
        subject = parts.vault.pseudonym(planned[lookup.key].subject.subject)
        theirs = [one for one in [*standing_by, *found.consents] if one.subject == subject]
        itself = lookup.key in alone
        consent = None if itself or not rests else _covering(theirs, lookup.source, now)
        no = None if consent or not (itself or rests) else _unwilling(theirs, _sources(matters, lookup.key), now)
        if no is not None and not (itself and no.requested_at < matters.admitted_at):  # a code shown since says yes
            found.lookups.append(replace(lookup, consent=no.id, ready_at=now))
            continue
        if itself or not rests:
            found.lookups.append(lookup)
            continue
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


def _sources(matters: Matters, key: str) -> frozenset[str]:
    """The sources that would replace the same materials of the same person, that of this lookup among them."""
    planned = matters.plan.lookups[key]
    return frozenset(
        one.source
        for one in matters.plan.lookups.values()
        if one.subject.subject == planned.subject.subject and not set(one.needs).isdisjoint(planned.needs)
    )


def _covering(theirs: Sequence[Consent], source: str, now: datetime) -> Consent | None:
    """The person's consent that counts: a granted one, else one that is asked for; a source's own is for it alone."""
    fit = [(one, _state(one, now)) for one in theirs if one.lookup is None and source in one.sources]
    granted = (one for one, state in fit if state is ConsentState.GRANTED)
    asked = (one for one, state in fit if state in OPEN)
    return next(granted, None) or next(asked, None)


def _unwilling(theirs: Sequence[Consent], sources: frozenset[str], now: datetime) -> Consent | None:
    """The last of the person's consents for any of these sources, where the holder would not."""
    last = next((one for one in reversed(theirs) if not sources.isdisjoint(one.sources)), None)
    if last is None or not unwilling(_state(last, now), decided=last.decided_at is not None):
        return None
    return last


def _state(consent: Consent, now: datetime) -> ConsentState:
    return standing(ConsentState(consent.state), consent.until, now)
