"""Objections to data (数据异议): a clerk raises one from a verification, the source's department handles it.

The department is known by its credit code or by its name in the list; where the list names no credit code, the
centre's operator acts in its stead. Operator and auditor watch all of them, without what was said in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, request
from flask_babel import gettext

from broker.core.catalog import Catalog
from broker.core.errors import CallerProblem
from broker.core.figures import GroupBy
from broker.core.objection import ObjectionAct, possible
from broker.core.people import ConsoleRole, ScopeKind
from broker.flow import cases
from broker.flow import objections as steps
from broker.flow.objections import Doubt, Listed, Reader
from broker.web.console.area import Area, Console, Nav, only
from broker.web.console.case_words import ID_TYPES, OBJECTION_ACTS, OBJECTION_STATES
from broker.web.console.cases import reason_words, sees
from broker.web.console.figure_words import material_name, name_of
from broker.web.console.page import said_of, shown, to
from broker.web.console.sheets import MOST_ROWS, Table, Value, exported
from broker.web.console.visit import viewed, visitor
from broker.web.console.words import told, when

_SOURCE, _OPERATOR = ConsoleRole.SOURCE_DEPARTMENT, ConsoleRole.OPERATOR
_AUDITOR, _CLERK = ConsoleRole.AUDITOR, ConsoleRole.CLERK
_PER_PAGE = 100
_READERS, _HANDLERS = only(_SOURCE, _OPERATOR, _AUDITOR, _CLERK), only(_SOURCE, _OPERATOR)


def objections_area(console: Console) -> Area:
    """The pages of objections."""
    area, objections = Area("objections", Nav("index", "Objections")), _Objections(console)
    area.get("/objections", objections.index, _READERS)
    area.get("/objections/export/<kind>", objections.export, _READERS)
    area.get("/objections/<number>", objections.objection, _READERS)
    area.post("/objections/<number>", objections.act, _HANDLERS)
    area.get("/verifications/<number>/objection", objections.doubt, only(_CLERK))
    area.post("/verifications/<number>/objection", objections.raising, only(_CLERK))
    return area


class _Objections:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts

    def index(self) -> Response:
        """Those that concern whoever is signed in, due first."""
        page, late = max(1, request.args.get("page", 1, type=int)), _late()
        seen = steps.mine(self._parts, _reader(), (page - 1) * _PER_PAGE, _PER_PAGE, late=late)
        return shown(
            "objections/index.html", objections=seen.objections, now=seen.now, late=late, page=page,
            further=seen.further, **_terms(seen.edition.catalog),
        )  # fmt: skip

    def export(self, kind: str) -> Response:
        """The same lines as a file."""
        seen = steps.mine(self._parts, _reader(), 0, MOST_ROWS, late=_late())
        return exported(self._parts, _table(seen, late=_late()), kind)

    def objection(self, number: str) -> Response:
        """One, with what was said and what can be done."""
        return self._page(number, "", 200)

    def act(self, number: str) -> Response:
        """The next act, as sent."""
        try:
            what = ObjectionAct(request.form.get("act", ""))
        except ValueError:
            return self._page(number, said_of(CallerProblem("objection.state")), 422)
        try:
            words = request.form.get("words", "").strip()
            steps.act(self._parts, number, what, visitor().login, words, _reader().owns)
        except CallerProblem as problem:
            if problem.code == "objection.unknown":
                raise
            return self._page(number, said_of(problem), 422)
        return to("objections_objection", number=number)

    def _page(self, number: str, wrong: str, status: int) -> Response:
        file = steps.dossier(self._parts, number, _reader())
        with self._parts.store.read() as work:
            now = work.pulse().now
        return shown(
            "objections/objection.html", status=status, file=file, one=file.objection, wrong=wrong, now=now,
            possible=possible(file.objection) if file.handles else (), typed=request.form,
            may_see=visitor().has(_OPERATOR, _AUDITOR, _CLERK), **_terms(self._catalog()),
        )  # fmt: skip

    # --- raising one

    def doubt(self, number: str) -> Response:
        """The form; what is objected to stands in the address, and nothing about a person."""
        return self._form(number, request.args.get("material", ""), request.args.get("source", ""), "", 200)

    def raising(self, number: str) -> Response:
        """The form as sent; the case's own body is whose clerk raises it."""
        form = request.form
        material, source, words = form.get("material", ""), form.get("source", ""), form.get("words", "").strip()
        unit = cases.path_of(self._parts, number, sees).line.unit
        try:
            doubt = Doubt(number, material, source, words, visitor().login, unit)
            raised = steps.raise_objection(self._parts, doubt, sees)
        except CallerProblem as problem:
            return self._form(number, material, source, said_of(problem), 422)
        return to("objections_objection", number=raised.id)

    def _form(self, number: str, material: str, source: str, wrong: str, status: int) -> Response:
        path = cases.path_of(self._parts, number, sees)
        viewed(self._parts, path.case.applicant, page="objection", verification=number, case=path.case.number)
        materials = path.receipt["materials"] if path.receipt else ()
        named = next((one["name"] for one in materials if one["material"] == material), material)
        return shown(
            "objections/raise.html", status=status, path=path, material=material, name=named, source=source,
            sources=path.edition.catalog.sources, wrong=wrong, words=request.form.get("words", ""),
            longest=steps.MAX_WORDS,
        )  # fmt: skip

    def _catalog(self) -> Catalog:
        with self._parts.store.read() as work:
            pulse = work.pulse()
            return self._parts.edition_in_force(work, self._parts.policy(work, pulse), pulse.now).catalog


def _terms(catalog: Catalog) -> dict[str, Any]:
    return {"states": OBJECTION_STATES, "acts": OBJECTION_ACTS, "sources": catalog.sources,
            "catalog": catalog, "material_name": material_name, "reason_words": reason_words,
            "id_types": ID_TYPES}  # fmt: skip


def _late() -> bool:
    return request.args.get("late") == "1"


def _table(seen: Listed, *, late: bool) -> Table:
    catalog = seen.edition.catalog
    heads = [gettext("Objection"), gettext("Case"), gettext("Raised at"), gettext("Source"), gettext("Material"),
             gettext("State"), gettext("Overdue"), gettext("Next step due by")]  # fmt: skip
    rows: list[Sequence[Value]] = [
        (one.id, one.case, when(one.raised_at), name_of(GroupBy.SOURCE, one.source, catalog),
         material_name(one.material, catalog), told(OBJECTION_STATES[one.state]),
         gettext("yes") if one.overdue(seen.now) else gettext("no"), "" if one.ended_at else when(one.due_at))
        for one in seen.objections
    ]  # fmt: skip
    about = [(gettext("Filter"), gettext("Only the overdue ones") if late else gettext("All of them"))]
    asked = {"late": "1"} if late else {}
    return Table("objections", gettext("Objections"), heads, rows, about, seen.edition.number, asked, not seen.further)


def _reader() -> Reader:
    person = visitor().person
    departments = {one.value for one in person.scopes(_SOURCE) if one.kind is ScopeKind.DEPARTMENT}
    return Reader(
        person.login,
        frozenset(person.units(_SOURCE)) - {""} | ({""} if person.everywhere(_OPERATOR) else set()),
        frozenset(departments) - {""},
        None if person.everywhere(_CLERK) else frozenset(person.units(_CLERK)),
        visitor().has(_OPERATOR, _AUDITOR),
    )
