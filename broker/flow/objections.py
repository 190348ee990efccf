"""Objections to data (数据异议): raised from a case, handled by the source's department, and what follows from it.

While a record is marked, what its source says about these persons counts as UNKNOWN (``unknown.objected``): it exempts
nobody and refuses nobody, and earlier evidence of it is not used again. Once it is corrected, the decisions that used
it are reopened: a receipt never changes, so the approval system is told by a signed notice and asks anew.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from broker.core.answer import Answer
from broker.core.case import Party
from broker.core.catalog import Catalog, Edition
from broker.core.entry import Entry, entry
from broker.core.envelope import canonical, seal
from broker.core.errors import CallerProblem
from broker.core.objection import (
    ACCEPT_DAYS,
    LIFTS,
    Objection,
    ObjectionAct,
    ObjectionState,
    acted,
    due,
)
from broker.core.receipt import moment, receipt_digest
from broker.flow.caller import Caller, Identify, identified
from broker.flow.explain import payload_of
from broker.flow.matters import answer_in, related_in
from broker.flow.orders import Person
from broker.flow.parts import Parts, new_id, require_signing
from broker.flow.promises import NOTICE_TYPE
from broker.flow.questions import question_from
from broker.ports import Client, NewDelivery, Policy, Pulse, StoredVerification, Work
from broker.ports.objections import Asked, Concern, ObjectionsWanted, Reopened

ENDED_LISTED = 500  # of those that are over, the latest; whatever stands is listed, however much it is
MAX_REOPENED = 1_000  # decisions on one record; far above what a person meets within the time that evidence is kept
MAX_WORDS = 2_000

Sees = Callable[[str], bool]  # whether the cases of a body may be seen
Owns = Callable[[Objection, str], bool]  # whether somebody speaks for a source's department (its name in Chinese)

_KINDS = {
    ObjectionAct.ACCEPT: "record_marked",
    ObjectionAct.REFUSE: "objection_refused",
    ObjectionAct.FIND_RIGHT: "objection_verified",
    ObjectionAct.FIND_WRONG: "objection_verified",
    ObjectionAct.UNMARK: "record_unmarked",
    ObjectionAct.CORRECT: "record_corrected",
    ObjectionAct.CLOSE: "objection_closed",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Doubt:
    """What somebody objects to: what a source said for a material of a verification, and why."""

    verification: str
    material: str
    source: str
    words: str = field(repr=False)
    by: str
    unit: str


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said with an act; "" where it cannot be read, or not by this reader."""

    act: str
    by: str
    words: str = field(repr=False)
    at: datetime


@dataclass(frozen=True)
class Doubted:
    """About whom the source was asked and what it said: opened for its own department alone."""

    holder: Party = field(repr=False)
    related: Party | None = field(repr=False)
    answer: Answer | None = field(repr=False)  # None once it was destroyed
    asked_at: datetime | None
    answered_at: datetime | None


@dataclass(frozen=True)
class Dossier:
    """An objection with everything that belongs to it."""

    objection: Objection
    doubted: Doubted | None = field(repr=False)  # None for whoever is not of the source's department
    words: tuple[Said, ...] = field(repr=False)
    reopened: tuple[Reopened, ...] = field(repr=False)
    handles: bool  # whether whoever reads it speaks for the source's department


