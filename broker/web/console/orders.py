"""Work orders (部门间核查): what a department's people are asked, and the form to answer it.

The list says nothing about persons. One order is decrypted only for somebody whose role is limited to the body that
answers – whoever has the role without a limit speaks for no body – and each view of it is an entry of the log.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath

from flask import Response, request
from flask_babel import gettext

from broker.core.catalog import Catalog, Edition, Text
from broker.core.errors import CallerProblem
from broker.core.list_terms import APPLICANTS
from broker.core.people import ConsoleRole
from broker.core.work_order import OrderReply
from broker.flow import orders as steps
from broker.flow.orders import MAX_EVIDENCE, Evidence, Person, Said, Shown
from broker.ports import Pulse, Work
from broker.ports.orders import OrderLine, OrdersWanted, WorkOrder
from broker.web.console.area import MAX_FORM, Area, Console, Nav, only
from broker.web.console.case_words import BASES, ID_TYPES, ORDER_STATES, REPLIES
from broker.web.console.page import said_of, shown, to
from broker.web.console.sheets import MOST_ROWS, Table, Value, exported
from broker.web.console.visit import visitor
from broker.web.console.words import clock, mark, told, when

_MEDIA = {".pdf": "application/pdf", ".ofd": "application/ofd", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
          ".png": "image/png"}  # fmt: skip
_MAX_REMARK = 2_000
_LOOKERS = only(ConsoleRole.SOURCE_DEPARTMENT, ConsoleRole.OPERATOR)
_SOURCE = ConsoleRole.SOURCE_DEPARTMENT
_PER_PAGE = 100
_FILTERS = {"open": ("open",), "answered": ("answered",), "overdue": ("overdue",),
            "all": ("open", "answered", "overdue", "stopped")}  # fmt: skip
_FILTER_WORDS = {"open": mark("Open"), "answered": mark("Answered"), "overdue": mark("Overdue"), "all": mark("All")}
_ANSWERERS = only(ConsoleRole.SOURCE_DEPARTMENT)


def orders_area(console: Console) -> Area:
    """The pages of work orders."""
    area, orders = Area("orders", Nav("index", "Work orders")), _Orders(console)
    area.get("/orders", orders.index, _LOOKERS)
    area.get("/orders/export/<kind>", orders.export, _LOOKERS)
    area.get("/orders/<number>", orders.order, _ANSWERERS)
    area.get("/orders/<number>/evidence", orders.evidence, _ANSWERERS)
    area.post("/orders/<number>", orders.answer, _ANSWERERS, MAX_FORM + MAX_EVIDENCE)
    return area


class _Orders:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts

    def index(self) -> Response:
        """The orders of one's own bodies, due first; the centre's operator sees all, and none of their questions."""
        page = max(1, request.args.get("page", 1, type=int))
        seen = self._seen((page - 1) * _PER_PAGE, _PER_PAGE)
        return shown(
            "orders/index.html", orders=seen.lines, state=seen.state, page=page, further=seen.further,
            catalog=seen.edition.catalog, filters=_FILTER_WORDS, standing=_STANDING, holders=APPLICANTS,
            mine=lambda one: _is_mine(one, seen.edition.catalog),
            scoped=visitor().has(ConsoleRole.OPERATOR) or _has_scope(),
        )  # fmt: skip

    def export(self, kind: str) -> Response:
        """The same lines as a file."""
        return exported(self._parts, _table(self._seen(0, MOST_ROWS)), kind)

    def _seen(self, skip: int, limit: int) -> _Seen:
        asked = request.args.get("state", "")
        state = asked if asked in _FILTERS else "open"
        with self._parts.store.read() as work:
            pulse = work.pulse()
            edition = self._parts.edition_in_force(work, self._parts.policy(work, pulse), pulse.now)
            wanted = orders_wanted(edition.catalog, _FILTERS[state])
            found = work.orders_where(replace(wanted, skip=skip, limit=limit + 1))
        lines = [_line(one, edition.catalog, pulse.now) for one in found[:limit]]
        return _Seen(edition, state, lines, len(found) > limit)

    def evidence(self, number: str) -> Response:
        """What was attached to the answer, as the file it was; a browser saves it and runs nothing of it."""
        found = steps.show_evidence(self._parts, number, self._own(number).unit, visitor().login)
        ending = next((one for one, media in _MEDIA.items() if media == found.media_type), "")
        response = Response(found.content, content_type=found.media_type)
        response.headers["Content-Disposition"] = f'attachment; filename="evidence-{number[:12]}{ending}"'
        return response

    def _catalog(self, work: Work, pulse: Pulse) -> Catalog:
        return self._parts.edition_in_force(work, self._parts.policy(work, pulse), pulse.now).catalog

    def order(self, number: str) -> Response:
        """One order with its question."""
        return self._page(number, "", 200)

    def answer(self, number: str) -> Response:
        """The form as sent."""
        try:
            steps.answer_order(self._parts, number, self._said(number))
        except CallerProblem as problem:
            if problem.code == "order.unknown":
                raise
            return self._page(number, said_of(problem), 422)
        return to("orders_order", number=number, done=1)

    def _page(self, number: str, wrong: str, status: int) -> Response:
        found = self._shown(number)
        return shown(
            "orders/order.html", status=status, order=found.order, question=found.question, remark=found.remark,
            wrong=wrong, done=request.args.get("done") == "1", states=ORDER_STATES, replies=REPLIES, bases=BASES,
            typed=request.form, accept=",".join(_MEDIA), id_types=ID_TYPES,
        )  # fmt: skip

    def _shown(self, number: str) -> Shown:
        return steps.show_order(self._parts, number, self._own(number).unit, visitor().login)

    def _own(self, number: str) -> WorkOrder:
        """The order, where it is one of a body that this person answers for."""
        with self._parts.store.read() as work:
            order = work.find_order(number)
            catalog = self._catalog(work, work.pulse())
        if order is None or not _is_mine(order, catalog):
            raise CallerProblem("order.unknown")
        return order

    def _said(self, number: str) -> Said:
        reply, remark = request.form.get("reply", ""), request.form.get("remark", "").strip()[:_MAX_REMARK]
        if reply not in set(OrderReply):
            raise CallerProblem("console.reply")
        return Said(Person(visitor().login, self._own(number).unit), OrderReply(reply), remark, _evidence())


def orders_wanted(catalog: Catalog, states: Collection[str]) -> OrdersWanted:
    """The orders that concern the visitor: everybody's for the operator, else their bodies' and their departments'."""
    if visitor().has(ConsoleRole.OPERATOR):
        return OrdersWanted(None, (), states)
    person = visitor().person
    return OrdersWanted(person.bodies(_SOURCE, catalog), _sources(catalog), states)


