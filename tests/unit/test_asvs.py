"""``docs/asvs.md`` holds every requirement of levels 1 and 2, in order, and every test it names exists."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "asvs.md"
ROW = re.compile(r"^\| (\d[\d.]*)(?:–([\d.]+))? \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
NAMED = re.compile(r"`((?:\w+/)+test_\w+\.py)::(test_\w+)`")
COUNTS = re.compile(r"^\| ([a-z ]+) \| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE)

# The level of each requirement of ASVS 5.0.0, section by section, in their order.
# levels
LEVELS = {
    "1.1": "22", "1.2": "1111122223", "1.3": "112222222223", "1.4": "222", "1.5": "123",
    "2.1": "122", "2.2": "112", "2.3": "12223", "2.4": "23",
    "3.1": "3", "3.2": "113", "3.3": "12223", "3.4": "11222233", "3.5": "11122333", "3.6": "3", "3.7": "22333",
    "4.1": "12233", "4.2": "2333", "4.3": "22", "4.4": "1222",
    "5.1": "2", "5.2": "112333", "5.3": "113", "5.4": "222",
    "6.1": "122", "6.2": "111111112222", "6.3": "11223333", "6.4": "112233", "6.5": "22222333", "6.6": "2223",
    "6.7": "33", "6.8": "2222",
    "7.1": "222", "7.2": "1111", "7.3": "22", "7.4": "11222", "7.5": "223", "7.6": "22",
    "8.1": "1233", "8.2": "1123", "8.3": "133", "8.4": "23",
    "9.1": "111", "9.2": "1222",
    "10.1": "22", "10.2": "223", "10.3": "22223", "10.4": "1111122222233333", "10.5": "22222", "10.6": "22",
    "10.7": "222",
    "11.1": "2233", "11.2": "22233", "11.3": "11233", "11.4": "1222", "11.5": "23", "11.6": "23", "11.7": "33",
    "12.1": "12233", "12.2": "11", "12.3": "22223",
    "13.1": "2333", "13.2": "222223", "13.3": "2233", "13.4": "1222233",
    "14.1": "22", "14.2": "12223333", "14.3": "122",
    "15.1": "12233", "15.2": "12233", "15.3": "1222222", "15.4": "3333",
    "16.1": "2", "16.2": "22222", "16.3": "2222", "16.4": "222", "16.5": "2223",
    "17.1": "23", "17.2": "22223333", "17.3": "22",
}  # fmt: skip
# end
WANTED_OF_LEVEL_3 = {"2.3.5", "4.1.4", "4.1.5", "16.5.4"}
STANDINGS = {
    "not applicable": "not applicable: ", "open": "**open**: ", "built so": "built so: ",
    "held when set": "**when set**: ",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of the page: the requirements it is about, how they stand, and what holds them."""

    numbers: tuple[str, ...]
    ours: str
    held: str

    @property
    def standing(self) -> str:
        """How it stands: one of ``STANDINGS``, or held by a test, or by a document alone."""
        begun = [name for name, words in STANDINGS.items() if self.ours.startswith(words)]
        return begun[0] if begun else "held by a test" if NAMED.search(self.held) else "a document"


def requirements() -> dict[str, int]:
    """Every requirement of the standard with its level, in its order."""
    return {f"{section}.{at}": int(one) for section, all_ in LEVELS.items() for at, one in enumerate(all_, 1)}


def between(first: str, last: str) -> Iterator[str]:
    """The requirements of levels 1 and 2 from the first to the last; the last may be a number of the same section."""
    known = list(requirements())
    end = last if last.count(".") == 2 else f"{first.rpartition('.')[0]}.{last}"
    for number in known[known.index(first) : known.index(end) + 1]:
        if requirements()[number] < 3:
            yield number


def rows() -> list[Row]:
    """The lines of the page."""
    found = ROW.findall(PAGE.read_text("utf-8"))
    return [
        Row(tuple(between(first, last)) if last else (first,), ours.strip(), held.strip())
        for first, last, _, ours, held in found
    ]


def test_the_levels_add_up_to_those_of_the_standard() -> None:
    """The page says how many there are of each; so a level that was copied wrongly would show."""
    counted = Counter(requirements().values())
    assert (counted[1], counted[2]) == (70, 183)


def test_every_requirement_of_levels_1_and_2_stands_once_and_in_order() -> None:
    known = requirements()
    told = [number for row in rows() for number in row.numbers]
    assert told == sorted(told, key=list(known).index)
    assert len(told) == len(set(told))
    assert {number for number, level in known.items() if level < 3} <= set(told)
    assert set(told) >= WANTED_OF_LEVEL_3


def test_every_test_that_is_named_exists_and_every_row_is_held_by_something() -> None:
    for row in rows():
        for file, name in NAMED.findall(f"{row.ours} {row.held}"):
            assert f"\ndef {name}(" in (REPOSITORY / "tests" / file).read_text("utf-8"), (file, name)
        held = NAMED.search(row.held) or "](" in row.held
        assert held or row.standing in set(STANDINGS) - {"held when set"}, row
        assert row.ours not in STANDINGS.values(), row


@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_counts_at_the_top_are_those_of_the_rows(level: int) -> None:
    known = requirements()
    counted = Counter(row.standing for row in rows() for number in row.numbers if known[number] == level)
    told = {name: int(counts[level - 1]) for name, *counts in COUNTS.findall(PAGE.read_text("utf-8"))}
    assert {name: count for name, count in told.items() if count} == dict(counted)
