"""Writes the sharing list as a table for a spreadsheet: CSV, and XLSX with its heads held in sight.

No cell is ever a formula. In CSV a text that could be one gets an apostrophe; in XLSX every cell says that it is text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from broker.core.cells import csv_text
from broker.core.sharing_table import COLUMNS
from broker.store.workbook import Sheet, workbook

TITLE = "数据共享应用清单"
_HEADS = ([column.zh for column in COLUMNS], [column.en for column in COLUMNS])


def write_csv(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Two rows of heads, then the rows; with a byte order mark, without which Excel takes Chinese for Latin."""
    path.write_text(csv_text([*_HEADS, *rows]), "utf-8-sig", newline="")


def write_xlsx(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """The same in one sheet: heads frozen, columns wide enough to read, a filter on every column."""
    path.write_bytes(workbook([Sheet(TITLE, _HEADS, rows, [column.width for column in COLUMNS])]))