def raise_objection(
    parts: Parts, doubt: Doubt, sees: Sees | None = None, identify: Identify | None = None
) -> Objection:
    """Raise an objection: by a person who may see the case (``sees``), or by the system that asked (``identify``).

    Raises ``CallerProblem``: ``verification.unknown``, ``verification.undecided``, ``objection.nothing`` where no
    answer of this source stands behind this material, ``objection.open``, ``objection.words``, ``case.shredded``.
    """
    if not doubt.words.strip() or len(doubt.words) > MAX_WORDS:
        raise CallerProblem("objection.words", pointer="/words", expected=f"at most {MAX_WORDS} characters")
    with parts.store.write() as work:
        pulse = work.pulse()
        policy = parts.policy(work, pulse)
        stored, key_id = _stored(work, policy, doubt, sees, identify, pulse.now)
        lookup, asked = _lookup(work, stored, doubt)
        if any(one.about == asked.about and one.source == asked.source
               for one in work.objections(0, verification=stored.id)):  # fmt: skip
            raise CallerProblem("objection.open")
        source = parts.edition(work, stored.edition).catalog.sources[asked.source]
        made = Objection(
            new_id(pulse.now), stored.id, stored.client, stored.case_number, doubt.material, asked.source, asked.about,
            source.unit, doubt.by, doubt.unit, pulse.now, ObjectionState.RAISED,
            due(parts.calendar, pulse.now, ACCEPT_DAYS),
        )  # fmt: skip
        work.add_objection(made, _sealed(parts, asked.wrapped_key, doubt.words, f"{made.id}/raise"))
        told = {"lookup": lookup, "subject": asked.about, "unit": doubt.unit, "key": key_id}
        work.record([_told("objection_raised", made, doubt.by, pulse.now, **told)])
        # Crash before this commit: nothing was raised. After it: it stands in the department's list, with its entry.
        work.commit()
    return made


def _stored(
    work: Work, policy: Policy, doubt: Doubt, sees: Sees | None, identify: Identify | None, now: datetime
) -> tuple[StoredVerification, str | None]:
    """The verification, where whoever raises it may see it, and the key they signed with."""
    caller = identified(work, policy, identify, now) if identify else None
    stored = work.verification(doubt.verification)
    if stored is None or (caller is not None and stored.client != caller.client.id):
        raise CallerProblem("verification.unknown")
    admitted = work.place_of(stored.id, "admitted")
    if sees is not None and not sees(json.loads(admitted[1]).get("unit", "") if admitted else ""):
        raise CallerProblem("verification.unknown")
    if stored.receipt is None:
        raise CallerProblem("verification.undecided", retry_after=1)
    return stored, None if caller is None else caller.key_id


def _lookup(work: Work, stored: StoredVerification, doubt: Doubt) -> tuple[str, Asked]:
    """The lookup whose answer stands behind the material, of this verification or of the one it was first made for."""
    for material in payload_of(stored.receipt or "")["materials"]:
        for step in material["steps"]:
            if (material["material"], step.get("source")) != (doubt.material, doubt.source) or "digest" not in step:
                continue
            rows = work.lookups_of([step.get("origin", stored.id)])
            found = next((row.id for row in rows if row.digest == step["digest"]), None)
            asked = None if found is None else work.asked_about(found)
            if found is not None and asked is not None:
                return found, asked
    raise CallerProblem("objection.nothing")


def act(parts: Parts, number: str, what: ObjectionAct, by: str, words: str, owns: Owns) -> Objection:
    """Do the next thing about an objection, for its source's department.

    Raises ``CallerProblem``: ``objection.unknown``, also for another department's, and what ``core.objection.acted``
    raises.
    """
    with parts.store.write() as work:
        moved = _act(parts, work, work.pulse(), _Deed(number, what, by, words, owns))
        # Crash before this commit: it stands as it was. After it: the mark counts, and every decision that used a
        # corrected record is reopened and its system about to be told; whoever repeats the act is told of the state.
        work.commit()
    return moved


