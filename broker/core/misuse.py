"""Signs of misuse in what operators ask: each rule is a pure function of one operator's acts, and explains itself.

The threats are those seen in real platforms' public code: a loop over ID numbers under one invented case, one unrelated
item used for everything, a constant reason, a placeholder for the operator. A flag accuses nobody: it is for an
auditor to look at. What a rule finds is counts and verification ids; numbers of persons are compared and forgotten.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil, sqrt
from typing import Any

from broker.core.case import Basis, Channel
from broker.core.catalog import Text
from broker.core.day import CHINA
from broker.core.working_days import Calendar

KEPT_EXAMPLES = 20  # verification ids in a flag's evidence: enough to begin a review with
_DIGITS = re.compile(r"[0-9]+")
_PLACEHOLDERS = frozenset((
    "admin", "administrator", "test", "tester", "system", "sys", "operator", "user", "root", "guest", "null", "none",
    "unknown", "anonymous", "default", "xxx", "n/a", "管理员", "系统", "测试", "操作员", "窗口人员", "工作人员", "经办人",
    "匿名", "未知", "无", "某某", "张三", "李四",
))  # fmt: skip


class RuleName(StrEnum):
    """What is looked for."""

    SEQUENCE = "sequence"  # 号码连续
    MANY_HOLDERS = "many-holders"  # 同类办件持证人过多
    CONSTANT_REASON = "constant-reason"  # 理由千篇一律
    PLACEHOLDER = "placeholder"  # 经办人为占位名称
    NO_DECISION = "no-decision"  # 查询后长期没有办理结果
    AFTER_HOURS = "after-hours"  # 非工作时间
    UNRELATED_ITEM = "unrelated-item"  # 同一办件查询无关事项
    ADDED_PARTIES = "added-parties"  # 办件后加当事人过多
    PROBING = "probing"  # 屡次试探被拒
    NEW_OPERATORS = "new-operators"  # 新经办人集中出现


class Action(StrEnum):
    """What a finding leads to, beside the review."""

    FLAG = "flag"
    STOP = "stop"  # nothing more is admitted from this operator until an auditor has cleared it
    SUSPEND = "suspend"  # that, and the grants it asked under are suspended until a person restores them

    @property
    def stops(self) -> bool:
        """Whether the operator may ask nothing more."""
        return self is not Action.FLAG


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on something is remarkable; each generous enough that honest work does not come near it."""

    run: int = 12  # numbers asked in ascending or descending order; more where so many are asked that chance gives them
    near: int = 8  # numbers in such an order whose births are at most a month apart, step by step
    cluster: int = 6  # numbers that follow one another within one region and birthday
    holders_per_hour: int = 60  # persons at one window, one a minute
    holders_unattended: int = 150  # persons on all channels together: the caller names the channel, so it frees nobody
    reason_repeats: int = 40  # one law as the reason, for so many verifications
    reason_items: int = 8  # and so many different items
    consent_holders: int = 3  # one consent or delegation, for so many persons
    undecided_days: int = 30  # how long a case may be without an outcome
    undecided_cases: int = 10  # so many of an operator's cases
    undecided_percent: int = 50  # and such a part of them
    opens: int = 7  # o'clock in China, when windows may begin
    closes: int = 21  # and when they have ended
    after_hours: int = 5  # verifications at a window outside that
    after_hours_unattended: int = 50  # and on all channels together
    added_parties: int = 4  # of one case, by later verifications
    refused_requests: int = 20  # within a day
    refused_persons: int = 10  # and so many persons named in them
    new_operators: int = 20  # of one body, seen for the first time within a day


@dataclass(frozen=True)
class MisuseRules:
    """What each rule leads to, and the thresholds; a rule that is not named is off."""

    actions: Mapping[RuleName, Action] = field(
        default_factory=lambda: {name: Action.STOP if name is RuleName.SEQUENCE else Action.FLAG for name in RuleName}
    )
    thresholds: Thresholds = field(default_factory=Thresholds)


def rules_from(document: Mapping[str, Any]) -> MisuseRules:
    """The rules that a deployment's file changes: ``rules`` (name → flag, stop or off) and ``thresholds``.

    Raises ``ValueError`` naming what it does not know.
    """
    unknown = set(document) - {"rules", "thresholds"}
    actions = dict(MisuseRules().actions)
    for name, action in document.get("rules", {}).items():
        actions.pop(RuleName(name))
        if action not in {"off", False}:  # YAML reads a bare off as false
            actions[RuleName(name)] = Action(action)
    given = document.get("thresholds", {})
    unknown |= set(given) - {one.name for one in fields(Thresholds)}
    unknown |= {name for name, value in given.items() if not isinstance(value, int) or value < 0}
    if unknown:
        raise ValueError(", ".join(sorted(unknown)))
    return MisuseRules(actions, Thresholds(**given))


