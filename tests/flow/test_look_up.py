"""Looking up: leases and fences, batches, two workers at once, chains, grants withdrawn; and no entry, no act."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from broker.core.answer import Answer, Question, Reason
from broker.flow import register
from broker.flow.look_up import look_up
from broker.flow.parts import Limits
from broker.flow.publish import publish
from broker.flow.sweep import sweep
from tests.flow import catalogue, kit
from tests.flow.catalogue import LICENCES, POPULATION, REGISTER, SHOP
from tests.flow.kit import Broker, Crash, just

IDENTITY = "identity@legal_representative"


# --- asking, recording, settling --------------------------------------------------------------------------------------


def test_a_whole_case_is_exempted_material_by_material(broker: Broker) -> None:
    number = broker.admit(1)
    broker.finish()
    assert broker.decisions(number) == {
        IDENTITY: ("exempt", "held.valid"),
        "licence": ("exempt", "held.valid"),
        "premises": ("exempt", "held.valid"),
        "form": ("submit", "submit.no-source"),
    }


def test_the_recording_that_completes_a_verification_decides_it(broker: Broker) -> None:
    """Not the sweeper: the last answer's own transaction."""
    number = broker.admit(1)
    for source in (LICENCES, REGISTER):
        assert look_up(broker.parts, source) == 1
        assert broker.verification(number).state == "admitted"
    assert look_up(broker.parts, POPULATION) == 1
    assert broker.verification(number).state == "decided"


def test_a_source_without_work_is_not_asked(broker: Broker) -> None:
    assert look_up(broker.parts, LICENCES) == 0
    assert broker.sources.questions == []


def test_one_batch_takes_at_most_so_many_and_records_them_together(broker: Broker) -> None:
    broker.parts.limits = replace(broker.parts.limits, batch=3)
    for number in range(5):
        broker.admit(number)
    assert look_up(broker.parts, LICENCES) == 3
    assert look_up(broker.parts, LICENCES) == 2
    assert look_up(broker.parts, LICENCES) == 0
    broker.finish()


def test_a_batch_writes_one_entry_asked_and_one_answered_for_each(broker: Broker) -> None:
    for number in range(5):
        broker.admit(number)
    look_up(broker.parts, LICENCES)
    assert len(broker.entries("asked")) == len(broker.entries("answered")) == 5
    assert max(broker.sources.asked.values()) == 1


def test_what_a_source_says_without_being_asked_is_not_kept(broker: Broker) -> None:
    """The scripted source adds a telephone number to every answer; no stored answer has it."""
    broker.admit(1)
    broker.work_off()
    key = broker.parts.vault.unwrap(broker.rows("SELECT wrapped_key FROM case_file")[0].wrapped_key)
    answers = [
        broker.parts.vault.decrypt(key, row.answer, row.id)[16:] for row in broker.rows("SELECT id, answer FROM lookup")
    ]
    assert len(answers) == 3
    assert all(kit.PHONE.encode() not in one for one in answers)
    assert all(set(json.loads(one)["fields"]) for one in answers)


def test_several_sources_that_complete_at_once_decide_once_and_at_once(broker: Broker) -> None:
    """Three workers of three sources hear their answers at the same moment; somebody settles, and only once."""
    others = [broker, broker.another(), broker.another()]
    for round_ in range(6):
        number = broker.admit(round_)
        together = threading.Barrier(3, timeout=10)
        broker.sources.meanwhile = lambda source, questions: together.wait()  # noqa: B023 - one per round
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda one, source: look_up(one.parts, source), others, [LICENCES, REGISTER, POPULATION]))
        assert broker.verification(number).state == "decided"
    assert len(broker.entries("decided")) == 6
    for one in others[1:]:
        one.office.close()


def test_several_verifications_settle_once_when_their_batches_meet(broker: Broker) -> None:
    """Two workers record batches over the same verifications, in whatever order: no deadlock, one decision each."""
    for number in range(12):
        broker.admit(number)
    others = [broker, broker.another(), broker.another()]
    together = threading.Barrier(3, timeout=10)
    broker.sources.meanwhile = lambda source, questions: together.wait()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda one, source: look_up(one.parts, source), others, [LICENCES, REGISTER, POPULATION]))
    assert len(broker.entries("decided")) == 12
    for one in others[1:]:
        one.office.close()


