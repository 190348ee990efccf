"""The audit review: find, look at, annotate, export, verify, judge – and every one of these is an entry itself."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page
from sqlalchemy import event, insert

from broker.core.entry import entry
from broker.core.identifiers import HOLDER_TYPES
from broker.core.log_export import Filter, verify_export
from broker.core.misuse import Action, Evidence, RuleName
from broker.core.people import ConsoleRole
from broker.flow import annotate, log_check, register
from broker.flow.sequence import sequence
from broker.ports import Client
from broker.ports.grants import Flag
from broker.store import proof_tables as p
from broker.store.audit_rows import LED_BY
from broker.web.console.audit import MOST_READ, PER_PAGE
from broker.web.console.audit_words import EXPLAINED, KIND_GROUPS, KINDS, RULES
from broker.web.console.case_words import ID_TYPES
from tests.console.kit import PHONE, WIDE, Browser, House, Visitor, follow
from tests.flow import catalogue, kit

XSS = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def worked(house: House) -> kit.Broker:
    """Three decided verifications, every entry in its place."""
    register.register_client(house.parts, Client(kit.CLIENT, "审批系统", kit.UNIT, None, "active"))
    for source in (catalogue.LICENCES, catalogue.REGISTER, catalogue.POPULATION):
        register.register_grant(house.parts, kit.grant(source))
    broker = kit.wired(house.office)
    for number in range(3):
        broker.admit(number)
    broker.work_off()
    with house.parts.store.write() as work:
        facts = {"client": XSS, "operator": XSS, "case": XSS, "source": XSS, "reason": XSS, XSS: XSS}
        work.record([entry("refused", work.pulse().now, **facts)])
        work.commit()
    placed(house)
    return broker


def placed(house: House) -> None:
    while sequence(house.parts):
        pass


def said(house: House, kind: str) -> list[dict[str, Any]]:
    """What the entries of a kind say, in their order."""
    placed(house)
    with house.parts.store.read() as work:
        bodies = [json.loads(body) for body in work.entries(0, work.log_size())]
    return [one for one in bodies if one["kind"] == kind]


@pytest.fixture
def reviewed(small: House) -> House:
    worked(small)
    return small


@pytest.fixture
def auditor(reviewed: House) -> Visitor:
    return reviewed.http(reviewed.account("auditor", login="auditor"))


def places(text: str) -> list[int]:
    """The places of the entries that a page lists."""
    return [int(one) for one in re.findall(r'/audit/entries/(\d+)"', text)]


def test_entries_are_found_by_each_filter_and_every_look_is_an_entry(reviewed: House, auditor: Visitor) -> None:
    admitted = said(reviewed, "admitted")
    asked = {"kind": "asked", "case": "case-1", "operator": "op1", "client": kit.CLIENT, "unit": kit.UNIT,
             "source": catalogue.REGISTER, "outcome": "held.valid", "subject": admitted[0]["subject"],
             "verification": admitted[1]["verification"], "item": catalogue.SHOP, "region": "370400"}  # fmt: skip
    for name, value in asked.items():
        found = places(auditor.get("/console/audit", query_string={name: value}).text)
        with reviewed.parts.store.read() as work:
            bodies = [json.loads(work.entries(place, place + 1)[0]) for place in found]
            whole = [json.loads(one) for one in work.entries(0, work.log_size())]
        fact = "reason" if name == "outcome" else name
        assert bodies, name
        assert bodies == [one for one in reversed(whole) if one.get(fact) == value][:PER_PAGE], name
    looks = [one for one in said(reviewed, "viewed") if one["subject"] == "entries"]
    assert [one["filter"] for one in looks] == [{name: value} for name, value in asked.items()]
    assert {one["login"] for one in looks} == {"auditor"}


def test_entries_are_found_by_a_material_whosever_it_is_and_by_who_signed_in(reviewed: House, auditor: Visitor) -> None:
    decided = [one["verification"] for one in said(reviewed, "decided")]
    found = places(auditor.get("/console/audit", query_string={"material": "licence"}).text)
    with reviewed.parts.store.read() as work:
        bodies = [json.loads(work.entries(place, place + 1)[0]) for place in found]
    assert sorted(one["verification"] for one in bodies) == sorted(decided)
    text = auditor.get("/console/audit", query_string={"login": "auditor"}).text
    assert text.count("开通账号") > 1, "by whom it was done, and to whose account"
    placed(reviewed)
    text = auditor.get("/console/audit", query_string={"login": "auditor", "kind": "viewed"}).text
    assert len(places(text)) >= 2
    other = reviewed.account("auditor", login="other")
    text = reviewed.http(other).get("/console/audit", query_string={"login": "nobody"}).text
    assert not places(text)


def test_sources_and_outcomes_are_chosen_and_kinds_stand_in_their_groups(reviewed: House, auditor: Visitor) -> None:
    for lang, words in (("zh", ("核验过程", "属实", "向数源发出查询")), ("en", ("The path", "held", "source asked"))):
        auditor.client.set_cookie("broker-lang", lang, domain="127.0.0.1")
        page = auditor.get("/console/audit", query_string={"outcome": "strange", "source": "gone", "kind": "odd"}).text
        options = set(re.findall(r'<option value="([^"]*)"', page))
        assert {catalogue.REGISTER, "held.valid", "unknown.late", "370400", "gone", "strange"} <= options
        assert "<option selected>odd</option>" in page
        assert all(word in page for word in words)
    kinds = [kind for _, group in KIND_GROUPS for kind in group]
    assert sorted(kinds) == sorted(KINDS), "each kind stands in one group"
    assert set(ID_TYPES) == set(HOLDER_TYPES)


def test_an_entry_says_what_its_codes_mean(reviewed: House, auditor: Visitor) -> None:
    for kind, words in (("answered", "权威数据核验一致"), ("decided", "held.valid · 权威数据核验一致")):
        place = places(auditor.get("/console/audit", query_string={"kind": kind}).text)[0]
        assert words in auditor.get(f"/console/audit/entries/{place}").text, kind


def test_a_browser_lets_an_id_through_and_nothing_else(auditor: Visitor) -> None:
    """The form that it must have stands in the field as an attribute; a browser would refuse a wrong one's every id."""
    text = auditor.get("/console/audit").text
    for name in ("verification", "subject"):
        field = re.search(rf'<input [^>]*name="{name}"[^>]*>', text)
        assert field
        assert ' pattern="[0-9a-f]{32}" title="' in field[0]


