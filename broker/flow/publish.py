"""Publish: how a catalogue becomes the next edition – draft, submit, review by another person, publish with a date.

An edition is signed and immutable; verifications in flight keep theirs. Every step has its entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from broker.core.catalog import catalog_from
from broker.core.edition import digest_of, edition_seal
from broker.core.entry import entry
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.findings import Finding, has_errors
from broker.core.list_rows import rows_changed
from broker.core.person import person
from broker.core.receipt import moment
from broker.flow.annotate import require_text
from broker.flow.caller import Identify, identified
from broker.flow.parts import Parts, new_id, require_signing
from broker.ports import Draft, NewEdition, Pulse, Work
from broker.ports.editions import Remark, Story

Check = Callable[[Mapping[str, Any]], list[Finding]]
Within = Callable[[Mapping[str, Any], Mapping[str, Any]], None]  # (before, after); raises where it may not be changed


def draft(parts: Parts, document: Mapping[str, Any], by: str, comment: str, identify: Identify | None = None) -> Draft:
    """Keep a document as a draft on the newest edition; it may still have findings."""
    try:
        body = orjson.dumps(document)  # in the file's order, which is the plan's; these very bytes become the edition
    except TypeError as error:
        raise CallerProblem("body.not-json", expected="integers of at most 64 bits") from error
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = named(parts, work, pulse, identify)
        base = _newest(parts, work, pulse)
        made = Draft(new_id(pulse.now), "draft", base, digest_of(body), comment, by, pulse.now)
        work.add_draft(made, body)
        work.record([entry("drafted", pulse.now, draft=made.id, digest=made.digest, by=by, edition=base, **caller)])
        # Crash before this commit: there is no draft, and who drafted it drafts it again. After it, and with the
        # answer lost: it is there twice, which harms nobody, since at most one of the two is published.
        work.commit()
    return made


def go_back(parts: Parts, number: int, by: str, comment: str, identify: Identify | None = None) -> Draft:
    """A draft on the newest edition with the list of an earlier one, to be handed in and reviewed as any other.

    Raises ``CallerProblem`` ``edition.unknown``.
    """
    with parts.store.read() as work:
        if not any(one.number == number and one.withdrawn_at is None for one in work.published()):
            raise CallerProblem("edition.unknown", got=str(number))
        document = json.loads(work.edition(number)[1])  # an edition never changes
    return draft(parts, document, by, comment, identify)


def edit(  # noqa: PLR0913, PLR0917 - a row is named by its section and key
    parts: Parts,
    number: str,
    by: str,
    revision: int,
    section: str,
    key: str,
    row: Any,
    within: Within | None = None,
    identify: Identify | None = None,
) -> Draft:
    """Put one row into a draft, or take it out where ``row`` is None; ``revision`` is the one the editor has seen.

    ``within`` raises where the editor may not change this row; None limits nobody. Raises ``CallerProblem``:
    ``draft.changed`` where somebody was faster, ``draft.row``, ``edition.state``, ``edition.unknown``.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = named(parts, work, pulse, identify)
        found, old = locked(work, number, "draft")
        if found.revision != revision:
            raise CallerProblem("draft.changed", got=str(revision), expected=str(found.revision))
        before = json.loads(old)
        after = _with_row(before, section, key, row)
        if within is not None:
            within(before, after)
        body = orjson.dumps(after)
        editors = joined(found.editors, by)
        moved = replace(found, revision=revision + 1, editors=editors, digest=digest_of(body))
        work.change_draft(moved, body)
        work.record([entry("draft_edited", pulse.now, draft=number, revision=moved.revision, digest=moved.digest, by=by,
                           path=f"{section}/{key}", **caller)])  # fmt: skip
        # Crash before this commit: the draft is as it was. After it, with the answer lost: whoever saves again is told
        # that the draft has moved on, and sees their own change in it.
        work.commit()
    return moved


def joined(editors: str | None, by: str) -> str:
    """Who has changed a draft, each once, this one included; a comma in a name is kept wide: the same person's."""
    return ",".join(dict.fromkeys(filter(None, [*(editors or "").split(","), by.replace(",", "，")])))


def _with_row(document: Mapping[str, Any], section: str, key: str, row: Any) -> dict[str, Any]:
    """The document with another row; a new one comes last, as the plans grow."""
    rows = document.get(section)
    if not isinstance(rows, dict) or (row is None and key not in rows):
        raise CallerProblem("draft.row", got=f"{section}/{key}")
    kept = {name: one for name, one in rows.items() if row is not None or name != key}
    return {**document, section: kept if row is None else {**kept, key: row}}


def submit(parts: Parts, number: str, by: str, check: Check, identify: Identify | None = None, note: str = "") -> Draft:
    """Hand a draft in for review, with a note for who reviews it.

    Raises ``OperatorProblem`` ``catalog.broken`` where the check finds errors.
    """
    with parts.store.read() as work:
        kept = work.read_draft(number)  # checked before others have to wait for us
    findings = check(json.loads(kept[1])) if kept and kept[0].state == "draft" else []

    def change(found: Draft) -> Draft:
        if kept is None or found.digest != kept[0].digest:  # somebody has edited it since it was checked
            raise CallerProblem("draft.changed")
        if has_errors(findings):
            raise OperatorProblem("catalog.broken", got=str(len(findings)))
        return replace(found, state="submitted", submitted_by=by)

    return changed(parts, number, ("draft",), change, Act("submitted", by, note, identify))


