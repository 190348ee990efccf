"""Audit review: find entries, look at one with its proof, flags, the log's state, verify a file, annotate, export.

The frame writes an entry for every page that an auditor opens; here one more says what was searched for, or verified.
Who has a person's number and no pseudonym says why, and is led to the entries about that person: the number itself goes
into no address, no entry, no line of a log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Any

from flask import Response, request
from flask_babel import gettext

from broker.core import checkpoint, merkle
from broker.core.case import Party
from broker.core.catalog import Text
from broker.core.errors import CallerProblem, Problem
from broker.core.identifiers import ORGANISATION, PERSON, is_identifier
from broker.core.log_export import Filter, as_csv, as_json_lines
from broker.core.misuse import describe
from broker.core.people import ConsoleRole
from broker.flow import annotate, log_check, watch
from broker.flow.export import Wanted, export_log
from broker.flow.find_person import find_person
from broker.flow.parts import Parts
from broker.flow.prove import checkpoint_size, tile_reader
from broker.ports import Work
from broker.ports.audit import Cosigned
from broker.ports.grants import Flag
from broker.web.console.area import Area, Console, Nav, only
from broker.web.console.audit_search import FIELDS, FURTHER, IDS, TEXTS, choices, filter_of, is_id, named, outcome_of
from broker.web.console.audit_words import EXPLAINED, FACTS, KIND_GROUPS, KINDS, RULES
from broker.web.console.case_words import ID_TYPES
from broker.web.console.evidence import MOST_BYTES, verified
from broker.web.console.page import said_of, shown, to
from broker.web.console.visit import viewed, visitor
from broker.web.console.words import told

_AUDITOR = only(ConsoleRole.AUDITOR)
PER_PAGE = 50
MOST_READ = 20_000  # entries looked at for one page: what bounds its time, however long the log is
CLEARED_LISTED = 200  # of the flags that were cleared, the latest; each has its entries in the log
_EVERYTHING = 1 << 62  # above every place
_SOUGHT_LISTED = 50  # of the searches by number, the latest; the filter by their kind finds the others
_FORMATS = {"jsonl": (as_json_lines, "application/jsonl"), "csv": (as_csv, "text/csv; charset=utf-8")}


def audit_area(console: Console) -> Area:
    """The pages of those who review; they change nothing but what they write beside it."""
    area, audit = Area("audit", Nav("index", "Audit review")), _Audit(console)
    area.get("/audit", audit.index, _AUDITOR)
    area.get("/audit/entries/<int:position>", audit.entry, _AUDITOR)
    area.post("/audit/entries/<int:position>/annotate", audit.annotate, _AUDITOR)
    area.post("/audit/export", audit.export, _AUDITOR)
    area.get("/audit/person", audit.person, _AUDITOR, proof=True)
    area.post("/audit/person", audit.seek, _AUDITOR, proof=True)
    area.get("/audit/flags", audit.flags, _AUDITOR)
    area.get("/audit/flags/<number>", audit.flag, _AUDITOR)
    area.post("/audit/flags/<number>", audit.judge, _AUDITOR)
    area.get("/audit/log", audit.log, _AUDITOR)
    area.get("/audit/log/progress", audit.progress, _AUDITOR, progress=True)
    area.post("/audit/log/check", audit.check, _AUDITOR)
    area.post("/audit/log/cancel", audit.cancel, _AUDITOR)
    area.get("/audit/verify", audit.verify, _AUDITOR)
    area.post("/audit/verify", audit.verifying, _AUDITOR, largest=MOST_BYTES)
    return area


class _Audit:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts

    # --- entries

    def index(self) -> Response:
        """Entries by filters, the newest first, page by page downwards."""
        return self._found("", 200)

    def _found(self, wrong: str, status: int) -> Response:
        asked = {name: request.values.get(name, "").strip() for name in FIELDS}
        picked = named(self._parts, asked)
        asked |= {name: one.key for name, one in picked.items()}
        try:
            wanted = filter_of(asked)
        except CallerProblem as problem:
            wanted, status, wrong = Filter(), 422, wrong or said_of(problem)
            if problem.code == "sought.filter":  # what may be a person's number is not shown again
                asked, picked = dict.fromkeys(FIELDS, ""), named(self._parts, dict.fromkeys(FIELDS, ""))
        before = max(0, request.args.get("before", _EVERYTHING, type=int))
        viewed(self._parts, "entries", filter=wanted.document(), below=before if before < _EVERYTHING else None)
        with self._parts.store.read() as work:
            stretch = work.search(wanted, before, PER_PAGE, MOST_READ)
            rows = [(one.position, json.loads(one.body)) for one in stretch.found]
            annotated = work.annotated([position for position, _ in rows])
            chosen = choices(self._parts, work, asked)
        return shown(
            "audit/index.html", status=status, rows=rows, annotated=annotated, further=stretch.further, wrong=wrong,
            asked=asked, query={name: value for name, value in asked.items() if value}, before=before < _EVERYTHING,
            kinds=KINDS, groups=KIND_GROUPS, choices=chosen, read=MOST_READ,
            more=any(asked[name] for name in FURTHER) or any(one.unclear for one in picked.values()), picked=picked,
            facts=FACTS,
        )  # fmt: skip

    def entry(self, position: int) -> Response:
        """One entry: its facts, its proof, what belongs to it, what was written about it."""
        return self._entry_page(position, "", 200)

    def _entry_page(self, position: int, wrong: str, status: int) -> Response:
        with self._parts.store.read() as work:
            rows = work.log_rows(position, position + 1)
            if not rows:
                raise CallerProblem("annotation.entry", got=str(position))
            row, said = rows[0], json.loads(rows[0].body)
            related = work.entries_about(row.verification) if row.verification else []
            notes = work.annotations(position=position)
            proof = _proof(self._parts, work, position, row.body)
        return shown(
            "audit/entry.html", status=status, position=position, said=said, notes=notes, wrong=wrong, kinds=KINDS,
            facts=[_fact(name, value) for name, value in said.items() if name not in _HEAD], names=FACTS,
            related=[(place, json.loads(body)) for place, body in related if place is not None], proof=proof,
            raw=row.body.decode("utf-8", "replace"), longest=annotate.LONGEST,
        )  # fmt: skip

    def annotate(self, position: int) -> Response:
        """Write something about an entry."""
        try:
            annotate.annotate(self._parts, position, request.form.get("text", ""), visitor().login)
        except CallerProblem as problem:
            if problem.code != "annotation.text":
                raise
            return self._entry_page(position, said_of(problem), 422)
        return to("audit_entry", position=position)

    def export(self) -> Response:
        """What the filter wants as a file with its proofs, written while it is read."""
        asked = {name: request.form.get(name, "").strip() for name in FIELDS}
        reason = request.form.get("reason", "").strip()[:500]
        wanted = filter_of(asked)
        name = request.form.get("format", "jsonl")
        written, media_type = _FORMATS.get(name, _FORMATS["jsonl"])
        try:
            head, lines = export_log(self._parts, Wanted(wanted, visitor().login, reason))
        except CallerProblem as problem:
            if problem.code != "sought.reason":
                raise
            return self._found(said_of(problem), 422)
        response = Response(written(head, lines), content_type=media_type)
        file = f"log-{head.size}.{name if name in _FORMATS else 'jsonl'}"
        response.headers["Content-Disposition"] = f'attachment; filename="{file}"'
        return response

    # --- persons

    def person(self) -> Response:
        """The form for a number, and who looked up whom last, and why."""
        return self._person_page("", 200)

    def _person_page(self, wrong: str, status: int) -> Response:
        with self._parts.store.read() as work:
            last = work.search(_SOUGHT, _EVERYTHING, _SOUGHT_LISTED, _SOUGHT_LISTED).found
        return shown(
            "audit/person.html", status=status, wrong=wrong, types=ID_TYPES, longest=annotate.LONGEST,
            chosen=request.form.get("id_type", ""), reason=request.form.get("reason", ""),
            rows=[(one.position, json.loads(one.body)) for one in last],
        )  # fmt: skip

    def seek(self) -> Response:
        """On to the entries about whoever has a number; it is not kept, and not shown again."""
        kind, typed = request.form.get("id_type", ""), "".join(request.form.get("holder_number", "").split())
        number = typed.upper() if kind in {PERSON, ORGANISATION} else typed
        try:
            holder = _holder(kind, number)
            subject = find_person(self._parts, holder, visitor().login, request.form.get("reason", ""))
        except CallerProblem as problem:
            return self._person_page(said_of(problem), 422)
        return to("audit_index", subject=subject)

    # --- flags

    def flags(self) -> Response:
        """What the rules against misuse have found, the open ones first; by rule, state and operator, page by page."""
        asked = {name: request.args.get(name, "").strip() for name in ("rule", "state", "operator")}
        first = max(0, request.args.get("first", 0, type=int))
        with self._parts.store.read() as work:
            found = [one for one in work.flags(cleared=CLEARED_LISTED) if _is_asked_for(one, asked)]
        listed = found[first : first + PER_PAGE]
        return shown(
            "audit/flags.html", rows=[(one, RULES[one.rule], describe(one.rule, one.evidence)) for one in listed],
            rules=RULES, asked=asked, query={name: value for name, value in asked.items() if value},
            newer=max(0, first - PER_PAGE) if first else None, cleared=CLEARED_LISTED,
            older=first + PER_PAGE if first + PER_PAGE < len(found) else None,
        )  # fmt: skip

    def flag(self, number: str) -> Response:
        """One flag: what the rule looks for, what it found, where to begin looking."""
        return self._flag_page(number, "", 200)

    def _flag_page(self, number: str, wrong: str, status: int) -> Response:
        with self._parts.store.read() as work:
            one = _flag(work, number)
            places = [(verification, _first_place(work, verification)) for verification in one.evidence.verifications]
            notes = work.annotations(flag=number)
        return shown(
            "audit/flag.html", status=status, one=one, rule=RULES[one.rule], explained=EXPLAINED[one.rule],
            words=describe(one.rule, one.evidence), places=places, notes=notes, wrong=wrong,
            confirmed=any(note.verdict == "confirmed" for note in notes), longest=annotate.LONGEST,
        )  # fmt: skip

    def judge(self, number: str) -> Response:
        """Clear a flag, or say that it is right; either with a note."""
        text, login = request.form.get("text", "").strip(), visitor().login
        try:
            if request.form.get("verdict") == "confirm":
                annotate.confirm(self._parts, number, text, login)
            else:
                watch.clear(self._parts, number, login, text[: annotate.LONGEST])
        except CallerProblem as problem:
            if problem.code == "misuse.unknown":
                raise
            return self._flag_page(number, said_of(problem), 422)
        return to("audit_flag", number=number)

    # --- the log

    def log(self) -> Response:
        """How large the log is, what is signed and co-signed, what waits, and when it was last verified whole."""
        with self._parts.store.read() as work:
            note = work.latest_checkpoint()
            cosigned = _newest(work.cosignatures(_LINES))
            lag, now = work.lag(), work.pulse().now
            jobs = work.jobs(log_check.KIND, 5)
        head = (
            checkpoint.verify(note, self._parts.log_origin, self._parts.log_keys, at_least=_signers(self._parts))
            if note
            else None
        )
        oldest = datetime.fromisoformat(json.loads(lag.oldest)["at"]) if lag.oldest else None
        return shown(
            "audit/log.html", note=note, head=head, cosigned=cosigned, lag=lag, silent_before=now - _SILENCE,
            waits=max(0, int((now - oldest).total_seconds())) if oldest else 0, job=jobs[0] if jobs else None,
            checks=[(one, json.loads(one.result or "{}")) for one in jobs if one.state == "done"],
        )  # fmt: skip

    def progress(self) -> Response:
        """How far the whole verification is: what the log's page asks for by itself, and nothing else of it."""
        with self._parts.store.read() as work:
            jobs = work.jobs(log_check.KIND, 5)
        checks = [(one, json.loads(one.result or "{}")) for one in jobs if one.state == "done"]
        return shown("audit/job.html", job=jobs[0] if jobs else None, checks=checks)

    def check(self) -> Response:
        """Begin to verify the whole log."""
        log_check.ask(self._parts, visitor().login)
        return to("audit_log")

    def cancel(self) -> Response:
        """Stop it."""
        log_check.cancel(self._parts, request.form.get("job", ""), visitor().login)
        return to("audit_log")

    # --- files

    def verify(self) -> Response:
        """The form for a receipt, a bundle or an export."""
        return shown("audit/verify.html", found=None, problem=None, name="", wrong="")

    def verifying(self) -> Response:
        """What the file proves, or what does not hold; nothing of it is kept."""
        file = request.files.get("file")
        if file is None or not file.filename:
            wrong = gettext("Choose a file first.")
            return shown("audit/verify.html", status=422, found=None, problem=None, name="", wrong=wrong)
        with closing(file.stream) as stream:
            viewed(self._parts, "file", digest=_digest(stream))
            try:
                found, problem = verified(self._parts, stream), None
            except Problem as refused:
                found, problem = None, refused
        return shown(
            "audit/verify.html", found=found, problem=problem, name=file.filename[:100], wrong="",
            said=said_of(problem) if problem else "",
        )  # fmt: skip


