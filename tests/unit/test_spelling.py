"""Which spellings are the same: how something was typed does not count, which characters it has does."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.core.spelling import spelt

SAME = [("阿依古丽·买买提", f"阿依古丽{dot}买买提") for dot in "\u00b7\u2022\u2027\u2219\u22c5\u30fb\uff65\u0387"] + [
    ("王一", " 王 一 "),
    ("王一", "王\u3000一"),
    ("王一", "王\u00a0一\u200b"),
    ("王一", "王\ufeff一\U000e0100"),
    ("金一", "\uf90a一"),
    ("一", "\u2f00"),
    ("甲（乙)", "甲(乙）"),
    ("ＡＢｃ１２", "abC12"),
    ("某某 (A) 公司", "某某（Ａ）公司"),
    ("Mary  ANN", "mary ann"),
]
DIFFERENT = [
    ("吕一", "呂一"),
    ("黄一", "黃一"),
    ("甲(乙)", "甲乙"),
    ("a b", "ab"),
    ("买买提", "买买·提"),
    ("王一", "王二"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_typed_otherwise_is_the_same(one: str, other: str) -> None:
    assert spelt(one) == spelt(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_characters_are_another_name(one: str, other: str) -> None:
    assert spelt(one) != spelt(other)


@example("R¸𠀀")
@given(st.text())
def test_a_spelling_is_its_own(text: str) -> None:
    assert spelt(spelt(text)) == spelt(text)
