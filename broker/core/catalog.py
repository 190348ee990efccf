"""The sharing list (数据共享应用清单) as immutable values: item → material → data need → source.

``data_catalog.yaml`` is its file form and ``schemas/catalog.schema.json`` the grammar; :func:`catalog_from` turns a
schema-valid document into values and keeps indices, so that planning never searches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from broker.core.errors import CallerProblem

Text = Mapping[str, str]  # {"zh": …, "en": …}


class Mode(StrEnum):
    """How a material is replaced, in the order the law prefers."""

    CERTIFICATE = "certificate"  # 电子证照
    DATA_QUERY = "data_query"  # 数据查询
    DATA_VERIFY = "data_verify"  # 数据核验
    REUSE = "reuse"  # 复用
    SCENE_RESULT = "scene_result"  # 联办结果: an earlier item of the same scene issues it
    DEPARTMENT_CHECK = "department_check"  # 部门间核查
    COMMITMENT = "commitment"  # 告知承诺
    SUBMISSION = "submission"  # 申请人提交

    @property
    def asks_source(self) -> bool:
        """Whether this mode sends a question to a source's interface."""
        return self in _ASKING


_ASKING = frozenset({Mode.CERTIFICATE, Mode.DATA_QUERY, Mode.DATA_VERIFY})  # once, because planning asks all the time


class Form(StrEnum):
    """The shape in which a source answers."""

    QUERY = "query"
    VERIFY = "verify"
    FILE = "file"


FILE_FIELDS = frozenset({"file", "file_type", "file_digest"})
"""What a source gives in the form ``file`` besides its mapped fields: Base64, media type, SHA-256 of the bytes."""


class Level(StrEnum):
    """Who exercises a power or keeps a resource."""

    NATIONAL = "national"
    PROVINCE = "province"
    CITY = "city"  # 市级; for 乳山 its parent 威海市
    COUNTY = "county"  # 县级


class RowState(StrEnum):
    """Only confirmed rows exempt; proposed ones wait for their owner."""

    CONFIRMED = "confirmed"
    PROPOSED = "proposed"


@dataclass(frozen=True, slots=True)
class Period:
    """From a day inclusive to a day inclusive; None is open."""

    start: date | None = None
    end: date | None = None

    def covers(self, day: date) -> bool:
        """Whether the day lies within."""
        return (self.start is None or self.start <= day) and (self.end is None or day <= self.end)


@dataclass(frozen=True, slots=True)
class Withheld:
    """A source's part of the negative list (不予共享清单): what no grant may carry, and the law that says so."""

    fields: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One resource of one authority: what can be asked, in which form, how fresh, how sensitive, by which connector."""

    key: str
    name: Text
    authority: Text
    level: Level
    platform: str  # the connection (endpoint, account) that carries it; configured per deployment
    connector: str  # certshare, exchange, license_v1, open_gateway, front_table, work_order
    service: str | None  # certificate type code or service id; None: not known, the deployment must say
    sharing: str  # unconditional | conditional | none
    forms: tuple[Form, ...]
    fields: tuple[str, ...]
    freshness_days: int  # how old an answer's data may be
    sensitivity: str  # general | important | sensitive
    budget_ms: int  # the whole time a lookup may take
    calls_per_second: int
    options: Mapping[str, Any] = field(default_factory=dict)  # what the connector needs to know (codes, field map)
    state: RowState = RowState.PROPOSED
    calls_per_day: int | None = None  # None: its owner has set none
    unit: str = ""  # the authority's credit code: who decides about grants; "": the big-data centre in its stead
    withheld: Withheld = Withheld()


_COMPARING_SHAPES: Final = frozenset({"mca_marriage"})  # they compare the people of every record themselves


def names_holder(options: Mapping[str, Any]) -> bool:
    """Whether a source with these options says about whom it answers, so that nobody else's record passes."""
    return "holder" in options or options.get("shape") in _COMPARING_SHAPES


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must hold of one field of an answer for the material to be replaced by it.

    ``op``: ``equals`` and ``in`` compare with ``values`` or with ``to`` (``holder.number``, ``holder.name``,
    ``<role>.number``, ``<role>.name``); ``not_expired`` reads a date that must not lie before today; ``present``.
    """

    field: str
    op: str
    values: tuple[str, ...] = ()
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Replacement:
    """One step of a material's replacement chain."""

    mode: Mode
    state: RowState = RowState.CONFIRMED
    source: str | None = None
    form: Form | None = None
    fields: tuple[str, ...] = ()
    expect: tuple[Expectation, ...] = ()
    related: str | None = None  # a second role the question names (the spouse in a marriage check)
    basis: str = ""  # the law or the documented connector that confirms the row
    text: str = ""  # 告知承诺: the version of the text
    item: str | None = None  # 联办结果: the item that issues it
    unit: str = ""  # 部门间核查: who answers
    owner: str = ""  # 责任单位: who must bring the row about
    due: date | None = None  # 完成时限

    @property
    def asks_source(self) -> bool:
        """Whether this step sends a question: to an interface, or as a work order where the list names its source."""
        return self.mode.asks_source or (self.mode is Mode.DEPARTMENT_CHECK and self.source is not None)