@dataclass(frozen=True, slots=True)
class Act:
    """One admitted verification or refused request, as the log tells it."""

    verification: str  # of a refused request, its request id
    case: str
    scenes: frozenset[str]  # of what was asked about
    item: str  # the item's key, or the scene's where a scene was asked about
    channel: str
    basis: str
    reference: str
    subject: str  # pseudonym
    at: datetime
    related: tuple[str, ...] = ()  # the parties beside the applicant, as pseudonyms
    refused: str = ""  # the problem code, "" where it was admitted


@dataclass(frozen=True, slots=True)
class Conduct:
    """One operator's recent acts, in their order, and what only the broker itself can tell of them."""

    acts: Sequence[Act]
    names: Sequence[str] = field(default=(), repr=False)  # staff number and the names used with it
    numbers: Sequence[tuple[str, str]] = field(default=(), repr=False)  # (verification, identifier), in order
    old_cases: int = 0  # opened so long ago that they should have an outcome
    undecided: Sequence[str] = ()  # of these, the verifications of those without
    added: Mapping[str, int] = field(default_factory=dict)  # parties added, by verification's case
    newcomers: Sequence[str] = ()  # a verification of each operator who was never seen before


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a rule found: how often, and where to begin looking."""

    count: int
    verifications: tuple[str, ...]
    case: str = ""
    grants: tuple[str, ...] = ()  # suspended because of it


# What a whole body is held against, beside its operators: whoever rotates staff numbers, or names a machine's, is seen.
OF_A_BODY = frozenset((RuleName.SEQUENCE, RuleName.MANY_HOLDERS, RuleName.PROBING, RuleName.NEW_OPERATORS))


def examine(
    conduct: Conduct, rules: MisuseRules, calendar: Calendar, among: Container[RuleName] = frozenset(RuleName)
) -> dict[RuleName, Evidence]:
    """What is remarkable about an operator's conduct, or a body's, rule by rule."""
    found: dict[RuleName, Evidence] = {}
    for name in (one for one in rules.actions if one in among):
        evidence = _RULES[name](conduct, rules.thresholds, calendar)
        if evidence is not None:
            found[name] = evidence
    return found


def _evidence(verifications: Iterable[str], count: int | None = None, case: str = "") -> Evidence:
    ids = tuple(dict.fromkeys(verifications))
    return Evidence(len(ids) if count is None else count, ids[-KEPT_EXAMPLES:], case)


def _sequence(conduct: Conduct, limits: Thresholds, _: Calendar) -> Evidence | None:
    """Numbers in order, as a loop over a list asks, other numbers between them or not; or neighbours of one birthday."""
    first: dict[str, str] = {}
    for verification, number in conduct.numbers:
        first.setdefault(number, verification)
    for kind in _kinds(first).values():
        found = (
            *((_rising(group), _surprising(limits.run, len(group))) for group in _ways(kind)),
            *((_near(group), limits.near) for group in (kind, kind[::-1])),
            (_neighbours(kind), limits.cluster),
        )
        for ordered, enough in found:
            if len(ordered) >= enough:
                return _evidence((first[one] for one in ordered), len(ordered))
    return None


def _kinds(numbers: Iterable[str]) -> dict[bool, list[str]]:
    """Citizens' numbers and companies' codes apart: neither has a place in the other's order."""
    kinds: dict[bool, list[str]] = {}
    for one in numbers:
        kinds.setdefault(len(one) == 18 and one[:17].isdigit(), []).append(one)
    return kinds


def _ways(numbers: Sequence[str]) -> Iterable[Sequence[str]]:
    """All of them and each region's, upwards and downwards: what comes from elsewhere hides no order within one."""
    regions: dict[str, list[str]] = {}
    for one in numbers:
        regions.setdefault(one[:6], []).append(one)
    for group in (numbers, *regions.values()):
        yield group
        yield group[::-1]


def _surprising(run: int, asked: int) -> int:
    """How many in order chance does not give among so many: below one in a million, by C(n, k) / k! ways."""
    return max(run, ceil(3.2 * sqrt(asked)))


def _rising(numbers: Sequence[str]) -> list[str]:
    """The longest part that rises, whatever was asked between (patience sorting)."""
    tops: list[str] = []  # of each pile
    before: dict[str, str | None] = {}
    for one in numbers:
        pile = bisect_left(tops, one)
        before[one] = tops[pile - 1] if pile else None
        tops[pile : pile + 1] = [one]
    return _led_by(before, tops[-1] if tops else None)


