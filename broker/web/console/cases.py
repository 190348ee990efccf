"""Cases: found by number, id or receipt; one verification as the path it went, explained; the sheet to print (核验单).

Nobody sees applicants' data here: parties are roles and pseudonyms, answers are digests, so an operator of the centre,
an auditor and a clerk read the same page; only the sheet names the operator who asked. A clerk reads the cases of the
own body. Every view is an entry of the log.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import orjson
import segno
from flask import Response, g, request
from flask_babel import gettext
from markupsafe import Markup

from broker.core.catalog import Catalog
from broker.core.collected import PAPER_REASONS, STANDINGS
from broker.core.day import day_of
from broker.core.decide import Kind
from broker.core.errors import CallerProblem
from broker.core.explain import STATES
from broker.core.guide import role_name
from broker.core.identifiers import is_citizen_id
from broker.core.people import ConsoleRole
from broker.core.receipt import Bundle, VerifiedReceipt, bundle_from, verify_bundle
from broker.core.receipt_text import DECISIONS, MODES, words
from broker.flow import cases as steps
from broker.flow.cases import Path, Sheet
from broker.flow.collect import note_of, reported
from broker.flow.objections import objections_about
from broker.ports.cases import RecentCase
from broker.web.console.area import Area, Console, Nav, only
from broker.web.console.case_words import (
    BASES,
    CASE_STATES,
    CONSENT_STATES,
    ENTRY_KINDS,
    FORMS,
    OBJECTION_STATES,
)
from broker.web.console.figure_words import material_name
from broker.web.console.page import said_of, shown, to
from broker.web.console.visit import viewed, visitor
from broker.web.console.words import LANGUAGES, mark, told
from broker.web.handed_in import handed_in

READERS = (ConsoleRole.OPERATOR, ConsoleRole.AUDITOR, ConsoleRole.CLERK)
CASE_READERS = only(*READERS)
_LISTS = {
    "undecided": mark("Not decided yet"),
    "again": mark("To verify again"),
    "recent": mark("Latest verifications"),
}
_LISTED = 200  # of the day's work at once; a case number finds every other
_ID = re.compile(r"[0-9a-f]{32}\Z")
_SHEET = re.compile(r"(?:https?://[^\s]*)?/verify/([0-9a-f]{32})/[0-9a-f]{64}\Z")  # what the printed code says


def cases_area(console: Console) -> Area:
    """The pages of cases and verifications."""
    area, cases = Area("cases", Nav("index", "Cases")), _Cases(console)
    area.get("/cases", cases.index, CASE_READERS)
    area.post("/cases/receipt", cases.receipt, CASE_READERS)
    area.get("/cases/<number>", cases.case, CASE_READERS)
    area.get("/verifications/<number>", cases.verification, CASE_READERS)
    area.get("/verifications/<number>/sheet", cases.sheet, CASE_READERS)
    area.get("/verifications/<number>/bundle", cases.bundle, CASE_READERS)
    return area


def sees(unit: str) -> bool:
    """Whether whoever is signed in may read the cases of this body."""
    return visitor().person.reaches_unit(unit, *READERS)


class _Cases:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts
        self._url = console.public_url
        self._book = console.book

    # --- search

    def index(self) -> Response:
        """The search, and the cases of a number; what is a verification's id, or a printed code, leads straight on."""
        sought = request.args.get("q", "").strip()
        printed = _SHEET.match(sought)
        if printed or _ID.match(sought):
            number = printed[1] if printed else sought
            steps.path_of(self._parts, number, sees)  # an id that leads nowhere is told here
            return to("cases_verification", number=number)
        found = []
        if sought:
            told = "" if is_citizen_id(sought.upper()) else sought  # what was typed by mistake stands in no entry
            viewed(self._parts, "", page="cases", case=told)
            found = steps.find(self._parts, sought, sees)
        asked = request.args.get("list", "")
        which = asked if asked in _LISTS else "undecided"
        listed = [] if sought else self._listed(which)
        day = day_of(self._now())
        today = [one for one in listed if day_of(one.line.admitted_at) == day]
        return shown(
            "cases/index.html", q=sought, found=found, wrong="", proven=None, which=which, today=today, words=_LISTS,
            before=[one for one in listed if one not in today], most=_LISTED, catalog=self._catalog(), **_terms(),
        )  # fmt: skip

    def _listed(self, which: str) -> list[RecentCase]:
        """The day's work of the own body, the newest first; an entry says that it was looked at."""
        person = visitor().person
        reaches_all = any(person.everywhere(role) for role in READERS)
        units = None if reaches_all else {unit for role in READERS for unit in person.units(role)}
        viewed(self._parts, "", page="cases", list=which)
        with self._parts.store.read() as work:
            lists = {"undecided": work.undecided, "again": work.to_ask_again, "recent": work.recent}
            return lists[which](units, _LISTED)

    def _now(self) -> datetime:
        with self._parts.store.read() as work:
            return work.pulse().now

    def _catalog(self) -> Catalog:
        with self._parts.store.read() as work:
            pulse = work.pulse()
            return self._parts.edition_in_force(work, self._parts.policy(work, pulse), pulse.now).catalog

    def receipt(self) -> Response:
        """A receipt or bundle, pasted or as a file: verified here and now, and kept nowhere."""
        try:
            bundle = bundle_from(handed_in())
            proven = verify_bundle(bundle, self._book.receipt(), self._book.log())
            return self._proven(bundle, proven)
        except CallerProblem as problem:
            return shown(
                "cases/index.html", status=422, q="", found=[], wrong=said_of(problem), proven=None, **_terms()
            )

    def _proven(self, bundle: Bundle, proven: VerifiedReceipt) -> Response:
        number = proven.payload["verification"]
        path = steps.path_of(self._parts, number, sees)
        same = bundle.receipt in {path.preliminary, path.final}
        newer = bundle.receipt != path.final and path.final is not None
        viewed(self._parts, path.case.applicant, page="receipt", verification=number, case=path.case.number)
        return shown("cases/index.html", q="", found=[], wrong="", proven=proven, same=same, newer=newer, **_terms())

    # --- one case, one verification

    def case(self, number: str) -> Response:
        """A case with its verifications."""
        seen = steps.one_case(self._parts, number, sees)
        case = seen.case
        viewed(self._parts, case.applicant, page="case", case=case.number, client=case.client)
        papers = [(one, paper, note_of(self._parts, one, paper))
                  for one in reported(self._parts, case.client, case.number, sees) for paper in one.papers]  # fmt: skip
        return shown(
            "cases/case.html", seen=seen, case=case, consent_states=CONSENT_STATES, papers=papers,
            catalog=self._catalog() if papers else None, reasons=PAPER_REASONS, standings=STANDINGS,
            material_name=material_name, may_report=visitor().has(ConsoleRole.CLERK), **_terms(),
        )  # fmt: skip

    def verification(self, number: str) -> Response:
        """One verification: its materials, the hops to the sources, every entry, and its receipts."""
        path = steps.path_of(self._parts, number, sees)
        _viewed(self._parts, path, "verification")
        return shown(
            "cases/verification.html", path=path, case=path.case, line=path.line, told_of=path.explanation,
            sources=path.edition.catalog.sources, item=_item(path), may_object=visitor().has(ConsoleRole.CLERK),
            objections=objections_about(self._parts, number), objection_states=OBJECTION_STATES,
            material_name=material_name, **_terms(),
        )  # fmt: skip

    # --- the sheet

    def sheet(self, number: str) -> Response:
        """The sheet as it is printed; ``lang`` chooses its language, whatever the console's is."""
        wanted = request.args.get("lang", "")
        if wanted in LANGUAGES:
            g.language = wanted
        first = request.args.get("receipt") == "preliminary"
        sheet = steps.sheet_of(self._parts, number, sees, preliminary=first)
        case = sheet.receipt
        viewed(self._parts, case["applicant"], page="sheet", verification=number, case=case["case"])
        url = f"{self._url}/verify/{number}/{sheet.digest}"
        return shown(
            "cases/sheet.html", sheet=sheet, receipt=case, url=url, qr=_qr(url), item=item_of(sheet), **_terms()
        )

    def bundle(self, number: str) -> Response:
        """The receipt with its proof as a file, for the archive and for verifying offline."""
        first = request.args.get("receipt") == "preliminary"
        sheet = steps.sheet_of(self._parts, number, sees, preliminary=first)
        viewed(self._parts, sheet.receipt["applicant"], page="bundle", verification=number, case=sheet.receipt["case"])
        return bundle_file(steps.bundle_by_digest(self._parts, number, sheet.digest), sheet.digest)


