"""Counting: what a receipt adds, what the rates divide by what, and for which day it counts."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.catalog import catalog_from
from broker.core.figures import (
    RATES,
    Counted,
    Figures,
    Reach,
    counted,
    day_decided,
    day_of_counting,
    figures_of,
    frozen_digest,
    months_before,
)
from tests.flow import catalogue

CATALOG = catalog_from(catalogue.document())
ANSWERED = "2026-05-01T00:00:00.000Z"
ASKED = {"mode": "certificate", "reason": "held.valid", "source": "licences", "form": "query", "answered_at": ANSWERED}
REFUSED = {"mode": "data_query", "reason": "grant.none", "source": "register", "form": "query"}
PROPOSED = {"mode": "data_query", "reason": "unknown.proposed", "source": "register", "form": "query"}
PAPER = {"mode": "submission", "reason": "submit.last-step"}


def receipt(decision: str, *steps: dict[str, Any], needed: bool = True) -> dict[str, Any]:
    """A receipt of one material."""
    material = {"material": "licence", "items": ["open-shop", "open-kitchen"], "needed": needed, "decision": decision}
    return {
        "region": catalogue.REGION, "item": "open-shop", "decided_at": "2026-04-30T16:00:00.000Z",
        "materials": [material | {"mode": steps[-1]["mode"], "steps": list(steps)}],
    }  # fmt: skip


def line(payload: dict[str, Any]) -> Counted:
    ((found, count),) = counted(payload, CATALOG, "2026-05-01").items()
    assert count == 1
    return found


@pytest.mark.parametrize(
    ("steps", "reach", "source"),
    [
        ((ASKED,), Reach.APPLIED, "licences"),
        ((ASKED | {"mode": "reuse"},), Reach.APPLIED, "licences"),
        ((ASKED | {"reason": "unknown.not-found"}, REFUSED, PAPER), Reach.APPLIED, "licences"),
        ((REFUSED, PAPER), Reach.APPLICABLE, "register"),
        ((PROPOSED, PAPER), Reach.NONE, ""),
        ((PAPER,), Reach.NONE, ""),
        (({"mode": "commitment", "reason": "fallback.commitment", "source": "register"},), Reach.NONE, ""),
    ],
)
def test_how_far_sharing_reached_is_read_from_the_steps(
    steps: tuple[dict[str, Any], ...], reach: Reach, source: str
) -> None:
    found = line(receipt("submit", *steps))
    assert (found.reach, found.source) == (reach, source)


def test_a_material_counts_under_its_first_item_and_the_first_department_that_leads_it() -> None:
    found = line(receipt("exempt", ASKED))
    assert (found.item, found.department, found.scene) == ("open-shop", "市监局", catalogue.SCENE)
    gone = receipt("exempt", ASKED) | {"region": "999999"}
    assert (line(gone).department, line(gone).scene) == ("–", ""), "the list does not know that place"


def test_what_is_not_needed_is_left_out() -> None:
    assert not counted(receipt("submit", PAPER, needed=False), CATALOG, "2026-05-01")


def test_the_rates_divide_what_their_definitions_say() -> None:
    rows = [("exempt", "applied", 5), ("not_met", "applied", 1), ("submit", "applied", 2), ("submit", "applicable", 1),
            ("submit", "none", 1)]  # fmt: skip
    told = figures_of(rows, [("exempt", 2), ("live", 1), ("ungranted", 1), ("decided", 1), ("uncovered", 1)])
    assert (told.materials, told.applicable, told.applied, told.answered) == (10, 9, 8, 6)
    assert [getattr(told, name) for name in RATES] == [5 / 10, 9 / 10, 8 / 11, 5 / 8, 6 / 8, 4 / 7]
    assert (told.papers, told.unused, told.rest) == (6, 4, 5)


def test_a_rate_of_nothing_is_none() -> None:
    assert [getattr(Figures(), name) for name in RATES] == [None] * len(RATES)


_ROWS = st.lists(st.tuples(st.sampled_from(["exempt", "submit", "fallback", "not_met"]), st.sampled_from(list(Reach)),
                           st.integers(1, 99)))  # fmt: skip


@given(_ROWS, _ROWS)
def test_adding_up_in_parts_is_adding_up_at_once(one: list[Any], other: list[Any]) -> None:
    assert figures_of(one).plus(figures_of(other)) == figures_of(one + other)


def test_the_day_is_that_of_china_or_of_the_folding_once_its_month_is_frozen() -> None:
    decided = day_decided(receipt("exempt", ASKED))
    assert decided == date(2026, 5, 1), "16:00 UTC is the next day there"
    today = date(2026, 6, 20)
    assert day_of_counting(decided, today, frozenset()) == "2026-05-01"
    assert day_of_counting(decided, today, frozenset({"2026-05"})) == "2026-06-20"


def test_months_go_back_over_the_year() -> None:
    assert months_before("2026-02", 4) == ["2025-11", "2025-12", "2026-01", "2026-02"]


@given(st.permutations([("a", 1), ("b", 2), ("c", 3)]))
def test_a_digest_does_not_depend_on_the_order_of_lines_and_on_everything_else(lines: list[tuple[str, int]]) -> None:
    assert frozen_digest("2026-05", lines, []) == frozen_digest("2026-05", sorted(lines), [])
    assert frozen_digest("2026-05", lines, []) != frozen_digest("2026-06", lines, [])
    assert frozen_digest("2026-05", lines, []) != frozen_digest("2026-05", [], lines)