def act_signed(parts: Parts, number: str, what: ObjectionAct, who: Person, words: str, identify: Identify) -> Objection:
    """The same by a system of the source's department, which vouches for the person of its own body.

    Raises ``CallerProblem``: what ``act`` and ``identify`` raise, and ``objection.unit`` for another body's person.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = identified(work, parts.policy(work, pulse), identify, pulse.now)
        if who.unit != caller.client.unit:
            raise CallerProblem("objection.unit", pointer="/by/unit", got=who.unit, expected=caller.client.unit)
        owns = department(caller).owns
        moved = _act(parts, work, pulse, _Deed(number, what, who.id, words, owns, who.unit, caller.key_id))
        # Crash before this commit: as in ``act``, and the nonce is unspent. After it: the same.
        work.commit()
    return moved


@dataclass(frozen=True, slots=True)
class _Deed:
    """What is done about an objection and by whom; ``unit`` and ``key`` where a system signed it."""

    number: str
    what: ObjectionAct
    by: str
    words: str = field(repr=False)
    owns: Owns = field(repr=False)
    unit: str = ""
    key: str = ""


def _act(parts: Parts, work: Work, pulse: Pulse, deed: _Deed) -> Objection:
    """Everything that follows from an act, in the caller's transaction."""
    if len(deed.words) > MAX_WORDS:
        raise CallerProblem("objection.words", pointer="/words", expected=f"at most {MAX_WORDS} characters")
    policy, what, by = parts.policy(work, pulse), deed.what, deed.by
    found = work.objection(deed.number)
    if found is None or not deed.owns(found, _authority(parts, work, policy, found.source, pulse.now)):
        raise CallerProblem("objection.unknown")
    moved = acted(found, what, by, deed.words, parts.calendar, pulse.now)
    work.change_objection(moved)
    if deed.words.strip():
        sealed = _sealed(parts, work.key_of(moved.verification), deed.words, f"{moved.id}/{what}")
        work.add_words(moved.id, what.value, by, sealed, pulse.now)
    finding = what.value if _KINDS[what] == "objection_verified" else None
    told = {"outcome": finding, "subject": moved.about, "unit": deed.unit, "key": deed.key}
    work.record([_told(_KINDS[what], moved, by, pulse.now, **told)])
    if what is ObjectionAct.ACCEPT or what in LIFTS:
        work.move_policy()  # so that every process knows the mark, or that it is lifted, from its next batch on
    if what is ObjectionAct.CORRECT:
        _reopen(parts, work, policy, moved, pulse.now)
    return moved


def _authority(parts: Parts, work: Work, policy: Policy, source: str, now: datetime) -> str:
    number = policy.edition_at(now)
    known = None if number is None else parts.edition(work, number).catalog.sources.get(source)
    return "" if known is None else known.authority["zh"]


def _reopen(parts: Parts, work: Work, policy: Policy, objection: Objection, now: datetime) -> None:
    """List every decision that used the record, and tell the systems that have a callback."""
    found = work.decisions_on(objection.source, objection.about, MAX_REOPENED)
    work.reopen(objection.id, found, now)
    work.record([
        entry("decision_reopened", now, verification=one.verification, client=one.client, case=one.case,
              objection=objection.id, source=objection.source)
        for one in found
    ])  # fmt: skip
    owed = [one for one in found if policy.clients[one.client].callback_url]
    if owed:
        require_signing(policy, parts.signer, now)
    deliveries = [
        NewDelivery(new_id(now), one.verification, one.client, f"objection:{objection.id}",
                    seal(canonical(_notice(parts, objection, one, now)), parts.signer, NOTICE_TYPE))
        for one in owed
    ]  # fmt: skip
    work.add_deliveries(deliveries, now)


def _notice(parts: Parts, objection: Objection, one: Reopened, now: datetime) -> dict[str, Any]:
    """What the approval system is told; ``schemas/objection.schema.json#/$defs/notice`` is its grammar."""
    return {
        "version": 1,
        "issuer": parts.issuer,
        "verification": one.verification,
        "client": one.client,
        "receipt": receipt_digest(one.receipt or ""),
        "case": one.case,
        "objection": objection.id,
        "source": objection.source,
        "corrected_at": moment(now),
    }


# --- reading


def list_objections(parts: Parts) -> list[Objection]:
    """Every objection that stands, those due first come first, and the latest of those that are over."""
    with parts.store.read() as work:
        return work.objections(ENDED_LISTED)


