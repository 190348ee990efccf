"""Publish: how a catalogue becomes the next edition – draft, submit, review by another person, publish with a date.

An edition is signed and immutable; verifications in flight keep theirs. Every step has its entry.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from broker.core.catalog import catalog_from
from broker.core.edition import digest_of, edition_seal
from broker.core.entry import entry
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.findings import Finding, has_errors
from broker.core.person import person
from broker.core.receipt import moment
from broker.flow.caller import Identify, identified
from broker.flow.parts import Parts, new_id
from broker.ports import Draft, NewEdition, Pulse, Work

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
        caller = _identified(parts, work, pulse, identify)
        base = max((number for number, _ in parts.policy(work, pulse).editions), default=0)
        made = Draft(new_id(pulse.now), "draft", base, digest_of(body), comment, by, pulse.now)
        work.add_draft(made, body)
        work.record([entry("drafted", pulse.now, draft=made.id, digest=made.digest, by=by, edition=base, **caller)])
        # Crash before this commit: there is no draft, and who drafted it drafts it again. After it, and with the
        # answer lost: it is there twice, which harms nobody, since at most one of the two is published.
        work.commit()
    return made


def edit(  # noqa: PLR0913, PLR0917 - a row is named by its section and key
    parts: Parts, number: str, by: str, revision: int, section: str, key: str, row: Any, within: Within
) -> Draft:
    """Put one row into a draft, or take it out where ``row`` is None; ``revision`` is the one the editor has seen.

    ``within`` raises where the editor may not change this row. Raises ``CallerProblem``: ``draft.changed`` where
    somebody was faster, ``draft.row``, ``edition.state``, ``edition.unknown``.
    """
    with parts.store.write() as work:
        now = work.pulse().now
        found, old = _locked(work, number, "draft")
        if found.revision != revision:
            raise CallerProblem("draft.changed", got=str(revision), expected=str(found.revision))
        before = json.loads(old)
        after = _with_row(before, section, key, row)
        within(before, after)
        body = orjson.dumps(after)
        editors = ",".join(dict.fromkeys([*(found.editors or "").split(","), by])).strip(",")
        changed = replace(found, revision=revision + 1, editors=editors, digest=digest_of(body))
        work.change_draft(changed, body)
        work.record([entry("draft_edited", now, draft=number, revision=changed.revision, digest=changed.digest, by=by,
                           path=f"{section}/{key}")])  # fmt: skip
        # Crash before this commit: the draft is as it was. After it, with the answer lost: whoever saves again is told
        # that the draft has moved on, and sees their own change in it.
        work.commit()
    return changed


def _with_row(document: Mapping[str, Any], section: str, key: str, row: Any) -> dict[str, Any]:
    """The document with another row; a new one comes last, as the plans grow."""
    rows = document.get(section)
    if not isinstance(rows, dict) or (row is None and key not in rows):
        raise CallerProblem("draft.row", got=f"{section}/{key}")
    kept = {name: one for name, one in rows.items() if row is not None or name != key}
    return {**document, section: kept if row is None else {**kept, key: row}}


def submit(parts: Parts, number: str, by: str, check: Check, identify: Identify | None = None) -> Draft:
    """Hand a draft in for review. Raises ``OperatorProblem`` ``catalog.broken`` where the check finds errors."""
    with parts.store.read() as work:
        kept = work.read_draft(number)  # checked before others have to wait for us
    findings = check(json.loads(kept[1])) if kept and kept[0].state == "draft" else []

    def change(found: Draft) -> Draft:
        if kept is None or found.digest != kept[0].digest:  # somebody has edited it since it was checked
            raise CallerProblem("draft.changed")
        if has_errors(findings):
            raise OperatorProblem("catalog.broken", got=str(len(findings)))
        return replace(found, state="submitted", submitted_by=by)

    return _changed(parts, number, "draft", change, _Act("submitted", by, identify))


def review(
    parts: Parts, number: str, by: str, *, approve: bool, comment: str, identify: Identify | None = None
) -> Draft:
    """Approve or reject; raises ``CallerProblem`` ``edition.self-approval`` for who drafted, edited or submitted it."""

    def change(found: Draft) -> Draft:
        authors = (found.drafted_by, found.submitted_by or "", *(found.editors or "").split(","))
        if person(by) in set(map(person, authors)):
            raise CallerProblem("edition.self-approval")
        return replace(found, state="approved" if approve else "rejected", reviewed_by=by, review=comment)

    return _changed(parts, number, "submitted", change, _Act("reviewed", by, identify))


def publish_draft(
    parts: Parts, number: str, by: str, effective_at: datetime | None, identify: Identify | None = None
) -> NewEdition:
    """Make an approved draft the next edition, effective now or later.

    Raises ``CallerProblem``: ``edition.unknown``, ``edition.state``, ``edition.outdated``, ``edition.effective``.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = _identified(parts, work, pulse, identify)
        found, body = _locked(work, number, "approved")
        if effective_at is not None and effective_at < pulse.now:
            raise CallerProblem("edition.effective", expected=f"not before {moment(pulse.now)}")
        edition = _publish(parts, work, body, effective_at, by, found.base, caller)
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
        edition = _publish(parts, work, orjson.dumps(document), effective_at, publisher, None, {})
        work.commit()
    return edition


