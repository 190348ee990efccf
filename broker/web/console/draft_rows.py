"""The rows of a draft: each edited by form, or whole as YAML, with what the check finds beside the fields."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from flask import Response, request
from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from broker.core.errors import CallerProblem
from broker.core.findings import Finding, found
from broker.core.list_scope import require_scope
from broker.core.people import Assignment, ConsoleRole
from broker.flow import publish as steps
from broker.ports import Draft
from broker.store.catalog_file import read_row
from broker.web.console.area import Console
from broker.web.console.choices import drafted_names, meant
from broker.web.console.lists import Seen
from broker.web.console.page import said_of, shown, to
from broker.web.console.row_form import (
    LONGEST_YAML,
    SECTIONS,
    Block,
    as_yaml,
    beside,
    blocks_of,
    fields_in,
    is_shaped,
)
from broker.web.console.row_values import acted, from_form
from broker.web.console.visit import visitor

_KEYS = {
    "items": re.compile(r"(?=.{2,60}\Z)[a-z][a-z0-9]*(?:-[a-z0-9]+)*"),
    "scenes": re.compile(r"(?:enterprise|individual)-[1-9][0-9]*[.][1-9][0-9]*"),
    "regions": re.compile(r"[1-9][0-9]{5}"),
}
_NEW_MATERIAL, _ADD_MATERIAL = "new:materials", "add:materials"  # one of hundreds: typed, not chosen from a list
_KEYS |= {"materials": _KEYS["items"], "sources": _KEYS["items"]}


class DraftRows:
    """The pages of one draft's rows."""

    def __init__(self, console: Console) -> None:
        """One object for all requests."""
        self._parts = console.parts
        self._check = console.check
        self._lists = console.lists

    def begin(self, number: str) -> Response:
        """On to the form of a new row under the key that was chosen."""
        section, key = request.args.get("section", ""), request.args.get("key", "").strip()
        if section not in SECTIONS or not _KEYS[section].fullmatch(key):
            expected = _KEYS[section].pattern if section in _KEYS else ", ".join(SECTIONS)
            raise CallerProblem("draft.row", got=f"{section}/{key}", expected=expected)
        return to("drafts_row", number=number, section=section, key=key)

    def row(self, number: str, section: str, key: str) -> Response:
        """The form of one row; of a row that is not there yet, an empty one."""
        seen, _ = self._lists.seen(number)
        found_here = self._lists.findings(seen.listing)
        return self._form(seen, section, key, _row_in(seen, section, key) or _EMPTY[section], found_here)

    def save(self, number: str, section: str, key: str) -> Response:
        """The form as sent: kept where the list's grammar allows it, or changed and shown again, not kept yet."""
        seen, _ = self._lists.seen(number)
        old = _row_in(seen, section, key)
        row, findings = self._read(seen, section, old)
        act = request.form.get("act", "")
        at, wrong, form = "", "", MultiDict(request.form)
        if act == _ADD_MATERIAL:
            form, wrong = _with_key(seen, form)
        if act and row is not None and not wrong:
            row, at = acted(row, act, form) if act != "refresh" else (row, "")
        found_here = findings or self._found(seen, section, key, row)
        if act:
            status = 422 if wrong else 200
            return self._form(seen, section, key, row, found_here, wrong, status, at=at or "row", is_kept=False)
        broken = findings or self._broken(seen, found_here)
        if broken:
            placed = [_at_row(one, section, key) for one in broken]
            return self._form(seen, section, key, row if row is not None else old, placed, status=422, is_kept=False)
        try:
            self._edit(seen, section, key, row)
        except CallerProblem as problem:
            if problem.code == "console.scope":  # what was typed stays on the page, for whoever is responsible
                return self._form(seen, section, key, row, found_here, said_of(problem), 403, is_kept=False)
            if problem.code != "draft.changed":
                raise
            current, _ = self._lists.seen(number)
            theirs = _row_in(current, section, key)
            return self._form(current, section, key, row, (), said_of(problem), 409, theirs=theirs, is_kept=False)
        return to("drafts_row", number=number, section=section, key=key, saved=1)

    def remove(self, number: str, section: str, key: str) -> Response:
        """Take a row out."""
        seen, _ = self._lists.seen(number)
        if section not in SECTIONS or key not in seen.listing.document.get(section, {}):
            raise CallerProblem("draft.row", got=f"{section}/{key}")
        rows = {name: one for name, one in seen.listing.document[section].items() if name != key}
        if self._broken(seen, self._check({**seen.listing.document, section: rows})):
            raise CallerProblem("draft.row", got=f"{section}/{key}")
        self._edit(seen, section, key, None)
        return to("drafts_draft", number=number)

    def _found(self, seen: Seen, section: str, key: str, row: Any) -> Sequence[Finding]:
        document = seen.listing.document
        return self._check({**document, section: {**document[section], key: row}})

    def _broken(self, seen: Seen, findings: Sequence[Finding]) -> list[Finding]:
        """What breaks the grammar now and did not before: a list that is only begun breaks it in other places."""
        before = {(one.path, one.message_en) for one in self._lists.findings(seen.listing) if one.rule == "schema"}
        return [one for one in findings if one.rule == "schema" and (one.path, one.message_en) not in before]

    def _edit(self, seen: Seen, section: str, key: str, row: Any) -> None:
        scopes = visitor().person.scopes(ConsoleRole.LIST_EDITOR)
        revision = request.form.get("revision", 0, type=int)
        steps.edit(self._parts, _of(seen).id, visitor().login, revision, section, key, row,
                   lambda before, after: require_scope(before, after, section, key, scopes))  # fmt: skip

    def _read(self, seen: Seen, section: str, old: Any) -> tuple[Any, list[Finding]]:
        """The row as the form tells it, and why it cannot be read."""
        text = request.form.get("yaml")
        if text is None:
            so_far = _so_far(section, old or _EMPTY[section])
            return from_form(section, so_far, seen.listing.document, request.form), []
        if len(text) > LONGEST_YAML:
            return None, [found("too-large", (), why=f"{LONGEST_YAML}")]
        row, findings = read_row(text)
        return row, list(findings)

    def _form(  # noqa: PLR0913 - what a form shows is what it is given
        self, seen: Seen, section: str, key: str, row: Any, findings: Sequence[Finding], wrong: str = "",
        status: int = 200, *, theirs: Any = None, at: str = "", is_kept: bool = True,
    ) -> Response:  # fmt: skip
        blocks: tuple[Block, ...] = ()
        if is_shaped(section, row):
            blocks = blocks_of(section, row, seen.listing.document)
        is_new = key not in seen.listing.document.get(section, {})
        if is_new and is_kept:
            findings = ()
        known = {field.name for field in fields_in(blocks)}
        placed = beside(tuple(findings), section, key, blocks)
        return shown(
            "drafts/row.html", status=status, seen=seen, draft=_of(seen), section=section, key=key, row=row,
            blocks=blocks, known=known, yaml=request.form.get("yaml") or as_yaml(row), beside=placed, wrong=wrong,
            saved="saved" in request.args, is_new=is_new, theirs=as_yaml(theirs) if theirs is not None else "",
            outside=_outside(seen, section, key),
            in_use=not is_new and section != "items" and bool(_users(seen, section, key)), at=at, is_kept=is_kept,
            so_far=json.dumps(row, ensure_ascii=False), sought=request.form.get(_NEW_MATERIAL, "") if wrong else "",
        )  # fmt: skip


