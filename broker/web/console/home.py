"""Home: what waits for whoever is signed in, with counts and links; then what they may do here.

Each count is one statement, or a look at rows that stay few; a role without anything to do is told so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flask import Response, url_for
from flask_babel import gettext

from broker.core.catalog import Catalog
from broker.core.day import day_of
from broker.core.grant_application import Application
from broker.core.people import ConsoleRole
from broker.flow import log_check, preview
from broker.flow.key_ends import keys_ending
from broker.flow.parts import Parts
from broker.ports import Pulse, Work
from broker.ports.objections import Concern
from broker.web.console.area import EVERY_ROLE, Area, Console, Nav
from broker.web.console.orders import orders_wanted
from broker.web.console.page import shown
from broker.web.console.supply import overdue_of
from broker.web.console.visit import visitor
from broker.web.console.words import mark

_LATEST_JOBS = 20
_WORDS = {
    "orders": mark("Work orders to answer"),
    "objections": mark("Objections that wait for a step"),
    "applications": mark("Applications to decide"),
    "review": mark("Drafts to review"),
    "publish": mark("Approved drafts to publish"),
    "drafts": mark("Drafts of yours"),
    "embargoes": mark("Embargoes to approve"),
    "flags": mark("Flags nobody has looked at"),
    "cases": mark("Cases of your body that are not decided yet"),
    "again": mark("Decisions of your body to verify again"),
    "supply": mark("Promises of your department whose date has passed"),
    "stops": mark("Sources that are stopped by hand"),
    "keys": mark("Keys and credentials that end soon"),
    "accounts": mark("Accounts that are closed for a while"),
    "jobs": mark("Long work of yours that is running"),
}


def home_area(console: Console) -> Area:
    """The console's first page."""
    area = Area("home", Nav("index", "Home"))
    area.get("", _Home(console).index, EVERY_ROLE)
    return area


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of work: how much of it waits, how much of that is late, and where it is done."""

    kind: str
    count: int
    late: int
    url: str

    @property
    def words(self) -> str:
        """What it is called."""
        return str(gettext(_WORDS[self.kind]))


@dataclass(frozen=True)
class _Seen:
    """What the counts are made from, in one transaction."""

    parts: Parts
    work: Work
    pulse: Pulse
    catalog: Catalog | None


class _Home:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts

    def index(self) -> Response:
        """What waits, which list is in force, and the person's roles."""
        with self._parts.store.read() as work:
            pulse = work.pulse()
            number = self._parts.policy(work, pulse).edition_at(pulse.now)
            published = {one.number: one for one in work.published()}
            catalog = None if number is None else self._parts.edition(work, number).catalog
            tasks = [one for one in _tasks(_Seen(self._parts, work, pulse, catalog)) if one.count]
        return shown("home/index.html", edition=published.get(number or 0), tasks=tasks)


def _tasks(seen: _Seen) -> Iterator[Task]:
    """The work of each of the person's roles, the most pressing kind first."""
    for roles, tasks in _OF_ROLES:
        if visitor().has(*roles):
            yield from tasks(seen)


def _orders(seen: _Seen) -> Iterator[Task]:
    if seen.catalog is not None:
        count, late = seen.work.count_orders(orders_wanted(seen.catalog, ("open",)), seen.pulse.now)
        yield Task("orders", count, late, url_for("console.orders_index"))


def _objections(seen: _Seen) -> Iterator[Task]:
    if seen.catalog is None:
        return
    person, source = visitor().person, ConsoleRole.SOURCE_DEPARTMENT
    owners = set(person.units(source)) | ({""} if person.everywhere(ConsoleRole.OPERATOR) else set())
    theirs = {one.key for one in seen.catalog.sources.values() if one.authority["zh"] in person.departments(source)}
    found = seen.work.objections(0, concern=Concern(owners, theirs, ()))
    late = sum(one.overdue(seen.pulse.now) for one in found)
    yield Task("objections", len(found), late, url_for("console.objections_index"))


def _applications(seen: _Seen) -> Iterator[Task]:
    if seen.catalog is None:
        return
    catalog, today = seen.catalog, day_of(seen.pulse.now)

    def decides(one: Application) -> bool:
        known = catalog.sources.get(one.source)
        if known is None or not known.unit:
            by_name = known is not None and visitor().person.answers_for(known)
            return by_name or visitor().has(ConsoleRole.OPERATOR)
        return visitor().person.answers_for(known)

    found = [one for one in seen.work.applications(open_only=True) if decides(one)]
    yield Task("applications", len(found), sum(one.overdue(today) for one in found), url_for("console.grants_index"))


