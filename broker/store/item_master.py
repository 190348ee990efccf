"""Reads an item library's export – CSV, XLSX or JSON – within limits, and keeps the ties to it in a file of their own.

A file from elsewhere is not trusted: its size is limited before and after it is unpacked, XML goes through defusedxml
(openpyxl uses it where it is installed), and whatever is wrong becomes a finding with its row. What the rows mean is
``broker.core.master_entries``'.
"""

from __future__ import annotations

import csv
import io
import os
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import yaml
from openpyxl.utils.exceptions import InvalidFileException

from broker.core import cells
from broker.core.envelope import parse
from broker.core.errors import CallerProblem
from broker.core.findings import Finding
from broker.core.master_entries import MAX_TEXT, NEEDED, Raw, column, note

MAX_BYTES = 32 * 1024 * 1024  # a province's items with their materials are some 10 MB of CSV
MAX_UNPACKED = 128 * 1024 * 1024  # an XLSX is a zip; honest ones unpack to about ten times their size
MAX_PARTS = 200  # files in the zip; a workbook with one sheet has some fifteen
MAX_ROWS = 100_000  # a city's items are some thousands, with ten materials each
MAX_COLUMNS = 200  # the widest real table has some sixty
MAX_CELL = MAX_TEXT * 2  # a longer one is no field of a library, and is refused where it stands

LINKS_HEAD = """\
# To which entries of the item library (事项库) our items are tied, by item and region.
#
# Written by `broker catalog import --apply`; do not edit. The library stays the only master: these are its own
# elements, as they stood in the version named. Where it disagrees with the list, `broker catalog import` says so.

"""

