"""Orders: the source department's side of a work order – see what is asked, answer it, be reminded of it.

The answer ends the lookup's waiting and goes through ``settle`` like any other. An order that nobody answers in time
ends in ``look_up``, when the lookup is due again and its connector says: overdue.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from broker.core.answer import answer_digest
from broker.core.authorise import still_in_force
from broker.core.entry import Entry, entry
from broker.core.envelope import canonical
from broker.core.errors import CallerProblem
from broker.core.work_order import OrderReply, answer_of, is_of_type
from broker.flow.caller import Caller, Identify, identified
from broker.flow.matters import SALT_BYTES
from broker.flow.parts import Parts
from broker.flow.recorded import recorded
from broker.flow.settle import Heard, settle
from broker.ports import Held, LookupRow, Policy, Pulse, Work
from broker.ports.orders import WorkOrder

MAX_EVIDENCE = 1024 * 1024  # a scanned page or two; what is larger belongs into the department's own archive
MAX_LISTED = 500

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Person:
    """Who answers: a staff number, and the body by its credit code. The system that signs vouches for both."""

    id: str = field(repr=False)
    unit: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A document on which the answer rests."""

    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Said:
    """A person's answer to a work order."""

    by: Person
    reply: OrderReply
    remark: str = field(default="", repr=False)
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class _Act:
    """An answer about to be recorded: by whom it came, for which system it was asked, and the case's key."""

    order: WorkOrder
    said: Said
    pulse: Pulse
    caller: Caller | None
    asked_for: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Shown:
    """A work order as its department sees it."""

    order: WorkOrder
    question: Mapping[str, Any] = field(repr=False)
    remark: str = field(repr=False)


def list_orders(parts: Parts, unit: str | None, *, everything: bool = False) -> list[WorkOrder]:
    """The open orders of a unit, or of all, those due first come first; with ``everything``, the ended ones too."""
    with parts.store.read() as work:
        return orders_of(work, unit, everything=everything)


def orders_of(work: Work, unit: str | None, *, everything: bool) -> list[WorkOrder]:
    """The same, in a transaction of the caller's."""
    states = ("open", "answered", "overdue", "stopped") if everything else ("open",)
    return work.orders_of(unit, states, MAX_LISTED)


def overdue_orders(parts: Parts) -> list[WorkOrder]:
    """Whatever no department has answered in time."""
    with parts.store.read() as work:
        return work.orders_of(None, ("overdue",), MAX_LISTED)


def show_order(parts: Parts, number: str, unit: str | None, by: str = "", identify: Identify | None = None) -> Shown:
    """What is asked, decrypted for the unit that answers (None: that of the system that signs); an entry says so.

    Raises ``CallerProblem``: ``order.unknown``, also for another unit's; ``order.stopped`` where the case is closed.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = _identified(parts, work, pulse, identify)
        order = _own(work, number, unit, caller)
        [held] = work.hold([order.verification], [])
        _still_wanted(work, held, order)
        key = parts.vault.unwrap(held.wrapped_key)
        question = json.loads(parts.vault.decrypt(key, order.question, order.id))
        remark = b"" if order.remark is None else parts.vault.decrypt(key, order.remark, f"{order.id}/remark")
        about = _about(parts, held, question)
        work.record([_told("order_viewed", order, pulse, caller, operator=by, **about)])
        # Crash before this commit: nothing was shown. After it: the entry says so, whether or not the answer arrived.
        work.commit()
    return Shown(order, question, remark.decode())


def show_evidence(parts: Parts, number: str, unit: str, by: str) -> Evidence:
    """The document that was attached to an answer, for a person of the unit that answered; an entry says so.

    Raises ``CallerProblem``: ``order.unknown``, also for another unit's and where nothing was attached;
    ``order.stopped`` once the case's data was destroyed.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        order = _own(work, number, unit, None)
        if order.evidence is None:
            raise CallerProblem("order.unknown")
        [held] = work.hold([order.verification], [])
        if not held.wrapped_key or not order.question:
            raise CallerProblem("order.stopped")
        key = parts.vault.unwrap(held.wrapped_key)
        sealed = parts.vault.decrypt(key, order.evidence, f"{order.id}/evidence")
        head, _, content = sealed[SALT_BYTES:].partition(b"\n")
        about = _about(parts, held, json.loads(parts.vault.decrypt(key, order.question, order.id)))
        work.record([_told("order_evidence_viewed", order, pulse, None, operator=by, evidence=order.evidence_digest,
                           **about)])  # fmt: skip
        # Crash before this commit: nothing was shown. After it: the entry says so, whether or not the file arrived.
        work.commit()
    return Evidence(json.loads(head)["media_type"], content)


