"""The subject's view: who asked what about me, when, why, in which case – asked by the citizens' portal for its user.

Shown is what stands in the log about this one person, once it has its place: system and body, case, item, source,
fields, basis and legal reference. Not shown is anything about another person: whose case it was, who else was asked
about, what was answered. An embargo hides a case or a person's entries from this view alone, until its end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from broker.core.case import Party
from broker.core.entry import Entry, entry
from broker.core.errors import CallerProblem
from broker.core.person import person
from broker.core.receipt import moment
from broker.flow.annotate import require_text
from broker.flow.caller import Caller, Identify, identified
from broker.flow.find_person import names
from broker.flow.parts import Parts, new_id
from broker.flow.prove import checkpoint_size
from broker.ports import Policy, Pulse, Work
from broker.ports.proof import About, Embargo

KINDS = ("asked", "reused", "order_viewed", "objection_viewed", "refused")  # looking at somebody's data, and trying to
MOST_SHOWN = 1_000
LONGEST_EMBARGO = timedelta(days=366)  # an investigation that takes longer is approved again
EVER = datetime(1970, 1, 1, tzinfo=UTC)  # before any embargo
_SHOWN = ("case", "item", "source", "form", "fields", "basis", "unit", "code")


def accesses(
    parts: Parts, holder: Party, identify: Identify, since: datetime | None = None, until: datetime | None = None
) -> dict[str, Any]:
    """Who asked about this person, the oldest first; ``more`` where a shorter period must be named. An entry itself."""
    subject = parts.vault.pseudonym(holder.subject)
    with parts.store.write() as work:
        pulse = work.pulse()
        caller, policy = _identified(parts, work, pulse, identify)
        note = work.latest_checkpoint()
        embargoes = [one for one in work.embargoes_on(subject, pulse.now) if one.approved_by]
        hidden = note is None or any(one.subject == subject for one in embargoes)
        wanted, size = About(subject, KINDS, since, until), 0 if note is None else checkpoint_size(note)
        found = [] if hidden else _found(work, wanted, size, lambda says: _shown(says, policy, embargoes))
        shown = sorted(found, key=lambda one: str(one["at"]))
        told = {"client": caller.client.id, "key": caller.key_id, "subject": subject}
        work.record([entry("accesses_shown", pulse.now, count=min(len(shown), MOST_SHOWN), **told)])
        # Crash before this commit: nothing was shown. After it: the entry says so, whether or not the answer arrived.
        work.commit()
    return {"accesses": shown[:MOST_SHOWN], "more": len(shown) > MOST_SHOWN}


def _found(work: Work, wanted: About, size: int, shown: Callable[[Any], dict[str, Any] | None]) -> list[dict[str, Any]]:
    """What may be shown, read on until there is more than enough: what an embargo hides must not use up the page."""
    found: list[dict[str, Any]] = []
    start = 0
    while len(found) <= MOST_SHOWN:
        placed = work.entries_on(wanted, start, size, MOST_SHOWN + 1)
        found += [one for row in placed if (one := shown(json.loads(row.body))) is not None]
        if len(placed) <= MOST_SHOWN:
            break
        start = placed[-1].position + 1
    return found


def _shown(says: Mapping[str, Any], policy: Policy, embargoes: Sequence[Embargo]) -> dict[str, Any] | None:
    """One access as the person may see it; no pseudonym but their own is ever in it, and that is left out too."""
    name, case = says.get("client", ""), says.get("case", "")
    if any((one.client, one.case) == (says.get("asked_for", name), case) for one in embargoes):
        return None
    client, grant = policy.clients.get(name), policy.grants.get(says.get("grant", ""))
    return {
        "at": says["at"],
        "kind": says["kind"],
        "system": client.name if client else name,
        "reference": grant.legal_reference if grant else "",
        **{fact: says[fact] for fact in _SHOWN if fact in says},
    }


# --- embargoes


@dataclass(frozen=True, slots=True)
class Wish:
    """An embargo as somebody wants it: on a person, or on a system's case."""

    by: str
    reason: str
    until: datetime
    holder: Party | None = None
    client: str | None = None
    case: str | None = None


