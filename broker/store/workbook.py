"""Workbooks for a spreadsheet (XLSX): sheets whose heads stay in sight, with text, numbers and shares, and no formulas.

openpyxl makes the workbook with the heads; the rows beneath them are put into its sheets here, as openpyxl would write
them. It takes some twelve microseconds for a cell, which is a second for a city's list, and here it is one tenth.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile

from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from broker.core.cells import starts_formula

Value = str | int | float | None  # a float is a share, None what there is nothing to say of
_UNPRINTABLE = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what a sheet cannot hold
_MAX_CELL = 32_767  # what a sheet's cell can hold
_MAX_TITLE = 31
_TOP = Alignment(vertical="top", wrap_text=True)
_END = b"</sheetData>"


@dataclass(frozen=True)
class Sheet:
    """One sheet: rows of heads over rows of values, and how wide each column is (in Latin characters)."""

    title: str
    heads: Sequence[Sequence[str]]
    rows: Iterable[Sequence[Value]]
    widths: Sequence[int]


def workbook(sheets: Sequence[Sheet]) -> bytes:
    """The file's bytes."""
    book, bodies = Workbook(write_only=True), []
    for one in sheets:
        made = book.create_sheet(one.title[:_MAX_TITLE])
        bodies.append(_begun(made, one))
    out = io.BytesIO()
    book.save(out)
    return _with_rows(out, bodies)


def _begun(made: Any, sheet: Sheet) -> bytes:
    """Set a sheet up with its heads; returns its rows, which openpyxl does not see."""
    for number, wide in enumerate(sheet.widths, 1):
        made.column_dimensions[get_column_letter(number)].width = wide
    cells, last = _Cells(made), len(sheet.heads)
    if last:
        made.freeze_panes = f"A{last + 1}"  # before anything is written
    for head in sheet.heads:
        made.append([cells.head(text) for text in head])
    body = [f'<row r="{last + place}">{"".join(cells.of(last + place, row))}</row>'
            for place, row in enumerate(sheet.rows, 1)]  # fmt: skip
    if last:
        made.auto_filter.ref = f"A{last}:{get_column_letter(len(sheet.heads[-1]))}{last + len(body)}"
        made.print_title_rows = f"1:{last}"
    made.page_setup.orientation = "landscape"
    return "".join(body).encode()


def _with_rows(book: io.BytesIO, bodies: Sequence[bytes]) -> bytes:
    """The workbook with each sheet's rows behind its heads; the sheets stand in it by number."""
    rows = {f"xl/worksheets/sheet{number}.xml": body for number, body in enumerate(bodies, 1)}
    out = io.BytesIO()
    with ZipFile(book) as made, ZipFile(out, "w", ZIP_DEFLATED) as whole:
        for part in made.infolist():
            content = made.read(part)
            if part.filename in rows:
                before, end, after = content.rpartition(_END)
                content = before + rows[part.filename] + end + after
            whole.writestr(part.filename, content)
    return out.getvalue()


class _Cells:
    """The cells of one sheet: heads as openpyxl's own, values as they stand in the file."""

    def __init__(self, sheet: WriteOnlyWorksheet) -> None:
        self._sheet = sheet
        self._plain = self._style(alignment=_TOP)
        self._quoted = self._style(alignment=_TOP, quotePrefix=True)
        self._rate = self._style(number_format="0.0%")

    def head(self, text: str) -> Cell:
        """A head over a column."""
        cell = WriteOnlyCell(self._sheet, _printable(text))
        cell.data_type = "s"  # openpyxl takes a text that begins with = for a formula
        cell.quotePrefix = starts_formula(text)
        cell.alignment, cell.font = _TOP, Font(bold=True)
        cell.fill = PatternFill("solid", fgColor="DDE6F0")
        return cell

    def of(self, number: int, row: Sequence[Value]) -> Iterator[str]:
        """The cells of a row; what is empty has none."""
        for column, value in enumerate(row, 1):
            place = f"{get_column_letter(column)}{number}"
            if value is None or isinstance(value, str):
                yield self._text(place, "–" if value is None else value) if value != "" else ""
            elif isinstance(value, float):
                yield f'<c r="{place}" s="{self._rate}" t="n"><v>{value!r}</v></c>'
            else:
                yield f'<c r="{place}" t="n"><v>{value:d}</v></c>'

    def _text(self, place: str, text: str) -> str:
        """A cell that is text whatever it begins with, and stays one when somebody edits it."""
        style = self._quoted if starts_formula(text) else self._plain
        shown = escape(_printable(text))
        return f'<c r="{place}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{shown}</t></is></c>'

    def _style(self, **wanted: Any) -> int:
        """The number by which the workbook knows a style."""
        model = WriteOnlyCell(self._sheet)
        for name, value in wanted.items():
            setattr(model, name, value)
        return int(model.style_id)


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("", text)[:_MAX_CELL]
