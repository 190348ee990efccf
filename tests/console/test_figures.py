"""Figures, paper taken and the supply ledger in the browser: read, filtered, exported; a department sees its own."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from broker.core.answer import Reason
from broker.core.people import ConsoleRole
from broker.flow import register
from broker.flow.collect import collect
from broker.flow.figures import fold
from broker.flow.publish import draft, publish_draft, review, submit
from broker.ports import Client
from broker.web.console import papers
from broker.web.console.sheets import Table, written
from tests.console.kit import PHONE, Browser, House, rows_in
from tests.flow import catalogue, kit

DECIDED, MATERIALS = 3, 4
NOTE = "申请人坚持提交"


@pytest.fixture
def counted(small: House) -> kit.Broker:
    """Three decided verifications of the shop, one of them without an identity, and two reports of paper."""
    register.register_client(small.parts, Client(kit.CLIENT, "审批系统", kit.UNIT, None, "active"))
    for source in (catalogue.LICENCES, catalogue.REGISTER, catalogue.POPULATION):
        register.register_grant(small.parts, kit.grant(source))
    broker = kit.wired(small.office)
    unknown = kit.citizen(0)
    broker.sources.script[catalogue.POPULATION] = lambda question: (
        kit.just(Reason.NOT_FOUND) if question.subject.number == unknown else kit.valid
    )(question)
    for number in range(DECIDED):
        broker.admit(number)
    broker.work_off()
    broker.sequence_all()
    while fold(broker.parts):
        pass
    _report(broker, "case-1", {"material": "licence", "reason": "clerk_habit", "note": NOTE}, {"material": "form"})
    _report(broker, "case-9", {"material": "licence", "reason": "law_demands_original", "original": True})
    return broker


def _report(broker: kit.Broker, case: str, *papers: dict[str, Any]) -> None:
    document = {
        "request_id": case, "case": {"number": case}, "region": catalogue.REGION, "item": catalogue.SHOP,
        "operator": {"id": "op7", "unit": kit.UNIT}, "materials": list(papers),
    }  # fmt: skip
    collect(broker.parts, document, json.dumps(document).encode(), kit.as_client())


def _saved(page: Any, words: str, folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.click(f"text={words}")
    path: Path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_an_operator_reads_the_figures_filters_them_and_keeps_them_as_files(
    small_browser: Browser, counted: kit.Broker, tmp_path: Path
) -> None:
    watched = small_browser.page(small_browser.house.role(ConsoleRole.OPERATOR))
    page = watched.go("/console/figures")
    watched.check()
    cards = page.locator(".summary strong").all_inner_texts()
    saved = MATERIALS * DECIDED - DECIDED - 1  # the form is nobody's, and one identity was not found
    on_site = saved  # nobody demanded the original of what a receipt exempted
    assert cards[:3] == [str(saved), str(on_site), str(MATERIALS * DECIDED)]
    assert cards[3] == f"{saved / (MATERIALS * DECIDED):.1%}"
    page.select_option("#by", "source")
    page.wait_for_url("**by=source**")
    watched.check()
    path = _saved(page, "导出 XLSX", tmp_path)
    sheet = load_workbook(path).worksheets[0]
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert rows[0][:2] == ["数源", "标识"]
    assert sum(int(str(row[2])) for row in rows[1:]) == MATERIALS * DECIDED
    assert {row[1] or "" for row in rows[1:]} == {"", catalogue.LICENCES, catalogue.REGISTER, catalogue.POPULATION}
    text = _saved(page, "导出 CSV", tmp_path).read_text("utf-8-sig")
    assert [row[2] for row in rows_in(text)[0]][1:] == [str(row[2]) for row in rows[1:]]
    page.select_option("#month", index=2)
    page.wait_for_url("**month=20**")
    assert "该范围没有数据" in page.inner_text("#results")
    watched.check()
    small = small_browser.page(small_browser.house.role(ConsoleRole.READER), "en", PHONE)
    small.go("/console/figures?by=item")
    small.check()


def _refuse(broker: kit.Broker) -> None:
    """One request of the shop that names no body that there is, folded."""
    document = kit.request(77)
    wrong = document["operator"] | {"unit": "11370400MB2857038N"}  # its check character is another
    assert broker.refused(document | {"operator": wrong}).code == "request.identifier"
    broker.sequence_all()
    while fold(broker.parts):
        pass


def test_a_year_a_quarter_and_a_free_period_are_told_by_every_filter_with_refusals_by_reason(
    small: House, counted: kit.Broker
) -> None:
    _refuse(counted)
    visitor = small.http(small.role(ConsoleRole.READER), "en")
    month = counted.rows("SELECT max(day) AS day FROM figures_day")[0].day[:7]
    quarter = f"{month[:4]}-Q{(int(month[5:]) + 2) // 3}"
    total = f"<strong>{MATERIALS * DECIDED}</strong>"
    for asked in (f"month={month[:4]}", f"month={quarter}", f"since=2025-01&until={month}", f"month={month}"):
        page = visitor.get(f"/console/figures?{asked}").text
        assert total in page, asked
        assert "request.identifier" in page, asked
    assert total not in visitor.get("/console/figures?month=2025").text
    by_mode = [
        rows_in(visitor.get(f"/console/figures/export/csv?month={month}&by=month&mode={mode}"))[0]
        for mode in ("certificate", "data_verify", "data_query", "submission")
    ]
    counts = [sum(int(row[2]) for row in found[1:]) for found in by_mode]
    assert sum(counts) == MATERIALS * DECIDED
    assert all(count < MATERIALS * DECIDED for count in counts)
    cycle = catalogue.document()["scenes"][catalogue.SCENE]["life_cycle"]
    other = "individual" if cycle == "enterprise" else "enterprise"
    assert total in visitor.get(f"/console/figures?life_cycle={cycle}&item={catalogue.SHOP}").text
    assert total not in visitor.get(f"/console/figures?life_cycle={other}").text
    (head, *rows), _ = rows_in(visitor.get(f"/console/figures/export/csv?month={quarter}&table=crossed"))
    assert dict(zip(head, rows[0], strict=True))[f"{month} Materials decided"] == str(MATERIALS * DECIDED)
    refusals, _ = rows_in(visitor.get("/console/figures/export/csv?table=refusals"))
    assert refusals[1][1:] == ["request.identifier", "1"]


def test_paper_taken_leads_from_the_rates_to_the_reports_and_that_is_logged(
    small_browser: Browser, counted: kit.Broker, tmp_path: Path
) -> None:
    watched = small_browser.page(small_browser.house.role(ConsoleRole.OPERATOR))
    page = watched.go("/console/papers")
    watched.check()
    assert page.locator(".summary strong").all_inner_texts()[:5] == ["2", "1", "1", "0", "1"]
    page.click("text=市监局 >> nth=-1")
    page.wait_for_url("**by=item**")
    page.click("th a")
    page.wait_for_url("**/papers/reports**")
    watched.check()
    shown = page.inner_text("table")
    for words in ("窗口习惯收取", NOTE, "case-9", "要求核验原件", "有可用数源但未核验", "op7"):
        assert words in shown
    assert counted.entries("viewed")[-1]["subject"] == "papers"
    text = _saved(page, "导出 CSV", tmp_path).read_text("utf-8-sig")
    assert NOTE not in text, "a name may stand in a note"
    assert "case-1" in text


def test_a_department_reads_the_reports_on_what_it_leads_page_by_page(
    small: House, counted: kit.Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name in the list or by its staff's body; another department, and one without a name, sees none."""
    path = "/console/papers/reports"
    seen = {
        "using-department:department=市监局": True, "source-department:department=市监局": True,
        f"using-department:unit={kit.UNIT}": True, "using-department:department=部门": False,
        f"using-department:unit={kit.DEPARTMENT}": False, "using-department": False,
    }  # fmt: skip
    assert {who: "case-9" in small.http(small.account(who)).get(path).text for who in seen} == seen
    elsewhere = small.http(small.account("using-department:department=部门"))
    assert "case-9" not in elsewhere.get(f"{path}/export/csv").text
    leading = small.http(small.account("using-department:department=市监局"))
    assert "/console/verifications/" not in leading.get(path).text, "what its role may not open is no link"
    monkeypatch.setattr(papers, "_PER_PAGE", 1)
    monkeypatch.setattr(papers, "MAX_EXPORTED", 1)
    first, second = leading.get(path).text, leading.get(f"{path}?page=2").text
    assert ("case-9" in first, "case-1" in first, "page=2" in first) == (True, False, True)
    assert ("case-9" in second, "case-1" in second, "page=3" in second) == (False, True, False)
    book = load_workbook(io.BytesIO(leading.get(f"{path}/export/xlsx").data))
    assert len(list(book.worksheets[0].iter_rows())) == 2
    assert any("1" in str(cell.value) and "缩小筛选" in str(cell.value) for cell in book.worksheets[1]["B"])