def _near(numbers: Sequence[str]) -> list[str]:
    """The longest part that rises by small steps: of one region, and of one month of birth or of the next."""
    lengths: dict[str, int] = {}
    before: dict[str, str | None] = {}
    by_month: dict[tuple[str, int], list[str]] = {}
    for one in numbers:
        if not one[:12].isdigit():
            continue  # a company's code tells no birth
        region, month = one[:6], 12 * int(one[6:10]) + int(one[10:12])
        lower = [*by_month.get((region, month - 1), ()), *by_month.get((region, month), ())]
        best = max((other for other in lower if other < one), key=lambda other: lengths[other], default=None)
        lengths[one], before[one] = 1 if best is None else lengths[best] + 1, best
        by_month.setdefault((region, month), []).append(one)
    return _led_by(before, max(lengths, key=lambda one: lengths[one], default=None))


def _led_by(before: Mapping[str, str | None], last: str | None) -> list[str]:
    """The part that ends with ``last``, in its order."""
    part: list[str] = []
    while last is not None:
        part.append(last)
        last = before[last]
    return part[::-1]


def _neighbours(numbers: Iterable[str]) -> list[str]:
    """The most numbers of one region and birthday whose order codes lie close together, in whatever order asked."""
    groups: dict[str, list[str]] = {}
    for one in sorted(numbers):
        if len(one) == 18 and one[:17].isdigit():
            groups.setdefault(one[:14], []).append(one)
    return max((_closest(group) for group in groups.values()), key=len, default=[])


def _closest(group: Sequence[str]) -> list[str]:
    """The largest part of a sorted group that lies together; one far away must not tear it apart."""
    codes, start, best = [int(one[14:17]) for one in group], 0, range(0)
    for end, code in enumerate(codes, 1):
        while code - codes[start] > 3 * (end - start):
            start += 1
        best = max(best, range(start, end), key=len)
    return list(group[best.start : best.stop])


def _many_holders(conduct: Conduct, limits: Thresholds, _: Calendar) -> Evidence | None:
    """More persons in an hour than one clerk can serve – or than a unit's web and machines have to."""
    patterns: dict[str, list[Act]] = {}
    for act in conduct.acts:
        if act.channel == Channel.WINDOW:
            patterns.setdefault(_DIGITS.sub("#", act.case), []).append(act)
    groups = [(pattern, acts, limits.holders_per_hour) for pattern, acts in patterns.items()]
    for pattern, acts, most in (*groups, ("", conduct.acts, limits.holders_unattended)):
        hour = _fullest_hour(acts, most)
        if hour is not None:
            return _evidence((act.verification for act in hour), len(_persons(hour)), pattern)
    return None


def _fullest_hour(acts: Sequence[Act], most: int) -> Sequence[Act] | None:
    """The first hour with more persons than that."""
    there: Counter[str] = Counter()
    start = 0
    for end, act in enumerate(acts, 1):
        there.update(_persons([act]))
        while act.at - acts[start].at >= timedelta(hours=1):
            there -= Counter(_persons([acts[start]]))
            start += 1
        if len(there) > most:
            return acts[start:end]
    return None


def _persons(acts: Iterable[Act]) -> set[str]:
    """Everybody whom these acts are about."""
    return {one for act in acts for one in (act.subject, *act.related)}


def _probing(conduct: Conduct, limits: Thresholds, _: Calendar) -> Evidence | None:
    """Requests refused again and again, about many persons: somebody tries what they may not."""
    refused = [act for act in conduct.acts if act.refused]
    if len(refused) < limits.refused_requests or len(_persons(refused)) < limits.refused_persons:
        return None
    return _evidence((act.verification for act in refused), len(refused))


def _new_operators(conduct: Conduct, limits: Thresholds, _: Calendar) -> Evidence | None:
    """Staff numbers that nobody had used before, many on one day: a counter that counts through them meets no cap."""
    return _evidence(conduct.newcomers) if len(conduct.newcomers) >= limits.new_operators else None


def _constant_reason(conduct: Conduct, limits: Thresholds, _: Calendar) -> Evidence | None:
    """One law for everything; or one person's consent for several persons."""
    reasons: dict[tuple[str, str], list[Act]] = {}
    for act in conduct.acts:
        if act.reference:
            reasons.setdefault((act.basis, act.reference), []).append(act)
    for (basis, _reference), acts in reasons.items():
        if basis == Basis.STATUTORY_DUTY:
            constant = len(acts) >= limits.reason_repeats and len({act.item for act in acts}) >= limits.reason_items
        else:
            constant = len({act.subject for act in acts}) >= limits.consent_holders
        if constant:
            return _evidence((act.verification for act in acts), len(acts))
    return None


def _placeholder(conduct: Conduct, _limits: Thresholds, _: Calendar) -> Evidence | None:
    """An operator who is no named person."""
    named = [act.verification for act in conduct.acts]
    return _evidence(named) if named and any(map(is_placeholder, conduct.names)) else None