def test_two_workers_of_one_source_share_its_lookups(broker: Broker) -> None:
    for number in range(8):
        broker.admit(number)
    other, together = broker.another(), threading.Barrier(2, timeout=10)
    broker.parts.limits = other.parts.limits = Limits(batch=4)
    broker.sources.meanwhile = lambda source, questions: together.wait()
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda one: look_up(one.parts, LICENCES), [broker, other])) == [4, 4]
    assert max(broker.sources.asked.values()) == 1
    other.office.close()


# --- leases and fences ------------------------------------------------------------------------------------------------


def test_a_leased_lookup_is_nobody_elses(broker: Broker) -> None:
    broker.admit(1)
    other = broker.another()
    found: list[int] = []
    broker.sources.meanwhile = lambda source, questions: found.append(look_up(other.parts, source))
    look_up(broker.parts, LICENCES)
    assert found == [0]
    other.office.close()


def test_a_worker_that_dies_with_a_batch_leaves_it_to_the_next_under_the_same_lookup_ids(broker: Broker) -> None:
    broker.admit(1)
    broker.sources.meanwhile = _crash
    with pytest.raises(Crash):
        look_up(broker.parts, LICENCES)
    assert broker.entries("answered") == []
    assert look_up(broker.parts, LICENCES) == 0  # the lease still runs
    broker.sources.meanwhile = lambda source, questions: None
    broker.expire_leases()
    assert sorted(sweep(broker.parts)) == sorted([LICENCES, POPULATION, REGISTER])
    assert look_up(broker.parts, LICENCES) == 1
    first, second = broker.sources.of(LICENCES)
    assert first.lookup_id == second.lookup_id
    assert [one["attempt"] for one in broker.entries("asked")] == [1, 2]
    broker.finish()


def _crash(source: str, questions: list[Question]) -> None:
    raise Crash


def test_a_lease_really_runs_out_by_the_databases_clock(broker: Broker) -> None:
    broker.parts.limits = replace(broker.parts.limits, lease_ms=30)
    broker.admit(1)
    broker.sources.meanwhile = _crash
    with pytest.raises(Crash):
        look_up(broker.parts, LICENCES)
    broker.sources.meanwhile = lambda source, questions: None
    threading.Event().wait(0.06)
    assert LICENCES in sweep(broker.parts)
    assert look_up(broker.parts, LICENCES) == 1


def test_an_answer_after_somebody_else_has_asked_again_is_not_recorded(broker: Broker) -> None:
    """The first worker is slow; its lease runs out, a second asks and hears NOT FOUND; then the first wakes up."""
    number = broker.admit(1, materials=[IDENTITY])
    other = broker.another()

    def slow(source: str, questions: list[Question]) -> None:
        broker.sources.meanwhile = lambda source, questions: None
        broker.sources.script[POPULATION] = just(Reason.NOT_FOUND)
        broker.expire_leases()
        assert look_up(other.parts, POPULATION) == 1
        broker.sources.script[POPULATION] = kit.valid

    broker.sources.meanwhile = slow
    look_up(broker.parts, POPULATION)
    assert broker.decisions(number)[IDENTITY] == ("submit", "submit.last-step")
    (answered,) = broker.entries("answered")
    assert answered["reason"] == "unknown.not-found"
    other.office.close()


