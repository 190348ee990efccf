"""The supply ledger (供给台账): what each department promised, has connected, in which quality, and what is overdue.

Duties: Z34 (responsible unit, due date, state of each line; exportable), Z38 (lines done and overdue), Z41, R24.
A department stands in it with the rows it owes (``owner``, else the authority of the row's source).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from broker.core.catalog import Catalog, Replacement, RowState, Text
from broker.core.health import Day

LATELY = timedelta(days=7)  # a confirmed row's source has answered within it, or it is not connected
QUALITY_DAYS = 30


class Supply(StrEnum):
    """How a row of the list stands with whoever owes it."""

    CONNECTED = "connected"  # confirmed, and its source answered lately
    SILENT = "silent"  # confirmed, and nothing was heard of its source lately
    PROMISED = "promised"  # proposed, its due date to come, or without one
    OVERDUE = "overdue"  # proposed, its due date passed


@dataclass(frozen=True, slots=True)
class Owed:
    """One row of one material's chain, and how it stands."""

    material: str
    name: Text
    mode: str
    source: str
    due: date | None
    state: Supply
    items: int  # that need the material
    place: int  # in the material's chain, from 0


@dataclass(frozen=True, slots=True)
class Quality:
    """What a source said in the last days."""

    held: int = 0
    not_held: int = 0
    unknown: int = 0
    failed: int = 0  # of the unknown: a fault for which somebody must act
    last_ok_at: datetime | None = None
    objections: int = 0  # raised against its data

    @property
    def asked(self) -> int:
        """Every question that it heard."""
        return self.held + self.not_held + self.unknown


@dataclass(frozen=True)
class Ledger:
    """One department's page."""

    department: Text
    units: frozenset[str]  # credit codes of its sources, where the list has them
    rows: tuple[Owed, ...]
    sources: Mapping[str, Quality] = field(default_factory=dict)

    def count(self, state: Supply) -> int:
        """How many of its rows stand so."""
        return sum(row.state is state for row in self.rows)

    @property
    def undated(self) -> int:
        """Promises without a date."""
        return sum(row.state is Supply.PROMISED and row.due is None for row in self.rows)

    @property
    def quality(self) -> Quality:
        """All its sources together."""
        return _together(self.sources.values())


def ledgers(
    catalog: Catalog, days: Iterable[Day], objections: Mapping[str, int], today: date, now: datetime
) -> list[Ledger]:
    """Every department that owes a row, the most overdue first; ``objections`` counts those to each source."""
    quality = _qualities(days, objections)
    needed = _needed(catalog)
    rows: dict[str, list[Owed]] = {}
    names: dict[str, Text] = {}
    for material in catalog.materials.values():
        for place, row in enumerate(material.chain):
            department = _department(catalog, row)
            if department is not None:
                names.setdefault(department["zh"], department)
                state = _state(row, quality, today, now)
                owed = Owed(material.key, material.name, row.mode.value, row.source or "", row.due, state,
                            needed.get(material.key, 0), place)  # fmt: skip
                rows.setdefault(department["zh"], []).append(owed)
    found = [_ledger(catalog, names[name], theirs, quality) for name, theirs in rows.items()]
    return sorted(found, key=lambda one: (-one.count(Supply.OVERDUE), -len(one.rows), one.department["zh"]))


def _department(catalog: Catalog, row: Replacement) -> Text | None:
    """Who owes a row; nobody owes what needs no source and names no owner."""
    if row.owner:
        return {"zh": row.owner, "en": row.owner}
    source = catalog.sources.get(row.source or "")
    return source.authority if source is not None and row.asks_source else None


def _state(row: Replacement, quality: Mapping[str, Quality], today: date, now: datetime) -> Supply:
    if row.state is RowState.PROPOSED:
        return Supply.OVERDUE if row.due is not None and row.due < today else Supply.PROMISED
    heard = quality.get(row.source or "", Quality()).last_ok_at
    return Supply.CONNECTED if heard is not None and heard >= now - LATELY else Supply.SILENT


def _ledger(catalog: Catalog, department: Text, rows: list[Owed], quality: Mapping[str, Quality]) -> Ledger:
    keys = sorted({row.source for row in rows if row.source})
    units = frozenset(catalog.sources[key].unit for key in keys if key in catalog.sources) - {""}
    order = list(Supply)[::-1]  # what is overdue comes first
    rows.sort(key=lambda row: (order.index(row.state), row.due or date.max, row.material))
    return Ledger(department, units, tuple(rows), {key: quality.get(key, Quality()) for key in keys})


def _qualities(days: Iterable[Day], objections: Mapping[str, int]) -> dict[str, Quality]:
    found = {source: Quality(objections=count) for source, count in objections.items()}
    for day in days:
        heard = Quality(day.held, day.not_held, day.unknown, day.failed, day.last_ok_at)
        found[day.source] = _together([found.get(day.source, Quality()), heard])
    return found


def _together(all_of: Iterable[Quality]) -> Quality:
    each = list(all_of)
    return Quality(
        sum(one.held for one in each), sum(one.not_held for one in each), sum(one.unknown for one in each),
        sum(one.failed for one in each), max((one.last_ok_at for one in each if one.last_ok_at), default=None),
        sum(one.objections for one in each),
    )  # fmt: skip


def _needed(catalog: Catalog) -> dict[str, int]:
    found: dict[str, set[str]] = {}
    for item in catalog.items.values():
        for requirement in item.requirements:
            found.setdefault(requirement.material, set()).add(item.key)
    return {material: len(items) for material, items in found.items()}
