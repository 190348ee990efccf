"""What a source's outage means: which materials of which items would be had in another way, or from the applicant.

A pure function of the list: only confirmed rows count; ``reuse`` of earlier evidence asks nobody, so it still works.
How many verifications it would hit is read off those that have asked the source of late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker.core.catalog import Catalog, Material, Mode, Replacement, RowState
from broker.core.health import Day


@dataclass(frozen=True, slots=True)
class Impact:
    """One material that asks the source: at which step of its chain, what comes instead, and for which items."""

    material: Material
    step: int  # 1: the source is asked first
    instead: Replacement | None  # None: nothing is left, the applicant must submit it
    items: tuple[str, ...]

    @property
    def burdens(self) -> bool:
        """Whether the applicant would have to bring it."""
        return self.instead is None or self.instead.mode is Mode.SUBMISSION


@dataclass(frozen=True, slots=True)
class Demand:
    """How many verifications have asked a source: over how many days, and on the busiest of them."""

    days: int
    total: int
    most: int

    @property
    def average(self) -> float:
        """A day."""
        return round(self.total / self.days, 1)


def demand(days: Sequence[Day]) -> Demand | None:
    """What these consecutive days say, from the first of which anything is known; None where nobody has asked."""
    counts = [one.verifications for one in days]
    first = next((place for place, count in enumerate(counts) if count), None)
    return None if first is None else Demand(len(counts) - first, sum(counts), max(counts))


def impact(catalog: Catalog, source: str) -> list[Impact]:
    """The impact on every material, the worst first: what the applicant must bring, then by how many items need it."""
    needed: dict[str, list[str]] = {}
    for item in catalog.items.values():
        for key in dict.fromkeys(one.material for one in item.requirements):
            needed.setdefault(key, []).append(item.key)
    found = [
        one
        for material in catalog.materials.values()
        if (one := _of(material, source, tuple(needed.get(material.key, ())))) is not None
    ]
    return sorted(found, key=lambda one: (not one.burdens, one.step, -len(one.items), one.material.key))


def _of(material: Material, source: str, items: tuple[str, ...]) -> Impact | None:
    chain = [row for row in material.chain if row.state is RowState.CONFIRMED or row.mode is Mode.SUBMISSION]
    step = next((place for place, row in enumerate(chain) if _asks(row, source)), None)
    if step is None:
        return None
    instead = next((row for row in chain[step:] if not _asks(row, source)), None)
    return Impact(material, step + 1, instead, items)


def _asks(row: Replacement, source: str) -> bool:
    return row.source == source and row.asks_source
