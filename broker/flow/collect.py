"""Collect: what was still taken on paper, and why, as an approval system or a clerk reports it.

The demand without a reason is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from broker.core.collected import Cover, Judged, Receipted, Told, judge, papers_from
from broker.core.day import day_of
from broker.core.entry import Entry, entry
from broker.core.envelope import canonical, unb64
from broker.core.errors import CallerProblem
from broker.core.figures import NOBODY
from broker.core.health import merged, state_of
from broker.core.receipt import request_digest
from broker.flow.caller import Identify, identified
from broker.flow.matters import SALT_BYTES
from broker.flow.parts import Parts, new_id
from broker.ports import Pulse, Work
from broker.ports.figures import Paper, Report

MAX_OF_CASE = 100  # of one case; a case has a few
_LIVE = frozenset({"ok", "unasked"})  # one that failed last, that is stopped or whose breaker is open covers nothing


def collect(parts: Parts, document: Mapping[str, Any], body: bytes, identify: Identify) -> Report:
    """Keep a report once: the same request id and body again give the same report. The case need not be known here.

    Bodies are compared by a salted digest: a clerk's note may stand in them, and a bare one would confirm a guess. Its
    salt goes with the notes; then nobody can say whether a body is the same.

    Raises ``CallerProblem``: ``request.region``, ``request.item``, ``request.material``, ``collected.reason``,
    ``collected.twice``, ``request.conflict``, ``request.forgotten``, ``signature.*``.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        policy = parts.policy(work, pulse)
        caller = identified(work, policy, identify, pulse.now)
        report = _once(parts, work, pulse, _Sender(caller.client.id, caller.key_id), document, body)
        # Crash before this commit: nothing is kept, the system reports again. After it: the report has its entry, and
        # is given again to whoever repeats it.
        work.commit()
    return report


def collect_at_counter(parts: Parts, document: Mapping[str, Any], client: str) -> Report:
    """The same by a clerk in the console, for the approval system whose case it is.

    The caller has looked at whether the clerk may see the case. Raises as ``collect``, but for the signature's.
    """
    with parts.store.write() as work:
        report = _once(parts, work, work.pulse(), _Sender(client), document, canonical(document))
        # Crash before this commit: nothing is kept, the form is sent again. After it: the same form again is the same
        # report.
        work.commit()
    return report


def reported(parts: Parts, client: str, case: str, sees: Callable[[str], bool]) -> list[Report]:
    """What was reported for a case, the newest first, by the bodies whose cases the reader may see."""
    with parts.store.read() as work:
        return [one for one in work.reports_of_case(client, case, MAX_OF_CASE) if sees(one.unit)]


@dataclass(frozen=True, slots=True)
class _Sender:
    """For which system a report is kept, and the key that signed it; none where a clerk sent a form."""

    client: str
    key: str | None = None


def _once(parts: Parts, work: Work, pulse: Pulse, sender: _Sender, document: Mapping[str, Any], body: bytes) -> Report:
    """The report of this request id: the one that is kept already, or this one."""
    known = work.report_of(sender.client, document["request_id"])
    report = known or _kept(parts, work, pulse, sender, document, body)
    _check_same(parts, report, body)
    return report


def _kept(parts: Parts, work: Work, pulse: Pulse, sender: _Sender, document: Mapping[str, Any], body: bytes) -> Report:
    """The report, judged and stored with its entry; another's where they were faster with this request id."""
    policy = parts.policy(work, pulse)
    edition = parts.edition_in_force(work, policy, pulse.now)
    item = edition.catalog.items_of(region=document["region"], item=document["item"], scene=None)[0]
    place = item.places[document["region"]]
    number = new_id(pulse.now)
    grants = policy.grants_of.get(sender.client, ())
    cover = Cover(edition.catalog, grants, _Live(parts, work, pulse, edition.catalog.sources), pulse.now)
    receipts = _receipted(work, sender.client, document["case"]["number"])
    papers = tuple(
        _paper(parts, number, told, judge(told, item, place, cover, receipts.get(told.material)))
        for told in sorted(papers_from(document["materials"]), key=lambda told: told.material)
    )
    salt = os.urandom(SALT_BYTES)
    report = Report(
        id=number, client=sender.client, request_id=document["request_id"], digest=request_digest(salt, body),
        salt=parts.vault.lock(salt, number),
        case=document["case"]["number"], region=place.region, item=item.key, scene=place.scene,
        department=place.lead[0] if place.lead else NOBODY, operator=document["operator"]["id"],
        unit=document["operator"]["unit"], edition=edition.number, day=day_of(pulse.now).isoformat(), at=pulse.now,
        papers=papers,
    )  # fmt: skip
    if work.add_report(report):
        work.record([_told(report, sender.key)])
        return report
    other = work.report_of(report.client, report.request_id)
    if other is None:
        raise AssertionError("taken by somebody who is gone")
    return other


def _check_same(parts: Parts, report: Report, body: bytes) -> None:
    """Raises ``request.conflict`` where it was made of another body, ``request.forgotten`` where nobody can say."""
    if report.salt is None:
        raise CallerProblem("request.forgotten", got=report.id)
    if report.digest != request_digest(parts.vault.unlock(report.salt, report.id), body):
        raise CallerProblem("request.conflict", got=report.request_id)


class _Live:
    """Whether a source is live: connected here, not stopped, its breaker closed, not failing when last asked."""

    def __init__(self, parts: Parts, work: Work, pulse: Pulse, sources: Mapping[str, Any]) -> None:
        self._parts = parts
        self._sources = sources
        self._gates = {one.source: one for one in work.gates()}
        self._stops = parts.policy(work, pulse).stops
        self._days = work.health(day_of(pulse.now).isoformat())

    def __call__(self, source: str) -> bool:
        if self._parts.asking(self._sources[source]) is None:
            return False
        today = merged([one for one in self._days if one.source == source])
        return state_of(today, self._gates.get(source), stop=self._stops.get(source)) in _LIVE


def _receipted(work: Work, client: str, case: str) -> dict[str, Receipted]:
    """What the case's receipts say of each material; the latest that names it counts."""
    found: dict[str, Receipted] = {}
    for verification, receipt in work.receipts_of_case(client, case):
        for one in json.loads(unb64(receipt.split(".")[1]))["materials"]:
            found.setdefault(one["material"], Receipted(one["decision"], verification))
    return found


def _paper(parts: Parts, number: str, told: Told, judged: Judged) -> Paper:
    note = parts.vault.lock(told.note.encode(), f"{number}/{told.material}") if told.note else b""
    return Paper(
        told.material, told.original, judged.standing.value, told.reason, judged.source, judged.verification, note
    )


def note_of(parts: Parts, report: Report, paper: Paper) -> str:
    """What the clerk wrote."""
    return parts.vault.unlock(paper.note, f"{report.id}/{paper.material}").decode() if paper.note else ""


def _told(report: Report, key: str | None) -> Entry:
    """The entry: every paper with its standing and reason, never the note, in which a name may stand."""
    return entry(
        "collected", report.at, report=report.id, client=report.client, key=key, operator=report.operator,
        unit=report.unit, case=report.case, region=report.region, item=report.item, edition=report.edition,
        materials={one.material: f"{one.standing} {one.reason}".strip() for one in report.papers},
        originals=[one.material for one in report.papers if one.original],
    )  # fmt: skip