def test_a_period_is_days_in_china_with_the_last_one_included(auditor: Visitor) -> None:
    today = (datetime.now(UTC) + timedelta(hours=8)).date()
    for since, until, some in ((today, today, True), (today + timedelta(days=1), None, False),
                               (None, today - timedelta(days=1), False)):  # fmt: skip
        query = {"kind": "admitted", "since": str(since or ""), "until": str(until or "")}
        assert bool(places(auditor.get("/console/audit", query_string=query).text)) is some, query
    answer = auditor.get("/console/audit", query_string={"since": "2026-13-45"})
    assert (answer.status_code, "YYYY-MM-DD" in answer.text) == (422, True)


def grown(house: House, count: int) -> None:
    """A longer index: rows whose entries are one and the same, so that only finding them is measured."""
    now = datetime.now(UTC)
    with house.office.database.begin(write=True) as connection:
        first = connection.exec_driver_sql("SELECT max(position) FROM log_index").scalar_one() + 1
        connection.execute(insert(p.log_index), [
            {"position": first + number, "at": now, "kind": "asked", "client_id": "other",
             "operator": f"op{number % 7}", "source": "register", "unit": "u"}
            for number in range(count)
        ])  # fmt: skip
        connection.commit()


def wanting(name: str) -> Filter:
    """A filter of one fact that no entry has."""
    facts: dict[str, Any] = {name: "x"}
    return Filter(**facts)


