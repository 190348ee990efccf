"""How a source has been: counts, durations in a small histogram, and what that says – added up, never averaged twice.

One row per source and day. A batch is a :class:`Day` of its own, added to what the row holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from broker.core.answer import Answer, Outcome, Reason
from broker.core.gate import BARRED, Gate, Stop
from broker.core.probe import Probing

BOUNDS_MS: Final = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
"""Upper bounds of the histogram's buckets; what took longer stands in one more."""

FAULTS: Final = frozenset(
    {
        Reason.SOURCE_DOWN,
        Reason.LATE,
        Reason.EFFECT_UNKNOWN,
        Reason.MALFORMED,
        Reason.UNTRUSTED,
        Reason.WRONG_PERSON,
        Reason.STALE,
    }
    | {Reason.AUTHENTICATION, Reason.CATALOGUE_DRIFT, Reason.SOURCE_CONFIGURATION, Reason.THROTTLED}
    | {Reason.NOT_PERMITTED, Reason.SOURCE_REFUSED_QUESTION}
)
"""Reasons for which somebody must act at the source or in its settings; all others are what a source is there for."""

REACTIONS: Final[Mapping[Reason, tuple[str, str]]] = {
    Reason.NOT_PERMITTED: ("向数源申请该证照或数据的权限", "Apply to the source for this certificate or data"),
    Reason.AUTHENTICATION: (
        "立即检查平台账户和密钥；不会自动重试",
        "Check the account and its keys now; nothing retries it",
    ),
    Reason.CATALOGUE_DRIFT: (
        "请清单管理员按数源现行目录更新清单",
        "The list's editor must follow the source's catalogue",
    ),
    Reason.SOURCE_CONFIGURATION: (
        "向数源报障：其证照状态配置有误",
        "Open a ticket at the source: its own set-up is broken",
    ),
    Reason.SOURCE_REFUSED_QUESTION: ("检查该数源的参数映射", "Check how the source's parameters are mapped"),
    Reason.UNTRUSTED: ("核对数源的证书、签名和时钟", "Compare the source's certificate, signature and clock"),
    Reason.WRONG_PERSON: ("向数源报障：答复的不是所查当事人", "Open a ticket at the source: it answers about others"),
    Reason.MALFORMED: ("向数源报障：答复不符合约定", "Open a ticket at the source: its answers break the contract"),
    Reason.THROTTLED: ("核对约定的调用频次", "Compare the agreed calls per second and day"),
}
"""What the operator is to do about a source's last failure; of those left out, it comes back by itself."""

UNASKED: Final = frozenset({Reason.NOT_CONFIGURED, Reason.INSUFFICIENT})  # of these the source heard nothing


@dataclass(frozen=True, slots=True)
class Day:
    """What one source did on one day."""

    source: str
    day: str
    held: int = 0
    not_held: int = 0
    unknown: int = 0
    failed: int = 0  # those among the unknown that are a fault
    barred: int = 0  # answered by the gate; the source was not asked
    last_ok_at: datetime | None = None
    last_fail_at: datetime | None = None
    last_failure: str = ""  # the reason
    timed: int = 0
    total_ms: int = 0
    least_ms: int = 0
    most_ms: int = 0
    buckets: tuple[int, ...] = field(default=(0,) * (len(BOUNDS_MS) + 1))
    verifications: int = 0  # that asked it; of one whose lookups fell into two batches, both count
    data_as_of: datetime | None = None  # the newest moment that its answers were of, by its own word

    @property
    def asked(self) -> int:
        """How many lookups the source was asked."""
        return self.held + self.not_held + self.unknown

    @property
    def average_ms(self) -> float | None:
        """The mean duration, None where nothing was timed."""
        return round(self.total_ms / self.timed, 1) if self.timed else None

    @property
    def p95_ms(self) -> int | None:
        """The bound below which 95 of 100 stayed; the longest of all where that is less, or no bound is known."""
        reached = 0
        for bound, count in zip((*BOUNDS_MS, self.most_ms), self.buckets, strict=True):
            reached += count
            if self.timed and reached * 100 >= self.timed * 95:
                return min(bound, self.most_ms)
        return None


@dataclass(frozen=True, slots=True)
class Results:
    """What came of a batch: the answers of those who were asked, and of how many verifications they were."""

    answers: Sequence[Answer] = ()
    verifications: int = 0
    barred: int = 0  # lookups that the gate answered
    as_of: Sequence[datetime | None] = ()  # the source's own times of its data, where it told any


@dataclass(frozen=True, slots=True)
class Probed:
    """What probing a source has shown."""

    source: str
    ready_at: datetime  # not probed again before; while somebody probes it, the end of their lease
    probed_at: datetime | None = None  # the last time that it showed anything
    failed: str = ""  # the step that failed then (``core.probe``), "" for none

    @property
    def is_broken(self) -> bool:
        """Whether the last probe failed."""
        return self.probed_at is not None and bool(self.failed)


