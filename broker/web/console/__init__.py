"""The console: pages for those who keep the list, those who own the data, and those who audit.

Every page stands in an *area*: one module ``broker/web/console/<area>.py`` with a function that returns its ``Area``.
To add one:

1.  write ``<area>.py`` after the shape of ``home.py``: a function ``<area>_area(console: Console) -> Area`` that makes
    an ``Area``, gives it its pages with ``get`` and ``post`` – each with who is allowed in – and, where it belongs into
    the navigation, a ``Nav``;
2.  put its templates into ``broker/web/templates/console/<area>/``; each extends ``console/base.html`` and says every
    word through ``_('…')``, in English;
3.  translate those words in ``broker/web/console/words/<area>.po`` (Chinese; a test names what is missing);
4.  name the function in ``AREAS`` below, in the order of the navigation.

A page without a permission cannot be registered, and ``assemble`` refuses to start with a route that is not an area's.
Reading that must be known (a case, an entry of the log) is logged by ``viewed`` before anything is shown; what an
auditor opens, the frame logs by itself.

A form carries ``{{ csrf_field() }}``; what it changes, a step of ``broker.flow`` changes, under the
account's login as ``by``. Pages work without scripts; htmx only spares a reload.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Flask

from broker.web.console.access import access_area
from broker.web.console.accounts import accounts_area
from broker.web.console.area import Area, Console
from broker.web.console.audit import audit_area
from broker.web.console.cases import cases_area
from broker.web.console.choices import choices_area
from broker.web.console.coverage import coverage_area
from broker.web.console.drafts import drafts_area
from broker.web.console.editions import editions_area
from broker.web.console.embargoes import embargoes_area
from broker.web.console.figures import figures_area
from broker.web.console.frame import assemble
from broker.web.console.grants import grants_area
from broker.web.console.home import home_area
from broker.web.console.keys import keys_area
from broker.web.console.objections import objections_area
from broker.web.console.orders import orders_area
from broker.web.console.papers import papers_area
from broker.web.console.previews import previews_area
from broker.web.console.sharing import sharing_area
from broker.web.console.sources import sources_area
from broker.web.console.supply import supply_area
from broker.web.console.taken import taken_area

AREAS: Sequence[Callable[[Console], Area]] = (
    home_area,
    sharing_area,
    drafts_area,
    previews_area,
    editions_area,
    coverage_area,
    figures_area,
    papers_area,
    supply_area,
    cases_area,
    taken_area,
    objections_area,
    orders_area,
    sources_area,
    grants_area,
    audit_area,
    embargoes_area,
    keys_area,
    accounts_area,
    choices_area,
    access_area,
)


def add_console(app: Flask, console: Console) -> None:
    """Register every area's pages on an application."""
    assemble(app, console, [make(console) for make in AREAS])
