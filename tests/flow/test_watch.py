"""Watching: what operators do is held against the rules, flagged, stopped, cleared – each once, with its entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from broker.core.errors import Problem
from broker.core.identifiers import citizen_check_digit
from broker.core.misuse import Action, MisuseRules, RuleName, Thresholds
from broker.flow.look_up import look_up
from broker.flow.watch import clear, watch
from tests.flow import kit
from tests.flow.catalogue import KIOSK, LICENCES
from tests.flow.kit import Broker

ON_SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # where the database makes no difference


@pytest.fixture
def watched(broker: Broker) -> Broker:
    """Only the rules that do not depend on the hour at which the tests run."""
    actions = dict(MisuseRules().actions)
    actions.pop(RuleName.AFTER_HOURS)
    broker.parts.misuse = MisuseRules(actions, Thresholds())
    return broker


def neighbour(order: int) -> str:
    """A citizen number like its neighbours', of one day and nobody's region."""
    first17 = f"99999919800101{order:03}"
    return first17 + citizen_check_digit(first17)


def about(number: int, identifier: str, **changes: Any) -> dict[str, Any]:
    """The ``number``-th request, about a person of this number."""
    party = {"role": "legal_representative", "id_type": "111", "number": identifier, "name": "张某"}
    return kit.request(number, parties=[party], **changes)


def look(broker: Broker) -> None:
    """Give the entries their places and look at all of them."""
    broker.sequence_all()
    while watch(broker.parts):
        broker.sequence_all()


def loop_over(broker: Broker, numbers: Sequence[int]) -> None:
    """What a script over a list of numbers does."""
    for number in numbers:
        broker.submit(about(number, neighbour(number)))
    look(broker)


def test_a_loop_over_numbers_stops_its_operator_until_an_auditor_has_looked(watched: Broker) -> None:
    loop_over(watched, range(1, 7))
    (told,) = watched.entries("operator_stopped")
    assert (told["rule"], told["operator"], told["unit"], told["count"]) == ("sequence", "op1", kit.UNIT, 6)
    before = watched.contents(without=("entry", "entry_queue", "nonce"))
    assert watched.refused(kit.request(50)).code == "misuse.stopped"
    assert watched.contents(without=("entry", "entry_queue", "nonce")) == before
    colleague = {**kit.request(0)["operator"], "id": "op2"}
    watched.admit(51, operator=colleague)
    look_up(watched.parts, LICENCES)
    asked = {(one["operator"]) for one in watched.entries("asked")}
    assert asked == {"op2"}, "what the stopped operator had queued is not asked"
    assert {one["rule"] for one in watched.entries("stopped")} == {"misuse.stopped"}
    clear(watched.parts, told["flag"], "审计员", "系统联调，已核实")
    (released,) = watched.entries("operator_released")
    assert (released["flag"], released["by"]) == (told["flag"], "审计员")
    watched.admit(52)
    look(watched)
    assert len(watched.entries("operator_stopped")) == 1, "what was looked at is not raised again"
    watched.finish()


@ON_SQLITE
def test_what_came_after_the_clearing_is_raised_again(watched: Broker) -> None:
    loop_over(watched, range(1, 7))
    clear(watched.parts, watched.entries("operator_stopped")[0]["flag"], "审计员", "已核实")
    loop_over(watched, range(11, 17))
    assert len(watched.entries("operator_stopped")) == 2
    watched.finish()


@ON_SQLITE
def test_a_flag_is_raised_once_and_lets_the_operator_go_on(watched: Broker) -> None:
    watched.parts.misuse = MisuseRules({RuleName.SEQUENCE: Action.FLAG})
    loop_over(watched, range(1, 7))
    loop_over(watched, range(7, 9))
    (told,) = watched.entries("flagged")
    with watched.parts.store.read() as work:
        (flag,) = work.flags()
    assert (flag.id, flag.state, flag.action, flag.evidence.count) == (told["flag"], "open", Action.FLAG, 6)
    assert sorted(flag.evidence.verifications) == sorted(told["verifications"])
    clear(watched.parts, flag.id, "审计员", "已核实")
    assert watched.entries("flag_cleared")[0]["rule"] == "sequence"
    watched.finish()


@ON_SQLITE
def test_honest_cases_raise_nothing(watched: Broker) -> None:
    for number in range(20):
        watched.admit(number * 977)
    look(watched)
    assert watched.entries("flagged", "operator_stopped") == []
    watched.finish()


def test_an_unrelated_item_and_ever_more_parties_in_one_case_are_flagged(watched: Broker) -> None:
    case = {name: kit.request(1)[name] for name in ("case", "applicant")}
    watched.admit(1)
    watched.submit(kit.request(2) | case | {"item": KIOSK, "parties": []})
    for number in range(3, 7):
        watched.submit(about(number, kit.citizen(number * 977)) | case)
    look(watched)
    flagged = {one["rule"]: one for one in watched.entries("flagged")}
    assert flagged.keys() == {"added-parties", "unrelated-item"}
    assert flagged["unrelated-item"]["case"] == "case-1"
    assert flagged["added-parties"]["case"] == "case-1"
    watched.finish()


def test_lookups_whose_cases_never_come_to_an_outcome_are_flagged(watched: Broker) -> None:
    for number in range(10):
        watched.admit(number * 977)
    look(watched)
    month = 31 * 24 * 3600 * 1000
    watched.execute("UPDATE case_file SET opened_at = opened_at - :month", month=month)
    watched.execute("UPDATE conduct SET at = at - :month", month=month)
    watched.admit(99 * 977)
    look(watched)
    (told,) = watched.entries("flagged")
    assert (told["rule"], told["count"]) == ("no-decision", 10)
    watched.finish()


@ON_SQLITE
def test_a_case_whose_key_is_destroyed_is_passed_over(watched: Broker) -> None:
    for number in range(1, 7):
        watched.submit(about(number, neighbour(number)))
    watched.work_off()
    watched.execute("UPDATE case_file SET wrapped_key = :none", none=b"")
    look(watched)
    assert watched.entries("operator_stopped") == []


@ON_SQLITE
def test_a_flag_is_cleared_once_and_with_a_reason(watched: Broker) -> None:
    loop_over(watched, range(1, 7))
    number = watched.entries("operator_stopped")[0]["flag"]
    for code, flag, comment in (("misuse.unknown", "0" * 32, "已核实"), ("application.reason", number, " ")):
        before = watched.contents()
        with pytest.raises(Problem, match=code):
            clear(watched.parts, flag, "审计员", comment)
        assert watched.contents() == before
    clear(watched.parts, number, "审计员", "已核实")
    with pytest.raises(Problem, match=r"misuse\.cleared"):
        clear(watched.parts, number, "审计员", "已核实")
    watched.finish()


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_round_whose_answer_is_lost_flags_once(watched: Broker, fault: str) -> None:
    for number in range(1, 7):
        watched.submit(about(number, neighbour(number)))
    watched.sequence_all()
    watched.store.fault = fault
    with pytest.raises(kit.Crash):
        watch(watched.parts)
    look(watched)
    assert len(watched.entries("operator_stopped")) == 1
    watched.finish()


@ON_SQLITE
def test_without_its_entry_nobody_is_flagged(watched: Broker) -> None:
    for number in range(1, 7):
        watched.submit(about(number, neighbour(number)))
    watched.sequence_all()
    watched.store.refuse = lambda kind: kind == "operator_stopped"
    before = watched.contents()
    with pytest.raises(kit.Crash):
        watch(watched.parts)
    assert watched.contents() == before
    watched.store.refuse = lambda kind: False
    watched.finish()
