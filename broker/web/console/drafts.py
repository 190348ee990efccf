"""Drafts: make one, see what it changes, talk about it, hand it in, review it, publish it – or take another way."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Response, request

from broker.config import ROOT as REPOSITORY
from broker.core.day import CHINA
from broker.core.diff import Change
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.findings import ERROR, Finding
from broker.core.list_rows import THEIRS, RowKey
from broker.core.list_scope import require_all_in_scope, require_scope
from broker.core.list_terms import SECTIONS as SECTION_WORDS
from broker.core.people import ConsoleRole
from broker.flow import drafts as ways
from broker.flow import preview
from broker.flow import publish as steps
from broker.ports import Draft
from broker.ports.console import Job
from broker.ports.editions import Remark
from broker.store.catalog_file import MAX_BYTES, read_catalog, read_row
from broker.web.console.area import LIST_KEEPERS, Area, Console, Nav, only
from broker.web.console.draft_rows import DraftRows
from broker.web.console.list_words import ACTS, DRAFT_STATES
from broker.web.console.lists import Listing, Lists, Seen
from broker.web.console.page import said_of, shown, to
from broker.web.console.row_form import SECTIONS, as_yaml
from broker.web.console.visit import visitor

_EDITOR, _APPROVER = only(ConsoleRole.LIST_EDITOR), only(ConsoleRole.LIST_APPROVER)
_MOST_CHANGES = 500  # rows shown at once; the whole difference can be had as `broker catalog diff`
_SHIPPED = REPOSITORY / "data_catalog.yaml"
_BACK = {"rework": ways.rework, "withdraw": ways.withdraw, "discard": ways.discard}
_NOTHING: dict[str, Any] = {"regions": {}, "scenes": {}, "sources": {}, "materials": {}, "items": {}}


def drafts_area(console: Console) -> Area:
    """The pages of those who keep the list."""
    area, drafts, rows = Area("drafts", Nav("index", "Drafts")), _Drafts(console), DraftRows(console)
    one = "/drafts/<number>"
    area.get("/drafts", drafts.index, LIST_KEEPERS)
    area.post("/drafts", drafts.make, _EDITOR)
    area.post("/drafts/first", drafts.first, _EDITOR, largest=MAX_BYTES + 64 * 1024)
    area.get(one, drafts.draft, LIST_KEEPERS)
    area.get(f"{one}/findings", drafts.findings, LIST_KEEPERS)
    area.get(f"{one}/begin", rows.begin, _EDITOR)
    area.get(f"{one}/rows/<section>/<key>", rows.row, _EDITOR)
    area.post(f"{one}/rows/<section>/<key>", rows.save, _EDITOR)
    area.post(f"{one}/rows/<section>/<key>/remove", rows.remove, _EDITOR)
    area.post(f"{one}/submit", drafts.submit, _EDITOR)
    area.post(f"{one}/review", drafts.review, _APPROVER)
    area.post(f"{one}/publish", drafts.publish, _APPROVER)
    area.post(f"{one}/back", drafts.back, _EDITOR)
    area.post(f"{one}/carry-on", drafts.carry_on, _EDITOR)
    area.get(f"{one}/rebase", drafts.rebase, _EDITOR)
    area.post(f"{one}/rebase", drafts.rebasing, _EDITOR)
    area.post(f"{one}/remarks", drafts.remark, LIST_KEEPERS)
    return area


class _Drafts:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts
        self._check = console.check
        self._lists: Lists = console.lists

    # --- reading

    def index(self) -> Response:
        """Every draft, the newest first; where nothing is published yet, how the first edition is made."""
        return self._index("", 200)

    def _index(self, wrong: str, status: int) -> Response:
        with self._parts.store.read() as work:
            found, editions = work.drafts(), work.published()
        newest = max((one.number for one in editions if one.withdrawn_at is None), default=0)
        return shown("drafts/index.html", status=status, drafts=found, states=DRAFT_STATES, newest=newest,
                     wrong=wrong, shipped=_SHIPPED.is_file())  # fmt: skip

    def draft(self, number: str) -> Response:
        """One draft: what it changes, in plain words, what was said of it, and what can be done with it now."""
        return self._page(number, "", 200)

    def _page(self, number: str, wrong: str, status: int) -> Response:
        seen, today = self._lists.seen(number)
        draft = _of(seen)
        with self._parts.store.read() as work:
            remarks, newest, job = work.remarks(number), _newest(work), work.newest_job(preview.KIND, number)
        base = self._lists.edition(draft.base) if draft.base else None
        told = self._lists.difference(base, seen.listing, today) if base else None
        found_here = self._lists.findings(seen.listing)
        new, old = _split(found_here, self._lists.findings(base) if base else ())
        groups = told.groups if told else ()
        return shown(
            "drafts/draft.html", status=status, seen=seen, draft=draft, states=DRAFT_STATES, wrong=wrong, acts=ACTS,
            sections=SECTIONS, section_words=SECTION_WORDS, groups=groups[:_MOST_CHANGES],
            more=max(0, len(groups) - _MOST_CHANGES), told_here=told,
            errors=sum(one.severity == ERROR for one in found_here),
            new=len([one for one in new if one.severity != ERROR]),
            old=len([one for one in old if one.severity != ERROR]), mine=steps.is_author(draft, visitor().login),
            newest=newest, said=_by_row(remarks), thread=remarks, about=request.args.get("about", ""),
            preview=_preview_state(job, draft), rows=_counted(seen),
        )  # fmt: skip

    def findings(self, number: str) -> Response:
        """Everything the check finds in a draft, each with a link to its row: what is new in it before the rest."""
        seen, _ = self._lists.seen(number)
        draft = _of(seen)
        before = self._lists.findings(self._lists.edition(draft.base)) if draft.base else ()
        new, old = _split(self._lists.findings(seen.listing), before)
        parts = [sorted(one, key=lambda finding: finding.severity) for one in (new, old)]
        return shown("drafts/findings.html", seen=seen, draft=draft, parts=[one[:_MOST_CHANGES] for one in parts],
                     counts=[len(one) for one in parts], sections=SECTIONS)  # fmt: skip

    # --- making

    def make(self) -> Response:
        """A draft on the newest edition: of its list, or of an earlier edition's, to go back to it."""
        comment = request.form.get("comment", "").strip()
        editions = [one for one in self._lists.editions() if one.withdrawn_at is None]
        if not editions:
            raise CallerProblem("edition.unknown", got="0")
        number = request.form.get("edition", editions[0].number, type=int)
        if number != editions[0].number and not visitor().person.everywhere(ConsoleRole.LIST_EDITOR):
            raise CallerProblem("console.scope")  # an earlier edition changes everybody's rows
        document = self._lists.edition(number).document
        made = steps.draft(self._parts, document, visitor().login, comment[:500])
        return to("drafts_draft", number=made.id)

    def first(self) -> Response:
        """The draft of the first edition: of a file, of the list that came with the broker, or of nothing."""
        if not visitor().person.everywhere(ConsoleRole.LIST_EDITOR):
            raise CallerProblem("console.scope")
        document, wrong = self._beginning(request.form.get("from", ""))
        if document is None:
            return self._index(wrong, 422)
        made = steps.draft(self._parts, document, visitor().login, request.form.get("comment", "").strip()[:500])
        return to("drafts_draft", number=made.id)

    def _beginning(self, origin: str) -> tuple[Any, str]:
        """The list to begin with, or what is wrong with the file."""
        if origin == "shipped" and _SHIPPED.is_file():
            read = read_catalog(Path(_SHIPPED))
            return read.document, ""
        if origin == "empty":
            return _NOTHING, ""
        file = request.files.get("file")
        body = file.read(MAX_BYTES + 1) if file else b""
        try:
            value, findings = read_row(body.decode("utf-8"))
        except UnicodeDecodeError:
            value, findings = None, ()
        if len(body) > MAX_BYTES or not isinstance(value, dict):
            why = findings[0].message_en if findings else ""
            return None, said_of(OperatorProblem("catalog.unreadable", expected=why))
        return _NOTHING | value, ""

    # --- on its way

    def submit(self, number: str) -> Response:
        """Hand it in for review, with a note."""
        note = request.form.get("note", "")
        return self._step(number, lambda: steps.submit(self._parts, number, visitor().login, self._check, note=note))

    def review(self, number: str) -> Response:
        """Approve it or give it back, with a comment."""
        approve = request.form.get("verdict") == "approve"
        comment = request.form.get("comment", "").strip()[:2000]
        if not approve and not comment:
            return self._page(number, said_of(CallerProblem("draft.comment")), 422)
        return self._step(
            number,
            lambda: steps.review(
                self._parts, number, visitor().login, approve=approve, comment=comment, within=_within()
            ),
        )

    def publish(self, number: str) -> Response:
        """Make it the next edition, from now on or from a day to come."""
        try:
            effective = moment_of(request.form.get("effective", ""))
        except ValueError:
            return self._page(number, said_of(CallerProblem("edition.effective", expected="YYYY-MM-DDThh:mm")), 422)
        login = visitor().login
        return self._step(number, lambda: steps.publish_draft(self._parts, number, login, effective, within=_within()))

    # --- another way

    def back(self, number: str) -> Response:
        """Take it up again, take it back, or give it up."""
        way = _BACK.get(request.form.get("way", ""))
        if way is None:
            raise CallerProblem("draft.row", got="way")
        return self._step(number, lambda: way(self._parts, number, visitor().login, request.form.get("why", "")))

    def carry_on(self, number: str) -> Response:
        """A draft of one's own with the list of this one."""
        if not visitor().person.everywhere(ConsoleRole.LIST_EDITOR):
            raise CallerProblem("console.scope")  # it may carry changes of rows outside one's own scope
        comment = request.form.get("comment", "").strip()[:500]
        made = ways.carry_on(self._parts, number, visitor().login, comment)
        return to("drafts_draft", number=made.id)

    def rebase(self, number: str) -> Response:
        """What stands against bringing it onto the newest edition: the rows that both changed, side by side."""
        return self._rebase_page(number, "", 200)

    def rebasing(self, number: str) -> Response:
        """Bring it there, with a choice for each row that both changed."""
        scopes = visitor().person.scopes(ConsoleRole.LIST_EDITOR)
        choices = {_row_key(name): whose for name, whose in request.form.items() if name.startswith("row:")}

        def may_choose(before: Any, after: Any, row: RowKey) -> None:
            require_scope(before, after, *row, scopes)

        try:
            merged = ways.rebase(self._parts, number, visitor().login, request.form.get("revision", 0, type=int),
                                 choices, may_choose)  # fmt: skip
        except CallerProblem as problem:
            return self._rebase_page(number, said_of(problem), 409)
        if merged.conflicts:
            return self._rebase_page(number, "", 409)
        return to("drafts_draft", number=number)

    def _rebase_page(self, number: str, wrong: str, status: int) -> Response:
        with self._parts.store.read() as work:
            newest, kept = _newest(work), work.read_draft(number)
            if kept is None:
                raise CallerProblem("edition.unknown", got=number)
            draft, body = kept
            merged = ways.merged_onto(work, draft, body, newest)
        words = [self._words(draft, other) for other in (self._lists.listing(draft.digest, body), newest)]
        rows = [
            (one, *("" if row is None else as_yaml(row) for row in (one.base, one.mine, one.theirs)),
             *(side.get((one.section, one.key), ()) for side in words))
            for one in merged.conflicts
        ]  # fmt: skip
        return shown("drafts/rebase.html", status=status, draft=draft, newest=newest, rows=rows, wrong=wrong,
                     section_words=SECTION_WORDS, names=_names(merged.document), theirs=THEIRS)  # fmt: skip

    def _words(self, draft: Draft, other: Listing | int) -> dict[RowKey, tuple[Change, ...]]:
        """What the draft, or the edition, made of each row of the edition that the draft stands on."""
        if not draft.base:
            return {}
        after = other if isinstance(other, Listing) else self._lists.edition(other)
        told = self._lists.difference(self._lists.edition(draft.base), after, self._lists.today())
        return {(one.section, one.key): one.lines for one in told.groups} if told else {}

    def remark(self, number: str) -> Response:
        """Say something of it, or of one row in it."""
        section, _, key = request.form.get("about", "").partition("/")
        about = (section, key) if section in SECTION_WORDS and key else ("", "")
        text = request.form.get("text", "")
        return self._step(number, lambda: ways.remark(self._parts, number, visitor().login, text, about))

    def _step(self, number: str, step: Any) -> Response:
        """Do it, or show the draft as it stands now with the reason why it was not done."""
        try:
            step()
        except (CallerProblem, OperatorProblem) as problem:
            return self._page(number, said_of(problem), 409)
        return to("drafts_draft", number=number)


