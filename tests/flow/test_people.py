"""People, sessions and jobs over both databases: what the console's own tests see on SQLite holds on PostgreSQL too."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest

from broker.core.errors import Problem
from broker.core.people import FREE_FAILURES, ConsoleRole, assignment_from
from broker.core.provided import group_rules_from
from broker.flow import log_check, people, preview, provided
from broker.flow import publish as steps
from broker.ports.console import Identity
from tests.flow import catalogue, kit

LOGIN = "wang"


def opened(broker: kit.Broker, *roles: str) -> str:
    """The secret of somebody who has come all the way in."""
    first = people.add_person(broker.parts, LOGIN, "王某", "某局", [*map(assignment_from, roles)], "operator")
    begun = people.sign_in(broker.parts, LOGIN, first, "a")
    mid = people.choose_password(broker.parts, begun.secret, "four plain words")
    totp = pyotp.TOTP(people.enrolment(broker.parts, mid.secret)[0])
    return people.confirm(broker.parts, mid.secret, totp.at(int(time.time()) - people.STEP_SECONDS)).secret


def test_somebody_comes_in_and_is_known_with_their_roles(broker: kit.Broker) -> None:
    secret = opened(broker, "list-editor:stage=开办", "reader")
    visit = people.visit(broker.parts, secret)
    assert visit is not None
    assert visit[1].roles == {ConsoleRole.LIST_EDITOR, ConsoleRole.READER}
    assert people.visit(broker.parts, "another secret") is None
    people.assign(broker.parts, LOGIN, [], "operator")
    changed = people.visit(broker.parts, secret)
    assert changed is not None
    assert not changed[1].roles, "from the very next page on"
    broker.check()


def test_a_code_counts_for_its_own_step_alone_where_no_neighbour_is_allowed(broker: kit.Broker) -> None:
    first = people.add_person(broker.parts, LOGIN, "王某", "某局", [], "operator")
    begun = people.sign_in(broker.parts, LOGIN, first, "a")
    mid = people.choose_password(broker.parts, begun.secret, "four plain words")
    totp = pyotp.TOTP(people.enrolment(broker.parts, mid.secret)[0])
    broker.parts.limits = replace(broker.parts.limits, totp_neighbours=0)
    past = totp.at(int(time.time()) - people.STEP_SECONDS)
    with pytest.raises(Problem, match=r"access\.refused"):
        people.confirm(broker.parts, mid.secret, past)
    broker.parts.limits = replace(broker.parts.limits, totp_neighbours=1)
    with pytest.raises(Problem, match=r"access\.refused"):
        people.confirm(broker.parts, mid.secret, totp.at(int(time.time()) - 3 * people.STEP_SECONDS))
    broker.check()


def test_a_login_is_taken_once_and_the_refusal_leaves_nothing(broker: kit.Broker) -> None:
    opened(broker)
    before = broker.contents(without=("session", "attempt"))
    with pytest.raises(Problem, match="register.exists"):
        people.add_person(broker.parts, LOGIN, "另一人", "某局", [], "operator")
    assert broker.contents(without=("session", "attempt")) == before


def test_failures_at_the_same_time_are_all_counted(broker: kit.Broker) -> None:
    opened(broker)
    told: list[str] = []

    def fail() -> None:
        try:
            people.sign_in(broker.parts, LOGIN, "wrong", "a")
        except Problem as problem:
            told.append(problem.code)

    threads = [threading.Thread(target=fail) for _ in range(FREE_FAILURES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == ["access.refused"] * FREE_FAILURES
    assert broker.rows("SELECT failures FROM sign_in_origin")[0].failures == FREE_FAILURES


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_lost_commit_leaves_a_draft_whole_and_the_editor_informed(broker: kit.Broker, fault: str) -> None:
    made = steps.draft(broker.parts, catalogue.document(), "editor", "改")
    row = catalogue.document()["items"][catalogue.SHOP] | {"type": "公共服务"}

    def save() -> None:
        steps.edit(broker.parts, made.id, "editor", 1, "items", catalogue.SHOP, row, lambda _before, _after: None)

    broker.store.fault = fault
    with pytest.raises(kit.Crash):
        save()
    if fault == "before":
        save()
    else:
        with pytest.raises(Problem, match="draft.changed"):
            save()
    assert broker.rows("SELECT revision, editors FROM draft")[0] == (2, "editor")
    assert len(broker.entries("draft_edited")) == 1
    broker.check()


def test_a_job_is_claimed_by_one_worker_at_a_time(broker: kit.Broker) -> None:
    made = steps.draft(broker.parts, catalogue.document(), "editor", "改")
    job = preview.ask(broker.parts, made.id, 7, "editor", lambda _: [])
    with broker.parts.store.write() as work:
        now = work.pulse().now
        claimed = work.claim_job(preview.KIND, now, now + timedelta(minutes=1))
        assert work.claim_job(preview.KIND, now, now + timedelta(minutes=1)) is None
        work.commit()
    assert claimed is not None
    assert (claimed.id, claimed.fence) == (job.id, 1)
    assert not preview.work_off(broker.parts)
    with broker.parts.store.write() as work:
        assert work.cancel_job(job.id)
        assert not work.keep_job(claimed)
        work.commit()


def test_a_job_is_stopped_only_as_what_it_is(broker: kit.Broker) -> None:
    """Whoever keeps the list may stop previews, and never an auditor's verification of the log; nor the reverse."""
    made = steps.draft(broker.parts, catalogue.document(), "editor", "改")
    asked = preview.ask(broker.parts, made.id, 7, "editor", lambda _: [])
    checking = log_check.ask(broker.parts, "auditor")
    with pytest.raises(Problem, match="job.unknown"):
        preview.cancel(broker.parts, checking.id, "editor")
    with pytest.raises(Problem, match="job.unknown"):
        log_check.cancel(broker.parts, asked.id, "auditor")
    assert {row.state for row in broker.rows("SELECT state FROM job")} == {"waiting"}
    assert not broker.entries("log_check_cancelled") + broker.entries("preview_cancelled")
    preview.cancel(broker.parts, asked.id, "editor")
    log_check.cancel(broker.parts, checking.id, "auditor")
    assert {row.state for row in broker.rows("SELECT state FROM job")} == {"cancelled"}
    assert len(broker.entries("log_check_cancelled") + broker.entries("preview_cancelled")) == 2


