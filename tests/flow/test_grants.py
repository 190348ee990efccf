"""How a grant comes about and ends: applied for, decided by another department, renewed, suspended, revoked."""

from __future__ import annotations

import copy
import functools
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.authorise import IN_FORCE, REVOKED, SUSPENDED, Grant
from broker.core.case import Basis
from broker.core.catalog import Form
from broker.core.day import day_of
from broker.core.errors import Problem
from broker.core.grant_application import (
    LONGEST_DAYS,
    Actor,
    Application,
    ApplicationState,
    Scope,
    Terms,
    Trim,
    due_on,
    needs_reminder,
    scope_from,
    scope_values,
    trimmed,
)
from broker.core.identifiers import credit_check_digit
from broker.core.problems import PROBLEMS
from broker.core.roles import Role
from broker.core.working_days import Calendar
from broker.flow import grants as steps
from broker.flow import register
from broker.flow.publish import publish
from broker.ports import Client
from tests.flow import catalogue, kit
from tests.flow.catalogue import POPULATION
from tests.flow.kit import Broker

IDENTITY = "identity@legal_representative"
ON_SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # where the database makes no difference
OWNER, OTHER = (first17 + credit_check_digit(first17) for first17 in ("11370400MB0000001", "11370400MB0000002"))
APPLICANT, DECIDER = Actor("李某", kit.UNIT), Actor("王某", OWNER)
NOW = datetime.now(UTC).replace(microsecond=0)
SCOPE = Scope(
    scenes=(), items=(catalogue.SHOP, catalogue.KITCHEN), forms=(Form.VERIFY,), fields=("match",),
    bases=(Basis.STATUTORY_DUTY,), legal_reference="法", purpose="核验法定代表人身份", daily_calls=100,
    valid_from=NOW - timedelta(hours=1), valid_to=NOW + timedelta(days=365),
)  # fmt: skip
WISH = steps.Wish(kit.CLIENT, POPULATION, SCOPE)
YES, NO = steps.Verdict(approve=True, reason="符合职责"), steps.Verdict(approve=False, reason="非履职所需")


@pytest.fixture
def owned(broker: Broker) -> Broker:
    """The list says who answers for the population register, and the generous grant for it is gone."""
    document = copy.deepcopy(catalogue.document())
    document["sources"][POPULATION] |= {"unit": OWNER, "sharing": "conditional"}
    publish(broker.parts, document, None, "editor")
    register.set_grant_state(broker.parts, f"g-{POPULATION}", REVOKED)
    register.register_client(broker.parts, Client("police", "公安", OWNER, None, "active", (Role.SOURCE,)))
    register.register_client(broker.parts, Client("others", "其他", OTHER, None, "active", (Role.SOURCE,)))
    register.register_client(broker.parts, Client("centre", "中心", OTHER, "https://c", "active", (Role.CENTRE,)))
    return broker


def code_of(act: Callable[[], object]) -> str:
    """The code an act is refused with."""
    with pytest.raises(Problem) as caught:
        act()
    assert caught.value.code in PROBLEMS
    return caught.value.code


def unchanged(broker: Broker, act: Callable[[], object]) -> str:
    """The code of a refusal that leaves everything as it was."""
    before = broker.contents()
    code = code_of(act)
    assert broker.contents() == before
    return code


def stored(broker: Broker, number: str) -> Application:
    """An application as it stands."""
    with broker.parts.store.read() as work:
        return next(one for one in work.applications() if one.id == number)


