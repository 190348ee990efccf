"""From a draft to an edition in the pages: by two people, the check beside the fields, and against every shortcut."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from broker.core.errors import Problem
from broker.core.list_scope import require_all_in_scope, require_scope
from broker.core.people import Assignment, ConsoleRole, ScopeKind
from broker.flow import publish as steps
from tests.console.kit import PHONE, WIDE, Browser, House, Visitor
from tests.flow import catalogue

SCRIPT = "<script>document.title='taken'</script><img src=x onerror=alert(1)>"


def new_draft(visitor: Visitor, comment: str = "改名") -> str:
    """The number of a draft made in the pages."""
    return str(visitor.post("/console/drafts", {"comment": comment}).headers["Location"].rpartition("/")[2])


def drafted(house: House, number: str) -> tuple[Any, Any]:
    """A draft and its list, as they stand."""
    with house.parts.store.read() as work:
        found = work.read_draft(number)
    assert found is not None
    return found[0], json.loads(found[1])


def rename(visitor: Visitor, number: str, name: str, revision: int = 1) -> Any:
    """Send the form of one item with another name."""
    path = f"/console/drafts/{number}/rows/items/{catalogue.SHOP}"
    return visitor.post(path, {"revision": revision, "f:name/zh": name})


def told_entries(house: House) -> list[dict[str, Any]]:
    with house.parts.store.read() as work:
        return [json.loads(body) for _, body in work.unsequenced(10_000)]


def test_two_people_bring_a_change_into_force_with_the_keyboard_alone(small_browser: Browser) -> None:
    """The editor's and the approver's main journey; every page of it is sound."""
    house = small_browser.house
    mine = small_browser.page(house.account("list-editor", login="editor"))
    page = mine.go("/console/drafts")
    mine.check()
    page.focus("#comment")
    page.keyboard.type("店名更正")
    page.keyboard.press("Enter")
    page.wait_for_url("**/drafts/0*")
    mine.check()
    number = page.url.rpartition("/")[2]
    mine.go(f"/console/list?draft={number}")
    mine.check()
    mine.go(f"/console/list/items/{catalogue.SHOP}?draft={number}")
    mine.check()
    page.focus("main .actions a")
    page.keyboard.press("Enter")
    page.wait_for_url("**/rows/items/*")
    mine.check()
    page.focus("[name='f:name/zh']")
    page.keyboard.press("Control+A")
    page.keyboard.type("小店开办")
    page.keyboard.press("Enter")
    page.wait_for_url("**saved=1")
    mine.check()
    mine.go(f"/console/drafts/{number}")
    assert "小店开办" in page.inner_text("main")
    page.focus("form[action$='/submit'] button")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1 .tag:text('待审核')")
    mine.check()
    theirs = small_browser.page(house.account("list-approver", login="approver"), "en")
    page = theirs.go(f"/console/drafts/{number}")
    theirs.check()
    page.focus("button[value=approve]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#effective")
    theirs.check()
    page.focus("form[action$='/publish'] button")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Edition 2")
    theirs.go("/console/editions/2")
    theirs.check()
    with house.parts.store.read() as work:
        assert json.loads(work.edition(2)[1])["items"][catalogue.SHOP]["name"]["zh"] == "小店开办"
    wanted = {"drafted", "draft_edited", "submitted", "reviewed", "published"}
    assert [(one["kind"], one["by"]) for one in told_entries(house) if one["kind"] in wanted][1:] == [
        ("drafted", "editor"), ("draft_edited", "editor"), ("submitted", "editor"), ("reviewed", "approver"),
        ("published", "approver"),
    ]  # fmt: skip


@pytest.mark.parametrize(("lang", "size"), [("zh", WIDE), ("en", PHONE)])
def test_the_pages_of_the_list_are_sound(browser: Browser, lang: str, size: tuple[int, int]) -> None:
    watched = browser.page(browser.house.role(ConsoleRole.READER), lang, size)
    paths = (
        "/console/list?q=公司设立&region=370400", "/console/list/items/company-setup", "/console/list/materials?q=婚姻",
        "/console/list?q=nothing-like-this", "/console/list/materials/marriage", "/console/list/sources/mca-marriage",
        "/console/editions", "/console/editions/1",
    )  # fmt: skip
    for path in paths if size == WIDE else paths[:3]:  # the widest tables in both sizes, every kind of page in one
        watched.go(path)
        watched.check()


def test_filters_narrow_the_list_without_a_reload(browser: Browser) -> None:
    watched = browser.page(browser.house.role(ConsoleRole.READER))
    page = watched.go("/console/list")
    before = page.inner_text("[role=status]")
    page.evaluate("window.kept = true")
    page.select_option("#state", "missing")
    page.wait_for_url("**state=missing**")
    page.wait_for_selector(f"[role=status]:not(:text('{before}'))")
    assert page.evaluate("window.kept"), "the page itself was not loaded again"
    watched.quiet()


def test_a_script_in_a_name_stays_text_on_every_page(small_browser: Browser) -> None:
    house = small_browser.house
    account = house.account("list-editor", login="editor")
    visitor = house.http(account)
    number = new_draft(visitor, SCRIPT)
    assert rename(visitor, number, SCRIPT).status_code == 303
    watched = small_browser.page(account)
    for path in (
        "/console/drafts", f"/console/drafts/{number}", f"/console/drafts/{number}/findings",
        f"/console/drafts/{number}/rows/items/{catalogue.SHOP}", f"/console/list?draft={number}",
        f"/console/list/items/{catalogue.SHOP}?draft={number}", "/console/list?q=%3Cscript%3Ealert(1)%3C/script%3E",
    ):  # fmt: skip
        page = watched.go(path)
        assert page.title() != "taken"
        assert page.locator("img").count() == 0
    watched.quiet()


def test_of_two_editors_the_slower_is_told_and_loses_nothing(small: House, editor: Visitor) -> None:
    other = small.http(small.account("list-editor", login="colleague"))
    number = new_draft(editor)
    assert rename(other, number, "同事的名称").status_code == 303
    answer = rename(editor, number, "我的名称")
    assert answer.status_code == 409
    assert "我的名称" in answer.text, "what was typed is still in the form"
    assert "同事的名称" in answer.text, "beside what the other editor made of it"
    draft, document = drafted(small, number)
    assert (draft.revision, draft.editors) == (2, "colleague")
    assert document["items"][catalogue.SHOP]["name"]["zh"] == "同事的名称"
    assert rename(editor, number, "我的名称", 2).status_code == 303


def test_a_form_sent_twice_changes_the_draft_once(small: House, editor: Visitor) -> None:
    number = new_draft(editor)
    assert [rename(editor, number, "新名称").status_code for _ in range(2)] == [303, 409]
    assert drafted(small, number)[0].revision == 2


def test_nobody_reviews_what_they_have_worked_on_however_they_come(small: House, editor: Visitor) -> None:
    both = small.account("list-editor", "list-approver", login="both")
    number = new_draft(editor)
    rename(small.http(both), number, "新名称")
    assert editor.post(f"/console/drafts/{number}/submit").status_code == 303
    answer = small.http(both).post(f"/console/drafts/{number}/review", {"verdict": "approve"})
    assert answer.status_code == 409
    with pytest.raises(Problem, match="edition.self-approval"):
        steps.review(small.parts, number, "both", approve=True, comment="")
    assert drafted(small, number)[0].state == "submitted"


def test_a_draft_in_review_cannot_be_changed_and_goes_back_only_with_a_reason(
    small: House, editor: Visitor, approver: Visitor
) -> None:
    number = new_draft(editor)
    rename(editor, number, "新名称")
    editor.post(f"/console/drafts/{number}/submit")
    before = drafted(small, number)
    assert "edition.state" in rename(editor, number, "偷改", 2).text
    assert approver.post(f"/console/drafts/{number}/review", {"verdict": "reject"}).status_code == 422
    assert drafted(small, number) == before
    returned = {"verdict": "reject", "comment": "依据不足"}
    assert approver.post(f"/console/drafts/{number}/review", returned).status_code == 303
    assert drafted(small, number)[0].review == "依据不足"


def test_what_the_grammar_forbids_is_not_saved_and_stands_beside_its_field(small: House, editor: Visitor) -> None:
    number = new_draft(editor)
    path = f"/console/drafts/{number}/rows/items/{catalogue.SHOP}"
    answer = editor.post(path, {"revision": 1, f"f:regions/{catalogue.REGION}/seq": "第一"})
    assert answer.status_code == 422
    field = re.search(r'id="(field-f-regions-\d+-seq)-told">\s*<p class="finding error"', answer.text)
    assert field is not None
    answer = editor.post(path, {"revision": 1, "yaml": "name: [unclosed"})
    assert (answer.status_code, "unclosed" in answer.text) == (422, True)
    assert drafted(small, number)[0].revision == 1


def test_a_draft_with_errors_is_saved_and_not_handed_in(small: House, editor: Visitor) -> None:
    number = new_draft(editor)
    item = drafted(small, number)[1]["items"][catalogue.SHOP]
    item["materials"].append({"material": "no-such-material"})
    path = f"/console/drafts/{number}/rows/items/{catalogue.SHOP}"
    assert editor.post(path, {"revision": 1, "yaml": json.dumps(item, ensure_ascii=False)}).status_code == 303
    assert editor.get(f"/console/drafts/{number}").status_code == 200
    assert "no-such-material" in editor.get(f"/console/drafts/{number}/findings").text
    assert editor.post(f"/console/drafts/{number}/submit").status_code == 409
    assert drafted(small, number)[0].state == "draft"


def test_going_back_publishes_an_earlier_list_again(small: House, editor: Visitor, approver: Visitor) -> None:
    number = new_draft(editor)
    rename(editor, number, "新名称")
    for path, visitor, form in (
        ("submit", editor, {}), ("review", approver, {"verdict": "approve"}), ("publish", approver, {"effective": ""}),
    ):  # fmt: skip
        assert visitor.post(f"/console/drafts/{number}/{path}", form).status_code == 303
    back = editor.post("/console/drafts", {"edition": 1, "comment": "恢复"}).headers["Location"].rpartition("/")[2]
    with small.parts.store.read() as work:
        assert drafted(small, back)[0].digest == work.edition(1)[0]
    limited = small.http(small.account("list-editor:department=市监局", login="limited"))
    assert limited.post("/console/drafts", {"edition": 1, "comment": "恢复"}).status_code == 403


def test_an_editor_changes_only_rows_within_the_role(small: House, editor: Visitor) -> None:
    number = new_draft(editor)
    _, document = drafted(small, number)
    stage = document["scenes"][document["items"][catalogue.SHOP]["regions"][catalogue.REGION]["scene"]]["stage"]["zh"]
    outside = small.http(small.account("list-editor:department=部门", login="outside"))
    assert rename(outside, number, "越权").status_code == 403
    assert drafted(small, number)[0].revision == 1
    inside = small.http(small.account(f"list-editor:stage={stage}", login="inside"))
    assert rename(inside, number, "本阶段").status_code == 303


def test_a_limited_approver_lets_pass_and_publishes_only_what_lies_within_the_role(
    small: House, editor: Visitor, approver: Visitor
) -> None:
    """The whole draft must lie within it: one row outside keeps it from being approved, rejected or published."""
    number = new_draft(editor)
    rename(editor, number, "新名称")
    assert editor.post(f"/console/drafts/{number}/submit").status_code == 303
    outside = small.http(small.account("list-approver:department=部门", login="outside"))
    inside = small.http(small.account("list-approver:stage=开办", login="inside"))
    for verdict in ("approve", "reject"):
        answer = outside.post(f"/console/drafts/{number}/review", {"verdict": verdict, "comment": "看过"})
        assert (answer.status_code, "不在您负责的" in answer.text) == (409, True)
    assert drafted(small, number)[0].state == "submitted"
    assert inside.post(f"/console/drafts/{number}/review", {"verdict": "approve"}).status_code == 303
    assert outside.post(f"/console/drafts/{number}/publish", {"effective": ""}).status_code == 409
    assert drafted(small, number)[0].state == "approved"
    assert inside.post(f"/console/drafts/{number}/publish", {"effective": ""}).status_code == 303


def test_a_draft_that_changes_more_than_rows_is_nobodys_with_a_limit() -> None:
    document = catalogue.document()
    mine = [Assignment(ConsoleRole.LIST_APPROVER, ScopeKind.STAGE, "开办")]
    require_all_in_scope(document, document, mine)
    for other in ({**document, "scenes": {}}, {**document, "sources": {}}):
        with pytest.raises(Problem, match="console.scope"):
            require_all_in_scope(document, other, mine)


def test_a_row_moved_out_of_the_role_is_outside_it_before_and_after() -> None:
    """Nobody pulls a row into their own scope by changing it."""
    document = catalogue.document()
    place = document["items"][catalogue.SHOP]["regions"][catalogue.REGION]
    mine = Assignment(ConsoleRole.LIST_EDITOR, ScopeKind.DEPARTMENT, "我的部门")
    after = json.loads(json.dumps(document))
    for one in after["items"][catalogue.SHOP]["regions"].values():
        one["lead"] = ["我的部门"]
    with pytest.raises(Problem, match="console.scope"):
        require_scope(document, after, "items", catalogue.SHOP, [mine])
    require_scope(after, after, "items", catalogue.SHOP, [mine])
    assert place["lead"] != ["我的部门"]
    for section, key in (("sources", next(iter(document["sources"]))), ("scenes", next(iter(document["scenes"])))):
        with pytest.raises(Problem, match="console.scope"):
            require_scope(document, document, section, key, [mine])
