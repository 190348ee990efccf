"""One row of the list as a form: every property of its grammar as a field, and what stands beside the fields.

A form is a tree of blocks. A list or a mapping inside the row – the steps of a chain, an item's regions – has a block
for each entry, with buttons that add, move and remove; these work without scripts, since the row so far travels in the
form (``row_values.py``). A field knows its path in the row, so that what the check finds at that path stands beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from broker.core.catalog import Text
from broker.core.field_names import field_name
from broker.core.findings import Finding, Where
from broker.core.guide import role_name
from broker.core.list_terms import (
    APPLICANTS,
    CONNECTORS,
    CYCLES,
    FORMS,
    KINDS,
    LEVELS,
    MODES,
    OPERATIONS,
    OPTIONS,
    PROPERTIES,
    SENSITIVITIES,
    SHARING,
    STATES,
)

SECTIONS = ("items", "materials", "sources", "scenes", "regions")
LONGEST_YAML = 200_000

_ITEM_TYPES = ("行政许可", "其他行政权力", "公共服务", "行政确认", "行政给付", "其他")
_ROW_STATES = {key: STATES[key] for key in ("confirmed", "proposed")}
_YES = {"true": {"zh": "是", "en": "yes"}, "false": {"zh": "否", "en": "no"}}
_ASKING = ("source", "form", "fields", "expect", "related")
TAKES: Mapping[str, tuple[str, ...]] = {  # what a step of each mode has; the check says the same
    "certificate": _ASKING, "data_query": _ASKING, "data_verify": _ASKING, "reuse": _ASKING,
    "scene_result": ("item",), "department_check": ("unit", "source", "form", "fields", "related"),
    "commitment": ("text",), "submission": (),
}  # fmt: skip
OF_A_MODE = ("source", "form", "fields", "expect", "related", "item", "unit", "text")
_ENTRIES: Mapping[str, Mapping[str, Any]] = {  # where a row has entries of its own, and what they are
    "items": {"regions": dict, "materials": list}, "materials": {"chain": list}, "sources": {}, "scenes": {},
    "regions": {},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a row; an optional one that is left empty is left out, or null where the grammar wants it."""

    path: Where
    label: Text
    kind: str = "text"  # text | long | choice | checks | number | list | day | flag | value | yaml
    choices: Mapping[str, Text | str] | None = None
    optional: bool = False
    null: bool = False  # empty means null

    @property
    def name(self) -> str:
        """Its name in the form."""
        return "f:" + _joined(self.path)

    def chosen(self, row: Any) -> list[str]:
        """The values of a field with several."""
        value = _at(row, self.path)
        return [str(one) for one in value] if isinstance(value, list) else []

    def shown(self, row: Any) -> str:
        """Its value as text."""
        value = _at(row, self.path)
        if self.kind == "flag":
            return "false" if value is False else "true"
        if value is None:
            return ""
        if self.kind == "yaml":
            return as_yaml(value)
        if self.kind == "value":
            return value if isinstance(value, str) else json.dumps(value)
        return "、".join(map(str, value)) if isinstance(value, list) else str(value)


@dataclass(frozen=True, slots=True)
class Block:
    """Fields that belong together, and the blocks within; ``path`` is that of the entry, or of the list of entries."""

    title: Text
    fields: tuple[Field, ...] = ()
    blocks: tuple[Block, ...] = ()
    path: Where = ()
    moves: bool = False  # its order among its neighbours means something
    removes: bool = False
    folds: bool = False  # seldom filled in: shown when asked for
    adds: Mapping[str, Text | str] | None = None  # what can be added to the list or mapping at ``path``

    def filled(self, row: Any) -> bool:
        """Whether any of its fields has a value."""
        return any(field.shown(row) for field in self.fields)

    @property
    def name(self) -> str:
        """Its name in the page, and that of its buttons."""
        return _joined(self.path)


def blocks_of(section: str, row: Mapping[str, Any], document: Mapping[str, Any]) -> tuple[Block, ...]:
    """The form of a row; the document names what can be chosen."""
    made = {"items": _item, "materials": _material, "sources": _source, "scenes": _scene, "regions": _region}
    return tuple(made[section](row, document))


def fields_in(blocks: Iterable[Block]) -> Iterator[Field]:
    """Every field of a form."""
    for block in blocks:
        yield from block.fields
        yield from fields_in(block.blocks)