def test_a_page_costs_a_few_statements_however_long_the_log_is(reviewed: House) -> None:
    """No filter, and no mixture of filters, reads more rows than a page may; each begins with an index."""
    grown(reviewed, 3 * 500)
    told: list[str] = []

    def noted(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            told.append(statement)

    event.listen(reviewed.office.database.engine, "before_cursor_execute", noted)
    now = datetime.now(UTC)
    period = Filter(now - timedelta(days=1), now + timedelta(days=1), kind="asked", outcome="held.valid")
    for wanted in (Filter(), period, *map(wanting, LED_BY)):
        told.clear()
        with reviewed.parts.store.glance() as work:
            work.search(wanted, 1 << 62, PER_PAGE, 500)
        assert len(told) <= 4, told
        with reviewed.office.database.begin(write=False) as connection:
            lines = [str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}", (1,) * one.count("?")).all())
                     for one in told]  # fmt: skip
        scans = [line for line in lines if re.search(r"SCAN (log_index|log_named|log_leaf|entry)(?! USING)", line)]
        assert not scans, (wanted, scans)
    assert PER_PAGE < MOST_READ


def test_pages_lead_downwards_without_gap_or_repetition(reviewed: House) -> None:
    with reviewed.parts.store.read() as work:
        size, seen, before = work.log_size(), [], 1 << 62
        while True:
            stretch = work.search(Filter(), before, 7, 500)
            seen += [one.position for one in stretch.found]
            if stretch.further is None:
                break
            before = stretch.further
        assert seen == list(reversed(range(size)))
        sparse = work.search(Filter(client=kit.CLIENT, kind="published"), 1 << 62, 7, 1)
        assert (list(sparse.found), sparse.further) == ([], 0)


def dropped(page: Page, selector: str, file: Path) -> None:
    """Drag a file from the desk onto a field, as the browser itself hears of it."""
    box = page.locator(selector).bounding_box()
    assert box
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    desk = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        desk.send("Input.dispatchDragEvent", {"type": step, **place, "data": data})


def saved(page: Page, selector: str, file: Path) -> Path:
    """The file that a click gives."""
    with page.expect_download() as download:
        page.click(selector)
    download.value.save_as(file)
    return file


def test_an_auditor_follows_a_flag_to_its_proof_and_is_seen_doing_so(small_browser: Browser, tmp_path: Path) -> None:
    """The flag, why it was raised, its entry, why it was decided so, a file dropped; at last the log about oneself."""
    house = small_browser.house
    worked(house)
    number = said(house, "decided")[1]["verification"]
    flagged(house, RuleName.SEQUENCE, Action.STOP, verification=number)
    placed(house)
    watched = small_browser.page(house.account("auditor", login="auditor"))
    page = watched.go("/console")
    follow(page, "main a[href$='/audit/flags']")
    follow(page, "tbody th a")
    assert "号码连续" in page.inner_text("h1")
    assert EXPLAINED[RuleName.SEQUENCE]["zh"] in page.inner_text("main")
    watched.check()
    follow(page, f"main li a:has-text('{number}')")
    assert page.locator("section .notice.good").count() == 1, "the entry's own proof"
    follow(page, "main .actions a")
    assert page.url.endswith(f"/console/verifications/{number}")
    for words in ("决定说明", "查询时间线", "营业执照"):
        assert words in page.inner_text("main"), words
    receipt = saved(page, f"main .actions a[href*='/verifications/{number}/bundle']", tmp_path / "receipt.json")
    follow(page, "main table a[href*='/audit/entries/']")
    page.fill("#text", XSS)
    page.click("section form button")
    page.wait_for_selector(".notes li")
    assert XSS in page.inner_text(".notes")
    watched.check()
    page = watched.go("/console/audit/verify")
    dropped(page, "#file", receipt)
    assert page.evaluate("document.querySelector('#file').files.length") == 1
    follow(page, "main button")
    assert number in page.inner_text("section .notice.good ~ dl")
    watched.check()
    placed(house)
    page = watched.go("/console/audit?kind=decided")
    page.click("details.export summary")
    page.fill("#reason", "年度检查")
    file = saved(page, "details.export button", tmp_path / "export.jsonl")
    assert verify_export(io.BytesIO(file.read_bytes()), house.parts.log_keys).entries == 3
    page = watched.go("/console/audit/verify")
    dropped(page, "#file", file)
    follow(page, "main button")
    assert page.locator("section .notice.good").count() == 1
    told = said(house, "exported")[-1]
    assert (told["by"], told["why"], told["filter"]) == ("auditor", "年度检查", {"kind": "decided"})
    assert said(house, "annotated")[-1].keys() >= {"position", "digest", "by"}
    page = watched.go("/console/audit?login=auditor")
    seen = page.inner_text("tbody")
    assert all(words in seen for words in ("导出日志", "批注", "在管理台查看"))
    subjects = {one["subject"] for one in said(house, "viewed") if one["login"] == "auditor"}
    assert {f"console.audit_{page}" for page in ("flags", "flag", "entry", "verifying")} <= subjects
    watched.check()