def request_embargo(parts: Parts, wish: Wish, identify: Identify) -> Embargo:
    """An embargo that hides nothing yet: another person must approve it.

    Raises ``CallerProblem``: ``embargo.until``, ``embargo.reason`` for a reason that names a person by number.
    """
    require_text(wish.reason, "embargo.reason")
    if wish.holder is not None and names(wish.reason, wish.holder):
        raise CallerProblem("embargo.reason")
    with parts.store.write() as work:
        pulse = work.pulse()
        caller, _ = _identified(parts, work, pulse, identify)
        if not pulse.now < wish.until <= pulse.now + LONGEST_EMBARGO:
            raise CallerProblem("embargo.until", pointer="/until", expected=f"within {LONGEST_EMBARGO.days} days")
        subject = parts.vault.pseudonym(wish.holder.subject) if wish.holder else None
        made = Embargo(
            new_id(pulse.now), subject, wish.client, wish.case, wish.reason, wish.until, wish.by, pulse.now,
            requested_from=caller.client.id,
        )  # fmt: skip
        work.add_embargo(made)
        work.record([_told("embargo_requested", made, wish.by, pulse.now, caller)])
        work.commit()
    return made


def approve_embargo(parts: Parts, number: str, by: str, identify: Identify | None = None, name: str = "") -> Embargo:
    """Let an embargo hide what it names, until its end.

    Without ``identify``, ``by`` is the login of somebody in the console, and ``name`` their name there.

    Raises ``CallerProblem``: ``embargo.unknown``, ``embargo.state`` where it is approved or over already,
    ``embargo.self-approval`` for the person who asked for it, and for the system that signed it: a name is what a
    system says, so two persons are two systems, or a system and an account.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = _signer(parts, work, pulse, identify)
        found, pulse = _embargo(work, number), work.pulse()  # as it stands, now that nobody changes it
        if found.approved_by is not None or found.until <= pulse.now:
            raise CallerProblem("embargo.state", got=number)
        asked_by = person(found.requested_by)
        if asked_by in {person(by), person(name)} or (caller and caller.client.id == found.requested_from):
            raise CallerProblem("embargo.self-approval")
        work.approve_embargo(number, by, pulse.now)
        work.record([_told("embargo_approved", found, by, pulse.now, caller)])
        # Crash before this commit: it hides nothing. After it: it hides, and who approves again is told so.
        work.commit()
    return replace(found, approved_by=by)


def lift_embargo(parts: Parts, number: str, by: str, reason: str, identify: Identify | None = None) -> Embargo:
    """End an embargo before its time, approved or not; nothing is hidden by that, so one person is enough.

    Without ``identify``, ``by`` is a login of the console, or whom an administrator types.

    Raises ``CallerProblem``: ``embargo.unknown``, ``embargo.over``, ``embargo.reason`` for none, or a person's number.
    """
    require_text(reason, "embargo.reason")
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = _signer(parts, work, pulse, identify)
        found, pulse = _embargo(work, number), work.pulse()  # as it stands, now that nobody changes it
        if found.until <= pulse.now:
            raise CallerProblem("embargo.over", got=number)
        work.lift_embargo(number, pulse.now)
        lifted = replace(found, until=pulse.now)
        work.record([_told("embargo_lifted", lifted, by, pulse.now, caller, reason)])
        # Crash before this commit: it hides as before. After it: what it hid is seen, and who lifts again is told so.
        work.commit()
    return lifted


def _embargo(work: Work, number: str) -> Embargo:
    """The embargo, locked. Raises ``CallerProblem`` ``embargo.unknown``."""
    found = work.embargo(number)
    if found is None:
        raise CallerProblem("embargo.unknown", got=number)
    return found


def list_embargoes(parts: Parts, limit: int, *, everything: bool = False) -> list[Embargo]:
    """The embargoes that are not over, or all of them; the newest first."""
    with parts.store.read() as work:
        return work.embargoes(EVER if everything else work.pulse().now, limit)


def _signer(parts: Parts, work: Work, pulse: Pulse, identify: Identify | None) -> Caller | None:
    """Who signed; nobody where a person acts in the console, or an administrator at the machine."""
    return None if identify is None else _identified(parts, work, pulse, identify)[0]


def _told(kind: str, embargo: Embargo, by: str, now: datetime, caller: Caller | None, why: str = "") -> Entry:
    """The entry; it names the system and case under other words, so that it is not found as one of theirs."""
    signed = {} if caller is None else {"client": caller.client.id, "key": caller.key_id}
    return entry(kind, now, **signed, by=by, embargo=embargo.id,
                 hidden_subject=embargo.subject, hidden_client=embargo.client, hidden_case=embargo.case,
                 until=moment(embargo.until), why=why or embargo.reason)  # fmt: skip


def _identified(parts: Parts, work: Work, pulse: Pulse, identify: Identify) -> tuple[Caller, Policy]:
    policy = parts.policy(work, pulse)
    caller = identified(work, policy, identify, pulse.now)
    return caller, policy
