"""Both languages are whole: every word of code and templates has its Chinese, and none stands outside translation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir

from broker.web.console.words import FOLDER, messages, whole_catalogue

WEB = FOLDER.parents[1]
TEMPLATES = sorted((WEB / "templates" / "console").rglob("*.html"))
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "mark": None, "Nav": (2,)}
METHODS = [("console/**.py", "python"), ("templates/console/**.html", "jinja2")]
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
