"""Departments whose people answer, misbehaving: every behaviour of the sandbox as a person's, or why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import pytest

from broker.connectors import WorkOrders
from broker.core.answer import Question
from broker.core.catalog import Source
from broker.core.errors import CallerProblem
from broker.core.work_order import OrderReply
from broker.core.working_days import Calendar
from broker.flow import orders, register
from broker.flow.orders import Person, Said
from broker.ports import Connection, Conversation
from broker.ports.orders import WorkOrder
from broker.sandbox.behaviours import BEHAVIOURS
from tests.flow import kit
from tests.flow.kit import Broker
from tests.flow.test_orders import OFFICER, asked, with_club

ON_SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # test_orders has what the database decides
CONFIRM, DENY, CANNOT_SAY = OrderReply.CONFIRM, OrderReply.DENY, OrderReply.CANNOT_SAY
EXEMPT, ON, STILL = (
    ("exempt", "held.valid"),
    ("fallback", "fallback.commitment"),
    ("pending", "pending.department_check"),
)
_OVER: Final = "UPDATE work_order SET due_at = 1"


def answer(club: Broker, order: WorkOrder, *replies: OrderReply, by: Person = OFFICER) -> None:
    """Answer, one after another."""
    for reply in replies:
        orders.answer_order(club.parts, order.id, Said(by, reply))


def late(club: Broker, order: WorkOrder) -> None:
    """Answer when the time is over, before anybody has written so."""
    club.execute(_OVER)
    answer(club, order, CONFIRM)


def closed(club: Broker, order: WorkOrder) -> None:
    """Answer for a case that was given up meanwhile."""
    register.close_case(club.parts, kit.closing("case-1", "withdrawn"), kit.as_client())
    answer(club, order, CONFIRM)


def for_another(club: Broker, _: WorkOrder) -> None:
    """Answer what was asked for another case."""
    answer(club, asked(club, 2)[1], CONFIRM)


Act = Callable[[Broker, WorkOrder], None]
MET: Final[Mapping[str, tuple[Act, str, tuple[str, str]]]] = {  # what a person does, the refusal, what becomes of it
    "ok": (lambda club, order: answer(club, order, CONFIRM), "", EXEMPT),
    "hang": (lambda club, _: club.execute(_OVER), "", STILL),
    "after_lease": (late, "order.overdue", STILL),
    "twice": (lambda club, order: answer(club, order, CONFIRM, CONFIRM), "order.answered", EXEMPT),
    "contradiction": (lambda club, order: answer(club, order, CONFIRM, DENY), "order.answered", EXEMPT),
    "ambiguous": (lambda club, order: answer(club, order, CANNOT_SAY), "", ON),
    "not_permitted": (
        lambda club, order: answer(club, order, CONFIRM, by=Person("jw-1", kit.UNIT)), "order.unknown", STILL
    ),
    "wrong_person": (for_another, "", STILL),
    "case withdrawn": (closed, "order.stopped", STILL),
}  # fmt: skip
_COMES: Final = "nobody is connected to: the department comes to us, and each of its requests is signed or refused"
_WORDS: Final = (
    "an answer is one of three words in a request of ours; what is anything else is refused unread (HTTP 4xx)"
)
_NOW: Final = (
    "a person's answer is as of the moment it is given; how long it may be used again, tests/flow/test_reuse.py"
)
NOT_APPLICABLE: Final[Mapping[str, str]] = {
    **dict.fromkeys(("refuse", "tls_wrong_ca", "tls_expired", "tls_wrong_name", "reset", "drip", "redirect"), _COMES),
    **dict.fromkeys(("tls_slow", "drip_headers", "throttled_date", "throttled_long"), _COMES),
    **dict.fromkeys(("error500", "error503", "throttled", "throttled_after", "unsigned", "wrong_key"), _COMES),
    **dict.fromkeys(("huge", "bomb", "page", "empty", "malformed", "duplicate_keys", "nan", "gbk", "schema"), _WORDS),
    **dict.fromkeys(("stale", "future"), _NOW),
    "slow": "days are what an order takes; a preliminary receipt stands meanwhile",
    "replay": "an answer names its order, which is answered once: twice",
    "undecided": "a department asks no holder",
    "refused": "a department asks no holder",
    "ended": "what is over is denied, which is a department's answer and no misbehaviour",
    "secret_expired": "an order has no secret",
}


@ON_SQLITE
@pytest.mark.parametrize("behaviour", MET)
def test_each_behaviour_ends_as_it_is_named(broker: Broker, behaviour: str) -> None:
    """Where the answer does not count, nothing is exempt, and once the time is over the chain goes on."""
    act, code, decision = MET[behaviour]
    club = with_club(broker)
    number, order = asked(club)
    if code:
        with pytest.raises(CallerProblem) as caught:
            act(club, order)
        assert caught.value.code == code
    else:
        act(club, order)
    assert club.decisions(number)["record@legal_representative"] == decision
    end(club)
    assert club.decisions(number)["record@legal_representative"] == (ON if decision == STILL else decision)


class _MonthsLater:
    """The connector, asked again when the time of every order is over."""

    def ask(self, question: Question, source: Source, connection: Connection, now: datetime) -> Conversation:
        """The same conversation, later."""
        return (yield from WorkOrders(Calendar()).ask(question, source, connection, now + timedelta(days=60)))


def end(club: Broker) -> None:
    """Let the time of all that is open be over."""
    club.parts.connectors = {**club.parts.connectors, "work_order": _MonthsLater()}
    club.finish()


def test_every_behaviour_is_met_or_its_absence_explained() -> None:
    met = MET.keys() & BEHAVIOURS.keys()
    assert met | NOT_APPLICABLE.keys() == BEHAVIOURS.keys()
    assert met & NOT_APPLICABLE.keys() == set()