def test_what_another_department_approves_is_in_force_at_once(owned: Broker) -> None:
    assert owned.refused(kit.request(1, materials=[IDENTITY])).code == "grant.revoked"
    made = steps.apply(owned.parts, WISH, APPLICANT, kit.as_client())
    assert (made.state, made.owner) == (ApplicationState.APPLIED, OWNER)
    assert stored(owned, made.id) == made
    assert owned.refused(kit.request(2, materials=[IDENTITY])).code == "grant.revoked"
    decided = steps.decide(owned.parts, made.id, YES, DECIDER, kit.as_client("police"))
    assert decided.state is ApplicationState.APPROVED
    assert stored(owned, made.id) == decided
    number = owned.admit(3, materials=[IDENTITY])
    owned.finish()
    assert owned.decisions(number)[IDENTITY] == ("exempt", "held.valid")
    assert owned.entries("asked")[-1]["grant"] == made.id
    applied, approved = owned.entries("applied", "application_approved")
    assert (applied["by"], applied["unit"], applied["fields"]) == ("李某", kit.UNIT, ["match"])
    assert (approved["by"], approved["unit"], approved["signer"]) == ("王某", OWNER, "police")
    assert owned.entries("grant_registered")[-1]["grant"] == made.id


@ON_SQLITE
def test_a_trimmed_application_gives_less_and_the_log_says_what_is_missing(owned: Broker) -> None:
    made = steps.apply(owned.parts, WISH, APPLICANT)
    trim = Trim(items=(catalogue.SHOP,), daily_calls=1)
    decided = steps.decide(owned.parts, made.id, replace(YES, trim=trim), DECIDER)
    assert decided.state is ApplicationState.TRIMMED
    (told,) = owned.entries("application_trimmed")
    assert told["less"] == {"items": [catalogue.KITCHEN], "daily_calls": "100 > 1"}
    owned.admit(1, materials=[IDENTITY])
    owned.finish()
    assert owned.refused(kit.request(2, materials=[IDENTITY])).code == "grant.exhausted"
    owned.admit(3, item=catalogue.KITCHEN)
    owned.finish()
    permits = json.loads(owned.rows("SELECT permits FROM verification ORDER BY id DESC")[0].permits)
    assert {one["rule"] for one in permits.values() if "rule" in one} == {"grant.revoked"}, "the kitchen is not in it"


def test_a_refusal_gives_nothing_and_its_reason_is_kept(owned: Broker) -> None:
    made = steps.apply(owned.parts, WISH, APPLICANT)
    version = owned.rows("SELECT version FROM policy")
    decided = steps.decide(owned.parts, made.id, NO, DECIDER)
    assert (decided.state, decided.reason) == (ApplicationState.REFUSED, "非履职所需")
    assert owned.rows("SELECT version FROM policy") == version
    assert owned.entries("application_refused")[0]["comment"] == "非履职所需"
    assert unchanged(owned, lambda: steps.decide(owned.parts, made.id, YES, DECIDER)) == "application.state"


REFUSED_DECISIONS = [
    ("application.self-approval", Actor("李 某", OWNER), None, YES),  # the same person, spelt otherwise
    ("application.self-approval", Actor("王某", kit.UNIT), None, YES),  # the same department
    ("application.owner", Actor("王某", OTHER), None, YES),
    ("application.owner", Actor("王某", OTHER), "others", YES),
    ("application.owner", DECIDER, "others", YES),  # another department's system vouches for the owner's people
    ("application.reason", DECIDER, "police", replace(YES, reason=" ")),
    ("application.reason", DECIDER, "police", replace(NO, reason="")),
    ("application.widened", DECIDER, "police", replace(YES, trim=Trim(fields=("match", "name")))),
    ("application.widened", DECIDER, "police", replace(YES, trim=Trim(daily_calls=101))),
    ("application.widened", DECIDER, "police", replace(YES, trim=Trim(valid_to=SCOPE.valid_to + timedelta(1)))),
    ("application.scope", DECIDER, "police", replace(YES, trim=Trim(valid_to=NOW - timedelta(minutes=1)))),
    ("application.scope", DECIDER, "police", replace(YES, trim=Trim(items=()))),
    ("request.identifier", Actor("王某", OWNER[:-1] + "0"), "police", YES),
]