_EMPTY: dict[str, Any] = {
    "items": {"name": {"zh": "", "en": ""}, "type": "行政许可", "life_cycle": "enterprise", "basis": None,
              "regions": {}, "materials": []},
    "materials": {"name": {"zh": "", "en": ""}, "kind": "document", "basis": None, "chain": [{"mode": "submission"}]},
    "sources": {"name": {"zh": "", "en": ""}, "authority": {"zh": "", "en": ""}, "level": "city", "platform": "",
                "connector": "exchange", "service": None, "sharing": "conditional", "forms": ["query"], "fields": [],
                "freshness_days": 30, "sensitivity": "general", "budget_ms": 5000, "calls_per_second": 10,
                "state": "proposed"},
    "scenes": {"life_cycle": "enterprise", "stage": {"zh": "", "en": ""}, "name": {"zh": "", "en": ""}, "number": ""},
    "regions": {"name": {"zh": "", "en": ""}, "levels": ["city", "county"]},
}  # fmt: skip


def _with_key(seen: Seen, form: MultiDict[str, str]) -> tuple[MultiDict[str, str], str]:
    """The form with the material that was typed as its key; else what to ask back: it may mean several, or none."""
    typed = form.get(_NEW_MATERIAL, "").strip()
    names = drafted_names(seen.listing.document, "material")
    key, unclear = meant(typed, names)
    if unclear:
        them = "；".join(one.words for one in unclear)
        return form, gettext("“%(typed)s” could mean several: %(them)s", typed=typed, them=them)
    if key and key not in names:
        return form, gettext("The list has no material “%(typed)s”. Add it to the draft first.", typed=typed)
    return MultiDict({**form.to_dict(flat=False), _NEW_MATERIAL: [key]}), ""


def _of(seen: Seen) -> Draft:
    if seen.draft is None:
        raise CallerProblem("edition.unknown")
    return seen.draft


def _outside(seen: Seen, section: str, key: str) -> tuple[Assignment, ...]:
    """The visitor's limits where the row, as it stands, lies outside all of them; else nothing."""
    scopes, document = visitor().person.scopes(ConsoleRole.LIST_EDITOR), seen.listing.document
    try:
        require_scope(document, document, section, key, scopes)
    except CallerProblem:
        return scopes
    return ()


def _so_far(section: str, old: Any) -> Any:
    """The row as it travels in the form, with what was added to it and is not kept yet."""
    try:
        row = json.loads(request.form.get("row", "") or json.dumps(old))
    except (ValueError, RecursionError) as error:
        raise CallerProblem("draft.row", got=section) from error
    if not is_shaped(section, row):
        raise CallerProblem("draft.row", got=section)
    return row


def _row_in(seen: Seen, section: str, key: str) -> Any:
    """The row as the draft has it; nothing for one that is new. Raises for a section that is not edited here."""
    if section not in SECTIONS or not key:
        raise CallerProblem("draft.row", got=f"{section}/{key}")
    return json.loads(json.dumps(seen.listing.document.get(section, {}).get(key) or {}))


def _at_row(finding: Finding, section: str, key: str) -> Finding:
    """A finding of what was typed stands at the row, wherever else in the list it shows."""
    if finding.path[:2] == (section, key):
        return finding
    return Finding(finding.rule, finding.severity, (section, key), finding.message_zh, finding.message_en,
                   finding.mend_zh, finding.mend_en)  # fmt: skip


def _users(seen: Seen, section: str, key: str) -> tuple[str, ...]:
    document = seen.listing.document
    if section == "materials":
        return seen.listing.needed_by.get(key, ())
    if section == "sources":
        return seen.listing.used_by.get(key, ())
    name = {"scenes": "scene"}.get(section)
    return tuple(
        item for item, one in document["items"].items()
        for code, place in one["regions"].items() if (place["scene"] if name else code) == key
    )  # fmt: skip
