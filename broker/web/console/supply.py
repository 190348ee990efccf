"""The supply ledger (供给台账): per department what is promised, connected, in which quality, and overdue (Z34, Z38).

A person of a source department sees the department's own page; everybody else here sees all of them. Due dates and
owners stand in the list, so an editor comes from a row of the ledger to its field in a draft.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Response, request
from flask_babel import gettext

from broker.core.catalog import Catalog, Replacement
from broker.core.day import day_of
from broker.core.errors import CallerProblem
from broker.core.people import Assignment, ConsoleRole, ScopeKind
from broker.core.supply import QUALITY_DAYS, Ledger, Quality, Supply, ledgers
from broker.flow.parts import Parts
from broker.flow.publish import go_back, is_author
from broker.web.console.area import EVERY_ROLE, Area, Console, Nav, only
from broker.web.console.figure_words import SUPPLY
from broker.web.console.list_words import MODES
from broker.web.console.page import shown, to
from broker.web.console.sheets import Table, Value, exported, percent
from broker.web.console.visit import visitor
from broker.web.console.words import told, when

_TAGS = {Supply.CONNECTED: "good", Supply.SILENT: "warn", Supply.PROMISED: "", Supply.OVERDUE: "bad"}


def supply_area(console: Console) -> Area:
    """The pages of the ledger."""
    area, pages = Area("supply", Nav("index", "Supply ledger")), _Pages(console.parts)
    area.get("/supply", pages.index, EVERY_ROLE)
    area.get("/supply/export/<kind>", pages.export, EVERY_ROLE)
    area.get("/supply/department", pages.department, EVERY_ROLE)
    area.post("/supply/row", pages.row, only(ConsoleRole.LIST_EDITOR))
    area.get("/supply/department/export/<kind>", pages.department_export, EVERY_ROLE)
    return area


@dataclass(frozen=True)
class Seen:
    """The ledgers that this person may see."""

    edition: int
    catalog: Catalog
    ledgers: Sequence[Ledger]
    limited: bool


class _Pages:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def index(self) -> Response:
        """Every department in one line."""
        return shown("supply/index.html", seen=self._seen(), states=Supply, words=SUPPLY, share=_share)

    def export(self, kind: str) -> Response:
        """The lines as a file."""
        return exported(self._parts, _lines(self._seen()), kind)

    def department(self) -> Response:
        """One department: its rows, the overdue ones first, and how its sources answer."""
        seen, ledger = self._one()
        return shown(
            "supply/department.html", seen=seen, ledger=ledger, states=Supply, words=SUPPLY, tags=_TAGS, modes=MODES,
            days=QUALITY_DAYS, share=_share, can_edit=visitor().has(ConsoleRole.LIST_EDITOR),
        )  # fmt: skip

    def department_export(self, kind: str) -> Response:
        """Its rows as a file."""
        seen, ledger = self._one()
        return exported(self._parts, _rows(seen, ledger), kind)

    def row(self) -> Response:
        """On to a row's due date in this editor's draft on the newest edition; where there is none, one is made."""
        material, _, place = request.form.get("row", "").rpartition("/")
        found = self._seen().catalog.materials.get(material)
        if found is None or not place.isdecimal() or int(place) >= len(found.chain):
            raise CallerProblem("draft.row", got=material)
        draft, chain = self._draft_with(material)
        return to(
            "drafts_row",
            number=draft,
            section="materials",
            key=material,
            _anchor=_field(chain, found.chain[int(place)]),
        )

    def _draft_with(self, material: str) -> tuple[str, Sequence[Mapping[str, Any]]]:
        """The editor's draft, and the material's chain in it."""
        login = visitor().login
        with self._parts.store.read() as work:
            newest = max(one.number for one in work.published() if one.withdrawn_at is None)
            mine = (
                one for one in work.drafts() if one.state == "draft" and one.base == newest and is_author(one, login)
            )
            draft = next(mine, None)
        if draft is None:
            draft = go_back(self._parts, newest, login, gettext("Dates and owners from the supply ledger"))
        with self._parts.store.read() as work:
            found = work.read_draft(draft.id)
        document = json.loads(found[1]) if found else {}
        return draft.id, document.get("materials", {}).get(material, {}).get("chain", ())

    def _one(self) -> tuple[Seen, Ledger]:
        """The department that is named; one that this person may not see is as unknown as none."""
        seen, name = self._seen(), request.args.get("name", "")
        found = next((one for one in seen.ledgers if one.department["zh"] == name), None)
        if found is None:
            raise CallerProblem("page.unknown", got=name[:100])
        return seen, found

    def _seen(self) -> Seen:
        with self._parts.store.read() as work:
            pulse = work.pulse()
            edition = self._parts.edition_in_force(work, self._parts.policy(work, pulse), pulse.now)
            since = pulse.now - timedelta(days=QUALITY_DAYS)
            days, objections = work.health(day_of(since).isoformat()), work.objections_to(since)
        found, scopes = ledgers(edition.catalog, days, objections, day_of(pulse.now), pulse.now), _limits()
        if scopes is not None:
            found = [one for one in found if any(_covers(scope, one) for scope in scopes)]
        return Seen(edition.number, edition.catalog, found, scopes is not None)


def overdue_of(catalog: Catalog, now: datetime) -> tuple[int, list[str]]:
    """How many rows the visitor's own departments owe and have not supplied in time, and those departments' names."""
    scopes = visitor().person.scopes(ConsoleRole.SOURCE_DEPARTMENT)
    found = ledgers(catalog, (), {}, day_of(now), now)
    late = [one for one in found if one.count(Supply.OVERDUE) and any(_covers(scope, one) for scope in scopes)]
    return sum(one.count(Supply.OVERDUE) for one in late), [one.department["zh"] for one in late]


def _field(chain: Sequence[Mapping[str, Any]], row: Replacement) -> str:
    """The id of a row's due date in the draft's form; the draft may have moved the row, or have it no more."""
    same = [(one.get("mode"), one.get("source") or "", one.get("unit") or "") for one in chain]
    wanted = (row.mode.value, row.source or "", row.unit)
    return f"field-f-chain-{same.index(wanted)}-due" if wanted in same else "b-chain"


def _limits() -> tuple[Assignment, ...] | None:
    """The departments that this person is limited to; None for whoever has another role, or no limit."""
    person, role = visitor().person, ConsoleRole.SOURCE_DEPARTMENT
    if person.roles != {role} or person.everywhere(role):
        return None
    return person.scopes(role)


def _covers(scope: Assignment, ledger: Ledger) -> bool:
    if scope.kind is ScopeKind.DEPARTMENT:
        return ledger.department["zh"] == scope.value
    return scope.kind is ScopeKind.UNIT and scope.value in ledger.units


def _share(quality: Quality, name: str) -> str:
    """The share of one outcome among everything that was asked."""
    return percent(getattr(quality, name) / quality.asked if quality.asked else None)


def _lines(seen: Seen) -> Table:
    heads = [gettext("Department"), *(told(SUPPLY[state]) for state in Supply), gettext("Without a date"),
             gettext("Questions asked"), gettext("Answered yes"), gettext("Answered no"), gettext("Unknown"),
             gettext("Faults"), gettext("Objections"), gettext("Last sound answer")]  # fmt: skip
    rows: list[Sequence[Value]] = [
        (told(one.department), *(one.count(state) for state in Supply), one.undated, one.quality.asked,
         one.quality.held, one.quality.not_held, one.quality.unknown, one.quality.failed,
         one.quality.objections, when(one.quality.last_ok_at))
        for one in seen.ledgers
    ]  # fmt: skip
    return Table("supply-ledger", gettext("Supply ledger"), heads, rows, edition=seen.edition)


def _rows(seen: Seen, ledger: Ledger) -> Table:
    heads = [gettext("Material"), gettext("Key"), gettext("Mode"), gettext("Source"), gettext("State"),
             gettext("Due on"), gettext("Items that need it")]  # fmt: skip
    rows: list[Sequence[Value]] = [
        (told(row.name), row.material, told(MODES[row.mode]), _source(seen.catalog, row.source),
         told(SUPPLY[row.state]), row.due.isoformat() if row.due else "", row.items)
        for row in ledger.rows
    ]  # fmt: skip
    about, asked = [(gettext("Department"), told(ledger.department))], {"name": ledger.department["zh"]}
    return Table("supply-department", told(ledger.department), heads, rows, about, seen.edition, asked)


def _source(catalog: Catalog, key: str) -> str:
    found = catalog.sources.get(key)
    return key if found is None else told(found.name)
