"""Work orders (部门间核查): what a department's people are asked, and the form to answer it.

The list says nothing about persons. One order is decrypted only for somebody whose role is limited to the body that
answers – whoever has the role without a limit speaks for no body – and each view of it is an entry of the log.
"""

from __future__ import annotations

from pathlib import PurePath

from flask import Response, request

from broker.core.errors import CallerProblem
from broker.core.people import ConsoleRole
from broker.core.work_order import OrderReply
from broker.flow import orders as steps
from broker.flow.orders import MAX_EVIDENCE, Evidence, Person, Said, Shown
from broker.ports.orders import WorkOrder
from broker.web.console.area import MAX_FORM, Area, Console, Nav, only
from broker.web.console.case_words import BASES, ORDER_STATES, REPLIES
from broker.web.console.page import said_of, shown, to
from broker.web.console.visit import visitor

_MEDIA = {".pdf": "application/pdf", ".ofd": "application/ofd", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
          ".png": "image/png"}  # fmt: skip
_MAX_REMARK = 2_000
_LOOKERS = only(ConsoleRole.SOURCE_DEPARTMENT, ConsoleRole.OPERATOR)
_ANSWERERS = only(ConsoleRole.SOURCE_DEPARTMENT)


def orders_area(console: Console) -> Area:
    """The pages of work orders."""
    area, orders = Area("orders", Nav("index", "Work orders")), _Orders(console)
    area.get("/orders", orders.index, _LOOKERS)
    area.get("/orders/<number>", orders.order, _ANSWERERS)
    area.post("/orders/<number>", orders.answer, _ANSWERERS, MAX_FORM + MAX_EVIDENCE)
    return area


class _Orders:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts

    def index(self) -> Response:
        """The orders of one's own bodies, due first; the centre's operator sees all, and none of their questions."""
        everything = request.args.get("all") == "1"
        units = _units()
        asked: list[str | None] = [None] if visitor().has(ConsoleRole.OPERATOR) else [*units]
        found = [one for unit in asked for one in steps.list_orders(self._parts, unit, everything=everything)]
        with self._parts.store.read() as work:
            now = work.pulse().now
            edition = self._parts.policy(work, work.pulse()).edition_at(now)
            sources = {} if edition is None else self._parts.edition(work, edition).catalog.sources
        return shown(
            "orders/index.html", orders=found, everything=everything, units=units, now=now, sources=sources,
            states=ORDER_STATES, scoped=bool(asked),
        )  # fmt: skip

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
            typed=request.form, accept=",".join(_MEDIA),
        )  # fmt: skip

    def _shown(self, number: str) -> Shown:
        return steps.show_order(self._parts, number, self._own(number).unit, visitor().login)

    def _own(self, number: str) -> WorkOrder:
        """The order, where it is one of a body that this person answers for."""
        with self._parts.store.read() as work:
            order = work.find_order(number)
        if order is None or order.unit not in _units():
            raise CallerProblem("order.unknown")
        return order

    def _said(self, number: str) -> Said:
        reply, remark = request.form.get("reply", ""), request.form.get("remark", "").strip()[:_MAX_REMARK]
        if reply not in set(OrderReply):
            raise CallerProblem("console.reply")
        return Said(Person(visitor().login, self._own(number).unit), OrderReply(reply), remark, _evidence())


def _units() -> tuple[str, ...]:
    return visitor().person.units(ConsoleRole.SOURCE_DEPARTMENT)


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