def _accounts(seen: _Seen) -> Iterator[Task]:
    closed = [one for one in seen.work.accounts(seen.pulse.now) if one.locked_until or one.waiting]
    yield Task("accounts", len(closed), 0, url_for("console.accounts_index", state="locked"))


def _supply(seen: _Seen) -> Iterator[Task]:
    if seen.catalog is None:
        return
    count, departments = overdue_of(seen.catalog, seen.pulse.now)
    only_one = departments[0] if len(departments) == 1 else ""
    url = url_for("console.supply_department", name=only_one) if only_one else url_for("console.supply_index")
    yield Task("supply", count, 0, url)


def _stops(seen: _Seen) -> Iterator[Task]:
    stopped = seen.parts.policy(seen.work, seen.pulse).stops
    count = sum(one in stopped for one in seen.catalog.sources) if seen.catalog else 0
    yield Task("stops", count, 0, url_for("console.sources_index", state="stopped"))


def _embargoes(seen: _Seen) -> Iterator[Task]:
    count = seen.work.count_embargoes_to_approve(seen.pulse.now)
    yield Task("embargoes", count, 0, url_for("console.embargoes_index"))


def _keys(seen: _Seen) -> Iterator[Task]:
    ending = keys_ending(seen.parts, seen.parts.policy(seen.work, seen.pulse), seen.pulse.now)
    late = sum(one.ends_at <= seen.pulse.now for one in ending)
    yield Task("keys", len(ending), late, url_for("console.keys_index"))


def _reviews(seen: _Seen) -> Iterator[Task]:
    states = [one.state for one in seen.work.drafts()]
    for kind, state in (("review", "submitted"), ("publish", "approved")):
        yield Task(kind, states.count(state), 0, url_for("console.drafts_index"))


def _drafts(seen: _Seen) -> Iterator[Task]:
    login = visitor().login
    unfinished = [one for one in seen.work.drafts() if one.state in {"draft", "rejected"}]
    mine = [one for one in unfinished if login in {one.drafted_by, *(one.editors or "").split(",")}]
    yield Task("drafts", len(mine), 0, url_for("console.drafts_index"))
    yield _jobs(seen, preview.KIND, "console.drafts_index")


def _flags(seen: _Seen) -> Iterator[Task]:
    yield Task("flags", len(seen.work.flags(open_only=True)), 0, url_for("console.audit_flags"))
    yield _jobs(seen, log_check.KIND, "console.audit_log")


def _jobs(seen: _Seen, kind: str, endpoint: str) -> Task:
    found = seen.work.jobs(kind, _LATEST_JOBS)
    mine = [one for one in found if one.owner == visitor().login and one.state in {"waiting", "running"}]
    return Task("jobs", len(mine), 0, url_for(endpoint))


def _cases(seen: _Seen) -> Iterator[Task]:
    person = visitor().person
    units = None if person.everywhere(ConsoleRole.CLERK) else person.units(ConsoleRole.CLERK)
    yield Task("again", seen.work.count_to_ask_again(units), 0, url_for("console.cases_index", list="again"))
    yield Task("cases", seen.work.count_undecided(units), 0, url_for("console.cases_index", list="undecided"))


_OF_ROLES: tuple[tuple[tuple[ConsoleRole, ...], Callable[[_Seen], Iterator[Task]]], ...] = (
    ((ConsoleRole.SOURCE_DEPARTMENT, ConsoleRole.OPERATOR), _orders),
    ((ConsoleRole.SOURCE_DEPARTMENT, ConsoleRole.OPERATOR), _objections),
    ((ConsoleRole.SOURCE_DEPARTMENT, ConsoleRole.OPERATOR), _applications),
    ((ConsoleRole.LIST_APPROVER,), _reviews),
    ((ConsoleRole.LIST_EDITOR,), _drafts),
    ((ConsoleRole.CLERK,), _cases),
    ((ConsoleRole.AUDITOR,), _flags),
    ((ConsoleRole.SOURCE_DEPARTMENT,), _supply),
    ((ConsoleRole.OPERATOR,), _stops),
    ((ConsoleRole.OPERATOR,), _embargoes),
    ((ConsoleRole.OPERATOR,), _keys),
    ((ConsoleRole.OPERATOR,), _accounts),
)
