"""The list row by row: which rows differ between two lists, and how two people's changes come together.

A row is what stands under one key of one section (an item, a material, a source, a scene, a region, a library link).
Changes of different rows never contradict each other; two different changes of one row do, and only a person can say
which is meant. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.core.patch import same

Document = Mapping[str, Any]
RowKey = tuple[str, str]  # section, key; "" for what concerns a section as a whole

ABSENT: Any = None  # a row that is not there; no row of a list is null
MINE, THEIRS = "mine", "theirs"


@dataclass(frozen=True, slots=True)
class RowChange:
    """That a row became another: ``added``, ``changed`` or ``removed``."""

    section: str
    key: str
    kind: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """A row that both changed, differently; ``ABSENT`` where one of them has removed it."""

    section: str
    key: str
    base: Any = field(repr=False)
    mine: Any = field(repr=False)
    theirs: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Merged:
    """Two people's changes in one document; where it has conflicts, theirs stands in it until somebody chooses."""

    document: dict[str, Any] = field(repr=False)
    conflicts: tuple[Conflict, ...] = ()


def rows_changed(before: Document, after: Document) -> Iterator[RowChange]:
    """The rows that differ, section by section."""
    for section in _names(before, after):
        old, new = _rows(before, section), _rows(after, section)
        for key in _names(old, new):
            if not same(old.get(key), new.get(key)):
                kind = "changed" if key in old and key in new else "added" if key in new else "removed"
                yield RowChange(section, key, kind)


def merge(base: Document, mine: Document, theirs: Document, choices: Mapping[RowKey, str] | None = None) -> Merged:
    """What my changes to ``base`` make of their later document; ``choices`` says whose row stands where both changed.

    The order is theirs, with what I added at the end of its section, as the plans grow; where only I changed the order
    of the rows, it is mine.
    """
    conflicts: list[Conflict] = []
    document: dict[str, Any] = {}
    for section in _names(theirs, mine):
        rows = _section(section, (base, mine, theirs), choices or {}, conflicts)
        if rows or section in theirs:
            document[section] = rows
    return Merged(document, tuple(conflicts))


def _section(
    section: str, lists: Sequence[Document], choices: Mapping[RowKey, str], conflicts: list[Conflict]
) -> dict[str, Any]:
    base, mine, theirs = (_rows(one, section) for one in lists)
    rows: dict[str, Any] = {}
    for key in _order(base, mine, theirs):
        row = _row(Conflict(section, key, base.get(key), mine.get(key), theirs.get(key)), choices, conflicts)
        if row is not ABSENT:
            rows[key] = row
    return rows


def _row(three: Conflict, choices: Mapping[RowKey, str], conflicts: list[Conflict]) -> Any:
    if same(three.mine, three.base) or same(three.mine, three.theirs):
        return three.theirs
    if same(three.theirs, three.base):
        return three.mine
    chosen = choices.get((three.section, three.key))
    if chosen not in {MINE, THEIRS}:
        conflicts.append(three)
    return three.mine if chosen == MINE else three.theirs


def _order(base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Every key once; mine leads only where I changed the order of what all three have, and they did not."""
    common = [key for key in base if key in mine and key in theirs]
    moved = [[key for key in rows if key in common] != common for rows in (mine, theirs)]
    first, second = (mine, theirs) if moved == [True, False] else (theirs, mine)
    return _names(first, second)


def _rows(document: Document, section: str) -> Mapping[str, Any]:
    """A section's rows; a section that is no mapping, which the grammar forbids, counts as one row."""
    found = document.get(section, {})
    return found if isinstance(found, Mapping) else {"": found}


def _names(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    return [*first, *(name for name in second if name not in first)]
