"""Figures (统计): materials saved and every rate, by month, region, department, scene and more; as frozen; exported.

Definitions stand in ``docs/figures.md`` and on the page. Duties: Z06, Z07, Z25, Z38, Z41, R24.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Response, request
from flask_babel import gettext
from markupsafe import Markup

from broker.core.catalog import Catalog
from broker.core.day import day_of
from broker.core.figures import RATES, Figures, GroupBy, month_of, months_before
from broker.flow.figures import told_by
from broker.flow.parts import Parts
from broker.ports.figures import Frozen
from broker.web.console.area import EVERY_ROLE, Area, Console, Nav
from broker.web.console.chart import Column, columns
from broker.web.console.figure_words import GROUPS, RATE_WORDS, name_of
from broker.web.console.page import shown
from broker.web.console.sheets import Table, Value, exported, percent
from broker.web.console.words import mark

MONTHS_BACK = 12
FILTERS = ("region", "department", "scene")
_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])\Z")
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
    """What was asked for: a month or the last twelve, by what, and where."""

    by: GroupBy
    month: str
    months: Sequence[str]  # those counted
    back: Sequence[str]  # the last twelve
    where: Mapping[str, str]

    @property
    def arguments(self) -> dict[str, str]:
        """For links that keep it."""
        return {"by": self.by.value, **({"month": self.month} if self.month else {}), **self.where}


def asked_from(today_month: str, choices: Sequence[GroupBy] = tuple(GroupBy)) -> Asked:
    """What the address asks for; what cannot be understood is left out."""
    back = months_before(today_month, MONTHS_BACK)
    month = request.args.get("month", "")
    month = month if _MONTH.match(month) and month <= today_month else ""
    by = next((one for one in choices if one.value == request.args.get("by")), GroupBy.DEPARTMENT)
    where = {name: value for name in FILTERS if (value := request.args.get(name, "").strip())}
    return Asked(by, month, [month] if month else back, back, where)


@dataclass(frozen=True)
class Seen:
    """Everything the page and its files show."""

    asked: Asked
    catalog: Catalog
    groups: Sequence[tuple[str, str, Figures]]  # key, name, figures
    total: Figures
    past: Sequence[tuple[str, Figures]]
    frozen: Mapping[str, Frozen]


class _Pages:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def index(self) -> Response:
        """The figures as cards, a trend with its table, and a table by whatever was chosen."""
        seen = self._seen()
        drawn = [
            Column(f"{month[2:]}\n{percent(one.exemption_rate)}", month, (one.exempt, one.fallback, one.rest))
            for month, one in seen.past
        ]
        has_any = any(one.materials or one.papers for _, one in seen.past)
        picture = Markup(columns(gettext("Materials decided by month"), _PARTS, drawn))  # noqa: S704 - our own
        return shown(
            "figures/index.html", seen=seen, picture=picture, rates=RATES, rate_words=RATE_WORDS, groups=GROUPS,
            percent=percent, choices=choices_of(seen.catalog), has_any=has_any,
        )  # fmt: skip

    def export(self, kind: str) -> Response:
        """The table as it is filtered."""
        return exported(_table(self._seen()), kind)

    def _seen(self) -> Seen:
        with self._parts.store.read() as work:
            pulse = work.pulse()
            catalog = self._parts.edition_in_force(work, self._parts.policy(work, pulse), pulse.now).catalog
            asked = asked_from(month_of(day_of(pulse.now)))
            found = told_by(work, asked.by, asked.where, asked.months)
            past = told_by(work, GroupBy.MONTH, asked.where, sorted({*asked.back, *asked.months}))
            frozen = {one.month: one for one in work.frozen()}
        groups = [(key, name_of(asked.by, key, catalog), one) for key, one in found.items()]
        if asked.by is not GroupBy.MONTH:
            groups.sort(key=lambda group: -group[2].materials)
        total = Figures()
        for month in asked.months:
            total = total.plus(past.get(month, Figures()))
        by_month = [(month, past.get(month, Figures())) for month in asked.back]
        return Seen(asked, catalog, groups, total, by_month, frozen)


def choices_of(catalog: Catalog) -> dict[str, list[tuple[str, str]]]:
    """What can be chosen in each filter: (key, name)."""
    leads = {lead for item in catalog.items.values() for place in item.places.values() for lead in place.lead[:1]}
    return {
        "region": [(key, name_of(GroupBy.REGION, key, catalog)) for key in catalog.regions],
        "department": [(lead, lead) for lead in sorted(leads)],
        "scene": [(key, name_of(GroupBy.SCENE, key, catalog)) for key in catalog.scenes],
    }


def _table(seen: Seen) -> Table:
    asked = seen.asked
    heads = [gettext(GROUPS[asked.by]), gettext("Key"), gettext("Materials decided"), gettext("Materials saved"),
             gettext("Replaced otherwise"), gettext("Papers taken"), gettext("Of them unused data"),
             *(gettext(RATE_WORDS[name]) for name in RATES)]  # fmt: skip
    rows: list[Sequence[Value]] = [
        (name, key, one.materials, one.exempt, one.fallback, one.papers, one.unused,
         *(getattr(one, rate) for rate in RATES))
        for key, name, one in seen.groups
    ]  # fmt: skip
    about = [(gettext("Months"), f"{asked.months[0]} – {asked.months[-1]}"),
             *((gettext(GROUPS[GroupBy(name)]), value) for name, value in asked.where.items()),
             *((gettext("Frozen"), f"{month} {seen.frozen[month].digest}") for month in asked.months
               if month in seen.frozen),
             (gettext("Definitions"), "docs/figures.md")]  # fmt: skip
    return Table(f"figures-{asked.by.value}-{asked.month or asked.months[-1]}", gettext("Figures"), heads, rows, about)