@pytest.mark.parametrize(("lang", "size"), [("zh", WIDE), ("en", PHONE)])
def test_the_audit_pages_are_sound_in_both_languages(browser: Browser, lang: str, size: tuple[int, int]) -> None:
    house = browser.house
    placed(house)
    flag = flagged(house, RuleName.PLACEHOLDER, Action.FLAG)
    watched = browser.page(house.role(ConsoleRole.AUDITOR), lang, size)
    for path in ("", "/entries/0", "/flags", f"/flags/{flag}", "/log", "/verify", "?case=nobody's"):
        watched.go(f"/console/audit{path}")
        watched.check()


def test_a_search_is_one_entry_however_slowly_it_is_typed(small_browser: Browser) -> None:
    house = small_browser.house
    page = small_browser.page(house.account("auditor", login="auditor")).page
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/static/" not in one.url else None)
    searched = {"/list": "sharing_index", "/list/materials": "sharing_materials", "/sources": "sources_index"}
    for path in searched:
        page.goto(f"{house.url}/console{path}")
        asked.clear()
        page.focus("#q")
        page.keyboard.type("lic", delay=150)
        page.wait_for_timeout(400)  # somebody thinks
        assert asked == [], path
        with page.expect_response(f"**{path}?*"):
            page.keyboard.press("Enter")
        page.wait_for_timeout(200)
        assert len(asked) == 1, path
    opened = [one["subject"] for one in said(house, "viewed")]
    assert opened == [f"console.{name}" for name in searched.values() for _ in ("opened", "searched")]


def test_what_is_written_into_entries_and_annotations_is_never_markup(reviewed: House, auditor: Visitor) -> None:
    place = places(auditor.get("/console/audit", query_string={"kind": "refused"}).text)[0]
    assert auditor.post(f"/console/audit/entries/{place}/annotate", {"text": XSS}).status_code == 303
    for path in ("/console/audit", f"/console/audit/entries/{place}", f"/console/audit?case={XSS}"):
        text = auditor.get(path).text
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path
    assert "&lt;script&gt;alert" in auditor.get(f"/console/audit/entries/{place}").text


def test_an_annotation_names_no_person_and_changes_nothing_else(reviewed: House, auditor: Visitor) -> None:
    for text in ("", "  ", f"号码 {kit.citizen(1)}", f"电话{kit.PHONE}", kit.company(3), "长" * (annotate.LONGEST + 1)):
        answer = auditor.post("/console/audit/entries/3/annotate", {"text": text})
        assert answer.status_code == 422, text
    assert auditor.post("/console/audit/entries/99999/annotate", {"text": "没有"}).status_code == 404
    with reviewed.parts.store.read() as work:
        before = work.entries(3, 4)
        assert not work.annotations(position=3)
    assert not said(reviewed, "annotated")
    assert auditor.post("/console/audit/entries/3/annotate", {"text": "已核对"}).status_code == 303
    with reviewed.parts.store.read() as work:
        assert work.entries(3, 4) == before
        assert [(one.by, one.text) for one in work.annotations(position=3)] == [("auditor", "已核对")]


