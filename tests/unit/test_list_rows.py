"""Two people's changes of one list: different rows come together, the same row is somebody's choice."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.config import ROOT
from broker.core.list_rows import MINE, THEIRS, RowChange, merge, rows_changed
from broker.core.list_terms import PROPERTIES

ROWS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), max_size=4)
LISTS = st.fixed_dictionaries({"items": ROWS, "sources": ROWS})


@settings(max_examples=200, deadline=None)
@given(LISTS, LISTS)
def test_changes_of_one_side_alone_come_through_whole(base: Any, changed: Any) -> None:
    for mine, theirs in ((changed, base), (base, changed), (changed, changed)):
        merged = merge(base, mine, theirs)
        assert not merged.conflicts
        assert merged.document == changed


@settings(max_examples=200, deadline=None)
@given(LISTS, LISTS, LISTS)
def test_no_change_of_either_side_is_lost_or_decided_by_the_machine(base: Any, mine: Any, theirs: Any) -> None:
    """A row that only one has changed is that one's; of a row that both changed, it is told what each made of it."""
    merged = merge(base, mine, theirs)
    undecided = {(one.section, one.key): one for one in merged.conflicts}
    for section in base:
        for key in "abcd":
            was, my, their = (one[section].get(key) for one in (base, mine, theirs))
            row = undecided.get((section, key))
            if my != was and their not in {was, my}:
                assert row is not None
                assert (row.base, row.mine, row.theirs) == (was, my, their)
            else:
                assert row is None
                assert merged.document[section].get(key) == (their if my == was else my)
    for choice in (MINE, THEIRS):
        chosen = merge(base, mine, theirs, dict.fromkeys(undecided, choice))
        assert not chosen.conflicts
        for (section, key), row in undecided.items():
            assert chosen.document[section].get(key) == (row.mine if choice == MINE else row.theirs)


def test_rows_keep_the_plans_order_and_new_ones_come_last() -> None:
    base = {"items": {"a": 1, "b": 1}}
    merged = merge(base, {"items": {"a": 1, "b": 1, "mine": 1}}, {"items": {"a": 1, "theirs": 1, "b": 1}})
    assert list(merged.document["items"]) == ["a", "theirs", "b", "mine"]
    moved = merge(base, {"items": {"b": 1, "a": 1}}, base)
    assert list(moved.document["items"]) == ["b", "a"]


def test_what_changed_is_told_row_by_row() -> None:
    before = {"items": {"a": 1, "b": 1}, "sources": {"s": 1}}
    after = {"items": {"b": 2, "c": 1}, "sources": {"s": 1}}
    assert list(rows_changed(before, after)) == [
        RowChange("items", "a", "removed"), RowChange("items", "b", "changed"), RowChange("items", "c", "added"),
    ]  # fmt: skip
    assert not list(rows_changed(after, after))


def test_every_property_of_the_grammar_has_its_words() -> None:
    kinds = json.loads((ROOT / "schemas" / "catalog.schema.json").read_text("utf-8"))["$defs"]
    for name in ("item", "place", "requirement", "material", "replacement", "expectation", "source", "scene", "region"):
        assert PROPERTIES[name].keys() == kinds[name]["properties"].keys(), name
