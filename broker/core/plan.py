"""What one verification needs: a pure function of (edition, request, day).

For one item or a whole scene: every applicable material of every holder once, and behind each the lookups its chain
may send, de-duplicated – the same source, form and person is one lookup, with the union of the fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from broker.core.answer import Matter, Question
from broker.core.case import APPLICANT, Party, Request
from broker.core.catalog import Catalog, Edition, Form, Item, Material, Mode, Replacement, Requirement, RowState
from broker.core.errors import CallerProblem


@dataclass(frozen=True, slots=True)
class Need:
    """One material of one holder, and the items of this request that require it."""

    key: str
    material: Material
    role: str
    holder: Party | None  # None: the request names nobody in this role
    items: tuple[str, ...]
    needed: bool


@dataclass(frozen=True, slots=True)
class PlannedLookup:
    """One question that chains of this plan may send; ``key`` tells it apart within the verification."""

    key: str
    source: str
    form: Form
    subject: Party
    related: Party | None
    fields: tuple[str, ...]
    items: tuple[str, ...]
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An item of the scene that is not handled here and now, and why (a problem code)."""

    item: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Needs in the order of the list, and every lookup their chains may send, by key."""

    edition: int
    items: tuple[Item, ...]
    needs: tuple[Need, ...]
    lookups: Mapping[str, PlannedLookup]
    left_out: tuple[LeftOut, ...] = ()


def plan(edition: Edition, request: Request, today: date) -> Plan:
    """The plan of a request under an edition, on a day.

    Raises ``CallerProblem``: ``request.region``, ``request.item``, ``request.scene``, ``request.role``,
    ``request.material``, ``request.item-not-in-force``, ``request.level``.
    """
    catalog = edition.catalog
    items = catalog.items_of(region=request.region, item=request.item, scene=request.scene)
    _known_roles(catalog, items, request)  # also those whom only an item that is left out would concern
    items, left_out = handled(catalog, items, request.region, today, "/item" if request.item else "/scene")
    needs = _needs(catalog, items, request, today)
    if request.materials:
        needs = _subset(needs, request.materials)
    return Plan(edition.number, items, needs, _lookups(needs, request), left_out)


def lookup_of(step: Replacement, need: Need, request: Request) -> str | None:
    """The key of the lookup a step sends, or None where the request names too few people for it."""
    if need.holder is None or step.source is None or step.form is None:
        return None
    related = request.party(step.related) if step.related else None
    if step.related and related is None:
        return None
    key = f"{step.source}:{step.form}:{_first_role(need.holder, request)}"
    return f"{key}+{_first_role(related, request)}" if related else key


def question(
    plan: Plan, lookup: PlannedLookup, lookup_id: str, request: Request, system: str, catalog: Catalog
) -> Question:
    """The question a lookup sends, its matter filled from the case."""
    item = next(item for item in plan.items if item.key == lookup.items[0])
    master = item.places[request.region].master  # 实施编码 is the implementing body's, so it differs by region
    names = "、".join(catalog.materials[need.partition("@")[0]].name["zh"] for need in lookup.needs)
    matter = Matter(
        system=system,
        case_number=request.case_number,
        item_code=(master.task_code if master else None) or item.task_code or item.key,
        item_name=item.name["zh"],
        material_name=names,
        region=request.region,
        basis=request.basis.value,
        applicant=request.applicant,
        operator=request.operator,
        legal_basis=_legal_basis(lookup, catalog),
    )
    return Question(
        lookup_id=lookup_id,
        source=lookup.source,
        form=lookup.form,
        subject=lookup.subject,
        related=lookup.related,
        fields=lookup.fields,
        matter=matter,
        token=lookup.subject.token,
        certificates=lookup.subject.certificates,
    )


def _legal_basis(lookup: PlannedLookup, catalog: Catalog) -> str:
    """What the rows that ask this source rest on."""
    rows = (row for need in lookup.needs for row in catalog.materials[need.partition("@")[0]].chain)
    return "；".join(dict.fromkeys(row.basis for row in rows if row.source == lookup.source and row.basis))


def handled(
    catalog: Catalog, items: tuple[Item, ...], region: str, today: date, pointer: str
) -> tuple[tuple[Item, ...], tuple[LeftOut, ...]]:
    """The items in force and decided here. A single item must be both; of several the rest is left out, and said so.

    Raises ``CallerProblem`` ``request.item-not-in-force`` or ``request.level`` where nothing is left.
    """
    levels = catalog.regions[region].levels
    left_out: list[LeftOut] = []
    for item in items:
        if not item.effective.covers(today):
            left_out.append(LeftOut(item.key, "request.item-not-in-force"))
        elif item.places[region].level not in levels:
            left_out.append(LeftOut(item.key, "request.level"))
    gone = {one.item for one in left_out}
    kept = tuple(item for item in items if item.key not in gone)
    if not kept:
        first, item = left_out[0], items[0]
        why = item.places[region].level.value if first.reason == "request.level" else item.abolished_by
        raise CallerProblem(first.reason, got=item.key, expected=why, pointer=pointer)
    return kept, tuple(left_out)


def roles_of(catalog: Catalog, items: Iterable[Item]) -> set[str]:
    """Every role that a material of these items is about, or that a chain names beside it."""
    known = {APPLICANT}
    for requirement in (requirement for item in items for requirement in item.requirements):
        known |= {requirement.holder, str(requirement.when.get("party", APPLICANT))}
        known |= {step.related for step in catalog.materials[requirement.material].chain if step.related}
    return known


def _known_roles(catalog: Catalog, items: tuple[Item, ...], request: Request) -> None:
    known = roles_of(catalog, items)
    for position, party in enumerate(request.parties):
        if party.role not in known:
            raise CallerProblem("request.role", got=party.role, pointer=f"/parties/{position}/role")


def _needs(catalog: Catalog, items: tuple[Item, ...], request: Request, today: date) -> tuple[Need, ...]:
    found: dict[str, Need] = {}
    for item in items:
        for requirement in item.requirements:
            if not _applies(requirement, request, today):
                continue
            before = found.get(requirement.key)
            found[requirement.key] = Need(
                key=requirement.key,
                material=catalog.materials[requirement.material],
                role=requirement.holder,
                holder=request.party(requirement.holder),
                items=(*(before.items if before else ()), item.key),
                needed=requirement.needed or (before is not None and before.needed),
            )
    return tuple(found.values())


def _applies(requirement: Requirement, request: Request, today: date) -> bool:
    when = requirement.when
    if not requirement.effective.covers(today):
        return False
    if "party" in when and request.party(when["party"]) is None:
        return False
    if "applicant" in when and (when["applicant"] == "organisation") != request.applicant.is_organisation:
        return False
    return "fact" not in when or request.facts.get(when["fact"], when["is"]) == when["is"]


def _subset(needs: tuple[Need, ...], wanted: tuple[str, ...]) -> tuple[Need, ...]:
    known = {need.key for need in needs}
    for position, key in enumerate(wanted):
        if key not in known:
            raise CallerProblem("request.material", got=key, pointer=f"/materials/{position}")
    return tuple(need for need in needs if need.key in wanted)


def _lookups(needs: tuple[Need, ...], request: Request) -> dict[str, PlannedLookup]:
    found: dict[str, PlannedLookup] = {}
    for need in needs:
        for step in need.material.chain:
            asks = step.asks_source or step.mode is Mode.REUSE  # which asks nobody, but needs the same permission
            sent = asks and step.state is RowState.CONFIRMED
            key = lookup_of(step, need, request) if sent else None
            if key is not None:
                found[key] = _joined(found.get(key), key, step, need, request)
    return found


def _joined(before: PlannedLookup | None, key: str, step: Replacement, need: Need, request: Request) -> PlannedLookup:
    if need.holder is None or step.source is None or step.form is None:
        raise AssertionError(key)  # lookup_of gives no key then
    if before is not None:
        return replace(
            before,
            fields=_union(before.fields, step.fields),
            items=_union(before.items, need.items),
            needs=_union(before.needs, (need.key,)),
        )
    return PlannedLookup(
        key=key,
        source=step.source,
        form=step.form,
        subject=need.holder,
        related=request.party(step.related) if step.related else None,
        fields=step.fields,
        items=need.items,
        needs=(need.key,),
    )


def _union(first: Iterable[str], second: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _first_role(party: Party, request: Request) -> str:
    """One person in two roles is one subject: the first role that names them, the applicant first."""
    people = (request.applicant, *request.parties)
    return next(one.role for one in people if one.subject == party.subject)