@dataclass(frozen=True, slots=True)
class Material:
    """A required paper (申请材料), defined once for all items that need it."""

    key: str
    name: Text
    kind: str  # certificate | proof | form | document
    basis: str | None  # 设定依据; None is a finding of the check
    chain: tuple[Replacement, ...]


@dataclass(frozen=True, slots=True)
class Requirement:
    """That an item needs a material of one holder, always or under a condition.

    ``when``: ``{"party": role}`` – someone holds that role in the case; ``{"applicant": "person"|"organisation"}``;
    ``{"fact": name, "is": value}`` – the request states it. A fact nobody stated counts as met: asking too much is
    mended by a clerk, asking too little is not.
    """

    material: str
    holder: str = "applicant"
    needed: bool = True
    when: Mapping[str, Any] = field(default_factory=dict)
    effective: Period = Period()

    @property
    def key(self) -> str:
        """How the material of this holder is called in requests and receipts."""
        return self.material if self.holder == "applicant" else f"{self.material}@{self.holder}"


@dataclass(frozen=True, slots=True)
class MasterMaterial:
    """A material as the item library has it; None where it does not say."""

    name: str
    code: str | None = None
    needed: bool | None = None
    by_law: str | None = None


@dataclass(frozen=True, slots=True)
class MasterLink:
    """The entry of an item library (事项库) to which an item is tied in one region, as last imported."""

    source: str
    id: str
    version: str
    task_code: str  # 实施编码
    name: str
    materials: Mapping[str, MasterMaterial]  # by our requirement's key
    handling_code: str | None = None  # 业务办理项编码
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands in one region's plan, and who decides it there."""

    region: str
    sequence: str
    scene: str
    level: Level
    lead: tuple[str, ...]
    cooperating: tuple[str, ...] = ()
    wording: str | None = None
    sub_wording: str | None = None
    note: str = ""
    master: MasterLink | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A leaf of the plans (业务办理项), defined once, with its place in each region."""

    key: str
    name: Text
    type: str
    life_cycle: str
    requirements: tuple[Requirement, ...]
    places: Mapping[str, Place]
    row: str = ""  # the numbered row's name where the leaf is a sub-item
    basis: str | None = None
    task_code: str | None = None
    effective: Period = Period()
    abolished_by: str = ""  # why `effective` ends

    def printed(self, region: str) -> tuple[str, str]:
        """The row and the sub-item as a region's plan prints them; no sub-item where the row itself is the leaf."""
        place, name = self.places[region], self.name["zh"]
        row, leaf = place.wording or self.row or name, (place.sub_wording or name) if self.row else ""
        return row, "" if leaf == place.wording else leaf


@dataclass(frozen=True, slots=True)
class Scene:
    """Life cycle > stage > scene: the unit of authorisation and of 一套材料、一次告知、一表申请."""

    key: str
    life_cycle: str
    stage: Text
    name: Text
    number: str


@dataclass(frozen=True, slots=True)
class Region:
    """A city or county with its own list; ``level`` is the highest level its own bodies decide at."""

    code: str
    name: Text
    levels: tuple[Level, ...]  # the deciding levels this region's systems may bring


@dataclass(frozen=True)
class Catalog:
    """The whole list, indexed. Immutable: an edition is this plus its number, date and signature."""

    regions: Mapping[str, Region]
    sources: Mapping[str, Source]
    materials: Mapping[str, Material]
    items: Mapping[str, Item]
    scenes: Mapping[str, Scene]
    scene_items: Mapping[tuple[str, str], tuple[str, ...]]  # (region, scene) → item keys in the plan's order

    def items_of(self, *, region: str, item: str | None, scene: str | None) -> tuple[Item, ...]:
        """The items a request means. Raises ``CallerProblem`` ``request.region``, ``.item``, ``.scene``."""
        if region not in self.regions:
            raise CallerProblem("request.region", got=region, pointer="/region")
        if scene is not None:
            keys = self.scene_items.get((region, scene))
            if not keys:
                raise CallerProblem("request.scene", got=scene, pointer="/scene")
            return tuple(self.items[key] for key in keys)
        found = self.items.get(item or "")
        if found is None or region not in found.places:
            raise CallerProblem("request.item", got=item or "", pointer="/item")
        return (found,)


@dataclass(frozen=True)
class Edition:
    """A numbered state of the list and the day from which it plans."""

    number: int
    digest: str  # SHA-256 of the published bytes, hex
    catalog: Catalog


_ALWAYS = Period()


def catalog_from(document: Mapping[str, Any]) -> Catalog:
    """The values a schema-valid catalogue document tells; references are the check's business, not ours."""
    master = document.get("master", {})
    items = {key: _item(key, entry, master.get(key, {})) for key, entry in document["items"].items()}
    return Catalog(
        regions={
            code: Region(code, entry["name"], tuple(Level(level) for level in entry["levels"]))
            for code, entry in document["regions"].items()
        },
        sources={key: _source(key, entry) for key, entry in document["sources"].items()},
        materials={key: _material(key, entry) for key, entry in document["materials"].items()},
        items=items,
        scenes={
            key: Scene(key, entry["life_cycle"], entry["stage"], entry["name"], entry["number"])
            for key, entry in document["scenes"].items()
        },
        scene_items=_scene_items(items),
    )