def test_an_answer_while_somebody_else_is_asking_again_is_not_recorded(broker: Broker) -> None:
    """As before, but the second worker has only claimed: its answer is still to come, and it is the one that counts."""
    number = broker.admit(1, materials=[IDENTITY])
    other, asked, recorded = broker.another(), threading.Event(), threading.Event()

    def slow(source: str, questions: list[Question]) -> None:
        def second(source: str, questions: list[Question]) -> None:
            asked.set()
            assert recorded.wait(10)

        broker.sources.meanwhile = second
        broker.expire_leases()
        threads.append(pool.submit(look_up, other.parts, POPULATION))
        assert asked.wait(10)

    threads = []  # type: ignore[var-annotated]
    with ThreadPoolExecutor(1) as pool:
        broker.sources.meanwhile = slow
        look_up(broker.parts, POPULATION)
        assert broker.verification(number).state == "admitted"
        assert broker.entries("answered") == []
        recorded.set()
        assert threads[0].result(10) == 1
    assert broker.verification(number).state == "decided"
    other.office.close()


def test_a_late_answer_counts_as_long_as_nobody_else_has_asked(broker: Broker) -> None:
    number = broker.admit(1, materials=[IDENTITY])
    broker.sources.meanwhile = lambda source, questions: broker.expire_leases()
    look_up(broker.parts, POPULATION)
    assert broker.decisions(number)[IDENTITY] == ("exempt", "held.valid")


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_a_claim_that_is_not_committed_yet_still_fences_the_first_worker_off(broker: Broker) -> None:
    """The second worker's claim holds the row, uncommitted, when the first comes to record.

    The first must wait, and then find itself fenced off. SQLite has one writer at a time: it cannot happen there.
    """
    broker.admit(1, materials=[IDENTITY])
    claimed, recording = threading.Event(), threading.Event()

    def claim_slowly() -> None:
        with broker.database.begin(write=True) as connection:
            connection.execute(text("UPDATE lookup SET fence = fence + 1, ready_at = ready_at + 600000"))
            claimed.set()
            recording.wait(10)
            threading.Event().wait(0.5)  # the first worker is waiting for the row by now
            connection.commit()

    with ThreadPoolExecutor(1) as pool:
        second = []

        def slow(source: str, questions: list[Question]) -> None:
            second.append(pool.submit(claim_slowly))
            assert claimed.wait(10)
            recording.set()

        broker.sources.meanwhile = slow
        look_up(broker.parts, POPULATION)
        second[0].result(10)
    broker.sources.meanwhile = lambda source, questions: None
    assert broker.entries("answered") == []
    assert [row.state for row in broker.rows("SELECT state FROM lookup")] == ["due"]
    broker.finish()


# --- chains -----------------------------------------------------------------------------------------------------------


def _admitted_by_reason(broker: Broker, outcome: str) -> dict[Reason, str]:
    """One verification for each reason of an outcome; the certificate platform gives each applicant its own."""
    reasons = [one for one in Reason if one.value.startswith(f"{outcome}.")]
    by_holder = {kit.company(number): reason for number, reason in enumerate(reasons)}
    broker.sources.script[LICENCES] = lambda question: Answer(by_holder[question.subject.number], source_code="x")
    return {reason: broker.admit(number, materials=["licence"]) for number, reason in enumerate(reasons)}


def test_after_unknown_the_chain_goes_on_with_the_next_source(broker: Broker) -> None:
    admitted = _admitted_by_reason(broker, "unknown")
    broker.finish()
    for reason, number in admitted.items():
        (licence,) = broker.receipt(number)["materials"]
        assert licence["decision"] == "exempt"
        assert [step["reason"] for step in licence["steps"]] == [reason.value, "held.valid"]
    assert len(broker.sources.of(REGISTER)) == len(admitted)


def test_not_held_ends_the_chain_and_nobody_else_is_asked(broker: Broker) -> None:
    admitted = _admitted_by_reason(broker, "not_held")
    broker.finish()
    for reason, number in admitted.items():
        assert broker.decisions(number)["licence"] == ("not_met", reason.value)
    assert broker.sources.of(REGISTER) == []


def test_the_next_source_of_a_chain_is_woken_by_the_answer_before(broker: Broker) -> None:
    broker.sources.script[LICENCES] = just(Reason.LATE)
    broker.admit(1, materials=["licence"])
    assert broker.bells.rung == [LICENCES]
    look_up(broker.parts, LICENCES)
    assert broker.bells.rung == [LICENCES, REGISTER]


