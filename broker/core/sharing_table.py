"""数据共享应用清单 as departments exchange it: one row per item, material and way of replacing it, in plain words.

It shows the list as it applies on a day: items and requirements that are not in force are left out. A material that
nothing replaces has one row, marked 无来源, because those rows are what is still to be done. In English it says what
the list has in English; the names of bodies and laws stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from broker.core.catalog import Catalog, Item, Mode, Place, Replacement, Text
from broker.core.coverage import LIFE_CYCLES, Line, lines
from broker.core.field_names import field_name
from broker.core.guide import condition_words, role_name
from broker.core.list_terms import FORMS, LEVELS, MODES, SHARING, STATES


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

NO_SOURCE = STATES["missing"]["zh"]
_NEEDED: tuple[Text, Text] = ({"zh": "必需", "en": "needed"}, {"zh": "非必需", "en": "not needed"})
_FRESH: Text = {"zh": "{days} 日以内", "en": "within {days} days"}
_PROMISE: Text = {"zh": "告知承诺书 {text}", "en": "commitment {text}"}


def table_rows(catalog: Catalog, day: date, region: str | None = None) -> Iterator[tuple[str, ...]]:
    """The rows under ``COLUMNS``, region by region, each in the order of its plan."""
    found = list(lines(catalog, day))
    for code in catalog.regions:
        if region in {None, code}:
            for line in found:
                if line.place.region == code:
                    yield from rows_of(line, catalog)


def rows_of(line: Line, catalog: Catalog, lang: str = "zh") -> Iterator[tuple[str, ...]]:
    """The rows of one requirement of one item in one region."""
    asked = (line.material.name[lang], role_name(line.requirement.holder)[lang], _needed(line, lang))
    head = (*_place(line.item, line.place, catalog, lang), *asked)
    ways = [row for row in line.material.chain if row.mode is not Mode.SUBMISSION]
    for row in ways:
        yield (*head, *_way(row, line, catalog, lang))
    if not ways:
        yield (*head, *_BLANK, _leads(line.place), STATES["missing"][lang], line.material.basis or "", "")


def ended_row(item: Item, place: Place, catalog: Catalog, lang: str = "zh") -> tuple[str, ...]:
    """The one row of an item that is not in force: it requires nothing."""
    basis = item.abolished_by or item.basis or ""
    return (*_place(item, place, catalog, lang), "", "", "", *_BLANK, _leads(place), STATES["ended"][lang], basis, "")


_BLANK = ("",) * 8  # what says how a material is replaced, where nothing replaces it


def _place(item: Item, place: Place, catalog: Catalog, lang: str) -> tuple[str, ...]:
    """Where an item stands: from the region to the sub-item."""
    scene = catalog.scenes[place.scene]
    return (
        catalog.regions[place.region].name[lang],
        LIFE_CYCLES[item.life_cycle][lang],
        scene.stage[lang],
        f"{scene.number} {scene.name[lang]}",
        place.sequence,
        *(item.printed(place.region) if lang == "zh" else (item.name[lang], "")),  # plans are printed in Chinese alone
    )


def _leads(place: Place) -> str:
    return "、".join(place.lead)


def _needed(line: Line, lang: str) -> str:
    words = _NEEDED[not line.requirement.needed][lang]
    when = line.requirement.when
    return f"{words}{'：' if lang == 'zh' else ': '}{condition_words(when)[lang]}" if when else words


def _way(row: Replacement, line: Line, catalog: Catalog, lang: str) -> tuple[str, ...]:
    """What is asked of whom, how, and how far that is."""
    source = catalog.sources[row.source] if row.source else None
    return (
        ("、" if lang == "zh" else ", ").join(field_name(name)[lang] for name in row.fields),
        source.authority[lang] if source else row.unit,
        source.name[lang] if source else _other_resource(row, catalog, lang),
        LEVELS[source.level][lang] if source else "",
        MODES[row.mode][lang],
        FORMS[row.form][lang] if row.form else "",
        SHARING[source.sharing][lang] if source else "",
        _FRESH[lang].format(days=source.freshness_days) if source else "",
        row.owner or _leads(line.place),
        STATES[row.state][lang],
        row.basis or line.material.basis or "",
        row.due.isoformat() if row.due else "",
    )


def _other_resource(row: Replacement, catalog: Catalog, lang: str) -> str:
    """What stands for a data resource where no source is asked: the issuing item, or the commitment's text."""
    if row.item:
        return catalog.items[row.item].name[lang]
    return _PROMISE[lang].format(text=row.text) if row.text else ""
