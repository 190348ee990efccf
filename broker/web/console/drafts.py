"""Drafts: make one, change its rows, see what it changes, hand it in, review it, publish it with a date."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import Response, request

from broker.core.day import CHINA
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.findings import ERROR, Finding, found
from broker.core.list_scope import require_scope
from broker.core.people import ConsoleRole
from broker.flow import publish as steps
from broker.ports import Draft
from broker.store.catalog_file import read_row
from broker.web.console.area import LIST_KEEPERS, Area, Console, Nav, only
from broker.web.console.list_words import DRAFT_STATES
from broker.web.console.lists import Lists, Seen
from broker.web.console.page import said_of, shown, to
from broker.web.console.row_form import LONGEST_YAML, SECTIONS, Field, as_yaml, beside, fields_of, from_fields
from broker.web.console.visit import visitor

_EDITOR, _APPROVER = only(ConsoleRole.LIST_EDITOR), only(ConsoleRole.LIST_APPROVER)
_KEY = re.compile(r"[a-z][a-z0-9-]{1,59}")
_MOST_CHANGES = 500  # lines shown at once; the whole difference can be had as `broker catalog diff`


def drafts_area(console: Console) -> Area:
    """The pages of those who keep the list."""
    area, drafts = Area("drafts", Nav("index", "Drafts")), _Drafts(console)
    one = "/drafts/<number>"
    area.get("/drafts", drafts.index, LIST_KEEPERS)
    area.post("/drafts", drafts.make, _EDITOR)
    area.get(one, drafts.draft, LIST_KEEPERS)
    area.get(f"{one}/findings", drafts.findings, LIST_KEEPERS)
    area.get(f"{one}/begin", drafts.begin, _EDITOR)
    area.get(f"{one}/rows/<section>/<key>", drafts.row, _EDITOR)
    area.post(f"{one}/rows/<section>/<key>", drafts.save, _EDITOR)
    area.post(f"{one}/rows/<section>/<key>/remove", drafts.remove, _EDITOR)
    area.post(f"{one}/submit", drafts.submit, _EDITOR)
    area.post(f"{one}/review", drafts.review, _APPROVER)
    area.post(f"{one}/publish", drafts.publish, _APPROVER)
    return area


class _Drafts:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts
        self._check = console.check
        self._lists = Lists(console.parts, console.check)

    # --- reading

    def index(self) -> Response:
        """Every draft, the newest first."""
        with self._parts.store.read() as work:
            found_drafts = work.drafts()
        return shown("drafts/index.html", drafts=found_drafts, states=DRAFT_STATES)

    def draft(self, number: str) -> Response:
        """One draft: what it changes, in plain words, and what can be done with it now."""
        return self._page(number, "", 200)

    def _page(self, number: str, wrong: str, status: int) -> Response:
        seen, today = self._lists.seen(number)
        draft = _of(seen)
        base = self._lists.edition(draft.base) if draft.base else None
        difference = self._lists.difference(base, seen.listing, today) if base else None
        found_here = self._lists.findings(seen.listing)
        changes = difference.changes if difference else ()
        errors = sum(one.severity == ERROR for one in found_here)
        return shown(
            "drafts/draft.html", status=status, seen=seen, draft=draft, states=DRAFT_STATES, wrong=wrong,
            sections=SECTIONS, changes=changes[:_MOST_CHANGES], more=max(0, len(changes) - _MOST_CHANGES),
            is_told=difference is not None, errors=errors, warnings=len(found_here) - errors, mine=_is_author(draft),
            newest=max((one.number for one in self._lists.editions()), default=0),
        )  # fmt: skip

    def findings(self, number: str) -> Response:
        """Everything the check finds in a draft, each with a link to its row."""
        seen, _ = self._lists.seen(number)
        told = sorted(self._lists.findings(seen.listing), key=lambda one: one.severity)
        return shown("drafts/findings.html", seen=seen, draft=_of(seen), findings=told[:_MOST_CHANGES], count=len(told),
                     sections=SECTIONS)  # fmt: skip

    # --- making and changing

    def make(self) -> Response:
        """A draft on the newest edition: of its list, or of an earlier edition's, to go back to it."""
        comment = request.form.get("comment", "").strip()
        editions = self._lists.editions()
        if not editions:
            raise CallerProblem("edition.unknown", got="0")
        number = request.form.get("edition", editions[0].number, type=int)
        if number != editions[0].number and not visitor().person.everywhere(ConsoleRole.LIST_EDITOR):
            raise CallerProblem("console.scope")  # an earlier edition changes everybody's rows
        document = self._lists.edition(number).document
        made = steps.draft(self._parts, document, visitor().login, comment[:500])
        return to("drafts_draft", number=made.id)

    def begin(self, number: str) -> Response:
        """On to the form of a new row under the key that was chosen."""
        section, key = request.args.get("section", ""), request.args.get("key", "").strip()
        if section not in SECTIONS or not _KEY.fullmatch(key):
            raise CallerProblem("draft.row", got=f"{section}/{key}", expected=_KEY.pattern)
        return to("drafts_row", number=number, section=section, key=key)

    def row(self, number: str, section: str, key: str) -> Response:
        """The form of one row; of a row that is not there yet, an empty one in YAML."""
        seen, _ = self._lists.seen(number)
        found_here = self._lists.findings(seen.listing)
        return self._form(seen, section, key, _row_in(seen, section, key), found_here, "", 200)

    def save(self, number: str, section: str, key: str) -> Response:
        """The form as sent: kept where the list's grammar allows it; what the check finds comes back beside it."""
        seen, _ = self._lists.seen(number)
        old = _row_in(seen, section, key)
        row, findings = self._read(seen, section, old)
        document = {**seen.listing.document, section: {**seen.listing.document[section], key: row}}
        findings = findings or [one for one in self._check(document) if one.rule == "schema"]
        if findings:
            placed = [_at_row(one, section, key) for one in findings]
            return self._form(seen, section, key, row if row is not None else old, placed, "", 422)
        try:
            self._edit(seen, section, key, row)
        except CallerProblem as problem:
            if problem.code != "draft.changed":
                raise
            current, _ = self._lists.seen(number)
            theirs = _row_in(current, section, key)
            return self._form(current, section, key, row, (), said_of(problem), 409, theirs=theirs)
        return to("drafts_row", number=number, section=section, key=key, saved=1)

    def remove(self, number: str, section: str, key: str) -> Response:
        """Take a row out."""
        seen, _ = self._lists.seen(number)
        document = seen.listing.document
        if section not in SECTIONS or key not in document[section]:
            raise CallerProblem("draft.row", got=f"{section}/{key}")
        rest = {**document, section: {name: one for name, one in document[section].items() if name != key}}
        if [one for one in self._check(rest) if one.rule == "schema"]:
            raise CallerProblem("draft.row", got=f"{section}/{key}")
        self._edit(seen, section, key, None)
        return to("drafts_draft", number=number)

    def _edit(self, seen: Seen, section: str, key: str, row: Any) -> None:
        scopes = visitor().person.scopes(ConsoleRole.LIST_EDITOR)
        revision = request.form.get("revision", 0, type=int)
        steps.edit(self._parts, _of(seen).id, visitor().login, revision, section, key, row,
                   lambda before, after: require_scope(before, after, section, key, scopes))  # fmt: skip

    def _read(self, seen: Seen, section: str, old: Any) -> tuple[Any, list[Finding]]:
        """The row as the form tells it, and why it cannot be read."""
        text = request.form.get("yaml")
        if text is None:
            return from_fields(old, fields_of(section, old, seen.listing.document), request.form), []
        if len(text) > LONGEST_YAML:
            return None, [found("too-large", (), why=f"{LONGEST_YAML}")]
        row, findings = read_row(text)
        return row, list(findings)

    def _form(  # noqa: PLR0913 - what a form shows is what it is given
        self, seen: Seen, section: str, key: str, row: Any, findings: Sequence[Finding], wrong: str, status: int,
        *, theirs: Any = None,
    ) -> Response:  # fmt: skip
        fields: list[Field] = []
        if isinstance(row, dict) and row:
            fields = fields_of(section, row, seen.listing.document)
        text = request.form.get("yaml") or (as_yaml(row) if row else _EMPTY[section])
        is_new = key not in seen.listing.document[section]
        return shown(
            "drafts/row.html", status=status, seen=seen, draft=_of(seen), section=section, key=key, row=row,
            fields=fields, yaml=text, beside=beside(tuple(findings), section, key, fields), wrong=wrong,
            saved="saved" in request.args, is_new=is_new, theirs=as_yaml(theirs) if theirs is not None else "",
            in_use=not is_new and section != "items" and bool(_users(seen, section, key)),
        )  # fmt: skip

    # --- on its way

    def submit(self, number: str) -> Response:
        """Hand it in for review."""
        return self._step(number, lambda: steps.submit(self._parts, number, visitor().login, self._check))

    def review(self, number: str) -> Response:
        """Approve it or give it back, with a comment."""
        approve = request.form.get("verdict") == "approve"
        comment = request.form.get("comment", "").strip()[:2000]
        if not approve and not comment:
            return self._page(number, said_of(CallerProblem("draft.comment")), 422)
        return self._step(
            number, lambda: steps.review(self._parts, number, visitor().login, approve=approve, comment=comment)
        )

    def publish(self, number: str) -> Response:
        """Make it the next edition, from now on or from a day to come."""
        day = request.form.get("effective", "").strip()
        try:
            effective = datetime.fromisoformat(day).replace(tzinfo=CHINA) if day else None
        except ValueError:
            return self._page(number, said_of(CallerProblem("edition.effective", expected="YYYY-MM-DDThh:mm")), 422)
        return self._step(number, lambda: steps.publish_draft(self._parts, number, visitor().login, effective))

    def _step(self, number: str, step: Any) -> Response:
        """Do it, or show the draft as it stands now with the reason why it was not done."""
        try:
            step()
        except (CallerProblem, OperatorProblem) as problem:
            return self._page(number, said_of(problem), 409)
        return to("drafts_draft", number=number)


