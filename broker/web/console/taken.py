"""Paper taken (应用未用), reported by a clerk from a verification of the own body; rule Z26 demands the reason.

The report is kept for the case's approval system, as if that had sent it, with the clerk as who took the paper.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from flask import Response, request
from flask_babel import gettext

from broker.core.catalog import Catalog, Item
from broker.core.collected import PAPER_REASONS, PaperReason
from broker.core.errors import CallerProblem
from broker.core.people import ConsoleRole
from broker.flow import people
from broker.flow.cases import Path, path_of
from broker.flow.collect import collect_at_counter
from broker.web.console.area import Area, Console, only
from broker.web.console.figure_words import material_name
from broker.web.console.page import said_of, shown, to
from broker.web.console.visit import viewed, visitor

MAX_NOTE = 200  # as schemas/collected.schema.json has it
_CLERK = ConsoleRole.CLERK
_ONCE = re.compile(r"[0-9a-f]{32}\Z")


def taken_area(console: Console) -> Area:
    """The form."""
    area, taken = Area("taken"), _Taken(console)
    area.get("/verifications/<number>/paper", taken.form, only(_CLERK))
    area.post("/verifications/<number>/paper", taken.report, only(_CLERK))
    return area


class _Taken:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts

    def form(self, number: str) -> Response:
        """Every material of the item, with what the receipt says of it."""
        return self._form(number, request.args.get("item", ""), "", 200)

    def report(self, number: str) -> Response:
        """The form as sent; the same form again is the same report."""
        path = path_of(self._parts, number, _sees)
        try:
            materials = _materials()
            if not materials:
                return self._form(number, request.form.get("item", ""), gettext("Choose at least one material."), 422)
            collect_at_counter(self._parts, _document(path, materials), path.case.client)
        except CallerProblem as problem:
            people.note(self._parts, "refused", client=path.case.client, case=path.case.number, code=problem.code,
                        by=visitor().login, unit=path.line.unit)  # fmt: skip
            return self._form(number, request.form.get("item", ""), said_of(problem), 422)
        return to("cases_case", number=path.case.id)

    def _form(self, number: str, chosen: str, wrong: str, status: int) -> Response:
        path = path_of(self._parts, number, _sees)
        viewed(self._parts, path.case.applicant, page="paper", verification=number, case=path.case.number)
        with self._parts.store.read() as work:
            pulse = work.pulse()
            catalog = self._parts.edition_in_force(work, self._parts.policy(work, pulse), pulse.now).catalog
        items = _items(path, catalog)
        item = next((one for one in items if one.key == chosen), items[0])
        decided = {one["material"]: one["decision"] for one in (path.receipt or {"materials": ()})["materials"]}
        return shown(
            "taken/form.html", status=status, path=path, items=items, item=item, catalog=catalog, decided=decided,
            reasons=PAPER_REASONS, typed=request.form, taken=request.form.getlist("taken"),
            originals=request.form.getlist("original"), wrong=wrong, once=secrets.token_hex(16), longest=MAX_NOTE,
            material_name=material_name,
        )  # fmt: skip


def _sees(unit: str) -> bool:
    """Only the own body's cases, whatever else the clerk may read."""
    return visitor().person.reaches_unit(unit, _CLERK)


def _admitted(path: Path) -> Any:
    return next((one.document for one in path.entries if one.kind == "admitted"), {})


def _items(path: Path, catalog: Catalog) -> tuple[Item, ...]:
    """What the case is about, by the list in force. Raises ``CallerProblem`` where the list has it no longer."""
    told = _admitted(path)
    return catalog.items_of(region=told.get("region", ""), item=told.get("item"), scene=told.get("scene"))


def _materials() -> list[dict[str, Any]]:
    """The papers as the form names them. Raises ``CallerProblem`` ``collected.reason`` where a reason says nothing."""
    return [_paper(material) for material in request.form.getlist("taken")]


def _paper(material: str) -> dict[str, Any]:
    reason, note = (request.form.get(f"{name}:{material}", "").strip() for name in ("reason", "note"))
    unknown = reason not in {"", *PaperReason}
    if unknown or len(note) > MAX_NOTE or (reason == PaperReason.OTHER and not note):
        raise CallerProblem("collected.reason", got=material)
    told = {"material": material, "original": material in request.form.getlist("original")}
    return told | {name: text for name, text in (("reason", reason), ("note", note)) if text}


def _document(path: Path, materials: list[dict[str, Any]]) -> dict[str, Any]:
    """The report as the approval system would have sent it."""
    once = request.form.get("once", "")
    return {
        "request_id": f"counter-{once if _ONCE.match(once) else secrets.token_hex(16)}",
        "case": {"number": path.case.number},
        "region": _admitted(path).get("region", ""),
        "item": request.form.get("item", ""),
        "operator": {"id": visitor().login, "unit": path.line.unit},
        "materials": materials,
    }
