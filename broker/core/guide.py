"""The item guide (一次告知): everything that one item, or a whole scene, requires, told once and in plain words.

It says what the list holds today, not what a source will answer: a material that is skipped here is still asked for
where the source does not know the applicant. Pure: the same edition, region and day give the same guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from broker.core.catalog import Catalog, Edition, Item, Level, Mode, Place, Replacement, Requirement, Text
from broker.core.errors import CallerProblem
from broker.core.material_set import ANYBODY, Outcome, Situation, Wanted, material_set
from broker.core.receipt_text import MODES

_WORDS: dict[Outcome, Text] = {
    Outcome.SKIPPED: {
        "zh": "免提交：由{names}共享取得；查不到时{then}",
        "en": "Not needed: obtained from {names}; {then} only if the data is not found",
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
OUTCOMES: dict[Outcome, Text] = {  # in a word, for tables
    Outcome.SKIPPED: {"zh": "免提交", "en": "not needed"},
    Outcome.ISSUED_HERE: {"zh": "联办产生", "en": "issued in the scene"},
    Outcome.CHECKED: {"zh": "部门核查", "en": "checked"},
    Outcome.COMMITMENT: {"zh": "可承诺", "en": "commitment"},
    Outcome.SUBMIT_FOR_NOW: {"zh": "暂须提交", "en": "submit for now"},
    Outcome.SUBMIT: {"zh": "须提交", "en": "submit"},
}
_THEN: dict[Mode, Text] = {  # what comes after the sources, where they do not know the applicant
    Mode.SUBMISSION: {"zh": "再请您提交", "en": "asked for"},
    Mode.COMMITMENT: {"zh": "可签署告知承诺书代替提交", "en": "a signed commitment is asked for"},
    Mode.DEPARTMENT_CHECK: {"zh": "由部门间核查", "en": "checked between departments"},
    Mode.SCENE_RESULT: {"zh": "由本次联办的结果代替", "en": "replaced by a result of this scene"},
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
    "agent": {"zh": "代理人", "en": "agent"},
    "child": {"zh": "子女", "en": "child"},
    "guardian": {"zh": "监护人", "en": "guardian"},
    "relative": {"zh": "近亲属", "en": "relative"},
    "patient": {"zh": "患者", "en": "patient"},
    "driver": {"zh": "驾驶人", "en": "driver"},
    "employee": {"zh": "职工", "en": "employee"},
    "employer": {"zh": "用人单位", "en": "employer"},
    "trainee": {"zh": "培训学员", "en": "trainee"},
    "special_operator": {"zh": "特种作业人员", "en": "special operator"},
    "physician": {"zh": "医师", "en": "physician"},
    "nurse": {"zh": "护士", "en": "nurse"},
    "pharmacist": {"zh": "药师", "en": "pharmacist"},
    "developer": {"zh": "开发企业", "en": "developer"},
    "organiser": {"zh": "举办者", "en": "organiser"},
    "organiser_organisation": {"zh": "举办单位", "en": "organiser that is an organisation"},
    "co_borrower": {"zh": "共同借款人", "en": "co-borrower"},
    "mortgagee": {"zh": "抵押权人", "en": "mortgagee"},
    "pledgor": {"zh": "出质人", "en": "pledgor"},
    "pledgor_organisation": {"zh": "出质单位", "en": "pledgor that is an organisation"},
    "pledgee": {"zh": "质权人", "en": "pledgee"},
    "pledgee_organisation": {"zh": "质权单位", "en": "pledgee that is an organisation"},
}
_LEVELS: dict[Level, Text] = {
    Level.NATIONAL: {"zh": "国家级", "en": "national level"},
    Level.PROVINCE: {"zh": "省级", "en": "provincial level"},
    Level.CITY: {"zh": "市级", "en": "city level"},
    Level.COUNTY: {"zh": "县级", "en": "county level"},
}


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
    wanted = material_set(living, catalog, today)
    return {
        **heading(edition, region, scene, today),
        "items": [item_told(one, region, catalog) for one in living],
        "not_in_force": [
            {"key": one.key, "name": dict(one.name), "reason": one.abolished_by} for one in items if one not in living
        ],
        "materials": [material_told(one, catalog) for one in wanted],
        "counts": counts(wanted),
    }


def heading(edition: Edition, region: str, scene: str | None, today: date) -> dict[str, Any]:
    """Of which edition, day, region and scene something is told."""
    catalog = edition.catalog
    return {
        "edition": edition.number,
        "date": today.isoformat(),
        "region": {"code": region, "name": dict(catalog.regions[region].name)},
        "scene": None if scene is None else {"key": scene, "name": dict(catalog.scenes[scene].name)},
    }


def role_name(role: str) -> Text:
    """A role in plain words; one that the list has newly invented stands for itself."""
    return _ROLES.get(role, {"zh": role, "en": role.replace("_", " ")})


def counts(wanted: Iterable[Wanted]) -> dict[str, int]:
    """How many materials there are, in all and by outcome."""
    outcomes = [one.outcome for one in wanted]
    return {"materials": len(outcomes), **{outcome.value: outcomes.count(outcome) for outcome in Outcome}}


def item_told(item: Item, region: str, catalog: Catalog) -> dict[str, Any]:
    """An item as its region's plan has it, and whether it is decided there."""
    place = item.places[region]
    here = place.level in catalog.regions[region].levels
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
        "decided_elsewhere": None if here else elsewhere(place),
        "note": place.note,
    }