def test_an_export_needs_a_reason_and_without_a_filter_is_the_whole_log(reviewed: House, auditor: Visitor) -> None:
    for reason in ("", " ", f"核对 {kit.citizen(1)}"):
        assert auditor.post("/console/audit/export", {"kind": "asked", "reason": reason}).status_code == 422
    assert not said(reviewed, "exported")
    answer = auditor.post("/console/audit/export", {"reason": "检查", "format": "csv"})
    found = verify_export(answer.data.splitlines(keepends=True), reviewed.parts.log_keys)
    assert found.whole
    assert answer.headers["Content-Disposition"].endswith('.csv"')


def upload(auditor: Visitor, body: bytes) -> str:
    """What the page says of a file."""
    form = {"file": (io.BytesIO(body), "证据.json")}
    text: str = auditor.post("/console/audit/verify", form, content_type="multipart/form-data").text
    return text


def test_a_receipt_is_verified_and_every_change_to_it_is_told_in_words(reviewed: House, auditor: Visitor) -> None:
    with reviewed.parts.store.read() as work:
        number = said(reviewed, "decided")[0]["verification"]
        stored = work.verification(number)
    assert stored is not None
    assert stored.receipt is not None
    receipt = stored.receipt.encode()
    assert "凭证真实" in upload(auditor, receipt)
    assert "营业执照" in upload(auditor, receipt)
    middle = len(receipt) // 2
    changed = receipt[:middle] + (b"A" if receipt[middle : middle + 1] != b"A" else b"B") + receipt[middle + 1 :]
    for lie in (changed, receipt[:-200], b"hello", b""):
        assert "核验不通过" in upload(auditor, lie)
    views = [one for one in said(reviewed, "viewed") if one["subject"] == "file"]
    assert len(views) == 6
    assert auditor.post("/console/audit/verify", {}).status_code == 422


