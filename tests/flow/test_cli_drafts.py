"""What the console's pages do with drafts and editions to come, typed by an administrator."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tests.flow.test_cli import SMALL_LIST, Desk, desk

__all__ = ["desk"]  # a fixture

ROW = "items/some-item"


def drafted(desk: Desk, name: str) -> str:
    """The number of a draft in which the item is called so."""
    file = desk.folder / f"{name}.yaml"
    file.write_text(SMALL_LIST.replace("Some item", name), "utf-8")
    return desk.type("edition", "draft", str(file), "--by", "editor").output.strip()


def published(desk: Desk, number: str, *more: str) -> str:
    """What publishing says, by the whole way."""
    desk.type("edition", "submit", number, "--by", "editor")
    desk.type("edition", "approve", number, "--by", "head")
    return desk.type("edition", "publish", number, "--by", "head", *more).output


def test_a_draft_is_changed_talked_about_taken_back_and_given_up(desk: Desk) -> None:
    number = drafted(desk, "one")
    row = desk.folder / "row.yaml"
    row.write_text(SMALL_LIST.partition("some-item:")[2].replace("Some item", "Another"), "utf-8")
    changed = desk.type("edition", "edit", number, ROW, str(row), "--by", "second")
    assert changed.output.startswith("revision 2 "), changed.output
    stale = desk.type("edition", "edit", number, ROW, str(row), "--by", "second", "--revision", "1")
    assert "draft.changed" in stale.output
    row.write_text("name: [", "utf-8")
    assert "catalog.unreadable" in desk.type("edition", "edit", number, ROW, str(row), "--by", "second").output
    assert desk.type("edition", "edit", number, ROW, "--by", "second").exit_code == 2
    assert desk.type("edition", "remark", number, "请补充依据", "--row", ROW, "--by", "head").exit_code == 0
    desk.type("edition", "submit", number, "--by", "editor", "--comment", "请审")
    assert "draft.author" in desk.type("edition", "withdraw", number, "--by", "head").output
    assert desk.type("edition", "withdraw", number, "--by", "second").exit_code == 0
    shown = desk.type("edition", "show", number).output
    assert f"{number} draft base 0 revision 2 " in shown
    assert "请审" in shown
    assert f"head remark {ROW} 请补充依据" in shown
    desk.type("edition", "submit", number, "--by", "editor")
    desk.type("edition", "reject", number, "--by", "head", "--comment", "不行")
    assert desk.type("edition", "rework", number, "--by", "editor").exit_code == 0
    assert desk.type("edition", "edit", number, ROW, "--remove", "--by", "editor").output.startswith("revision 3 ")
    assert desk.type("edition", "discard", number, "--by", "editor", "--comment", "不再需要").exit_code == 0
    other = desk.type("edition", "carry-on", number, "--by", "third").output.strip()
    assert f"{other} draft base 0" in desk.type("edition", "list").output
    assert "edition.unknown" in desk.type("edition", "show", "nothing").output


def test_a_draft_is_rebased_with_choices(desk: Desk) -> None:
    assert published(desk, drafted(desk, "one")).startswith("edition 1 ")
    first, second = drafted(desk, "two"), drafted(desk, "three")
    published(desk, first)
    told = desk.type("edition", "rebase", second, "--by", "editor")
    assert told.exit_code == 1
    lines = told.output.splitlines()
    assert lines[0] == ROW
    rows = {name: json.loads(text) for name, _, text in (line.strip().partition(": ") for line in lines[1:])}
    assert [rows[one]["name"]["en"] for one in ("base", "mine", "theirs")] == ["one", "three", "two"]
    assert desk.type("edition", "rebase", second, "--by", "editor", "--mine", ROW).output == "base 2\n"
    assert "three" in desk.type("edition", "show", second, "--lang", "en").output
    assert desk.type("edition", "rebase", second, "--by", "editor", "--mine", "items").exit_code == 2


def test_going_back_and_editions_to_come(desk: Desk) -> None:
    published(desk, drafted(desk, "one"))
    published(desk, drafted(desk, "two"))
    number = desk.type("edition", "go-back", "1", "--by", "editor", "--comment", "回到第一版").output.strip()
    later, latest = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}" for days in (20, 40))
    assert published(desk, number, "--effective", later).startswith("edition 3 ")
    assert "edition.in-force" in desk.type("edition", "take-back", "2", "--by", "head", "--why", "有误").output
    moved = desk.type("edition", "move", "3", "--by", "head", "--why", "未就绪", "--effective", latest)
    assert moved.output.startswith("edition 4 ")
    assert desk.type("edition", "take-back", "4", "--by", "head", "--why", "有误").exit_code == 0
    assert "edition.unknown" in desk.type("edition", "go-back", "4", "--by", "editor").output
    assert desk.entries().count("edition_withdrawn") == 2
