"""Coverage: the city at a glance – what is exempt, proposed or missing, where to go next, and how it has grown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from flask import Response, request
from flask_babel import gettext
from markupsafe import Markup

from broker.core.catalog import Catalog, Text
from broker.core.coverage import LIFE_CYCLES, By, Coverage, State, coverage, lines
from broker.web.console.area import EVERY_ROLE, Area, Console, Nav
from broker.web.console.chart import Share, bars, trend
from broker.web.console.lists import Listing, Lists, Seen
from broker.web.console.page import shown
from broker.web.console.sharing import where_published
from broker.web.console.sheets import Table, exported
from broker.web.console.words import told

_BACK = 12  # editions the trend goes back
_CHOICES = (By.STAGE, By.DEPARTMENT, By.SCENE, By.LIFE_CYCLE, By.REGION)


def coverage_area(console: Console) -> Area:
    """The page of the coverage."""
    area = Area("coverage", Nav("index", "Coverage"))
    pages = _Coverage(console)
    area.get("/coverage", where_published(pages.index), EVERY_ROLE)
    area.get("/coverage/export/<kind>", where_published(pages.export), EVERY_ROLE)
    return area


@dataclass(frozen=True, slots=True)
class Cell:
    """One stage of one department."""

    exempt: int
    proposed: int
    missing: int

    @property
    def total(self) -> int:
        """Every material."""
        return self.exempt + self.proposed + self.missing


class _Coverage:
    def __init__(self, console: Console) -> None:
        self._lists: Lists = console.lists
        self._parts = console.parts
        # A function of the list and the day alone, so what was worked out once stays good.
        self._report = lru_cache(maxsize=32)(_report)
        self._grid = lru_cache(maxsize=8)(_grid)
        self._totals: dict[tuple[str, str], Share] = {}  # of one day, by the list's digest and the region
        self._day: date | None = None

    def index(self) -> Response:
        """Figures, a chart by stage or department, both crossed, the next best sources, and the trend."""
        seen, today = self._lists.seen(None)
        by = next((one for one in _CHOICES if one.value == request.args.get("by")), By.STAGE)
        region = _region(seen)
        report = self._report(seen.listing, today, by, region)
        shares = [
            Share(told(group.name), group.figures.exempt, group.figures.waiting, group.figures.missing)
            for group in report.groups
        ]
        stages, grid = self._grid(seen.listing, today, region)
        past = self._past(today, region)
        return shown(
            "coverage/index.html", seen=seen, report=report, by=by.value, region=region, choices=_CHOICES,
            chart=Markup(bars(shares)), stages=stages, grid=grid, past=past, cycles=LIFE_CYCLES,  # noqa: S704 - our own
            picture=Markup(trend([(str(number), share) for number, share in past])),  # noqa: S704 - our own
        )  # fmt: skip

    def export(self, kind: str) -> Response:
        """Department by stage, a row for each that has anything, so that a spreadsheet can turn it any way."""
        seen, today = self._lists.seen(None)
        region = _region(seen)
        stages, grid = self._grid(seen.listing, today, region)
        heads = [gettext("Leading department"), gettext("Stage"), gettext("Materials in all"), gettext("Exempt"),
                 gettext("Proposed"), gettext("Missing"), gettext("Share exempt")]  # fmt: skip
        rows = [
            (lead, told(words), cell.total, cell.exempt, cell.proposed, cell.missing, cell.exempt / cell.total)
            for lead, cells in grid.items() for stage, words in stages.items()
            if (cell := cells.get(stage)) is not None
        ]  # fmt: skip
        about = [(gettext("As of"), today.isoformat())]
        if region:
            about.append((gettext("Region"), told(seen.catalog.regions[region].name)))
        table = Table("coverage", gettext("Coverage"), heads, rows, about, seen.edition, {"region": region})
        return exported(self._parts, table, kind)

    def _past(self, today: date, region: str) -> list[tuple[int, Share]]:
        """The totals of the last editions, all as they would count today, so that only the lists differ.

        Only what has no total yet is read: nothing on most days, one edition after a publication.
        """
        last = [one for one in self._lists.editions() if one.withdrawn_at is None][:_BACK]
        if self._day != today:
            self._day, self._totals = today, {}
        totals = self._totals
        missing = [one for one in last if (one.digest, region) not in totals]
        for listing in self._lists.several([one.number for one in missing]).values():
            total = _report(listing, today, By.REGION, region).total
            totals[listing.digest, region] = Share("", total.exempt, total.waiting, total.missing)
        return [(one.number, totals[one.digest, region]) for one in reversed(last)]


def _region(seen: Seen) -> str:
    """The region that was chosen, "" for all."""
    chosen = request.args.get("region", "")
    return chosen if chosen in seen.catalog.regions else ""


def _report(listing: Listing, day: date, by: By, region: str) -> Coverage:
    return coverage(listing.catalog, day, by, region or None)


def _grid(listing: Listing, day: date, region: str) -> tuple[dict[str, Text], dict[str, dict[str, Cell]]]:
    """Lines by leading department and stage; a department that leads nothing in a stage has no cell there."""
    catalog: Catalog = listing.catalog
    counts: dict[str, dict[str, dict[State, int]]] = {}
    stages = {scene.stage["zh"]: scene.stage for scene in catalog.scenes.values()}
    for line in lines(catalog, day):
        if region in {"", line.place.region}:
            stage = catalog.scenes[line.place.scene].stage["zh"]
            for lead in line.place.lead or ("–",):
                cell = counts.setdefault(lead, {}).setdefault(stage, dict.fromkeys(State, 0))
                cell[line.state] += 1
    order = sorted(counts, key=lambda lead: -sum(sum(cell.values()) for cell in counts[lead].values()))
    grid = {
        lead: {
            stage: Cell(cell[State.CONFIRMED], cell[State.PROPOSED], cell[State.MISSING])
            for stage, cell in counts[lead].items()
        }
        for lead in order
    }
    return stages, grid
