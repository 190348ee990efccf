"""The scene plan: one set of materials, whatever the order; the same that core.plan plans; every field once."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.cli import main
from broker.core.authorise import Permit
from broker.core.case import APPLICANT, Basis, Channel, Operator, Party, Request
from broker.core.catalog import Edition, Form, Mode, Replacement, RowState, catalog_from
from broker.core.decide import Kind, advance
from broker.core.errors import CallerProblem
from broker.core.field_names import FIELD_NAMES, field_name
from broker.core.guide import guide
from broker.core.material_set import Outcome, Situation
from broker.core.plan import plan, roles_of
from broker.core.scene_plan import fact_from, scene_plan
from broker.store.catalog_file import read_catalog
from broker.web.openapi import openapi_document
from tests.unit.web_ground import CATALOG, Ground, document_of, lay_ground

ROOT = Path(__file__).parents[2]
DOCUMENT = read_catalog(ROOT / "data_catalog.yaml").document
EDITION = Edition(7, "0" * 64, catalog_from(DOCUMENT))
TODAY = date(2026, 1, 1)
ZAOZHUANG, RUSHAN = "370400", "371083"
REGIONS = tuple(EDITION.catalog.regions)
SCENES = sorted(EDITION.catalog.scene_items)
COMPONENTS = openapi_document(ROOT / "schemas", "https://broker.example")["components"]
SHAPE = jsonschema_rs.Draft202012Validator({"$ref": "#/components/schemas/plan", "components": COMPONENTS})
_MODES = {
    Outcome.ISSUED_HERE: Mode.SCENE_RESULT,
    Outcome.CHECKED: Mode.DEPARTMENT_CHECK,
    Outcome.COMMITMENT: Mode.COMMITMENT,
}


def handled_items(region: str) -> list[str]:
    """The items that can be filed in a region today."""
    levels = EDITION.catalog.regions[region].levels
    return [
        item.key
        for item in EDITION.catalog.items.values()
        if region in item.places and item.effective.covers(TODAY) and item.places[region].level in levels
    ]


@st.composite
def baskets(draw: st.DrawFn) -> tuple[str, list[str], list[str]]:
    """A region and some of its items, in two orders."""
    region = draw(st.sampled_from(REGIONS))
    items = draw(st.lists(st.sampled_from(handled_items(region)), min_size=1, max_size=12, unique=True))
    return region, items, draw(st.permutations(items))


def of_scene(region: str, scene: str, **how: Any) -> dict[str, Any]:
    return scene_plan(EDITION, region=region, scene=scene, today=TODAY, **how)


def materials(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["key"]: entry for entry in told["materials"]}


# --- properties ------------------------------------------------------------------------------------------------------


@given(baskets())
@settings(max_examples=60, deadline=None)
def test_the_order_in_which_items_are_named_changes_nothing(basket: tuple[str, list[str], list[str]]) -> None:
    region, items, permuted = basket
    first = scene_plan(EDITION, region=region, items=items, today=TODAY)
    assert scene_plan(EDITION, region=region, items=permuted, today=TODAY) == first
    assert scene_plan(EDITION, region=region, items=[*items, *items], today=TODAY) == first


@given(baskets())
@settings(max_examples=60, deadline=None)
def test_every_required_material_stands_in_the_plan_exactly_once_with_the_items_that_need_it(
    basket: tuple[str, list[str], list[str]],
) -> None:
    region, items, _ = basket
    told = scene_plan(EDITION, region=region, items=items, today=TODAY)
    required: dict[str, set[str]] = {}
    for key in items:
        for requirement in EDITION.catalog.items[key].requirements:
            if requirement.effective.covers(TODAY):
                required.setdefault(requirement.key, set()).add(key)
    keys = [one["key"] for one in told["materials"]]
    assert sorted(keys) == sorted(required)
    assert all(set(one["items"]) == required[one["key"]] for one in told["materials"])
    assert told["counts"]["materials"] == len(keys) == sum(told["counts"][outcome.value] for outcome in Outcome)


@given(baskets())
@settings(max_examples=60, deadline=None)
def test_every_field_stands_once_for_each_holder_and_comes_from_a_confirmed_query(
    basket: tuple[str, list[str], list[str]],
) -> None:
    region, items, _ = basket
    told = scene_plan(EDITION, region=region, items=items, today=TODAY)
    named = [(one["field"], one["holder"]["role"]) for one in told["fields"]]
    assert len(named) == len(set(named))
    wanted = materials(told)
    for one in told["fields"]:
        for key in one["materials"]:
            assert wanted[key]["holder"]["role"] == one["holder"]["role"]
            assert wanted[key]["outcome"] == "skipped"
        rows = [
            row for key in one["materials"] for row in EDITION.catalog.materials[wanted[key]["material"]].chain
            if row.state is RowState.CONFIRMED and row.form is Form.QUERY and one["field"] in row.fields
        ]  # fmt: skip
        assert {row.source for row in rows} >= {source["key"] for source in one["sources"]}


def request_for(region: str, scene: str, facts: dict[str, Any], roles: frozenset[str], applicant: str) -> Request:
    """A case in which everybody whom the scene knows is there."""
    parties = tuple(Party(role, "111", f"number of {role}", role) for role in sorted(roles))
    kind = "001" if applicant == "organisation" else "111"
    return Request(
        "req-1", region, "case-1", Channel.WINDOW, Party(APPLICANT, kind, "number of applicant", "applicant"),
        Operator("op-1", "op", "unit", "unit"), Basis.STATUTORY_DUTY, scene=scene, parties=parties, facts=facts,
    )  # fmt: skip


def known_situations(region: str, scene: str) -> Iterator[Situation]:
    """Everybody there and every fact met; nobody there and every fact otherwise."""
    items = EDITION.catalog.items_of(region=region, item=None, scene=scene)
    roles = frozenset(roles_of(EDITION.catalog, items)) - {APPLICANT}
    whens = [requirement.when for item in items for requirement in item.requirements]
    met = {when["fact"]: when["is"] for when in whens if "fact" in when}
    yield Situation(roles, "organisation", met)
    yield Situation(roles, "person", {})
    yield Situation(roles, "person", dict.fromkeys(met, "otherwise"))


def _is_ordered(row: Replacement) -> bool:
    """Whether we ask a person of the source department ourselves, by work order."""
    return row.mode is Mode.DEPARTMENT_CHECK and row.asks_source and row.state is RowState.CONFIRMED


@pytest.mark.parametrize(("region", "scene"), SCENES)
def test_the_plan_promises_what_planning_a_case_carries_out(region: str, scene: str) -> None:
    """The same materials, items and necessity as core.plan; and what decides without an answer decides the same way."""
    for situation in known_situations(region, scene):
        request = request_for(
            region, scene, dict(situation.facts), situation.roles or frozenset(), situation.applicant or ""
        )
        try:
            planned = plan(EDITION, request, TODAY)
        except CallerProblem as problem:
            with pytest.raises(CallerProblem, match=problem.code):
                of_scene(region, scene, situation=situation)
            return
        told = of_scene(region, scene, situation=situation)
        assert [one["key"] for one in told["items"]] == [item.key for item in planned.items]
        assert [(one["key"], one["reason"]) for one in told["left_out"]] == [
            (one.item, one.reason) for one in planned.left_out
        ]
        assert {one["key"]: (tuple(one["items"]), one["needed"]) for one in told["materials"]} == {
            need.key: (need.items, need.needed) for need in planned.needs
        }
        permits = {key: Permit("grant") for key in planned.lookups}
        decided = {one.need.key: one for one in advance(planned, request, permits, {}, TODAY).decisions}
        ordered = {need.key for need in planned.needs if any(map(_is_ordered, need.material.chain))}
        for key, entry in materials(told).items():
            outcome = Outcome(entry["outcome"])
            if outcome is Outcome.SKIPPED or key in ordered:
                assert key not in decided, "a source is asked first, or a person of its department"
            elif outcome in _MODES:
                assert (decided[key].kind, decided[key].mode) == (Kind.FALLBACK, _MODES[outcome])
            else:
                assert decided[key].kind is Kind.SUBMIT
            if situation.facts:
                assert entry["condition"] is None, "everything is known, so nothing is told as a condition"


@pytest.mark.parametrize(("region", "scene"), SCENES)
def test_plan_and_guide_say_the_same_of_every_material_both_tell(region: str, scene: str) -> None:
    try:
        told = of_scene(region, scene)
    except CallerProblem:
        return  # nothing of this scene is handled here; the guide shows where it is
    guided = {
        one["key"]: one for one in guide(EDITION, region=region, item=None, scene=scene, today=TODAY)["materials"]
    }
    for entry in told["materials"]:
        assert guided[entry["key"]]["name"] == entry["name"]
        if entry["items"] == guided[entry["key"]]["items"] and not told["left_out"]:
            assert guided[entry["key"]] == entry
    SHAPE.validate(told)


# --- examples --------------------------------------------------------------------------------------------------------


def test_opening_a_company_asks_for_the_identity_once_for_all_twelve_items() -> None:
    told = of_scene(ZAOZHUANG, "enterprise-1.1")
    identity = materials(told)["identity@legal_representative"]
    assert len(identity["items"]) == len(told["items"]) == 12
    assert [mode["zh"] for mode in identity["modes"]] == ["数据核验"]
    assert materials(told)["new-business-licence"]["outcome"] == "issued_here"


def test_the_issued_paper_comes_from_its_source_where_its_item_is_not_in_the_basket() -> None:
    alone = scene_plan(EDITION, region=ZAOZHUANG, items=["tax-matters"], today=TODAY)
    both = scene_plan(EDITION, region=ZAOZHUANG, items=["tax-matters", "company-setup"], today=TODAY)
    assert materials(alone)["new-business-licence"]["outcome"] == "skipped"
    assert materials(both)["new-business-licence"]["outcome"] == "issued_here"
    fields = {one["field"] for one in alone["fields"] if one["materials"] == ["new-business-licence"]}
    assert fields
    assert not [one for one in both["fields"] if "new-business-licence" in one["materials"]]


def test_what_is_said_of_the_case_decides_its_conditions() -> None:
    untold = scene_plan(EDITION, region=ZAOZHUANG, items=["fund-withdrawal-purchase"], today=TODAY)
    assert materials(untold)["marriage"]["condition"] == {"zh": "有配偶的", "en": "if there is a spouse"}
    nobody, spouse = Situation(frozenset()), Situation(frozenset({"spouse"}))
    single = scene_plan(EDITION, region=ZAOZHUANG, items=["fund-withdrawal-purchase"], today=TODAY, situation=nobody)
    couple = scene_plan(EDITION, region=ZAOZHUANG, items=["fund-withdrawal-purchase"], today=TODAY, situation=spouse)
    assert "marriage" not in materials(single)
    assert materials(couple)["marriage"]["condition"] is None


def test_an_abolished_item_is_left_out_of_its_scene_and_says_by_which_law() -> None:
    (left_out,) = of_scene(ZAOZHUANG, "enterprise-2.2")["left_out"]
    assert (left_out["key"], left_out["reason"]) == ("foreign-trade-filing", "request.item-not-in-force")
    assert "2022年12月30日" in left_out["text"]["zh"]


def test_an_item_of_another_level_is_left_out_and_says_who_decides() -> None:
    key = "lawyer-practice-licence"
    with pytest.raises(CallerProblem, match="request.level"):
        scene_plan(EDITION, region=RUSHAN, items=[key], today=TODAY)
    here = handled_items(RUSHAN)[0]
    (left_out,) = scene_plan(EDITION, region=RUSHAN, items=[key, here], today=TODAY)["left_out"]
    assert left_out["reason"] == "request.level"
    assert left_out["text"]["zh"].startswith("威海市级事项")


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"region": "999999", "items": ["tax-matters"]}, "request.region"),
        ({"region": ZAOZHUANG, "items": ["nothing", "tax-matters"]}, "request.item"),
        ({"region": ZAOZHUANG, "scene": "enterprise-9.9"}, "request.scene"),
        ({"region": ZAOZHUANG}, "request.scope"),
        ({"region": ZAOZHUANG, "items": ["tax-matters"], "scene": "enterprise-1.1"}, "request.scope"),
        ({"region": ZAOZHUANG, "items": ["foreign-trade-filing"]}, "request.item-not-in-force"),
        (
            {"region": ZAOZHUANG, "items": ["tax-matters"], "situation": Situation(frozenset({"neighbour"}))},
            "request.role",
        ),
    ],
)
def test_what_cannot_be_planned_is_refused(how: dict[str, Any], code: str) -> None:
    with pytest.raises(CallerProblem) as caught:
        scene_plan(EDITION, today=TODAY, **how)
    assert caught.value.code == code


def test_a_chain_that_goes_on_after_its_source_says_what_comes_then() -> None:
    document = copy.deepcopy(DOCUMENT)
    basis = {"basis": "测试"}
    document["materials"]["photo"]["chain"] = [
        {"mode": "data_query", "source": "ps-base", "form": "query", "fields": ["sex"], **basis},
        {"mode": "commitment", "text": "photo/1", **basis},
        {"mode": "submission"},
    ]
    document["items"]["tax-matters"]["materials"] = [{"material": "photo"}]
    told = scene_plan(
        Edition(8, "0" * 64, catalog_from(document)), region=ZAOZHUANG, items=["tax-matters"], today=TODAY
    )
    (photo,) = told["materials"]
    assert photo["text"]["zh"] == "免提交：由人口库基准信息共享取得；查不到时可签署告知承诺书代替提交"
    assert [mode["key"] for mode in photo["modes"]] == ["data_query", "commitment"]
    assert [one["field"] for one in told["fields"]] == ["sex"]


def test_every_field_that_the_shipped_list_fills_in_has_a_name() -> None:
    rows = [row for material in EDITION.catalog.materials.values() for row in material.chain]
    asked = {name for row in rows if row.form is Form.QUERY and row.state is RowState.CONFIRMED for name in row.fields}
    assert asked <= set(FIELD_NAMES)
    assert field_name("new_field")["en"] == "new field"


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("a:true", ("a", True)), ("a:false", ("a", False)), ("a:12", ("a", 12)), ("a:x-1", ("a", "x-1")),
        ("a:01", ("a", "01")),
    ],
)  # fmt: skip
def test_a_fact_is_read_as_a_request_would_state_it(text: str, fact: tuple[str, Any]) -> None:
    read = fact_from(text)
    assert read == fact
    assert type(read[1]) is type(fact[1])


# --- over HTTP and on the command line -------------------------------------------------------------------------------


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = lay_ground(tmp_path)
    yield ground
    ground.database.dispose()


def asked(ground: Ground, query: str) -> dict[str, Any]:
    answer = ground.http.get(f"/v1/plan?{query}")
    document = document_of(answer)
    if answer.status_code == 200:
        SHAPE.validate(document)
        assert answer.headers["Cache-Control"] == "public, max-age=60"
    return document


def test_anyone_may_ask_for_the_plan_of_a_scene_or_of_items(ground: Ground) -> None:
    scene = asked(ground, "region=370400&scene=enterprise-1.1")
    assert [one["key"] for one in scene["items"]] == ["food-licence"]
    one = asked(ground, "region=370400&item=form-only&item=food-licence&item=abolished")
    two = asked(ground, "region=370400&item=abolished&item=food-licence&item=form-only")
    assert one == two
    assert [entry["key"] for entry in one["left_out"]] == ["abolished"]
    assert materials(one)["form"]["items"] == ["food-licence", "form-only"]
    assert [(entry["field"], entry["holder"]["role"]) for entry in one["fields"]] == [
        ("status", "applicant"), ("status", "legal_representative"),
    ]  # fmt: skip


def test_the_query_says_what_is_known_of_the_case(ground: Ground) -> None:
    told = asked(
        ground,
        "region=370400&item=food-licence&role=legal_representative&applicant=organisation&fact=new:true&fact=n:2",
    )
    assert told["situation"] == {
        "roles": ["legal_representative"], "applicant": "organisation", "facts": {"new": True, "n": 2},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "request.parameter"),
        ("region=370400", "request.scope"),
        ("region=370400&item=food-licence&scene=enterprise-1.1", "request.scope"),
        ("region=370400&item=11010119900307109X", "request.parameter"),
        ("region=370400&item=food-licence&applicant=both", "request.parameter"),
        ("region=370400&item=food-licence&fact=new", "request.parameter"),
        ("region=370400&item=food-licence&role=neighbour", "request.role"),
        ("region=370400&item=provincial", "request.level"),
        ("region=370400&item=abolished", "request.item-not-in-force"),
        ("region=370400&" + "&".join(f"item=i{number}" for number in range(61)), "request.parameter"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(ground: Ground, query: str, code: str) -> None:
    assert asked(ground, query)["code"] == code


def typed(*words: str) -> Any:
    return CliRunner().invoke(main, ["plan", *words], catch_exceptions=False)


def test_the_command_plans_a_file_that_is_not_published_as_a_table_or_as_the_api_tells_it() -> None:
    words = ("--file", str(ROOT / "data_catalog.yaml"), "--region", ZAOZHUANG, "--item", "food-business-licence")
    table = typed(*words).output
    assert "1. 食品经营许可 (food-business-licence)" in table
    assert "免提交" in table
    assert "certificate_number" in table
    assert "not needed" in typed(*words, "--lang", "en").output
    told = json.loads(typed(*words, "--json").output)
    SHAPE.validate(told)
    assert told["edition"] == 0


def test_the_command_refuses_what_cannot_be_planned_and_a_list_with_errors(tmp_path: Path) -> None:
    words = ("--file", str(ROOT / "data_catalog.yaml"), "--region", ZAOZHUANG)
    assert typed(*words).output.startswith("request.scope")
    assert typed(*words, "--item", "food-business-licence", "--fact", "x").output.startswith("request.parameter")
    broken = tmp_path / "list.yaml"
    broken.write_text(json.dumps(CATALOG, ensure_ascii=False), "utf-8")
    assert typed("--file", str(broken), "--region", ZAOZHUANG, "--item", "x").output.startswith("catalog.broken")
