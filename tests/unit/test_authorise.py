"""Authorisation: default deny, each dimension of a grant by itself, and the nearest miss where all refuse."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.authorise import (
    IN_FORCE,
    REVOKED,
    SUSPENDED,
    Grant,
    Permit,
    Refusal,
    Used,
    asker,
    authorise,
    kept_back,
    still_in_force,
)
from broker.core.case import Basis, Operator
from broker.core.catalog import Form, Withheld, catalog_from
from broker.core.plan import PlannedLookup
from broker.core.problems import PROBLEMS
from tests.flow import catalogue
from tests.flow.strategies import party, plain_request

NOW = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
REQUEST = plain_request(item="shop", scene=None, basis=Basis.STATUTORY_DUTY)
LOOKUP = PlannedLookup("k", "register", Form.QUERY, party("applicant", 1), None, ("name", "number"), ("shop",), ("m",))
GRANT = Grant(
    id="g1",
    client="c",
    source="register",
    forms=(Form.QUERY,),
    fields=("name", "number", "status"),
    bases=(Basis.STATUTORY_DUTY,),
    legal_reference="法",
    valid_from=NOW,
    valid_to=NOW + HOUR,
    items=("shop", "kitchen"),
)


def ask(*grants: Grant, lookup: PlannedLookup = LOOKUP, request: Any = REQUEST, **used: int) -> Permit | Refusal:
    return authorise(grants, lookup, request, NOW, Used(used))


def test_without_any_grant_nothing_is_permitted() -> None:
    assert ask() == Refusal("grant.none")


def test_a_grant_that_covers_everything_permits() -> None:
    assert ask(GRANT) == Permit("g1")


def test_a_grant_of_exactly_what_is_asked_permits() -> None:
    assert ask(replace(GRANT, fields=LOOKUP.fields, items=LOOKUP.items)) == Permit("g1")


def test_a_cap_of_one_call_permits_the_first() -> None:
    assert ask(replace(GRANT, daily_calls=1)) == Permit("g1")


@pytest.mark.parametrize(
    ("sharing", "fields", "items", "kept"),
    [
        ("conditional", (), (), False), ("none", (), (), True), ("conditional", ("address",), ("kitchen",), False),
        ("conditional", ("number", "address"), (), True), ("conditional", (), ("shop",), True),
        ("unconditional", ("name",), ("shop",), True),
    ],
)  # fmt: skip
def test_the_negative_list_keeps_back_a_field_or_an_item_or_all(
    sharing: str, fields: tuple[str, ...], items: tuple[str, ...], kept: bool
) -> None:
    source = catalog_from(catalogue.document()).sources[catalogue.REGISTER]
    listed = replace(source, sharing=sharing, withheld=Withheld(fields, items, "法"))
    assert kept_back(listed, LOOKUP) is kept


MISSES: list[tuple[str, dict[str, Any]]] = [
    ("grant.none", {"source": "another"}),
    ("grant.none", {"items": ("kitchen",)}),
    ("grant.none", {"items": (), "scenes": ("enterprise-1.1",)}),
    ("grant.expired", {"valid_to": NOW}),
    ("grant.not-yet", {"valid_from": NOW + timedelta(milliseconds=1)}),
    ("grant.revoked", {"state": REVOKED}),
    ("grant.suspended", {"state": SUSPENDED}),
    ("grant.basis", {"bases": (Basis.HOLDER_CONSENT, Basis.DELEGATION)}),
    ("grant.basis", {"bases": ()}),
    ("grant.form", {"forms": (Form.VERIFY, Form.FILE)}),
    ("grant.fields", {"fields": ("name",)}),
    ("grant.fields", {"fields": ()}),
    ("grant.exhausted", {"daily_calls": 0}),
]


@pytest.mark.parametrize(("code", "change"), MISSES)
def test_one_dimension_short_is_refused_by_its_name(code: str, change: dict[str, Any]) -> None:
    assert ask(replace(GRANT, **change)) == Refusal(code)
    assert code in PROBLEMS


def test_a_scenes_grant_covers_its_requests_and_an_items_grant_every_item_of_the_lookup() -> None:
    scene = replace(REQUEST, item=None, scene="enterprise-1.1")
    by_scene = replace(GRANT, items=(), scenes=("enterprise-1.1",))
    both = replace(LOOKUP, items=("shop", "kitchen"))
    assert ask(by_scene, request=scene) == Permit("g1")
    assert ask(by_scene, request=REQUEST) == Refusal("grant.none")
    assert ask(by_scene, request=replace(scene, scene="enterprise-2.1")) == Refusal("grant.none")
    assert ask(GRANT, request=scene, lookup=both) == Permit("g1")
    assert ask(replace(GRANT, items=("shop",)), request=scene, lookup=both) == Refusal("grant.none")


def test_a_cap_counts_the_calls_of_the_day() -> None:
    capped = replace(GRANT, daily_calls=3)
    assert ask(capped, g1=2) == Permit("g1")
    assert ask(capped, g1=3) == Refusal("grant.exhausted")
    assert ask(capped, other=9) == Permit("g1")


def test_a_second_grant_helps_where_the_first_does_not() -> None:
    assert ask(replace(GRANT, id="g0", state=REVOKED), GRANT) == Permit("g1")
    assert ask(GRANT, replace(GRANT, id="g2")) == Permit("g1")


def test_two_grants_do_not_add_up_to_one() -> None:
    """Fields of one and form of the other: neither permits the lookup."""
    fields = replace(GRANT, id="g2", forms=(Form.VERIFY,))
    form = replace(GRANT, id="g3", fields=("name",))
    assert ask(fields, form) == Refusal("grant.fields")


ORDER = [  # from the nearest miss to the farthest
    ("grant.exhausted", {"daily_calls": 0}),
    ("grant.holders-exhausted", {"distinct_holders": 0}),
    ("grant.fields", {"fields": ()}),
    ("grant.form", {"forms": ()}),
    ("grant.basis", {"bases": ()}),
    ("grant.suspended", {"state": SUSPENDED}),
    ("grant.revoked", {"state": REVOKED}),
    ("grant.not-yet", {"valid_from": NOW + HOUR}),
    ("grant.expired", {"valid_to": NOW}),
    ("grant.none", {"source": "another"}),
]


def missing(place: int) -> Grant:
    return replace(GRANT, id=f"g{place}", **ORDER[place][1])  # type: ignore[arg-type]


@pytest.mark.parametrize(("nearer", "farther"), list(itertools.combinations(range(len(ORDER)), 2)))
def test_of_two_misses_the_nearer_is_told(nearer: int, farther: int) -> None:
    told = Refusal(ORDER[nearer][0])
    assert ask(missing(nearer), missing(farther)) == ask(missing(farther), missing(nearer)) == told


@given(st.lists(st.integers(0, len(ORDER) - 1), min_size=1))
def test_of_several_misses_the_nearest_is_told(chosen: list[int]) -> None:
    assert ask(*map(missing, chosen)) == Refusal(ORDER[min(chosen)][0])


changes = st.fixed_dictionaries(
    {},
    optional={
        "source": st.sampled_from(["register", "another"]),
        "items": st.lists(st.sampled_from(["shop", "kitchen"]), unique=True).map(tuple),
        "scenes": st.lists(st.sampled_from(["enterprise-1.1", "enterprise-2.1"]), unique=True).map(tuple),
        "forms": st.lists(st.sampled_from(list(Form)), unique=True).map(tuple),
        "fields": st.lists(st.sampled_from(["name", "number", "status"]), unique=True).map(tuple),
        "bases": st.lists(st.sampled_from(list(Basis)), unique=True).map(tuple),
        "valid_from": st.sampled_from([NOW - HOUR, NOW, NOW + HOUR]),
        "valid_to": st.sampled_from([NOW, NOW + HOUR]),
        "state": st.sampled_from([IN_FORCE, SUSPENDED, REVOKED]),
        "daily_calls": st.sampled_from([None, 0, 1]),
        "distinct_holders": st.sampled_from([None, 0, 1]),
    },
)


@given(
    st.lists(changes, max_size=4),
    st.sampled_from([None, "enterprise-1.1"]),
    st.sampled_from([("shop",), ("shop", "kitchen")]),
)
def test_whatever_is_permitted_is_covered_in_every_dimension_by_one_grant(
    altered: list[Mapping[str, Any]], scene: str | None, items: tuple[str, ...]
) -> None:
    """Against a second reading of the rule, written as one sentence."""
    grants = [replace(GRANT, id=f"g{place}", **change) for place, change in enumerate(altered)]
    request = replace(REQUEST, item=None if scene else "shop", scene=scene)
    lookup = replace(LOOKUP, items=items)
    right = [
        one.id
        for one in grants
        if one.source == "register"
        and (scene in one.scenes if scene and scene in one.scenes else set(items) <= set(one.items))
        and one.state == IN_FORCE
        and one.valid_from <= NOW < one.valid_to
        and Basis.STATUTORY_DUTY in one.bases
        and Form.QUERY in one.forms
        and {"name", "number"} <= set(one.fields)
        and one.daily_calls != 0
        and one.distinct_holders != 0
    ]
    outcome = authorise(grants, lookup, request, NOW, Used({}))
    assert outcome == Permit(right[0]) if right else isinstance(outcome, Refusal)


@pytest.mark.parametrize(
    ("rule", "grant"),
    [
        (None, GRANT),
        ("grant.none", None),
        ("grant.revoked", replace(GRANT, state=REVOKED)),
        ("grant.suspended", replace(GRANT, state=SUSPENDED)),
        ("grant.expired", replace(GRANT, valid_to=NOW)),
        ("grant.not-yet", replace(GRANT, valid_from=NOW + HOUR)),
    ],
)
def test_a_queued_lookup_is_held_against_its_grant_again(rule: str | None, grant: Grant | None) -> None:
    assert still_in_force(grant, NOW) == rule


def test_a_cap_of_persons_lets_the_same_person_be_asked_about_again() -> None:
    limited, whom = replace(GRANT, distinct_holders=2), LOOKUP.subject.subject

    def asked(*known: str) -> Permit | Refusal:
        return authorise([limited], LOOKUP, REQUEST, NOW, Used({}, {"g1": set(known)}, lambda one: f"p({one})"))

    assert asked() == asked("someone") == Permit("g1")
    assert asked("someone", f"p({whom})") == Permit("g1")
    assert asked("someone", "another") == Refusal("grant.holders-exhausted")


def _asker(client: str, operator: Operator) -> str:
    return asker(client, operator.unit, operator.id)


def test_operators_are_told_apart_by_system_body_and_staff_number() -> None:
    one = REQUEST.operator
    names = {_asker("a", one), _asker("b", one), _asker("a", replace(one, unit="x")), _asker("a", replace(one, id="2"))}
    assert len(names) == 4
    assert _asker("a", replace(one, name="other")) == _asker("a", one)
    assert {asker("a", "u", spelt) for spelt in ("A001", "a001", "Ａ００１", " a 001")} == {"a/u/a001"}
