"""Every way a draft can go, rows edited by form alone, editions to come, and the history of rows."""

from __future__ import annotations

import html
import importlib
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from broker.core.errors import Problem
from broker.core.list_rows import rows_changed
from broker.flow import jobs, preview
from broker.flow import publish as steps
from broker.store.migrate import migrate
from tests.console.kit import PHONE, Browser, House, Visitor, house
from tests.console.test_drafts import drafted, new_draft, rename, told_entries
from tests.flow import catalogue

MOST = 14  # statements of one page, however many editions there are


def path(number: str, step: str) -> str:
    return f"/console/drafts/{number}/{step}"


def reviewed(editor: Visitor, approver: Visitor, number: str, verdict: str, comment: str = "请改") -> None:
    """Handed in, and approved or given back."""
    assert editor.post(path(number, "submit"), {"note": "请审"}).status_code == 303
    assert approver.post(path(number, "review"), {"verdict": verdict, "comment": comment}).status_code == 303


def published(house: House, document: Any) -> int:
    """The number of a further edition."""
    return steps.publish(house.parts, document, None, "editor").number


def kinds_since(house: House, first: str) -> list[str]:
    kinds = [one["kind"] for one in told_entries(house)]
    return [one for one in kinds[kinds.index(first) :] if one.startswith(("draft", "submit", "review", "edition"))]


# ---- drafts that do not go straight


def test_a_returned_draft_is_taken_up_again_with_its_remarks_and_goes_its_way(
    small: House, editor: Visitor, approver: Visitor
) -> None:
    number = new_draft(editor)
    rename(editor, number, "新名称")
    reviewed(editor, approver, number, "reject", "依据不足")
    assert editor.post(path(number, "back"), {"way": "rework", "why": "补依据"}).status_code == 303
    page = editor.get(f"/console/drafts/{number}").text
    assert drafted(small, number)[0].state == "draft"
    assert all(words in page for words in ("请审", "依据不足", "补依据"))
    assert rename(editor, number, "更好的名称", 2).status_code == 303
    reviewed(editor, approver, number, "approve", "")
    assert approver.post(path(number, "publish")).status_code == 303
    told = [one for one in told_entries(small) if one["kind"] == "reviewed"]
    assert [one["state"] for one in told] == ["rejected", "approved"]
    assert "依据不足" not in json.dumps(told_entries(small), ensure_ascii=False), "the log holds the digest alone"
    assert "draft_reworked" in kinds_since(small, "drafted")


def test_an_author_takes_back_and_gives_up_and_nobody_else_does(
    small: House, editor: Visitor, approver: Visitor
) -> None:
    other = small.http(small.account("list-editor", login="other"))
    number = new_draft(editor)
    assert editor.post(path(number, "submit")).status_code == 303
    for way in ("withdraw", "discard"):
        before = drafted(small, number)
        assert "draft.author" not in other.get(f"/console/drafts/{number}").text
        assert other.post(path(number, "back"), {"way": way}).status_code == 409
        assert drafted(small, number) == before
    assert editor.post(path(number, "back"), {"way": "withdraw"}).status_code == 303
    assert drafted(small, number)[0].state == "draft"
    assert editor.post(path(number, "back"), {"way": "discard", "why": "不需要了"}).status_code == 303
    assert drafted(small, number)[0].state == "discarded"
    assert approver.post(path(number, "publish")).status_code == 409
    assert kinds_since(small, "drafted") == ["drafted", "submitted", "draft_withdrawn", "draft_discarded"]


def test_who_carries_a_draft_on_takes_its_changes_and_its_authors(small: House, editor: Visitor) -> None:
    other = small.http(small.account("list-editor", login="other"))
    both = small.account("list-editor", "list-approver", login="both")
    number = new_draft(small.http(both))
    rename(editor, number, "新名称")
    answer = other.post(path(number, "carry-on"), {"comment": "接着改"})
    made = answer.headers["Location"].rpartition("/")[2]
    draft, document = drafted(small, made)
    assert (draft.drafted_by, document["items"][catalogue.SHOP]["name"]["zh"]) == ("other", "新名称")
    assert other.post(path(made, "submit")).status_code == 303
    with pytest.raises(Problem, match="edition.self-approval"):
        steps.review(small.parts, made, "both", approve=True, comment="")
    assert drafted(small, number)[0].state == "draft"


