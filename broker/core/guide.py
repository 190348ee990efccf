"""The item guide (一次告知): everything that one item, or a whole scene, requires, told once and in plain words.

It says what the list holds today, not what a source will answer: a material that is skipped here is still asked for
where the source does not know the applicant. Pure: the same edition, region and day give the same guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from broker.core.catalog import (
    Catalog,
    Edition,
    Item,
    Level,
    Material,
    Mode,
    Place,
    Replacement,
    Requirement,
    RowState,
    Text,
)
from broker.core.errors import CallerProblem


class Outcome(StrEnum):
    """What the applicant has to do about a material."""

    SKIPPED = "skipped"  # 免提交
    ISSUED_HERE = "issued_here"  # an earlier item of the scene issues it
    CHECKED = "checked"  # departments ask each other
    COMMITMENT = "commitment"  # a signed commitment stands for it
    SUBMIT_FOR_NOW = "submit_for_now"  # a source is proposed, and not confirmed yet
    SUBMIT = "submit"


_WORDS: dict[Outcome, Text] = {
    Outcome.SKIPPED: {
        "zh": "免提交：由{names}共享取得；查不到时再请您提交",
        "en": "Not needed: obtained from {names}; asked for only if the data is not found",
    },
    Outcome.ISSUED_HERE: {
        "zh": "免提交：由本次联办的“{names}”产生",
        "en": "Not needed: issued by “{names}”, earlier in this scene",
    },
    Outcome.CHECKED: {"zh": "免提交：由{names}核查", "en": "Not needed: checked with {names}"},
    Outcome.COMMITMENT: {
        "zh": "可签署告知承诺书（{names}）代替提交",
        "en": "A signed commitment ({names}) may stand for it",
    },
    Outcome.SUBMIT_FOR_NOW: {
        "zh": "目前仍须提交：拟由{names}共享取得，尚待确认",
        "en": "Still to be handed in: sharing by {names} is proposed and not confirmed yet",
    },
    Outcome.SUBMIT: {"zh": "请提交", "en": "To be handed in"},
}
_ROLES: dict[str, Text] = {
    "applicant": {"zh": "申请人", "en": "applicant"},
    "legal_representative": {"zh": "法定代表人（负责人）", "en": "legal representative"},
    "shareholder": {"zh": "自然人股东", "en": "shareholder"},
    "shareholder_organisation": {"zh": "法人股东", "en": "shareholder that is an organisation"},
    "property_owner": {"zh": "房屋所有权人", "en": "owner of the premises"},
    "parent_company": {"zh": "隶属企业", "en": "parent company"},
    "new_officer": {"zh": "新任人员", "en": "new officer"},
    "safety_officer": {"zh": "安全生产管理人员", "en": "safety officer"},
    "spouse": {"zh": "配偶", "en": "spouse"},
    "mother": {"zh": "母亲", "en": "mother"},
    "father": {"zh": "父亲", "en": "father"},
    "seller": {"zh": "卖方", "en": "seller"},
    "deceased": {"zh": "死者", "en": "deceased"},
}
_LEVELS: dict[Level, Text] = {
    Level.NATIONAL: {"zh": "国家级", "en": "national level"},
    Level.PROVINCE: {"zh": "省级", "en": "provincial level"},
    Level.CITY: {"zh": "市级", "en": "city level"},
    Level.COUNTY: {"zh": "县级", "en": "county level"},
}


@dataclass(frozen=True, slots=True)
class _Need:
    """A material of one holder, and the items and requirements that ask for it."""

    material: Material
    items: tuple[Item, ...]
    requirements: tuple[Requirement, ...]


def guide(edition: Edition, *, region: str, item: str | None, scene: str | None, today: date) -> dict[str, Any]:
    """What one item, or every item in force of a scene, requires in a region on a day.

    An item that another level decides is shown, and marked. Raises ``CallerProblem``: ``request.scope`` unless
    exactly one of item and scene is named, ``request.region``, ``request.item``, ``request.scene`` for what the list
    does not hold, ``request.item-not-in-force`` for an item that is abolished or not yet in force.
    """
    if (item is None) == (scene is None):
        raise CallerProblem("request.scope", expected="item or scene", pointer="/item")
    catalog = edition.catalog
    items = catalog.items_of(region=region, item=item, scene=scene)
    living = tuple(one for one in items if one.effective.covers(today))
    if not living:
        raise CallerProblem(
            "request.item-not-in-force", got=items[0].key, expected=items[0].abolished_by, pointer="/item"
        )
    materials = [_material(need, living, catalog) for need in _needs(living, catalog, today)]
    return {
        "edition": edition.number,
        "date": today.isoformat(),
        "region": {"code": region, "name": dict(catalog.regions[region].name)},
        "scene": None if scene is None else {"key": scene, "name": dict(catalog.scenes[scene].name)},
        "items": [_item(one, one.places[region], catalog) for one in living],
        "not_in_force": [
            {"key": one.key, "name": dict(one.name), "reason": one.abolished_by} for one in items if one not in living
        ],
        "materials": materials,
        "counts": _counts(materials),
    }


def role_name(role: str) -> Text:
    """A role in plain words; one that the list has newly invented stands for itself."""
    return _ROLES.get(role, {"zh": role, "en": role.replace("_", " ")})


def _counts(materials: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    outcomes = [entry["outcome"] for entry in materials]
    return {"materials": len(outcomes), **{outcome.value: outcomes.count(outcome) for outcome in Outcome}}


def _needs(items: tuple[Item, ...], catalog: Catalog, today: date) -> list[_Need]:
    """Every material of every holder once, however many items ask for it (一套材料)."""
    found: dict[str, _Need] = {}
    for item in items:
        for requirement in item.requirements:
            if requirement.effective.covers(today):
                before = found.get(requirement.key)
                found[requirement.key] = _Need(
                    catalog.materials[requirement.material],
                    (*(before.items if before else ()), item),
                    (*(before.requirements if before else ()), requirement),
                )
    return list(found.values())


def _item(item: Item, place: Place, catalog: Catalog) -> dict[str, Any]:
    here = place.level in catalog.regions[place.region].levels
    return {
        "key": item.key,
        "name": dict(item.name),
        "row": item.row,
        "type": item.type,
        "basis": item.basis,
        "seq": place.sequence,
        "lead": list(place.lead),
        "coop": list(place.cooperating),
        "level": {"key": place.level.value, **_LEVELS[place.level]},
        "decided_here": here,
        "decided_elsewhere": None if here else _elsewhere(place),
        "note": place.note,
    }


def _elsewhere(place: Place) -> Text:
    level = _LEVELS[place.level]
    return {
        "zh": f"{place.note or level['zh'] + '事项'}：由{level['zh']}机关办理，本地不予受理",
        "en": f"Decided at {level['en']}, not here",
    }


def _material(need: _Need, items: tuple[Item, ...], catalog: Catalog) -> dict[str, Any]:
    first = need.requirements[0]
    outcome, rows = _outcome(need.material, {item.key for item in items})
    names = {language: _names(outcome, rows, catalog, language) for language in ("zh", "en")}
    return {
        "key": first.key,
        "material": need.material.key,
        "name": dict(need.material.name),
        "kind": need.material.kind,
        "holder": {"role": first.holder, **role_name(first.holder)},
        "items": [item.key for item in need.items],
        "needed": any(requirement.needed for requirement in need.requirements),
        "condition": _condition(need.requirements),
        "basis": need.material.basis,
        "outcome": outcome.value,
        "text": {language: _WORDS[outcome][language].format(names=names[language]) for language in ("zh", "en")},
        "sources": [_source(row, catalog) for row in rows if row.source],
    }


def _outcome(material: Material, items: set[str]) -> tuple[Outcome, list[Replacement]]:
    """The first confirmed way that is open here decides; the rows returned are those the words speak of."""
    for step in material.chain:
        if step.state is not RowState.CONFIRMED:
            continue
        if step.mode.asks_source:
            asking = [row for row in material.chain if row.mode.asks_source and row.state is RowState.CONFIRMED]
            return Outcome.SKIPPED, asking
        if step.mode is Mode.SCENE_RESULT and step.item in items:
            return Outcome.ISSUED_HERE, [step]
        if step.mode is Mode.DEPARTMENT_CHECK:
            return Outcome.CHECKED, [step]
        if step.mode is Mode.COMMITMENT:
            return Outcome.COMMITMENT, [step]
    proposed = [row for row in material.chain if row.state is RowState.PROPOSED]
    return (Outcome.SUBMIT_FOR_NOW, proposed) if proposed else (Outcome.SUBMIT, [])


def _names(outcome: Outcome, rows: list[Replacement], catalog: Catalog, language: str) -> str:
    names = []
    for row in rows:
        if row.source:
            names.append(catalog.sources[row.source].name[language])
        elif outcome is Outcome.ISSUED_HERE and row.item:
            names.append(catalog.items[row.item].name[language])
        else:
            names.append(row.unit or row.text)
    return ("、" if language == "zh" else " or ").join(dict.fromkeys(names))


def _source(row: Replacement, catalog: Catalog) -> dict[str, Any]:
    source = catalog.sources[row.source or ""]
    return {
        "key": source.key,
        "name": dict(source.name),
        "authority": dict(source.authority),
        "mode": row.mode.value,
        "form": row.form.value if row.form else "",
        "fields": list(row.fields),
        "state": row.state.value,
        "basis": row.basis,
    }


def _condition(requirements: tuple[Requirement, ...]) -> Text | None:
    """None where some item asks for it always; else every condition, each of which suffices."""
    if any(not requirement.when for requirement in requirements):
        return None
    words = [_when(requirement.when) for requirement in requirements]
    return {
        "zh": "，或者".join(dict.fromkeys(text["zh"] for text in words)),
        "en": ", or ".join(dict.fromkeys(text["en"] for text in words)),
    }


def _when(when: Mapping[str, Any]) -> Text:
    if "party" in when:
        name = role_name(when["party"])
        return {"zh": f"有{name['zh']}的", "en": f"if there is a {name['en']}"}
    if "applicant" in when:
        organisation = when["applicant"] == "organisation"
        return {
            "zh": "申请人为单位的" if organisation else "申请人为个人的",
            "en": f"if the applicant is {'an organisation' if organisation else 'a person'}",
        }
    text: Text = when.get("text") or {"zh": f"{when['fact']} = {when['is']}", "en": f"{when['fact']} = {when['is']}"}
    return text
