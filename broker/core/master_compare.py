"""Everything that an item library and our list do not have in common, told before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from broker.core.catalog import Catalog, Item, MasterLink, Place, Requirement, Text
from broker.core.coverage import State, lines_of
from broker.core.diff import Change
from broker.core.master import Matched, link_of, names_of, placed
from broker.core.master_entries import Entry, Paper, plain_name

TIES = frozenset({"linked", "retied", "changed", "withdrawn"})  # what --apply writes; all else is a person's decision

_WORDS: Mapping[str, Text] = {
    "linked": {"zh": "关联事项库 {name}（{id}）", "en": "tied to {name} ({id})"},
    "retied": {"zh": "版本 {before} → {after}", "en": "version {before} → {after}"},
    "changed": {"zh": "事项库的{what} {before} → {after}", "en": "the library's {what} {before} → {after}"},
    "withdrawn": {"zh": "事项库已取消该事项", "en": "the library has withdrawn it"},
    "same-version": {
        "zh": "版本号 {after} 未变而内容已变，请核实",
        "en": "the version {after} is the same and the content is not: ask the library",
    },
    "second-master": {
        "zh": "已关联事项库 {before}，不再关联 {after}",
        "en": "tied to the library {before} already, and not to {after} as well",
    },
    "absent": {
        "zh": "关联的 {id}（{before} 版）不在本次文件中，可能已取消",
        "en": "{id}, to which it is tied (version {before}), is not in this file; it may be withdrawn",
    },
    "unlinked": {"zh": "事项库中没有找到", "en": "not found in the library"},
    "unknown": {"zh": "事项库的 {name}（{id}）不在清单中", "en": "the library's {name} ({id}) is not in the list"},
    "ambiguous": {
        "zh": "事项库的 {name}（{id}）可能是 {items}；请在事项中写明 task_code",
        "en": "the library's {name} ({id}) may be {items}; give the item its task_code",
    },
    "name-differs": {"zh": "事项库的名称是 {after}", "en": "the library calls it {after}"},
    "need-differs": {
        "zh": "材料 {what} 在事项库中{after}，清单中{before}",
        "en": "{what} is {after} in the library and {before} here",
    },
    "material-unknown": {
        "zh": "事项库另要求材料 {what}（第 {row} 行）",
        "en": "the library also requires {what} (row {row})",
    },
    "material-absent": {"zh": "事项库没有材料 {what}", "en": "the library does not require {what}"},
    "basis-known": {
        "zh": "材料 {what} 在清单中没有依据，事项库写的是 {after}",
        "en": "{what} has no legal basis here; the library cites {after}",
    },
    "exempt-there": {
        "zh": "材料 {what} 在事项库中标为免提交（{after}），清单中尚未确认",
        "en": "{what} is exempt in the library ({after}) and not confirmed here",
    },
    "exempt-here": {
        "zh": "材料 {what} 在清单中免提交，事项库标为仍须提交",
        "en": "{what} is exempt here and not in the library",
    },
}
_NEED: Mapping[bool, Text] = {True: {"zh": "必需", "en": "required"}, False: {"zh": "非必需", "en": "not required"}}
_ATTRIBUTES: tuple[tuple[str, Text], ...] = (
    ("name", {"zh": "名称", "en": "name"}),
    ("id", {"zh": "编码", "en": "code"}),
    ("task_code", {"zh": "实施编码", "en": "task code"}),
    ("handling_code", {"zh": "业务办理项编码", "en": "handling code"}),
)
_OF_MATERIALS: tuple[tuple[str, Text], ...] = (
    ("name", {"zh": "材料名称", "en": "name of the material"}),
    ("code", {"zh": "材料编码", "en": "code of the material"}),
    ("needed", {"zh": "是否必需", "en": "need of the material"}),
    ("by_law", {"zh": "设定依据", "en": "basis of the material"}),
)


def compare(matched: Matched, catalog: Catalog, source: str, version: str, day: date) -> list[Change]:
    """Everything that the library and the list do not have in common, in the list's order."""
    return [
        *(one for found in placed(catalog) for one in _of_place(found, matched, catalog, source, version, day)),
        *(_of_entry("unknown", entry, catalog, ()) for entry in matched.unknown),
        *(_of_entry("ambiguous", entry, catalog, items) for entry, items in matched.ambiguous),
    ]


def _of_place(
    found: tuple[Item, Place], matched: Matched, catalog: Catalog, source: str, version: str, day: date
) -> Iterator[Change]:
    item, place = found
    entry, old = matched.pairs.get((item.key, place.region)), place.master
    say = _Sentences(item, place, catalog)
    if entry is None:
        if old is not None and old.source == source:
            yield say("absent", id=old.id, before=old.version)
        elif old is None and place.region in matched.regions and item.effective.covers(day):
            yield say("unlinked")
    elif old is not None and old.source != source:
        yield say("second-master", before=old.source, after=source)
    else:
        new = link_of(entry, item, catalog, source, version)
        yield from _tie(old, new, say)
        if not new.withdrawn:
            yield from _at_odds(entry, new, found, catalog, day, say)


