"""What became different between two sharing lists, in plain words, with nothing left out.

Every edit of :mod:`broker.core.patch` gives at least one line, so that two lists without lines are the same list. Two
things follow from edits elsewhere and are worked out from both lists: which material of which item gains or loses its
exemption, and which items' systems gain or lose fields of a source. Pure, for documents that pass the check.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from broker.core import patch
from broker.core.catalog import Catalog, RowState, Text, catalog_from
from broker.core.coverage import State, lines
from broker.core.field_names import field_name
from broker.core.findings import Where
from broker.core.guide import condition_words, role_name
from broker.core.list_terms import FORMS, MODES, OPERATIONS, PROPERTIES, SECTIONS, VALUES, property_name
from broker.core.patch import Edit

Document = Mapping[str, Any]

_Keyed = Mapping[tuple[str, ...], Mapping[str, Any]]
_TOLD = frozenset({"fields", "state"})  # of a row, with lines of their own

MAX_NAMES = 3  # of the items a line names; the values list them all


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: a stable kind, where, and the same sentence in both languages."""

    kind: str
    path: Where
    zh: str
    en: str
    items: tuple[str, ...] = ()  # whom it concerns, where it concerns several


@dataclass(frozen=True, slots=True)
class Difference:
    """The lines for a reader, and the edits that turn the first list into the second."""

    changes: tuple[Change, ...] = ()
    edits: tuple[Edit, ...] = field(default=(), repr=False)


_WORDS: Mapping[str, Text] = {
    "added": {"zh": "新增", "en": "added"},
    "removed": {"zh": "删除", "en": "removed"},
    "rekeyed": {"zh": "键 {before} → {after}", "en": "key {before} → {after}"},
    "renamed": {"zh": "名称 {before} → {after}", "en": "name {before} → {after}"},
    "renumbered": {"zh": "序号 {before} → {after}", "en": "number {before} → {after}"},
    "redepartmented": {"zh": "{what} {before} → {after}", "en": "{what} {before} → {after}"},
    "relevelled": {"zh": "层级 {before} → {after}", "en": "level {before} → {after}"},
    "moved": {"zh": "场景 {before} → {after}", "en": "scene {before} → {after}"},
    "placed": {"zh": "纳入该地区清单", "en": "placed in this region's list"},
    "unplaced": {"zh": "移出该地区清单", "en": "taken out of this region's list"},
    "requirement-added": {"zh": "新要求材料 {after}", "en": "now requires {after}"},
    "requirement-removed": {"zh": "不再要求材料 {before}", "en": "no longer requires {before}"},
    "requirement-changed": {"zh": "{what} {before} → {after}", "en": "{what} {before} → {after}"},
    "row-added": {"zh": "替代链增加 {after}", "en": "the chain gains {after}"},
    "row-removed": {"zh": "替代链去掉 {before}", "en": "the chain loses {before}"},
    "row-changed": {"zh": "{what} {before} → {after}", "en": "{what} {before} → {after}"},
    "row-state": {"zh": "{what}：{before} → {after}", "en": "{what}: {before} → {after}"},
    "fields-added": {"zh": "{what} 增加字段 {after}", "en": "{what} gains the fields {after}"},
    "fields-removed": {"zh": "{what} 减少字段 {before}", "en": "{what} loses the fields {before}"},
    "reordered": {"zh": "{what} 的顺序改变", "en": "the order of {what} changed"},
    "changed": {"zh": "{what} {before} → {after}", "en": "{what} {before} → {after}"},
}
_PLACE: Mapping[str, tuple[str, Text]] = {
    "seq": ("renumbered", {"zh": "", "en": ""}),
    "level": ("relevelled", {"zh": "", "en": ""}),
    "scene": ("moved", {"zh": "", "en": ""}),
    "wording": ("renamed", {"zh": "", "en": ""}),
    "sub_wording": ("renamed", {"zh": "", "en": ""}),
    "lead": ("redepartmented", PROPERTIES["place"]["lead"]),
    "coop": ("redepartmented", PROPERTIES["place"]["coop"]),
}