@pytest.mark.parametrize(("code", "decider", "system", "verdict"), REFUSED_DECISIONS)
@ON_SQLITE
def test_who_may_not_decide_so_changes_nothing(
    owned: Broker, code: str, decider: Actor, system: str | None, verdict: steps.Verdict
) -> None:
    made = steps.apply(owned.parts, WISH, APPLICANT)
    identify = kit.as_client(system) if system else None
    assert unchanged(owned, lambda: steps.decide(owned.parts, made.id, verdict, decider, identify)) == code


@ON_SQLITE
def test_a_system_applies_for_its_own_bodies_only_and_two_systems_of_one_body_are_one_department(owned: Broker) -> None:
    """Else a department's second system could apply as anybody, and its first approve."""
    register.register_client(owned.parts, Client("police-desk", "公安窗口", OWNER, None, "active"))

    def apply(actor: Actor) -> Application:
        return steps.apply(owned.parts, WISH, actor, kit.as_client("police-desk"))

    assert unchanged(owned, lambda: apply(APPLICANT)) == "request.unit"
    assert unchanged(owned, lambda: apply(Actor("赵某", OTHER))) == "request.unit"
    made = apply(Actor("李某", OWNER))
    refused = unchanged(owned, lambda: steps.decide(owned.parts, made.id, YES, DECIDER, kit.as_client("police")))
    assert refused == "application.self-approval"


@ON_SQLITE
def test_the_centre_restores_what_it_suspended_and_not_what_the_department_did(owned: Broker) -> None:
    made = steps.apply(owned.parts, WISH, APPLICANT)
    steps.decide(owned.parts, made.id, YES, DECIDER)
    centre = Actor("钱某", OTHER)

    def change(state: str, actor: Actor, system: str) -> None:
        steps.withdraw(owned.parts, made.id, state, "核查", actor, kit.as_client(system))

    change("suspended", DECIDER, "police")
    assert unchanged(owned, lambda: change("in_force", centre, "centre")) == "application.owner"
    change("in_force", DECIDER, "police")
    change("suspended", centre, "centre")
    change("in_force", centre, "centre")
    assert [one["by"] for one in owned.entries("grant_suspended", "grant_in_force")] == ["王某", "王某", "钱某", "钱某"]


@ON_SQLITE
def test_what_an_administrator_does_names_them_and_their_reason(owned: Broker) -> None:
    register.register_grant(owned.parts, kit.grant(POPULATION, id="g-by-hand"), "root", "纸质批复")
    register.set_grant_state(owned.parts, "g-by-hand", "suspended", "root", "演练")
    told = [owned.entries(kind)[-1] for kind in ("grant_registered", "grant_suspended")]
    assert [(one["by"], one["comment"]) for one in told] == [("root", "纸质批复"), ("root", "演练")]


@ON_SQLITE
def test_the_centres_platform_vouches_for_the_departments_people(owned: Broker) -> None:
    made = steps.apply(owned.parts, WISH, APPLICANT)
    decided = steps.decide(owned.parts, made.id, YES, DECIDER, kit.as_client("centre"))
    assert decided.state is ApplicationState.APPROVED


@ON_SQLITE
def test_where_the_list_names_no_department_the_centre_decides_and_no_department(broker: Broker) -> None:
    register.register_client(broker.parts, Client("police", "公安", OWNER, None, "active", (Role.SOURCE,)))
    register.register_client(broker.parts, Client("centre", "中心", OTHER, None, "active", (Role.CENTRE,)))
    made = steps.apply(broker.parts, WISH, APPLICANT)
    assert made.owner == ""
    refused = lambda: steps.decide(broker.parts, made.id, YES, DECIDER, kit.as_client("police"))  # noqa: E731
    assert unchanged(broker, refused) == "application.owner"
    decided = steps.decide(broker.parts, made.id, YES, Actor("赵某", OTHER), kit.as_client("centre"))
    assert decided.state is ApplicationState.APPROVED


