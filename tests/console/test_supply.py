"""The supply ledger's ways on: an editor enters date and owner, a department comes from it to its work."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.flow.publish import publish
from tests.console.kit import PHONE, WIDE, Browser, House, follow
from tests.console.test_cases import clerk, number_of, with_order
from tests.flow.catalogue import LICENCES

DEPARTMENT = "部门"  # as the small list calls whoever owns its sources
OWED = {"mode": "department_check", "state": "proposed", "unit": DEPARTMENT, "owner": DEPARTMENT, "basis": "法"}


def owing(house: House, due: str = "2020-01-01") -> None:
    """The list in force once more, with a row that the department has owed for years."""
    with house.parts.store.read() as work:
        document = json.loads(work.edition(max(one.number for one in work.published()))[1])
    document["materials"]["form"]["chain"].insert(0, OWED | {"due": due})
    publish(house.parts, document, None, "editor")


def drafts(house: House) -> list[Any]:
    with house.parts.store.read() as work:
        return work.drafts()


def test_an_editor_comes_from_an_overdue_row_to_its_date_in_a_draft(small: House, small_browser: Browser) -> None:
    owing(small)
    watched = small_browser.page(small.account("list-editor", login="editor"))
    page = watched.go(f"/console/supply/department?name={DEPARTMENT}")
    watched.check()
    follow(page, "button[name=row][value='form/0']")
    watched.check()
    assert page.evaluate("document.querySelector(':target').id") == "field-f-chain-0-due"
    assert page.input_value(":target") == "2020-01-01"
    page.fill(":target", "2099-12-31")
    page.fill("#field-f-chain-0-owner", "卫健委")
    follow(page, ".actions.sticky .button:not(.second)")
    watched.check()
    [made] = drafts(small)
    with small.parts.store.read() as work:
        kept = work.read_draft(made.id)
    assert kept is not None
    row = json.loads(kept[1])["materials"]["form"]["chain"][0]
    assert (row["due"], row["owner"]) == ("2099-12-31", "卫健委")


def test_a_row_opens_in_the_editors_own_draft_wherever_the_draft_has_it(small: House) -> None:
    owing(small)
    small.http(small.account("list-editor", login="other")).post("/console/supply/row", {"row": "form/0"})
    editor = small.http(small.account("list-editor", login="editor"))
    first, again = (editor.post("/console/supply/row", {"row": "form/0"}).headers["Location"] for _ in range(2))
    assert first == again, "one's own draft is taken up again"
    assert len(drafts(small)) == 2, "and another's is left alone"
    number = next(one.id for one in drafts(small) if one.drafted_by == "editor")
    path = f"/console/drafts/{number}/rows/materials/form"
    chain: list[dict[str, str]] = [{"mode": "commitment", "text": "t/1", "basis": "法"}, OWED, {"mode": "submission"}]
    row = {"name": {"zh": "申请表", "en": "Application form"}, "kind": "form", "basis": "法", "chain": chain}
    assert editor.post(path, {"revision": "1", "yaml": json.dumps(row)}).status_code == 303
    assert editor.post("/console/supply/row", {"row": "form/0"}).headers["Location"] == f"{path}#field-f-chain-1-due"
    row["chain"] = [{"mode": "submission"}]
    assert editor.post(path, {"revision": "2", "yaml": json.dumps(row)}).status_code == 303
    assert editor.post("/console/supply/row", {"row": "form/0"}).headers["Location"] == f"{path}#b-chain"
    owing(small, "2021-01-01")
    assert number not in editor.post("/console/supply/row", {"row": "form/0"}).headers["Location"], "it is outdated"
    for wrong in ("form/9", "form/x", "nothing/0", ""):
        assert editor.post("/console/supply/row", {"row": wrong}).status_code == 404, wrong


def test_who_keeps_no_list_sees_no_way_to_change_it(small: House) -> None:
    owing(small)
    path = f"/console/supply/department?name={DEPARTMENT}"
    for role in ("reader", "operator", f"source-department:department={DEPARTMENT}", "list-approver"):
        assert 'name="row"' not in small.http(small.account(role)).get(path).text, role


@pytest.mark.parametrize(("lang", "size"), [("zh", WIDE), ("en", PHONE)])
def test_a_departments_person_goes_from_home_through_ledger_order_and_objection(
    small: House, small_browser: Browser, lang: str, size: tuple[int, int]
) -> None:
    """The main journey of a source department: what it owes, what it is asked, and what is said against its data."""
    broker = with_order(small)
    owing(small)
    form = {"material": "licence", "source": LICENCES, "words": "执照已换发"}
    assert (
        small.http(clerk(small)).post(f"/console/verifications/{number_of(broker)}/objection", form).status_code == 303
    )
    officer = small.account(f"source-department:department={DEPARTMENT}")
    watched = small_browser.page(officer, lang, size)
    page = watched.go("/console")
    watched.check()
    follow(page, ".tasks a[href*='/console/supply/']")
    watched.check()
    assert "2020-01-01" in page.inner_text("main")
    watched.go("/console")
    follow(page, ".tasks a[href='/console/orders']")
    follow(page, "table a")
    page.check("#reply-deny")
    page.fill("#remark", "经查有记录")
    follow(page, "main form .button")
    watched.go("/console")
    follow(page, ".tasks a[href='/console/objections']")
    follow(page, "table a[href^='/console/objections/']")
    page.fill("#words", "受理，调档核对")
    follow(page, "button[value=accept]")
    watched.check()
    assert page.locator("main [role=alert]").count() == 0
    watched.go("/console")
    left = page.locator(".tasks a").evaluate_all("found => found.map(one => one.getAttribute('href'))")
    assert "/console/orders" not in left
    assert [one["reply"] for one in broker.entries("order_answered")] == ["deny"]
    assert [one["by"] for one in broker.entries("record_marked")] == [officer.login]