def is_shaped(section: str, row: Any) -> bool:
    """Whether a row is of the shape that forms are made for; another is edited as YAML."""
    if not isinstance(row, dict):
        return False
    for name, kind in _ENTRIES[section].items():
        entries = row.get(name, kind())
        if not isinstance(entries, kind):
            return False
        ones = entries.values() if isinstance(entries, dict) else entries
        if not all(isinstance(one, dict) and _plain(one) for one in ones):
            return False
    return _plain(row)


def _plain(entry: Mapping[str, Any]) -> bool:
    parts = (entry.get(name) for name in ("name", "authority", "effective", "when", "withheld", "options", "stage"))
    rules = entry.get("expect", [])
    return (
        all(part is None or isinstance(part, dict) for part in parts)
        and isinstance(rules, list)
        and all(isinstance(rule, dict) for rule in rules)
    )


def _named(kind: str, base: Where = ()) -> tuple[Field, Field]:
    return _both(kind, "name", base)


def _both(kind: str, name: str, base: Where = ()) -> tuple[Field, Field]:
    label = PROPERTIES[kind][name]
    return (
        Field((*base, name, "zh"), {"zh": f"{label['zh']}（中文）", "en": f"{label['en']} in Chinese"}),
        Field((*base, name, "en"), {"zh": f"{label['zh']}（英文）", "en": f"{label['en']} in English"}),
    )


def _one(of: str, name: str, base: Where = (), **more: Any) -> Field:
    return Field((*base, name), PROPERTIES[of][name], **more)


_COMMON: Text = {"zh": "基本信息", "en": "Common properties"}