REFUSED_WISHES = [
    ("application.scope", replace(WISH, source="nowhere")),
    ("application.scope", replace(WISH, client="nobody")),
    ("application.scope", replace(WISH, scope=replace(SCOPE, fields=("colour",)))),
    ("application.scope", replace(WISH, scope=replace(SCOPE, forms=(Form.FILE,)))),
    ("application.scope", replace(WISH, scope=replace(SCOPE, items=("nothing",)))),
    ("application.scope", replace(WISH, scope=replace(SCOPE, items=()))),
    ("application.scope", replace(WISH, scope=replace(SCOPE, bases=()))),
    ("application.scope", replace(WISH, scope=replace(SCOPE, daily_calls=0))),
    ("application.scope", replace(WISH, scope=replace(SCOPE, valid_to=SCOPE.valid_from))),
    ("application.scope", replace(WISH, scope=replace(SCOPE, valid_to=NOW + timedelta(days=LONGEST_DAYS + 1)))),
    ("application.renewal", replace(WISH, renews="nothing")),
    ("application.renewal", replace(WISH, renews=f"g-{catalogue.LICENCES}")),  # another source's
    ("application.renewal", replace(WISH, renews=f"g-{POPULATION}")),  # revoked
]


@pytest.mark.parametrize(("code", "wish"), REFUSED_WISHES)
@ON_SQLITE
def test_what_cannot_be_granted_cannot_be_applied_for(owned: Broker, code: str, wish: steps.Wish) -> None:
    assert unchanged(owned, lambda: steps.apply(owned.parts, wish, APPLICANT)) == code


WITHHELD = [
    ({"sharing": "none"}, SCOPE),
    ({"withheld": {"fields": ["match"], "basis": "法"}}, SCOPE),
    ({"withheld": {"items": [catalogue.SHOP], "basis": "法"}}, SCOPE),
    ({"withheld": {"items": [catalogue.SHOP], "basis": "法"}}, replace(SCOPE, items=(), scenes=(catalogue.SCENE,))),
]


@pytest.mark.parametrize(("entry", "scope"), WITHHELD)
@ON_SQLITE
def test_what_the_negative_list_keeps_back_no_grant_carries(
    owned: Broker, entry: dict[str, object], scope: Scope
) -> None:
    made = steps.apply(owned.parts, replace(WISH, scope=scope), APPLICANT)
    given = kit.grant(POPULATION, id="before", fields=("match",), scenes=(catalogue.SCENE,))
    register.register_grant(owned.parts, given)
    document = copy.deepcopy(catalogue.document())
    document["sources"][POPULATION] |= {"unit": OWNER, **entry}
    publish(owned.parts, document, None, "editor")
    wish = replace(WISH, scope=scope)
    assert unchanged(owned, lambda: steps.apply(owned.parts, wish, APPLICANT)) == "application.withheld"
    assert unchanged(owned, lambda: steps.decide(owned.parts, made.id, YES, DECIDER)) == "application.withheld"
    again = replace(given, id="again")
    assert unchanged(owned, lambda: register.register_grant(owned.parts, again)) == "application.withheld"
    assert owned.refused(kit.request(1, materials=[IDENTITY])).code == "grant.withheld", "not under an old grant either"


def test_what_is_revoked_the_operator_cannot_restore_either(owned: Broker) -> None:
    """Neither a grant a department gave nor one that was written directly; a suspended one can be restored."""
    made = steps.apply(owned.parts, WISH, APPLICANT)
    steps.decide(owned.parts, made.id, YES, DECIDER)
    for state in (SUSPENDED, IN_FORCE):
        register.set_grant_state(owned.parts, made.id, state)
    assert owned.admit(1, materials=[IDENTITY])
    steps.withdraw(owned.parts, made.id, REVOKED, "职责调整", DECIDER, kit.as_client("police"))
    for grant in (made.id, f"g-{POPULATION}"):
        for state in (IN_FORCE, SUSPENDED, REVOKED):
            act = functools.partial(register.set_grant_state, owned.parts, grant, state)
            assert unchanged(owned, act) == "application.grant-state"
    assert owned.refused(kit.request(2, materials=[IDENTITY])).code == "grant.revoked"