def test_the_pages_of_a_frozen_month_show_its_digest_and_exports_carry_it(small: House, counted: kit.Broker) -> None:
    month = counted.rows("SELECT max(day) AS day FROM figures_day")[0].day[:7]
    with small.parts.store.write() as work:
        work.copy_month(month)
        work.commit()
    counted.execute("INSERT INTO figures_frozen VALUES (:month, 'abc123', 1790000000000)", month=month)
    counted.execute("DELETE FROM figures_day")
    page = small.http(small.role(ConsoleRole.READER)).get(f"/console/figures?month={month}")
    assert "abc123" in page.text
    assert f"<strong>{MATERIALS * DECIDED}</strong>" in page.text
    file = small.http(small.role(ConsoleRole.READER)).get(f"/console/figures/export/xlsx?month={month}")
    about = load_workbook(io.BytesIO(file.data)).worksheets[1]
    assert any("abc123" in str(cell.value) for row in about.iter_rows() for cell in row)


def test_a_department_sees_its_own_ledger_and_no_other(small_browser: Browser, counted: kit.Broker) -> None:
    """Promised, overdue and connected rows of the list, and another department's page is unknown."""
    house = small_browser.house
    _promise(house)
    mine = house.account("source-department:department=卫健委")
    watched = small_browser.page(mine)
    page = watched.go("/console/supply")
    watched.check()
    assert page.locator("tbody tr").count() == 1
    page.click("tbody a")
    page.wait_for_url("**/supply/department**")
    watched.check()
    assert page.locator(".summary strong").all_inner_texts()[:4] == ["0", "0", "1", "1"]
    assert "2020-01-01" in page.inner_text("table.stack")
    assert house.http(mine).get("/console/supply/department?name=部门").status_code == 404
    everything, _ = rows_in(house.http(house.role(ConsoleRole.OPERATOR)).get("/console/supply/export/csv"))
    rows = {row[0]: row[1:] for row in everything}
    assert rows["卫健委"][:4] == ["0", "0", "1", "1"]
    assert rows["部门"][0] == "4", "every row that asks a source is connected: each answered today"


