"""Figures (统计): materials saved and every rate, by month, region, department, scene and more; as frozen; exported.

Definitions stand in ``docs/figures.md`` and on the page. Duties: Z06, Z07, Z25, Z38, Z41, R24.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flask import Response, request
from flask_babel import gettext
from markupsafe import Markup

from broker.core.catalog import Catalog
from broker.core.coverage import LIFE_CYCLES
from broker.core.day import day_of
from broker.core.figures import RATES, Figures, GroupBy, month_of, months_before, months_between, months_of
from broker.core.problems import PROBLEMS
from broker.flow.figures import crossed, told_by
from broker.flow.parts import Parts
from broker.ports.figures import Frozen, Where
from broker.web.console.area import EVERY_ROLE, Area, Console, Nav
from broker.web.console.chart import Column, columns
from broker.web.console.choices import Choice, choice_of, meant, names_of
from broker.web.console.figure_words import GROUPS, RATE_WORDS, name_of
from broker.web.console.list_words import MODES
from broker.web.console.page import shown
from broker.web.console.sheets import Table, Value, exported, percent
from broker.web.console.words import mark, told

MONTHS_BACK = 12
MONTHS_MOST = 120  # of a free period; ten years answer every assessment
MONTHS_DRAWN = 24
FILTERS = ("region", "department", "scene")
ALL_FILTERS = (*FILTERS, "life_cycle", "item", "mode")
_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])\Z")
_PERIOD = re.compile(r"20\d\d(-(0[1-9]|1[0-2]|Q[1-4]))?\Z")
_PARTS = (
    ("exempt", "#1f5f99", mark("Exempt")),
    ("fallback", "url(#striped)", mark("Replaced otherwise")),
    ("rest", "#d5d8dc", mark("Submitted or not met")),
)


def figures_area(console: Console) -> Area:
    """The page of figures and its files."""
    area, pages = Area("figures", Nav("index", "Figures")), _Pages(console.parts)
    area.get("/figures", pages.index, EVERY_ROLE)
    area.get("/figures/export/<kind>", pages.export, EVERY_ROLE)
    return area


@dataclass(frozen=True)
class Asked:
    """What was asked for: a month, quarter, year or free period, else the last twelve months; by what, and where."""

    by: GroupBy
    month: str  # 2026-03, 2026-Q1, 2026, or "" for the last twelve and for a free period
    months: Sequence[str]  # those counted
    back: Sequence[str]  # the last twelve
    where: Mapping[str, str]
    free: tuple[str, str] | None = None  # the first and last month of a free period

    @property
    def arguments(self) -> dict[str, str]:
        """For links that keep it."""
        return {"by": self.by.value, **self._period, **self.where}

    @property
    def _period(self) -> dict[str, str]:
        if self.free is not None:
            return {"since": self.free[0], "until": self.free[1]}
        return {"month": self.month} if self.month else {}

    @property
    def period(self) -> str:
        """The period as one says it, "" for the last twelve months."""
        return self.month if self.free is None else " – ".join(self.free)

    def counted(self, catalog: Catalog) -> Where:
        """The filters by the counters' own columns: a life cycle is any of its scenes."""
        found: dict[str, str | tuple[str, ...]] = {k: v for k, v in self.where.items() if k != "life_cycle"}
        cycle = self.where.get("life_cycle")
        if cycle and "scene" not in found:
            found["scene"] = tuple(one.key for one in catalog.scenes.values() if one.life_cycle == cycle)
        return found


def asked_from(
    today_month: str, choices: Sequence[GroupBy] = tuple(GroupBy), filters: Sequence[str] = FILTERS
) -> Asked:
    """What the address asks for; what cannot be understood is left out."""
    back = months_before(today_month, MONTHS_BACK)
    by = next((one for one in choices if one.value == request.args.get("by")), GroupBy.DEPARTMENT)
    where = {name: value for name in filters if (value := request.args.get(name, "").strip())}
    since, until = (request.args.get(name, "").strip() for name in ("since", "until"))
    if _MONTH.match(since) and _MONTH.match(until) and since <= until and since <= today_month:
        last = min(until, today_month)
        return Asked(by, "", months_between(since, last)[-MONTHS_MOST:], back, where, (since, last))
    month = request.args.get("month", "")
    months = [one for one in months_of(month) if one <= today_month] if _PERIOD.match(month) else []
    return Asked(by, month, months, back, where) if months else Asked(by, "", back, back, where)


