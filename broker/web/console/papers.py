"""Paper taken (应用未用): rates by department and item, and report by report with reasons.

Centre and auditors read every report, a department those whose item it leads or that its own staff made.

Z26 = R13: the list of demands for originals where a live source covers the material. Each look at reports is an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, partial

from flask import Response, request
from flask_babel import gettext

from broker.core.catalog import Catalog
from broker.core.collected import PAPER_REASONS, STANDINGS, Standing
from broker.core.day import day_of
from broker.core.figures import Figures, GroupBy, month_after, month_of
from broker.core.people import ConsoleRole
from broker.flow.collect import note_of
from broker.flow.figures import told_by
from broker.flow.parts import Parts
from broker.ports.figures import Own, Paper, Report
from broker.web.console.area import EVERY_ROLE, Area, Console, Nav, only
from broker.web.console.cases import CASE_READERS
from broker.web.console.figure_words import GROUPS, material_name, name_of
from broker.web.console.figures import Asked, asked_from, choices_of, periods
from broker.web.console.page import shown
from broker.web.console.sheets import Table, Value, exported, percent
from broker.web.console.visit import viewed, visitor
from broker.web.console.words import told, when

_PER_PAGE = 100
MAX_EXPORTED = 5_000  # reports in one file; a shorter period has the rest
_TOGETHER = (GroupBy.DEPARTMENT, GroupBy.ITEM, GroupBy.MATERIAL, GroupBy.REGION, GroupBy.SCENE, GroupBy.MONTH)
_ALL = (ConsoleRole.OPERATOR, ConsoleRole.AUDITOR)
_OWN = (ConsoleRole.SOURCE_DEPARTMENT, ConsoleRole.USING_DEPARTMENT)
_READERS = only(*_ALL, *_OWN)


def papers_area(console: Console) -> Area:
    """The pages of paper that was taken."""
    area, pages = Area("papers", Nav("index", "Paper taken")), _Pages(console.parts)
    area.get("/papers", pages.index, EVERY_ROLE)
    area.get("/papers/export/<kind>", pages.export, EVERY_ROLE)
    area.get("/papers/reports", pages.reports, _READERS)
    area.get("/papers/reports/export/<kind>", pages.reports_export, _READERS)
    return area


@dataclass(frozen=True)
class Line:
    """One unused paper as the page shows it."""

    report: Report
    paper: Paper
    item: str
    material: str
    note: str


@dataclass(frozen=True)
class Seen:
    """The rates, most unused first, and the reasons."""

    asked: Asked
    catalog: Catalog
    groups: Sequence[tuple[str, str, Figures]]
    reasons: Sequence[tuple[str, int]]
    total: Figures
    first: str  # the first month that holds anything


class _Pages:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def index(self) -> Response:
        """Rates and reasons."""
        seen = self._seen()
        return shown(
            "papers/index.html", seen=seen, groups=GROUPS, together=_TOGETHER, percent=percent,
            choices=choices_of(seen.catalog), reasons=PAPER_REASONS, may_read=visitor().has(*_READERS.roles),
            periods=periods(seen.first, seen.asked.back[-1]),
        )  # fmt: skip

    def export(self, kind: str) -> Response:
        """The rates as a file."""
        return exported(self._parts, _rates(self._seen()), kind)

    def reports(self) -> Response:
        """Report by report, with case, staff number and note."""
        page = max(1, request.args.get("page", 1, type=int))
        read_note = partial(note_of, self._parts)
        asked, catalog, lines, further = self._lines((page - 1) * _PER_PAGE, _PER_PAGE, read_note)
        return shown(
            "papers/reports.html", asked=asked, catalog=catalog, lines=lines, reasons=PAPER_REASONS,
            standings=STANDINGS, page=page, further=further, most=MAX_EXPORTED, own=_own() is not None,
            may_open=visitor().has(*CASE_READERS.roles), choices=choices_of(catalog), item=request.args.get("item", ""),
            item_name=name_of(GroupBy.ITEM, request.args.get("item", ""), catalog),
            periods=periods(asked.back[0], asked.back[-1]),
        )  # fmt: skip

    def reports_export(self, kind: str) -> Response:
        """The same as a file, without the notes: a name may stand in them."""
        asked, _, lines, further = self._lines(0, MAX_EXPORTED, lambda _report, _paper: "")
        return exported(self._parts, _reports(asked, lines, further=further), kind)

    def _seen(self) -> Seen:
        with self._parts.store.read() as work:
            pulse = work.pulse()
            catalog = self._parts.edition_in_force(work, self._parts.policy(work, pulse), pulse.now).catalog
            asked = asked_from(month_of(day_of(pulse.now)), _TOGETHER)
            found = told_by(work, asked.by, asked.where, asked.months)
            first = min([*(one.month for one in work.frozen()[:1]), (work.first_day() or asked.back[-1])[:7]])
            counted = work.papers(["reason"], asked.where, asked.months)
        reasons: dict[str, int] = {}
        for (reason,), standing, count in counted:
            if Standing(standing).unused:
                reasons[reason] = reasons.get(reason, 0) + count
        groups = [(key, name_of(asked.by, key, catalog), one) for key, one in found.items() if one.papers]
        groups.sort(key=lambda group: (-group[2].unused, -group[2].papers))
        total = Figures()
        for one in found.values():
            total = total.plus(one)
        return Seen(asked, catalog, groups, sorted(reasons.items(), key=lambda one: -one[1]), total, first)

    def _lines(
        self, skip: int, limit: int, read_note: Callable[[Report, Paper], str]
    ) -> tuple[Asked, Catalog, list[Line], bool]:
        """What was reported, once the log says who reads it; and whether there are more reports than these."""
        item = request.args.get("item", "").strip()
        with self._parts.store.read() as work:
            pulse = work.pulse()
            catalog = self._parts.edition_in_force(work, self._parts.policy(work, pulse), pulse.now).catalog
            asked = asked_from(month_of(day_of(pulse.now)), _TOGETHER)
        where = {**asked.where, **({"item": item} if item else {})}
        viewed(self._parts, "papers", **where, month=asked.period)
        with self._parts.store.read() as work:
            since, until = f"{asked.months[0]}-01", _last_day(asked.months[-1])
            found = work.reports(where, since, until, limit + 1, skip=skip, own=_own())
        item_of = cache(lambda key: name_of(GroupBy.ITEM, key, catalog))
        material_of = cache(lambda key: material_name(key, catalog))
        lines = [
            Line(report, paper, item_of(report.item), material_of(paper.material), read_note(report, paper))
            for report in found[:limit] for paper in report.papers if Standing(paper.standing).unused
        ]  # fmt: skip
        return asked, catalog, lines, len(found) > limit


def _own() -> Own | None:
    """Whose reports are shown; None for every one's. A department role without a limit speaks for none."""
    if visitor().has(*_ALL):
        return None
    person = visitor().person
    departments = frozenset[str]().union(*(person.departments(role) for role in _OWN))
    return Own(departments, frozenset[str]().union(*(person.units(role) for role in _OWN)))