def test_of_two_drafts_on_one_base_the_second_is_brought_onto_the_first(
    small: House, editor: Visitor, approver: Visitor
) -> None:
    """Different rows come together by themselves; an approved draft needs its review again."""
    first, second = new_draft(editor, "甲"), new_draft(editor, "乙")
    rename(editor, first, "新店名")
    row = catalogue.document()["sources"][catalogue.POPULATION] | {"calls_per_day": 5}
    steps.edit(small.parts, second, "editor", 1, "sources", catalogue.POPULATION, row, lambda _a, _b: None)
    for number in (first, second):
        reviewed(editor, approver, number, "approve")
    assert approver.post(path(first, "publish")).status_code == 303
    assert approver.post(path(second, "publish")).status_code == 409
    assert drafted(small, second)[0].state == "approved"
    assert editor.post(path(second, "rebase"), {"revision": 2}).status_code == 303
    draft, document = drafted(small, second)
    assert (draft.state, draft.base) == ("draft", 2)
    assert document["items"][catalogue.SHOP]["name"]["zh"] == "新店名"
    assert document["sources"][catalogue.POPULATION]["calls_per_day"] == 5
    reviewed(editor, approver, second, "approve")
    assert approver.post(path(second, "publish")).status_code == 303


def test_of_a_row_that_both_changed_a_person_chooses(small: House, editor: Visitor, approver: Visitor) -> None:
    number = new_draft(editor)
    rename(editor, number, "草稿的名称")
    theirs = catalogue.document()
    theirs["items"][catalogue.SHOP]["name"]["zh"] = "版本的名称"
    published(small, theirs)
    before = drafted(small, number)
    answer = editor.post(path(number, "rebase"), {"revision": 2})
    assert answer.status_code == 409
    assert "草稿的名称" in answer.text
    assert "版本的名称" in answer.text
    assert drafted(small, number) == before
    chosen = {"revision": 2, f"row:items/{catalogue.SHOP}": "mine"}
    limited = small.http(small.account("list-editor:department=部门", login="limited"))
    assert limited.post(path(number, "rebase"), chosen).status_code == 409
    assert drafted(small, number) == before
    assert editor.post(path(number, "rebase"), chosen).status_code == 303
    assert drafted(small, number)[1]["items"][catalogue.SHOP]["name"]["zh"] == "草稿的名称"
    (told,) = [one for one in told_entries(small) if one["kind"] == "draft_rebased"]
    assert told["chosen"] == {f"items/{catalogue.SHOP}": "mine"}


def test_a_remark_stands_at_its_row_and_refuses_a_persons_number(
    small: House, editor: Visitor, approver: Visitor
) -> None:
    number = new_draft(editor)
    rename(editor, number, "新名称")
    said = {"about": f"items/{catalogue.SHOP}", "text": "名称与原文不一致"}
    assert approver.post(path(number, "remarks"), said).status_code == 303
    assert "名称与原文不一致" in editor.get(f"/console/drafts/{number}").text
    refused = editor.post(path(number, "remarks"), {"text": "请联系 13800001111"})
    assert refused.status_code == 409
    with small.parts.store.read() as work:
        assert [(one.by, one.section, one.key) for one in work.remarks(number)] == [
            ("approver", "items", catalogue.SHOP)
        ]


# ---- rows by form