def periods(first: str, today_month: str) -> dict[str, list[str]]:
    """What the selector offers back to the first month that holds anything: years, quarters, months; newest first."""
    months = months_between(min(first, months_before(today_month, MONTHS_BACK)[0]), today_month)[::-1]
    quarters = dict.fromkeys(f"{month[:4]}-Q{(int(month[5:]) + 2) // 3}" for month in months)
    return {"years": list(dict.fromkeys(month[:4] for month in months)), "quarters": list(quarters), "months": months}


@dataclass(frozen=True)
class Seen:
    """Everything the page and its files show."""

    asked: Asked
    catalog: Catalog
    groups: Sequence[tuple[str, str, Figures]]  # key, name, figures
    total: Figures
    past: Sequence[tuple[str, Figures]]
    frozen: Mapping[str, Frozen]
    first: str  # the first month that holds anything
    refusals: Sequence[tuple[str, int]]  # code, count
    crossed: Mapping[str, Mapping[str, Figures]]  # department, month
    unclear: Sequence[Choice]  # what the item that was typed could mean


class _Pages:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def index(self) -> Response:
        """The figures as cards, a trend with its table, and a table by whatever was chosen."""
        seen = self._seen()
        drawn = [
            Column(f"{month[2:]}\n{percent(one.exemption_rate)}", month, (one.exempt, one.fallback, one.rest))
            for month, one in seen.past[-MONTHS_DRAWN:]
        ]
        has_any = any(one.materials or one.papers for _, one in seen.past)
        picture = Markup(columns(gettext("Materials decided by month"), _PARTS, drawn))  # noqa: S704 - our own
        return shown(
            "figures/index.html", seen=seen, picture=picture, rates=RATES, rate_words=RATE_WORDS, groups=GROUPS,
            percent=percent, choices=choices_of(seen.catalog), has_any=has_any, problems=PROBLEMS,
            periods=periods(seen.first, seen.asked.back[-1]), item=_item(seen),
        )  # fmt: skip

    def export(self, kind: str) -> Response:
        """One of the page's tables as it is filtered: by group, department by month, or the refusals."""
        table = {"crossed": _crossed, "refusals": _refusals}.get(request.args.get("table", ""), _table)
        return exported(self._parts, table(self._seen()), kind)

    def _seen(self) -> Seen:
        with self._parts.store.read() as work:
            pulse = work.pulse()
            catalog = self._parts.edition_in_force(work, self._parts.policy(work, pulse), pulse.now).catalog
            asked, unclear = _meant(asked_from(month_of(day_of(pulse.now)), filters=ALL_FILTERS), catalog)
            where = asked.counted(catalog)
            found = told_by(work, asked.by, where, asked.months)
            past = told_by(work, GroupBy.MONTH, where, sorted({*asked.back, *asked.months}))
            frozen = {one.month: one for one in work.frozen()}
            first = min([*list(frozen)[:1], (work.first_day() or asked.back[-1])[:7]])
            refusals = [] if "mode" in where else work.refusals(where, asked.months)
            by_department = crossed(work, where, asked.months) if len(asked.months) > 1 else {}
        groups = [(key, name_of(asked.by, key, catalog), one) for key, one in found.items()]
        if asked.by is not GroupBy.MONTH:
            groups.sort(key=lambda group: -group[2].materials)
        total = Figures()
        for month in asked.months:
            total = total.plus(past.get(month, Figures()))
        shown_months = asked.months if len(asked.months) > 1 else asked.back
        by_month = [(month, past.get(month, Figures())) for month in shown_months]
        return Seen(asked, catalog, groups, total, by_month, frozen, first, refusals, by_department, unclear)