@ON_SQLITE
def test_the_log_tells_what_was_written_directly_from_what_a_department_decided(owned: Broker) -> None:
    made = steps.apply(owned.parts, WISH, APPLICANT)
    steps.decide(owned.parts, made.id, YES, DECIDER)
    approved = owned.entries("grant_registered")[-1]
    assert (approved["application"], "directly" in approved) == (made.id, False)
    register.register_grant(owned.parts, kit.grant(POPULATION, id="by-hand"))
    written = owned.entries("grant_registered")[-1]
    assert (written["grant"], written["directly"], "application" in written) == ("by-hand", True, False)
    register.set_grant_state(owned.parts, made.id, SUSPENDED)
    steps.withdraw(owned.parts, "by-hand", SUSPENDED, "核查中", DECIDER, kit.as_client("police"))
    direct, decided = owned.entries("grant_suspended")
    assert (direct["directly"], "by" in direct) == (True, False)
    assert ("directly" in decided, decided["by"]) == (False, DECIDER.by)


def test_a_revocation_stops_what_is_queued_and_cannot_be_taken_back(owned: Broker) -> None:
    made = steps.apply(owned.parts, WISH, APPLICANT)
    steps.decide(owned.parts, made.id, YES, DECIDER)
    number = owned.admit(1, materials=[IDENTITY])
    steps.withdraw(owned.parts, made.id, REVOKED, "职责调整", DECIDER, kit.as_client("police"))
    owned.finish()
    assert owned.sources.of(POPULATION) == []
    assert owned.decisions(number)[IDENTITY][0] == "submit"
    assert [one["rule"] for one in owned.entries("stopped")] == ["grant.revoked"]
    assert owned.entries("grant_revoked")[-1]["comment"] == "职责调整"

    def restore() -> None:
        steps.withdraw(owned.parts, made.id, IN_FORCE, "误操作", DECIDER)

    assert unchanged(owned, restore) == "application.grant-state"
    wish = replace(WISH, renews=made.id)
    assert unchanged(owned, lambda: steps.apply(owned.parts, wish, APPLICANT)) == "application.renewal"


@ON_SQLITE
def test_a_suspended_grant_is_restored_by_its_department(owned: Broker) -> None:
    made = steps.apply(owned.parts, WISH, APPLICANT)
    steps.decide(owned.parts, made.id, YES, DECIDER)
    centre = Actor("赵某", OTHER)
    steps.withdraw(owned.parts, made.id, SUSPENDED, "核查中", centre, kit.as_client("centre"))
    assert owned.refused(kit.request(1, materials=[IDENTITY])).code == "grant.suspended"

    def restore(actor: Actor, system: str, reason: str = "核查完毕") -> None:
        steps.withdraw(owned.parts, made.id, IN_FORCE, reason, actor, kit.as_client(system))

    assert unchanged(owned, lambda: restore(Actor("王某", OTHER), "others")) == "application.owner"
    assert unchanged(owned, lambda: restore(DECIDER, "others")) == "application.owner"
    assert unchanged(owned, lambda: restore(DECIDER, "police", "")) == "application.reason"
    restore(DECIDER, "police")
    owned.admit(2, materials=[IDENTITY])
    owned.finish()


def renewed(owned: Broker) -> tuple[str, str]:
    """A grant and its renewal, by their ids."""
    first = steps.apply(owned.parts, WISH, APPLICANT)
    steps.decide(owned.parts, first.id, YES, DECIDER)
    later = replace(SCOPE, valid_to=SCOPE.valid_to + timedelta(days=300))
    second = steps.apply(owned.parts, replace(WISH, renews=first.id, scope=later), APPLICANT)
    steps.decide(owned.parts, second.id, YES, DECIDER)
    return first.id, second.id


