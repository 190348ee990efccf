"""Cells of tables that people open in a spreadsheet: no text of ours may become a formula there, and none is lost.

A spreadsheet takes a text that begins with one of ``= + - @`` (also full-width, as Chinese keyboards type them) for a
formula, and a tab or line break before it does not help. CSV has no types, so there such a text gets an apostrophe,
which :func:`plain` takes away again. XLSX has types; its cells keep the text as it is.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence

_FORMULA = frozenset("=+-@＝＋－＠")
_BLANK = "\t\r\n \x00\xa0\u3000\ufeff"  # what a spreadsheet may pass over before it looks
_BREAKS = frozenset("\t\r\n")  # what may end a cell early, so that the next character begins one


def starts_formula(text: str) -> bool:
    """Whether a spreadsheet could take this text for a formula."""
    return text[:1] in _BREAKS or text.lstrip(_BLANK)[:1] in _FORMULA


def safe(text: str) -> str:
    """The text for a CSV cell: with an apostrophe where it could be a formula, or looks as if made safe already."""
    if text[:1].isalnum():
        return text  # nearly every cell of a large table
    return f"'{text}" if starts_formula(text.lstrip("'")) else text


def plain(text: str) -> str:
    """The text that :func:`safe` was given."""
    return text[1:] if text[:1] == "'" and starts_formula(text.lstrip("'")) else text


def csv_text(rows: Iterable[Sequence[str | int]]) -> str:
    """The rows as CSV (RFC 4180), every text cell made safe."""
    out = io.StringIO()
    csv.writer(out).writerows([safe(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return out.getvalue()


def width(text: str) -> int:
    """How many columns a text takes on a terminal or in a sheet: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def aligned(rows: Sequence[Sequence[str | int]]) -> list[str]:
    """The rows as lines of text, words to the left and numbers to the right of their columns."""
    shown = [[str(cell) for cell in row] for row in rows]
    widths = [max(width(row[column]) for row in shown) for column in range(len(shown[0]))]
    return [
        "  ".join(
            _padded(cell, size, number=column > 0) for column, (cell, size) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in shown
    ]


def _padded(cell: str, size: int, *, number: bool) -> str:
    space = " " * (size - width(cell))
    return space + cell if number else cell + space