def _item(row: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[Block]:
    common = (
        *_named("item"),
        _one("item", "row", optional=True),
        _one("item", "type", kind="choice", choices={name: name for name in _ITEM_TYPES}),
        _one("item", "life_cycle", kind="choice", choices=CYCLES),
        _one("item", "basis", kind="long", optional=True, null=True),
        _one("item", "task_code", optional=True),
        _one("item", "no_commitment", optional=True),
    )
    yield Block(_COMMON, common)
    yield Block(PROPERTIES["item"]["effective"], tuple(_period(("effective",))))
    scenes = {key: _name_in(one, key) for key, one in document.get("scenes", {}).items()}
    regions = {code: _name_in(one, code) for code, one in document.get("regions", {}).items()}
    places = row.get("regions", {})
    yield Block(
        PROPERTIES["item"]["regions"],
        blocks=tuple(_place(code, regions.get(code, code), scenes) for code in places),
        path=("regions",),
        adds={code: name for code, name in regions.items() if code not in places},
    )
    materials = {key: _name_in(one, key) for key, one in document.get("materials", {}).items()}
    needs = row.get("materials", [])
    yield Block(
        PROPERTIES["item"]["materials"],
        blocks=tuple(_need(position, one, materials) for position, one in enumerate(needs)),
        path=("materials",),
        adds=materials,
    )


def _place(code: str, name: Text | str, scenes: Mapping[str, Text | str]) -> Block:
    base: Where = ("regions", code)
    fields = (
        _one("place", "seq", base),
        _one("place", "scene", base, kind="choice", choices=scenes),
        _one("place", "level", base, kind="choice", choices=LEVELS),
        _one("place", "lead", base, kind="list"),
        _one("place", "coop", base, kind="list", optional=True),
        _one("place", "wording", base, optional=True),
        _one("place", "sub_wording", base, optional=True),
        _one("place", "note", base, optional=True),
    )
    return Block(_text(name), fields, path=base, removes=True)


def _need(position: int, entry: Mapping[str, Any], materials: Mapping[str, Text | str]) -> Block:
    base: Where = ("materials", position)
    key = str(entry.get("material", ""))
    fields = (
        _one("requirement", "holder", base, optional=True),
        _one("requirement", "needed", base, kind="flag", choices=_YES),
    )
    when = (
        _one("condition", "party", (*base, "when"), optional=True),
        _one("condition", "applicant", (*base, "when"), kind="choice", choices=APPLICANTS, optional=True),
        _one("condition", "fact", (*base, "when"), optional=True),
        _one("condition", "is", (*base, "when"), kind="value", optional=True),
        *_optional(_both("condition", "text", (*base, "when"))),
    )
    inner = (
        Block(PROPERTIES["requirement"]["when"], when, path=(*base, "when"), folds=True),
        Block(
            PROPERTIES["requirement"]["effective"],
            tuple(_period((*base, "effective"))),
            path=(*base, "effective"),
            folds=True,
        ),
    )
    return Block(_text(materials.get(key, key)), fields, inner, base, moves=True, removes=True)


def _optional(fields: Iterable[Field]) -> Iterator[Field]:
    for one in fields:
        yield Field(one.path, one.label, optional=True)


def _period(base: Where) -> Iterator[Field]:
    yield _one("period", "from", base, kind="day", optional=True)
    yield _one("period", "to", base, kind="day", optional=True)
    yield _one("period", "reason", base, optional=True)


def _material(row: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[Block]:
    common = (
        *_named("material"),
        _one("material", "kind", kind="choice", choices=KINDS),
        _one("material", "basis", kind="long", optional=True, null=True),
    )
    yield Block(_COMMON, common)
    yield Block(
        PROPERTIES["material"]["chain"],
        blocks=tuple(_step(position, one, document) for position, one in enumerate(row.get("chain", []))),
        path=("chain",),
        adds=MODES,
    )


def _step(position: int, entry: Mapping[str, Any], document: Mapping[str, Any]) -> Block:
    base: Where = ("chain", position)
    mode = str(entry.get("mode", ""))
    shown = [name for name in OF_A_MODE if name in TAKES.get(mode, OF_A_MODE) or name in entry]
    known = document.get("sources", {}).get(entry.get("source"), {})
    asked = [str(one) for one in listed(entry.get("fields"))]
    offered = dict.fromkeys([*map(str, listed(known.get("fields"))), *asked])
    made = {
        "source": _one("replacement", "source", base, kind="choice", choices=_sources(document), optional=True),
        "form": _one("replacement", "form", base, kind="choice", choices=FORMS, optional=True),
        "fields": _one("replacement", "fields", base, kind="checks", choices=_field_names(offered), optional=True),
        "related": _one("replacement", "related", base, optional=True),
        "item": _one("replacement", "item", base, kind="choice", choices=_items(document, mode), optional=True),
        "unit": _one("replacement", "unit", base, optional=True),
        "text": _one("replacement", "text", base, optional=True),
    }
    fields = [_one("replacement", "mode", base, kind="choice", choices=MODES)]
    if mode != "submission":
        fields.append(_one("replacement", "state", base, kind="choice", choices=_ROW_STATES, optional=True))
    fields += [made[name] for name in shown if name in made]
    if mode != "submission":
        fields += [
            _one("replacement", "basis", base, kind="long", optional=True),
            _one("replacement", "owner", base, optional=True),
            _one("replacement", "due", base, kind="day", optional=True),
        ]
    inner = (_expectations(base, entry, asked),) if "expect" in shown else ()
    name = MODES.get(mode, {"zh": mode, "en": mode})
    title = {code: f"{position + 1}. {name[code]}" for code in ("zh", "en")}
    return Block(title, tuple(fields), inner, base, moves=True, removes=True)


def _expectations(base: Where, entry: Mapping[str, Any], asked: Sequence[str]) -> Block:
    path: Where = (*base, "expect")
    rules = []
    for position, rule in enumerate(entry.get("expect", [])):
        here: Where = (*path, position)
        fields = dict.fromkeys([*asked, *([str(rule["field"])] if rule.get("field") else [])])
        inner = (
            _one("expectation", "field", here, kind="choice", choices=_field_names(fields)),
            _one("expectation", "op", here, kind="choice", choices=OPERATIONS),
            _one("expectation", "values", here, kind="list", optional=True),
            _one("expectation", "to", here, kind="choice", choices=_persons(str(rule.get("to", ""))), optional=True),
        )
        words = field_name(str(rule.get("field", "")))
        rules.append(Block(words, inner, path=here, removes=True))
    return Block(PROPERTIES["replacement"]["expect"], blocks=tuple(rules), path=path, adds=_field_names(asked))


def _persons(chosen: str) -> dict[str, Text | str]:
    """With whom an answer can be compared: the holder, and whoever the row names already."""
    whose = dict.fromkeys(["holder", "spouse", "legal_representative", *([chosen.partition(".")[0]] if chosen else [])])
    holder = {"zh": "持有人", "en": "holder"}
    number, name = {"zh": "号码", "en": "number"}, {"zh": "姓名（名称）", "en": "name"}
    found: dict[str, Text | str] = {}
    for role in whose:
        said = holder if role == "holder" else role_name(role)
        for part, words in (("number", number), ("name", name)):
            found[f"{role}.{part}"] = {"zh": f"{said['zh']}的{words['zh']}", "en": f"{said['en']}: {words['en']}"}
    return found


def _source(row: Mapping[str, Any], _: Mapping[str, Any]) -> Iterator[Block]:
    people = row.get("connector") == "work_order"
    yield Block(_COMMON, (
        *_named("source"),
        *_both("source", "authority"),
        _one("source", "unit", optional=True),
        _one("source", "level", kind="choice", choices=LEVELS),
        _one("source", "sharing", kind="choice", choices=SHARING),
        _one("source", "sensitivity", kind="choice", choices=SENSITIVITIES),
        _one("source", "state", kind="choice", choices=_ROW_STATES),
    ))  # fmt: skip
    days = [
        Field(("options", name), OPTIONS[name], kind="number", optional=True)
        for name in OPTIONS if people or name in (row.get("options") or {})
    ]  # fmt: skip
    yield Block({"zh": "接口", "en": "Interface"}, (
        _one("source", "platform"),
        _one("source", "connector", kind="choice", choices=CONNECTORS),
        _one("source", "service", optional=True, null=True),
        _one("source", "forms", kind="checks", choices=FORMS),
        _one("source", "fields", kind="list"),
        *days,
        *(() if people else (_one("source", "options", kind="yaml", optional=True),)),
    ))  # fmt: skip
    yield Block({"zh": "时效与上限", "en": "Freshness and limits"}, (
        _one("source", "freshness_days", kind="number"),
        _one("source", "budget_ms", kind="number"),
        _one("source", "calls_per_second", kind="number"),
        _one("source", "calls_per_day", kind="number", optional=True),
    ))  # fmt: skip
    yield Block(PROPERTIES["source"]["withheld"], (
        _one("withheld", "fields", ("withheld",), kind="list", optional=True),
        _one("withheld", "items", ("withheld",), kind="list", optional=True),
        _one("withheld", "basis", ("withheld",), kind="long", optional=True),
    ))  # fmt: skip


def _scene(_row: Mapping[str, Any], _: Mapping[str, Any]) -> Iterator[Block]:
    cycle = _one("scene", "life_cycle", kind="choice", choices=CYCLES)
    yield Block(_COMMON, (cycle, *_both("scene", "stage"), *_named("scene"), _one("scene", "number")))


def _region(_row: Mapping[str, Any], _: Mapping[str, Any]) -> Iterator[Block]:
    yield Block(_COMMON, (*_named("region"), _one("region", "levels", kind="checks", choices=LEVELS)))


def _sources(document: Mapping[str, Any]) -> dict[str, Text | str]:
    return {key: _name_in(one, key) for key, one in document.get("sources", {}).items()}


def _items(document: Mapping[str, Any], mode: str) -> dict[str, Text | str]:
    """The items a step may name; only where it names one, since there are hundreds."""
    if mode != "scene_result":
        return {}
    return {key: _name_in(one, key) for key, one in document.get("items", {}).items()}


def _field_names(names: Iterable[str]) -> dict[str, Text | str]:
    return {name: field_name(name) for name in names}


def _name_in(entry: Any, key: str) -> Text | str:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    return {code: f"{name.get(code, '')} [{key}]" for code in ("zh", "en")} if isinstance(name, Mapping) else key


def _text(name: Text | str) -> Text:
    return {"zh": name, "en": name} if isinstance(name, str) else name


def listed(value: Any) -> list[Any]:
    """A list, or none where it is something else."""
    return value if isinstance(value, list) else []


def _joined(path: Where) -> str:
    return "/".join(map(str, path))


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
    return str(yaml.safe_dump(row, allow_unicode=True, sort_keys=False, width=100))


def beside(findings: Sequence[Finding], section: str, key: str, blocks: Sequence[Block]) -> dict[str, list[Finding]]:
    """The findings of one row by the name of the field, or of the block, that they belong to; "" for the row's own."""
    fields = {field.path: field.name for field in fields_in(blocks)}
    entries = {block.path: f"b:{block.name}" for block in _all(blocks) if block.path}
    told: dict[str, list[Finding]] = {}
    for one in findings:
        if one.path[:2] != (section, key):
            continue
        rest = one.path[2:]
        nearest = [rest[:length] for length in range(len(rest), 0, -1)]
        owner = next((fields.get(path) or entries[path] for path in nearest if path in fields or path in entries), "")
        told.setdefault(owner, []).append(one)
    return told


def _all(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        yield from _all(block.blocks)