def test_where_every_source_is_unknown_the_applicant_submits(broker: Broker) -> None:
    for source in (LICENCES, REGISTER, POPULATION):
        broker.sources.script[source] = just(Reason.SOURCE_DOWN)
    number = broker.admit(1)
    broker.finish()
    assert broker.decisions(number) == {
        IDENTITY: ("submit", "submit.last-step"),
        "licence": ("submit", "submit.last-step"),
        "premises": ("fallback", "fallback.commitment"),
        "form": ("submit", "submit.no-source"),
    }


def test_an_answer_about_somebody_else_exempts_nobody(broker: Broker) -> None:
    broker.sources.script[LICENCES] = lambda question: replace(kit.valid(question), holder_number=kit.company(99))
    broker.sources.script[REGISTER] = just(Reason.NOT_FOUND)
    number = broker.admit(1, materials=["licence"])
    broker.finish()
    (licence,) = broker.receipt(number)["materials"]
    assert licence["decision"] == "submit"
    assert licence["steps"][0]["reason"] == "unknown.wrong-person"


def test_a_source_that_holds_another_name_is_a_doubt_and_refuses_nobody(broker: Broker) -> None:
    def renamed(question: Question) -> Answer:
        honest = kit.valid(question)
        return replace(honest, fields={**honest.fields, "name": "另一公司"})

    broker.sources.script |= {LICENCES: just(Reason.LATE), REGISTER: renamed}
    number = broker.admit(1, materials=["licence"])
    broker.finish()
    [licence] = broker.receipt(number)["materials"]
    assert (licence["decision"], licence["steps"][-2]["reason"]) == ("submit", "unknown.name-differs")


def test_a_source_that_is_not_connected_here_is_not_configured(broker: Broker) -> None:
    broker.parts.connections = {}
    number = broker.admit(1, materials=[IDENTITY])
    broker.finish()
    (identity,) = broker.receipt(number)["materials"]
    assert identity["steps"][0]["reason"] == "unknown.not-configured"
    assert broker.sources.questions == []


# --- grants and cases, on the way -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["revoked", "suspended"])
def test_a_grant_withdrawn_after_admission_stops_the_queued_lookup(broker: Broker, state: str) -> None:
    number = broker.admit(1)
    register.set_grant_state(broker.parts, "g-population", state)
    broker.finish()
    assert broker.sources.of(POPULATION) == []
    (stopped,) = broker.entries("stopped")
    assert (stopped["rule"], stopped["source"]) == (f"grant.{state}", POPULATION)
    assert broker.decisions(number)[IDENTITY] == ("submit", "submit.last-step")
    assert broker.decisions(number)["licence"] == ("exempt", "held.valid")


def test_a_grant_withdrawn_in_mid_chain_stops_the_next_step(broker: Broker) -> None:
    broker.sources.script[LICENCES] = just(Reason.LATE)
    number = broker.admit(1, materials=["licence"])
    look_up(broker.parts, LICENCES)
    register.set_grant_state(broker.parts, "g-register", "revoked")
    broker.finish()
    assert broker.sources.of(REGISTER) == []
    assert broker.decisions(number)["licence"] == ("submit", "submit.last-step")


def test_a_grant_that_expires_in_the_queue_stops_the_lookup(broker: Broker) -> None:
    broker.admit(1, materials=[IDENTITY])
    broker.execute("UPDATE access_grant SET valid_to = 1 WHERE id = 'g-population'")
    broker.execute("UPDATE policy SET version = version + 1")
    broker.work_off()
    broker.execute("UPDATE policy SET version = version - 1")  # we were the administrator without an entry
    assert broker.entries("stopped")[0]["rule"] == "grant.expired"
    assert broker.sources.questions == []


def test_what_is_queued_for_a_closed_case_is_not_asked(broker: Broker) -> None:
    number = broker.admit(1)
    look_up(broker.parts, LICENCES)
    register.close_case(broker.parts, kit.closing("case-1", "withdrawn"), kit.as_client())
    broker.finish()
    assert [one.source for one in broker.sources.questions] == [LICENCES]
    assert {one["rule"] for one in broker.entries("stopped")} == {"case.closed"}
    assert broker.verification(number).state == "decided"


