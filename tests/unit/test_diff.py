"""Nothing that differs between two lists stays unsaid, and what is said turns the one into the other."""

from __future__ import annotations

import copy
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.catalog import catalog_from
from broker.core.coverage import State, lines
from broker.core.diff import Change, apply_diff, as_values, diff
from broker.core.diff_groups import grouped
from broker.core.patch import Edit, PatchError, apply_edits, edits, pointer, same
from broker.store.catalog_file import read_catalog
from tests.lists import asking, checking, documents, item, material, whole

ROOT = Path(__file__).parents[2]
SHIPPED = read_catalog(ROOT / "data_catalog.yaml").document
DAY = date(2026, 1, 1)
GONE = object()

KEYS = st.sampled_from(["a", "b", "c", "a/b", "~", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from([0.0, 1.0, "", "1", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def example() -> dict[str, Any]:
    """Two items, three materials, two sources."""
    materials = {
        "m-a": material("材料甲", asking("s-zero")),
        "m-b": material("材料乙", asking("s-one", "proposed"), checking("公安局", "proposed")),
        "m-c": material("材料丙"),
    }
    both = ("370400", "371083")
    items = {
        "i-a": item("事项甲", 1, "enterprise-1.1", {"material": "m-a"}, {"material": "m-b"}, regions=both),
        "i-b": item("事项乙", 2, "enterprise-1.1", {"material": "m-a", "holder": "spouse"}, {"material": "m-c"}),
    }
    return whole(materials, items)


def changed(*changes: tuple[str, Any]) -> dict[str, Any]:
    """The example with values put at, or removed from, paths like ``items/i-a/name``."""
    document = example()
    for path, value in changes:
        place: Any = document
        *above, last = path.split("/")
        for step in above:
            place = place[int(step)] if isinstance(place, list) else place[step]
        if value is GONE:
            del place[int(last) if isinstance(place, list) else last]
        elif isinstance(place, list) and last == "+":
            place.append(value)
        else:
            place[int(last) if isinstance(place, list) else last] = value
    return document


def told(*changes: tuple[str, Any]) -> list[Change]:
    return list(diff(example(), changed(*changes), DAY).changes)


def kinds(*changes: tuple[str, Any]) -> list[str]:
    return [one.kind for one in told(*changes)]


# ---- the patch


@settings(max_examples=500, deadline=None)
@given(JSON, JSON)
def test_the_edits_turn_any_document_into_any_other(before: Any, after: Any) -> None:
    untouched = copy.deepcopy(before)
    made = list(edits(before, after))
    assert same(apply_edits(before, made), after)
    assert same(before, untouched)
    assert bool(made) != same(before, after)


@given(JSON)
def test_a_document_does_not_differ_from_itself(document: Any) -> None:
    assert list(edits(document, copy.deepcopy(document))) == []


@settings(max_examples=300, deadline=None)
@given(JSON, JSON, JSON)
def test_edits_on_another_document_are_refused_or_end_in_the_same_place(before: Any, after: Any, other: Any) -> None:
    """What an edit replaces must be there: the result is never a mixture that nobody wrote, only what edits say."""
    made = list(edits(before, after))
    try:
        result = apply_edits(other, made)
    except PatchError:
        assert not same(before, other)
    else:
        assert all(same(_at(result, edit.path), edit.after) for edit in made if edit.op in {"add", "replace"})


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


@pytest.mark.parametrize(
    "edit",
    [
        Edit("add", ("a",), after=2),
        Edit("remove", ("b",), before=1),
        Edit("remove", ("a",), before=2),
        Edit("replace", ("a",), before=True, after=3),
        Edit("replace", ("b", "c"), before=1, after=3),
        Edit("order", (), before=["b", "a"], after=["a", "b"]),
    ],
)
def test_an_edit_that_was_made_for_something_else_is_refused(edit: Edit) -> None:
    with pytest.raises(PatchError):
        apply_edits({"a": 1}, [edit])


def test_truth_is_not_one_and_order_matters() -> None:
    assert not same({"a": True}, {"a": 1})
    assert not same({"a": 1.0}, {"a": 1})
    assert not same({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert pointer(("a/b", "~", 0)) == "/a~1b/~0/0"


# ---- the lists


@settings(max_examples=100, deadline=None)
@given(documents(), documents())
def test_a_list_and_its_diff_give_the_other_list(before: dict[str, Any], after: dict[str, Any]) -> None:
    difference = diff(before, after, DAY)
    assert same(apply_diff(before, difference), after)
    assert bool(difference.changes) == bool(difference.edits) == (not same(before, after))
    assert all(one.zh and one.en for one in difference.changes)
    values = as_values(difference)
    assert json.loads(json.dumps(values)) == values


@settings(max_examples=100, deadline=None)
@given(documents(), documents())
def test_exemptions_are_gained_and_lost_the_other_way_round(before: dict[str, Any], after: dict[str, Any]) -> None:
    turned = {"exemption-gained": "exemption-lost", "exemption-lost": "exemption-gained",
              "callers-gain": "callers-lose", "callers-lose": "callers-gain"}  # fmt: skip
    forth = {(one.kind, one.path, frozenset(one.items)) for one in diff(before, after, DAY).changes if one.items}
    back = {(turned[one.kind], one.path, frozenset(one.items)) for one in diff(after, before, DAY).changes if one.items}
    assert forth == back


@settings(max_examples=100, deadline=None)
@given(documents(), documents())
def test_exemptions_are_those_of_the_coverage(before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = ({_line(one): one.state for one in lines(catalog_from(doc), DAY)} for doc in (before, after))
    moved = {
        (line[1], line[2])
        for line in new
        if line in old and (old[line] is State.CONFIRMED) != (new[line] is State.CONFIRMED)
    }
    said = {one.path[1:] for one in diff(before, after, DAY).changes if one.kind.startswith("exemption-")}
    assert said == moved


def _line(line: Any) -> tuple[str, str, str]:
    return line.place.region, line.item.key, line.requirement.key


def test_the_shipped_list_does_not_differ_from_itself() -> None:
    assert diff(SHIPPED, copy.deepcopy(SHIPPED), DAY).changes == ()


PLACE = "items/i-a/regions/370400"
ROW = "materials/m-a/chain/0"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("items/i-b", GONE)], ["removed"]),
        ([("items/i-c", item("事项丙", 3, "enterprise-1.1"))], ["added"]),
        ([("sources/s-two", GONE)], ["removed"]),
        ([("scenes/individual-1.1", GONE)], ["removed"]),
        ([("items/i-z", example()["items"]["i-b"]), ("items/i-b", GONE)], ["rekeyed"]),
        ([("items/i-a/name/zh", "新名称")], ["renamed"]),
        ([("items/i-a/row", "行名")], ["renamed"]),
        ([(f"{PLACE}/sub_wording", "另一说法")], ["renamed"]),
        ([("regions/370400/name/zh", "枣庄")], ["renamed"]),
        ([(f"{PLACE}/seq", "9")], ["renumbered"]),
        ([("scenes/enterprise-1.1/number", "1.2")], ["renumbered"]),
        ([(f"{PLACE}/lead", ["市公安局"])], ["redepartmented"]),
        ([(f"{PLACE}/coop", ["市公安局"])], ["redepartmented"]),
        ([(f"{PLACE}/level", "province")], ["relevelled"]),
        ([(f"{PLACE}/scene", "enterprise-2.1")], ["moved"]),
        ([(PLACE, GONE)], ["unplaced"]),
        ([("items/i-b/regions/371083", example()["items"]["i-b"]["regions"]["370400"])], ["placed"]),
        ([("items/i-b/materials/+", {"material": "m-b"})], ["requirement-added"]),
        ([("items/i-b/materials/1", GONE)], ["requirement-removed"]),
        ([("items/i-b/materials/1/needed", False)], ["requirement-changed"]),
        ([("items/i-a/materials", example()["items"]["i-a"]["materials"][::-1])], ["reordered"]),
        ([("materials/m-b/chain/0/state", "confirmed")],
         ["row-state", "exemption-gained", "callers-gain"]),
        ([(f"{ROW}/state", "proposed")],
         ["row-state", "exemption-lost", "exemption-lost", "callers-lose"]),
        ([(f"{ROW}/fields", ["holder_number", "status"])], ["fields-added", "callers-gain"]),
        ([("materials/m-b/chain/0/fields", ["holder_number", "status"])], ["fields-added"]),
        ([(f"{ROW}/basis", "另一法")], ["row-changed"]),
        ([(f"{ROW}/state", GONE)], ["row-changed"]),
        ([("materials/m-b/chain/1", GONE)], ["row-removed"]),
        ([("materials/m-c/chain", [asking("s-zero", "proposed"), {"mode": "submission"}])], ["row-added"]),
        ([("materials/m-b/chain", [example()["materials"]["m-b"]["chain"][at] for at in (1, 0, 2)])], ["reordered"]),
        ([("sources/s-zero/fields", ["holder_number", "valid_until"])], ["fields-removed"]),
        ([("sources/s-zero/fields", ["status", "valid_until", "holder_number"])], ["reordered"]),
        ([("sources/s-zero/state", "proposed")], ["changed"]),
        ([("sources/s-zero/options/codes", {"10": "unknown.not-found"})], ["changed"]),
        ([("items/i-a/basis", None)], ["changed"]),
        ([("items", dict(reversed(example()["items"].items())))], ["reordered"]),
    ],
)  # fmt: skip
def test_a_difference_is_told_as_what_it_is(changes: list[tuple[str, Any]], expected: list[str]) -> None:
    assert kinds(*changes) == expected


def test_a_row_that_stands_twice_is_told_apart() -> None:
    document = example()
    document["materials"]["m-a"]["chain"].insert(1, asking("s-zero", "proposed"))
    again = copy.deepcopy(document)
    again["materials"]["m-a"]["chain"][1]["fields"] = ["holder_number", "status"]
    assert [one.kind for one in diff(document, again, DAY).changes] == ["fields-added"]


def test_the_lines_read_as_sentences() -> None:
    def first(*changes: tuple[str, Any]) -> tuple[str, str]:
        return told(*changes)[0].zh, told(*changes)[0].en

    assert first((f"{PLACE}/seq", "9")) == (
        "事项 事项甲 [i-a] 枣庄市：序号 1 → 9",
        "item 事项甲 [i-a] 枣庄市: number 1 → 9",
    )
    assert first((f"{PLACE}/lead", ["市公安局", "市民政局"]))[0] == (
        "事项 事项甲 [i-a] 枣庄市：牵头部门 市审批服务局 → 市公安局、市民政局"
    )
    assert first(("items/i-b/materials/0", GONE))[0] == "事项 事项乙 [i-b]：不再要求材料 配偶的材料甲"
    assert first(("items/i-z", example()["items"]["i-b"]), ("items/i-b", GONE))[1].endswith("[i-z]: key i-b → i-z")
    gained = told(("materials/m-b/chain/0/state", "confirmed"))
    assert gained[1].zh == "事项 事项甲 [i-a]：材料 材料乙 可免提交"
    assert gained[2].en == (
        "systems that handle 事项甲 gain, as far as they are granted, of 数源s-one [s-one] the fields "
        "Identity number or credit code"
    )


def test_no_word_of_the_machine_stands_in_a_line() -> None:
    """Modes, states, sources, roles, fields and comparisons by their names, before and after, in both languages."""
    again, later = documented(
        (f"{ROW}/state", "proposed"), ("items/i-a/materials/0/when", {"party": "spouse"}),
        (f"{ROW}/expect", [{"field": "holder_number", "op": "equals", "to": "spouse.number"}]),
        ("items/i-a/effective", {"to": "2030-12-31"}), ("sources/s-one/calls_per_day", 100),
    )  # fmt: skip
    lines = [one.zh for one in diff(again, later, DAY, effects=False).changes]
    assert "材料 材料甲 [m-a]：数据查询（数源s-zero，查询）：已确认 → 拟议" in lines
    assert "事项 事项甲 [i-a]：材料甲 要求条件 – → 有配偶的" in lines
    assert "事项 事项甲 [i-a]：有效期 – → 止 2030-12-31" in lines
    assert "数源 数源s-one [s-one]：每日次数上限 – → 100" in lines
    assert any("证件号码（统一社会信用代码） 等于 配偶的号码" in line for line in lines)


def test_what_follows_stands_under_the_row_that_causes_it() -> None:
    again, later = documented(("materials/m-b/chain/0/state", "confirmed"), ("items/i-b/name/zh", "新名"))
    groups = grouped(diff(again, later, DAY), again, later)
    assert [(one.section, one.key, len(one.lines), len(one.effects)) for one in groups] == [
        ("items", "i-b", 1, 0), ("materials", "m-b", 1, 2),
    ]  # fmt: skip


def documented(*changes: tuple[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The example, and the example with these changes."""
    return example(), changed(*changes)


def test_regions_are_named_where_only_some_gain() -> None:
    document = example()
    document["materials"]["m-b"]["chain"] = [{"mode": "scene_result", "item": "i-b"}, {"mode": "submission"}]
    document["items"] = {key: document["items"][key] for key in ("i-b", "i-a")}
    before = copy.deepcopy(document)
    before["materials"]["m-b"]["chain"] = [{"mode": "submission"}]
    [gained] = [one for one in diff(before, document, DAY).changes if one.kind == "exemption-gained"]
    assert gained.zh == "事项 事项甲 [i-a] 枣庄市：材料 材料乙 可免提交"


def test_many_items_are_counted_and_listed_only_in_the_values() -> None:
    document = example()
    document["items"] = {
        f"i-{number}": item(f"事项{number}", number + 1, "enterprise-1.1", {"material": "m-a"}) for number in range(9)
    }
    after = copy.deepcopy(document)
    after["materials"]["m-a"]["chain"][0]["fields"] = ["holder_number", "status"]
    [gain] = [one for one in diff(document, after, DAY).changes if one.kind == "callers-gain"]
    assert "等 9 个事项的系统" in gain.zh
    assert "and 6 more items" in gain.en
    assert len(gain.items) == 9