def overdue_objections(parts: Parts) -> list[Objection]:
    """Those whose next act should have come by now."""
    with parts.store.read() as work:
        now = work.pulse().now
        return [one for one in work.objections(0) if one.overdue(now)]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads objections: for the departments whose sources are doubted, for the bodies that doubt, or to watch all.

    Whoever only watches is not shown what was said in words, since that may be about persons.
    """

    by: str
    owners: frozenset[str] = frozenset()  # credit codes of their departments; "" stands for sources of none
    departments: frozenset[str] = frozenset()  # names of their departments, in Chinese
    units: frozenset[str] | None = frozenset()  # their bodies; None for every one
    watches: bool = False

    def owns(self, objection: Objection, authority: str) -> bool:
        """Whether they speak for the source's department."""
        return objection.owner in self.owners or authority in self.departments

    def raised(self, objection: Objection) -> bool:
        """Whether it was raised by a body of theirs."""
        return self.units is None or objection.raised_unit in self.units


def department(caller: Caller) -> Reader:
    """A department's own system as a reader: it speaks for the body that it is registered for, and for no other."""
    return Reader("", frozenset({caller.client.unit}))


@dataclass(frozen=True, slots=True)
class Listed:
    """A stretch of the objections that concern somebody, whether there are more, and as of when and which edition."""

    objections: list[Objection]
    further: bool
    now: datetime
    edition: Edition


def mine(parts: Parts, reader: Reader, skip: int, limit: int, *, late: bool = False) -> Listed:
    """Those that concern somebody, due first, then those that are over; with ``late`` the overdue ones alone."""
    with parts.store.read() as work:
        pulse = work.pulse()
        edition = parts.edition_in_force(work, parts.policy(work, pulse), pulse.now)
        concern = None if reader.watches or reader.units is None else _concern(reader, edition.catalog)
        wanted = ObjectionsWanted(concern, skip, limit + 1, pulse.now if late else None)
        found = work.objections_where(wanted)
    return Listed(found[:limit], len(found) > limit, pulse.now, edition)


def _concern(reader: Reader, catalog: Catalog) -> Concern:
    theirs = {one.key for one in catalog.sources.values() if one.authority["zh"] in reader.departments}
    return Concern(reader.owners, theirs, reader.units or ())


def objections_of(work: Work, unit: str) -> list[Objection]:
    """Those that one department handles, due first, in a transaction of the caller's."""
    return work.objections(ENDED_LISTED, concern=Concern({unit}))


def dossier(parts: Parts, number: str, reader: Reader) -> Dossier:
    """One with what was said; that it was read is an entry. Raises ``CallerProblem`` ``objection.unknown``."""
    with parts.store.write() as work:
        pulse = work.pulse()
        file = _opened(parts, work, pulse, number, reader)
        # Crash before this commit: nothing was shown. After it: the entry says so, whether or not the page arrived.
        work.commit()
    return file


def dossier_signed(parts: Parts, number: str, identify: Identify) -> tuple[Dossier, datetime]:
    """The same for a system of the source's department, and the moment of the look."""
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = identified(work, parts.policy(work, pulse), identify, pulse.now)
        file = _opened(parts, work, pulse, number, department(caller), caller)
        # Crash before this commit: nothing was shown, the nonce is unspent. After it: the entry says so, whether or
        # not the answer arrived.
        work.commit()
    return file, pulse.now


def _opened(
    parts: Parts, work: Work, pulse: Pulse, number: str, reader: Reader, caller: Caller | None = None
) -> Dossier:
    """One with what was said, and the entry of the look, in the caller's transaction."""
    policy = parts.policy(work, pulse)
    found = work.objection(number)
    name = "" if found is None else _authority(parts, work, policy, found.source, pulse.now)
    concerned = found is not None and (reader.owns(found, name) or reader.raised(found))
    if found is None or not (concerned or reader.watches):
        raise CallerProblem("objection.unknown")
    words = tuple(_heard(parts, work, found, opened=concerned))
    handles = reader.owns(found, name)
    doubted = _doubted(parts, work, found) if handles else None
    file = Dossier(found, doubted, words, tuple(work.reopened_by(number)), handles)
    work.record([_viewed(parts, file, reader, caller, pulse.now)])
    return file


