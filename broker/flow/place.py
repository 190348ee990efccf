"""Place work orders, and end them: what the steps that ask sources do for those whose people answer.

Both run inside look_up's recording transaction: an order is there exactly while its lookup waits for a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from broker.core.answer import Order, Question, Reason
from broker.core.case import Party
from broker.core.entry import Entry, entry
from broker.core.envelope import canonical
from broker.core.receipt import moment
from broker.flow.parts import Parts, new_id
from broker.ports import Claimed, Work
from broker.ports.orders import WorkOrder


@dataclass(frozen=True, slots=True)
class Placing:
    """A claimed lookup that a person is to answer, until when, and the case's key."""

    claim: Claimed
    question: Question
    order: Order
    due_at: datetime
    key: bytes = field(repr=False)


def place(parts: Parts, work: Work, placings: Sequence[Placing], asked_at: datetime, now: datetime) -> list[Entry]:
    """Put the questions before their departments; returns the entries ``ordered``, for the caller to record."""
    orders = [_order(parts, one, asked_at, now) for one in placings]
    work.add_orders(orders)
    return [_ordered(one, order, now) for one, order in zip(placings, orders, strict=True)]


def end(work: Work, answered: Mapping[str, Reason], now: datetime) -> list[Entry]:
    """End the orders of lookups that were answered without their person: overdue, or stopped by a rule."""
    if not answered:
        return []
    states = {lookup: "overdue" if reason is Reason.OVERDUE else "stopped" for lookup, reason in answered.items()}
    return [
        entry(f"order_{order.state}", now, verification=order.verification, order=order.id, lookup=order.lookup,
              source=order.source, unit=order.unit)
        for order in work.end_orders(states, now).values()
    ]  # fmt: skip


def _order(parts: Parts, placing: Placing, asked_at: datetime, now: datetime) -> WorkOrder:
    number, claim = new_id(now), placing.claim
    return WorkOrder(
        id=number,
        lookup=claim.id,
        verification=claim.verification,
        source=claim.source,
        unit=placing.order.unit,
        state="open",
        attempt=claim.fence,
        question=parts.vault.encrypt(placing.key, _told(placing.question), number),
        asked_at=asked_at,
        remind_at=placing.order.remind_at,
        due_at=placing.due_at,
        holder="organisation" if placing.question.subject.is_organisation else "person",
    )


def _told(question: Question) -> bytes:
    """What the person must know to answer, and nothing else of the case."""
    matter = question.matter
    return canonical(
        {
            "holder": _party(question.subject),
            "related": _party(question.related) if question.related else None,
            "confirm": matter.material_name,
            "fields": list(question.fields),
            "item": {"code": matter.item_code, "name": matter.item_name},
            "case": matter.case_number,
            "region": matter.region,
            "asked_by": {"system": matter.system, "unit": matter.operator.unit, "unit_name": matter.operator.unit_name},
            "basis": matter.basis,
            "legal_basis": matter.legal_basis,
        }
    )


def _party(party: Party) -> dict[str, str]:
    return {"role": party.role, "id_type": party.id_type, "number": party.number, "name": party.name}


def _ordered(placing: Placing, order: WorkOrder, now: datetime) -> Entry:
    facts = {"order": order.id, "lookup": order.lookup, "client": placing.claim.client, "source": order.source,
             "unit": order.unit, "attempt": order.attempt, "due": moment(order.due_at)}  # fmt: skip
    return entry("ordered", now, verification=order.verification, **facts)