def answer_order(parts: Parts, number: str, said: Said, identify: Identify | None = None) -> WorkOrder:
    """Record a person's answer, and take the verification as far as it now carries, in one transaction.

    Raises ``CallerProblem``: ``order.unknown``, also for another unit's; ``order.unit`` where the person is of another
    body than the order's; ``order.answered``; ``order.overdue``; ``order.evidence`` where it is not of its type;
    ``order.stopped`` where the case is closed or the grant is no longer in force.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = _identified(parts, work, pulse, identify)
        found = _own(work, number, said.by.unit, caller)
        if said.evidence and not is_of_type(said.evidence.content, said.evidence.media_type):
            raise CallerProblem("order.evidence", pointer="/evidence", expected=said.evidence.media_type)
        [held] = work.hold([found.verification], [found.lookup])
        order, pulse = (
            _own(work, number, said.by.unit, caller),
            work.pulse(),
        )  # as they stand, now that nobody moves them
        rows = work.lookups_of([held.id])
        row = next(row for row in rows if row.id == order.lookup)
        _answerable(order, row, pulse)
        policy = parts.policy(work, pulse)
        _still_permitted(policy, held, row, pulse)
        _still_wanted(work, held, order)
        act = _Act(order, said, pulse, caller, held.client, parts.vault.unwrap(held.wrapped_key))
        answered, heard = _heard(parts, work, act, rows)
        work.end_order(answered)
        following = settle(parts, work, policy, [held], heard, pulse.now)
        # Crash before this commit: nothing was answered, and the order is open as before. After it: answer, entries
        # and every decision they complete are true together; a worker that has claimed the lookup meanwhile finds it
        # answered, and keeps nothing.
        work.commit()
    parts.wake.wake(sorted({one.source for one in following}))
    return answered


def remind_orders(parts: Parts) -> int:
    """Remind of the open orders that are due soon, each once; returns how many."""
    with parts.store.write() as work:
        pulse = work.pulse()
        reminded = work.remind_orders(pulse.now)
        if not reminded:
            return 0
        work.record([_told("order_reminded", order, pulse, None) for order in reminded])
        # Crash before this commit: nobody was reminded, the next round does it. After it: the department's list shows
        # it, and it is not done again.
        work.commit()
    for order in reminded:
        _log.warning("a work order is due soon", extra={"facts": {"order": order.id, "unit": order.unit}})
    return len(reminded)


def _identified(parts: Parts, work: Work, pulse: Pulse, identify: Identify | None) -> Caller | None:
    """Who signed, their nonce spent; None where a command of the deployment acts."""
    return identified(work, parts.policy(work, pulse), identify, pulse.now) if identify else None


def _own(work: Work, number: str, unit: str | None, caller: Caller | None) -> WorkOrder:
    """An order of this unit; a system acts for its own body only, and to others an order is as unknown as none."""
    own = unit if caller is None else caller.client.unit
    if unit not in {None, own}:
        raise CallerProblem("order.unit", got=unit or "", expected=own or "")
    order = work.find_order(number)
    if order is None or order.unit != own:
        raise CallerProblem("order.unknown")
    return order


def _answerable(order: WorkOrder, row: LookupRow, pulse: Pulse) -> None:
    if order.state == "answered":
        raise CallerProblem("order.answered")
    if order.state == "overdue" or pulse.now >= order.due_at:
        raise CallerProblem("order.overdue")
    if order.state != "open" or row.state != "due":
        raise CallerProblem("order.stopped")


def _still_wanted(work: Work, held: Held, order: WorkOrder) -> None:
    case = work.find_case(held.client, held.case_number)
    if order.state == "stopped" or not order.question or case is None or case.state != "open":
        raise CallerProblem("order.stopped")


def _still_permitted(policy: Policy, held: Held, row: LookupRow, pulse: Pulse) -> None:
    grant = json.loads(held.permits)[row.key].get("grant", "")
    rule = still_in_force(policy.grants.get(grant), pulse.now)
    if rule is not None:
        raise CallerProblem("order.stopped", got=rule)


def _heard(parts: Parts, work: Work, act: _Act, rows: list[LookupRow]) -> tuple[WorkOrder, Heard]:
    """The order as answered, and what settling is told; the lookup's answer is stored."""
    order, said, now = act.order, act.said, act.pulse.now
    asked = json.loads(parts.vault.decrypt(act.key, order.question, order.id))
    answer = answer_of(said.reply, asked["fields"])
    row, finding = recorded(parts, order.lookup, answer, act.key, order.asked_at, now)
    work.answer([row])
    answered = _answered(parts, act)
    facts = {"lookup": order.lookup, "client": act.asked_for, "source": order.source, "outcome": answer.outcome.value,
             "reason": answer.reason.value, "code": answer.source_code, "answer": row.digest}  # fmt: skip
    entries = [
        _told("order_answered", order, act.pulse, act.caller, operator=said.by.id, reply=said.reply.value,
              answer=row.digest, evidence=answered.evidence_digest),
        entry("answered", now, verification=order.verification, **facts),
    ]  # fmt: skip
    return answered, Heard(rows, {order.lookup: finding}, entries, {})


def _answered(parts: Parts, act: _Act) -> WorkOrder:
    order, said, evidence, digest = act.order, act.said, None, None
    if said.evidence is not None:
        head = canonical({"media_type": said.evidence.media_type})
        salt, body = os.urandom(SALT_BYTES), head + b"\n" + said.evidence.content
        evidence = parts.vault.encrypt(act.key, salt + body, f"{order.id}/evidence")
        digest = answer_digest(salt, body)
    return replace(
        order,
        state="answered",
        ended_at=act.pulse.now,
        reply=said.reply.value,
        answered_by=said.by.id,
        remark=parts.vault.encrypt(act.key, said.remark.encode(), f"{order.id}/remark") if said.remark else None,
        evidence=evidence,
        evidence_digest=digest,
    )


def _about(parts: Parts, held: Held, question: Mapping[str, Any]) -> dict[str, Any]:
    """Whose data was shown, in which system's case: so that they see it too."""
    persons = [one for one in (question["holder"], question["related"]) if one is not None]
    subject, *related = [parts.vault.pseudonym(f"{one['id_type']}:{one['number']}") for one in persons]
    return {"subject": subject, "related": related, "case": held.case_number, "asked_for": held.client,
            "item": question["item"]["code"], "basis": question["basis"], "fields": question["fields"]}  # fmt: skip


def _told(kind: str, order: WorkOrder, pulse: Pulse, caller: Caller | None, **facts: Any) -> Entry:
    who = {} if caller is None else {"client": caller.client.id, "key": caller.key_id}
    about = {"order": order.id, "lookup": order.lookup, "source": order.source, "unit": order.unit}
    return entry(kind, pulse.now, verification=order.verification, **about, **who, **facts)
