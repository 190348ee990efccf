"""Editions: every state of the list that was published, what each changed, and the way back to one of them."""

from __future__ import annotations

from flask import Response, request

from broker.core.diff import Change
from broker.core.errors import CallerProblem
from broker.web.console.area import EVERY_ROLE, Area, Console, Nav
from broker.web.console.lists import Lists
from broker.web.console.page import shown

_MOST_CHANGES = 500


def editions_area(console: Console) -> Area:
    """The pages about editions."""
    area, editions = Area("editions", Nav("index", "Editions")), _Editions(Lists(console.parts, console.check), console)
    area.get("/editions", editions.index, EVERY_ROLE)
    area.get("/editions/<int:number>", editions.edition, EVERY_ROLE)
    return area


class _Editions:
    def __init__(self, lists: Lists, console: Console) -> None:
        self._lists = lists
        self._parts = console.parts

    def index(self) -> Response:
        """Every edition, the newest first, and which is in force."""
        with self._parts.store.read() as work:
            pulse = work.pulse()
            in_force = self._parts.policy(work, pulse).edition_at(pulse.now)
        return shown("editions/index.html", editions=self._lists.editions(), in_force=in_force)

    def edition(self, number: int) -> Response:
        """One edition, and what it changed against another: the one before it, unless another is asked for."""
        editions = {one.number: one for one in self._lists.editions()}
        against = request.args.get("against", number - 1, type=int)
        if number not in editions or (against and against not in editions):
            raise CallerProblem("edition.unknown", got=str(number))
        changes: tuple[Change, ...] = ()
        if against:
            before, after = self._lists.edition(against), self._lists.edition(number)
            difference = self._lists.difference(before, after, self._lists.today())
            changes = difference.changes if difference else ()
        return shown(
            "editions/edition.html", edition=editions[number], against=against, changes=changes[:_MOST_CHANGES],
            more=max(0, len(changes) - _MOST_CHANGES), newest=max(editions), numbers=sorted(editions, reverse=True),
        )  # fmt: skip