def _sources(catalog: Catalog) -> list[str]:
    """The sources of departments for which the visitor speaks by name, where the list gives them no code."""
    theirs = visitor().person.departments(_SOURCE)
    return [one.key for one in catalog.sources.values() if not one.unit and one.authority["zh"] in theirs]


def _is_mine(order: WorkOrder, catalog: Catalog) -> bool:
    return order.unit in visitor().person.bodies(_SOURCE, catalog) or order.source in _sources(catalog)


def _has_scope() -> bool:
    return any(one.value for one in visitor().person.scopes(_SOURCE))


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of the list: nothing about persons stands in it but what kind of holder is meant."""

    order: WorkOrder
    item: str  # its name, or the scene's
    standing: str  # of ``_STANDING``
    opened_by: str
    opened_at: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """A stretch of the orders in a state, and whether there are more."""

    edition: Edition
    state: str
    lines: Sequence[_Line]
    further: bool


_STANDING: Mapping[str, tuple[Text, str]] = {  # how an order stands now: in words, and how loud
    "late": (ORDER_STATES["overdue"], "bad"), "soon": ({"zh": "即将到期", "en": "due soon"}, "warn"),
    "open": (ORDER_STATES["open"], ""), "answered": (ORDER_STATES["answered"], "good"),
    "stopped": (ORDER_STATES["stopped"], ""),
}  # fmt: skip


def _line(one: OrderLine, catalog: Catalog, now: datetime) -> _Line:
    admitted = json.loads(one.admitted)
    viewed = json.loads(one.first_viewed) if one.first_viewed else {}
    opened_by = str(viewed.get("operator") or viewed.get("client") or "")
    key = admitted.get("item") or admitted.get("scene") or ""
    item = catalog.items.get(key) or catalog.scenes.get(key)
    return _Line(one.order, told(item.name) if item else key, _stands(one.order, now), opened_by, viewed.get("at", ""))


def _stands(order: WorkOrder, now: datetime) -> str:
    if order.state == "overdue" or (order.state == "open" and order.due_at <= now):
        return "late"
    return "soon" if order.state == "open" and order.remind_at <= now else order.state


def _table(seen: _Seen) -> Table:
    catalog = seen.edition.catalog
    heads = [gettext("Order"), gettext("For the item"), gettext("Asked about"), gettext("Source"), gettext("Received"),
             gettext("Due by"), gettext("State"), gettext("Opened by"), gettext("Opened at"),
             gettext("Body")]  # fmt: skip
    rows: list[Sequence[Value]] = [
        (one.order.id, one.item, told(APPLICANTS.get(one.order.holder or "", "–")),
         told(catalog.sources[one.order.source].name) if one.order.source in catalog.sources else one.order.source,
         when(one.order.asked_at), when(one.order.due_at), told(_STANDING[one.standing][0]), one.opened_by,
         clock(one.opened_at)[:16] if one.opened_at else "", one.order.unit)
        for one in seen.lines
    ]  # fmt: skip
    about = [(gettext("State"), gettext(_FILTER_WORDS[seen.state]))]
    return Table(f"work-orders-{seen.state}", gettext("Work orders"), heads, rows, about, seen.edition.number,
                 {"state": seen.state}, not seen.further)  # fmt: skip


def _evidence() -> Evidence | None:
    """The file that was attached, None where there is none."""
    file = request.files.get("evidence")
    if file is None or not file.filename:
        return None
    media_type = _MEDIA.get(PurePath(file.filename).suffix.lower())
    content = file.stream.read(MAX_EVIDENCE + 1)
    if media_type is None or len(content) > MAX_EVIDENCE:
        raise CallerProblem("console.attachment", expected=" ".join(_MEDIA))
    return Evidence(media_type, content)
