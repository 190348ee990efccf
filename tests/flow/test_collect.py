"""Collected on paper: judged by receipts and live sources, refused without its reason, kept once with its entry."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.core.answer import Reason
from broker.core.collected import PAPER_REASONS, STANDINGS, PaperReason, Standing
from broker.core.errors import Problem
from broker.core.figures import GroupBy
from broker.flow import register
from broker.flow.collect import collect, note_of
from broker.flow.figures import told_by
from broker.flow.stops import stop_source
from broker.flow.sweep import tidy
from broker.ports import Client
from broker.ports.figures import Report
from tests.flow import catalogue, kit
from tests.flow.kit import Broker

ON_SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # where the database makes no difference
LICENCE, FORM, IDENTITY = "licence", "form", "identity@legal_representative"


def report(broker: Broker, number: int, *papers: dict[str, Any], case: str = "", **changes: Any) -> Report:
    """What a system reports of a case."""
    document = {
        "request_id": f"c{number}", "case": {"number": case or f"case-{number}"}, "region": catalogue.REGION,
        "item": catalogue.SHOP, "operator": {"id": "op1", "unit": kit.UNIT}, "materials": list(papers),
    } | changes  # fmt: skip
    return collect(broker.parts, document, json.dumps(document).encode(), kit.as_client())


def refused(broker: Broker, code: str, *papers: dict[str, Any], **changes: Any) -> None:
    """Refused with this code, and nothing changed."""
    before = broker.contents()
    with pytest.raises(Problem) as caught:
        report(broker, 9, *papers, **changes)
    assert caught.value.code == code
    assert broker.contents() == before


def standings(kept: Report) -> dict[str, tuple[str, str]]:
    return {one.material: (one.standing, one.source) for one in kept.papers}


def test_a_paper_stands_as_the_cases_receipt_says(broker: Broker) -> None:
    broker.sources.script[catalogue.POPULATION] = kit.just(Reason.NOT_FOUND)
    number = broker.admit(1)
    broker.work_off()
    papers = ({"material": LICENCE, "reason": "clerk_habit"}, {"material": IDENTITY}, {"material": FORM})
    kept = report(broker, 1, *papers)
    assert {one.material: one.standing for one in kept.papers} == {
        LICENCE: "exempt", IDENTITY: "decided", FORM: "decided",
    }  # fmt: skip
    assert {one.verification for one in kept.papers} == {number}
    refused(broker, "collected.reason", {"material": LICENCE}, case="case-1")
    with broker.parts.store.read() as work:
        assert work.reports({"material": LICENCE, "region": kept.region}, kept.day, kept.day, 9) == [kept]
        assert work.reports({"material": FORM}, kept.day, kept.day, 9) == [], "rightly taken"
        assert work.reports({}, "2020-01-01", "2020-12-31", 9) == []
        assert work.papers(["reason"], {"material": LICENCE}, [kept.day[:7]]) == [(("clerk_habit",), "exempt", 1)]
    (told,) = broker.entries("collected")
    assert told["materials"] == {LICENCE: "exempt clerk_habit", IDENTITY: "decided", FORM: "decided"}
    assert (told["operator"], told["unit"], told["case"]) == ("op1", kit.UNIT, "case-1")
    broker.finish()


@ON_SQLITE
def test_without_a_verification_a_live_source_covers_and_a_reason_is_needed(broker: Broker) -> None:
    """Z26: the demand for an original where a source serves is refused, unless it says why."""
    demand = {"material": LICENCE, "original": True}
    refused(broker, "collected.reason", demand)
    kept = report(broker, 1, demand | {"reason": "law_demands_original"}, {"material": FORM})
    assert standings(kept) == {LICENCE: ("live", catalogue.LICENCES), FORM: ("uncovered", "")}
    assert broker.entries("collected")[0]["originals"] == [LICENCE]


@ON_SQLITE
@pytest.mark.parametrize("how", ["revoked", "suspended", "connection", "breaker", "failing", "stopped"])
def test_what_cannot_be_asked_covers_nothing(broker: Broker, how: str) -> None:
    """No grant in force, no connection, or every source of the chain away, failing, stopped: paper needs no excuse."""
    sources = (catalogue.LICENCES, catalogue.REGISTER)
    if how == "connection":
        broker.parts.connections = {}
    elif how in {"breaker", "failing"}:
        if how == "failing":
            broker.sources.script = dict.fromkeys(sources, kit.just(Reason.SOURCE_DOWN))
        broker.admit(2)
        broker.work_off()
        if how == "breaker":
            broker.execute("UPDATE source_gate SET breaker = 'open'")
    elif how == "stopped":
        for source in sources:
            stop_source(broker.parts, source, "op", "数源升级")
    else:
        refused(broker, "collected.reason", {"material": LICENCE})
        for source in sources:
            register.set_grant_state(broker.parts, f"g-{source}", how)
    kept = report(broker, 1, {"material": LICENCE})
    assert standings(kept) == {LICENCE: ("uncovered", "")}


@ON_SQLITE
def test_not_applying_for_a_grant_is_no_way_around_the_rule(broker: Broker) -> None:
    """Z26: the source is live and the row confirmed; that the system never asked for a grant needs its reason."""
    broker.execute("DELETE FROM access_grant")  # behind the register: the next line has it read anew
    register.register_client(
        broker.parts, Client("other", "另一系统", kit.UNIT, None, "active")
    )  # the register is read anew
    refused(broker, "collected.reason", {"material": LICENCE, "original": True})
    kept = report(broker, 1, {"material": LICENCE, "reason": "no_grant"}, {"material": FORM})
    assert standings(kept) == {LICENCE: ("ungranted", catalogue.LICENCES), FORM: ("uncovered", "")}
    month = kept.day[:7]
    with broker.parts.store.read() as work:
        assert work.reports({}, f"{month}-01", f"{month}-31", 9), "it stands in the list"
        told = told_by(work, GroupBy.MONTH, {}, [month])[month]
    assert (told.papers_ungranted, told.unused, told.unused_rate) == (1, 1, 1.0)


@ON_SQLITE
def test_a_source_that_failed_gives_way_to_the_next_of_the_chain(broker: Broker) -> None:
    broker.sources.script[catalogue.LICENCES] = kit.just(Reason.SOURCE_DOWN)
    broker.admit(2)
    broker.work_off()
    kept = report(broker, 1, {"material": LICENCE, "reason": "source_down"})
    assert standings(kept) == {LICENCE: ("live", catalogue.REGISTER)}, "the register could still have been asked"


@ON_SQLITE
def test_a_report_is_kept_once_and_its_request_id_is_not_used_for_another(broker: Broker) -> None:
    first = report(broker, 9, {"material": FORM})
    before = broker.contents(without=("nonce",))
    assert report(broker, 9, {"material": FORM}) == first
    assert broker.contents(without=("nonce",)) == before
    refused(broker, "request.conflict", {"material": FORM, "reason": "clerk_habit"})


@ON_SQLITE
@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("request.item", {"item": "none"}),
        ("request.region", {"region": "999999"}),
        ("request.material", {"materials": [{"material": "passport"}]}),
        ("collected.twice", {"materials": [{"material": FORM}, {"material": FORM}]}),
    ],
)
def test_what_the_list_does_not_know_is_refused_and_changes_nothing(
    broker: Broker, code: str, changes: dict[str, Any]
) -> None:
    refused(broker, code, {"material": FORM}, **changes)


@ON_SQLITE
def test_a_note_is_kept_encrypted_and_stands_in_no_entry(broker: Broker) -> None:
    kept = report(broker, 1, {"material": FORM, "reason": "other", "note": "张某坚持提交"})
    assert note_of(broker.parts, kept, kept.papers[0]) == "张某坚持提交"
    assert "坚持" not in json.dumps(broker.entries("collected"), ensure_ascii=False)
    broker.checker.check()


@ON_SQLITE
def test_a_note_is_dropped_when_answers_are_and_its_report_stays(broker: Broker) -> None:
    kept = report(broker, 1, {"material": FORM, "reason": "other", "note": "张某坚持提交"})
    tidy(broker.parts)
    assert [len(row.note) > 0 for row in broker.rows("SELECT note FROM paper")] == [True]
    broker.execute("UPDATE paper_report SET day = '2020-01-01'")
    tidy(broker.parts)
    assert [(row.report_id, row.note) for row in broker.rows("SELECT report_id, note FROM paper")] == [(kept.id, b"")]


@ON_SQLITE
def test_a_body_is_compared_by_a_salted_digest_until_its_salt_is_forgotten(broker: Broker) -> None:
    """A note is guessed easily: what stays of a body must not confirm it."""
    kept = report(broker, 1, {"material": FORM, "reason": "other", "note": "张某坚持提交"})
    again = report(broker, 2, {"material": FORM, "reason": "other", "note": "张某坚持提交"}, request_id="c3")
    assert kept.digest != again.digest
    with pytest.raises(Problem, match="request.conflict"):
        report(broker, 1, {"material": FORM, "reason": "other", "note": "李某坚持提交"})
    broker.execute("UPDATE paper_report SET day = '2020-01-01'")
    tidy(broker.parts)
    with pytest.raises(Problem, match="request.forgotten"):
        report(broker, 1, {"material": FORM, "reason": "other", "note": "张某坚持提交"})


@ON_SQLITE
def test_without_its_entry_no_report_is_kept(broker: Broker) -> None:
    broker.store.refuse = lambda kind: kind == "collected"
    before = broker.contents()
    with pytest.raises(kit.Crash):
        report(broker, 1, {"material": FORM})
    assert broker.contents() == before


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_report_whose_answer_is_lost_is_kept_once(broker: Broker, fault: str) -> None:
    broker.store.fault = fault
    with pytest.raises(kit.Crash):
        report(broker, 1, {"material": FORM})
    again = report(broker, 1, {"material": FORM})
    assert len(broker.entries("collected")) == 1
    assert [row.id for row in broker.rows("SELECT id FROM paper_report")] == [again.id]


def test_every_reason_and_standing_has_its_words() -> None:
    assert PAPER_REASONS.keys() == set(PaperReason)
    assert STANDINGS.keys() == set(Standing)
    assert {one for one in Standing if one.unused} == {Standing.EXEMPT, Standing.LIVE, Standing.UNGRANTED}
