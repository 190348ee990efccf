"""The sharing list: browse and search it, and look at one item, material or source with all that belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import wraps
from typing import Any

from flask import Response, request
from flask_babel import gettext

from broker.core.catalog import Catalog
from broker.core.coverage import LIFE_CYCLES, State, lines_of
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.guide import role_name
from broker.core.people import ConsoleRole
from broker.core.sharing_table import COLUMNS, ended_row, rows_of
from broker.web.console.area import EVERY_ROLE, Area, Console, Nav, View
from broker.web.console.list_words import LEVELS, MODES, SHARING, STATES
from broker.web.console.lists import Lists, Row, Seen
from broker.web.console.page import shown, to
from broker.web.console.sheets import Table, exported
from broker.web.console.visit import visitor
from broker.web.console.words import language, mark, told

PER_PAGE = 50


def sharing_area(console: Console) -> Area:
    """The pages that read the list."""
    area, sharing = Area("sharing", Nav("index", "Sharing list")), _Sharing(console)
    area.get("/list", _where_sound(sharing.index), EVERY_ROLE)
    area.get("/list/export/<kind>", _where_sound(sharing.export), EVERY_ROLE)
    area.get("/list/items/<key>", _where_sound(sharing.item), EVERY_ROLE)
    area.get("/list/materials", _where_sound(sharing.materials), EVERY_ROLE)
    area.get("/list/materials/<key>", _where_sound(sharing.material), EVERY_ROLE)
    area.get("/list/sources/<key>", _where_sound(sharing.source), EVERY_ROLE)
    return area


def where_published(view: View) -> View:
    """The page, or – where no edition is in force yet – what there is to do about that."""

    @wraps(view)
    def shown_or_empty(*arguments: Any, **values: Any) -> Response:
        try:
            return view(*arguments, **values)
        except OperatorProblem as problem:
            if problem.code != "edition.none":
                raise
            return shown("sharing/none.html")

    return shown_or_empty


class _UnreadableError(Exception):
    """A draft whose rows break the grammar, or name what is not there: it can be mended, and not be browsed."""


def _where_sound(view: View) -> View:
    """The page, or – where a draft cannot be browsed – what the check finds in it."""

    @wraps(view)
    def shown_or_sent(*arguments: Any, **values: Any) -> Response:
        try:
            return view(*arguments, **values)
        except _UnreadableError:
            return to("drafts_findings", number=_draft())

    return where_published(shown_or_sent)


class _Sharing:
    def __init__(self, console: Console) -> None:
        self._lists: Lists = console.lists
        self._parts = console.parts

    def _seen(self) -> tuple[Seen, date]:
        seen, today = self._lists.seen(_draft())
        if seen.draft and any(one.rule in {"schema", "reference"} for one in self._lists.findings(seen.listing)):
            raise _UnreadableError
        return seen, today

    def index(self) -> Response:
        """Every item of every region, filtered by what was asked for."""
        seen, asked, rows, _ = self._found()
        page = max(1, request.args.get("page", 1, type=int))
        start = (page - 1) * PER_PAGE
        return shown(
            "sharing/index.html", seen=seen, asked=asked, choices=_choices(seen.catalog), page=page, found=len(rows),
            rows=rows[start : start + PER_PAGE], pages=max(1, -(-len(rows) // PER_PAGE)), states=STATES,
            query=_query(asked, seen), filters=_FILTER_WORDS,
        )  # fmt: skip

    def export(self, kind: str) -> Response:
        """What each of these items requires, in the columns of the published list (数据共享应用清单)."""
        seen, asked, found, today = self._found()
        order = list(seen.catalog.regions)
        found.sort(key=lambda row: order.index(row.place.region))  # as the published list: region by region
        rows = [
            words for row in found for words in _published(row, seen.catalog, today, ended=asked["state"] == "ended")
        ]
        heads = [column.zh if language() == "zh" else column.en for column in COLUMNS]
        about = _about(seen, asked, today)
        return exported(
            self._parts, Table("sharing-list", gettext("Sharing list"), heads, rows, about, seen.edition, asked), kind
        )

    def _found(self) -> tuple[Seen, dict[str, str], list[Row], date]:
        """The list, what was asked for, and the items that fit."""
        seen, today = self._seen()
        asked = {name: request.args.get(name, "").strip() for name in (*_FILTERS, "q")}
        return seen, asked, [row for row in self._lists.rows(seen.listing, today) if _matches(row, asked)], today

    def item(self, key: str) -> Response:
        """One item: where it stands, what it requires, how each material is replaced, and what has happened to it."""
        seen, today = self._seen()
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
        seen, _ = self._seen()
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
        seen, _ = self._seen()
        material = _one(seen.catalog.materials, key)
        items = [seen.catalog.items[one] for one in seen.listing.needed_by.get(key, ())]
        return shown(
            "sharing/material.html", seen=seen, material=material, items=items, can_edit=_can_edit(seen),
            history=self._history("materials", key), **_words(),
        )  # fmt: skip

    def source(self, key: str) -> Response:
        """One source: whose it is, what it offers, and which materials ask it."""
        seen, _ = self._seen()
        source = _one(seen.catalog.sources, key)
        materials = [seen.catalog.materials[one] for one in seen.listing.used_by.get(key, ())]
        return shown(
            "sharing/source.html", seen=seen, source=source, materials=materials, can_edit=_can_edit(seen),
            history=self._history("sources", key), **_words(),
        )  # fmt: skip

    def _history(self, section: str, key: str) -> dict[str, Any]:
        """A page of the editions in which a row became another, the newest first."""
        page = max(0, min(request.args.get("before", 0, type=int), 10_000))
        lines, more = self._lists.history(section, key, page)
        return {"lines": lines, "page": page, "more": more, "section": section, "key": key}


_FILTERS: Mapping[str, Callable[[Row, str], bool]] = {
    "region": lambda row, value: row.place.region == value,
    "life_cycle": lambda row, value: row.item.life_cycle == value,
    "stage": lambda row, value: row.scene.stage["zh"] == value,
    "scene": lambda row, value: row.scene.key == value,
    "department": lambda row, value: value in row.place.lead,
    "state": lambda row, value: not row.in_force if value == "ended" else row.in_force and bool(row.states.get(value)),
}


_FILTER_WORDS: Mapping[str, str] = {
    "region": mark("Region"), "life_cycle": mark("Life cycle"), "stage": mark("Stage"), "scene": mark("Scene"),
    "department": mark("Leading department"), "state": mark("Materials"),
}  # fmt: skip


def _published(row: Row, catalog: Catalog, day: date, *, ended: bool) -> Iterator[Sequence[str]]:
    """An item's rows in the published list; one that is not in force has none there, and one where it is asked for."""
    if row.in_force:
        for line in lines_of(catalog, row.item, row.place, day):
            yield from rows_of(line, catalog, language())
    elif ended:
        yield ended_row(row.item, row.place, catalog, language())


def _about(seen: Seen, asked: Mapping[str, str], day: date) -> list[tuple[str, str]]:
    """What the file says of itself: whose rows it holds, as of which day."""
    draft = [(gettext("Draft"), f"{seen.draft.comment} {seen.draft.id}".strip())] if seen.draft else []
    names = {name: dict(choices) for name, choices in _choices(seen.catalog).items()}
    chosen = [(gettext(words), told(names[name].get(asked[name], asked[name])))
              for name, words in _FILTER_WORDS.items() if asked[name]]  # fmt: skip
    sought = [(gettext("Search"), asked["q"])] if asked["q"] else []
    return [*draft, (gettext("As of"), day.isoformat()), *chosen, *sought]


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
