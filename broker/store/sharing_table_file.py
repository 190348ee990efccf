"""Writes the sharing list as a table for a spreadsheet: CSV, and XLSX with its heads held in sight.

No cell is ever a formula. In CSV a text that could be one gets an apostrophe; in XLSX every cell says that it is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.styles.cell_style import StyleArray
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from broker.core.cells import csv_text, starts_formula
from broker.core.sharing_table import COLUMNS

TITLE = "数据共享应用清单"
_HEADS = ([column.zh for column in COLUMNS], [column.en for column in COLUMNS])
_UNPRINTABLE = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what a sheet cannot hold
_MAX_CELL = 32_767  # what a sheet's cell can hold
_TOP = Alignment(vertical="top", wrap_text=True)


def write_csv(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Two rows of heads, then the rows; with a byte order mark, without which Excel takes Chinese for Latin."""
    path.write_text(csv_text([*_HEADS, *rows]), "utf-8-sig", newline="")


def write_xlsx(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """The same in one sheet: heads frozen, columns wide enough to read, a filter on every column."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(TITLE)
    last = get_column_letter(len(COLUMNS))
    for number, column in enumerate(COLUMNS, 1):
        sheet.column_dimensions[get_column_letter(number)].width = column.width
    sheet.freeze_panes = "A3"
    cells = Cells(sheet)
    for head in _HEADS:
        sheet.append([cells.head(text) for text in head])
    number = len(_HEADS)
    for number, row in enumerate(rows, len(_HEADS) + 1):  # noqa: B007 - the last one ends the filter
        sheet.append([cells.text(text) for text in row])
    sheet.auto_filter.ref = f"A2:{last}{number}"
    sheet.print_title_rows = "1:2"
    sheet.page_setup.orientation = "landscape"
    book.save(path)


class Cells:
    """Makes the cells of one sheet. A style is made once: a city's list has some hundred thousand cells."""

    def __init__(self, sheet: WriteOnlyWorksheet) -> None:
        """Of a sheet that is being written."""
        self._sheet = sheet
        self._plain = self._style(alignment=_TOP)
        self._quoted = self._style(alignment=_TOP, quotePrefix=True)
        self._head = self._style(alignment=_TOP, font=Font(bold=True), fill=PatternFill("solid", fgColor="DDE6F0"))
        self._rate = self._style(number_format="0.0%")

    def text(self, text: str) -> Cell:
        """A cell that is text whatever it begins with; it stays one when somebody edits it."""
        return self._text(text, self._quoted if starts_formula(text) else self._plain)

    def head(self, text: str) -> Cell:
        """A head over a column."""
        return self._text(text, self._head)

    def number(self, value: int) -> Cell:
        """A number."""
        return Cell(self._sheet, 1, 1, value)

    def rate(self, value: float) -> Cell:
        """A share, shown in percent."""
        return Cell(self._sheet, 1, 1, value, self._rate)

    def _text(self, text: str, style: StyleArray) -> Cell:
        cell = Cell(self._sheet, 1, 1, _UNPRINTABLE.sub("", text)[:_MAX_CELL], style)
        cell.data_type = "s"  # openpyxl takes a text that begins with = for a formula
        return cell

    def _style(self, **wanted: Any) -> StyleArray:
        model: Any = WriteOnlyCell(self._sheet)
        for name, value in wanted.items():
            setattr(model, name, value)
        style: StyleArray = model._style  # noqa: SLF001 - a cell's constructor takes it, and nothing else gives it
        return style
