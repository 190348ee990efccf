"""Editions: each verification keeps its own, receipts keep their bytes, and a list is published once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.core.errors import CallerProblem, OperatorProblem, Problem
from broker.core.findings import Finding, found
from broker.flow.look_up import look_up
from broker.flow.publish import draft, edit, publish, publish_draft, review, submit
from tests.flow import catalogue
from tests.flow.catalogue import KIOSK, KITCHEN, LICENCES, POPULATION, REGISTER, SHOP
from tests.flow.kit import Broker


def no_findings(document: Any) -> list[Finding]:
    return []


def materials(broker: Broker, number: str) -> set[str]:
    return {one["material"] for one in broker.receipt(number)["materials"]}


def test_a_verification_in_flight_keeps_the_edition_that_planned_it(broker: Broker) -> None:
    """Admitted under edition 1, partly answered, decided after edition 2 has dropped the licence and a chain."""
    before = broker.admit(1)
    look_up(broker.parts, REGISTER)
    publish(broker.parts, catalogue.second_edition(), None, "editor")
    after = broker.admit(2)
    broker.finish()
    assert broker.verification(before).edition == broker.receipt(before)["edition"]["number"] == 1
    assert materials(broker, before) == {"identity@legal_representative", "licence", "premises", "form"}
    assert broker.decisions(before)["premises"] == ("exempt", "held.valid")
    assert broker.receipt(after)["edition"]["number"] == 2
    assert broker.decisions(after) == {
        "identity@legal_representative": ("exempt", "held.valid"),
        "premises": ("submit", "submit.no-source"),
    }


def test_one_batch_may_span_two_editions(broker: Broker) -> None:
    broker.admit(1)
    publish(broker.parts, catalogue.second_edition(), None, "editor")
    broker.admit(2)
    assert look_up(broker.parts, POPULATION) == 2
    broker.finish()


def test_an_edition_published_for_later_does_not_plan_yet(broker: Broker) -> None:
    publish(broker.parts, catalogue.second_edition(), datetime.now(UTC) + timedelta(hours=1), "editor")
    number = broker.admit(1)
    assert broker.verification(number).edition == 1


def test_every_process_plans_with_the_new_edition_from_its_next_transaction_on(broker: Broker) -> None:
    other = broker.another()
    other.admit(1)
    publish(broker.parts, catalogue.second_edition(), None, "editor")
    assert other.verification(other.admit(2)).edition == 2
    other.office.close()


def test_the_newest_document_is_not_published_again(broker: Broker) -> None:
    before = broker.contents()
    with pytest.raises(OperatorProblem, match="register.exists"):
        publish(broker.parts, catalogue.document(), None, "editor")
    assert broker.contents() == before


def test_an_earlier_document_may_come_back_as_a_new_edition(broker: Broker) -> None:
    publish(broker.parts, catalogue.second_edition(), None, "editor")
    assert publish(broker.parts, catalogue.document(), None, "editor").number == 3


@pytest.mark.parametrize("broken", [{}, {"items": {}}, {**catalogue.document(), "sources": {"x": {}}}])
def test_a_document_that_becomes_no_list_changes_nothing(broker: Broker, broken: dict[str, Any]) -> None:
    before = broker.contents()
    with pytest.raises(KeyError):
        publish(broker.parts, broken, None, "editor")
    assert broker.contents() == before


def test_two_editors_who_publish_at_once_give_two_numbers_or_one_refusal(broker: Broker) -> None:
    other, start = broker.another(), threading.Barrier(2, timeout=10)
    third = catalogue.document()
    third["items"].pop(KIOSK)

    def go(one: Broker, document: dict[str, Any]) -> int | str:
        start.wait()
        try:
            return publish(one.parts, document, None, "editor").number
        except Problem as problem:
            return problem.code

    with ThreadPoolExecutor(2) as pool:
        outcomes = set(pool.map(go, [broker, other], [catalogue.second_edition(), third]))
    assert outcomes in ({2, 3}, {2, "edition.outdated"})
    other.office.close()


def test_a_receipt_is_served_byte_for_byte_for_ever(broker: Broker) -> None:
    """After further work, a new edition, a sequenced log and a restart."""
    number = broker.admit(1)
    broker.work_off()
    receipt = broker.verification(number).receipt
    publish(broker.parts, catalogue.second_edition(), None, "editor")
    broker.admit(2)
    broker.finish()
    other = broker.another()
    assert other.verification(number).receipt == receipt
    for source in (LICENCES, REGISTER, POPULATION):
        look_up(other.parts, source)
    assert other.verification(number).receipt == receipt
    other.office.close()


def test_an_item_that_a_later_edition_drops_is_no_longer_admitted(broker: Broker) -> None:
    dropped = catalogue.document()
    dropped["items"] = {key: dropped["items"][key] for key in (SHOP, KITCHEN)}
    publish(broker.parts, dropped, None, "editor")
    with pytest.raises(CallerProblem, match="request.item"):
        broker.admit(1, item=KIOSK)


# --- the way to an edition --------------------------------------------------------------------------------------------


def test_a_draft_becomes_an_edition_by_another_persons_approval_with_an_entry_for_each_step(broker: Broker) -> None:
    made = draft(broker.parts, catalogue.second_edition(), "anna", "drop the licence")
    submit(broker.parts, made.id, "anna", no_findings)
    review(broker.parts, made.id, "berta", approve=True, comment="yes")
    edition = publish_draft(broker.parts, made.id, "anna", None)
    assert (edition.number, edition.digest) == (2, made.digest)
    kinds = [one["kind"] for one in broker.entries("drafted", "submitted", "reviewed", "published")]
    assert kinds == ["published", "drafted", "submitted", "reviewed", "published"]
    (row,) = broker.rows("SELECT state, edition, reviewed_by FROM draft")
    assert tuple(row) == ("published", 2, "berta")


def test_nobody_approves_what_they_edited_though_a_comma_stands_in_their_name(broker: Broker) -> None:
    made = draft(broker.parts, catalogue.second_edition(), "anna", "")
    row = {**catalogue.second_edition()["items"][catalogue.SHOP], "aliases": ["小店"]}
    edit(broker.parts, made.id, "Wang, Li", 1, "items", catalogue.SHOP, row)
    submit(broker.parts, made.id, "anna", no_findings)
    for name in ("Wang, Li", "wang，li"):
        with pytest.raises(CallerProblem, match="edition.self-approval"):
            review(broker.parts, made.id, name, approve=True, comment="")


def test_nobody_approves_what_they_drafted_or_submitted(broker: Broker) -> None:
    made = draft(broker.parts, catalogue.second_edition(), "anna", "")
    submit(broker.parts, made.id, "berta", no_findings)
    before = broker.contents()
    for name in ("anna", "berta"):
        with pytest.raises(CallerProblem, match="edition.self-approval"):
            review(broker.parts, made.id, name, approve=True, comment="")
    assert broker.contents() == before


def test_no_step_to_an_edition_can_be_left_out(broker: Broker) -> None:
    made = draft(broker.parts, catalogue.second_edition(), "anna", "")
    with pytest.raises(CallerProblem, match="edition.state"):
        review(broker.parts, made.id, "berta", approve=True, comment="")
    with pytest.raises(CallerProblem, match="edition.state"):
        publish_draft(broker.parts, made.id, "anna", None)
    submit(broker.parts, made.id, "anna", no_findings)
    with pytest.raises(CallerProblem, match="edition.state"):
        publish_draft(broker.parts, made.id, "anna", None)
    review(broker.parts, made.id, "berta", approve=False, comment="no")
    with pytest.raises(CallerProblem, match="edition.state"):
        publish_draft(broker.parts, made.id, "anna", None)
    with pytest.raises(CallerProblem, match="edition.unknown"):
        publish_draft(broker.parts, "nothing", "anna", None)


def test_a_draft_with_errors_is_not_handed_in(broker: Broker) -> None:
    made = draft(broker.parts, catalogue.second_edition(), "anna", "")
    with pytest.raises(OperatorProblem, match="catalog.broken"):
        submit(broker.parts, made.id, "anna", lambda document: [found("schema", ("items",), why="it is broken")])
    assert [row.state for row in broker.rows("SELECT state FROM draft")] == ["draft"]


def test_a_draft_on_an_older_edition_is_outdated(broker: Broker) -> None:
    made = draft(broker.parts, catalogue.second_edition(), "anna", "")
    submit(broker.parts, made.id, "anna", no_findings)
    review(broker.parts, made.id, "berta", approve=True, comment="")
    other = catalogue.document()
    other["items"].pop(KIOSK)
    publish(broker.parts, other, None, "editor")
    with pytest.raises(CallerProblem, match="edition.outdated"):
        publish_draft(broker.parts, made.id, "anna", None)


def test_one_draft_published_twice_at_once_is_one_edition(broker: Broker) -> None:
    made = draft(broker.parts, catalogue.second_edition(), "anna", "")
    submit(broker.parts, made.id, "anna", no_findings)
    review(broker.parts, made.id, "berta", approve=True, comment="")
    other, start = broker.another(), threading.Barrier(2, timeout=10)

    def go(one: Broker) -> int | str:
        start.wait()
        try:
            return publish_draft(one.parts, made.id, "anna", None).number
        except Problem as problem:
            return problem.code

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(go, [broker, other])) == {2, "edition.state"}
    other.office.close()
