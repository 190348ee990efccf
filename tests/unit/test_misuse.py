"""Rules against misuse: each with what it finds and with a near miss; and honest work that none of them finds."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.bootstrap import read_misuse_rules
from broker.core.errors import OperatorProblem
from broker.core.identifiers import citizen_check_digit
from broker.core.misuse import (
    WORDS,
    Act,
    Action,
    Conduct,
    MisuseRules,
    RuleName,
    Thresholds,
    describe,
    examine,
    is_placeholder,
    rules_from,
)
from broker.core.working_days import Calendar

MONDAY = datetime(2026, 11, 23, 2, tzinfo=UTC)  # ten o'clock in China
ACT = Act("v", "case-1", frozenset({"a"}), "shop", "window", "statutory_duty", "法", "s", MONDAY)
LIMITS = Thresholds()


def acts(count: int, **changes: object) -> list[Act]:
    """So many honest acts, a quarter of an hour apart, each its own case and person."""
    made = [
        replace(ACT, verification=f"v{one}", case=f"case-{one}", subject=f"s{one}", at=MONDAY + timedelta(minutes=one))
        for one in range(count)
    ]
    return [replace(one, **changes) for one in made]  # type: ignore[arg-type]


def citizen(birth: str, order: int, region: str = "999999") -> str:
    """A citizen number that belongs to nobody."""
    first17 = f"{region}{birth}{order:03}"
    return first17 + citizen_check_digit(first17)


def numbered(*numbers: str) -> Conduct:
    """Acts that asked about these numbers, in this order."""
    return Conduct([ACT], ["李某"], [(f"v{place}", one) for place, one in enumerate(numbers)])


def found(conduct: Conduct, calendar: Calendar | None = None) -> set[RuleName]:
    """The rules that find something."""
    return set(examine(conduct, MisuseRules(), calendar or Calendar()))


SORTED = sorted(citizen(f"19{year}0{1 + year % 9}11", year) for year in range(50, 62))
SHUFFLED = [citizen("19800101", order) for order in (7, 3, 9, 1, 5, 11)]
NIGHT = MONDAY.replace(hour=18)  # two o'clock in the morning
FAR = citizen("19800101", 900)
MONTHLY = [citizen(f"1971{month:02}09", 100 + month) for month in range(1, 9)]


def decoyed(numbers: list[str], decoys: int, region: str = "888888") -> list[str]:
    """The numbers in their order, with others scattered between them."""
    chance = random.Random(7)
    births = [
        f"{chance.randint(1940, 2005)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}" for _ in range(decoys)
    ]
    others = [citizen(birth, chance.randint(1, 999), region) for birth in births]
    places = sorted(chance.choices(range(decoys + 1), k=len(numbers)))
    for shift, (place, one) in enumerate(zip(places, numbers, strict=True)):
        others.insert(place + shift, one)
    return others


CASES: list[tuple[RuleName, Conduct, Conduct]] = [
    (RuleName.SEQUENCE, numbered(*SORTED), numbered(*SORTED[:-1])),
    (RuleName.SEQUENCE, numbered(*reversed(SORTED)), numbered(*SORTED[:6], SORTED[0], *SORTED[7:])),
    (RuleName.SEQUENCE, numbered(*SHUFFLED), numbered(*SHUFFLED[:-1])),
    (RuleName.SEQUENCE, numbered(*SHUFFLED), numbered(*(citizen("19800101", 150 * one) for one in (3, 1, 4, 2, 6, 5)))),
    (RuleName.SEQUENCE, numbered(*SHUFFLED), numbered(*SHUFFLED[:2] * 10)),  # the same two again and again
    (RuleName.MANY_HOLDERS, Conduct(acts(61, at=MONDAY)), Conduct(acts(60, at=MONDAY))),
    (RuleName.MANY_HOLDERS, Conduct(acts(151, at=MONDAY, channel="web")), Conduct(acts(150, at=MONDAY, channel="web"))),
    (  # each with a party beside the applicant
        RuleName.MANY_HOLDERS,
        Conduct([replace(one, related=(f"p{one.subject}",)) for one in acts(31, at=MONDAY)]),
        Conduct([replace(one, related=("the same",)) for one in acts(31, at=MONDAY)]),
    ),
    (RuleName.MANY_HOLDERS, Conduct(acts(61, at=MONDAY)), Conduct(acts(200, at=MONDAY, subject="one"))),
    (
        RuleName.CONSTANT_REASON,
        Conduct([replace(one, item=f"i{place % 8}") for place, one in enumerate(acts(40))]),
        Conduct([replace(one, item=f"i{place % 7}") for place, one in enumerate(acts(40))]),
    ),
    (
        RuleName.CONSTANT_REASON,
        Conduct(acts(3, basis="holder_consent", reference="授权1")),
        Conduct(acts(2, basis="holder_consent", reference="授权1")),
    ),
    (RuleName.CONSTANT_REASON, Conduct(acts(3, basis="delegation", reference="1")), Conduct(acts(50, reference=""))),
    (RuleName.PLACEHOLDER, Conduct([ACT], ["0000"]), Conduct([ACT], ["0312", "李某"])),
    (RuleName.PLACEHOLDER, Conduct([ACT], ["0312", "管 理 员"]), Conduct([ACT], ["admin-li", "李管理"])),
    (
        RuleName.NO_DECISION,
        Conduct([ACT], old_cases=20, undecided=[f"v{one}" for one in range(10)]),
        Conduct([ACT], old_cases=21, undecided=[f"v{one}" for one in range(10)]),
    ),
    (
        RuleName.NO_DECISION,
        Conduct([ACT], old_cases=10, undecided=[f"v{one}" for one in range(10)]),
        Conduct([ACT], old_cases=9, undecided=[f"v{one}" for one in range(9)]),
    ),
    (
        RuleName.AFTER_HOURS,
        Conduct(acts(5, at=MONDAY.replace(hour=13))),  # nine o'clock in the evening
        Conduct(acts(5, at=MONDAY.replace(hour=12, minute=59))),
    ),
    (
        RuleName.AFTER_HOURS,
        Conduct(acts(5, at=MONDAY - timedelta(days=1))),
        Conduct(acts(5, at=MONDAY - timedelta(days=1), channel="kiosk")),
    ),
    (RuleName.AFTER_HOURS, Conduct(acts(5, at=MONDAY - timedelta(1))), Conduct(acts(4, at=MONDAY - timedelta(1)))),
    (
        RuleName.UNRELATED_ITEM,
        Conduct([ACT, replace(ACT, verification="w", item="vet", scenes=frozenset({"b"}))]),
        Conduct([ACT, replace(ACT, verification="w", item="kitchen")]),  # another item of the same scene
    ),
    (
        RuleName.UNRELATED_ITEM,
        Conduct([ACT, replace(ACT, verification="w", item="vet", scenes=frozenset({"b"}))]),
        Conduct([ACT, replace(ACT, verification="w", item="vet", scenes=frozenset({"b"}), case="case-2")]),
    ),
    (RuleName.AFTER_HOURS, Conduct(acts(50, at=NIGHT, channel="web")), Conduct(acts(49, at=NIGHT, channel="web"))),
    (RuleName.ADDED_PARTIES, Conduct([ACT], added={"case-1": 4}), Conduct([ACT], added={"case-1": 3})),
    (RuleName.PROBING, Conduct(acts(20, refused="grant.none")), Conduct(acts(19, refused="grant.none"))),
    (
        RuleName.PROBING,
        Conduct(acts(20, refused="grant.none")),
        Conduct([replace(one, subject=f"s{place % 9}") for place, one in enumerate(acts(30, refused="case.closed"))]),
    ),
    (
        RuleName.NEW_OPERATORS,
        Conduct([ACT], newcomers=[f"v{one}" for one in range(20)]),
        Conduct([ACT], newcomers=[f"v{one}" for one in range(19)]),
    ),
    (RuleName.SEQUENCE, numbered(*decoyed(SORTED, 5)), numbered(*decoyed(SORTED, 120, region="999999"))),
    (RuleName.SEQUENCE, numbered(*SHUFFLED, FAR, *decoyed([], 9)), numbered(*SHUFFLED[:-1], FAR)),
    (RuleName.SEQUENCE, numbered(*decoyed(MONTHLY, 150, region="999999")), numbered(*decoyed(MONTHLY[:7], 20))),
]


@pytest.mark.parametrize(("rule", "conduct", "near_miss"), CASES, ids=lambda one: one if isinstance(one, str) else "")
def test_each_rule_finds_what_it_is_for_and_not_what_is_nearly_so(
    rule: RuleName, conduct: Conduct, near_miss: Conduct
) -> None:
    assert found(conduct) == {rule}
    assert found(near_miss) == set()


def test_every_rule_is_tested_and_says_what_it_found_in_both_languages() -> None:
    assert {rule for rule, _, _ in CASES} == set(RuleName) == set(WORDS)
    for rule, conduct, _ in CASES:
        (evidence,) = examine(conduct, MisuseRules(), Calendar()).values()
        words = describe(rule, evidence)
        assert all(words.values())
        assert words["zh"] != words["en"]
        assert len(evidence.verifications) <= 20


def test_evidence_holds_no_number() -> None:
    evidence = examine(numbered(*SORTED), MisuseRules(), Calendar())[RuleName.SEQUENCE]
    assert evidence.count == len(SORTED)
    assert not any(number in repr(evidence) for number in SORTED)
    assert not any(number in repr(numbered(*SORTED)) for number in SORTED)


def test_a_make_up_day_is_no_weekend() -> None:
    sunday = MONDAY - timedelta(days=1)
    worked = Calendar(workdays=frozenset({sunday.date()}))
    assert found(Conduct(acts(5, at=sunday)), worked) == set()


@pytest.mark.parametrize("name", ["admin", "Test", "000", "x", "", "操作员", "张三", "123456"])
def test_placeholders_are_words_for_nobody(name: str) -> None:
    assert is_placeholder(name)


@given(st.integers(0, 2**32), st.integers(1, 120))
def test_an_honest_clerks_day_raises_no_flag(seed: int, count: int) -> None:
    """People come in no order, five minutes each at the quickest, for the items of one counter's scenes."""
    chance = random.Random(seed)
    at, day, numbers = MONDAY.replace(hour=0), [], []
    for one in range(count):
        at += timedelta(minutes=chance.randint(2, 6))
        item = chance.randint(0, 6)
        verification = f"v{one}"
        day.append(Act(verification, f"2026-{one:06}", frozenset({f"scene-{item // 3}"}), f"item-{item}", "window",
                       "statutory_duty", f"法{item}", f"s{one}", at))  # fmt: skip
        birth = f"{chance.randint(1940, 2005)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}"
        numbers.append((verification, citizen(birth, chance.randint(1, 999), f"9999{chance.randint(1, 99):02}")))
    undecided = [f"v{one}" for one in range(chance.randint(0, 9))]
    assert found(Conduct(day, ["zz-0312", "李某"], numbers[-40:], 200, undecided)) == set()


def test_a_deployment_changes_what_it_names_and_nothing_else() -> None:
    rules = rules_from({"rules": {"sequence": "flag", "after-hours": False}, "thresholds": {"cluster": 3}})
    assert rules.actions[RuleName.SEQUENCE] is Action.FLAG
    assert RuleName.AFTER_HOURS not in rules.actions
    assert len(rules.actions) == len(RuleName) - 1
    assert rules.thresholds == replace(LIMITS, cluster=3)
    assert MisuseRules().actions[RuleName.SEQUENCE] is Action.STOP


@pytest.mark.parametrize(
    "text",
    [
        "rule: {}",
        "rules: {loop: stop}",
        "rules: {sequence: kill}",
        "thresholds: {run: many}",
        "thresholds: {x: 1}",
        "[rules]",
        "rules: [",
    ],
)
def test_a_file_that_says_something_else_keeps_the_process_from_starting(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("rules") / "misuse.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(OperatorProblem, match=r"config\.invalid"):
        read_misuse_rules(str(path))