def test_an_export_of_which_one_entry_was_changed_does_not_hold(reviewed: House, auditor: Visitor) -> None:
    data = auditor.post("/console/audit/export", {"reason": "检查", "kind": "asked"}).data
    assert "与本平台当前日志一致" in upload(auditor, data)
    assert "核验不通过" in upload(auditor, data.replace(b"register", b"registeR", 1))
    assert "核验不通过" in upload(auditor, data[: len(data) // 2])


def test_only_auditors_may_send_large_files(reviewed: House, auditor: Visitor) -> None:
    operator = reviewed.http(reviewed.account("operator"))
    for visitor, status in ((auditor, 200), (operator, 413)):
        answer = requests.post(
            f"{reviewed.url}/console/audit/verify", data={"csrf": visitor.csrf}, cookies={"broker": visitor.secret},
            files={"file": ("x", b'{"export":' + b"x" * 600 * 1024)}, headers={"Origin": reviewed.url}, timeout=20,
        )  # fmt: skip
        assert answer.status_code == status


def test_the_whole_log_is_verified_as_a_job_that_can_be_watched_and_cancelled(small_browser: Browser) -> None:
    house = small_browser.house
    worked(house)
    watched = small_browser.page(house.account("auditor", login="auditor"))
    page = watched.go("/console/audit/log")
    page.click("#job button")
    page.wait_for_selector("progress")
    watched.check()
    page.click("#job button")
    page.wait_for_selector("#job .notice")
    assert not log_check.work_off(house.parts)
    page.click("#job button")
    page.wait_for_selector("progress")
    assert log_check.work_off(house.parts)
    page.wait_for_selector("#job .tag.good")
    watched.check()
    assert [one["holds"] for one in said(house, "log_checked")] == [True]
    assert len(said(house, "log_check_cancelled")) == 1


def test_a_damaged_log_is_told_with_its_place(reviewed: House, auditor: Visitor) -> None:
    with reviewed.office.database.begin(write=True) as connection:
        guards = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%UPDATE ON entry%'"
        for (name,) in connection.exec_driver_sql(guards).all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql("UPDATE entry SET body = CAST(replace(body, 'op1', 'op2') AS BLOB) WHERE id = 7")
        connection.commit()
    log_check.ask(reviewed.parts, "auditor")
    log_check.work_off(reviewed.parts)
    text = auditor.get("/console/audit/log").text
    assert "log.damaged" in text
    assert "entry 6" in text
    assert said(reviewed, "log_checked")[0]["holds"] is False


def flagged(house: House, rule: RuleName, action: Action, number: str = "", verification: str = "f" * 32) -> str:
    """A flag as the watch raises it."""
    with house.parts.store.write() as work:
        now = work.pulse().now
        number = number or f"{int(now.timestamp() * 1000):012x}{'0' * 20}"
        operator = f"{kit.CLIENT}/{kit.UNIT}/op1"
        work.add_flag(Flag(number, rule, kit.CLIENT, operator, action, "open", now, Evidence(12, (verification,))))
        work.record([entry("operator_stopped", now, flag=number)])
        work.commit()
    return number


def test_flags_are_found_by_rule_state_and_operator_page_by_page(reviewed: House, auditor: Visitor) -> None:
    hours = [flagged(reviewed, RuleName.AFTER_HOURS, Action.FLAG, f"{number:032x}") for number in range(PER_PAGE + 1)]
    other = flagged(reviewed, RuleName.SEQUENCE, Action.STOP)

    def found(**asked: str) -> list[str]:
        return re.findall(r'/audit/flags/(\w{32})"', auditor.get("/console/audit/flags", query_string=asked).text)

    assert found(rule="sequence") == [other]
    assert found(operator="op1") == found(state="open") == found()
    assert (len(found()), found(state="cleared"), found(operator="nobody")) == (PER_PAGE, [], [])
    pages = [*found(rule="after-hours"), *found(rule="after-hours", first=str(PER_PAGE))]
    assert sorted(pages) == hours
    assert auditor.post(f"/console/audit/flags/{other}", {"verdict": "clear", "text": "已核"}).status_code == 303
    assert found(state="cleared") == [other]
    assert "没有符合条件的异常标记" in auditor.get("/console/audit/flags?operator=nobody").text


def test_a_flag_is_confirmed_or_cleared_with_a_note(reviewed: House, auditor: Visitor) -> None:
    number = flagged(reviewed, RuleName.SEQUENCE, Action.STOP)
    path = f"/console/audit/flags/{number}"
    assert "12" in auditor.get(path).text
    for verdict in ("confirm", "clear"):
        assert auditor.post(path, {"verdict": verdict, "text": " "}).status_code == 422
    assert auditor.post(path, {"verdict": "confirm", "text": "确系逐号查询"}).status_code == 303
    text = auditor.get(path).text
    assert "确系逐号查询" in text
    with reviewed.parts.store.read() as work:
        assert [one.state for one in work.flags()] == ["open"], "a confirmed flag goes on stopping"
    assert auditor.post(path, {"verdict": "clear", "text": "已处理"}).status_code == 303
    assert auditor.post(path, {"verdict": "confirm", "text": "晚了"}).status_code == 422
    assert [one["flag"] for one in (*said(reviewed, "flag_confirmed"), *said(reviewed, "operator_released"))] == [
        number, number,
    ]  # fmt: skip
    assert auditor.get("/console/audit/flags/none").status_code == 404


def test_every_kind_of_entry_and_every_rule_has_its_words() -> None:
    steps = "".join(path.read_text("utf-8") for path in Path("broker/flow").glob("*.py"))
    written = set(re.findall(r'(?:entry|note|_told)\(\s*(?:parts, )?"([a-z_]+)"', steps))
    assert written <= KINDS.keys(), written - KINDS.keys()
    assert set(RULES) == set(EXPLAINED) == set(RuleName)