def day_of_batch(source: str, day: str, results: Results, durations: Sequence[int], now: datetime) -> Day:
    """What one batch did, as a day of its own."""
    heard = [answer for answer in results.answers if answer.reason not in UNASKED]
    faults = [answer.reason.value for answer in heard if answer.reason in FAULTS]
    buckets = [0] * (len(BOUNDS_MS) + 1)
    for took in durations:
        buckets[sum(bound < took for bound in BOUNDS_MS)] += 1
    return Day(
        source,
        day,
        held=sum(answer.outcome is Outcome.HELD for answer in heard),
        not_held=sum(answer.outcome is Outcome.NOT_HELD for answer in heard),
        unknown=sum(answer.outcome is Outcome.UNKNOWN for answer in heard),
        failed=len(faults),
        barred=results.barred,
        last_ok_at=now if len(faults) < len(heard) else None,
        last_fail_at=now if faults else None,
        last_failure=faults[-1] if faults else "",
        timed=len(durations),
        total_ms=sum(durations),
        least_ms=min(durations, default=0),
        most_ms=max(durations, default=0),
        buckets=tuple(buckets),
        verifications=results.verifications,
        data_as_of=max((moment for moment in results.as_of if moment is not None), default=None),
    )


def merged(days: Sequence[Day]) -> Day | None:
    """The newest day with the last success and failure, and the newest data, of all of them; None of none."""
    if not days:
        return None
    newest = max(days, key=lambda one: one.day)
    failures = [one for one in days if one.last_fail_at is not None]
    last = max(failures, key=lambda one: str(one.last_fail_at), default=newest)
    successes = [one.last_ok_at for one in days if one.last_ok_at is not None]
    return replace(
        newest,
        data_as_of=max((one.data_as_of for one in days if one.data_as_of is not None), default=None),
        last_ok_at=max(successes, default=None),
        last_fail_at=last.last_fail_at,
        last_failure=last.last_failure,
    )


def state_of(day: Day | None, gate: Gate | None, probed: Probed | None = None, stop: Stop | None = None) -> str:
    """One word: ``stopped`` (by a person), ``unasked``, ``away`` (its breaker is not closed), ``failing``, else ``ok``.

    ``failing``: a fault was last.
    """
    if stop is not None:
        return "stopped"
    if gate is not None and gate.breaker.value != "closed":
        return "away"
    if broken_step(day, probed):
        return "failing"
    if day is None or (day.last_ok_at is None and day.last_fail_at is None):
        return "unasked"
    failing = day.last_fail_at is not None and (day.last_ok_at is None or day.last_ok_at < day.last_fail_at)
    return "failing" if failing else "ok"


def broken_step(day: Day | None, probed: Probed | None) -> str:
    """The step that a probe has found broken and that no lookup has passed since; "" for none."""
    if probed is None or not probed.is_broken:
        return ""
    passed = None if day is None else day.last_ok_at
    # Of the probe's own moment: it was answered well, and yet not as agreed.
    return probed.failed if passed is None or probed.probed_at is None or passed <= probed.probed_at else ""


def last_heard(day: Day | None) -> datetime | None:
    """When a source last answered or failed to; None where it did neither."""
    told = () if day is None else (day.last_ok_at, day.last_fail_at)
    return max((one for one in told if one is not None), default=None)


def source_view(
    source: str, name: Any, day: Day | None, gate: Gate | None, probing: Probing, probed: Probed | None,
    stop: Stop | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A source's health as the API tells it; ``day`` is today's, with the last success and failure of the week."""
    told = day or Day(source, gate.day if gate else "")
    return {
        "source": source,
        "name": dict(name),
        "state": state_of(day, gate, probed, stop),
        "stopped": {"since": _moment(stop.at), "reason": stop.reason} if stop else None,
        "breaker": {"state": gate.breaker.value if gate else "closed", "until": _moment(gate.until if gate else None)},
        "last_ok_at": _moment(told.last_ok_at),
        "last_fail_at": _moment(told.last_fail_at),
        "last_failure": told.last_failure or None,
        "reaction": _reaction(told.last_failure),
        "data_as_of": _moment(told.data_as_of),
        "probe": {
            "agreed": probing.value,
            "at": _moment(probed.probed_at if probed else None),
            "failed": broken_step(day, probed) or None,
        },
        "today": {
            "day": told.day,
            "calls": gate.calls if gate and gate.day == told.day else 0,
            "held": told.held,
            "not_held": told.not_held,
            "unknown": told.unknown,
            "failed": told.failed,
            "barred": told.barred,
        },
        "duration_ms": {
            "min": told.least_ms if told.timed else None,
            "avg": told.average_ms,
            "max": told.most_ms if told.timed else None,
            "p95": told.p95_ms,
        },
    }


def _reaction(reason: str) -> dict[str, str] | None:
    known = REACTIONS.get(Reason(reason)) if reason else None
    return None if known is None else {"zh": known[0], "en": known[1]}


def is_barred(rule: str | None) -> bool:
    """Whether the gate, and not a grant or a case, kept a lookup from being asked."""
    return rule in BARRED


def _moment(when: datetime | None) -> str | None:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z") if when else None