_EMPTY = {
    "items": "name: {zh: , en: }\ntype: 行政许可\nlife_cycle: enterprise\nbasis: null\nregions:\n"
    "  '370400': {seq: '1', scene: enterprise-1.1, level: city, lead: []}\nmaterials: []\n",
    "materials": "name: {zh: , en: }\nkind: document\nbasis: null\nchain:\n- mode: submission\n",
    "sources": "name: {zh: , en: }\nauthority: {zh: , en: }\nlevel: city\nplatform: \nconnector: exchange\n"
    "service: null\nsharing: conditional\nforms: [query]\nfields: []\nfreshness_days: 30\nsensitivity: general\n"
    "budget_ms: 5000\ncalls_per_second: 10\nstate: proposed\n",
}


def _of(seen: Seen) -> Draft:
    if seen.draft is None:
        raise CallerProblem("edition.unknown")
    return seen.draft


def _row_in(seen: Seen, section: str, key: str) -> Any:
    """The row as the draft has it; nothing for one that is new. Raises for a section that is not edited here."""
    if section not in SECTIONS or not key:
        raise CallerProblem("draft.row", got=f"{section}/{key}")
    return json.loads(json.dumps(seen.listing.document[section].get(key) or {}))


def _at_row(finding: Finding, section: str, key: str) -> Finding:
    """A finding of what was typed stands at the row, wherever else in the list it shows."""
    if finding.path[:2] == (section, key):
        return finding
    return Finding(finding.rule, finding.severity, (section, key), finding.message_zh, finding.message_en,
                   finding.mend_zh, finding.mend_en)  # fmt: skip


def _users(seen: Seen, section: str, key: str) -> tuple[str, ...]:
    users = seen.listing.needed_by if section == "materials" else seen.listing.used_by
    return users.get(key, ())


def _is_author(draft: Draft) -> bool:
    authors = {draft.drafted_by, draft.submitted_by, *(draft.editors or "").split(",")}
    return visitor().login in authors