def _scene_items(items: Mapping[str, Item]) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], list[str]] = {}
    for item in items.values():
        for place in item.places.values():
            found.setdefault((place.region, place.scene), []).append(item.key)
    return {where: tuple(keys) for where, keys in found.items()}  # file order is the plan's order


def _source(key: str, entry: Mapping[str, Any]) -> Source:
    return Source(
        key=key,
        name=entry["name"],
        authority=entry["authority"],
        level=Level(entry["level"]),
        platform=entry["platform"],
        connector=entry["connector"],
        service=entry.get("service"),
        sharing=entry["sharing"],
        forms=tuple(Form(form) for form in entry["forms"]),
        fields=tuple(entry["fields"]),
        freshness_days=entry["freshness_days"],
        sensitivity=entry["sensitivity"],
        budget_ms=entry["budget_ms"],
        calls_per_second=entry["calls_per_second"],
        options=entry.get("options", {}),
        state=RowState(entry["state"]),
        calls_per_day=entry.get("calls_per_day"),
        unit=entry.get("unit", ""),
        withheld=_withheld(entry.get("withheld", {})),
    )


def _withheld(entry: Mapping[str, Any]) -> Withheld:
    return Withheld(tuple(entry.get("fields", ())), tuple(entry.get("items", ())), entry.get("basis", ""))


def _material(key: str, entry: Mapping[str, Any]) -> Material:
    return Material(key, entry["name"], entry["kind"], entry.get("basis"), tuple(map(_replacement, entry["chain"])))


def _replacement(entry: Mapping[str, Any]) -> Replacement:
    return Replacement(
        mode=Mode(entry["mode"]),
        state=RowState(entry.get("state", "confirmed")),
        source=entry.get("source"),
        form=Form(entry["form"]) if "form" in entry else None,
        fields=tuple(entry.get("fields", ())),
        expect=tuple(
            Expectation(rule["field"], rule["op"], tuple(rule.get("values", ())), rule.get("to"))
            for rule in entry.get("expect", ())
        ),
        related=entry.get("related"),
        basis=entry.get("basis", ""),
        text=entry.get("text", ""),
        item=entry.get("item"),
        unit=entry.get("unit", ""),
        owner=entry.get("owner", ""),
        due=date.fromisoformat(entry["due"]) if "due" in entry else None,
    )


def _item(key: str, entry: Mapping[str, Any], master: Mapping[str, Any]) -> Item:
    return Item(
        key=key,
        name=entry["name"],
        type=entry["type"],
        life_cycle=entry["life_cycle"],
        requirements=tuple(map(_requirement, entry["materials"])),
        places={region: _place(region, place, master.get(region)) for region, place in entry["regions"].items()},
        row=entry.get("row", ""),
        basis=entry.get("basis"),
        task_code=entry.get("task_code"),
        effective=_period(entry.get("effective", {})),
        abolished_by=entry.get("effective", {}).get("reason", ""),
    )


def _requirement(entry: Mapping[str, Any]) -> Requirement:
    holder, needed = entry.get("holder", "applicant"), entry.get("needed", True)
    if "when" not in entry and "effective" not in entry:
        return _plain(entry["material"], holder, needed)
    return Requirement(entry["material"], holder, needed, entry.get("when", {}), _period(entry.get("effective", {})))


@lru_cache(maxsize=10_000)
def _plain(material: str, holder: str, needed: bool) -> Requirement:  # noqa: FBT001 - a cache knows by position
    """Most requirements say no more than this, and many items share one: so may their value."""
    return Requirement(material, holder, needed)


def _place(region: str, entry: Mapping[str, Any], master: Mapping[str, Any] | None) -> Place:
    return Place(
        region=region,
        sequence=entry["seq"],
        scene=entry["scene"],
        level=Level(entry["level"]),
        lead=tuple(entry["lead"]),
        cooperating=tuple(entry.get("coop", ())),
        wording=entry.get("wording"),
        sub_wording=entry.get("sub_wording"),
        note=entry.get("note", ""),
        master=None if master is None else _link(master),
    )


def _link(entry: Mapping[str, Any]) -> MasterLink:
    return MasterLink(
        source=entry["source"],
        id=entry["id"],
        version=entry["version"],
        task_code=entry["task_code"],
        name=entry["name"],
        materials={
            key: MasterMaterial(one["name"], one.get("code"), one.get("is_need"), one.get("by_law"))
            for key, one in entry["materials"].items()
        },
        handling_code=entry.get("handling_code"),
        withdrawn=entry.get("withdrawn", False),
    )


def _period(entry: Mapping[str, Any]) -> Period:
    if not entry:
        return _ALWAYS  # almost everywhere: one value for all keeps a large list small
    return Period(
        date.fromisoformat(entry["from"]) if "from" in entry else None,
        date.fromisoformat(entry["to"]) if "to" in entry else None,
    )