def review(
    parts: Parts,
    number: str,
    by: str,
    *,
    approve: bool,
    comment: str,
    identify: Identify | None = None,
    within: Within | None = None,
) -> Draft:
    """Approve or reject; raises ``CallerProblem`` ``edition.self-approval`` for who drafted, edited or submitted it.

    ``within`` raises where the draft changes what the reviewer is not responsible for.
    """

    def change(found: Draft) -> Draft:
        if is_author(found, by):
            raise CallerProblem("edition.self-approval")
        return replace(found, state="approved" if approve else "rejected", reviewed_by=by, review=comment)

    return changed(parts, number, ("submitted",), change, Act("reviewed", by, comment, identify, within))


def is_author(found: Draft, by: str) -> bool:
    """Whether this person drafted, changed or handed it in, under whatever spelling."""
    authors = (found.drafted_by, found.submitted_by or "", *(found.editors or "").split(","))
    return person(by) in set(map(person, filter(None, authors)))


def publish_draft(
    parts: Parts,
    number: str,
    by: str,
    effective_at: datetime | None,
    identify: Identify | None = None,
    within: Within | None = None,
) -> NewEdition:
    """Make an approved draft the next edition, effective now or later.

    Raises ``CallerProblem``: ``edition.unknown``, ``edition.state``, ``edition.outdated``, ``edition.effective``.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = named(parts, work, pulse, identify)
        found, body = locked(work, number, "approved")
        _require_within(work, found, body, within)
        edition = _publish(parts, work, body, effective_at, _Publication(by, found.base, number), caller)
        work.change_draft(replace(found, state="published", edition=edition.number))
        # Crash before this commit: the draft stays approved, the old edition in force. After it: the new edition is
        # there for every process, from its next transaction on.
        work.commit()
    return edition


def publish(parts: Parts, document: Mapping[str, Any], effective_at: datetime | None, publisher: str) -> NewEdition:
    """Publish without review: for the first edition of a new deployment, and for tests.

    Raises ``OperatorProblem`` ``register.exists`` where the newest edition is this very document.
    """
    with parts.store.write() as work:
        edition = _publish(parts, work, orjson.dumps(document), effective_at, _Publication(publisher), {})
        work.commit()
    return edition


def withdraw_edition(parts: Parts, number: int, by: str, why: str, identify: Identify | None = None) -> int:
    """Take the newest edition back before it takes effect; returns its number.

    Raises ``CallerProblem``: ``edition.unknown``, ``edition.in-force``, ``edition.built-upon``, ``draft.remark``.
    """
    require_text(why, "draft.remark")
    with parts.store.write() as work:
        _take_back(parts, work, number, by, why, named(parts, work, work.pulse(), identify))
        # Crash before this commit: it takes effect on its day. After it: no process plans with it, from its next
        # transaction on. A verification that was admitted with it in the very moment keeps it, as always.
        work.commit()
    return number


def move_edition(
    parts: Parts, number: int, by: str, effective_at: datetime, why: str, identify: Identify | None = None
) -> NewEdition:
    """Let the newest edition take effect on another day: it is taken back, and its bytes become the next edition.

    A seal names number, bytes and day, so that an edition whose day moved is another one. Raises as
    ``withdraw_edition``, and ``edition.effective``.
    """
    require_text(why, "draft.remark")
    with parts.store.write() as work:
        caller = named(parts, work, work.pulse(), identify)
        story = _take_back(parts, work, number, by, why, caller)
        body = work.edition(number)[1]
        edition = _publish(parts, work, body, effective_at, _Publication(by, draft=story.draft), caller)
        # Crash before this commit: it keeps its day. After it: the old one is gone and the new one waits, in one step.
        work.commit()
    return edition


def _take_back(parts: Parts, work: Work, number: int, by: str, why: str, caller: Mapping[str, str]) -> Story:
    pulse = work.pulse()
    story = next(iter(work.stories(number)), None)
    if story is None:
        raise CallerProblem("edition.unknown", got=str(number))
    if story.effective_at <= pulse.now:
        raise CallerProblem("edition.in-force", got=moment(story.effective_at))
    if number < _newest(parts, work, pulse):
        raise CallerProblem("edition.built-upon", got=str(number))
    if not work.withdraw_edition(number, by, why.strip(), pulse.now):
        raise CallerProblem("edition.unknown", got=str(number))
    work.move_policy()
    work.record([entry("edition_withdrawn", pulse.now, edition=number, by=by, digest=text_digest(why.strip()),
                       effective_at=moment(story.effective_at), **caller)])  # fmt: skip
    return story


def _newest(parts: Parts, work: Work, pulse: Pulse) -> int:
    """The newest edition that stands, in force or not yet; 0 before the first."""
    return max((number for number, _ in parts.policy(work, pulse).editions), default=0)


@dataclass(frozen=True, slots=True)
class _Publication:
    """Who makes an edition, on which edition it was drafted (None: without a draft), and of which draft."""

    by: str
    base: int | None = None
    draft: str | None = None


def _publish(
    parts: Parts,
    work: Work,
    body: bytes,
    effective_at: datetime | None,
    told: _Publication,
    caller: Mapping[str, str],
) -> NewEdition:
    document = json.loads(body)
    catalog_from(document)  # a document that does not become values is never an edition
    pulse, digest = work.pulse(), digest_of(body)
    if effective_at is not None and told.draft and effective_at < pulse.now:
        raise CallerProblem("edition.effective", expected=f"not before {moment(pulse.now)}")
    stories = work.stories()
    standing = next((one for one in stories if one.withdrawn_at is None), None)
    newest, number = (standing.number if standing else 0), (stories[0].number if stories else 0) + 1
    if told.base is not None and told.base != newest:
        raise CallerProblem("edition.outdated", got=str(told.base), expected=str(newest))
    if standing and standing.digest == digest:
        raise OperatorProblem("register.exists", got=str(newest))
    require_signing(parts.policy(work, pulse), parts.signer, pulse.now)
    effective = effective_at or pulse.now
    signed = edition_seal(parts.issuer, number, digest, effective, parts.signer, pulse.now)
    edition = NewEdition(number, digest, effective, told.by, body, signed)
    if not work.add_edition(edition, pulse.now):
        raise CallerProblem("edition.outdated", got=str(newest), expected=str(number))
    before = json.loads(work.edition(newest)[1]) if newest else {}
    work.add_row_changes(number, rows_changed(before, document))
    if told.draft:
        work.add_origin(number, told.draft)
    work.move_policy()
    work.record([entry("published", pulse.now, edition=number, digest=digest, by=told.by, draft=told.draft,
                       effective_at=moment(effective), **caller)])  # fmt: skip
    return edition


@dataclass(frozen=True, slots=True)
class Act:
    """What is done to a draft, by whom, with which words, and how a caller from outside is identified."""

    kind: str
    by: str
    text: str = ""
    identify: Identify | None = None
    within: Within | None = None


def _require_within(work: Work, found: Draft, body: bytes, within: Within | None) -> None:
    """Hold what a draft changes against what somebody may answer for: everything, where nothing limits them."""
    if within is not None:
        before = json.loads(work.edition(found.base)[1]) if found.base else {}
        within(before, json.loads(body))


def changed(parts: Parts, number: str, states: Sequence[str], change: Callable[[Draft], Draft], act: Act) -> Draft:
    """Do one act to a draft in one of these states; its words are kept beside it, their digest stands in the entry."""
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = named(parts, work, pulse, act.identify)
        found, body = locked(work, number, *states)
        _require_within(work, found, body, act.within)
        moved = change(found)
        work.change_draft(moved)
        said = remarked(work, moved, act, pulse.now, moved.state if act.kind == "reviewed" else act.kind)
        told = entry(act.kind, pulse.now, draft=number, state=moved.state, by=act.by, **said, **caller)
        work.record([told])
        # Crash before this commit: the draft is as it was. After it, and with the answer lost: who repeats it is told
        # that the draft's state does not allow it, and reads that it is done.
        work.commit()
    return moved


def remarked(
    work: Work, found: Draft, act: Act, now: datetime, kind: str, about: tuple[str, str] = ("", "")
) -> dict[str, str]:
    """Keep in the draft's thread what was done and said; returns what the entry says of it."""
    made = Remark(new_id(now), found.id, kind, *about, act.by, act.text.strip(), now)
    work.add_remark(made)
    return {"remark": made.id, "text": text_digest(made.text)} if made.text else {}


def text_digest(text: str) -> str:
    """What an entry holds of words that people write, so that they can be taken away without touching the log."""
    return hashlib.sha256(text.encode()).hexdigest()


def named(parts: Parts, work: Work, pulse: Pulse, identify: Identify | None) -> dict[str, str]:
    """Who signed, for the entry, their nonce spent; nothing where an administrator types at the machine itself."""
    if identify is None:
        return {}
    caller = identified(work, parts.policy(work, pulse), identify, pulse.now)
    return {"client": caller.client.id, "key": caller.key_id}


def locked(work: Work, number: str, *states: str) -> tuple[Draft, bytes]:
    """A draft in one of these states, and nobody else's meanwhile. Raises ``edition.unknown``, ``edition.state``."""
    found = work.draft(number)
    if found is None:
        raise CallerProblem("edition.unknown", got=number)
    if found[0].state not in states:
        raise CallerProblem("edition.state", got=found[0].state, expected=" or ".join(states))
    return found


def edition_digest(document: Mapping[str, Any]) -> str:
    """The digest an edition of this document has, or would have."""
    return digest_of(orjson.dumps(document))