def grants(owned: Broker) -> dict[str, Grant]:
    with owned.parts.store.read() as work:
        return dict(owned.parts.policy(work, work.pulse()).grants)


@ON_SQLITE
def test_a_renewal_is_an_application_of_its_own(owned: Broker) -> None:
    first, second = renewed(owned)
    assert owned.entries("grant_registered")[-1]["renews"] == first
    later = replace(SCOPE, valid_to=SCOPE.valid_to + timedelta(days=600))
    third = steps.apply(owned.parts, replace(WISH, renews=second, scope=later), APPLICANT)
    steps.withdraw(owned.parts, second, REVOKED, "职责调整", DECIDER)
    assert unchanged(owned, lambda: steps.decide(owned.parts, third.id, YES, DECIDER)) == "application.renewal"


@ON_SQLITE
def test_a_renewal_begins_when_the_old_ends_so_that_no_cap_is_doubled(owned: Broker) -> None:
    first, second = renewed(owned)
    known = grants(owned)
    assert known[second].valid_from == known[first].valid_to == SCOPE.valid_to
    short = steps.apply(owned.parts, replace(WISH, renews=first), APPLICANT)
    assert unchanged(owned, lambda: steps.decide(owned.parts, short.id, YES, DECIDER)) == "application.renewal"
    owned.admit(1, materials=[IDENTITY])
    owned.finish()
    assert owned.entries("asked")[-1]["grant"] == first


@ON_SQLITE
@pytest.mark.parametrize("directly", [False, True])
def test_a_renewal_shares_the_fate_of_what_it_renews(owned: Broker, directly: bool) -> None:
    first, second = renewed(owned)

    def become(state: str) -> list[str]:
        if directly:
            register.set_grant_state(owned.parts, first, state, "操作员", "核查")
        else:
            steps.withdraw(owned.parts, first, state, "核查", DECIDER)
        assert (owned.entries(f"grant_{state}")[-1]["grant"], owned.entries(f"grant_{state}")[-1]["renews"]) == (
            second, first,
        )  # fmt: skip
        return [grants(owned)[one].state for one in (first, second)]

    for state in (SUSPENDED, IN_FORCE, REVOKED):
        assert become(state) == [state, state]
    later = replace(SCOPE, valid_to=SCOPE.valid_to + timedelta(days=600))
    wish = replace(WISH, renews=second, scope=later)
    assert unchanged(owned, lambda: steps.apply(owned.parts, wish, APPLICANT)) == "application.renewal"


@ON_SQLITE
def test_what_was_taken_from_the_renewal_itself_does_not_come_back_with_the_old(owned: Broker) -> None:
    first, second = renewed(owned)
    steps.withdraw(owned.parts, second, REVOKED, "不再需要", DECIDER)
    steps.withdraw(owned.parts, first, SUSPENDED, "核查", DECIDER)
    steps.withdraw(owned.parts, first, IN_FORCE, "完毕", DECIDER)
    assert [grants(owned)[one].state for one in (first, second)] == [IN_FORCE, REVOKED]


@ON_SQLITE
def test_without_its_entry_no_decision_happens(owned: Broker) -> None:
    made = steps.apply(owned.parts, WISH, APPLICANT)
    owned.store.refuse = lambda kind: kind == "application_approved"
    before = owned.contents()
    with pytest.raises(kit.Crash):
        steps.decide(owned.parts, made.id, YES, DECIDER)
    owned.store.refuse = lambda kind: False
    assert owned.contents() == before


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_decision_whose_answer_is_lost_is_made_once(owned: Broker, fault: str) -> None:
    made = steps.apply(owned.parts, WISH, APPLICANT)
    owned.store.fault = fault
    with pytest.raises(kit.Crash):
        steps.decide(owned.parts, made.id, YES, DECIDER)
    if fault == "before":
        steps.decide(owned.parts, made.id, YES, DECIDER)
    assert code_of(lambda: steps.decide(owned.parts, made.id, YES, DECIDER)) == "application.state"
    assert len(owned.entries("application_approved")) == 1


