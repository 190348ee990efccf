"""Cases: found by number, id, code or receipt; a verification's path; the sheet, and where its code leads."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import event

from broker.core.receipt import bundle_from, verify_bundle
from broker.flow import register
from broker.flow.retain import Erasure, erase_case
from broker.ports import Client
from tests.console.kit import PHONE, WIDE, Account, Browser, House, follow
from tests.flow import catalogue, kit
from tests.flow.test_orders import CLUB, with_club

MOST_STATEMENTS = 32  # of one page, however much the case has seen; a page far below it is no worse


def stock(house: House) -> kit.Broker:
    """A house whose approval system has asked for one case; every source held what it was asked for."""
    register.register_client(house.parts, Client(kit.CLIENT, "审批系统", kit.UNIT, None, "active"))
    for source in (catalogue.LICENCES, catalogue.REGISTER, catalogue.POPULATION):
        register.register_grant(house.parts, kit.grant(source))
    broker = kit.wired(house.office)
    broker.admit(1)
    broker.work_off()
    broker.sequence_all()
    return broker


def with_order(house: House) -> kit.Broker:
    """A house with one decided verification, and one whose only open question is with a person of the department."""
    broker = with_club(stock(house))
    broker.admit(2, item=CLUB)
    broker.work_off()
    return broker


@pytest.fixture
def asked(small: House) -> kit.Broker:
    """The small house with one decided verification."""
    return stock(small)


def number_of(broker: kit.Broker) -> str:
    return str(broker.rows("SELECT id FROM verification")[0].id)


def clerk(house: House, unit: str = kit.UNIT) -> Account:
    return house.account(f"clerk:unit={unit}")


def views(broker: kit.Broker) -> list[dict[str, Any]]:
    return [one for one in broker.entries("viewed") if "page" in one]  # beside what the frame writes of auditors


@contextmanager
def statements(house: House) -> Iterator[list[str]]:
    """Everything that is run on the database meanwhile."""
    run: list[str] = []

    def note(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        run.append(statement)

    event.listen(house.office.database.engine, "before_cursor_execute", note)
    yield run
    event.remove(house.office.database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize(("lang", "size"), [("zh", WIDE), ("en", PHONE)])
def test_an_auditor_finds_a_case_and_reads_its_path(
    small: House, small_browser: Browser, asked: kit.Broker, lang: str, size: tuple[int, int]
) -> None:
    watched = small_browser.page(small.account("auditor"), lang, size)
    page = watched.go("/console/cases")
    watched.check()
    page.fill("#q", "case-1")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    follow(page, "table a")
    watched.check()
    follow(page, "table a")
    watched.check()
    text = page.inner_text("main")
    for told in ("held.valid", kit.citizen(1), kit.company(1), "张某"):
        assert told not in text
    assert page.locator(".hop").count() == 3
    course = page.locator(".course li")
    assert course.locator("a").count() == course.count() == 2, "admitted and decided, each with its place"
    assert re.search(r"\+ \d+ (ms|毫秒|s|秒)", course.last.inner_text())
    assert all(len(re.findall(r"\d\d:\d\d:\d\d\.\d{3}", one)) >= 4 for one in page.locator(".hop").all_inner_texts())
    subject = asked.receipt(number_of(asked))["applicant"]
    assert [(one["page"], one.get("subject")) for one in views(asked)] == [
        ("cases", None), ("cases", None), ("case", subject), ("verification", subject)
    ]  # fmt: skip
    asked.check()


def test_four_moments_of_a_hop_are_in_their_order(small: House, asked: kit.Broker) -> None:
    from_log = {one["lookup"]: one for one in asked.entries("answered")}
    for row in asked.rows("SELECT id, asked_at, answered_at FROM lookup"):
        due = int(row.id[:12], 16)
        heard = from_log[row.id]["heard"]
        assert due <= row.asked_at
        assert heard <= from_log[row.id]["at"]


def test_a_case_is_found_by_everything_that_names_it(small: House, asked: kit.Broker) -> None:
    visitor, number = small.http(clerk(small)), number_of(asked)
    digest = hashlib.sha256((asked.verification(number).receipt or "").encode()).hexdigest()
    for sought in (number, f"{small.url}/verify/{number}/{digest}"):
        answer = visitor.get("/console/cases", query_string={"q": sought})
        assert answer.headers["Location"] == f"/console/verifications/{number}"
    assert "case-1" in visitor.get("/console/cases?q=case-1").text
    bundle = visitor.get(f"/console/verifications/{number}/bundle").get_data()
    for form in ({"file": (BytesIO(bundle), "r.json")}, {"text": asked.verification(number).receipt}):
        page = visitor.post("/console/cases/receipt", form, content_type="multipart/form-data")
        assert page.status_code == 200
        assert f"/console/verifications/{number}" in page.text
    before = asked.contents(without=("entry", "entry_queue", "session"))
    forged = (asked.verification(number).receipt or "")[:-4] + "AAAA"
    page = visitor.post("/console/cases/receipt", {"text": forged})
    assert page.status_code == 422
    assert visitor.post("/console/cases/receipt", {"text": ""}).status_code == 422
    assert asked.contents(without=("entry", "entry_queue", "session")) == before


def test_a_clerk_of_another_body_finds_nothing_of_it(small: House, asked: kit.Broker) -> None:
    number, stranger = number_of(asked), small.http(clerk(small, kit.DEPARTMENT))
    case = asked.rows("SELECT id FROM case_file")[0].id
    assert "table" not in stranger.get("/console/cases?q=case-1").text
    paths = [f"/console/verifications/{number}{more}" for more in ("", "/sheet", "/bundle")]
    for path in (*paths, f"/console/cases/{case}", f"/console/cases?q={number}"):
        assert stranger.get(path).status_code == 404, path
    receipt = asked.verification(number).receipt
    assert stranger.post("/console/cases/receipt", {"text": receipt}).status_code == 422
    assert {one.get("subject") for one in views(asked)} == {None}, "nothing was shown, so nothing was viewed"


def test_pages_ask_the_database_a_bounded_number_of_times(small: House, asked: kit.Broker) -> None:
    """However many verifications a case has, and however often each was looked at."""
    visitor, number = small.http(small.account("auditor")), number_of(asked)
    case = asked.rows("SELECT id FROM case_file")[0].id
    paths = ["/console/cases?q=case-1", f"/console/cases/{case}", f"/console/verifications/{number}",
             f"/console/verifications/{number}/sheet"]  # fmt: skip
    counts: list[list[int]] = []
    for more in (0, 12):
        for again in range(more):
            asked.submit(kit.request(1, request_id=f"again-{again}"))
        asked.work_off()
        counts.append([])
        for path in paths:
            with statements(small) as run:
                assert visitor.get(path).status_code == 200
            counts[-1].append(len(run))
    assert counts[0] == counts[1]
    assert max(counts[0]) <= MOST_STATEMENTS


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_sheet_prints_whole_and_its_code_leads_to_the_check(
    small: House, small_browser: Browser, asked: kit.Broker, lang: str
) -> None:
    number = number_of(asked)
    watched = small_browser.page(clerk(small), "zh")
    page = watched.go(f"/console/verifications/{number}/sheet?lang={lang}")
    watched.check()
    receipt, text = asked.receipt(number), page.inner_text("article")
    assert all(one["name"][lang] in text for one in receipt["materials"])
    assert all(step["digest"] in text for one in receipt["materials"] for step in one["steps"] if "digest" in step)
    for named in ("李某", "op1", "市监局", kit.UNIT):
        assert named in text
    page.evaluate("window.print = () => document.body.classList.add('printed')")
    page.click("#print")
    assert page.locator("body.printed").count() == 1
    page.emulate_media(media="print")
    assert not page.locator("header.top").is_visible()
    assert 1 <= page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") <= 2
    assert page.locator("article svg.qr").is_visible()
    address = page.inner_text(".address")
    phone = small_browser.page(clerk(small), lang, PHONE)
    phone.go(f"/console/verifications/{number}/sheet")
    phone.check()
    assert not phone.page.locator("tr.on-paper").is_visible()
    ends = phone.page.locator("article thead").evaluate("one => one.getBoundingClientRect().right")
    assert ends < 0, "its heads are read aloud, and cover nothing"
    anybody = small_browser.page(None, lang, PHONE)
    shown = anybody.page.goto(f"{address}?lang={lang}")
    assert shown is not None
    assert shown.status == 200
    anybody.check()
    public = anybody.page.inner_text("main")
    assert all(one["name"][lang] in public for one in receipt["materials"])
    assert "李某" not in public, "anybody may come by the code"
    bundle = small.http(None).get(f"{address.removeprefix(small.url)}/bundle").get_data()
    keys = {one.key_id: one for one in small.office.receipt_keys}
    proven = verify_bundle(bundle_from(bundle), keys, small.office.log_keys)
    assert proven.payload["verification"] == number
    assert proven.position is not None
    assert not re.search(r"999999|张某", address)


def test_a_sheet_is_printed_without_names_once_the_request_is_destroyed(small: House, asked: kit.Broker) -> None:
    path = f"/console/verifications/{number_of(asked)}/sheet"
    visitor = small.http(clerk(small))
    assert "李某" in visitor.get(path).text
    erase_case(small.parts, Erasure(kit.CLIENT, "case-1", "经办人", "本人要求删除"))
    page = visitor.get(path)
    assert page.status_code == 200
    assert "李某" not in page.text
    assert "已随请求到期销毁" in page.text
    assert kit.UNIT in page.text


def test_anybody_verifies_a_file_on_the_spot_and_nothing_is_kept(
    small: House, small_browser: Browser, asked: kit.Broker, tmp_path: Any
) -> None:
    receipt = asked.verification(number_of(asked)).receipt or ""
    before = asked.contents()
    good, bad = tmp_path / "good.jws", tmp_path / "bad.jws"
    good.write_text(receipt)
    bad.write_text(receipt[:-6] + "AAAAAA")
    watched = small_browser.page(None, "zh", PHONE)
    for file, words in ((good, "签名成立"), (bad, "验证未通过")):
        watched.page.goto(f"{small.url}/verify")
        watched.check()
        watched.page.set_input_files("#file", str(file))
        follow(watched.page, "main button")
        assert words in watched.page.inner_text("main [role]")
        watched.check()
    assert asked.contents() == before


def test_a_code_that_was_invented_leads_nowhere(small: House, asked: kit.Broker) -> None:
    number, anybody = number_of(asked), small.http(None)
    for path in (f"/verify/{number}/{'0' * 64}", f"/verify/{'0' * 32}/{'0' * 64}", f"/verify/{number}/x/bundle"):
        answer = anybody.get(path)
        assert (answer.status_code, answer.json["code"] if answer.is_json else json.loads(answer.text)["code"]) == (
            404, "receipt.unknown",
        )  # fmt: skip


def test_what_is_typed_into_the_search_leaves_neither_a_number_nor_what_no_database_keeps(small: House) -> None:
    clerk = small.http(small.account("clerk", login="window1"))
    assert clerk.get(f"/console/cases?q={kit.citizen(1).lower()}").status_code == 200
    assert clerk.get("/console/cases?q=case%00").status_code == 422
    with small.parts.store.read() as work:
        told = [body for _, body in work.unsequenced(1000)]
    looked = [one for one in map(json.loads, told) if one.get("page") == "cases"]
    assert [one.get("case") for one in looked if "list" not in one] == [None]
    assert kit.citizen(1).encode() not in b"".join(told).upper()
