"""Sources in the browser: one goes down and comes up again, is tested, and shows no secret."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from broker.bootstrap import read_references
from broker.core.answer import Reason
from broker.core.gate import Breaker
from broker.core.people import ConsoleRole
from broker.flow import register, source_test
from broker.flow.figures import keep_figures
from broker.flow.own_keys import adopt_source_keys
from broker.flow.publish import publish
from broker.flow.sequence import sequence
from broker.ports import Client, Connector
from broker.ports.health import CredentialReference
from broker.web.console.sources import near_limit
from tests.console.kit import PHONE, WIDE, Browser, House, follow
from tests.flow import catalogue, kit
from tests.flow.catalogue import LICENCES, POPULATION, REGISTER
from tests.reach import ScriptedReach

PROBE = {"id_type": "001", "number": kit.company(9), "name": "公司甲9"}


@pytest.fixture
def asking(small: House) -> kit.Broker:
    """A broker whose sources answer as the test says; the licences' probe is agreed."""
    document = catalogue.document()
    document["sources"][LICENCES]["options"] = {"probe": PROBE}
    publish(small.parts, document, None, "editor")
    register.register_client(small.parts, Client(kit.CLIENT, "审批系统", kit.UNIT, None, "active"))
    for source in (LICENCES, REGISTER, POPULATION):
        register.register_grant(small.parts, kit.grant(source))
    return kit.wired(small.office)


def test_an_operator_watches_a_source_go_down_and_come_up(small_browser: Browser, asking: kit.Broker) -> None:
    house = small_browser.house
    watched = small_browser.page(house.account("operator"))
    page = watched.go("/console/sources")
    watched.check()
    assert page.inner_text(".summary li:first-child strong") == "0"
    asking.sources.script[LICENCES] = kit.just(Reason.LATE)
    asking.admit(1)
    asking.work_off()
    while sequence(house.parts):
        pass
    with house.parts.store.write() as work:
        now = work.pulse().now
        work.set_breaker(LICENCES, Breaker.OPEN, now)
        work.commit()
    page = watched.go("/console/sources")
    assert page.inner_text(".summary li:first-child strong") == "1"
    page.click("tbody tr:first-child a")
    page.wait_for_url(f"**/sources/{LICENCES}")
    watched.check()
    assert page.locator("h1 .tag.bad").count() == 1
    assert "unknown.late" in page.inner_text("main")
    assert page.locator("svg.chart").count() == 1
    with house.parts.store.write() as work:
        work.set_breaker(LICENCES, Breaker.CLOSED, None)
        work.commit()
    asking.sources.script[LICENCES] = kit.valid
    asking.admit(2)
    asking.work_off()
    page = watched.go(f"/console/sources/{LICENCES}")
    assert page.locator("h1 .tag.good").count() == 1


def test_a_connection_is_tested_as_a_job_that_can_be_left(small_browser: Browser, asking: kit.Broker) -> None:
    house = small_browser.house
    watched = small_browser.page(house.account("operator"))
    page = watched.go(f"/console/sources/{LICENCES}")
    page.click("#job button")
    page.wait_for_selector("progress")
    watched.check()
    assert source_test.work_off(house.parts)
    page.wait_for_selector("#job li .tag.good")
    assert page.locator("#job li .tag.bad").count() == 0
    asking.sources.script[LICENCES] = kit.just(Reason.AUTHENTICATION)
    page.click("#job button")
    page.wait_for_selector("progress")
    source_test.work_off(house.parts)
    page.wait_for_selector("#job li .tag.bad")
    watched.check()
    told = [one["code"] for one in asking.entries("source_tested")]
    assert told == ["passed", "auth"]
    assert kit.company(9) not in json.dumps(asking.entries("source_test_asked", "source_tested"))


def test_an_operator_stops_a_source_and_is_reminded_until_it_is_open(
    small_browser: Browser, asking: kit.Broker
) -> None:
    house = small_browser.house
    account = house.account("operator")
    watched = small_browser.page(account, "en", PHONE)
    page = watched.go(f"/console/sources/{LICENCES}")
    page.fill("#why", "数源升级")
    follow(page, "#stopping button")
    watched.check()
    assert page.locator("h1 .tag.bad").count() == 1
    assert account.login in page.inner_text(".notice.bad")
    asking.admit(1)
    asking.work_off()
    assert asking.sources.of(LICENCES) == []
    watched.go("/console")
    follow(page, "a[href$='state=stopped']")
    watched.check()
    assert page.locator("#results tbody tr").count() == 1
    assert "(+1)" in page.inner_text("#results tbody"), "what was not sent is counted"
    follow(page, "#results tbody a")
    page.fill("#why", "已修复")
    follow(page, "#stopping button")
    assert page.locator("h1 .tag.bad").count() == 0
    assert "state=stopped" not in house.http(account).get("/console").text


