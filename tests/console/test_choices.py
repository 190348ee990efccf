"""Choosing one of hundreds: by key, by name or a part of it, with the keyboard, and without a script."""

from __future__ import annotations

import re
from typing import Any

import pytest

from broker.core.catalog import Text
from broker.core.people import ConsoleRole
from broker.flow import register
from broker.ports import Client
from broker.web.console.choices import drafted_names, meant
from tests.console.kit import PHONE, WIDE, Browser, House
from tests.flow import catalogue, kit

NAMES: dict[str, Text] = {
    "shop": {"zh": "小店开办", "en": "Opening a shop"}, "shop-change": {"zh": "小店变更", "en": "Changing a shop"},
    "kitchen": {"zh": "开办", "en": "Kitchen"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("shop", "shop"), ("小店开办 · shop", "shop"), ("Changing", "shop-change"), ("变更 小店", "shop-change"),
        ("开办", "kitchen"), ("gone-item", "gone-item"), ("", ""),
    ],
)  # fmt: skip
def test_what_is_typed_means_one_row(city: House, typed: str, key: str) -> None:
    """A name that is one row's whole name is that row, however many others hold it; a key nobody has stays a key."""
    with city.app.test_request_context():
        assert meant(typed, NAMES) == (key, [])


def test_what_could_mean_several_is_asked_back(city: House) -> None:
    with city.app.test_request_context():
        key, fits = meant("小店", NAMES)
    assert (key, [one.words for one in fits]) == ("", ["小店开办 · shop", "小店变更 · shop-change"])


def test_a_draft_that_does_not_hold_together_has_names_all_the_same() -> None:
    document = {"materials": {"a": {"name": {"zh": "甲"}}, "b": {"name": 3}, "c": None}}
    assert drafted_names(document, "material") == {
        "a": {"zh": "甲", "en": "a"}, "b": {"zh": "b", "en": "b"}, "c": {"zh": "c", "en": "c"},
    }  # fmt: skip
    assert drafted_names(document, "matter") == {}


@pytest.mark.parametrize(("lang", "size"), [("zh", WIDE), ("en", PHONE)])
def test_the_matrix_is_asked_with_the_keyboard_alone(
    browser: Browser, city: House, lang: str, size: tuple[int, int]
) -> None:
    watched = browser.page(city.role(ConsoleRole.READER), lang, size)
    page = watched.go("/console/grants/matrix")
    page.focus("#item")
    page.keyboard.type("company-setup")
    page.wait_for_selector("#item-options option[value$='· company-setup']", state="attached")
    assert page.locator("#item-options option").count() <= 20
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.input_value("#item").endswith("· company-setup")
    watched.check()


def test_without_a_script_a_name_is_enough_and_several_are_asked_back(city: House) -> None:
    reader = city.http(city.role(ConsoleRole.READER))
    auditor = city.http(city.role(ConsoleRole.AUDITOR))
    asked = auditor.get(f"/console/audit?item={kit.citizen(1)}").text
    assert f'value="{kit.citizen(1)}' not in asked, "what may be a person's number is not shown again"
    for path in ("/console/grants/matrix", "/console/figures", "/console/audit"):
        reader = auditor if path.endswith("audit") else reader
        asked = reader.get(f"{path}?item=公司设立").text
        assert "对应多个" in asked, path
        first = re.search(rf'href="({path}\?[^"]*item=[^"]*)"[^>]*>[^<]* · ', asked)
        assert first is not None
        assert reader.get(first[1].replace("&amp;", "&")).status_code == 200
        assert len(reader.get(path).data) < 40_000, "no page carries hundreds of choices"
    assert reader.get("/console/choices/nonsense").status_code == 404
    found = reader.get("/console/choices/item?field=q&q=公司").text
    assert 1 < found.count("<option") <= 20


def test_items_of_an_application_are_searched_without_a_script(city: House) -> None:
    """What is typed and ticked stays; the search itself hands nothing in."""
    register.register_client(city.parts, Client("asks-for-items", "审批系统", kit.UNIT, None, "active"))
    owner = city.http(city.account(f"using-department:unit={kit.UNIT}", login="asks-for-items"))
    typed = {
        "act": "find", "client": "asks-for-items", "source": "ps-identity", "find": "公司设立",
        "items": "company-setup", "purpose": "核验法定代表人", "legal_reference": "法", "daily_calls": "50",
    }  # fmt: skip
    page = owner.post("/console/grants/apply", typed)
    assert page.status_code == 200
    assert re.search(r'id="items-company-setup"[^>]*checked', page.text)
    assert 1 < page.text.count('name="items"') <= 21
    assert "核验法定代表人" in page.text


def test_a_material_is_added_to_an_item_by_its_name(small: House) -> None:
    editor = small.http(small.role(ConsoleRole.LIST_EDITOR))
    draft = editor.post("/console/drafts", {"comment": "x"}).headers["Location"].rsplit("/", 1)[1]
    where = f"/console/drafts/{draft}/rows/items/{catalogue.SHOP}"
    revision = re.search(r'name="revision" value="(\d+)"', editor.get(where).text)
    assert revision is not None
    names = {key: one["name"]["zh"] for key, one in catalogue.document()["materials"].items()}

    def added(words: str) -> Any:
        return editor.post(where, {"revision": revision[1], "act": "add:materials", "new:materials": words})

    before = editor.get(where).text.count("f:materials/")
    assert added(names["premises"]).text.count("f:materials/") > before
    unknown = added("没有的材料")
    assert (unknown.status_code, "没有的材料" in unknown.text) == (422, True)
    options = editor.get(f"/console/choices/material?field=q&q={names['premises']}&draft={draft}").text
    assert f"{names['premises']} · premises" in options