def fields_of(page: str) -> dict[str, list[str]]:
    """What a browser would send of a row's form, without any button."""
    form = page[page.index('name="row"') - 300 : page.index("</form>", page.index('name="row"'))]
    sent: dict[str, list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = (re.search(rf'{one}="([^"]*)"', tag) for one in (" name", " value"))
        if name and name[1] != "csrf" and ("checkbox" not in tag or " checked" in tag):
            sent.setdefault(html.unescape(name[1]), []).append(html.unescape(value[1]) if value else "")
    for name, body in re.findall(r'<textarea[^>]* name="([^"]*)"[^>]*>(.*?)</textarea>', form, re.DOTALL):
        sent[html.unescape(name)] = [html.unescape(body)]
    for name, body in re.findall(r'<select[^>]* name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', body) or re.search(r'<option value="([^"]*)"', body)
        sent[html.unescape(name)] = [html.unescape(chosen[1]) if chosen else ""]
    return sent


def test_a_form_sent_as_it_is_changes_nothing_of_any_row(small: House, editor: Visitor) -> None:
    number = new_draft(editor)
    before = drafted(small, number)[1]
    rows = (
        ("items", catalogue.SHOP), ("materials", "licence"), ("materials", "premises"),
        ("sources", catalogue.REGISTER), ("regions", catalogue.REGION), ("scenes", catalogue.SCENE),
    )  # fmt: skip
    for section, key in rows:
        where = path(number, f"rows/{section}/{key}")
        assert editor.post(where, fields_of(editor.get(where).text)).status_code == 303, key
    assert drafted(small, number)[1] == before


def test_a_chain_is_built_by_buttons_alone(small: House, editor: Visitor) -> None:
    """A step is added, filled in, moved before another and saved; nothing is kept before that."""
    number = new_draft(editor)
    where = path(number, "rows/materials/form")
    page = editor.get(where).text
    page = editor.post(where, fields_of(page) | {"new:chain": "data_query", "act": "add:chain"}).text
    assert "row-incomplete" not in page
    assert page.index('id="b-chain-0"') < page.index("finding error") < page.index('id="b-chain-1"'), "beside its step"
    page = editor.post(where, fields_of(page) | {"f:chain/0/source": catalogue.REGISTER, "act": "refresh"}).text
    sent = fields_of(page) | {
        "f:chain/0/form": "query", "f:chain/0/fields": ["", "number", "name"], "f:chain/0/basis": "接口",
        "f:chain/0/state": "confirmed", "new:chain/0/expect": "number", "act": "add:chain/0/expect",
    }  # fmt: skip
    page = editor.post(where, sent).text
    page = editor.post(where, fields_of(page) | {"f:chain/0/expect/0/to": "holder.number", "act": "down:chain/0"}).text
    page = editor.post(where, fields_of(page) | {"act": "up:chain/1"}).text
    assert drafted(small, number)[0].revision == 1, "nothing is saved yet"
    assert editor.post(where, fields_of(page)).status_code == 303
    assert drafted(small, number)[1]["materials"]["form"]["chain"] == [
        {"mode": "data_query", "state": "confirmed", "source": catalogue.REGISTER, "form": "query",
         "fields": ["number", "name"], "basis": "接口",
         "expect": [{"field": "number", "op": "equals", "to": "holder.number"}]},
        {"mode": "submission"},
    ]  # fmt: skip
    page = editor.get(where).text
    changed = fields_of(page) | {"f:chain/0/mode": "commitment", "f:chain/0/text": "form/1"}
    page = editor.post(where, changed | {"act": "refresh"}).text
    assert editor.post(where, fields_of(page) | {"f:chain/0/text": "form/1"}).status_code == 303
    assert drafted(small, number)[1]["materials"]["form"]["chain"][0] == {
        "mode": "commitment", "state": "confirmed", "basis": "接口", "text": "form/1"
    }  # fmt: skip


def test_an_items_materials_and_a_new_item_are_edited_by_form(small: House, editor: Visitor) -> None:
    number = new_draft(editor)
    where = path(number, "rows/items/new-item")
    page = editor.get(where).text
    page = editor.post(where, fields_of(page) | {"new:regions": catalogue.REGION, "act": "add:regions"}).text
    page = editor.post(where, fields_of(page) | {"new:materials": "identity", "act": "add:materials"}).text
    sent = fields_of(page) | {
        "f:name/zh": "新事项", "f:name/en": "New item", f"f:regions/{catalogue.REGION}/seq": "9",
        f"f:regions/{catalogue.REGION}/scene": catalogue.SCENE, f"f:regions/{catalogue.REGION}/lead": "市监局、税务局",
        "f:materials/0/holder": "spouse", "f:materials/0/when/party": "spouse", "f:materials/0/needed": "false",
        "f:effective/to": "2030-12-31", "f:effective/reason": "到期",
    }  # fmt: skip
    assert editor.post(where, sent).status_code == 303
    assert drafted(small, number)[1]["items"]["new-item"] == {
        "name": {"zh": "新事项", "en": "New item"}, "type": "行政许可", "life_cycle": "enterprise", "basis": None,
        "regions": {catalogue.REGION: {"seq": "9", "scene": catalogue.SCENE, "level": "county",
                                       "lead": ["市监局", "税务局"]}},
        "materials": [{"material": "identity", "holder": "spouse", "when": {"party": "spouse"}, "needed": False}],
        "effective": {"to": "2030-12-31", "reason": "到期"},
    }  # fmt: skip
    page = editor.get(where).text
    page = editor.post(where, fields_of(page) | {"act": "remove:materials/0"}).text
    assert editor.post(where, fields_of(page)).status_code == 303
    assert drafted(small, number)[1]["items"]["new-item"]["materials"] == []


@pytest.mark.parametrize("act", ["up:nothing/3", "remove:name", "add:options", "down:chain/99", "x:chain/0"])
def test_a_button_that_was_made_up_changes_nothing_and_breaks_nothing(small: House, editor: Visitor, act: str) -> None:
    number = new_draft(editor)
    where = path(number, "rows/materials/form")
    answer = editor.post(where, fields_of(editor.get(where).text) | {"act": act})
    assert answer.status_code in {200, 404}
    lie = {"revision": 1, "row": '{"chain": [7], "name": "x"}'}
    assert editor.post(where, lie).status_code == 404
    assert drafted(small, number)[0].revision == 1


def test_two_editors_in_the_browser_and_one_without_scripts(small_browser: Browser) -> None:
    house = small_browser.house
    account = house.account("list-editor", login="editor")
    number = new_draft(house.http(account))
    where = path(number, "rows/materials/form")
    plain = small_browser.page(account, "en", PHONE, scripts=False)
    quick = small_browser.page(house.account("list-editor", login="colleague"))
    page = plain.go(where)
    other = quick.go(where)
    page.select_option("[name='new:chain']", "commitment")
    page.click("button[value='add:chain']")
    page.wait_for_selector("#b-chain-0 [name='f:chain/0/text']")
    page.fill("[name='f:chain/0/text']", "form/1")
    page.select_option("[name='f:chain/0/state']", "proposed")
    page.click("main form .actions button.button:not(.second) >> nth=0")
    page.wait_for_url("**saved=1")
    other.fill("[name='f:name/zh']", "同事的名称")
    other.keyboard.press("Enter")
    other.wait_for_selector("main [role=alert]")
    quick.check(refused=True)
    assert "form/1" in other.inner_text("main"), "what the quicker one made of it"
    assert other.input_value("[name='f:name/zh']") == "同事的名称"


# ---- editions to come, and what they did


def test_an_edition_to_come_is_moved_and_taken_back_before_its_day(
    small: House, editor: Visitor, approver: Visitor
) -> None:
    number = new_draft(editor)
    rename(editor, number, "新名称")
    reviewed(editor, approver, number, "approve")
    later = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M")
    assert approver.post(path(number, "publish"), {"effective": later}).status_code == 303
    assert "尚未生效" in approver.get("/console/editions/2").text
    moved = approver.post("/console/editions/2/move", {"effective": later.replace("T", "T"), "why": "推迟"})
    assert moved.headers["Location"].endswith("/editions/3")
    page = approver.get("/console/editions").text
    assert page.count("已撤回") == 1
    assert approver.post("/console/editions/2/withdraw", {"why": "再撤"}).status_code == 409
    assert approver.post("/console/editions/1/withdraw", {"why": "错"}).status_code == 409
    assert approver.post("/console/editions/3/withdraw", {"why": ""}).status_code == 409
    assert approver.post("/console/editions/3/withdraw", {"why": "不发布了"}).status_code == 303
    with small.parts.store.read() as work:
        policy = small.parts.policy(work, work.pulse())
        assert [one for one, _ in policy.editions] == [1]
        assert [one.draft for one in work.stories()] == [number, number, None]
    told = [one for one in told_entries(small) if one["kind"] in {"published", "edition_withdrawn"}]
    assert [(one["kind"], one["edition"]) for one in told] == [
        ("published", 1), ("published", 2), ("edition_withdrawn", 2), ("published", 3), ("edition_withdrawn", 3),
    ]  # fmt: skip
    again = steps.publish(small.parts, catalogue.second_edition(), None, "editor")
    assert again.number == 4, "a number is never used twice"


def test_pages_cost_the_same_however_many_editions_there_are(small: House, editor: Visitor) -> None:
    document = catalogue.document()
    for count in range(25):
        document["items"][catalogue.SHOP]["name"]["zh"] = f"第{count}个名称"
        published(small, document)
    paths = (
        f"/console/list/items/{catalogue.SHOP}", "/console/list/materials/licence",
        f"/console/list/items/{catalogue.SHOP}?before=1",
        f"/console/list/sources/{catalogue.REGISTER}", "/console/coverage", "/console/editions", "/console/editions/26",
    )  # fmt: skip
    seen: list[str] = []

    def count_one(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    event.listen(small.office.database.engine, "before_cursor_execute", count_one)
    for where in paths:  # as a process meets them for the first time
        seen.clear()
        answer = editor.get(where)
        assert answer.status_code == 200
        assert 0 < len(seen) <= MOST, (where, seen)
    event.remove(small.office.database.engine, "before_cursor_execute", count_one)
    assert editor.get(paths[0]).text.count("/console/editions/") == 20
    assert editor.get(paths[2]).text.count("/console/editions/") == 6


def test_editions_from_before_have_their_history_worked_out_by_the_migration(small: House) -> None:
    published(small, catalogue.second_edition())
    backfill = importlib.import_module("broker.store.migrations.versions.0013_editing")._backfill
    wanted = "SELECT section, row_key, edition, kind FROM row_change ORDER BY 1, 2, 3"
    with small.office.database.engine.begin() as connection:
        before = connection.execute(text(wanted)).all()
        connection.execute(text("DELETE FROM row_change"))
        backfill(connection)
        assert connection.execute(text(wanted)).all() == before
    changed = list(rows_changed(catalogue.document(), catalogue.second_edition()))
    assert sorted((one.section, one.key, 2, one.kind) for one in changed) == [
        tuple(one) for one in before if one.edition == 2
    ]


# ---- jobs


def test_one_person_asks_once_at_a_time_and_for_no_more_than_some(small: House) -> None:
    numbers = [steps.draft(small.parts, catalogue.document(), "editor", str(one)).id for one in range(6)]

    def ask(number: str, by: str = "editor") -> Any:
        return preview.ask(small.parts, number, 7, by, lambda _: [])

    job = ask(numbers[0])
    with pytest.raises(Problem, match="job.waiting"):
        ask(numbers[0])
    ask(numbers[0], "approver")
    for number in numbers[1 : jobs.MOST_OPEN]:
        ask(number)
    with pytest.raises(Problem, match="job.too-many"):
        ask(numbers[5])
    preview.cancel(small.parts, job.id, "editor")
    ask(numbers[5])


def test_a_job_that_nobody_works_on_is_told_and_one_that_failed_says_why(small: House, editor: Visitor) -> None:
    number = new_draft(editor)
    assert editor.post(path(number, "preview"), {"days": 7}).status_code == 303
    assert "broker sweep" not in editor.get(path(number, "preview")).text
    with small.office.database.engine.begin() as connection:
        connection.execute(text("UPDATE job SET ready_at = ready_at - 60000"))
    assert "broker sweep" in editor.get(path(number, "preview")).text
    rename(editor, number, "新名称")
    assert preview.work_off(small.parts)
    assert "其他人刚刚修改过该草稿" in editor.get(path(number, "preview")).text
    for _ in range(120):  # later jobs of others do not hide it
        steps.draft(small.parts, catalogue.document(), "x", "x")
    assert "其他人刚刚修改过该草稿" in editor.get(path(number, "preview")).text


# ---- an installation without any edition


def test_the_first_edition_is_made_in_the_console(
    request: pytest.FixtureRequest, tmp_path: Path, keys_folder: Path
) -> None:
    with house(tmp_path, keys_folder, None) as empty:
        migrate(empty.office.database)
        browser = Browser(request.getfixturevalue("_chromium"), empty)
        mine = browser.page(empty.account("list-editor", login="editor"))
        for where in ("/console/list", "/console/list/materials", "/console/coverage", "/console/editions"):
            mine.go(where)
            mine.check()
        page = mine.go("/console/drafts")
        mine.check()
        file = tmp_path / "list.json"
        file.write_text(json.dumps(catalogue.document()), "utf-8")
        page.check("#from-file")
        page.set_input_files("#file", file)
        page.click("form[action$=first] button")
        page.wait_for_url("**/drafts/0*")
        mine.check()
        number = page.url.rpartition("/")[2]
        browser.close()
        approver = empty.http(empty.account("list-approver", login="approver"))
        reviewed(empty.http(empty.accounts["editor"]), approver, number, "approve")
        assert approver.post(path(number, "publish")).status_code == 303
        assert catalogue.SHOP in approver.get("/console/list").text


def test_an_empty_list_is_filled_row_by_row(tmp_path: Path, keys_folder: Path) -> None:
    with house(tmp_path, keys_folder, None) as empty:
        migrate(empty.office.database)
        editor = empty.http(empty.account("list-editor", login="editor"))
        answer = editor.post("/console/drafts/first", {"from": "empty", "comment": "第一版"})
        number = answer.headers["Location"].rpartition("/")[2]
        assert editor.get(f"/console/drafts/{number}").status_code == 200
        assert editor.get(f"/console/list?draft={number}").headers["Location"].endswith("/findings")
        where = path(number, "rows/regions/370400")
        sent = fields_of(editor.get(where).text) | {"f:name/zh": "枣庄市", "f:name/en": "Zaozhuang"}
        assert editor.post(where, sent).status_code == 303
        assert editor.post(where, sent | {"revision": 2, "f:name/zh": ""}).status_code == 422
        assert drafted(empty, number)[1]["regions"]["370400"]["levels"] == ["city", "county"]
        broken = editor.post("/console/drafts/first", {"from": "file", "comment": "x"})
        assert broken.status_code == 422
