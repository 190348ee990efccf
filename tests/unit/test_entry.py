"""Audit entries: canonical bytes fixed when they are made, following their published grammar."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from broker.core.entry import entry

NOW = datetime(2026, 7, 1, 4, 5, 6, 7000, tzinfo=UTC)
SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "entry.schema.json").read_text("utf-8"))
names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12).filter(lambda name: name not in {"kind", "at"})
values = (
    st.none() | st.text(max_size=20) | st.integers(-(2**53) + 1, 2**53 - 1) | st.lists(st.text(max_size=5), max_size=3)
)


def test_an_entry_says_what_when_and_about_which_verification() -> None:
    made = entry("asked", NOW, verification="v1", lookup="l1", attempt=1)
    assert (made.kind, made.verification) == ("asked", "v1")
    assert json.loads(made.body) == {
        "version": 1,
        "kind": "asked",
        "at": "2026-07-01T04:05:06.007Z",
        "verification": "v1",
        "lookup": "l1",
        "attempt": 1,
    }


@pytest.mark.parametrize("empty", [None, "", (), []])
def test_what_is_empty_is_left_out(empty: object) -> None:
    assert "code" not in json.loads(entry("refused", NOW, code=empty).body)


@pytest.mark.parametrize("value", [0, False])
def test_zero_and_no_are_not_empty(value: object) -> None:
    assert json.loads(entry("refused", NOW, count=value).body)["count"] == value


@given(st.dictionaries(names, values))
def test_entries_are_canonical_whatever_the_order_of_their_facts(facts: dict[str, Any]) -> None:
    facts.pop("verification", None)
    made = entry("asked", NOW, **facts).body
    assert made == entry("asked", NOW, **dict(reversed(facts.items()))).body
    assert made == rfc8785.dumps(json.loads(made))


def test_every_kind_the_flow_writes_is_known_to_the_grammar() -> None:
    """`entry("…"` in the flow's modules, against the enumeration of schemas/entry.schema.json, where it has one."""
    known = SCHEMA["properties"]["kind"].get("enum")
    if known is not None:
        written = {"admitted", "refused", "asked", "answered", "stopped", "decided", "published", "closed"}
        assert written <= set(known)
