"""数据共享应用清单 as departments exchange it: one row per item, material and way of replacing it, in plain words.

It shows the list as it applies on a day: items and requirements that are not in force are left out. A material that
nothing replaces has one row, marked 无来源, because those rows are what is still to be done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import NamedTuple

from broker.core.catalog import Catalog, Form, Level, Mode, Replacement, RowState
from broker.core.coverage import LIFE_CYCLES, Line, lines
from broker.core.coverage_text import MODES
from broker.core.field_names import field_name
from broker.core.guide import condition_words, role_name


class Column(NamedTuple):
    """A column's head in both languages, and how wide a sheet shows it (in Latin characters)."""

    zh: str
    en: str
    width: int


COLUMNS = (
    Column("地区", "Region", 10),
    Column("生命周期", "Life cycle", 16),
    Column("阶段", "Stage", 14),
    Column("场景", "Scene", 18),
    Column("序号", "No.", 7),
    Column("事项", "Item", 30),
    Column("业务办理项", "Sub-item", 30),
    Column("材料", "Material", 30),
    Column("持有人", "Holder", 18),
    Column("是否必需", "Needed", 26),
    Column("数据需求（字段）", "Data need (fields)", 40),
    Column("提供单位", "Provider", 22),
    Column("数据资源", "Data resource", 28),
    Column("层级", "Level", 8),
    Column("共享方式", "Mode", 12),
    Column("形式", "Form", 8),
    Column("共享类型", "Sharing type", 13),
    Column("更新频率/时效", "Freshness", 14),
    Column("责任单位", "Responsible unit", 24),
    Column("状态", "State", 9),
    Column("依据", "Basis", 50),
    Column("完成时限", "Due date", 12),
)

_MODES: Mapping[Mode, str] = {mode: words["zh"] for mode, words in MODES.items()} | {Mode.REUSE: "复用"}
_FORMS = {Form.QUERY: "查询", Form.VERIFY: "核验", Form.FILE: "文件"}
_LEVELS = {Level.NATIONAL: "国家级", Level.PROVINCE: "省级", Level.CITY: "市级", Level.COUNTY: "县级"}
_SHARING = {"unconditional": "无条件共享", "conditional": "有条件共享", "none": "不予共享"}
_STATES = {RowState.CONFIRMED: "已确认", RowState.PROPOSED: "拟议"}
NO_SOURCE = "无来源"


def table_rows(catalog: Catalog, day: date, region: str | None = None) -> Iterator[tuple[str, ...]]:
    """The rows under ``COLUMNS``, region by region, each in the order of its plan."""
    found = list(lines(catalog, day))
    for code in catalog.regions:
        if region in {None, code}:
            for line in found:
                if line.place.region == code:
                    yield from _of_line(line, catalog)


def _of_line(line: Line, catalog: Catalog) -> Iterator[tuple[str, ...]]:
    head = _head(line, catalog)
    ways = [row for row in line.material.chain if row.mode is not Mode.SUBMISSION]
    for row in ways:
        yield (*head, *_way(row, line, catalog))
    if not ways:
        blank = ("",) * 8
        yield (*head, *blank, "、".join(line.place.lead), NO_SOURCE, line.material.basis or "", "")


def _head(line: Line, catalog: Catalog) -> tuple[str, ...]:
    """What is wanted: from the region to the need."""
    item, place, scene = line.item, line.place, catalog.scenes[line.place.scene]
    return (
        catalog.regions[place.region].name["zh"],
        LIFE_CYCLES[item.life_cycle]["zh"],
        scene.stage["zh"],
        f"{scene.number} {scene.name['zh']}",
        place.sequence,
        *item.printed(place.region),
        line.material.name["zh"],
        role_name(line.requirement.holder)["zh"],
        _needed(line),
    )


def _needed(line: Line) -> str:
    words = "必需" if line.requirement.needed else "非必需"
    return f"{words}：{condition_words(line.requirement.when)['zh']}" if line.requirement.when else words


def _way(row: Replacement, line: Line, catalog: Catalog) -> tuple[str, ...]:
    """What is asked of whom, how, and how far that is."""
    source = catalog.sources[row.source] if row.source else None
    return (
        "、".join(field_name(name)["zh"] for name in row.fields),
        source.authority["zh"] if source else row.unit,
        source.name["zh"] if source else _other_resource(row, catalog),
        _LEVELS[source.level] if source else "",
        _MODES[row.mode],
        _FORMS[row.form] if row.form else "",
        _SHARING[source.sharing] if source else "",
        f"{source.freshness_days} 日以内" if source else "",
        row.owner or "、".join(line.place.lead),
        _STATES[row.state],
        row.basis or line.material.basis or "",
        row.due.isoformat() if row.due else "",
    )


def _other_resource(row: Replacement, catalog: Catalog) -> str:
    """What stands for a data resource where no source is asked: the issuing item, or the commitment's text."""
    if row.item:
        return catalog.items[row.item].name["zh"]
    return f"告知承诺书 {row.text}" if row.text else ""
