"""The console's words: English in code and templates, Chinese in ``words/*.po``, one file for each area.

The files are read when the application is made: there is no compiled form that could be forgotten or collide. Words
that the rest of the broker has in both languages (``{"zh": …, "en": …}``) are picked by ``told``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, current_app, g, request
from flask_babel import Babel, Domain

from broker.core.day import CHINA

FOLDER = Path(__file__).parent / "words"
LANGUAGES = {"zh": "zh_Hans_CN", "en": "en"}


class Words(Domain):  # type: ignore[misc]  # flask-babel has no types
    """The translations as flask-babel asks for them: a catalogue for Chinese, the words themselves for English."""

    def get_translations(self) -> NullTranslations:
        """Those of this request's language."""
        return _ENGLISH if language() == "en" else _chinese()


_ENGLISH = NullTranslations()


@cache
def _chinese() -> Translations:
    compiled = io.BytesIO()
    write_mo(compiled, whole_catalogue())
    compiled.seek(0)
    return Translations(compiled)


def whole_catalogue() -> Catalog:
    """Every file's messages in one catalogue; that two files translate one message differently is a test's business."""
    whole = Catalog(locale=LANGUAGES["zh"])
    for _, message in messages():
        whole[message.id] = message
    return whole


def messages() -> Iterator[tuple[str, Message]]:
    """Every translated message, with the file it stands in."""
    for path in sorted(FOLDER.glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=LANGUAGES["zh"]):
                if message.id:
                    yield path.name, message


def mark(text: str) -> str:
    """Words that stand in a table and are translated where they are used."""
    return text


def install_words(app: Flask) -> None:
    """Let templates and code speak the request's language."""
    app.extensions["console-words"] = Words()
    _chinese()  # a file that cannot be read stops the start, not the first page
    Babel(app, default_locale=LANGUAGES["zh"], default_timezone="Asia/Shanghai", locale_selector=_locale)


def language_cookie() -> str:
    """The cookie that holds the language and says nothing else."""
    return "__Host-broker-lang" if g.cookie_secure else "broker-lang"


def begin_words() -> None:
    """Make our translations those of this request."""
    asked = request.cookies.get(language_cookie(), "")
    g.language = asked if asked in LANGUAGES else "zh"
    current_app.extensions["console-words"].as_default()


def language() -> str:
    """``zh`` or ``en``."""
    return str(g.get("language", "zh"))


def told(words: Mapping[str, str] | str | None) -> str:
    """Words that come in both languages, in this request's; plain text stays what it is."""
    if words is None:
        return ""
    return words if isinstance(words, str) else words[language()]


def when(moment: datetime | None) -> str:
    """A moment as people in China read their clocks."""
    return "–" if moment is None else moment.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")


def clock(moment: datetime | str | None) -> str:
    """A moment to the millisecond, as people in China read their clocks; entries and receipts have it as text."""
    if not moment:
        return "–"
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def html_language() -> str:
    """The ``lang`` of the page."""
    return "zh-CN" if language() == "zh" else "en"


def _locale() -> str:
    return LANGUAGES[language()]
