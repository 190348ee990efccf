"""一套材料、一次告知、一表申请: what a scene or any set of items requires together in a region, and what is filled in.

Where the guide tells what an applicant should know, this is for the one form that is filed for all: the items that can
be filed here and now, every material once with its state, and every field that verified data can fill in beforehand.
Pure, and the same for the same items in whatever order they were named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from broker.core.catalog import Catalog, Edition, Item, Replacement
from broker.core.errors import CallerProblem
from broker.core.field_names import field_name
from broker.core.guide import counts, elsewhere, heading, item_told, material_told, role_name
from broker.core.material_set import ANYBODY, Situation, Wanted, material_set
from broker.core.plan import LeftOut, handled, roles_of
from broker.core.problems import PROBLEMS

FACT = re.compile(r"([a-z][a-z0-9_]{0,59}):([A-Za-z0-9_.-]{1,60})")
_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")
MAX_ITEMS = 60  # named one by one; the largest scene of the plans has 26


def scene_plan(
    edition: Edition,
    *,
    region: str,
    today: date,
    items: Iterable[str] = (),
    scene: str | None = None,
    situation: Situation = ANYBODY,
) -> dict[str, Any]:
    """The plan as ``schemas/plan.schema.json`` describes it; what is known of the case decides its conditions.

    Raises ``CallerProblem``: ``request.scope`` unless either items or a scene are named, and whatever planning a
    request for them would raise: ``request.region``, ``.item``, ``.scene``, ``.role``, ``.level``,
    ``.item-not-in-force``.
    """
    catalog = edition.catalog
    named = _named(catalog, region, frozenset(items), scene)
    _known_roles(catalog, named, situation)  # as planning a case: also those whom only a left-out item concerns
    kept, left_out = handled(catalog, named, region, today, "/scene" if scene else "/item")
    wanted = material_set(kept, catalog, today, situation)
    return {
        **heading(edition, region, scene, today),
        "situation": _situation(situation),
        "items": [item_told(one, region, catalog) for one in kept],
        "left_out": [_left_out(one, region, catalog) for one in left_out],
        "materials": [material_told(one, catalog, situation) for one in wanted],
        "fields": form_fields(wanted, catalog),
        "counts": counts(wanted),
    }


def fields_of(edition: Edition, items: Iterable[str], today: date) -> list[dict[str, Any]]:
    """The form fields of these items, for who tells nothing else of the plan."""
    catalog = edition.catalog
    return form_fields(material_set([catalog.items[key] for key in items], catalog, today), catalog)


def fact_from(text: str) -> tuple[str, Any]:
    """``new_house:true`` as a request would state it: true and false, whole numbers, else text.

    Raises ``CallerProblem`` ``request.parameter``.
    """
    match = FACT.fullmatch(text)
    if match is None:
        raise CallerProblem("request.parameter", expected=f"fact={FACT.pattern}")
    name, value = match.groups()
    if value in {"true", "false"}:
        return name, value == "true"
    return name, int(value) if _WHOLE.fullmatch(value) else value


def form_fields(wanted: Iterable[Wanted], catalog: Catalog) -> list[dict[str, Any]]:
    """Every field of every holder once that confirmed queries bring, with the sources and materials behind it."""
    found: dict[tuple[str, str], list[tuple[Wanted, Replacement]]] = {}
    for one in wanted:
        for row in one.queries:
            for name in row.fields:
                found.setdefault((name, one.holder), []).append((one, row))
    return [_field(name, holder, rows, catalog) for (name, holder), rows in found.items()]


def _field(name: str, holder: str, rows: list[tuple[Wanted, Replacement]], catalog: Catalog) -> dict[str, Any]:
    sources = dict.fromkeys(row.source or "" for _, row in rows)
    return {
        "field": name,
        "name": dict(field_name(name)),
        "holder": {"role": holder, **role_name(holder)},
        "sources": [{"key": key, "name": dict(catalog.sources[key].name)} for key in sources],
        "materials": list(dict.fromkeys(one.key for one, _ in rows)),
    }


def _named(catalog: Catalog, region: str, items: frozenset[str], scene: str | None) -> tuple[Item, ...]:
    """The items meant, in the list's order, so that the order in which they were named changes nothing."""
    if bool(items) == (scene is not None):
        raise CallerProblem("request.scope", expected="items or a scene", pointer="/item")
    if scene is not None:
        return catalog.items_of(region=region, item=None, scene=scene)
    for key in sorted(items):
        catalog.items_of(region=region, item=key, scene=None)
    return tuple(item for key, item in catalog.items.items() if key in items)


def _known_roles(catalog: Catalog, items: tuple[Item, ...], situation: Situation) -> None:
    unknown = sorted((situation.roles or frozenset()) - roles_of(catalog, items))
    if unknown:
        raise CallerProblem("request.role", got=unknown[0], pointer="/role")


def _situation(situation: Situation) -> dict[str, Any]:
    roles = None if situation.roles is None else sorted(situation.roles)
    return {"roles": roles, "applicant": situation.applicant, "facts": dict(situation.facts)}


def _left_out(one: LeftOut, region: str, catalog: Catalog) -> dict[str, Any]:
    item, kind = catalog.items[one.item], PROBLEMS[one.reason]
    told: Mapping[str, str] = {"zh": item.abolished_by or kind.zh, "en": kind.en}
    if one.reason == "request.level":
        told = elsewhere(item.places[region])
    return {"key": item.key, "name": dict(item.name), "reason": one.reason, "text": dict(told)}
