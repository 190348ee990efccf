"""Figures: what decided verifications and reports of paper add up to; ``docs/figures.md`` defines every rate.

Counting is a function of a receipt and the edition it names. Receipts hold no persons, so neither do the counters.
Duties: Z06, Z07, Z25, Z38, Z41, R24 (figures for supervision and assessment; fixed definitions, frozen periods).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from broker.core.catalog import Catalog, Mode
from broker.core.day import day_of
from broker.core.working_days import Calendar, add_working_days

FREEZE_WORKING_DAYS = 5  # of the next month, on which a month is frozen: departments report by then
NOBODY = "–"  # where the list names no leading department
_SHARED: Final = frozenset({Mode.CERTIFICATE, Mode.DATA_QUERY, Mode.DATA_VERIFY, Mode.REUSE, Mode.DEPARTMENT_CHECK})
_PROPOSED = "unknown.proposed"


class Reach(StrEnum):
    """How far sharing reached a material (适用、应用)."""

    APPLIED = "applied"  # a source was asked, or an earlier answer used again
    APPLICABLE = "applicable"  # a confirmed row covers it, but nobody was asked
    NONE = "none"  # no confirmed row covers it


class GroupBy(StrEnum):
    """What figures are told apart by."""

    MONTH = "month"
    REGION = "region"
    DEPARTMENT = "department"
    SCENE = "scene"
    ITEM = "item"
    MATERIAL = "material"
    MODE = "mode"
    SOURCE = "source"


class Counted(NamedTuple):
    """One line of the counters: a material as it was decided on a day."""

    day: str
    region: str
    department: str
    scene: str
    item: str
    material: str
    mode: str
    decision: str
    source: str
    reach: str


class Refused(NamedTuple):
    """One line of the counters of refused requests: the entry's day, what was wanted, and why it was refused."""

    day: str
    region: str
    department: str
    scene: str
    item: str
    code: str  # core.problems


@dataclass(frozen=True, slots=True)
class Figures:
    """What a group adds up to. Every rate is None where there is nothing to divide by."""

    materials: int = 0
    applicable: int = 0  # applied ones included
    applied: int = 0
    answered: int = 0  # applied, and decided by an answer: yes or no
    exempt: int = 0
    fallback: int = 0
    submit: int = 0
    not_met: int = 0
    papers_exempt: int = 0  # 应用未用: taken although the receipt said exempt
    papers_live: int = 0  # 应用未用: taken without asking a live source
    papers_other: int = 0
    papers_ungranted: int = 0  # 应用未用: a live source could be asked, had the system applied for a grant
    originals: int = 0  # of papers_exempt, those demanded to be seen in the original

    @property
    def visits(self) -> int:
        """减跑动: on-site checks of originals that became unnecessary (R02), less those demanded all the same."""
        return max(0, self.exempt - self.originals)

    @property
    def rest(self) -> int:
        """What was to be submitted, or is not as it must be."""
        return self.submit + self.not_met

    @property
    def papers(self) -> int:
        """Everything that was reported as taken on paper."""
        return self.unused + self.papers_other

    @property
    def unused(self) -> int:
        """Papers that data could have replaced."""
        return self.papers_exempt + self.papers_live + self.papers_ungranted

    @property
    def exemption_rate(self) -> float | None:
        """免提交率."""
        return _share(self.exempt, self.materials)

    @property
    def applicability_rate(self) -> float | None:
        """适用率."""
        return _share(self.applicable, self.materials)

    @property
    def application_rate(self) -> float | None:
        """应用率."""
        return _share(self.applied, self.applicable + self.papers_live + self.papers_ungranted)

    @property
    def success_rate(self) -> float | None:
        """成功率."""
        return _share(self.exempt, self.applied)

    @property
    def satisfaction_rate(self) -> float | None:
        """需求满足率."""
        return _share(self.answered, self.applied)

    @property
    def unused_rate(self) -> float | None:
        """应用未用率."""
        return _share(self.unused, self.exempt + self.papers_live + self.papers_ungranted)

    def plus(self, other: Figures) -> Figures:
        """Both together."""
        return Figures(*(getattr(self, name) + getattr(other, name) for name in Figures.__slots__))


RATES: Final = (
    "exemption_rate", "applicability_rate", "application_rate", "success_rate", "satisfaction_rate", "unused_rate",
)  # fmt: skip