def _promise(house: House) -> None:
    """A second edition: two rows that a department owes, one of them overdue."""
    document = catalogue.document()
    owed = {"mode": "department_check", "state": "proposed", "unit": "卫健委", "owner": "卫健委", "basis": "法"}
    document["materials"]["form"]["chain"] = [owed | {"due": "2020-01-01"}, {"mode": "submission"}]
    document["materials"]["identity"]["chain"].insert(1, owed)
    number = draft(house.parts, document, "editor", "承诺").id
    submit(house.parts, number, "editor", lambda _: [])
    review(house.parts, number, "approver", approve=True, comment="")
    publish_draft(house.parts, number, "approver", None)


def test_before_anything_is_counted_the_pages_say_what_to_do(browser: Browser) -> None:
    """Over the shipped list, on a telephone, in English."""
    watched = browser.page(browser.house.role(ConsoleRole.AUDITOR), "en", PHONE)
    for path in ("/console/figures", "/console/papers", "/console/papers/reports"):
        page = watched.go(path)
        watched.check()
        assert page.locator(".empty").count() == 1, path
    page = watched.go("/console/supply")
    watched.check()
    page.click("tbody a >> nth=0")
    page.wait_for_url("**/supply/department**")
    watched.check()


def test_a_cell_that_begins_like_a_formula_stays_text(city: House) -> None:
    nasty = ('=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "＝1", "\t=1")
    table, about = Table("t", "T", ["=head"], [[one] for one in nasty]), [("=about", "=1+1")]
    book = load_workbook(io.BytesIO(written(table, about, "xlsx")))
    rows, told = rows_in(written(table, about, "csv").decode("utf-8-sig"))
    cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} == {"s"}
    assert [cell.value for cell in cells[1:6]] == list(nasty[:5])
    assert [row[0] for row in rows] == [f"'{one}" for one in ("=head", *nasty)]
    assert told == {"'=about": "'=1+1"}
    assert city.http(city.role(ConsoleRole.READER)).get("/console/supply/export/pdf").status_code == 404