def test_a_cap_is_kept_at_admission_and_again_at_asking(broker: Broker) -> None:
    """Cap 3: five are admitted before anything is asked; three are asked, two stopped; a sixth is refused at once."""
    _cap(broker, POPULATION, 3)
    numbers = [broker.admit(number, materials=[IDENTITY]) for number in range(5)]
    broker.finish()
    assert len(broker.sources.of(POPULATION)) == 3
    assert [one["rule"] for one in broker.entries("stopped")] == ["grant.exhausted"] * 2
    decided = sorted(broker.decisions(number)[IDENTITY][0] for number in numbers)
    assert decided == ["exempt"] * 3 + ["submit"] * 2
    assert broker.refused(kit.request(6, materials=[IDENTITY])).code == "grant.exhausted"


def test_a_cap_is_kept_by_two_workers_at_once(broker: Broker) -> None:
    _cap(broker, POPULATION, 5)
    for number in range(8):
        broker.admit(number, materials=[IDENTITY])
    other = broker.another()
    broker.parts.limits = other.parts.limits = Limits(batch=4)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: look_up(one.parts, POPULATION), [broker, other]))
    assert len(broker.sources.of(POPULATION)) == 5
    broker.finish()
    other.office.close()


def _cap(broker: Broker, source: str, calls: int) -> None:
    register.set_grant_state(broker.parts, f"g-{source}", "revoked")
    register.register_grant(broker.parts, kit.grant(source, id=f"g-{source}-capped", daily_calls=calls))


# --- no entry, no act -------------------------------------------------------------------------------------------------


def test_the_entry_stands_in_the_database_before_the_source_is_asked(broker: Broker) -> None:
    broker.admit(1)
    seen = []

    def look(source: str, questions: list[Question]) -> None:
        seen.extend([one["lookup"] for one in broker.entries("asked")])
        assert [one.lookup_id for one in questions] == seen[-len(questions) :]

    broker.sources.meanwhile = look
    look_up(broker.parts, LICENCES)
    assert len(seen) == 1


_REFUSE_ENTRIES = {
    "sqlite": [
        "CREATE TRIGGER no_entries BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'disk full'); END",
        "DROP TRIGGER no_entries",
    ],
    "postgresql": [
        (
            "CREATE OR REPLACE FUNCTION no_entries() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'disk full'; END $$; "
            "CREATE TRIGGER no_entries BEFORE INSERT ON entry FOR EACH STATEMENT EXECUTE FUNCTION no_entries()"
        ),
        "DROP TRIGGER no_entries ON entry",
    ],
}


def test_where_the_entry_cannot_be_written_nobody_is_asked_and_nothing_changes(broker: Broker, store: str) -> None:
    """The database itself refuses every entry, as a full disk would."""
    number = broker.admit(1)
    before = broker.contents()
    refuse, again = _REFUSE_ENTRIES[store]
    broker.execute(refuse)
    try:
        with pytest.raises(Exception, match="disk full"):
            look_up(broker.parts, LICENCES)
        with pytest.raises(Exception, match="disk full"):
            broker.submit(kit.request(2))
        with pytest.raises(Exception, match="disk full"):
            register.set_grant_state(broker.parts, "g-population", "revoked")
    finally:
        broker.execute(again)
    assert broker.sources.questions == []
    assert broker.contents() == before
    broker.finish()
    assert broker.verification(number).state == "decided"