def _tie(old: MasterLink | None, new: MasterLink, say: _Sentences) -> Iterator[Change]:
    """What ``--apply`` would write."""
    if old is None:
        yield say("linked", name=new.name, id=new.id)
    else:
        changes = list(_changes(old, new, say))
        if old.version != new.version:
            yield say("retied", before=old.version, after=new.version)
        elif changes:
            yield say("same-version", after=new.version)
        yield from changes
    if new.withdrawn and not (old and old.withdrawn):
        yield say("withdrawn")


def _changes(old: MasterLink, new: MasterLink, say: _Sentences) -> Iterator[Change]:
    for name, what in _ATTRIBUTES:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield say("changed", what=what, before=before, after=after)
    for key in dict.fromkeys((*old.materials, *new.materials)):
        first, second = old.materials.get(key), new.materials.get(key)
        for name, what in _OF_MATERIALS:
            before, after = getattr(first, name, None), getattr(second, name, None)
            if before != after:
                about = {language: f"{what[language]} {say.material(key)[language]}" for language in ("zh", "en")}
                yield say("changed", what=about, before=before, after=after)


def _at_odds(
    entry: Entry, link: MasterLink, found: tuple[Item, Place], catalog: Catalog, day: date, say: _Sentences
) -> Iterator[Change]:
    """Where the library and our list disagree today; a person decides who is right."""
    item, place = found
    if plain_name(entry.name) not in map(plain_name, names_of(item, place)):
        yield say("name-differs", after=entry.name)
    papers = {plain_name(paper.name): paper for paper in entry.papers}
    ours = {plain_name(catalog.materials[one.material].name["zh"]) for one in item.requirements}
    for name, paper in papers.items():
        if name not in ours:
            yield say("material-unknown", what=paper.name, row=paper.row)
    states = {line.requirement.key: line.state for line in lines_of(catalog, item, place, day)}
    for one in item.requirements:
        if one.key not in states:
            continue  # not required on this day
        if one.key not in link.materials:
            yield say("material-absent", what=say.material(one.key))
        else:
            paper = papers[plain_name(catalog.materials[one.material].name["zh"])]
            yield from _of_paper(paper, one, states[one.key], catalog, say)


def _of_paper(paper: Paper, one: Requirement, state: State, catalog: Catalog, say: _Sentences) -> Iterator[Change]:
    what = say.material(one.key)
    if paper.needed is not None and not one.when and paper.needed != one.needed:
        yield say("need-differs", what=what, before=_NEED[one.needed], after=_NEED[paper.needed])
    if paper.by_law is not None and catalog.materials[one.material].basis is None:
        yield say("basis-known", what=what, after=paper.by_law)
    if paper.exempt is True and state is not State.CONFIRMED:
        yield say(
            "exempt-there", what=what, after=" ".join(filter(None, (paper.how, paper.office, paper.cert_code))) or "–"
        )
    if paper.exempt is False and state is State.CONFIRMED:
        yield say("exempt-here", what=what)


class _Sentences:
    """Puts differences of one item in one region into words."""

    def __init__(self, item: Item, place: Place, catalog: Catalog) -> None:
        self.item = item
        self.place = place
        self.catalog = catalog

    def __call__(self, kind: str, **values: object) -> Change:
        said = {}
        for language in ("zh", "en"):
            words = _WORDS[kind][language].format(**{name: _shown(value, language) for name, value in values.items()})
            region = self.catalog.regions[self.place.region].name[language]
            subject = f"{self.item.name[language]} [{self.item.key}] {region}"
            said[language] = f"{subject}：{words}" if language == "zh" else f"{subject}: {words}"
        return Change(kind, ("items", self.item.key, "regions", self.place.region), said["zh"], said["en"])

    def material(self, key: str) -> Text:
        """Our name of a material, and whose it is where it is not the applicant's."""
        name, _, holder = key.partition("@")
        known = self.catalog.materials[name].name if name in self.catalog.materials else {"zh": name, "en": name}
        return {language: f"{known[language]}@{holder}" if holder else known[language] for language in ("zh", "en")}


def _of_entry(kind: str, entry: Entry, catalog: Catalog, items: tuple[str, ...]) -> Change:
    said = {}
    for language in ("zh", "en"):
        words = _WORDS[kind][language].format(name=entry.name, id=entry.id, items=", ".join(items))
        region = catalog.regions[entry.region].name[language]
        said[language] = f"{region}：{words}" if language == "zh" else f"{region}: {words}"
    return Change(kind, ("master", entry.id), said["zh"], said["en"], items)


def _shown(value: object, language: str) -> str:
    if isinstance(value, Mapping):
        return str(value[language])
    if isinstance(value, bool):
        return _NEED[value][language]
    return "–" if value is None else str(value)