def counted(payload: Mapping[str, Any], catalog: Catalog, day: str) -> Counter[Counted]:
    """The lines that one final receipt adds; ``catalog`` is that of the edition it names.

    A material counts once for each receipt, under the first item that needs it. Left out: what no law makes needed.
    """
    found: Counter[Counted] = Counter()
    for material in payload["materials"]:
        if not material["needed"]:
            continue
        key = material["items"][0]
        item = catalog.items.get(key)
        place = None if item is None else item.places.get(payload["region"])
        reach, source = _reached(material["steps"])
        found[Counted(
            day, payload["region"], place.lead[0] if place and place.lead else NOBODY,
            payload.get("scene") or (place.scene if place else ""), key, material["material"], material["mode"],
            material["decision"], source, reach.value,
        )] += 1  # fmt: skip
    return found


def refused(document: Mapping[str, Any], catalog: Catalog | None, day: str) -> Refused:
    """The line that one entry ``refused`` adds; what it does not say, or the list does not know, is empty."""
    region, key = str(document.get("region", "")), str(document.get("item", ""))
    item = None if catalog is None else catalog.items.get(key)
    place = None if item is None else item.places.get(region)
    lead = place.lead[0] if place and place.lead else NOBODY
    scene = str(document.get("scene", "")) or (place.scene if place else "")
    return Refused(day, region, lead, scene, key, str(document["code"]))


def figures_of(rows: Iterable[tuple[str, str, int]], papers: Iterable[tuple[str, int]] = ()) -> Figures:
    """Add up (decision, reach, count) and (standing of a paper, count)."""
    by: Counter[str] = Counter()
    for decision, reach, count in rows:
        by["materials"] += count
        by[decision] += count
        by["applied"] += count * (reach == Reach.APPLIED)
        by["applicable"] += count * (reach != Reach.NONE)
        by["answered"] += count * (reach == Reach.APPLIED and decision in {"exempt", "not_met"})
    for standing, count in papers:
        by[f"papers_{standing}" if standing in {"exempt", "live", "ungranted"} else "papers_other"] += count
    return Figures(**{name: by[name] for name in Figures.__slots__})


def day_decided(payload: Mapping[str, Any]) -> date:
    """The day in China on which a receipt was decided."""
    return day_of(datetime.fromisoformat(payload["decided_at"]))


def day_written(document: Mapping[str, Any]) -> date:
    """The day in China on which an entry was made."""
    return day_of(datetime.fromisoformat(document["at"]))


def day_of_counting(decided: date, today: date, frozen: frozenset[str]) -> str:
    """The day a receipt counts for: its own, or, where that month is frozen, the one on which it is folded."""
    return (today if month_of(decided) in frozen else decided).isoformat()


def month_of(day: date) -> str:
    """The month of a day, as ``2026-03``."""
    return day.strftime("%Y-%m")


def month_after(month: str) -> str:
    """The next month."""
    return month_of(date.fromisoformat(f"{month}-01") + timedelta(days=31))


def months_before(month: str, count: int) -> list[str]:
    """The last ``count`` months up to this one, ascending."""
    found = [month]
    while len(found) < count:
        found.append(month_of(date.fromisoformat(f"{found[-1]}-01") - timedelta(days=1)))
    return found[::-1]


def months_between(first: str, last: str) -> list[str]:
    """Every month from one to another, ascending; none where they are the wrong way round."""
    found: list[str] = []
    while first <= last:
        found.append(first)
        first = month_after(first)
    return found


def months_of(period: str) -> list[str]:
    """The months of a month ``2026-03``, a quarter ``2026-Q1`` or a year ``2026``."""
    year, _, part = period.partition("-")
    if part.startswith("Q"):
        last = int(part[1:]) * 3
        return months_between(f"{year}-{last - 2:02}", f"{year}-{last:02}")
    return [period] if part else months_between(f"{year}-01", f"{year}-12")


def freezes_on(month: str, calendar: Calendar) -> date:
    """The day from which a month may be frozen."""
    last = date.fromisoformat(f"{month_after(month)}-01") - timedelta(days=1)
    return add_working_days(calendar, last, FREEZE_WORKING_DAYS)


def frozen_digest(month: str, lines: Iterable[Sequence[Any]], papers: Iterable[Sequence[Any]]) -> str:
    """SHA-256 over a month's lines in one order: what the entry ``figures_frozen`` names."""
    document = [month, sorted(map(list, lines)), sorted(map(list, papers))]
    return hashlib.sha256(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def _reached(steps: Sequence[Mapping[str, Any]]) -> tuple[Reach, str]:
    """How far sharing reached, and the source it reached last."""
    shared = [one for one in steps if one.get("source") and one["mode"] in _SHARED and one["reason"] != _PROPOSED]
    applied = [one for one in shared if "answered_at" in one]
    if applied:
        return Reach.APPLIED, str(applied[-1]["source"])
    return (Reach.APPLICABLE, str(shared[-1]["source"])) if shared else (Reach.NONE, "")


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