_LINES = 50  # among which every witness's newest is looked for
_SILENCE = timedelta(minutes=15)  # after which a witness has plainly stopped: a quiet log grows every five


def _newest(lines: Sequence[Cosigned]) -> list[Cosigned]:
    """Each witness's newest line."""
    found: dict[str, Cosigned] = {}
    for one in lines:
        found.setdefault(one.witness, one)
    return list(found.values())


_HEAD = ("version", "kind", "at")
_SOUGHT = Filter(kind="person_sought")


def _holder(kind: str, number: str) -> Party:
    """Whose number it is. Raises ``CallerProblem`` ``request.identifier``, which does not repeat it."""
    if kind not in ID_TYPES or not is_identifier(kind, number):
        raise CallerProblem("request.identifier")
    return Party("", kind, number, "")


@dataclass(frozen=True, slots=True)
class _Fact:
    """One fact of an entry as it is shown; ``filter`` is the search that finds all entries with it, "" for none."""

    words: Text | str
    text: str
    filter: str = ""
    several: Mapping[str, str] | None = None  # where it is one for each of several names
    sought: str = ""  # … and the search that each name leads to
    said: Text | None = None  # what the text means, where it is the code of a reason or a problem


def _fact(name: str, value: Any) -> _Fact:
    words = FACTS.get(name, name)
    if isinstance(value, dict) and value:
        several = {key: _explained(_plain(one)) for key, one in value.items()}
        return _Fact(words, "", several=several, sought="material" if name == "materials" else "")
    wanted = _FOUND_BY.get(name, name)
    found = wanted in TEXTS and isinstance(value, str) and (wanted not in IDS or is_id(value))
    return _Fact(words, _plain(value), wanted if found else "", said=_meaning(value) if name in _CODES else None)


