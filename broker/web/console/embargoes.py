"""Embargoes (暂不公开): what investigations hide from the subject's view – listed, approved, lifted.

The centre's systems ask for them. Here a person of the centre approves, who is not the one that asked, or lifts. A page
names a person by pseudonym alone, and each embargo that somebody opens is an entry of the log.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, request

from broker.core.errors import CallerProblem
from broker.core.people import ConsoleRole
from broker.core.person import person
from broker.flow import annotate
from broker.flow.subject import EVER, approve_embargo, lift_embargo
from broker.ports.proof import Embargo
from broker.web.console.area import Area, Console, Nav, only
from broker.web.console.page import said_of, shown, to
from broker.web.console.visit import viewed, visitor

_LOOKERS = only(ConsoleRole.OPERATOR, ConsoleRole.AUDITOR)
_ACTORS = only(ConsoleRole.OPERATOR)
MAX_LISTED = 500  # the newest; each ends within a year


def embargoes_area(console: Console) -> Area:
    """The pages of embargoes."""
    area, embargoes = Area("embargoes", Nav("index", "Embargoes")), _Embargoes(console)
    area.get("/embargoes", embargoes.index, _LOOKERS)
    area.get("/embargoes/<number>", embargoes.embargo, _LOOKERS)
    area.post("/embargoes/<number>/approval", embargoes.approve, _ACTORS)
    area.post("/embargoes/<number>/lifting", embargoes.lift, _ACTORS)
    return area


class _Embargoes:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts

    def index(self) -> Response:
        """Those that are not over, or all, the newest first; why, only the page of one says."""
        everything = request.args.get("state") == "all"
        viewed(self._parts, "embargoes")
        with self._parts.store.read() as work:
            now = work.pulse().now
            found = work.embargoes(EVER if everything else now, MAX_LISTED)
        return shown("embargoes/index.html", embargoes=found, everything=everything, now=now)

    def embargo(self, number: str) -> Response:
        """One embargo, with what may be done about it."""
        return self._page(number, "", 200)

    def _page(self, number: str, wrong: str, status: int) -> Response:
        viewed(self._parts, "embargo", embargo=number)
        with self._parts.store.read() as work:
            found, now = work.find_embargo(number), work.pulse().now
        if found is None:
            raise CallerProblem("embargo.unknown")
        return shown(
            "embargoes/embargo.html", status=status, one=found, now=now, wrong=wrong, own=_is_own(found),
            done=request.args.get("done", ""), longest=annotate.LONGEST, typed=request.form.get("reason", ""),
        )  # fmt: skip

    def approve(self, number: str) -> Response:
        """Let it hide, in the name of whoever is signed in."""
        person = visitor().person
        return self._acted(
            number, "approved", lambda: approve_embargo(self._parts, number, person.login, name=person.name)
        )

    def lift(self, number: str) -> Response:
        """End it, with a reason."""
        login, reason = visitor().login, request.form.get("reason", "").strip()
        return self._acted(number, "lifted", lambda: lift_embargo(self._parts, number, login, reason))

    def _acted(self, number: str, done: str, act: Callable[[], Embargo]) -> Response:
        """Do it, or show the embargo as it is now with the reason why it was not done."""
        try:
            act()
        except CallerProblem as problem:
            if problem.code == "embargo.unknown":
                raise
            return self._page(number, said_of(problem), 422)
        return to("embargoes_embargo", number=number, done=done)


def _is_own(one: Embargo) -> bool:
    """Whether the visitor asked for it, by name or login: then somebody else must approve."""
    return person(one.requested_by) in {person(visitor().login), person(visitor().person.name)}