def test_an_errand_is_remembered_once(broker: kit.Broker) -> None:
    secret = people.begin_errand(broker.parts, "memory")
    assert people.finish_errand(broker.parts, secret) == "memory"
    with pytest.raises(Problem, match="access.provider"):
        people.finish_errand(broker.parts, secret)


RULES = group_rules_from({"groups": {"ops": "operator"}, "login": "login", "unit": "org"})
IDENTITY = Identity("https://idp.example", "7", {"groups": ["ops"], "login": "zhao", "org": "市大数据中心"})


def test_two_first_sign_ins_at_once_open_one_account_and_both_come_in(broker: kit.Broker) -> None:
    broker.parts.groups = RULES
    come: list[people.Opened] = []
    both = [threading.Thread(target=lambda: come.append(provided.sign_in_as(broker.parts, IDENTITY))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    visits = [people.visit(broker.parts, one.secret) for one in come]
    assert [one[1].roles for one in visits if one] == [{ConsoleRole.OPERATOR}] * 2
    assert len(broker.entries("person_added")) == 1
    broker.check()


def test_what_groups_gave_is_gone_once_there_are_no_rules_for_them(broker: kit.Broker) -> None:
    broker.parts.groups = RULES
    before = provided.sign_in_as(broker.parts, IDENTITY)
    broker.parts.groups = None
    provided.sign_in_as(broker.parts, IDENTITY)
    visit = people.visit(broker.parts, before.secret)
    assert visit is not None
    assert not visit[1].roles
    assert [one["roles"] for one in broker.entries("person_assigned") if "roles" in one] == []
    assert len(broker.entries("person_assigned")) == 1, "none is left: the entry names none"
    broker.check()
