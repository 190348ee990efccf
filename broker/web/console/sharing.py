"""The sharing list: browse and search it, and look at one item, material or source with all that belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request

from broker.core.catalog import Catalog
from broker.core.coverage import LIFE_CYCLES, State, lines_of
from broker.core.errors import CallerProblem
from broker.core.guide import role_name
from broker.core.people import ConsoleRole
from broker.web.console.area import EVERY_ROLE, Area, Console, Nav
from broker.web.console.list_words import LEVELS, MODES, SHARING, STATES
from broker.web.console.lists import Listing, Lists, Row, Seen
from broker.web.console.page import shown
from broker.web.console.visit import visitor

PER_PAGE = 50
_HISTORY = 20  # editions looked back through for what happened to an item


def sharing_area(console: Console) -> Area:
    """The pages that read the list."""
    area, sharing = Area("sharing", Nav("index", "Sharing list")), _Sharing(Lists(console.parts, console.check))
    area.get("/list", sharing.index, EVERY_ROLE)
    area.get("/list/items/<key>", sharing.item, EVERY_ROLE)
    area.get("/list/materials", sharing.materials, EVERY_ROLE)
    area.get("/list/materials/<key>", sharing.material, EVERY_ROLE)
    area.get("/list/sources/<key>", sharing.source, EVERY_ROLE)
    return area


class _Sharing:
    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    def index(self) -> Response:
        """Every item of every region, filtered by what was asked for."""
        seen, today = self._lists.seen(_draft())
        asked = {name: request.args.get(name, "").strip() for name in _FILTERS} | {
            "q": request.args.get("q", "").strip()
        }
        rows = [row for row in self._lists.rows(seen.listing, today) if _matches(row, asked)]
        page = max(1, request.args.get("page", 1, type=int))
        start = (page - 1) * PER_PAGE
        return shown(
            "sharing/index.html", seen=seen, asked=asked, choices=_choices(seen.catalog), page=page, found=len(rows),
            rows=rows[start : start + PER_PAGE], pages=max(1, -(-len(rows) // PER_PAGE)), states=STATES,
            query=_query(asked, seen),
        )  # fmt: skip

    def item(self, key: str) -> Response:
        """One item: where it stands, what it requires, how each material is replaced, and what has happened to it."""
        seen, today = self._lists.seen(_draft())
        item = _one(seen.catalog.items, key)
        places = [
            (place, seen.catalog.scenes[place.scene], list(lines_of(seen.catalog, item, place, today)))
            for place in item.places.values()
        ]
        return shown(
            "sharing/item.html", seen=seen, item=item, places=places, history=self._history("items", key),
            can_edit=_can_edit(seen), holder=role_name, in_force=item.effective.covers(today), **_words(),
        )  # fmt: skip

    def materials(self) -> Response:
        """Every material, with how many items need it."""
        seen, _ = self._lists.seen(_draft())
        sought = request.args.get("q", "").strip().casefold()
        found = [
            one for one in seen.catalog.materials.values()
            if sought in f"{one.key} {' '.join(one.name.values())} {one.basis or ''}".casefold()
        ]  # fmt: skip
        return shown(
            "sharing/materials.html", seen=seen, found=found, q=request.args.get("q", ""),
            needed=seen.listing.needed_by, **_words(),
        )  # fmt: skip

    def material(self, key: str) -> Response:
        """One material: its chain, its basis, and which items need it."""
        seen, _ = self._lists.seen(_draft())
        material = _one(seen.catalog.materials, key)
        items = [seen.catalog.items[one] for one in seen.listing.needed_by.get(key, ())]
        return shown(
            "sharing/material.html", seen=seen, material=material, items=items, can_edit=_can_edit(seen),
            history=self._history("materials", key), **_words(),
        )  # fmt: skip

    def source(self, key: str) -> Response:
        """One source: whose it is, what it offers, and which materials ask it."""
        seen, _ = self._lists.seen(_draft())
        source = _one(seen.catalog.sources, key)
        materials = [seen.catalog.materials[one] for one in seen.listing.used_by.get(key, ())]
        return shown(
            "sharing/source.html", seen=seen, source=source, materials=materials, can_edit=_can_edit(seen),
            history=self._history("sources", key), **_words(),
        )  # fmt: skip

    def _history(self, section: str, key: str) -> list[tuple[Any, bool]]:
        """The editions in which a row became another, the newest first, and whether it was new there."""
        editions = self._lists.editions()[: _HISTORY + 1]
        rows = [(one, self._row_of(one.number, section, key)) for one in editions]
        told = []
        for position, (edition, row) in enumerate(rows):
            before = rows[position + 1][1] if position + 1 < len(rows) else None
            if row != before and row is not None:
                told.append((edition, before is None))
        return told

    def _row_of(self, number: int, section: str, key: str) -> Any:
        listing: Listing = self._lists.edition(number)
        return listing.document[section].get(key)


_FILTERS: Mapping[str, Callable[[Row, str], bool]] = {
    "region": lambda row, value: row.place.region == value,
    "life_cycle": lambda row, value: row.item.life_cycle == value,
    "stage": lambda row, value: row.scene.stage["zh"] == value,
    "scene": lambda row, value: row.scene.key == value,
    "department": lambda row, value: value in row.place.lead,
    "state": lambda row, value: not row.in_force if value == "ended" else row.in_force and bool(row.states.get(value)),
}


def _matches(row: Row, asked: Mapping[str, str]) -> bool:
    words = asked["q"].casefold().split()
    return all(word in row.sought for word in words) and all(
        holds(row, asked[name]) for name, holds in _FILTERS.items() if asked[name]
    )


def _choices(catalog: Catalog) -> dict[str, list[tuple[str, Any]]]:
    """What each filter offers: value and words."""
    leads = {lead for item in catalog.items.values() for place in item.places.values() for lead in place.lead}
    return {
        "region": [(one.code, one.name) for one in catalog.regions.values()],
        "life_cycle": [*LIFE_CYCLES.items()],
        "stage": [*{one.stage["zh"]: one.stage for one in catalog.scenes.values()}.items()],
        "scene": [(one.key, one.name) for one in catalog.scenes.values()],
        "department": [(lead, lead) for lead in sorted(leads)],
        "state": [*((one.value, STATES[one.value]) for one in State), ("ended", STATES["ended"])],
    }


def _query(asked: Mapping[str, str], seen: Seen) -> dict[str, str]:
    return {name: value for name, value in asked.items() if value} | seen.arguments


def _one(rows: Mapping[str, Any], key: str) -> Any:
    if key not in rows:
        raise CallerProblem("page.unknown")
    return rows[key]


def _draft() -> str | None:
    return request.args.get("draft") or None


def _can_edit(seen: Seen) -> bool:
    return seen.draft is not None and seen.draft.state == "draft" and visitor().has(ConsoleRole.LIST_EDITOR)


def _words() -> dict[str, Any]:
    return {"modes": MODES, "states": STATES, "levels": LEVELS, "sharings": SHARING}