def test_everybody_reads_why_it_is_stopped_and_who_may_not_open_it_sees_no_form(
    small: House, asking: kit.Broker
) -> None:
    operator, path = small.http(small.account("operator")), f"/console/sources/{LICENCES}"
    refused = operator.post(f"{path}/stop", {"why": f"见 {kit.citizen(1)}"})
    assert (refused.status_code, "须写明理由" in refused.text) == (422, True)
    assert operator.post("/console/sources/none/stop", {"why": "停"}).status_code == 404
    assert operator.post(f"{path}/stop", {"why": "答复 <b>有误</b>"}).status_code == 303
    assert operator.post(f"{path}/stop", {"why": "再停"}).status_code == 409
    reader = small.http(small.account("reader"))
    text = reader.get(path).text
    assert "答复 &lt;b&gt;有误&lt;/b&gt;" in text
    assert f"{path}/open" not in text
    assert reader.post(f"{path}/open", {"why": "开"}).status_code == 403
    assert operator.post(f"{path}/open", {"why": "已修复"}).status_code == 303
    assert operator.post(f"{path}/open", {"why": "已修复"}).status_code == 409
    assert [one["why"] for one in asking.entries("source_stopped", "source_opened")] == ["答复 <b>有误</b>", "已修复"]


@pytest.mark.parametrize(
    ("part", "cause", "whose", "todo"),
    [
        ("dns", "unknown", "运维与清单管理", "核对地址中的主机名"),
        ("tcp", "refused", "数源", "主机可达但端口无人监听"),
        ("tls", "issuer", "运维与清单管理", "BROKER_CA_FILE"),
    ],
)
def test_the_road_is_tried_by_its_parts_and_the_broken_one_says_whose_move_it_is(
    small: House, asking: kit.Broker, part: str, cause: str, whose: str, todo: str
) -> None:
    connections = small.parts.connections
    placed = replace(connections["certshare-platform"], endpoint="https://source.example/api")
    small.parts.connections = {**connections, "certshare-platform": placed}
    operator, path = small.http(small.account("operator")), f"/console/sources/{LICENCES}"
    for broken in ({}, {("source.example", part): cause}):
        small.parts.reach = ScriptedReach(broken)
        assert operator.post(f"{path}/test").status_code == 303
        assert source_test.work_off(small.parts)
    assert [one["code"] for one in asking.entries("source_tested")] == ["passed", part]
    assert len(asking.sources.of(LICENCES)) == 1, "beyond what is broken nothing is asked"
    text = operator.get(path).text
    shown = re.findall(r'<span class="tag (\w*)">[^<]+</span> ([^<：]+)', text.split('<ol class="steps">')[1])
    assert [name for tag, name in shown if tag == "bad"] == [
        {"dns": "域名解析", "tcp": "网络连接", "tls": "TLS 证书"}[part]
    ]
    assert f"责任方：{whose}" in text
    assert todo in text
    assert "source.example" not in small.http(small.account("reader")).get(path).text


@pytest.mark.parametrize(("said", "step"), [([], "codes"), ([True], "codes"), ([True, False], "schema")])
def test_a_test_hears_what_the_schema_said_of_the_answer(
    small: House, asking: kit.Broker, said: list[bool], step: str
) -> None:
    def noting(noted: Callable[[bool], None]) -> Mapping[str, Connector]:
        for fits in said:
            noted(fits)
        return small.parts.connectors

    small.parts.noting = noting
    asking.sources.script[LICENCES] = kit.just(Reason.MALFORMED)
    source_test.ask(small.parts, LICENCES, "operator")
    source_test.work_off(small.parts)
    assert asking.entries("source_tested")[-1]["code"] == step


@pytest.mark.parametrize(("source", "step"), [(REGISTER, "probe"), (POPULATION, "connection")])
def test_a_test_names_the_step_that_is_missing(small: House, asking: kit.Broker, source: str, step: str) -> None:
    if step == "connection":
        small.parts.connections = {}
    source_test.ask(small.parts, source, "operator")
    source_test.work_off(small.parts)
    assert not asking.sources.of(source)
    assert asking.entries("source_tested")[-1]["code"] == step
    assert small.http(small.account("operator")).post("/console/sources/none/test").status_code == 404