def _publish(
    parts: Parts,
    work: Work,
    body: bytes,
    effective_at: datetime | None,
    publisher: str,
    base: int | None,
    caller: Mapping[str, str],
) -> NewEdition:
    catalog_from(json.loads(body))  # a document that does not become values is never an edition
    pulse, digest = work.pulse(), digest_of(body)
    newest = max((number for number, _ in parts.policy(work, pulse).editions), default=0)
    if base is not None and base != newest:
        raise CallerProblem("edition.outdated", got=str(base), expected=str(newest))
    if newest and work.edition(newest)[0] == digest:
        raise OperatorProblem("register.exists", got=str(newest))
    effective = effective_at or pulse.now
    signed = edition_seal(parts.issuer, newest + 1, digest, effective, parts.signer)
    edition = NewEdition(newest + 1, digest, effective, publisher, body, signed)
    if not work.add_edition(edition, pulse.now):
        raise CallerProblem("edition.outdated", got=str(newest), expected=str(edition.number))
    work.move_policy()
    from_then = moment(effective)
    told = entry("published", pulse.now, edition=edition.number, digest=digest, by=publisher, effective_at=from_then,
                 **caller)  # fmt: skip
    work.record([told])
    return edition


@dataclass(frozen=True, slots=True)
class _Act:
    """What is done to a draft, by whom, and how a caller from outside is identified."""

    kind: str
    by: str
    identify: Identify | None


def _changed(parts: Parts, number: str, state: str, change: Callable[[Draft], Draft], act: _Act) -> Draft:
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = _identified(parts, work, pulse, act.identify)
        changed = change(_locked(work, number, state)[0])
        work.change_draft(changed)
        told = entry(act.kind, pulse.now, draft=number, state=changed.state, by=act.by, comment=changed.review,
                     **caller)  # fmt: skip
        work.record([told])
        # Crash before this commit: the draft is as it was. After it, and with the answer lost: who repeats it is told
        # that the draft's state does not allow it, and reads that it is done.
        work.commit()
    return changed


def _identified(parts: Parts, work: Work, pulse: Pulse, identify: Identify | None) -> dict[str, str]:
    """Who signed, for the entry, their nonce spent; nothing where an administrator types at the machine itself."""
    if identify is None:
        return {}
    caller = identified(work, parts.policy(work, pulse), identify, pulse.now)
    return {"client": caller.client.id, "key": caller.key_id}


def _locked(work: Work, number: str, state: str) -> tuple[Draft, bytes]:
    found = work.draft(number)
    if found is None:
        raise CallerProblem("edition.unknown", got=number)
    if found[0].state != state:
        raise CallerProblem("edition.state", got=found[0].state, expected=state)
    return found


def edition_digest(document: Mapping[str, Any]) -> str:
    """The digest an edition of this document has, or would have."""
    return digest_of(orjson.dumps(document))
