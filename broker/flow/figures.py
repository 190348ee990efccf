"""Figures: decided verifications are folded into counters, and a month that is over is frozen for good.

It reads the log from where it last ended, never on the way of a request: the receipts of a batch are read and counted
before the transaction that adds them, which is short. The place up to which it came moves with the counters.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

from broker.core.catalog import Catalog
from broker.core.collected import Standing
from broker.core.day import CHINA, day_of
from broker.core.entry import entry
from broker.core.envelope import unb64
from broker.core.errors import OperatorProblem
from broker.core.figures import (
    Counted,
    Figures,
    GroupBy,
    Refused,
    counted,
    day_decided,
    day_of_counting,
    day_written,
    figures_of,
    freezes_on,
    frozen_digest,
    month_after,
    month_of,
    refused,
)
from broker.flow.parts import Parts
from broker.ports import Work
from broker.ports.figures import Frozen, Where

BATCH = 500  # places of the log folded in one transaction: some hundred receipts in memory


def keep_figures(parts: Parts) -> bool:
    """One round of the duty: fold a batch, freeze a month that is due. True where there may be more."""
    folded = fold(parts)
    return folded > 0 or freeze(parts) is not None


def fold(parts: Parts, batch: int = BATCH) -> int:
    """Fold the next places of the log; returns how many. Whoever else does it at the same time comes out the same."""
    with parts.store.read() as work:
        start = work.fold_place()
        end = min(start + batch, work.log_size())
        today = day_of(work.pulse().now)
        read = [(day_decided(payload), payload) for payload in map(_payload, work.receipts_between(start, end))]
        numbers = {payload["edition"]["number"] for _, payload in read}
        known = {number: parts.edition(work, number).catalog for number in numbers}
        bodies = [json.loads(body) for body in work.refusals_between(start, end)]
        # Whoever was refused early named no edition: the leading department is that of the list in force.
        in_force = _in_force(parts, work) if bodies else None
    if end == start:
        return 0
    by_day: dict[date, Counter[Counted]] = {}
    for decided, payload in read:
        lines = counted(payload, known[payload["edition"]["number"]], decided.isoformat())
        by_day.setdefault(decided, Counter()).update(lines)
    written = [(day_written(one), refused(one, in_force, "")) for one in bodies]
    with parts.store.write() as work:
        if work.folded_to() != start:
            return end - start  # somebody was faster; the next round begins where they ended
        frozen = frozenset(one.month for one in work.frozen())
        work.add_counts(_dated(by_day, today, frozen), _dated_refusals(written, today, frozen), end)
        # Crash before this commit: nothing was counted, the next round counts it. After it: counted, and the place has
        # moved with the counters, so that it is never counted again.
        work.commit()
    return end - start


def freeze(parts: Parts) -> str | None:
    """Freeze the oldest month that is due, once all of it is folded; returns it, None where none is."""
    with parts.store.write() as work:
        place = work.folded_to()
        now = work.pulse().now
        month = _due(parts, work, day_of(now))
        if place is None or month is None or not work.place_is_after(place, _start_of(month_after(month))):
            return None
        frozen = Frozen(month, frozen_digest(month, *work.copy_month(month)), now)
        work.freeze_month(frozen)
        work.record([entry("figures_frozen", now, month=month, digest=frozen.digest)])
        # Crash before this commit: the month is open as before. After it: frozen, and the log names its digest.
        work.commit()
    return month


def _due(parts: Parts, work: Work, today: date) -> str | None:
    """The first month that is not frozen, where its day has come."""
    frozen, first = work.frozen(), work.first_day()
    if frozen:
        month = month_after(frozen[-1].month)
    elif first is None:
        return None
    else:
        month = first[:7]
    return month if month < month_of(today) and freezes_on(month, parts.calendar) <= today else None


def _dated(by_day: dict[date, Counter[Counted]], today: date, frozen: frozenset[str]) -> Counter[Counted]:
    """The lines with the day they count for: what arrives after its month was frozen counts when it arrives."""
    found: Counter[Counted] = Counter()
    for decided, lines in by_day.items():
        day = day_of_counting(decided, today, frozen)
        for line, count in lines.items():
            found[line._replace(day=day)] += count
    return found


def _dated_refusals(written: Sequence[tuple[date, Refused]], today: date, frozen: frozenset[str]) -> Counter[Refused]:
    return Counter(line._replace(day=day_of_counting(day, today, frozen)) for day, line in written)


def _in_force(parts: Parts, work: Work) -> Catalog | None:
    """The list in force; None before the first edition, when requests are refused for just that."""
    pulse = work.pulse()
    try:
        return parts.edition_in_force(work, parts.policy(work, pulse), pulse.now).catalog
    except OperatorProblem:
        return None


def _start_of(month: str) -> datetime:
    return datetime.combine(date.fromisoformat(f"{month}-01"), time(), CHINA)


def _payload(receipt: str) -> dict[str, Any]:
    """Our own receipt, out of our own database: what is proved of it, others prove."""
    payload: dict[str, Any] = json.loads(unb64(receipt.split(".")[1]))
    return payload


_WITHOUT_PAPERS = frozenset({GroupBy.MODE, GroupBy.SOURCE})  # a paper has neither


def told_by(work: Work, by: GroupBy, where: Where, months: Sequence[str]) -> dict[str, Figures]:
    """The figures of these months by one column, as frozen where they are; papers only where they have the column."""
    rows: dict[str, list[tuple[str, str, int]]] = {}
    for (name,), decision, reach, count in work.counts([by.value], where, months):
        rows.setdefault(name, []).append((decision, reach, count))
    papers: dict[str, list[tuple[str, int]]] = {}
    originals: Counter[str] = Counter()
    if not _WITHOUT_PAPERS & {by, *where}:
        for (name, original), standing, count in work.papers([by.value, "original"], where, months):
            papers.setdefault(name, []).append((standing, count))
            originals[name] += count if original and standing == Standing.EXEMPT else 0
    return {
        name: replace(figures_of(rows.get(name, ()), papers.get(name, ())), originals=originals[name])
        for name in sorted(rows.keys() | papers.keys())
    }


def crossed(work: Work, where: Where, months: Sequence[str]) -> dict[str, dict[str, Figures]]:
    """The figures of each leading department month by month, without papers."""
    rows: dict[str, dict[str, list[tuple[str, str, int]]]] = {}
    for (department, month), decision, reach, count in work.counts(["department", "month"], where, months):
        rows.setdefault(department, {}).setdefault(month, []).append((decision, reach, count))
    return {name: {month: figures_of(found) for month, found in theirs.items()} for name, theirs in rows.items()}
