"""The runner of the campaigns: what it finds, and how it keeps the table of figures honest."""

from __future__ import annotations

from tests.faults.campaigns import campaigns
from tests.faults.figure import Figure, Scale, Tally
from tests.faults.table import BEGIN, END, NOT_MEASURED, PAGE, Run, rewritten, rows_of

TITLES = {"F1": ("Kill", "all"), "F2": ("Lost replies", "all")}
WHOLE, PART = Scale(1), Scale(0.25)
EMPTY = f"Before\n\n{BEGIN}\n\n{END}\n\nAfter\n"


def test_every_campaign_has_a_title_a_demand_and_its_row_in_the_page() -> None:
    found = campaigns()
    assert all(one.title and one.demanded for one in found.values())
    assert set(rows_of(PAGE.read_text("utf-8"))) == set(found), "python -m tests.faults F… --write-docs"


def run(number: str, measured: str, when: str, scale: Scale = WHOLE, *, holds: bool = True) -> Run:
    return Run(Figure(number, "all", measured, holds), scale, 61.4, when)


def test_a_figure_is_written_with_its_scale_and_date_and_the_rest_of_the_page_stays() -> None:
    page = rewritten(EMPTY, TITLES, [run("F1", "9 of 9 | points", "2026-01-02")])
    assert rows_of(page) == {
        "F1": ["Kill", "all", "9 of 9 / points", "yes", "all", "61 s", "2026-01-02"],
        "F2": ["Lost replies", "all", *NOT_MEASURED],
    }
    assert page.startswith("Before\n")
    assert page.endswith("After\n")


def test_what_was_not_run_keeps_its_row_and_what_failed_says_so() -> None:
    page = rewritten(EMPTY, TITLES, [run("F1", "9 of 9", "2026-01-02")])
    page = rewritten(page, TITLES, [run("F2", "8 of 9", "2026-02-03", PART, holds=False)])
    assert rows_of(page)["F1"][2:] == ["9 of 9", "yes", "all", "61 s", "2026-01-02"]
    assert rows_of(page)["F2"][2:] == ["8 of 9", "**no**", "0.25", "61 s", "2026-02-03"]


def test_a_part_never_takes_the_place_of_the_whole() -> None:
    page = rewritten(EMPTY, TITLES, [run("F1", "3 of 3", "2026-01-02", PART)])
    page = rewritten(page, TITLES, [run("F1", "9 of 9", "2026-02-03")])
    assert rows_of(page)["F1"][2] == "9 of 9"
    assert rewritten(page, TITLES, [run("F1", "3 of 3", "2026-03-04", PART)]) == page
    failed = rewritten(page, TITLES, [run("F1", "8 of 9", "2026-03-04", holds=False)])
    assert rows_of(failed)["F1"][2:4] == ["8 of 9", "**no**"]


def test_a_part_of_a_campaign_is_never_nothing_and_never_more_than_the_whole() -> None:
    assert [Scale(share).of(10_000) for share in (1, 0.5, 0.00001)] == [10_000, 5_000, 1]
    assert Scale(0.0001).of(300, at_least=20) == 20
    assert Scale(0.0001).of(10, at_least=20) == 10


def test_a_tally_of_nothing_is_not_clean() -> None:
    assert not Tally().clean


def test_a_tally_tells_what_went_wrong_first() -> None:
    tally = Tally()
    for number in range(10):
        tally.note(f"the {number}th", right=number < 4)
    assert not tally.clean
    assert str(tally) == "4 of 10; wrong: the 4th; the 5th; the 6th; the 7th; the 8th"