def _item(seen: Seen) -> str:
    """The item as its input shows it."""
    chosen = choice_of(seen.asked.where.get("item", ""), names_of(seen.catalog, "item"))
    return request.args["item"] if seen.unclear else chosen.words


def _meant(asked: Asked, catalog: Catalog) -> tuple[Asked, Sequence[Choice]]:
    """With the item that was typed as its key – or without one, and those that it could mean."""
    key, unclear = meant(asked.where.get("item", ""), names_of(catalog, "item"))
    others = {name: value for name, value in asked.where.items() if name != "item"}
    return replace(asked, where=others | ({"item": key} if key else {})), unclear


def choices_of(catalog: Catalog) -> dict[str, list[tuple[str, str]]]:
    """What can be chosen in each filter: (key, name)."""
    leads = {lead for item in catalog.items.values() for place in item.places.values() for lead in place.lead[:1]}
    return {
        "region": [(key, name_of(GroupBy.REGION, key, catalog)) for key in catalog.regions],
        "department": [(lead, lead) for lead in sorted(leads)],
        "scene": [(key, name_of(GroupBy.SCENE, key, catalog)) for key in catalog.scenes],
        "life_cycle": [(key, told(words)) for key, words in LIFE_CYCLES.items()],
        "mode": [(mode, told(words)) for mode, words in MODES.items()],
    }


def _table(seen: Seen) -> Table:
    asked = seen.asked
    heads = [gettext(GROUPS[asked.by]), gettext("Key"), gettext("Materials decided"), gettext("Materials saved"),
             gettext("On-site checks avoided"), gettext("Replaced otherwise"), gettext("Papers taken"),
             gettext("Of them unused data"),
             *(gettext(RATE_WORDS[name]) for name in RATES)]  # fmt: skip
    rows: list[Sequence[Value]] = [
        (name, key, one.materials, one.exempt, one.visits, one.fallback, one.papers, one.unused,
         *(getattr(one, rate) for rate in RATES))
        for key, name, one in seen.groups
    ]  # fmt: skip
    name = f"figures-{asked.by.value}-{asked.month or asked.months[-1]}"
    return Table(name, gettext("Figures"), heads, rows, _about(seen), asked=asked.arguments)


def _crossed(seen: Seen) -> Table:
    months = seen.asked.months
    heads = [gettext("Leading department"), *(head for month in months for head in (
        f"{month} {gettext('Materials decided')}", f"{month} {gettext('Materials saved')}"))]  # fmt: skip
    rows: list[Sequence[Value]] = [
        (name, *(value for month in months for one in [found.get(month, Figures())]
                 for value in (one.materials, one.exempt)))
        for name, found in seen.crossed.items()
    ]  # fmt: skip
    title = gettext("Department by month")
    name = f"figures-department-month-{months[-1]}"
    return Table(name, title, heads, rows, _about(seen), asked=seen.asked.arguments)


def _refusals(seen: Seen) -> Table:
    heads = [gettext("Reason of the refusal"), gettext("Key"), gettext("Requests refused")]
    rows: list[Sequence[Value]] = [(_problem(code), code, count) for code, count in seen.refusals]
    title = gettext("Refusals by reason")
    name = f"figures-refusals-{seen.asked.months[-1]}"
    return Table(name, title, heads, rows, _about(seen), asked=seen.asked.arguments)


def _problem(code: str) -> str:
    return told({"zh": PROBLEMS[code].zh, "en": PROBLEMS[code].en}) if code in PROBLEMS else code


def _about(seen: Seen) -> list[tuple[str, str]]:
    """What a file says of itself: its period, its filters, the digests of its frozen months."""
    asked = seen.asked
    words = {name: gettext(GROUPS[GroupBy(name)]) for name in asked.where if name != "life_cycle"}
    words["life_cycle"] = gettext("Life cycle")
    return [(gettext("Months"), f"{asked.months[0]} – {asked.months[-1]}"),
            *((words[name], value) for name, value in asked.where.items()),
            *((gettext("Frozen"), f"{month} {seen.frozen[month].digest}") for month in asked.months
              if month in seen.frozen),
            (gettext("Definitions"), "docs/figures.md")]  # fmt: skip
