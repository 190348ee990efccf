"""The table of ``docs/campaigns.md``: one row for each campaign, with the figure measured last and its date."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.faults.figure import Figure

PAGE = Path(__file__).parents[2] / "docs" / "campaigns.md"
BEGIN, END = "<!-- figures: written by `python -m tests.faults --write-docs` -->", "<!-- end of figures -->"
HEAD = ("id", "campaign", "demanded", "measured", "holds", "when")
NOT_MEASURED = ("not measured", "–", "–")
_ROW = re.compile(r"^\| (F[0-9]+) \|(.*)\|$", re.MULTILINE)


def rows_of(page: str) -> dict[str, list[str]]:
    """The rows of a page by id: title, demanded, measured, holds, when."""
    inside = page.partition(BEGIN)[2].partition(END)[0]
    return {number: [cell.strip() for cell in rest.split(" | ")] for number, rest in _ROW.findall(inside)}


def rewritten(page: str, titles: Mapping[str, tuple[str, str]], measured: Iterable[Figure], when: str) -> str:
    """The page with these figures in its table; campaigns that were not run keep their row, or say so.

    ``titles`` gives title and demand of every campaign there is.
    """
    rows, fresh = rows_of(page), {one.id: one for one in measured}
    lines = [_line(HEAD), _line(["---"] * len(HEAD))]
    for number, (title, demanded) in titles.items():
        kept = rows.get(number, ["", "", *NOT_MEASURED])[2:]
        found = fresh.get(number)
        lasts = kept if found is None else [found.measured, "yes" if found.holds else "**no**", when]
        lines.append(_line([number, title, demanded, *lasts]))
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{rest.partition(END)[2]}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
