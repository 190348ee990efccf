"""Watching: what operators do is held against the rules, flagged, stopped, cleared – each once, with its entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from broker.core.errors import CallerProblem, Problem
from broker.core.grant_application import Actor
from broker.core.identifiers import citizen_check_digit
from broker.core.misuse import Action, Evidence, MisuseRules, RuleName, Thresholds
from broker.flow import register
from broker.flow.grants import Vouched, withdraw
from broker.flow.look_up import look_up
from broker.flow.parts import new_id
from broker.flow.watch import _raise, clear, watch
from broker.ports import Client, Policy
from broker.ports.grants import Flag
from tests.flow import kit
from tests.flow.catalogue import KIOSK, LICENCES
from tests.flow.kit import Broker

OPERATOR = f"{kit.CLIENT}/{kit.UNIT}/op1"
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
        watched.admit(number * 7 % 20 * 977)  # people come in no order
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
def test_who_asks_and_stays_away_is_flagged_by_time_alone(watched: Broker) -> None:
    """Nobody of them does anything any more: the rule must come due by itself, however the cases were closed."""
    for number in range(10):
        watched.admit(number * 977)
    look(watched)
    for number in range(10):
        register.close_case(watched.parts, kit.closing(f"case-{number * 977}", "terminated"), kit.as_client())
    look(watched)
    assert watched.entries("flagged") == []
    month = 31 * 24 * 3600 * 1000
    watched.execute("UPDATE case_file SET opened_at = opened_at - :month", month=month)
    watched.execute("UPDATE conduct SET at = at - :month", month=month)
    watched.execute("UPDATE misuse_cursor SET overdue_at = overdue_at - :month", month=month)
    look(watched)
    look(watched)
    (told,) = watched.entries("flagged")
    assert (told["rule"], told["count"], told["operator"]) == ("no-decision", 10, "op1")
    closed = watched.entries("closed")[0]
    assert (closed["operator"], closed["unit"], closed["key"]) == ("op1", kit.UNIT, f"key-of-{kit.CLIENT}")
    watched.finish()


@ON_SQLITE
def test_the_word_channel_frees_nobody(watched: Broker) -> None:
    watched.parts.misuse = MisuseRules(watched.parts.misuse.actions, Thresholds(holders_unattended=8))
    for number in range(9):
        watched.admit(number * 977, channel=("web", "automatic")[number % 2], parties=None)
    look(watched)
    assert {(one["rule"], one["operator"]) for one in watched.entries("flagged")} == {
        ("many-holders", "op1"), ("many-holders", "*"),
    }  # fmt: skip
    watched.finish()


@ON_SQLITE
def test_staff_numbers_that_are_counted_through_are_flagged_of_their_body(watched: Broker) -> None:
    watched.parts.misuse = MisuseRules(watched.parts.misuse.actions, Thresholds(new_operators=5))
    for number in range(5):
        watched.admit(number * 977, operator={**kit.request(0)["operator"], "id": f"OP-{number:04}"})
    look(watched)
    (told,) = watched.entries("flagged")
    assert (told["rule"], told["unit"], told["operator"], told["count"]) == ("new-operators", kit.UNIT, "*", 5)
    look(watched)
    watched.admit(6 * 977, operator={**kit.request(0)["operator"], "id": "op-0001"})
    look(watched)
    assert len(watched.entries("flagged")) == 1
    watched.finish()


def test_refused_requests_say_who_wanted_what_and_many_of_them_are_flagged(watched: Broker) -> None:
    watched.parts.misuse = MisuseRules(
        watched.parts.misuse.actions, Thresholds(refused_requests=4, refused_persons=4)
    )  # fmt: skip
    elsewhere = {**kit.request(0)["operator"], "unit": kit.DEPARTMENT}
    for number in range(4):
        assert watched.refused(kit.request(number * 977, operator=elsewhere)).code == "request.unit"
    told = watched.entries("refused")[1]
    vault = watched.parts.vault
    assert (told["operator"], told["unit"], told["case"]) == ("op1", kit.DEPARTMENT, "case-977")
    assert (told["item"], told["request_id"]) == (kit.request(0)["item"], "r977")
    assert told["subject"] == vault.pseudonym(f"001:{kit.company(977)}")
    assert told["related"] == [vault.pseudonym(f"111:{kit.citizen(977)}")]
    look(watched)
    flagged = watched.entries("flagged")
    assert {(one["rule"], one["operator"]) for one in flagged} == {("probing", "op1"), ("probing", "*")}
    assert sorted(flagged[0]["verifications"]) == ["r0", "r1954", "r2931", "r977"], "by these, each is explained"
    watched.finish()


@ON_SQLITE
def test_spelling_a_staff_number_otherwise_makes_nobody_else_of_it(watched: Broker) -> None:
    watched.parts.misuse = MisuseRules({RuleName.SEQUENCE: Action.STOP})
    for number, spelt in enumerate(("A001", "a001") * 3, 1):
        operator = {**kit.request(0)["operator"], "id": spelt}
        watched.submit(about(number, neighbour(number), operator=operator))
    look(watched)
    (told,) = watched.entries("operator_stopped")
    assert told["operator"] == "a001"
    for spelt in ("A001", "a001"):
        operator = {**kit.request(0)["operator"], "id": spelt}
        assert watched.refused(kit.request(50, operator=operator)).code == "misuse.stopped"


@ON_SQLITE
def test_a_system_asks_for_the_bodies_it_is_registered_for_and_no_other(watched: Broker) -> None:
    served = Client("served", "另一系统", kit.UNIT, None, "active", units=(kit.DEPARTMENT,))
    register.register_client(watched.parts, served)
    register.register_grant(watched.parts, kit.grant(LICENCES, id="g-served", client="served"))
    for unit, number in ((kit.UNIT, 1), (kit.DEPARTMENT, 2)):
        document = kit.request(number, operator={**kit.request(0)["operator"], "unit": unit})
        watched.submit(document, kit.as_client("served"))
    stranger = {**kit.request(0)["operator"], "unit": "11370400MB2840001R"}
    before = watched.contents(without=("entry", "entry_queue", "nonce"))
    for asker in ("served", kit.CLIENT):
        assert watched.refused(kit.request(3, operator=stranger), kit.as_client(asker)).code == "request.unit"
    assert watched.contents(without=("entry", "entry_queue", "nonce")) == before
    assert watched.entries("client_registered")[-1]["units"] == [kit.DEPARTMENT]


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


@pytest.mark.parametrize("rule", sorted(RuleName))
@ON_SQLITE
def test_each_rule_suspends_where_it_is_configured_to(watched: Broker, rule: RuleName) -> None:
    """The grants used at once, with what is queued; the flag explains itself; only a person's reason restores them."""
    watched.parts.misuse = MisuseRules({rule: Action.SUSPEND})
    number = watched.admit(1)
    with watched.parts.store.write() as work:
        now = work.pulse().now
        evidence = Evidence(3, (number,), "case-1")
        _raise(
            watched.parts, work, Flag(new_id(now), rule, kit.CLIENT, OPERATOR, Action.SUSPEND, "open", now, evidence)
        )
        work.commit()
    (told,) = watched.entries("operator_stopped")
    suspended = watched.entries("grant_suspended")
    assert {one["grant"] for one in suspended} >= {f"g-{LICENCES}"}
    assert {(one["flag"], one["rule"], bool(one["comment"])) for one in suspended} == {(told["flag"], rule.value, True)}
    look_up(watched.parts, LICENCES)
    assert (watched.entries("asked"), bool(watched.entries("stopped"))) == ([], True)
    colleague = {**kit.request(0)["operator"], "id": "op2"}
    clear(watched.parts, told["flag"], "审计员", "已核实")
    again = watched.refused(kit.request(2, operator=colleague))  # the flag's clearing is not the grant's restoration
    assert (again.code, watched.entries("asked")) == ("grant.suspended", [])
    watched.finish()


@ON_SQLITE
def test_a_loop_suspends_the_grants_it_used_and_nobody_restores_them_without_a_reason(watched: Broker) -> None:
    watched.parts.misuse = MisuseRules({RuleName.SEQUENCE: Action.SUSPEND})
    loop_over(watched, range(1, 7))
    with watched.parts.store.read() as work:
        (flag,) = work.flags()
        grants = parts_policy(watched).grants
    assert flag.evidence.grants
    assert {grants[one].state for one in flag.evidence.grants} == {"suspended"}
    grant = flag.evidence.grants[0]
    with pytest.raises(CallerProblem, match=r"application\.reason"):
        register.set_grant_state(watched.parts, grant, "in_force")
    withdraw(
        watched.parts,
        grant,
        "in_force",
        "已与窗口核实，系批量补录",
        Actor("王某", kit.UNIT),
        vouched=Vouched(centre=True),
    )
    assert parts_policy(watched).grants[grant].state == "in_force"
    assert watched.entries("grant_in_force")[0]["comment"] == "已与窗口核实，系批量补录"
    watched.finish()


def parts_policy(broker: Broker) -> Policy:
    """The policy as it is now."""
    with broker.parts.store.read() as work:
        return broker.parts.policy(work, work.pulse())