@pytest.mark.parametrize("kind", ["answered", "decided"])
def test_where_an_answers_entry_cannot_be_written_the_answer_is_not_kept(broker: Broker, kind: str) -> None:
    number = broker.admit(1, materials=[IDENTITY])
    broker.store.refuse = lambda one: one == kind
    with pytest.raises(Crash):
        look_up(broker.parts, POPULATION)
    broker.store.refuse = lambda one: False
    assert broker.verification(number).state == "admitted"
    assert broker.entries("answered") == []
    assert [row.answer for row in broker.rows("SELECT answer FROM lookup")] == [None]
    broker.finish()
    assert max(broker.sources.asked.values()) == 2


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_commit_lost_at_the_claim_asks_nobody(broker: Broker, fault: str) -> None:
    broker.admit(1, materials=[IDENTITY])
    broker.store.fault = fault
    with pytest.raises(Crash):
        look_up(broker.parts, POPULATION)
    assert broker.sources.questions == []
    assert len(broker.entries("asked")) == (fault == "after")
    broker.check()
    broker.finish()
    assert max(broker.sources.asked.values()) == 1


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_commit_lost_at_the_recording_keeps_one_finding_and_one_decision(broker: Broker, fault: str) -> None:
    number = broker.admit(1, materials=[IDENTITY])

    def fail_next(source: str, questions: list[Question]) -> None:
        broker.store.fault = fault

    broker.sources.meanwhile = fail_next
    with pytest.raises(Crash):
        look_up(broker.parts, POPULATION)
    broker.sources.meanwhile = lambda source, questions: None
    broker.check()
    broker.finish()
    assert max(broker.sources.asked.values()) == (2 if fault == "before" else 1)
    assert len(broker.entries("answered")) == len(broker.entries("decided")) == 1
    assert broker.decisions(number)[IDENTITY] == ("exempt", "held.valid")


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
@pytest.mark.parametrize("change", ["revoked", "closed"])
def test_what_is_revoked_or_closed_while_a_claim_waits_for_its_gate_is_not_asked(broker: Broker, change: str) -> None:
    broker.admit(1, materials=[IDENTITY])
    broker.work_off()
    broker.admit(2, materials=[IDENTITY])
    asked = len(broker.sources.of(POPULATION))
    holder, changer = broker.another(), broker.another()
    with ThreadPoolExecutor(1) as pool:
        with holder.parts.store.write() as work:
            assert work.gate(POPULATION) is not None  # locked until this transaction ends
            waiting = pool.submit(look_up, broker.parts, POPULATION)
            _until_somebody_waits(broker)
            if change == "revoked":
                register.set_grant_state(changer.parts, f"g-{POPULATION}", "revoked")
            else:
                register.close_case(changer.parts, kit.closing("case-2", "approved"), kit.as_client())
        waiting.result()
    assert len(broker.sources.of(POPULATION)) == asked, "nobody was asked"
    assert broker.entries("stopped")[-1]["rule"] == {"revoked": "grant.revoked", "closed": "case.closed"}[change]
    for one in (holder, changer):
        one.office.close()


def _until_somebody_waits(broker: Broker) -> None:
    """Until another session of this database waits for a lock."""
    for _ in range(1000):
        if broker.rows("SELECT 1 FROM pg_locks WHERE NOT granted"):
            return
        threading.Event().wait(0.01)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kept", [{"fields": ["match"]}, {"items": [SHOP]}])
def test_what_the_negative_list_keeps_back_meanwhile_is_not_asked(broker: Broker, kept: dict[str, Any]) -> None:
    broker.admit(1, materials=[IDENTITY])
    listed = catalogue.document()
    listed["sources"][POPULATION]["withheld"] = kept
    publish(broker.parts, listed, None, "editor")
    broker.finish()
    assert broker.sources.of(POPULATION) == []
    assert [one["rule"] for one in broker.entries("stopped")] == ["grant.withheld"]


def test_a_batch_of_two_editions_is_asked_at_once(broker: Broker) -> None:
    """One after the other they would take twice the budget, in one lease."""
    broker.admit(1)
    changed = catalogue.document()
    changed["sources"][LICENCES]["budget_ms"] = 1500
    publish(broker.parts, changed, None, "editor")
    broker.admit(2)
    asked: list[int] = []
    broker.sources.meanwhile = lambda source, questions: asked.append(len(questions))
    assert look_up(broker.parts, LICENCES) == 2
    assert asked == [2]
    broker.finish()
