"""The words of figures: names of what they are told apart by, and of the rates."""

from __future__ import annotations

from collections.abc import Mapping

from broker.core.catalog import Catalog, Item, Mode, Region, Scene, Source, Text
from broker.core.diff import held
from broker.core.figures import GroupBy
from broker.core.supply import Supply
from broker.web.console.list_words import MODES
from broker.web.console.words import mark, told

GROUPS: Mapping[GroupBy, str] = {
    GroupBy.MONTH: mark("Month"),
    GroupBy.REGION: mark("Region"),
    GroupBy.DEPARTMENT: mark("Leading department"),
    GroupBy.SCENE: mark("Scene"),
    GroupBy.ITEM: mark("Item"),
    GroupBy.MATERIAL: mark("Material"),
    GroupBy.MODE: mark("Mode"),
    GroupBy.SOURCE: mark("Source"),
}
RATE_WORDS: Mapping[str, str] = {
    "exemption_rate": mark("Exemption rate"),
    "applicability_rate": mark("Applicability rate"),
    "application_rate": mark("Application rate"),
    "success_rate": mark("Success rate"),
    "satisfaction_rate": mark("Need satisfaction"),
    "unused_rate": mark("Unused rate"),
}
SUPPLY: Mapping[Supply, Text] = {
    Supply.CONNECTED: {"zh": "已接通", "en": "connected"},
    Supply.SILENT: {"zh": "已确认无应答", "en": "silent"},
    Supply.PROMISED: {"zh": "已承诺", "en": "promised"},
    Supply.OVERDUE: {"zh": "已逾期", "en": "overdue"},
}


def name_of(by: GroupBy, key: str, catalog: Catalog) -> str:
    """What people call a group; its key where the list in force does not know it any more."""
    if by is GroupBy.MODE:
        return told(MODES[Mode(key)]) if key in MODES else key
    if by is GroupBy.MATERIAL:
        return material_name(key, catalog)
    if by is GroupBy.REGION:
        found = _name(catalog.regions.get(key))
    elif by is GroupBy.SCENE:
        found = _name(catalog.scenes.get(key))
    elif by is GroupBy.ITEM:
        found = _name(catalog.items.get(key))
    else:
        found = _name(catalog.sources.get(key)) if by is GroupBy.SOURCE else ""
    return found or key or "–"


def _name(found: Region | Scene | Item | Source | None) -> str:
    return "" if found is None else told(found.name)


def material_name(key: str, catalog: Catalog) -> str:
    """A requirement's material, with the role of its holder where that is not the applicant."""
    material, _, holder = key.partition("@")
    found = catalog.materials.get(material)
    return told(held({"zh": material, "en": material} if found is None else found.name, holder))
