"""Exports of the audit log: entries with their places, the signed checkpoint, and the proof that they belong to it.

JSON Lines. The first line is the head, then one line for each entry in the order of the places, then the end:

    {"export":1,"log":origin,"size":n,"checkpoint":note,"filter":{…},"whole":bool,"made_at":moment}
    {"position":i,"entry":text,"proof":[base64, …]}
    {"end":count}

``entry`` is the entry's bytes as text: its leaf hash is over exactly these bytes. Without a filter the export is
*whole*: its lines need no proof, because together they make the root that the checkpoint signs, and nothing can be
missing. With a filter each line is proved by itself; that nothing was left out, only a whole export can show.

CSV holds the same: a row of column names, a row ``#`` whose entry column is the head, a row for each entry, and a row
``end``. Its columns between position and entry repeat what the entry says, for those who read it in a spreadsheet.
"""

from __future__ import annotations

import base64
import binascii
import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from broker.core import checkpoint, merkle
from broker.core.cells import csv_text, plain
from broker.core.cosignature import Seen, WitnessKey, counting, seen_by
from broker.core.envelope import Verifier, canonical, parse
from broker.core.errors import CallerProblem
from broker.core.receipt import moment

COLUMNS = ("position", "at", "kind", "client", "operator", "case", "entry", "proof")
MAX_LINE = 512 * 1024  # an entry has at most 64 KiB, which JSON may make six times as long, and a proof 63 hashes
BEGINNING = 1024  # bytes in which an export's head says that it is one: a receipt has nothing of it there
_SHOWN = COLUMNS[1:6]
_NUMBER = re.compile("0|[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted; what is not given wants all. ``until`` is not included."""

    since: datetime | None = None
    until: datetime | None = None
    kind: str | None = None
    client: str | None = None
    case: str | None = None
    operator: str | None = None
    subject: str | None = None  # a keyed pseudonym
    unit: str | None = None
    source: str | None = None
    outcome: str | None = None  # a reason or, where an entry has none, its outcome or code
    verification: str | None = None
    item: str | None = None  # by its key in the list, or the scene's
    material: str | None = None  # by its key in the list
    region: str | None = None
    login: str | None = None  # of whoever signed in and did it, or to whose account it was done

    @property
    def whole(self) -> bool:
        """Whether it wants the whole log."""
        return all(getattr(self, one.name) is None for one in fields(self))

    def document(self) -> dict[str, str]:
        """What is given, as the head of an export and the entry of its making say it."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            name: moment(value) if isinstance(value, datetime) else value
            for name, value in given.items()
            if value is not None
        }


@dataclass(frozen=True, slots=True)
class Head:
    """What an export says of itself."""

    log: str
    size: int
    note: str
    wanted: Filter
    made_at: datetime

    def document(self) -> dict[str, Any]:
        """The first line."""
        return {
            "export": 1, "log": self.log, "size": self.size, "checkpoint": self.note,
            "filter": self.wanted.document(), "whole": self.wanted.whole, "made_at": moment(self.made_at),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of an export; the proof is empty in a whole one."""

    position: int
    entry: bytes = field(repr=False)
    proof: tuple[bytes, ...] = field(default=(), repr=False)

    def document(self) -> dict[str, Any]:
        """Its line."""
        return {"position": self.position, "entry": self.entry.decode("utf-8"), "proof": _texts(self.proof)}


def is_export(start: bytes) -> bool:
    """Whether a file that begins so is an export; it may yet be malformed."""
    return start.startswith(",".join(COLUMNS).encode()) or b'"export"' in start[:BEGINNING]


def as_json_lines(head: Head, lines: Iterable[Line]) -> Iterator[bytes]:
    """The export as JSON Lines."""
    yield canonical(head.document()) + b"\n"
    count = 0
    for count, line in enumerate(lines, 1):  # noqa: B007 - the last number is how many there were
        yield canonical(line.document()) + b"\n"
    yield canonical({"end": count}) + b"\n"


def as_csv(head: Head, lines: Iterable[Line]) -> Iterator[bytes]:
    """The export as CSV; no cell can become a formula."""
    yield csv_text([COLUMNS, ("#", *[""] * 5, canonical(head.document()).decode(), "")]).encode()
    count = 0
    for count, line in enumerate(lines, 1):  # noqa: B007 - as above
        says = json.loads(line.entry)
        shown = [str(says.get(name, "")) for name in _SHOWN]
        proof = canonical(_texts(line.proof)).decode()
        yield csv_text([(line.position, *shown, line.entry.decode("utf-8"), proof)]).encode()
    yield csv_text([("end", *[""] * 5, str(count), "")]).encode()


# --- verifying -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VerifiedExport:
    """What an export proves: so many entries of a log of this size; ``whole`` where no entry can be missing."""

    log: str
    size: int
    root: bytes = field(repr=False)
    entries: int
    whole: bool
    seen: tuple[Seen, ...] = ()


def verify_export(
    data: Iterable[bytes], log_keys: Sequence[Verifier], witnesses: Sequence[tuple[WitnessKey, Verifier]] = ()
) -> VerifiedExport:
    """What an export's lines (of bytes, JSON or CSV) prove, needing nothing but the log's published keys.

    (1) a head, entries in ascending places, and an end that counts them;
    (2) the checkpoint is signed by the log that the head names (by a revoked key of it, only where a known witness saw
        it before), and of the size that it says;
    (3) whole: the entries are all there and make the root; else each is included under it by its own proof.
    Raises ``CallerProblem`` ``export.malformed``, ``export.entry`` or ``log.checkpoint-…``.
    """
    documents = _documents(data)
    head = next(documents, {})
    if head.get("export") != 1 or not isinstance(head.get("checkpoint"), str) or not isinstance(head.get("log"), str):
        raise CallerProblem("export.malformed", expected="a head")  # (1)
    seen = tuple(seen_by(head["checkpoint"], witnesses))
    signed = checkpoint.verify(head["checkpoint"], head["log"], counting(log_keys, seen), at_least=1)  # (2)
    whole = head.get("whole") is True
    if signed.size != head.get("size"):
        raise CallerProblem("export.malformed", expected="the checkpoint's size")
    tree = _Growing()
    count, last = 0, -1
    for document in documents:
        if "end" in document:
            if document["end"] != count or next(documents, None) is not None:
                raise CallerProblem("export.malformed", got=str(count), expected="an end that counts the entries")
            break
        line = _line(document)
        if line.position <= last or line.position >= signed.size:
            raise CallerProblem("export.malformed", got=str(line.position), expected="ascending places below the size")
        leaf = merkle.leaf_hash(line.entry)
        if whole:
            tree.add(leaf)
        elif not merkle.verify_inclusion(leaf, line.position, signed.size, line.proof, signed.root):  # (3)
            raise CallerProblem("export.entry", got=str(line.position))
        count, last = count + 1, line.position
    else:
        raise CallerProblem("export.malformed", expected="an end")
    if whole and (count != signed.size or tree.root() != signed.root):  # (3)
        raise CallerProblem("export.entry", got=f"{count} entries", expected=f"the {signed.size} that were signed")
    return VerifiedExport(head["log"], signed.size, signed.root, count, whole, seen)


class _Growing:
    """The root of leaves that come one after another, in the memory of a path: the peaks of the tree so far."""

    def __init__(self) -> None:
        self._peaks: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        height = 0
        while self._peaks and self._peaks[-1][0] == height:
            leaf = merkle.node_hash(self._peaks.pop()[1], leaf)
            height += 1
        self._peaks.append((height, leaf))

    def root(self) -> bytes:
        if not self._peaks:
            return merkle.EMPTY_ROOT
        result = self._peaks[-1][1]
        for _, peak in reversed(self._peaks[:-1]):
            result = merkle.node_hash(peak, result)
        return result


def _documents(data: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    lines = iter(data)
    first = next(lines, b"")
    if first.startswith(b"{"):
        yield _parsed(first)
        for line in lines:
            yield _parsed(line)
    else:
        yield from _rows(first, lines)


def _rows(first: bytes, lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """The rows of a CSV as the lines of JSON would be."""
    texts = (line.decode("utf-8", "replace") for line in (first, *lines))
    rows = _read(csv.reader(texts, strict=True))
    if tuple(next(rows, ())) != COLUMNS:
        raise CallerProblem("export.malformed", expected="a line of JSON, or the columns' names")
    for row in rows:
        if len(row) != len(COLUMNS):
            raise CallerProblem("export.malformed", expected=f"{len(COLUMNS)} columns")
        place, entry, proof = row[0], plain(row[6]), plain(row[7])
        if place == "#":
            yield _parsed(entry.encode())
        elif place == "end":
            yield {"end": _number(entry)}
        else:
            yield {"position": _number(place), "entry": entry, "proof": _list(proof)}


def _read(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    """The same, and what is no CSV is refused as anything else that is malformed."""
    try:
        yield from rows
    except csv.Error as error:
        raise CallerProblem("export.malformed", expected="CSV as RFC 4180 has it") from error


def _parsed(line: bytes) -> dict[str, Any]:
    document = parse(line, limit=MAX_LINE)
    if not isinstance(document, dict):
        raise CallerProblem("export.malformed", expected="an object on each line")
    return document


def _list(text: str) -> Any:
    return parse(text.encode(), limit=MAX_LINE)


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise CallerProblem("export.malformed", expected="a number")
    return int(text)


def _line(document: dict[str, Any]) -> Line:
    position, entry, proof = document.get("position"), document.get("entry"), document.get("proof")
    if type(position) is not int or not isinstance(entry, str) or not isinstance(proof, list):
        raise CallerProblem("export.malformed", expected="position, entry, proof")
    try:
        hashes = tuple(base64.b64decode(one, validate=True) for one in proof)
    except (binascii.Error, TypeError, ValueError) as error:
        raise CallerProblem("export.malformed", expected="hashes in base64") from error
    return Line(position, entry.encode(), hashes)


def _texts(hashes: Iterable[bytes]) -> list[str]:
    return [base64.b64encode(one).decode("ascii") for one in hashes]