_FOUND_BY = {"by": "login", "scene": "item", "reason": "outcome", "outcome": ""}  # the rest by their own names


_CODES = {"reason", "outcome", "code"}


def _meaning(code: Any) -> Text | None:
    """What a code says in words, None where nobody knows it."""
    words = outcome_of(code)[1] if isinstance(code, str) else None
    return words if isinstance(words, Mapping) else None


def _explained(text: str) -> str:
    """A decision as its entry has it (``exempt held.valid``), with what its reason says."""
    words = _meaning(text.rpartition(" ")[2])
    return text if words is None else f"{text} · {told(words)}"


def _plain(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "、".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _signers(parts: Parts) -> int:
    """How many keys sign a checkpoint; more are known where one was replaced, or will be."""
    return len(parts.log_signers)


def _proof(parts: Parts, work: Work, position: int, body: bytes) -> dict[str, Any] | None:
    """The entry's proof under the newest checkpoint, held against it on the spot."""
    note = work.latest_checkpoint()
    if note is None or position >= checkpoint_size(note):
        return None
    head = checkpoint.verify(note, parts.log_origin, parts.log_keys, at_least=_signers(parts))
    size, root = head.size, head.root
    hashes = merkle.inclusion_proof(position, size, tile_reader(work))
    leaf = merkle.leaf_hash(body)
    holds = merkle.verify_inclusion(leaf, position, size, hashes, root)
    return {"size": size, "root": root, "leaf": leaf, "hashes": hashes, "holds": holds}


def _digest(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in iter(lambda: stream.read(1 << 16), b""):
        digest.update(chunk)
    stream.seek(0)
    return digest.hexdigest()


def _flag(work: Work, number: str) -> Flag:
    one = work.flag(number)
    if one is None:
        raise CallerProblem("misuse.unknown")
    return one


def _is_asked_for(one: Flag, asked: dict[str, str]) -> bool:
    """By the rule, the state, and any part of the operator's spelling: system, body or staff number."""
    rule, state = asked["rule"] in {"", one.rule.value}, asked["state"] in {"", one.state}
    return rule and state and asked["operator"] in one.operator


def _first_place(work: Work, verification: str) -> int | None:
    places: Iterator[int] = (place for place, _ in work.entries_about(verification) if place is not None)
    return next(places, None)
