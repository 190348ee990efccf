"""Editions: every published state of the list, how each came about and what it changed, and the ways back."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, request

from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.list_terms import SECTIONS as SECTION_WORDS
from broker.core.people import ConsoleRole
from broker.flow import publish as steps
from broker.web.console.area import EVERY_ROLE, Area, Console, Nav, only
from broker.web.console.drafts import moment_of
from broker.web.console.lists import Lists
from broker.web.console.page import said_of, shown, to
from broker.web.console.row_form import SECTIONS
from broker.web.console.visit import visitor

_MOST_CHANGES = 500
PER_PAGE = 50
_APPROVER = only(ConsoleRole.LIST_APPROVER)


def editions_area(console: Console) -> Area:
    """The pages about editions."""
    area, editions = Area("editions", Nav("index", "Editions")), _Editions(console.lists, console)
    area.get("/editions", editions.index, EVERY_ROLE)
    area.get("/editions/<int:number>", editions.edition, EVERY_ROLE)
    area.post("/editions/<int:number>/withdraw", editions.withdraw, _APPROVER)
    area.post("/editions/<int:number>/move", editions.move, _APPROVER)
    return area


class _Editions:
    def __init__(self, lists: Lists, console: Console) -> None:
        self._lists = lists
        self._parts = console.parts

    def index(self) -> Response:
        """Every edition, the newest first, which is in force, and which will be."""
        with self._parts.store.read() as work:
            pulse = work.pulse()
            in_force = self._parts.policy(work, pulse).edition_at(pulse.now)
            editions = work.stories()
        pages = max(1, -(-len(editions) // PER_PAGE))
        page = min(max(1, request.args.get("page", 1, type=int)), pages)
        return shown("editions/index.html", editions=editions[(page - 1) * PER_PAGE : page * PER_PAGE],
                     in_force=in_force, now=pulse.now, page=page, pages=pages)  # fmt: skip

    def edition(self, number: int) -> Response:
        """One edition, and what it changed against another: the one before it, unless another is asked for."""
        return self._page(number, "", 200)

    def _page(self, number: int, wrong: str, status: int) -> Response:
        with self._parts.store.read() as work:
            pulse = work.pulse()
            in_force = self._parts.policy(work, pulse).edition_at(pulse.now)
            editions = {one.number: one for one in work.stories()}
        standing = [one.number for one in editions.values() if one.withdrawn_at is None]
        before = max((one for one in standing if one < number), default=0)
        against = request.args.get("against", before, type=int)
        if number not in editions or (against and against not in editions):
            raise CallerProblem("edition.unknown", got=str(number))
        told = None
        if against:
            found = self._lists.several([against, number])
            told = self._lists.difference(found[against], found[number], self._lists.today())
        groups = told.groups if told else ()
        edition = editions[number]
        is_future = edition.withdrawn_at is None and edition.effective_at > pulse.now
        return shown(
            "editions/edition.html", status=status, edition=edition, against=against, groups=groups[:_MOST_CHANGES],
            more=max(0, len(groups) - _MOST_CHANGES), newest=max(standing, default=0), sections=SECTIONS,
            numbers=sorted(editions, reverse=True), section_words=SECTION_WORDS, in_force=in_force, wrong=wrong,
            is_future=is_future, can_withdraw=is_future and number == max(standing, default=0), told_here=told,
        )  # fmt: skip

    def withdraw(self, number: int) -> Response:
        """Take it back before it takes effect."""
        why = request.form.get("why", "")
        return self._step(number, lambda: steps.withdraw_edition(self._parts, number, visitor().login, why))

    def move(self, number: int) -> Response:
        """Let it take effect on another day, as the next edition."""
        why = request.form.get("why", "")
        try:
            effective = moment_of(request.form.get("effective", ""))
        except ValueError:
            effective = None
        if effective is None:
            return self._page(number, said_of(CallerProblem("edition.effective", expected="YYYY-MM-DDThh:mm")), 422)
        return self._step(
            number, lambda: steps.move_edition(self._parts, number, visitor().login, effective, why).number
        )

    def _step(self, number: int, step: Callable[[], int]) -> Response:
        if not visitor().person.everywhere(ConsoleRole.LIST_APPROVER):
            raise CallerProblem("console.scope")  # an edition holds everybody's rows
        try:
            leads_to = step()
        except (CallerProblem, OperatorProblem) as problem:
            if problem.code == "edition.unknown":
                raise
            return self._page(number, said_of(problem), 409)
        return to("editions_edition", number=leads_to)
