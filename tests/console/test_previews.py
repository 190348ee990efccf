"""The preview before publishing, over real verifications, and the coverage page: figures that were counted by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from broker.core.errors import Problem
from broker.core.people import ConsoleRole
from broker.flow import preview, register
from broker.flow import publish as steps
from broker.ports import Client
from broker.ports.console import Job
from tests.console.kit import PHONE, WIDE, Browser, House
from tests.flow import catalogue, kit

HELD = 3


@pytest.fixture
def asked(small: House) -> kit.Broker:
    """Three decided verifications of the shop; every source held everything."""
    register.register_client(small.parts, Client(kit.CLIENT, "审批系统", kit.UNIT, None, "active"))
    for source in (catalogue.LICENCES, catalogue.REGISTER, catalogue.POPULATION):
        register.register_grant(small.parts, kit.grant(source))
    broker = kit.wired(small.office)
    for number in range(HELD):
        broker.admit(number)
    broker.work_off()
    return broker


def draft_of(house: House, document: Mapping[str, Any]) -> str:
    return steps.draft(house.parts, document, "editor", "改").id


def result_of(house: House, job: Job) -> dict[str, Any]:
    while preview.work_off(house.parts):
        pass
    with house.parts.store.read() as work:
        done = work.job(job.id)
    assert done is not None
    assert (done.state, done.done, done.total) == ("done", HELD, HELD)
    result: dict[str, Any] = json.loads(done.result or "")
    return result


def totals(result: Mapping[str, Any], source: str) -> list[int]:
    """How often a source was asked under the one list and the other."""
    return [one["total"] for one in result["calls"][source]]


def begun(house: House, number: str) -> Job:
    return preview.ask(house.parts, number, 7, "editor", lambda _: [])


def test_the_same_list_changes_nothing(small: House, asked: kit.Broker) -> None:
    result = result_of(small, begun(small, draft_of(small, catalogue.document())))
    assert result["replayed"] == HELD
    assert not any(result[name] for name in ("gained", "lost", "not_met", "unsure", "fields", "refused"))
    sources = (catalogue.LICENCES, catalogue.REGISTER, catalogue.POPULATION)
    calls = {source: len(asked.sources.of(source)) for source in sources}
    assert {source: [one["total"] for one in both] for source, both in result["calls"].items()} == {
        source: [count, count] for source, count in calls.items()
    }
    assert set(calls.values()) == {HELD}


def test_a_row_that_is_only_proposed_again_loses_its_exemptions_and_spares_its_calls(
    small: House, asked: kit.Broker
) -> None:
    document = catalogue.document()
    document["materials"]["identity"]["chain"][0]["state"] = "proposed"
    result = result_of(small, begun(small, draft_of(small, document)))
    line = {"material": "identity@legal_representative", "item": catalogue.SHOP, "region": catalogue.REGION,
            "client": kit.CLIENT, "count": HELD}  # fmt: skip
    assert (result["lost"], result["gained"]) == ([line], [])
    assert totals(result, catalogue.POPULATION) == [HELD, 0]
    assert {(one["change"], one["source"], one["field"]) for one in result["fields"]} == {
        ("lost", catalogue.POPULATION, "match")
    }


def test_what_was_never_asked_stays_unsure_and_its_fields_are_told(small: House, asked: kit.Broker) -> None:
    """The population register is asked for one field more: nobody knows what it would have said."""
    document = catalogue.document()
    document["sources"][catalogue.POPULATION]["fields"].append("address")
    document["materials"]["identity"]["chain"][0]["fields"].append("address")
    result = result_of(small, begun(small, draft_of(small, document)))
    assert [(one["material"], one["count"]) for one in result["unsure"]] == [("identity@legal_representative", HELD)]
    assert not result["gained"]
    assert not result["lost"]
    assert [(one["change"], one["field"], one["count"]) for one in result["fields"]] == [("gained", "address", HELD)]
    assert totals(result, catalogue.POPULATION) == [HELD, HELD]


def test_what_others_changed_since_is_not_told_of_the_draft(small: House, asked: kit.Broker) -> None:
    """A grant that was suspended, a record that was marked, an edition that came: both sides are under today's."""
    document = catalogue.document()
    document["materials"]["identity"]["chain"][0]["state"] = "proposed"
    steps.publish(small.parts, document, None, "editor")
    result = result_of(small, begun(small, draft_of(small, document)))
    assert not any(result[name] for name in ("gained", "lost", "not_met", "unsure", "fields", "refused"))
    with small.office.database.engine.begin() as connection:
        suspended = text("UPDATE access_grant SET state = 'suspended' WHERE source = :source")
        connection.execute(suspended, {"source": catalogue.REGISTER})
        connection.execute(text("UPDATE policy SET version = version + 1"))
    result = result_of(small, begun(small, draft_of(small, document)))
    assert not any(result[name] for name in ("gained", "lost", "not_met", "unsure", "fields", "refused"))
    assert totals(result, catalogue.LICENCES) == [HELD, HELD]
    assert catalogue.REGISTER not in result["calls"], "nobody may ask it today"


