"""What a refusal expected, in the language of the page.

Problems carry it in English, for callers and logs. A page in Chinese shows what has no language (a date's form, codes,
numbers), what is translated here, and nothing else: the problem's own sentence and next step say it in both languages.
"""

from __future__ import annotations

import re

from flask_babel import gettext

from broker.web.console.words import language, mark

_SAID = (
    (re.compile(r"at most (?P<count>\d+) characters"), mark("no more characters than")),
    (re.compile(r"1 to (?P<count>\d+) characters"), mark("no more characters than")),
    (re.compile(r"at most (?P<count>\d+) entries"), mark("no more entries than")),
    (re.compile(r"(?:at most|1 to|within) (?P<count>\d+) days"), mark("no more days than")),
    (re.compile(r"at most (?P<count>\d+) bytes"), mark("no more bytes than")),
    (re.compile(r"not before (?P<count>\S+)"), mark("not before")),
    (re.compile(r"twice the same(?P<count>)"), mark("the same twice")),
    (re.compile(r"another password than the first(?P<count>)"), mark("another password than the first")),
    (re.compile(r"at least one(?P<count>)"), mark("at least one")),
)
_CODES = re.compile(r"[^\s,]+(?:(?:, | or )[^\s,]+)*")


def expected_words(text: str | None) -> str:
    """What was expected, as this page may say it; "" where only English words would say it on a Chinese page."""
    if not text or language() == "en":
        return text or ""
    for form, words in _SAID:
        found = form.fullmatch(text)
        if found:
            return f"{gettext(words)} {found['count']}".strip()
    return text.replace(" or ", " 或 ").replace(", ", "、") if _CODES.fullmatch(text) else ""