def moment_of(text: str) -> datetime | None:
    """A moment as a form has it, in China's time; None where it is empty. Raises ``ValueError``."""
    text = text.strip()
    return datetime.fromisoformat(text).replace(tzinfo=CHINA) if text else None


def _newest(work: Any) -> int:
    return max((one.number for one in work.published() if one.withdrawn_at is None), default=0)


def _within() -> steps.Within | None:
    """What an approver with a limited role may let pass; None where nothing limits them."""
    person = visitor().person
    if person.everywhere(ConsoleRole.LIST_APPROVER):
        return None
    scopes = person.scopes(ConsoleRole.LIST_APPROVER)
    return lambda before, after: require_all_in_scope(before, after, scopes)


def _of(seen: Seen) -> Draft:
    if seen.draft is None:
        raise CallerProblem("edition.unknown")
    return seen.draft


def _split(found: tuple[Finding, ...], before: tuple[Finding, ...]) -> tuple[list[Finding], list[Finding]]:
    """The findings that a draft brings, and those that the list had already."""
    known = {(one.path[:2], one.message_en) for one in before}
    new = [one for one in found if (one.path[:2], one.message_en) not in known]
    return new, [one for one in found if (one.path[:2], one.message_en) in known]


def _by_row(remarks: list[Remark]) -> dict[tuple[str, str], list[Remark]]:
    """What was said of each row."""
    found: dict[tuple[str, str], list[Remark]] = {}
    for one in remarks:
        if one.section in SECTION_WORDS:
            found.setdefault((one.section, one.key), []).append(one)
    return found


def _preview_state(job: Job | None, draft: Draft) -> str:
    """Whether this very state of the draft was previewed: ``""``, ``outdated``, ``open`` or ``done``."""
    if job is None or job.state in {"cancelled", "failed"}:
        return ""
    if preview.digest_of_job(job) != draft.digest:
        return "outdated"
    return "done" if job.state == "done" else "open"


def _counted(seen: Seen) -> dict[str, int]:
    """How many rows each section has; what a first edition is told by."""
    return {section: len(seen.listing.document.get(section, {})) for section in SECTIONS}


def _row_key(name: str) -> RowKey:
    section, _, key = name.removeprefix("row:").partition("/")
    return section, key


def _names(document: Any) -> dict[tuple[str, str], Any]:
    return {
        (section, key): row["name"]
        for section, rows in document.items() if isinstance(rows, dict)
        for key, row in rows.items() if isinstance(row, dict) and isinstance(row.get("name"), dict)
    }  # fmt: skip