def _viewed(parts: Any, path: Path, page: str) -> None:
    viewed(parts, path.case.applicant, page=page, verification=path.line.id, case=path.case.number)


def item_of(sheet: Sheet) -> Any:
    """The item or the scene that a receipt is about, None where its edition no longer names it."""
    catalog, receipt = sheet.edition.catalog, sheet.receipt
    return catalog.items.get(receipt["item"]) if "item" in receipt else catalog.scenes.get(receipt["scene"])


def _item(path: Path) -> Any:
    admitted = next((one.document for one in path.entries if one.kind == "admitted"), {})
    catalog = path.edition.catalog
    return catalog.items.get(admitted.get("item", "")) or catalog.scenes.get(admitted.get("scene", ""))


def _qr(url: str) -> Markup:
    drawn = segno.make(url, error="m").svg_inline(scale=3, border=4, dark="#000", light="#fff", svgclass="qr")
    return Markup(drawn)  # noqa: S704 - segno's own


def bundle_file(document: dict[str, str], digest: str) -> Response:
    """A bundle as a file to be kept."""
    response = Response(orjson.dumps(document), content_type="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="receipt-{digest[:16]}.json"'
    return response


def reason_words(reason: str) -> str:
    """What a reason says."""
    return told(words(reason)[0])


def reason_next(reason: str) -> str:
    """What to do now, "" where nothing is."""
    return told(words(reason)[1])


def _decision(value: str) -> str:
    return told(DECISIONS[Kind(value)])


def _terms() -> dict[str, Any]:
    return {
        "decision": _decision, "modes": MODES, "states": STATES, "case_states": CASE_STATES, "kinds": ENTRY_KINDS,
        "bases": BASES, "forms": FORMS, "role_name": role_name, "reason_words": reason_words,
        "reason_next": reason_next, "tones": TONES, "took": _took,
        "duration": _lasted,
    }  # fmt: skip


def _took(start: str, end: str) -> int | None:
    """The milliseconds from one moment of a hop to the next, as its entries write them; None where one is missing."""
    if not start or not end:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)) // timedelta(milliseconds=1)


def _lasted(start: str, end: str) -> str:
    """The same in words, in the largest unit of which there are two or more; "" where a moment is missing."""
    count = _took(start, end)
    if count is None:
        return ""
    if count < 2_000:
        words = gettext("%(count)s ms", count=count)
    elif count < 120_000:
        words = gettext("%(count)s s", count=count // 1_000)
    elif count < 7_200_000:
        words = gettext("%(count)s min", count=count // 60_000)
    else:
        words = gettext("%(count)s h", count=count // 3_600_000)
    return str(words)


TONES = {"exempt": "good", "fallback": "warn", "submit": "", "not_met": "bad", "pending": "warn"}
