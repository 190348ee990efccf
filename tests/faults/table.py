"""The table of ``docs/campaigns.md``: one row for each campaign, with the figure measured last, its scale and date.

The figure of a whole campaign stays until it is measured whole again: a part of one never takes its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults.figure import Figure, Scale

PAGE = Path(__file__).parents[2] / "docs" / "campaigns.md"
BEGIN, END = "<!-- figures: written by `python -m tests.faults --write-docs` -->", "<!-- end of figures -->"
HEAD = ("id", "campaign", "demanded", "measured", "holds", "scale", "took", "when")
NOT_MEASURED = ("not measured", "–", "–", "–", "–")
WHOLE = "all"
_ROW = re.compile(r"^\| (F[0-9]+) \|(.*)\|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Run:
    """A figure, how much of its campaign was run, how long that took, and on which day."""

    figure: Figure
    scale: Scale
    seconds: float
    when: str

    @property
    def cells(self) -> list[str]:
        """What stands behind title and demand."""
        scale = WHOLE if self.scale.whole else f"{self.scale.share:.2g}"
        return [
            self.figure.measured,
            "yes" if self.figure.holds else "**no**",
            scale,
            f"{self.seconds:.0f} s",
            self.when,
        ]


def rows_of(page: str) -> dict[str, list[str]]:
    """The rows of a page by id: title, demanded, and the cells of the run measured last."""
    inside = page.partition(BEGIN)[2].partition(END)[0]
    return {number: [cell.strip() for cell in rest.split(" | ")] for number, rest in _ROW.findall(inside)}


def rewritten(page: str, titles: Mapping[str, tuple[str, str]], measured: Iterable[Run]) -> str:
    """The page with these runs in its table; campaigns that were not run keep their row, or say so.

    ``titles`` gives title and demand of every campaign there is.
    """
    rows, fresh = rows_of(page), {one.figure.id: one.cells for one in measured}
    lines = [_line(HEAD), _line(["---"] * len(HEAD))]
    for number, (title, demanded) in titles.items():
        kept = rows.get(number, ["", "", *NOT_MEASURED])[2:]
        found = fresh.get(number, kept)
        last = kept if WHOLE in kept and WHOLE not in found else found
        lines.append(_line([number, title, demanded, *last]))
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{rest.partition(END)[2]}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