def diff(before: Document, after: Document, day: date, *, effects: bool = True) -> Difference:
    """What turns one document into another; exemptions are compared as they stand on the day.

    Without ``effects`` – what follows from the edits –, ``after`` may break the check's rules, though not its grammar.
    """
    found = tuple(patch.edits(before, after))
    if not found:
        return Difference()
    teller = Teller(before, after)
    told = [change for edit in found for change in teller.of(edit)]
    told = list(_rekeyed(told, before, after, teller))
    if effects:
        first, second = catalog_from(before), catalog_from(after)
        told += [*_exemptions(first, second, day), *_fields_gained(first, second)]
    return Difference(tuple(told), found)


def apply_diff(document: Document, difference: Difference) -> Any:
    """The second document from the first. Raises ``PatchError`` where it is another than the diff was made from."""
    return patch.apply_edits(document, difference.edits)


def as_values(difference: Difference) -> dict[str, Any]:
    """Lines and patch as plain values, for ``--json`` and the API."""
    return {
        "changes": [
            {
                "kind": one.kind,
                "path": patch.pointer(one.path),
                "text": {"zh": one.zh, "en": one.en},
                **({"items": list(one.items)} if one.items else {}),
            }
            for one in difference.changes
        ],
        "patch": patch.as_values(difference.edits),
    }


# ---- edit by edit