def test_a_marked_record_is_unknown_to_the_replay_as_it_is_to_the_flow(small: House, asked: kit.Broker) -> None:
    """The register's answer about one licence holder is disputed: what rests on it falls back, draft or no draft."""
    with small.office.database.engine.begin() as connection:
        found = text("SELECT about FROM lookup WHERE source = :source")
        about = connection.execute(found, {"source": catalogue.POPULATION}).scalars().all()
    with small.parts.store.read() as work:
        policy = small.parts.policy(work, work.pulse())
    small.parts._policy = replace(policy, marks={catalogue.POPULATION: frozenset(about[:1])})
    left = HELD - about.count(about[0])
    document = catalogue.document()
    document["materials"]["identity"]["chain"][0]["state"] = "proposed"
    result = result_of(small, begun(small, draft_of(small, document)))
    assert sum(one["count"] for one in result["lost"]) == left, "the disputed one is exempt on neither side"


def test_an_item_that_leaves_the_list_refuses_its_requests(small: House, asked: kit.Broker) -> None:
    document = catalogue.document()
    document["items"][catalogue.SHOP]["effective"] = {"to": "2020-01-01", "reason": "已取消"}
    result = result_of(small, begun(small, draft_of(small, document)))
    assert result["refused"] == [
        {"code": "request.item-not-in-force", "what": catalogue.SHOP, "region": catalogue.REGION, "count": HELD}
    ]


def test_nothing_of_a_person_stands_in_a_job(small: House, asked: kit.Broker) -> None:
    job = begun(small, draft_of(small, catalogue.document()))
    result_of(small, job)
    with small.parts.store.read() as work:
        kept = repr(work.jobs(preview.KIND, 10))
    assert "张某" not in kept
    assert kit.citizen(0) not in kept


def test_a_cancelled_preview_is_not_carried_on_and_a_dead_ones_lease_runs_out(small: House, asked: kit.Broker) -> None:
    number = draft_of(small, catalogue.document())
    job = begun(small, number)
    preview.cancel(small.parts, job.id, "editor")
    assert not preview.work_off(small.parts)
    job = begun(small, number)
    with small.parts.store.write() as work:
        now = work.pulse().now
        claimed = work.claim_job(preview.KIND, now, now)  # whoever claimed it has died since
        work.commit()
    assert claimed is not None
    result_of(small, job)
    with small.parts.store.write() as work:
        assert not work.keep_job(claimed), "and comes too late now"


def test_a_draft_that_changed_meanwhile_fails_its_preview(small: House, asked: kit.Broker) -> None:
    number = draft_of(small, catalogue.document())
    job = begun(small, number)
    row = catalogue.document()["items"][catalogue.SHOP] | {"type": "公共服务"}
    steps.edit(small.parts, number, "editor", 1, "items", catalogue.SHOP, row, lambda _before, _after: None)
    assert preview.work_off(small.parts)
    with small.parts.store.read() as work:
        kept = work.job(job.id)
    assert kept is not None
    assert kept.state == "failed"
    with pytest.raises(Problem, match="request.parameter"):
        preview.ask(small.parts, number, 400, "editor", lambda _: [])


def test_a_preview_is_started_watched_left_and_read_with_the_keyboard_alone(
    small_browser: Browser, asked: kit.Broker
) -> None:
    house = small_browser.house
    document = catalogue.document()
    document["materials"]["identity"]["chain"][0]["state"] = "proposed"
    number = draft_of(house, document)
    watched = small_browser.page(house.account("list-approver", login="approver"))
    page = watched.go(f"/console/drafts/{number}/preview")
    watched.check()
    page.focus("#days")
    page.keyboard.press("Enter")
    page.wait_for_selector("progress")
    watched.check()
    while preview.work_off(house.parts):
        pass
    page.wait_for_selector("#job .summary")
    watched.check()
    assert "身份证明" in page.inner_text("#job")
    english = small_browser.page(house.account("list-editor", login="editor"), "en", PHONE)
    english.go(f"/console/drafts/{number}/preview")
    english.check()


@pytest.mark.parametrize(("lang", "size"), [("zh", WIDE), ("en", PHONE)])
def test_the_coverage_page_is_sound_and_its_figures_are_the_lists(
    browser: Browser, lang: str, size: tuple[int, int]
) -> None:
    watched = browser.page(browser.house.role(ConsoleRole.READER), lang, size)
    page = watched.go("/console/coverage")
    watched.check()
    total = [int(one) for one in page.locator("#results .summary").first.locator("strong").all_inner_texts()]
    assert total[1] == sum(total[2:])
    page.select_option("#by", "department")
    page.wait_for_url("**by=department**")
    watched.check()