def _doubted(parts: Parts, work: Work, objection: Objection) -> Doubted | None:
    """What the doubted answer was to, out of the lookup's seal; None once its case's key was destroyed."""
    stored = work.verification(objection.verification)
    if stored is None or stored.receipt is None:
        return None
    doubt = Doubt(stored.id, objection.material, objection.source, "", objection.raised_by, objection.raised_unit)
    row = work.sealed_lookup(_lookup(work, stored, doubt)[0])
    if row is None or not row.wrapped_key:
        return None
    key = parts.vault.unwrap(row.wrapped_key)
    question = question_from(row.id, parts.vault.decrypt(key, row.question, row.id))
    answer = None if row.answer is None else answer_in(parts, row.id, row.answer, key)
    return Doubted(question.subject, question.related, answer, row.asked_at, row.answered_at)


def _viewed(parts: Parts, file: Dossier, reader: Reader, caller: Caller | None, now: datetime) -> Entry:
    """The entry of a look: whose data was opened with it, so that it can be found under each of them.

    ``client`` is the system that looked, none where it was the console; ``asked_for`` is the one whose case it is.
    """
    found, doubted = file.objection, file.doubted
    unit = found.owner if file.handles else found.raised_unit if reader.raised(found) else ""
    told: dict[str, Any] = {"client": None, "asked_for": found.client, "unit": unit, "subject": found.about}
    if caller is not None:
        told |= {"client": caller.client.id, "key": caller.key_id}
    if doubted is not None:
        related = related_in(parts.vault, doubted.related)
        told |= {"subject": parts.vault.pseudonym(doubted.holder.subject), "related": related, "opened": "answer"}
    return _told("objection_viewed", found, reader.by, now, **told)


def objection_to(work: Work, number: str, client: Client) -> Objection:
    """For the system whose verification it is about. Raises ``CallerProblem`` ``objection.unknown``."""
    found = work.objection(number)
    if found is None or found.client != client.id:
        raise CallerProblem("objection.unknown")
    return found


def objections_about(parts: Parts, verification: str) -> list[Objection]:
    """Those raised about one verification; the caller has looked at who may see it."""
    with parts.store.read() as work:
        return work.objections(ENDED_LISTED, verification=verification)


def remind_objections(parts: Parts) -> int:
    """Say of every overdue objection that it is, once for each act that is missing; returns how many."""
    with parts.store.write() as work:
        now = work.pulse().now
        late = work.remind_objections(now)
        if not late:
            return 0
        work.record([_told("objection_overdue", one, None, now) for one in late])
        # Crash before this commit: nobody was reminded, the next round does it. After it: it is not done again.
        work.commit()
    for one in late:
        _log.warning("an objection is overdue", extra={"facts": {"objection": one.id, "source": one.source}})
    return len(late)


# --- words, under the case's key


def _sealed(parts: Parts, wrapped: bytes, words: str, context: str) -> bytes:
    """Raises ``CallerProblem`` ``case.shredded`` where the case's key was destroyed: nothing can be kept of it."""
    if not wrapped:
        raise CallerProblem("case.shredded")
    return parts.vault.encrypt(parts.vault.unwrap(wrapped), words.encode(), context)


def _heard(parts: Parts, work: Work, objection: Objection, *, opened: bool) -> Iterator[Said]:
    """What was said; "" stands for what cannot be read any more, or not by this reader."""
    wrapped = work.key_of(objection.verification) if opened else b""
    for what, by, words, at in work.words_about(objection.id):
        said = ""
        if wrapped:
            said = parts.vault.decrypt(parts.vault.unwrap(wrapped), words, f"{objection.id}/{what}").decode()
        yield Said(what, by, said, at)


def _told(kind: str, objection: Objection, by: str | None, now: datetime, **facts: Any) -> Entry:
    about = {"objection": objection.id, "client": objection.client, "case": objection.case, "by": by,
             "source": objection.source, "material": objection.material}  # fmt: skip
    return entry(kind, now, verification=objection.verification, **(about | facts))
