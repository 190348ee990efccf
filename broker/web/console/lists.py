"""Lists as the pages need them: an edition or a draft with everything that is looked up in it, worked out once.

What is kept is a function of the bytes alone, under their digest, so it can never be out of date.
"""

from __future__ import annotations

import json
import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

from broker.core.catalog import Catalog, Item, Place, Scene, catalog_from
from broker.core.coverage import State, lines_of
from broker.core.day import day_of
from broker.core.diff import diff
from broker.core.diff_groups import Group, grouped
from broker.core.errors import CallerProblem
from broker.core.findings import Finding, has_errors
from broker.flow.parts import Parts
from broker.flow.publish import Check
from broker.ports import Draft, Work
from broker.ports.editions import RowStory, Story

HISTORY = 20  # editions of one page of a row's history
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
    """Reads editions and drafts; one object for all areas of a console, its memory shared by the process's threads."""

    def __init__(self, parts: Parts, check: Check) -> None:
        """``check`` holds a list against its grammar and rules."""
        self._parts = parts
        self._check = check
        self._numbers: dict[int, str] = {}  # an edition's digest, which never changes
        self._listings: OrderedDict[str, Listing] = OrderedDict()
        self._lock = threading.Lock()
        self.rows = lru_cache(maxsize=KEPT)(_rows)
        self._findings = lru_cache(maxsize=KEPT)(lambda listing: tuple(check(listing.document)))
        self._difference = lru_cache(maxsize=KEPT)(_difference)

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
        """An edition's list. Raises ``CallerProblem`` ``edition.unknown``."""
        known = self._known(number)
        if known is not None:
            return known
        found = self.several([number])
        if number not in found:
            raise CallerProblem("edition.unknown", got=str(number))
        return found[number]

    def several(self, numbers: Sequence[int]) -> dict[int, Listing]:
        """Several editions' lists, those that are not in memory read in one statement."""
        found = {number: listing for number in numbers if (listing := self._known(number)) is not None}
        missing = [number for number in numbers if number not in found]
        if missing:
            with self._parts.store.read() as work:
                bodies = work.bodies(missing)
            for number, (digest, body) in bodies.items():
                self._numbers[number] = digest
                found[number] = self.listing(digest, body)
        return found

    def editions(self) -> list[Story]:
        """Every edition and how it came about, the newest first."""
        with self._parts.store.read() as work:
            return work.stories()

    def history(self, section: str, key: str, page: int) -> tuple[list[RowStory], bool]:
        """One page of what the editions did to a row, the newest first, and whether there are more."""
        with self._parts.store.read() as work:
            found = work.row_history(section, key, page * HISTORY, HISTORY + 1)
        return found[:HISTORY], len(found) > HISTORY

    def listing(self, digest: str, body: bytes) -> Listing:
        """A list by its bytes; what was worked out from them is kept as long as it is among the last used."""
        with self._lock:
            known = self._listings.pop(digest, None) or Listing(digest, body)
            self._listings[digest] = known
            while len(self._listings) > KEPT:
                self._listings.popitem(last=False)
        return known

    def _known(self, number: int) -> Listing | None:
        with self._lock:
            return self._listings.get(self._numbers.get(number, ""))

    def findings(self, listing: Listing) -> tuple[Finding, ...]:
        """What the check finds."""
        found: tuple[Finding, ...] = self._findings(listing)
        return found

    def difference(self, before: Listing, after: Listing, day: date) -> Told | None:
        """What becomes different, None where the later list breaks the grammar.

        What follows from it is told where the later list has no errors.
        """
        findings = self.findings(after)
        if any(one.rule == "schema" for one in findings):
            return None
        return self._difference(before, after, day, has_errors(findings))

    def _of_edition(self, work: Work, number: int) -> Listing:
        known = self._known(number)
        if known is None:
            digest, body = work.edition(number)
            self._numbers[number] = digest
            known = self.listing(digest, body)
        return known


@dataclass(frozen=True)
class Told:
    """What becomes different between two lists, row by row; ``is_whole`` where what follows from it is told too."""

    groups: tuple[Group, ...]
    is_whole: bool

    @property
    def count(self) -> int:
        """How many changes, without what follows from them."""
        return sum(len(one.lines) for one in self.groups)


def _difference(before: Listing, after: Listing, day: date, has_errors: bool) -> Told:  # noqa: FBT001 - a cache knows by position
    difference = diff(before.document, after.document, day, effects=not has_errors)
    return Told(grouped(difference, before.document, after.document), not has_errors)


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