# --- deadlines --------------------------------------------------------------------------------------------------------


def test_the_department_and_the_centre_are_reminded_once_a_day_of_what_is_due(owned: Broker) -> None:
    posted: list[tuple[str, dict[str, object]]] = []

    def post(url: str, body: bytes) -> int:
        posted.append((url, json.loads(body)))
        return 200

    owned.parts.post = post
    owned.execute("UPDATE client SET callback_url = 'https://p' WHERE id = 'police'")
    owned.execute("UPDATE policy SET version = version + 1")
    owned.parts.calendar = Calendar(workdays=frozenset({day_of(datetime.now(UTC))}))
    fresh = steps.apply(owned.parts, WISH, APPLICANT)
    late = steps.apply(owned.parts, WISH, APPLICANT)
    owned.execute("UPDATE grant_application SET due_on = '2026-01-05' WHERE id = :id", id=late.id)
    assert steps.remind(owned.parts) == [late.id]
    assert steps.remind(owned.parts) == []
    (told,) = owned.entries("application_reminded")
    assert (told["application"], told["overdue"], told["owner"]) == (late.id, True, OWNER)
    ((url, body),) = posted
    assert url == "https://p"
    assert body["applications"] == [{"id": late.id, "source": POPULATION, "due_on": "2026-01-05", "overdue": True}]
    assert not stored(owned, fresh.id).overdue(day_of(datetime.now(UTC)))
    owned.execute("UPDATE policy SET version = version - 1")


def test_deadlines_depend_on_how_the_source_is_shared() -> None:
    friday = datetime(2026, 11, 27, 3, tzinfo=UTC)
    assert due_on(Calendar(), friday, "unconditional", Terms()) == (date(2026, 11, 30), False)
    assert due_on(Calendar(), friday, "conditional", Terms()) == (date(2026, 12, 11), False)
    holidays = Calendar(frozenset({date(2026, 11, 30)}))
    assert due_on(holidays, friday, "unconditional", Terms(2)) == (date(2026, 12, 2), True)


@pytest.mark.parametrize(
    ("today", "reminded", "needed"),
    [
        (date(2026, 12, 9), None, False),
        (date(2026, 12, 10), None, True),  # one working day before
        (date(2026, 12, 11), date(2026, 12, 10), True),
        (date(2026, 12, 11), date(2026, 12, 11), False),
        (date(2026, 12, 12), None, False),  # a Saturday
        (date(2026, 12, 14), date(2026, 12, 11), True),  # overdue
    ],
)
def test_reminders_begin_one_working_day_before_the_deadline(today: date, reminded: date | None, needed: bool) -> None:
    made = Application("1", ApplicationState.APPLIED, "c", "s", SCOPE, APPLICANT, NOW, OWNER, date(2026, 12, 11),
                       due_certain=True, reminded_on=reminded)  # fmt: skip
    assert needs_reminder(made, Calendar(), today) == needed
    assert not needs_reminder(replace(made, state=ApplicationState.REFUSED), Calendar(), today)


def test_each_system_sees_the_applications_that_concern_it() -> None:
    def made(number: str, client: str, owner: str) -> Application:
        return Application(number, ApplicationState.APPLIED, client, "s", SCOPE, APPLICANT, NOW, owner,
                           date(2026, 12, 11), due_certain=True)  # fmt: skip

    found = [made("1", "a", OWNER), made("2", "b", OTHER), made("3", "b", "")]

    def seen(name: str, unit: str, *roles: Role) -> list[str]:
        return [one.id for one in steps.visible(Client(name, "", unit, None, "active", roles), found)]

    assert seen("a", OWNER, Role.APPROVAL) == ["1"]
    assert seen("c", OTHER, Role.SOURCE) == ["2"]
    assert seen("b", OWNER, Role.SOURCE, Role.APPROVAL) == ["1", "2", "3"]
    assert seen("c", OTHER, Role.CENTRE) == seen("c", OTHER, Role.AUDITOR) == ["1", "2", "3"]