def is_placeholder(name: str) -> bool:
    """Whether a staff number or a name stands for nobody: a word for a role, or one character over and over."""
    plain = "".join(name.casefold().split())
    return plain in _PLACEHOLDERS or len(set(plain)) <= 1 or plain in {"123456", "1234567", "12345678"}


def _no_decision(conduct: Conduct, limits: Thresholds, _: Calendar) -> Evidence | None:
    """Cases that were only ever asked about: no outcome long after."""
    open_still = len(conduct.undecided)
    if open_still < limits.undecided_cases or open_still * 100 < limits.undecided_percent * conduct.old_cases:
        return None
    return _evidence(conduct.undecided, open_still)


def _after_hours(conduct: Conduct, limits: Thresholds, calendar: Calendar) -> Evidence | None:
    """A window that asks while it is closed; elsewhere people apply at night too, but not all of them."""
    late = [
        act.verification
        for act in conduct.acts
        if act.channel == Channel.WINDOW and not _is_open(act.at.astimezone(CHINA), limits, calendar)
    ]
    if len(late) >= limits.after_hours:
        return _evidence(late)
    late = [act.verification for act in conduct.acts if not _is_open(act.at.astimezone(CHINA), limits, calendar)]
    return _evidence(late) if len(late) >= limits.after_hours_unattended else None


def _is_open(when: datetime, limits: Thresholds, calendar: Calendar) -> bool:
    return calendar.is_working_day(when.date()) and limits.opens <= when.hour < limits.closes


def _unrelated_item(conduct: Conduct, _limits: Thresholds, _: Calendar) -> Evidence | None:
    """One case at a window that asks about a second item, of no scene of the first."""
    first: dict[str, Act] = {}
    for act in (one for one in conduct.acts if not one.refused):
        before = first.setdefault(act.case, act)
        at_window = act.channel == before.channel == Channel.WINDOW
        if at_window and act.item != before.item and act.scenes.isdisjoint(before.scenes):
            return _evidence((before.verification, act.verification), case=act.case)
    return None


def _added_parties(conduct: Conduct, limits: Thresholds, _: Calendar) -> Evidence | None:
    """A case that comes to be about ever more people."""
    for case, added in conduct.added.items():
        if added >= limits.added_parties:
            return _evidence((act.verification for act in conduct.acts if act.case == case), added, case)
    return None


_RULES: Mapping[RuleName, Callable[[Conduct, Thresholds, Calendar], Evidence | None]] = {
    RuleName.SEQUENCE: _sequence,
    RuleName.MANY_HOLDERS: _many_holders,
    RuleName.CONSTANT_REASON: _constant_reason,
    RuleName.PLACEHOLDER: _placeholder,
    RuleName.NO_DECISION: _no_decision,
    RuleName.AFTER_HOURS: _after_hours,
    RuleName.UNRELATED_ITEM: _unrelated_item,
    RuleName.ADDED_PARTIES: _added_parties,
    RuleName.PROBING: _probing,
    RuleName.NEW_OPERATORS: _new_operators,
}

WORDS: Mapping[RuleName, Text] = {
    RuleName.SEQUENCE: {"zh": "依次或相邻的证件号码 {count} 个", "en": "{count} ID numbers in sequence or next to one another"},
    RuleName.MANY_HOLDERS: {"zh": "一小时内查询 {count} 人（办件编号样式：{case}）", "en": "{count} persons within an hour (case numbers like: {case})"},
    RuleName.CONSTANT_REASON: {"zh": "同一依据或授权用于 {count} 次不同的核验", "en": "one reason or consent for {count} different verifications"},
    RuleName.PLACEHOLDER: {"zh": "经办人不是具名人员，核验 {count} 次", "en": "the operator is no named person, in {count} verifications"},
    RuleName.NO_DECISION: {"zh": "{count} 个办件查询后长期没有办理结果", "en": "{count} cases were asked about and never came to an outcome"},
    RuleName.AFTER_HOURS: {"zh": "非工作时间核验 {count} 次", "en": "{count} verifications outside working hours"},
    RuleName.UNRELATED_ITEM: {"zh": "办件 {case} 在窗口查询了无关事项", "en": "the case {case} asked at a window about an unrelated item"},
    RuleName.ADDED_PARTIES: {"zh": "办件 {case} 事后增加了 {count} 名当事人", "en": "the case {case} was given {count} more parties later"},
    RuleName.PROBING: {"zh": "一日内 {count} 次请求被拒，涉及多人", "en": "{count} requests about many persons refused within a day"},
    RuleName.NEW_OPERATORS: {"zh": "一日内首次出现 {count} 名经办人", "en": "{count} operators seen for the first time within a day"},
}  # fmt: skip


def describe(rule: RuleName, evidence: Evidence) -> dict[str, str]:
    """A finding in words."""
    return {lang: text.format(count=evidence.count, case=evidence.case) for lang, text in WORDS[rule].items()}
