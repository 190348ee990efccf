"""One row of the list as a form: its common properties as fields, and what a sent form makes of the row.

Everything else of a row is edited as YAML, in a field of its own. A field knows its path in the row, so that what the
check finds at that path stands beside it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from broker.core.catalog import Text
from broker.core.findings import Finding, Where
from broker.web.console.list_words import KINDS, LEVELS, MODES, SHARING, STATES
from broker.web.console.words import mark, told

SECTIONS = ("items", "materials", "sources")
LONGEST_YAML = 200_000

_ITEM_TYPES = ("行政许可", "其他行政权力", "公共服务", "行政确认", "行政给付", "其他")
_ROW_STATES = {key: STATES[key] for key in ("confirmed", "proposed")}


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a row; an optional one that is left empty is left out, or null where the grammar wants it."""

    path: Where
    label: str  # English, translated where it is shown
    kind: str = "text"  # text | long | choice | number | list | day
    choices: Mapping[str, Text | str] | None = None
    optional: bool = False
    null: bool = False  # empty means null
    group: str = ""  # a heading above it, as it is

    @property
    def name(self) -> str:
        """Its name in the form."""
        return "f:" + "/".join(map(str, self.path))

    def shown(self, row: Any) -> str:
        """Its value as text."""
        value = _at(row, self.path)
        if value is None:
            return ""
        return "、".join(map(str, value)) if isinstance(value, list) else str(value)


def fields_of(section: str, row: Mapping[str, Any], document: Mapping[str, Any]) -> list[Field]:
    """The fields of a row's form; the document names its scenes and regions."""
    named = [Field(("name", "zh"), mark("Name in Chinese")), Field(("name", "en"), mark("Name in English"))]
    if section == "items":
        return [*named, *_item(row, document)]
    return [*named, *(_material(row) if section == "materials" else _source())]


def _item(row: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[Field]:
    yield Field(("type",), mark("Kind of item"), "choice", {one: one for one in _ITEM_TYPES})
    yield Field(("basis",), mark("Legal basis"), "long", optional=True, null=True)
    yield Field(("task_code",), mark("Implementation code"), optional=True)
    yield Field(("effective", "from"), mark("In force from"), "day", optional=True)
    yield Field(("effective", "to"), mark("In force until"), "day", optional=True)
    yield Field(("effective", "reason"), mark("Why it ends"), optional=True)
    names = {key: one["name"] for key, one in document["scenes"].items()}
    for code in row.get("regions", {}):
        base: Where = ("regions", code)
        group = told(document["regions"][code]["name"]) if code in document["regions"] else code
        yield Field((*base, "seq"), mark("Number in the plan"), group=group)
        yield Field((*base, "scene"), mark("Scene"), "choice", names, group=group)
        yield Field((*base, "level"), mark("Deciding level"), "choice", LEVELS, group=group)
        yield Field((*base, "lead"), mark("Leading departments"), "list", group=group)
        yield Field((*base, "coop"), mark("Cooperating departments"), "list", optional=True, group=group)
        yield Field((*base, "note"), mark("Note"), optional=True, group=group)


def _material(row: Mapping[str, Any]) -> Iterator[Field]:
    yield Field(("kind",), mark("Kind of material"), "choice", KINDS)
    yield Field(("basis",), mark("Legal basis"), "long", optional=True, null=True)
    for position, one in enumerate(row.get("chain", ())):
        if one.get("mode") == "submission":
            continue
        group = f"{position + 1}. {told(MODES[one['mode']])} {one.get('source') or one.get('unit') or ''}"
        base: Where = ("chain", position)
        yield Field((*base, "state"), mark("State"), "choice", _ROW_STATES, optional="state" not in one, group=group)
        yield Field((*base, "basis"), mark("What confirms it"), "long", optional=True, group=group)
        yield Field((*base, "owner"), mark("Responsible body"), optional=True, group=group)
        yield Field((*base, "due"), mark("To be confirmed by"), "day", optional=True, group=group)


def _source() -> Iterator[Field]:
    yield Field(("authority", "zh"), mark("Authority in Chinese"))
    yield Field(("authority", "en"), mark("Authority in English"))
    yield Field(("level",), mark("Level that keeps it"), "choice", LEVELS)
    yield Field(("sharing",), mark("Sharing"), "choice", SHARING)
    yield Field(("state",), mark("State"), "choice", _ROW_STATES)
    yield Field(("service",), mark("Service code"), optional=True, null=True)
    yield Field(("fields",), mark("Fields it offers"), "list")
    yield Field(("freshness_days",), mark("Days its data may be old"), "number")
    yield Field(("budget_ms",), mark("Milliseconds a lookup may take"), "number")
    yield Field(("calls_per_second",), mark("Calls a second"), "number")


def from_fields(row: Any, fields: Sequence[Field], form: Mapping[str, str]) -> Any:
    """The row with the form's values; what the form does not name stays as it is."""
    changed = copy.deepcopy(row)
    for field in fields:
        if field.name in form:
            _put(changed, field, form[field.name].strip())
    return changed


def _put(row: Any, field: Field, text: str) -> None:
    place = row
    for step in field.path[:-1]:
        if isinstance(place, dict) and step not in place:
            if not text:
                return
            place[step] = {}
        place = place[step]
    last: Any = field.path[-1]
    if text or (field.kind == "list" and not field.optional):
        place[last] = _value(field, text)
    elif field.null:
        place[last] = None
    elif field.optional:
        place.pop(last, None)
        if not place and len(field.path) > 1 and isinstance(row, dict):
            row.pop(field.path[0], None)
    else:
        place[last] = ""


def _value(field: Field, text: str) -> Any:
    if field.kind == "list":
        parts = text.replace("，", "、").replace(",", "、").split("、")
        return [one.strip() for one in parts if one.strip()]
    if field.kind == "number":
        return int(text) if text.isascii() and text.isdigit() else text  # what is no number, the check will say
    return text


def _at(row: Any, path: Where) -> Any:
    for step in path:
        if isinstance(row, Mapping):
            row = row.get(step)
        elif isinstance(row, list) and isinstance(step, int) and step < len(row):
            row = row[step]
        else:
            return None
    return row


def as_yaml(row: Any) -> str:
    """A row as an editor reads it."""
    return yaml.safe_dump(row, allow_unicode=True, sort_keys=False, width=100)


def beside(findings: Sequence[Finding], section: str, key: str, fields: Sequence[Field]) -> dict[str, list[Finding]]:
    """The findings of one row by the name of the field they belong to; "" for those of the row as a whole."""
    told: dict[str, list[Finding]] = {}
    for one in findings:
        if one.path[:2] != (section, key):
            continue
        rest = one.path[2:]
        owner = next((field.name for field in fields if rest[: len(field.path)] == field.path), "")
        told.setdefault(owner, []).append(one)
    return told
