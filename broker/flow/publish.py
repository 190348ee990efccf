"""Publish: how a catalogue becomes the next edition – draft, submit, review by another person, publish with a date.

An edition is signed and immutable; verifications in flight keep theirs. Every step has its entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from broker.core.catalog import catalog_from
from broker.core.entry import entry
from broker.core.envelope import canonical, seal
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.findings import Finding, has_errors
from broker.core.receipt import moment
from broker.flow.parts import Parts, new_id
from broker.ports import Draft, NewEdition, Work

EDITION_TYPE = "sharing-list-edition+jws"

Check = Callable[[Mapping[str, Any]], list[Finding]]


def draft(parts: Parts, document: Mapping[str, Any], by: str, comment: str) -> Draft:
    """Keep a document as a draft on the newest edition; it may still have findings."""
    body = orjson.dumps(document)  # in the file's order, which is the plan's; these very bytes become the edition
    with parts.store.write() as work:
        pulse = work.pulse()
        base = max((number for number, _ in parts.policy(work, pulse).editions), default=0)
        made = Draft(new_id(pulse.now), "draft", base, _digest(body), comment, by, pulse.now)
        work.add_draft(made, body)
        work.record([entry("drafted", pulse.now, draft=made.id, digest=made.digest, by=by, edition=base)])
        work.commit()
    return made


def submit(parts: Parts, number: str, by: str, check: Check) -> Draft:
    """Hand a draft in for review. Raises ``OperatorProblem`` ``catalog.broken`` where the check finds errors."""

    def change(found: Draft, body: bytes) -> Draft:
        findings = check(json.loads(body))
        if has_errors(findings):
            raise OperatorProblem("catalog.broken", got=str(len(findings)))
        return replace(found, state="submitted", submitted_by=by)

    return _changed(parts, number, "draft", change, "submitted", by)


def review(parts: Parts, number: str, by: str, *, approve: bool, comment: str) -> Draft:
    """Approve or reject; raises ``CallerProblem`` ``edition.self-approval`` for who drafted or submitted it."""

    def change(found: Draft, _: bytes) -> Draft:
        if by in {found.drafted_by, found.submitted_by}:
            raise CallerProblem("edition.self-approval")
        return replace(found, state="approved" if approve else "rejected", reviewed_by=by, review=comment)

    return _changed(parts, number, "submitted", change, "reviewed", by)


def publish_draft(parts: Parts, number: str, by: str, effective_at: datetime | None) -> NewEdition:
    """Make an approved draft the next edition, effective now or later.

    Raises ``CallerProblem``: ``edition.unknown``, ``edition.state``, ``edition.outdated``.
    """
    with parts.store.write() as work:
        found, body = _locked(work, number, "approved")
        edition = _publish(parts, work, body, effective_at, by, found.base)
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
        edition = _publish(parts, work, orjson.dumps(document), effective_at, publisher, None)
        work.commit()
    return edition


def _publish(
    parts: Parts, work: Work, body: bytes, effective_at: datetime | None, publisher: str, base: int | None
) -> NewEdition:
    catalog_from(json.loads(body))  # a document that does not become values is never an edition
    pulse, digest = work.pulse(), _digest(body)
    newest = max((number for number, _ in parts.policy(work, pulse).editions), default=0)
    if base is not None and base != newest:
        raise CallerProblem("edition.outdated", got=str(base), expected=str(newest))
    if newest and work.edition(newest)[0] == digest:
        raise OperatorProblem("register.exists", got=str(newest))
    effective = effective_at or pulse.now
    said = {"number": newest + 1, "digest": digest, "effective_at": moment(effective), "published_by": publisher}
    signed = seal(canonical(said), parts.signer, EDITION_TYPE)
    edition = NewEdition(newest + 1, digest, effective, publisher, body, signed)
    if not work.add_edition(edition, pulse.now):
        raise CallerProblem("edition.outdated", got=str(newest), expected=str(edition.number))
    work.move_policy()
    from_day = moment(effective)
    work.record(
        [entry("published", pulse.now, edition=edition.number, digest=digest, by=publisher, effective_at=from_day)]
    )
    return edition


def _changed(
    parts: Parts, number: str, state: str, change: Callable[[Draft, bytes], Draft], kind: str, by: str
) -> Draft:
    with parts.store.write() as work:
        found, body = _locked(work, number, state)
        changed = change(found, body)
        work.change_draft(changed)
        now = work.pulse().now
        work.record([entry(kind, now, draft=number, state=changed.state, by=by, comment=changed.review)])
        work.commit()
    return changed


def _locked(work: Work, number: str, state: str) -> tuple[Draft, bytes]:
    found = work.draft(number)
    if found is None:
        raise CallerProblem("edition.unknown", got=number)
    if found[0].state != state:
        raise CallerProblem("edition.state", got=found[0].state, expected=state)
    return found


def edition_digest(document: Mapping[str, Any]) -> str:
    """The digest an edition of this document has, or would have."""
    return _digest(orjson.dumps(document))


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
