"""Cases: find one, see its verifications, and one verification as the path it went. Nothing about a party is opened.

Everything is read from rows, entries and receipts, so a page shows the same whether or not the answers still exist. Of
the request, which is encrypted, the sheet alone opens one thing: who asked, by the names of the operator and the body.
Whoever looks says beforehand which bodies' cases they may see (``sees``); another's is as unknown as none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from broker.core.case import Operator
from broker.core.catalog import Edition
from broker.core.errors import CallerProblem
from broker.core.explain import Told
from broker.core.receipt import moment, receipt_digest
from broker.core.timeline import Hop, Step, hop_of, made_at, steps_of
from broker.flow.consents import standing_in
from broker.flow.explain import explanation_of, payload_of
from broker.flow.parts import Parts
from broker.flow.prove import proved
from broker.ports import LookupRow, StoredVerification, Work
from broker.ports.cases import CaseLine, VerificationLine
from broker.ports.consents import Consent

MAX_FOUND = 20  # cases of one number; each system numbers its own
MAX_VERIFICATIONS = 100  # of the cases found, the newest

Sees = Callable[[str], bool]  # whether the cases of a body, by its credit code, may be seen


@dataclass(frozen=True, slots=True)
class SeenCase:
    """A case with those of its verifications that may be seen."""

    case: CaseLine
    verifications: tuple[VerificationLine, ...]
    system: str  # the approval system's name
    consents: tuple[Consent, ...] = ()  # what its holders were asked for


@dataclass(frozen=True)
class Path:
    """One verification: what it was asked, when each thing happened, and why it was decided as it was."""

    case: CaseLine
    line: VerificationLine
    system: str
    edition: Edition
    explanation: Mapping[str, Any]
    hops: Mapping[str, Hop]  # by the lookup's key
    steps: tuple[Step, ...]  # of the verification as a whole
    lookups: tuple[LookupRow, ...] = field(repr=False)
    entries: tuple[Told, ...] = field(repr=False)
    receipt: Mapping[str, Any] | None = field(repr=False)
    preliminary: str | None = field(repr=False)
    final: str | None = field(repr=False)


@dataclass(frozen=True)
class Sheet:
    """What the printed sheet (核验单) says: a receipt, its digest, and its place in the log once it has one."""

    receipt: Mapping[str, Any] = field(repr=False)
    token: str = field(repr=False)
    digest: str
    system: str
    line: VerificationLine
    edition: Edition
    position: int | None
    size: int | None
    superseded: bool  # a final receipt has taken the place of this preliminary one
    reopened: bool  # a record on which it rests was corrected since
    asker: Operator | None = field(default=None, repr=False)  # None where the request was destroyed, or is not shown


def find(parts: Parts, number: str, sees: Sees) -> list[SeenCase]:
    """The cases of a number, with those of their verifications that may be seen; a case without any is left out."""
    with parts.store.read() as work:
        found = work.cases_numbered(number, MAX_FOUND)
        lines = work.verifications_in([one.id for one in found], MAX_VERIFICATIONS)
        seen = [_seen(parts, work, one, lines.get(one.id, []), sees) for one in found]
    return [one for one in seen if one.verifications]


def one_case(parts: Parts, case: str, sees: Sees) -> SeenCase:
    """A case by its id. Raises ``CallerProblem`` ``case.unknown``."""
    with parts.store.read() as work:
        found = work.case_line(case)
        if found is None:
            raise CallerProblem("case.unknown")
        seen = _seen(parts, work, found, work.verifications_in([case], MAX_VERIFICATIONS).get(case, []), sees)
        consents = tuple(standing_in(work, found.client, found.number))
    if not seen.verifications:
        raise CallerProblem("case.unknown")
    return replace(seen, consents=consents)


def _seen(parts: Parts, work: Work, case: CaseLine, lines: list[VerificationLine], sees: Sees) -> SeenCase:
    return SeenCase(case, tuple(one for one in lines if sees(one.unit)), _system(parts, work, case.client))


def _system(parts: Parts, work: Work, client: str) -> str:
    known = parts.policy(work, work.pulse()).clients.get(client)
    return client if known is None else known.name


def path_of(parts: Parts, number: str, sees: Sees) -> Path:
    """One verification with its whole path. Raises ``CallerProblem`` ``verification.unknown``."""
    with parts.store.read() as work:
        stored, case = work.verification(number), work.case_of(number)
        if stored is None or case is None:
            raise CallerProblem("verification.unknown")
        entries = tuple(Told(position, json.loads(body)) for position, body in work.entries_about(number))
        line = _line(stored, entries)
        if not sees(line.unit):
            raise CallerProblem("verification.unknown")
        explanation = explanation_of(parts, work, stored, entries)
        lookups = tuple(work.lookups_of([number]))
        preliminary, final = work.receipts_of(number)
        edition = parts.edition(work, stored.edition)
        system = _system(parts, work, stored.client)
        consents = standing_in(work, case.client, case.number)
    told = [(one.position, one.document) for one in entries]
    hops = {one.key: hop_of(one.id, moment(made_at(one.id)), told) for one in lookups}
    steps = tuple(steps_of([*told, *_consents_decided(entries, consents)]))
    payload = None if stored.receipt is None else payload_of(stored.receipt)
    return Path(
        case, line, system, edition, explanation, hops, steps, lookups, entries, payload, preliminary, final
    )  # fmt: skip


def _consents_decided(entries: Sequence[Told], consents: Sequence[Consent]) -> list[tuple[None, dict[str, str]]]:
    """What holders said of the consents that this verification asked for; the entries of that name no verification."""
    asked = {one.document.get("consent") for one in entries if one.kind == "consent_requested"}
    return [
        (None, {"kind": f"consent_{one.state}", "at": moment(one.decided_at), "consent": one.id})
        for one in consents
        if one.id in asked and one.decided_at is not None
    ]


def _line(stored: StoredVerification, entries: tuple[Told, ...]) -> VerificationLine:
    told = next((one.document for one in entries if one.kind == "admitted"), {})
    return VerificationLine(
        stored.id, stored.request_id, stored.edition, stored.state, stored.admitted_at, stored.decided_at,
        told.get("unit", ""), told.get("operator", ""),
    )  # fmt: skip


def sheet_of(parts: Parts, number: str, sees: Sees, *, preliminary: bool = False) -> Sheet:
    """What is printed of a verification: its final receipt, or the preliminary one where that is asked for.

    Raises ``CallerProblem``: ``verification.unknown``, ``verification.undecided``.
    """
    with parts.store.read() as work:
        sheet = _sheet(parts, work, number, sees, preliminary=preliminary)
        return replace(sheet, asker=_asker(parts, work, number))


def _asker(parts: Parts, work: Work, number: str) -> Operator | None:
    """Who asked, by name, out of the request; None once it was destroyed with its case.

    Raises ``BrokerProblem`` ``key.unusable`` where it is there and cannot be read: a sheet never leaves out in silence.
    """
    [(_, sealed, wrapped)] = work.requests_of([number])
    if not sealed or not wrapped:
        return None
    told = json.loads(parts.vault.decrypt(parts.vault.unwrap(wrapped), sealed, number))["operator"]
    return Operator(told["id"], told["name"], told["unit"], told["unit_name"])


def sheet_by_digest(parts: Parts, number: str, digest: str) -> Sheet:
    """The sheet that a printed code leads to: whoever knows a receipt's digest holds the receipt, or its print.

    Anybody may come by that code, so it names no operator.

    Raises ``CallerProblem`` ``receipt.unknown`` where the verification has no receipt of this digest.
    """
    with parts.store.read() as work:
        receipts = work.receipts_of(number)
        named = [one is not None and receipt_digest(one) == digest for one in receipts]
        if not any(named):
            raise CallerProblem("receipt.unknown")
        return _sheet(parts, work, number, lambda _: True, preliminary=named[0])


def bundle_by_digest(parts: Parts, number: str, digest: str) -> dict[str, str]:
    """The same receipt as the file that is verified offline. Raises as ``sheet_by_digest``; ``log.not-yet``."""
    sheet = sheet_by_digest(parts, number, digest)
    with parts.store.read() as work:
        kind = "pending" if sheet.receipt["status"] == "preliminary" else "decided"
        return proved(parts, work, number, kind, sheet.token).document()


def _sheet(parts: Parts, work: Work, number: str, sees: Sees, *, preliminary: bool) -> Sheet:
    stored = work.verification(number)
    entries = () if stored is None else tuple(_admitted(work, number))
    if stored is None or not sees(_line(stored, entries).unit):
        raise CallerProblem("verification.unknown")
    first, final = work.receipts_of(number)
    token = first if preliminary else final or first
    if token is None:
        raise CallerProblem("verification.undecided", retry_after=1)
    payload = payload_of(token)
    kind = "pending" if payload["status"] == "preliminary" else "decided"
    place, size = work.place_of(number, kind), work.log_size()
    position = None if place is None or place[0] is None or place[0] >= size else place[0]
    return Sheet(
        payload, token, receipt_digest(token), _system(parts, work, stored.client), _line(stored, entries),
        parts.edition(work, stored.edition), position, None if position is None else size,
        kind == "pending" and final is not None, work.place_of(number, "decision_reopened") is not None,
    )  # fmt: skip


def _admitted(work: Work, number: str) -> list[Told]:
    place = work.place_of(number, "admitted")
    return [] if place is None else [Told(place[0], json.loads(place[1]))]
