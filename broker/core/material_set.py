"""一套材料: what several items require together – each material of each holder once – and what becomes of it.

The item guide and the scene plan both tell this. What the list promises here is what ``broker.core.decide`` carries out
where every source knows the applicant; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from broker.core.case import APPLICANT
from broker.core.catalog import Catalog, Form, Item, Material, Mode, Replacement, Requirement, RowState


class Outcome(StrEnum):
    """What the applicant has to do about a material."""

    SKIPPED = "skipped"  # 免提交
    ISSUED_HERE = "issued_here"  # an earlier item of the scene issues it
    CHECKED = "checked"  # departments ask each other
    COMMITMENT = "commitment"  # a signed commitment stands for it
    SUBMIT_FOR_NOW = "submit_for_now"  # a source is proposed, and not confirmed yet
    SUBMIT = "submit"


_SETTLED = {  # a confirmed row of these modes needs no answer of a source
    Mode.SCENE_RESULT: Outcome.ISSUED_HERE,
    Mode.DEPARTMENT_CHECK: Outcome.CHECKED,
    Mode.COMMITMENT: Outcome.COMMITMENT,
}


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of a case before it is filed. What is not known counts as met, and is told as a condition."""

    roles: frozenset[str] | None = None  # whom the case knows besides the applicant
    applicant: str | None = None  # person | organisation
    facts: Mapping[str, Any] = field(default_factory=dict)

    def admits(self, when: Mapping[str, Any]) -> bool:
        """Whether a requirement under this condition may apply."""
        if "party" in when:
            return self.roles is None or when["party"] in {APPLICANT, *self.roles}
        if "applicant" in when:
            return self.applicant in {None, when["applicant"]}
        return "fact" not in when or self.facts.get(when["fact"], when["is"]) == when["is"]

    def decides(self, when: Mapping[str, Any]) -> bool:
        """Whether the condition is known to be met or not, so that it need not be told."""
        if "party" in when:
            return self.roles is not None
        if "applicant" in when:
            return self.applicant is not None
        return "fact" not in when or when["fact"] in self.facts


ANYBODY = Situation()  # nothing is known, so every condition is told


@dataclass(frozen=True, slots=True)
class Wanted:
    """One material of one holder, the items that require it, and the rows its outcome rests on."""

    material: Material
    items: tuple[Item, ...]
    requirements: tuple[Requirement, ...]
    outcome: Outcome
    rows: tuple[Replacement, ...]  # confirmed, in the order they are walked; proposed where nothing is confirmed

    @property
    def key(self) -> str:
        """How requests and receipts call it."""
        return self.requirements[0].key

    @property
    def holder(self) -> str:
        """Whose it is, as a role."""
        return self.requirements[0].holder

    @property
    def needed(self) -> bool:
        """Whether some item cannot do without it."""
        return any(requirement.needed for requirement in self.requirements)

    @property
    def queries(self) -> tuple[Replacement, ...]:
        """The confirmed rows whose answers bring fields, and so can fill in a form."""
        return tuple(row for row in self.rows if row.form is Form.QUERY and row.state is RowState.CONFIRMED)


def material_set(
    items: Iterable[Item], catalog: Catalog, today: date, situation: Situation = ANYBODY
) -> tuple[Wanted, ...]:
    """Every material of every holder once, however many of the items ask for it; in the order they first do."""
    handled = tuple(items)
    keys = {item.key for item in handled}
    found: dict[str, list[tuple[Item, Requirement]]] = {}
    for item in handled:
        for requirement in item.requirements:
            if requirement.effective.covers(today) and situation.admits(requirement.when):
                found.setdefault(requirement.key, []).append((item, requirement))
    return tuple(_wanted(pairs, catalog, keys) for pairs in found.values())


def _wanted(pairs: list[tuple[Item, Requirement]], catalog: Catalog, items: set[str]) -> Wanted:
    requirements = tuple(requirement for _, requirement in pairs)
    material = catalog.materials[requirements[0].material]
    outcome, rows = _outcome(material, items)
    return Wanted(material, tuple(item for item, _ in pairs), requirements, outcome, rows)


def _outcome(material: Material, items: set[str]) -> tuple[Outcome, tuple[Replacement, ...]]:
    rows = _walked(material, items)
    if rows:
        return _SETTLED.get(rows[0].mode, Outcome.SKIPPED), rows
    proposed = tuple(row for row in material.chain if row.state is RowState.PROPOSED)
    return (Outcome.SUBMIT_FOR_NOW, proposed) if proposed else (Outcome.SUBMIT, ())


def _walked(material: Material, items: set[str]) -> tuple[Replacement, ...]:
    """The confirmed rows that are open here, up to the first that settles the material without a source."""
    rows: list[Replacement] = []
    for row in material.chain:
        if row.mode is Mode.SUBMISSION:
            break
        if row.state is not RowState.CONFIRMED:
            continue
        if row.mode.asks_source:
            rows.append(row)
        elif row.mode in _SETTLED and (row.mode is not Mode.SCENE_RESULT or row.item in items):
            return (*rows, row)
    return tuple(rows)
