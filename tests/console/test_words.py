"""Both languages are whole: every word of code and templates has its Chinese, and none stands outside translation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from jinja2 import Environment, nodes

from broker.web.console.words import FOLDER, messages, whole_catalogue

WEB = FOLDER.parents[1]
TEMPLATES = sorted((WEB / "templates" / "console").rglob("*.html"))
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "mark": None, "Nav": (2,)}
METHODS = [("console/**.py", "python"), ("templates/console/**.html", "jinja2")]
PLACE = re.compile(r"%\((\w+)\)s")
SAYING = Environment(extensions=["jinja2.ext.i18n"])  # noqa: S701 - only parses
TABLES = {"field", "groups", "words", "rate_words", "kind_names"}  # tables of marked words, and a row of one
WORDS_AS_THEY_ARE = {"中文", "English", "免"}  # a language's own name, and the mark


def said() -> Iterator[tuple[str, str]]:
    """Every message of the console with the file that says it."""
    for file, _, message, _, _ in extract_from_dir(WEB, method_map=METHODS, keywords=KEYWORDS):
        yield file, message if isinstance(message, str) else str((message or ("",))[0])


def test_everything_said_is_said_in_chinese_too() -> None:
    catalogue = whole_catalogue()
    assert [(file, words) for file, words in said() if not (catalogue.get(words) and catalogue[words].string)] == []
    assert len(list(said())) > 40


def test_a_translation_keeps_the_places_of_its_original() -> None:
    for file, message in messages():
        original = message.id if isinstance(message.id, str) else message.id[0]
        translated = message.string if isinstance(message.string, str) else str((message.string or [""])[0])
        places = [sorted(set(re.findall(r"%\((\w+)\)s", words))) for words in (original, translated)]
        assert places[0] == places[1] or not isinstance(message.id, str), (file, original)


def test_nothing_that_is_said_holds_a_percent_sign_but_of_a_named_place() -> None:
    """Templates format every message, even one without places: a bare ``%`` would be an error page, in one language."""
    both = [*said(), *((file, words) for file, message in messages() for words in _every(message.id, message.string))]
    assert len(both) > 2 * 40
    assert [(file, words) for file, words in both if "%" in PLACE.sub("", words)] == []
    for file, words in both:
        places = dict.fromkeys(PLACE.findall(words), "x")
        assert "%" not in words % places, (file, words)


def _every(*forms: object) -> list[str]:
    """A message's forms: one, or singular and plural."""
    return [one for form in forms for one in ([form] if isinstance(form, str) else list(form or ()))]  # type: ignore[call-overload]


def test_a_template_fills_every_place_of_what_it_says() -> None:
    """And what it does not write out itself comes from a table of marked words, none of which has a place."""
    seen = 0
    for path in TEMPLATES:
        for call in SAYING.parse(path.read_text("utf-8")).find_all(nodes.Call):
            if not (isinstance(call.node, nodes.Name) and call.node.name in {"_", "gettext", "ngettext"}):
                continue
            seen += 1
            written = [one.value for one in call.args if isinstance(one, nodes.Const)]
            if not written:
                assert {one.name for one in call.find_all(nodes.Name)} & TABLES, (path.name, call.lineno)
            given = {one.key for one in call.kwargs} | ({"num"} if call.node.name == "ngettext" else set())
            assert set(PLACE.findall(" ".join(map(str, written)))) <= given, (path.name, call.lineno, written)
    assert seen > 40
    marked = list(extract_from_dir(WEB, method_map=METHODS, keywords={"mark": None, "Nav": (2,)}))
    assert marked
    assert [one for one in marked if PLACE.search(str(one[2]))] == []


def test_one_message_has_one_translation_and_none_is_left_over() -> None:
    found: dict[object, object] = {}
    used = {words for _, words in said()}
    for file, message in messages():
        key = message.id if isinstance(message.id, str) else message.id[0]
        assert found.setdefault(key, message.string) == message.string, (file, key)
        assert key in used, (file, key)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_no_word_of_a_template_stands_outside_translation(path: Path) -> None:
    text = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}|<!--.*?-->", " ", path.read_text("utf-8"), flags=re.DOTALL)
    labels = re.findall(r'(?:aria-label|title|placeholder|alt)="([^"]*)"', text)
    words = re.sub(r"<[^>]*>", " ", text) + " ".join(labels)
    left = set(re.findall(r"[A-Za-z\u4e00-\u9fff]{2,}|[\u4e00-\u9fff]", words)) - WORDS_AS_THEY_ARE
    assert not left, left