class Teller:
    """Puts edits into words; knows both documents for the names of what they are about."""

    def __init__(self, before: Document, after: Document) -> None:
        self.before = before
        self.after = after

    def of(self, edit: Edit) -> Iterator[Change]:
        """The lines of one edit: at least one, except where an order follows from what was added."""
        match edit.path:
            case _ if edit.op == "order":
                yield from self._order(edit)
            case ("items" | "materials" | "sources" | "scenes" | "regions", _) if edit.op in {"add", "remove"}:
                yield self._say("added" if edit.op == "add" else "removed", edit)
            case ("items", _, "regions", _) if edit.op in {"add", "remove"}:
                yield self._say("placed" if edit.op == "add" else "unplaced", edit)
            case ("items", _, "regions", _, str(name)) if name in _PLACE:
                kind, what = _PLACE[name]
                yield self._say(kind, edit, what=what)
            case (_, _, "name", *_) | ("items", _, "row"):
                yield self._say("renamed", edit)
            case ("scenes", _, "number"):
                yield self._say("renumbered", edit)
            case ("items", _, "materials"):
                yield from self._needs(edit)
            case ("materials", _, "chain"):
                yield from self._chain(edit)
            case ("sources", _, "fields"):
                yield from self._fields(edit, {"zh": "可提供", "en": "what it offers"}, edit.before, edit.after)
            case _:
                yield self._say("changed", edit, what=_property(edit.path))

    def _say(self, kind: str, edit: Edit, what: Text | None = None, **values: Any) -> Change:
        said = {}
        given = {"before": edit.before, "after": edit.after} | values
        names = [step for step in edit.path[2:] if isinstance(step, str)]
        about = str(values.pop("about", names[-1] if names else ""))
        for language in ("zh", "en"):
            shown = {name: self.shown(about, value, language) for name, value in given.items()}
            words = _WORDS[kind][language].format(what=(what or _same(""))[language], **shown)
            subject = self.subject(edit.path, language)
            said[language] = f"{subject}{'：' if language == 'zh' else ': '}{words}"
        return Change(kind, edit.path, said["zh"], said["en"])

    def subject(self, path: Where, language: str) -> str:
        """What a path is about: 事项 公司设立登记 [company-setup] 枣庄市."""
        section = str(path[0]) if path else "-"
        word = SECTIONS.get(section, _same(section))[language]
        if len(path) < 2:
            return word
        name = self.name("items" if section == "master" else section, path[1], language)
        code = path[2:3] if section == "master" else path[3:4] if path[2:3] == ("regions",) else ()
        place = self.name("regions", code[0], language) if code else ""
        both = f"{name} [{path[1]}]" if name != path[1] else name
        return f"{word} {both} {place}".rstrip()

    def name(self, section: str, key: Any, language: str) -> str:
        """The name an entry has now, or had before; its key where it never had one."""
        for document in (self.after, self.before):
            entry = document.get(section, {}).get(key)
            if isinstance(entry, Mapping) and isinstance(entry.get("name"), Mapping):
                return str(entry["name"][language])
        return str(key)

    def shown(self, about: str, value: Any, language: str) -> str:  # noqa: PLR0911 - one line for each kind of value
        """A property's value in a sentence: terms and names instead of keys."""
        if isinstance(value, list):
            words = [self.shown(about, one, language) for one in value]
            return ("、" if language == "zh" else ", ").join(words) or "–"
        if value is None:
            return "–"
        if isinstance(value, bool):
            return _YES[value][language]
        if isinstance(value, Mapping):
            return self._mapping(about, value, language)
        known = VALUES.get(about, {}).get(str(value))
        if known is not None:
            return known[language]
        if about in {"fields", "field"}:
            return field_name(str(value))[language]
        if about in {"holder", "related"}:
            return role_name(str(value))[language]
        return (
            self.name(f"{about}s", value, language) if about in {"source", "item", "material", "scene"} else str(value)
        )

    def _mapping(self, about: str, value: Mapping[str, Any], language: str) -> str:
        if language in value:
            return str(value[language])
        if about == "when":
            return condition_words(value)[language]
        if about == "expect":
            return self._expected(value, language)
        told = (f"{_part(about, key)[language]} {self.shown(key, one, language)}" for key, one in value.items())
        return ("，" if language == "zh" else ", ").join(told) or "–"

    def _expected(self, rule: Mapping[str, Any], language: str) -> str:
        words = [field_name(rule["field"])[language], OPERATIONS[rule["op"]][language]]
        if "to" in rule:
            whose, _, what = rule["to"].partition(".")
            words.append(_person(whose, what)[language])
        elif "values" in rule:
            words.append(self.shown("values", rule["values"], language))
        return " ".join(words)

    def _order(self, edit: Edit) -> Iterator[Change]:
        old = [key for key in self._at(self.before, edit.path) if key in edit.after]
        if old != [key for key in edit.after if key in old]:
            yield self._say("reordered", edit, what=_property(edit.path))

    def _at(self, document: Document, path: Where) -> Any:
        place: Any = document
        for step in path:
            place = place[step]
        return place

    def _needs(self, edit: Edit) -> Iterator[Change]:
        old, new = _requirements(edit.before or []), _requirements(edit.after or [])
        other = [key for key in new if key in old and not patch.same(old[key], new[key])]
        said = [
            *self._entries(edit, old, new, "requirement"),
            *(
                self._say(
                    "requirement-changed",
                    edit,
                    what=self._of("requirement", key, name),
                    about=name,
                    before=old[key].get(name),
                    after=new[key].get(name),
                )
                for key in other
                for name in _other(old[key], new[key])
            ),
        ]
        yield from said or [self._say("reordered", edit, what=_property(edit.path))]

    def _chain(self, edit: Edit) -> Iterator[Change]:
        old, new = _rows(edit.before), _rows(edit.after)
        said = [*self._entries(edit, old, new, "row")]
        for key in new:
            if key in old and not patch.same(old[key], new[key]):
                said.extend(self._row(edit, key, old[key], new[key]))
        yield from said or [self._say("reordered", edit, what=_property(edit.path))]

    def _entries(self, edit: Edit, old: _Keyed, new: _Keyed, kind: str) -> Iterator[Change]:
        """What a list lost, and what it gained."""
        for key in old:
            if key not in new:
                yield self._say(f"{kind}-removed", edit, before=self._entry(kind, key))
        for key in new:
            if key not in old:
                yield self._say(f"{kind}-added", edit, after=self._entry(kind, key))

    def _row(
        self, edit: Edit, key: tuple[str, ...], old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Iterator[Change]:
        """What became different in a row that is in both: its state, its fields, and anything else."""
        what = self._entry("row", key)
        said = [*self._fields(edit, what, old.get("fields", []), new.get("fields", []))]
        states = [row.get("state", RowState.CONFIRMED.value) for row in (old, new)]
        if states[0] != states[1]:
            said.append(self._say("row-state", edit, what=what, before=states[0], after=states[1], about="state"))
        others = [name for name in _other(old, new) if name not in _TOLD] or ([] if said else _other(old, new))
        said += [
            self._say("row-changed", edit, what=self._of("row", key, name), about=name,
                      before=old.get(name), after=new.get(name))
            for name in others
        ]  # fmt: skip
        yield from said or [self._say("reordered", edit, what=what)]

    def _of(self, kind: str, key: tuple[str, ...], name: str) -> Text:
        """A property of one entry of a list: 身份证明 要求条件."""
        entry = self._entry(kind, key)
        called = PROPERTIES["requirement" if kind == "requirement" else "replacement"].get(name, _same(name))
        return {code: f"{entry[code]} {called[code]}" for code in ("zh", "en")}

    def _entry(self, kind: str, key: tuple[str, ...]) -> Text:
        """What an entry of a list is called: a step of a chain, or a material with its holder."""
        if kind == "requirement":
            return _held(self, *key)
        mode, source, form, related, item, unit, text, *_ = key
        said = {}
        for language in ("zh", "en"):
            told = (
                self.name("sources", source, language) if source else "",
                FORMS[form][language] if form in FORMS else form,
                role_name(related)[language] if related else "",
                self.name("items", item, language) if item else "",
                unit,
                text,
            )
            about = ("，" if language == "zh" else ", ").join(filter(None, told))
            name = MODES[mode][language] if mode in MODES else mode
            said[language] = name if not about else f"{name}（{about}）" if language == "zh" else f"{name} ({about})"
        return said

    def _fields(self, edit: Edit, what: Text, before: Iterable[str], after: Iterable[str]) -> Iterator[Change]:
        old, new = list(before), list(after)
        gone, more = [name for name in old if name not in new], [name for name in new if name not in old]
        if more:
            yield self._say("fields-added", edit, what=what, after=more, about="fields")
        if gone:
            yield self._say("fields-removed", edit, what=what, before=gone, about="fields")
        if old != new and not more and not gone:
            yield self._say("reordered", edit, what=what)


def _requirements(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[str, ...], Mapping[str, Any]]:
    return {(entry["material"], entry.get("holder", "applicant")): entry for entry in entries}


def _rows(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[str, ...], Mapping[str, Any]]:
    """Rows by what makes them this row and no other; a second one alike is told by its position among them."""
    found: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for entry in entries:
        key = tuple(str(entry.get(name, "")) for name in ("mode", "source", "form", "related", "item", "unit", "text"))
        while key in found:
            key = (*key, "+")
        found[key] = entry
    return found


def _rekeyed(told: list[Change], before: Document, after: Document, teller: Teller) -> Iterator[Change]:
    """An entry that was removed under one key and added under another, otherwise the same, is one line."""
    gone = [one for one in told if one.kind == "removed"]
    pairs: dict[Where, Change] = {}
    for new in (one for one in told if one.kind == "added"):
        section, key = new.path
        for old in gone:
            same_entry = old.path[0] == section and old.path not in pairs
            if same_entry and patch.same(before[str(section)][old.path[1]], after[str(section)][key]):
                edit = Edit("replace", new.path, str(old.path[1]), str(key))
                pairs[old.path] = pairs[new.path] = teller._say("rekeyed", edit)  # noqa: SLF001 - of this module
                break
    for one in told:
        if one.path not in pairs or one.kind not in {"added", "removed"}:
            yield one
        elif one.kind == "added":
            yield pairs[one.path]


def _same(word: str) -> Text:
    return {"zh": word, "en": word}


_YES: Mapping[bool, Text] = {True: {"zh": "是", "en": "yes"}, False: {"zh": "否", "en": "no"}}


def _property(path: Where) -> Text:
    """What a path's property is called; a whole section, or the document, by the section's word."""
    if len(path) < 2:
        return SECTIONS.get(str(path[0]), _same(str(path[0]))) if path else {"zh": "清单", "en": "list"}
    return property_name(str(path[0]), path[2:])


def _part(about: str, key: str) -> Text:
    """A property of a mapping inside a row: of a period, a negative list, or a place."""
    kind = {"effective": "period", "withheld": "withheld"}.get(about, "place")
    return PROPERTIES[kind].get(key, _same(key))


def _other(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The properties that differ between two entries."""
    names = [*old, *(name for name in new if name not in old)]
    return [name for name in names if not patch.same(old.get(name), new.get(name))]


def _person(whose: str, what: str) -> Text:
    """Whom an answer is compared with: 持有人的号码."""
    role = {"zh": "持有人", "en": "holder"} if whose == "holder" else role_name(whose)
    part = {"zh": "号码", "en": "number"} if what == "number" else {"zh": "姓名（名称）", "en": "name"}
    return {"zh": f"{role['zh']}的{part['zh']}", "en": f"the {role['en']}'s {part['en']}"}


def held(name: Text, holder: str) -> Text:
    """A material with whose it is, where that is not the applicant: 法定代表人的身份证明."""
    if holder in {"", "applicant"}:
        return name
    role = role_name(holder)
    return {"zh": f"{role['zh']}的{name['zh']}", "en": f"{name['en']} of the {role['en']}"}


def _held(teller: Teller, material: str, holder: str) -> Text:
    return held({language: teller.name("materials", material, language) for language in ("zh", "en")}, holder)


# ---- what follows from the edits


def _exemptions(before: Catalog, after: Catalog, day: date) -> Iterator[Change]:
    """Materials of items in both lists that are exempt in one and not in the other, with the regions concerned."""
    old, new = _exempt(before, day), _exempt(after, day)
    moved: dict[tuple[str, str, str], list[str]] = {}
    for region, item, need in new:
        was, now = old.get((region, item, need)), new[region, item, need]
        if was is not None and was != now:
            moved.setdefault(("exemption-gained" if now else "exemption-lost", item, need), []).append(region)
    for (kind, item, need), regions in moved.items():
        yield _exemption(after, kind, item, need, regions)


def _exempt(catalog: Catalog, day: date) -> dict[tuple[str, str, str], bool]:
    return {
        (line.place.region, line.item.key, line.requirement.key): line.state is State.CONFIRMED
        for line in lines(catalog, day)
    }


def _exemption(catalog: Catalog, kind: str, item: str, need: str, regions: list[str]) -> Change:
    material, _, holder = need.partition("@")
    gained = kind == "exemption-gained"
    whose = held(catalog.materials[material].name, holder)
    said = {}
    for language in ("zh", "en"):
        where = "" if len(regions) == len(catalog.items[item].places) else _places(catalog, regions, language)
        name = catalog.items[item].name[language]
        if language == "zh":
            words = f"事项 {name} [{item}]{where}：材料 {whose['zh']} {'可免提交' if gained else '不再免提交'}"
        else:
            verb = "need no longer be handed in" if gained else "must be handed in again"
            words = f"item {name} [{item}]{where}: {whose['en']} {verb}"
        said[language] = words
    return Change(kind, ("items", item, need), said["zh"], said["en"], (item,))


def _places(catalog: Catalog, regions: list[str], language: str) -> str:
    return " " + ("、" if language == "zh" else ", ").join(catalog.regions[code].name[language] for code in regions)


def _fields_gained(before: Catalog, after: Catalog) -> Iterator[Change]:
    """Fields of a source that the systems handling an item are given in one list and not in the other."""
    both = [key for key in after.items if key in before.items]
    moved: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for item in both:
        old, new = _asked(before, item), _asked(after, item)
        for kind, more, less in (("callers-gain", new, old), ("callers-lose", old, new)):
            for source in more:
                names = tuple(name for name in more[source] if name not in less.get(source, ()))
                if names:
                    moved.setdefault((kind, source, names), []).append(item)
    for (kind, source, names), items in moved.items():
        yield _callers(before, after, kind, source, names, tuple(items))


def _asked(catalog: Catalog, item: str) -> dict[str, dict[str, None]]:
    """The fields an item's chains ask of each source, by rows that are confirmed."""
    found: dict[str, dict[str, None]] = {}
    for requirement in catalog.items[item].requirements:
        for row in catalog.materials[requirement.material].chain:
            if row.source and row.asks_source and row.state is RowState.CONFIRMED:
                found.setdefault(row.source, {}).update(dict.fromkeys(row.fields))
    return found


def _callers(
    before: Catalog, after: Catalog, kind: str, source: str, names: tuple[str, ...], items: tuple[str, ...]
) -> Change:
    one = after.sources.get(source) or before.sources[source]
    told = {code: [field_name(name)[code] for name in names] for code in ("zh", "en")}
    zh = "、".join(after.items[key].name["zh"] for key in items[:MAX_NAMES])
    en = ", ".join(after.items[key].name["en"] for key in items[:MAX_NAMES])
    if len(items) > MAX_NAMES:
        zh, en = f"{zh}等 {len(items)} 个事项", f"{en} and {len(items) - MAX_NAMES} more items"
    verb = ("可多得到", "gain") if kind == "callers-gain" else ("不再得到", "lose")
    return Change(
        kind,
        ("sources", source),
        f"办理{zh}的系统，经授权{verb[0]}数源 {one.name['zh']} [{source}] 的字段 {'、'.join(told['zh'])}",
        f"systems that handle {en} {verb[1]}, as far as they are granted, of {one.name['en']} [{source}] the fields "
        f"{', '.join(told['en'])}",
        items,
    )