def _last_day(month: str) -> str:
    return (date.fromisoformat(f"{month_after(month)}-01") - timedelta(days=1)).isoformat()


def _rates(seen: Seen) -> Table:
    heads = [gettext(GROUPS[seen.asked.by]), gettext("Key"), gettext("Papers taken"), gettext("Exempt all the same"),
             gettext("Live source not asked"), gettext("Grant not applied for"), gettext("Other"),
             gettext("Unused rate")]  # fmt: skip
    rows: list[Sequence[Value]] = [
        (
            name,
            key,
            one.papers,
            one.papers_exempt,
            one.papers_live,
            one.papers_ungranted,
            one.papers_other,
            one.unused_rate,
        )
        for key, name, one in seen.groups
    ]
    about = [(gettext("Months"), f"{seen.asked.months[0]} – {seen.asked.months[-1]}"),
             *((told(PAPER_REASONS[reason]), str(count)) for reason, count in seen.reasons if reason),
             (gettext("Definitions"), "docs/figures.md")]  # fmt: skip
    name = f"papers-{seen.asked.by.value}-{seen.asked.months[-1]}"
    return Table(name, gettext("Paper taken"), heads, rows, about, asked=seen.asked.arguments)


def _reports(asked: Asked, lines: Sequence[Line], *, further: bool) -> Table:
    heads = [gettext("Time"), gettext("Leading department"), gettext("Item"), gettext("Material"), gettext("Original"),
             gettext("How it stands"), gettext("Reason given"), gettext("Source"), gettext("System"), gettext("Case"),
             gettext("Body"), gettext("Staff number")]  # fmt: skip
    # Looked up once, not in each of five thousand lines.
    original = {True: gettext("yes"), False: gettext("no")}
    standings, reasons = ({key: told(words) for key, words in of.items()} for of in (STANDINGS, PAPER_REASONS))
    rows: list[Sequence[Value]] = [
        (when(one.report.at), one.report.department, one.item, one.material, original[one.paper.original],
         standings[one.paper.standing], reasons[one.paper.reason], one.paper.source, one.report.client,
         one.report.case, one.report.unit, one.report.operator)
        for one in lines
    ]  # fmt: skip
    about = [(gettext("Months"), f"{asked.months[0]} – {asked.months[-1]}"),
             *((gettext(GROUPS[GroupBy(name)]), value) for name, value in asked.where.items())]  # fmt: skip
    name = f"paper-reports-{asked.months[-1]}"
    return Table(name, gettext("Paper taken"), heads, rows, about, asked=asked.arguments, is_whole=not further)
