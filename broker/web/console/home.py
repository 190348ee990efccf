"""Home: where somebody stands after signing in – what they may do here, and where to start."""

from __future__ import annotations

from flask import Response

from broker.web.console.area import EVERY_ROLE, Area, Console, Nav
from broker.web.console.page import shown


def home_area(console: Console) -> Area:
    """The console's first page."""
    area = Area("home", Nav("index", "Home"))
    area.get("", _Home(console).index, EVERY_ROLE)
    return area


class _Home:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts

    def index(self) -> Response:
        """Which list is in force, and the person's roles."""
        with self._parts.store.read() as work:
            pulse = work.pulse()
            number = self._parts.policy(work, pulse).edition_at(pulse.now)
            published = {one.number: one for one in work.published()}
        return shown("home/index.html", edition=published.get(number or 0))
