"""Tables as files: XLSX with typed numbers and a page about what was exported, CSV for everything else; no formulas."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Response
from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from broker.core.cells import csv_text, width
from broker.core.errors import CallerProblem
from broker.store.sharing_table_file import head_cell, text_cell

Value = str | int | float | None  # a float is a rate
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_NARROW, _WIDE = 10, 48


@dataclass(frozen=True)
class Table:
    """A table to be exported: file name, title, heads, rows, and what one should know about it."""

    file: str  # letters, digits and hyphens
    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Value]]
    about: Sequence[tuple[str, str]] = ()


def exported(table: Table, kind: str) -> Response:
    """The table as a file to keep. Raises ``CallerProblem`` ``page.unknown`` for a kind that we do not write."""
    if kind == "csv":
        body, media = _csv(table), "text/csv; charset=utf-8"
    elif kind == "xlsx":
        body, media = _xlsx(table), _XLSX
    else:
        raise CallerProblem("page.unknown")
    response = Response(body, content_type=media)
    response.headers["Content-Disposition"] = f'attachment; filename="{table.file}.{kind}"'
    return response


def percent(rate: float | None) -> str:
    """A rate in words."""
    return "–" if rate is None else f"{rate:.1%}"


def _csv(table: Table) -> bytes:
    """With a byte order mark, without which Excel takes Chinese for Latin."""
    rows = [[percent(one) if one is None or isinstance(one, float) else one for one in row] for row in table.rows]
    return csv_text([table.heads, *rows]).encode("utf-8-sig")


def _xlsx(table: Table) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet(table.title[:31])
    for number, head in enumerate(table.heads, 1):
        cells = [width(str(row[number - 1])) for row in table.rows]
        wide = max([width(head), *cells]) + 2
        sheet.column_dimensions[get_column_letter(number)].width = min(_WIDE, max(_NARROW, wide))
    sheet.freeze_panes = "A2"
    sheet.append([head_cell(sheet, head) for head in table.heads])
    for row in table.rows:
        sheet.append([_cell(sheet, value) for value in row])
    sheet.print_title_rows = "1:1"
    sheet.page_setup.orientation = "landscape"
    if table.about:
        told = book.create_sheet("ⓘ")
        told.column_dimensions["A"].width, told.column_dimensions["B"].width = 24, 80
        for name, words in table.about:
            told.append([head_cell(told, name), text_cell(told, words)])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _cell(sheet: WriteOnlyWorksheet, value: Value) -> Cell:
    if value is None or isinstance(value, str):
        return text_cell(sheet, "–" if value is None else value)
    cell = WriteOnlyCell(sheet, value)
    if isinstance(value, float):
        cell.number_format = "0.0%"
    return cell