def elsewhere(place: Place) -> Text:
    """Who decides an item that the region's own bodies do not."""
    level = _LEVELS[place.level]
    return {
        "zh": f"{place.note or level['zh'] + '事项'}：由{level['zh']}机关办理，本地不予受理",
        "en": f"Decided at {level['en']}, not here",
    }


def material_told(wanted: Wanted, catalog: Catalog, situation: Situation = ANYBODY) -> dict[str, Any]:
    """One material in plain words, with what happens to it and on what that rests."""
    material = wanted.material
    return {
        "key": wanted.key,
        "material": material.key,
        "name": dict(material.name),
        "kind": material.kind,
        "holder": {"role": wanted.holder, **role_name(wanted.holder)},
        "items": [item.key for item in wanted.items],
        "needed": wanted.needed,
        "condition": _condition(wanted.requirements, situation),
        "basis": material.basis,
        "outcome": wanted.outcome.value,
        "text": {language: _words(wanted, catalog, language) for language in ("zh", "en")},
        "modes": [{"key": mode.value, **MODES[mode]} for mode in dict.fromkeys(row.mode for row in wanted.rows)],
        "sources": [_source(row, catalog) for row in wanted.rows if row.source],
    }


def _words(wanted: Wanted, catalog: Catalog, language: str) -> str:
    """What happens to the material: where it comes from first, and what comes after."""
    asked = [row for row in wanted.rows if row.mode.asks_source]
    rows = asked if wanted.outcome is Outcome.SKIPPED else wanted.rows
    last = wanted.rows[-1].mode if wanted.rows else Mode.SUBMISSION
    then = _THEN.get(last, _THEN[Mode.SUBMISSION])[language]
    names = dict.fromkeys(_name(row, wanted.outcome, catalog, language) for row in rows)
    return _WORDS[wanted.outcome][language].format(names=("、" if language == "zh" else " or ").join(names), then=then)


def _name(row: Replacement, outcome: Outcome, catalog: Catalog, language: str) -> str:
    """Who or what replaces the material by this row."""
    if row.unit:
        return row.unit
    if row.source:
        return catalog.sources[row.source].name[language]
    if row.item:
        return catalog.items[row.item].name[language]
    return row.text if outcome is Outcome.COMMITMENT else MODES[row.mode][language]


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


def _condition(requirements: tuple[Requirement, ...], situation: Situation) -> Text | None:
    """None where some item asks for it for certain; else every condition, each of which suffices."""
    if any(not requirement.when or situation.decides(requirement.when) for requirement in requirements):
        return None
    words = [condition_words(requirement.when) for requirement in requirements]
    return {
        "zh": "，或者".join(dict.fromkeys(text["zh"] for text in words)),
        "en": ", or ".join(dict.fromkeys(text["en"] for text in words)),
    }


def condition_words(when: Mapping[str, Any]) -> Text:
    """A requirement's condition in plain words."""
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
