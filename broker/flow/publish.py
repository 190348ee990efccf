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
from broker.flow.admit import NONCE_KEPT, Identify
from broker.flow.parts import Parts, new_id
from broker.ports import Draft, NewEdition, Pulse, Work

Check = Callable[[Mapping[str, Any]], list[Finding]]


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


def submit(parts: Parts, number: str, by: str, check: Check, identify: Identify | None = None) -> Draft:
    """Hand a draft in for review. Raises ``OperatorProblem`` ``catalog.broken`` where the check finds errors."""
    with parts.store.read() as work:
        kept = work.read_draft(number)  # its body never changes, so it is checked before others have to wait for us
    findings = check(json.loads(kept[1])) if kept and kept[0].state == "draft" else []

    def change(found: Draft) -> Draft:
        if has_errors(findings):
            raise OperatorProblem("catalog.broken", got=str(len(findings)))
        return replace(found, state="submitted", submitted_by=by)

    return _changed(parts, number, "draft", change, _Act("submitted", by, identify))


def review(
    parts: Parts, number: str, by: str, *, approve: bool, comment: str, identify: Identify | None = None
) -> Draft:
    """Approve or reject; raises ``CallerProblem`` ``edition.self-approval`` for who drafted or submitted it."""

    def change(found: Draft) -> Draft:
        if person(by) in {person(found.drafted_by), person(found.submitted_by or "")}:
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
    caller = identify(parts.policy(work, pulse), pulse.now)
    if not work.spend_nonce(caller.key_id, caller.nonce, pulse.now + NONCE_KEPT):
        raise CallerProblem("signature.replayed")
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
