"""Tables as files: XLSX with typed numbers, CSV for everything else; no formulas. That one is taken out is an entry.

Each file tells what it is: of which list, by which filter, when and for whom it was made – XLSX on a page of its own,
CSV in lines behind the table, after an empty one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from flask import Response
from flask_babel import gettext

from broker.core.cells import csv_text, width
from broker.core.errors import CallerProblem
from broker.flow.export import TableTaken, record_table
from broker.flow.parts import Parts
from broker.store.workbook import Sheet, Value, workbook
from broker.web.console.visit import visitor
from broker.web.console.words import when

__all__ = ["Table", "Value", "exported", "percent", "written"]

MOST_ROWS = 5_000  # of what grows without end, in one file; a filter has the rest
_MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_NARROW, _WIDE = 10, 48
_ABOUT = (24, 80)
_LOOKED_AT = 200  # rows, for how wide a column is: what stands further down wraps


@dataclass(frozen=True)
class Table:
    """A table to be exported: file name, title, heads, rows, and what one should know about it."""

    file: str  # letters, digits and hyphens
    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Value]]
    about: Sequence[tuple[str, str]] = ()  # the filter in words, and whatever else
    edition: int | None = None  # of the list it shows, or names things by
    asked: Mapping[str, str] = field(default_factory=dict)  # the filter, as the entry keeps it
    is_whole: bool = True  # False where there is more than a file may hold


def exported(parts: Parts, table: Table, kind: str) -> Response:
    """The table as a file to keep; the entry that it was taken comes first.

    Raises ``CallerProblem`` ``page.unknown`` for a kind that we do not write.
    """
    if kind not in _MEDIA:
        raise CallerProblem("page.unknown")
    asked = {name: value for name, value in table.asked.items() if value}
    taken = TableTaken(table.file, kind, visitor().login, len(table.rows), asked, table.edition)
    about = _about(table, record_table(parts, taken))
    response = Response(written(table, about, kind), content_type=_MEDIA[kind])
    response.headers["Content-Disposition"] = f'attachment; filename="{table.file}.{kind}"'
    return response


def written(table: Table, about: Sequence[tuple[str, str]], kind: str) -> bytes:
    """The file's bytes, with what it says of itself."""
    return _csv(table, about) if kind == "csv" else _xlsx(table, about)


def percent(rate: float | None) -> str:
    """A rate in words."""
    return "–" if rate is None else f"{rate:.1%}"


def _about(table: Table, made_at: datetime) -> list[tuple[str, str]]:
    """What a file says of itself."""
    edition = [(gettext("Edition of the sharing list"), str(table.edition))] if table.edition else []
    cut = gettext("Only the first %(most)s rows: narrow the filter for the rest.", most=len(table.rows))
    return [
        (gettext("Contents"), table.title),
        *edition,
        *(table.about or [(gettext("Filter"), gettext("none"))]),
        *([] if table.is_whole else [(gettext("Not complete"), cut)]),
        (gettext("Made at"), when(made_at)),
        (gettext("Made for"), visitor().login),
    ]


def _csv(table: Table, about: Sequence[tuple[str, str]]) -> bytes:
    """With a byte order mark, without which Excel takes Chinese for Latin."""
    rows = [[percent(one) if one is None or isinstance(one, float) else one for one in row] for row in table.rows]
    return csv_text([table.heads, *rows, [], *about]).encode("utf-8-sig")


def _xlsx(table: Table, about: Sequence[tuple[str, str]]) -> bytes:
    widths = [
        min(_WIDE, max(_NARROW, 2 + max(width(str(one)) for one in (head, *column))))
        for head, *column in zip(table.heads, *table.rows[:_LOOKED_AT], strict=True)
    ]
    return workbook([Sheet(table.title, [table.heads], table.rows, widths), Sheet("ⓘ", [], about, _ABOUT)])