parts_of = st.sets(st.sampled_from([catalogue.SHOP, catalogue.KITCHEN, catalogue.KIOSK]), min_size=1).map(tuple)


@given(parts_of, st.none() | parts_of, st.integers(1, 200), st.none() | st.integers(1, 200))
def test_whatever_is_given_was_asked_for(
    items: tuple[str, ...], chosen: tuple[str, ...] | None, calls: int, fewer: int | None
) -> None:
    asked = replace(SCOPE, items=items, daily_calls=calls)
    less = (chosen is None or set(chosen) <= set(items)) and (fewer is None or fewer <= calls)
    trim = Trim(items=chosen, daily_calls=fewer)
    if not less:
        assert code_of(lambda: trimmed(asked, trim)) == "application.widened"
        return
    given = trimmed(asked, trim)
    assert set(given.items) == set(items if chosen is None else chosen)
    assert given.daily_calls == (calls if fewer is None else fewer)
    assert scope_from(json.loads(json.dumps(scope_values(given)))) == given


ON_POSTGRESQL = pytest.mark.parametrize("store", ["postgresql"], indirect=True)  # where transactions run side by side


@ON_POSTGRESQL
def test_a_renewal_given_just_while_the_grant_is_revoked_is_revoked_with_it(owned: Broker) -> None:
    """Whichever comes first, nothing is in force that renews a revoked grant."""
    first = steps.apply(owned.parts, WISH, APPLICANT).id
    steps.decide(owned.parts, first, YES, DECIDER)
    later = replace(SCOPE, valid_to=SCOPE.valid_to + timedelta(days=300))
    second = steps.apply(owned.parts, replace(WISH, renews=first, scope=later), APPLICANT).id
    other = owned.another()
    revoking = threading.Thread(target=steps.withdraw, args=(other.parts, first, REVOKED, "滥用", DECIDER))

    owned.store.meanwhile("grant_registered", revoking)
    steps.decide(owned.parts, second, YES, DECIDER)
    revoking.join()
    assert {grants(owned)[one].state for one in (first, second)} == {REVOKED}
    assert [one["grant"] for one in owned.entries("grant_revoked")][-2:] == [first, second]


@ON_POSTGRESQL
def test_a_reminder_at_the_moment_of_the_decision_does_not_take_it_back(owned: Broker) -> None:
    number = steps.apply(owned.parts, WISH, APPLICANT).id
    owned.execute("UPDATE grant_application SET due_on = '2026-01-01'")
    other = owned.another()
    other.parts.calendar = Calendar(frozenset(), frozenset(day_of(datetime.now(UTC)) + timedelta(n) for n in range(3)))
    reminding = threading.Thread(target=steps.remind, args=(other.parts,))

    owned.store.meanwhile("application_approved", reminding)
    steps.decide(owned.parts, number, YES, DECIDER)
    reminding.join()
    assert [row.state for row in owned.rows("SELECT state FROM grant_application")] == ["approved"]
    assert owned.entries("application_reminded") == []


@ON_SQLITE
def test_what_a_transaction_decided_that_never_was_is_not_remembered(owned: Broker) -> None:
    """Else the next version, another process's, would be taken for the one that was lost."""
    with owned.parts.store.write() as work:
        work.change_grant_state(f"g-{catalogue.LICENCES}", IN_FORCE, SUSPENDED, "")
        work.move_policy()
        seen = owned.parts.policy(work, work.pulse())
        assert seen.grants[f"g-{catalogue.LICENCES}"].state == SUSPENDED  # and is lost with this transaction
    register.set_grant_state(owned.another().parts, f"g-{catalogue.REGISTER}", REVOKED)
    known = grants(owned)
    assert known[f"g-{catalogue.LICENCES}"].state == IN_FORCE
    assert known[f"g-{catalogue.REGISTER}"].state == REVOKED
