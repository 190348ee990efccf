"""An operator's call of a platform: in the log before it is made, and with its outcome after."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest

from broker.core.answer import Answer, Reason, Reply
from broker.core.catalog import Source
from broker.core.errors import OperatorProblem
from broker.flow.manage import Order, manage
from broker.ports import Connection, Conversation, HttpRequest
from broker.ports.management import ManagementCall
from tests.flow.catalogue import LICENCES
from tests.flow.kit import Broker

CONTENT = "6JCl5Lia5omn54Wn"
ORDER = Order(LICENCES, "verify_file", "op1", "核对档案", {"content": CONTENT})


class Platform:
    """Both ends of the road: makes the conversation, and answers it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.calls: list[ManagementCall] = []
        self.logged_before: list[str] = []

    def run(self, wanted: ManagementCall, source: Source, connection: Connection, now: datetime) -> Conversation:
        """Remember the call."""
        self.calls.append(wanted)
        yield HttpRequest("POST", connection.endpoint)
        return Answer(Reason.VALID)

    def converse(self, source: Source, conversations: Sequence[Conversation]) -> list[Reply]:
        """Answer, having looked at the log."""
        for one in conversations:
            next(one)
        self.logged_before = [one["kind"] for one in self.broker.entries("managed", "managed_answered")]
        return [Answer(Reason.REVOKED, source_code="3") for _ in conversations]


@pytest.fixture
def platform(broker: Broker) -> Platform:
    made = Platform(broker)
    broker.parts.transport = made
    return made


def test_the_call_is_in_the_log_before_it_is_made_and_its_outcome_after(broker: Broker, platform: Platform) -> None:
    answer = manage(broker.parts, platform, ORDER)
    assert answer.reason is Reason.REVOKED
    assert platform.logged_before == ["managed"]
    asked, answered = broker.entries("managed", "managed_answered")
    assert (asked["operator"], asked["source"], asked["call"], asked["why"]) == (
        "op1",
        LICENCES,
        "verify_file",
        "核对档案",
    )
    assert (answered["reason"], answered["code"]) == ("not_held.revoked", "3")
    assert asked["management"] == answered["management"] == platform.calls[0].id


def test_what_is_sent_stands_in_no_entry_and_no_repr(broker: Broker, platform: Platform) -> None:
    manage(broker.parts, platform, ORDER)
    assert CONTENT not in str(broker.entries("managed", "managed_answered"))
    assert CONTENT not in repr((ORDER, platform.calls))


def test_a_source_nobody_listed_is_not_called_and_leaves_no_entry(broker: Broker, platform: Platform) -> None:
    with pytest.raises(OperatorProblem, match="config.invalid"):
        manage(broker.parts, platform, Order("nowhere", "verify_file", "op1", "x"))
    assert (platform.calls, broker.entries("managed")) == ([], [])
