"""Lists as the pages need them: an edition or a draft with everything that is looked up in it, worked out once.

What is kept is a function of the bytes alone, under their digest, so it can never be out of date.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

from broker.core.catalog import Catalog, Item, Place, Scene, catalog_from
from broker.core.coverage import State, lines_of
from broker.core.day import day_of
from broker.core.diff import Difference, diff
from broker.core.errors import CallerProblem
from broker.core.findings import Finding, has_errors
from broker.flow.parts import Parts
from broker.flow.publish import Check
from broker.ports import Draft, Published

KEPT = 6  # lists in memory: the edition in force, its neighbours, the drafts people work on; some 15 MB each


@dataclass(frozen=True)
class Row:
    """One item in one region, as a line of the table."""

    item: Item
    place: Place
    scene: Scene
    in_force: bool
    states: Mapping[str, int] = field(compare=False)  # State → lines
    sought: str = field(repr=False)  # what a search looks through


@dataclass(frozen=True)
class Listing:
    """A list by its bytes; ``number`` 0 for a draft."""

    digest: str
    body: bytes = field(repr=False)

    @cached_property
    def document(self) -> Any:
        """The list as plain values."""
        return json.loads(self.body)

    @cached_property
    def catalog(self) -> Catalog:
        """The list as values; only for a list that follows its grammar."""
        return catalog_from(self.document)

    @cached_property
    def needed_by(self) -> Mapping[str, tuple[str, ...]]:
        """The items that need a material."""
        found: dict[str, list[str]] = {}
        for item in self.catalog.items.values():
            for need in item.requirements:
                found.setdefault(need.material, []).append(item.key)
        return {key: tuple(dict.fromkeys(items)) for key, items in found.items()}

    @cached_property
    def used_by(self) -> Mapping[str, tuple[str, ...]]:
        """The materials whose chains ask a source."""
        found: dict[str, dict[str, None]] = {}
        for material in self.catalog.materials.values():
            for row in material.chain:
                if row.source:
                    found.setdefault(row.source, {})[material.key] = None
        return {key: tuple(materials) for key, materials in found.items()}


@dataclass(frozen=True)
class Seen:
    """What a page shows a list as: the edition in force, or a draft with its state."""

    listing: Listing
    edition: int
    draft: Draft | None = None

    @property
    def catalog(self) -> Catalog:
        """The list's values."""
        return self.listing.catalog

    @property
    def arguments(self) -> dict[str, str]:
        """What links must carry to stay in this list."""
        return {"draft": self.draft.id} if self.draft else {}


class Lists:
    """Reads editions and drafts; one object per area, its memory shared by the process's threads."""

    def __init__(self, parts: Parts, check: Check) -> None:
        """``check`` holds a list against its grammar and rules."""
        self._parts = parts
        self._check = check
        self.listing = lru_cache(maxsize=KEPT)(Listing)
        self.rows = lru_cache(maxsize=KEPT)(_rows)
        self._findings = lru_cache(maxsize=KEPT)(lambda listing: tuple(check(listing.document)))
        self._difference = lru_cache(maxsize=KEPT)(lambda one, other, day: diff(one.document, other.document, day))

    def today(self) -> date:
        """The day by the database's clock."""
        with self._parts.store.glance() as work:
            return day_of(work.pulse().now)

    def seen(self, number: str | None) -> tuple[Seen, date]:
        """The edition in force, or the draft of this number, and today. Raises ``edition.…``."""
        with self._parts.store.read() as work:
            pulse = work.pulse()
            today = day_of(pulse.now)
            if number:
                draft, body = _found(work.read_draft(number), number)
                return Seen(self.listing(draft.digest, body), draft.base, draft), today
            edition = self._parts.edition_in_force(work, self._parts.policy(work, pulse), pulse.now)
            return Seen(self._of_edition(work, edition.number), edition.number), today

    def edition(self, number: int) -> Listing:
        """An edition's list. Raises ``edition.unknown``."""
        with self._parts.store.read() as work:
            if number not in {one.number for one in work.published()}:
                raise CallerProblem("edition.unknown", got=str(number))
            return self._of_edition(work, number)

    def editions(self) -> list[Published]:
        """Every edition, the newest first."""
        with self._parts.store.read() as work:
            return list(reversed(work.published()))

    def findings(self, listing: Listing) -> tuple[Finding, ...]:
        """What the check finds."""
        found: tuple[Finding, ...] = self._findings(listing)
        return found

    def difference(self, before: Listing, after: Listing, day: date) -> Difference | None:
        """What becomes different, None where the later list has errors."""
        if has_errors(self.findings(after)):
            return None
        told: Difference = self._difference(before, after, day)
        return told

    def _of_edition(self, work: Any, number: int) -> Listing:
        known = self._editions.get(number)
        if known is None:
            digest, body = work.edition(number)
            known = self._editions[number] = (digest, body)
        return self.listing(*known)

    @cached_property
    def _editions(self) -> dict[int, tuple[str, bytes]]:
        return {}


def _found(kept: tuple[Draft, bytes] | None, number: str) -> tuple[Draft, bytes]:
    if kept is None:
        raise CallerProblem("edition.unknown", got=number)
    return kept


def _rows(listing: Listing, day: date) -> tuple[Row, ...]:
    catalog = listing.catalog
    found = []
    for item in catalog.items.values():
        for place in item.places.values():
            scene = catalog.scenes[place.scene]
            states = Counter(line.state.value for line in lines_of(catalog, item, place, day))
            printed = " ".join(item.printed(place.region))
            sought = " ".join((item.key, printed, *item.name.values(), place.sequence, *place.lead)).casefold()
            counts = {state.value: states[state.value] for state in State}
            found.append(Row(item, place, scene, item.effective.covers(day), counts, sought))
    return tuple(found)