def test_credentials_are_shown_by_reference_to_the_operator_alone(
    small: House, asking: kit.Broker, tmp_path: Path
) -> None:
    """File name, age and a keyed fingerprint: the value is nowhere, and a new value has another fingerprint."""
    (tmp_path / "secret.txt").write_text("hunter2-and-more")
    entry = {"endpoint": "https://x", "credentials": {"key": {"file": "secret.txt"}, "account": "inline-value"}}
    (tmp_path / "platforms.yaml").write_text(yaml.safe_dump({"platforms": {"certshare-platform": entry}}))
    os.utime(tmp_path / "secret.txt", (0, 0))
    read = read_references(tmp_path / "platforms.yaml", small.parts.vault.pseudonym)["certshare-platform"]
    assert [one.file for one in read] == ["", "secret.txt"]
    small.parts.references = {"certshare-platform": read}
    path = f"/console/sources/{LICENCES}"
    text = small.http(small.account("operator")).get(path).text
    assert "secret.txt" in text
    assert read[1].fingerprint in text
    assert "hunter2" not in text
    assert "inline-value" not in text
    assert "secret.txt" not in small.http(small.account("source-department")).get(path).text
    (tmp_path / "secret.txt").write_text("another")
    again = read_references(tmp_path / "platforms.yaml", small.parts.vault.pseudonym)["certshare-platform"]
    assert again[1].fingerprint != read[1].fingerprint
    assert replace(again[0]) == read[0] == CredentialReference("account", "", read[0].changed_at, read[0].fingerprint)


def test_a_page_tells_how_old_the_data_are_and_whom_an_outage_would_hit(small: House, asking: kit.Broker) -> None:
    reader, path = small.http(small.account("reader"), "en"), f"/console/sources/{LICENCES}"
    text = reader.get(path).text
    assert "no answer of the last week says how old" in text
    assert "No verification has asked it in 14 days" in text
    for number in range(3):
        asking.admit(number)
    asking.work_off()
    asking.sequence_all()
    while keep_figures(small.parts):
        pass
    text = reader.get(path).text
    assert 'tag good">0 days old' in text
    assert "In 1 days 3 verifications asked it: 3.0 a day, and 3 on the busiest" in text
    assert '<td class="number" data-label="Decided by it in 14 days">3</td>' in text
    asking.execute("UPDATE source_health SET data_as_of = data_as_of - 31 * 86400000")
    assert 'tag bad">31 days old' in reader.get(path).text


def test_a_credential_that_only_some_processes_have_is_told(small: House, asking: kit.Broker) -> None:
    """The register has what the process that started last has read; one that was not restarted has another value."""
    read = CredentialReference("key", "secret.txt", datetime.now(UTC), "aa11")
    small.parts.references = {"certshare-platform": [read]}
    operator, path = small.http(small.account("operator"), "en"), f"/console/sources/{LICENCES}"
    assert "not in the register yet" in operator.get(path).text
    adopt_source_keys(small.parts)
    assert "processes differ" not in operator.get(path).text
    small.parts.references = {"certshare-platform": [replace(read, fingerprint="bb22")]}
    assert "processes differ" in operator.get(path).text
    adopt_source_keys(small.parts)
    asking.execute("UPDATE source_key SET changed_at = changed_at - 366 * 86400000")
    assert "over a year: replace it" in operator.get(path).text


@pytest.mark.parametrize(("lang", "size"), [("zh", WIDE), ("en", PHONE)])
def test_the_pages_of_sources_are_sound(browser: Browser, lang: str, size: tuple[int, int]) -> None:
    house = browser.house
    watched = browser.page(house.account("operator"), lang, size)
    page = watched.go("/console/sources")
    watched.check()
    follow(page, "tbody tr:first-child a")
    watched.check()
    assert house.http(house.account("reader")).get("/console/sources/none").status_code == 404


def test_among_many_sources_one_is_found_and_a_limit_is_told_before_it_is_reached(browser: Browser) -> None:
    watched = browser.page(browser.house.role(ConsoleRole.READER))
    page = watched.go("/console/sources")
    every = page.locator("#results tbody tr").count()
    page.fill("#q", "dr-credit-record")
    page.press("#q", "Enter")
    page.wait_for_url("**q=dr-credit-record**")
    assert page.locator("#results tbody tr").count() == 1 < every
    watched.check()
    watched.go("/console/sources?q=nobody-has-this&state=away")
    assert page.locator(".empty").count() == 1
    assert [near_limit(calls, 100) for calls in (0, 79, 80, 101)] == [False, False, True, True]
    assert not near_limit(10**6, None)