# What openpyxl and what is below it raise for files that are not what they claim to be.
_BAD_WORKBOOK = (
    ArithmeticError, AssertionError, AttributeError, EOFError, InvalidFileException, LookupError, NotImplementedError,
    OSError, RuntimeError, SyntaxError, TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class MasterFile:
    """The rows of a file under our names of the columns, and what was wrong with it."""

    rows: tuple[Raw, ...]
    findings: tuple[Finding, ...]


class _Refused(Exception):
    """The file cannot be used: a rule, and why."""

    def __init__(self, rule: str, why: str, row: int | None = None) -> None:
        super().__init__(why)
        self.finding = note(rule, row, why=why)


def read_master(path: Path) -> MasterFile:
    """Read a file; its ending says what it is. With findings, there are no rows."""
    try:
        rows = tuple(_rows(path))
    except _Refused as refused:
        return MasterFile((), (refused.finding,))
    return MasterFile(rows, ())


def _rows(path: Path) -> Iterator[Raw]:
    body = _body(path)
    kind = path.suffix.lower()
    if kind == ".csv":
        return _under_heads(_csv(body))
    if kind == ".xlsx":
        return _under_heads(_xlsx(body))
    if kind == ".json":
        return _json(body)
    raise _Refused("unreadable", f"{kind or path.name}: not .csv, .xlsx or .json")


def _body(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _Refused("unreadable", error.strerror or "it cannot be opened") from error
    if len(body) > MAX_BYTES:
        raise _Refused("too-large", f"more than {MAX_BYTES} bytes")
    return body


# ---- tables


def _under_heads(lines: Iterable[tuple[int, Sequence[str]]]) -> Iterator[Raw]:
    """Each line under the heads of the first; lines without any content are passed over."""
    numbered = iter(lines)
    heads = _heads(next(numbered, (1, ()))[1])
    for count, (number, values) in enumerate(numbered, 1):
        if count > MAX_ROWS:
            raise _Refused("too-large", f"more than {MAX_ROWS} rows", number)
        if any(len(value) > MAX_CELL for value in values):
            raise _Refused("too-large", f"a cell of more than {MAX_CELL} characters", number)
        found = {heads[place]: value for place, value in enumerate(values) if place in heads and value}
        if found:
            yield Raw(number, found)


def _heads(head: Sequence[str]) -> dict[int, str]:
    """Where each column that we know stands."""
    if len(head) > MAX_COLUMNS:
        raise _Refused("too-large", f"more than {MAX_COLUMNS} columns", 1)
    heads = {place: name for place, text in enumerate(head) if (name := column(text)) is not None}
    known = list(heads.values())
    for name in known:
        if known.count(name) > 1:
            raise _Refused("header", f"{name} stands twice", 1)
    for name in NEEDED:
        if name not in known:
            raise _Refused("header", f"there is no {name}", 1)
    return heads


def _csv(body: bytes) -> Iterator[tuple[int, Sequence[str]]]:
    """Comma-separated, in UTF-8 or in the encoding that Excel in China saves."""
    reader = csv.reader(io.StringIO(_decoded(body), newline=""), strict=True)
    try:
        for values in reader:
            yield reader.line_num, [cells.plain(value.strip()) for value in values]
    except csv.Error as error:
        raise _Refused("unreadable", str(error), reader.line_num) from error


def _decoded(body: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise _Refused("unreadable", "neither UTF-8 nor GB 18030")


def _xlsx(body: bytes) -> Iterator[tuple[int, Sequence[str]]]:
    """The first sheet. Values, not formulas; a code that the sheet holds as a number has lost its digits."""
    _check_zip(body)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions, which say nothing here
            book = openpyxl.load_workbook(io.BytesIO(body), read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # what the file says of its own size is not believed
        lines = sheet.iter_rows(max_row=MAX_ROWS + 2, max_col=MAX_COLUMNS + 1, values_only=True)
        # One row more than is allowed, so that its being there is seen; read here, so that errors are seen here.
        found = [(number, _line(values, number)) for number, values in enumerate(lines, 1)]
    except _BAD_WORKBOOK as error:
        raise _Refused("unreadable", f"not a workbook ({type(error).__name__})") from error
    return iter(found)


def _line(values: Sequence[object], row: int) -> list[str]:
    """A row as text, without the blank cells to which openpyxl fills it up."""
    texts = [_text(value, row) for value in values]
    while texts and not texts[-1]:
        texts.pop()
    return texts


def _check_zip(body: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            parts = archive.infolist()
    except _BAD_WORKBOOK as error:
        raise _Refused("unreadable", "not a workbook") from error
    # zipfile gives out no more than a part says it holds, so what the parts say is what can come.
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
        raise _Refused("too-large", f"it unpacks to more than {MAX_UNPACKED} bytes or {MAX_PARTS} parts")


def _text(value: object, row: int) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float | int):
        return _number(value, row)
    return str(value).strip()


def _number(value: float, row: int) -> str:
    if abs(value) >= 10**15:  # a sheet keeps fifteen digits, and makes noughts of the others
        raise _Refused(
            "unreadable", "a code was saved as a number and has lost its digits: format the column as text", row
        )
    return str(int(value)) if value == int(value) else str(value)


# ---- JSON


def _json(body: bytes) -> Iterator[Raw]:
    """A list of rows, or of items with their ``materials``; a row's number is its place in the list."""
    try:
        document = parse(body, limit=MAX_BYTES)
    except CallerProblem as problem:
        raise _Refused("unreadable", problem.code) from problem
    if not isinstance(document, list):
        raise _Refused("unreadable", "a list of objects is needed")
    if len(document) > MAX_ROWS:
        raise _Refused("too-large", f"more than {MAX_ROWS} rows")
    return (raw for number, entry in enumerate(document, 1) for raw in _objects(entry, number))


def _objects(entry: Any, number: int) -> Iterator[Raw]:
    if not isinstance(entry, Mapping):
        raise _Refused("unreadable", "an object is needed", number)
    own = _object({name: value for name, value in entry.items() if name != "materials"}, number)
    inner = entry.get("materials", [{}])
    if not isinstance(inner, list) or not all(isinstance(one, Mapping) for one in inner) or len(inner) > MAX_COLUMNS:
        raise _Refused("unreadable", f"materials must be a list of at most {MAX_COLUMNS} objects", number)
    for one in inner or [{}]:
        yield Raw(number, own | _object(one, number))


def _object(entry: Mapping[str, Any], number: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for head, value in entry.items():
        name = column(head)
        if name is None:
            continue
        if isinstance(value, list | dict) or name in found:
            raise _Refused("unreadable", f"{name} must be one value, and stand once", number)
        text = _text(value, number)
        if len(text) > MAX_CELL:
            raise _Refused("too-large", f"a value of more than {MAX_CELL} characters", number)
        if text:
            found[name] = text
    return found


# ---- the ties


def write_links(path: Path, section: Mapping[str, Any]) -> None:
    """Write the section ``master`` to its own file, whole or not at all; hand-written files are never touched."""
    body = LINKS_HEAD + yaml.safe_dump({"master": dict(section)}, allow_unicode=True, sort_keys=False, width=120)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(body)
        Path(name).chmod(0o644)
        # Crash before this: the old file stands, and a stray beside it. After it: the new one.
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
