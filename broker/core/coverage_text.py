"""The coverage as a reader wants it: lines of text, plain values, a table for a spreadsheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broker.core.catalog import Catalog, Mode, Text
from broker.core.cells import aligned, csv_text
from broker.core.coverage import LIFE_CYCLES, REQUIRED_NUMBERS, By, Coverage, Figures, Group, Kind, Proof, Step

MODES: Mapping[Mode, Text] = {
    Mode.CERTIFICATE: {"zh": "电子证照", "en": "certificate"},
    Mode.DATA_QUERY: {"zh": "数据查询", "en": "data query"},
    Mode.DATA_VERIFY: {"zh": "数据核验", "en": "data verification"},
    Mode.SCENE_RESULT: {"zh": "联办结果", "en": "result of an earlier item"},
    Mode.DEPARTMENT_CHECK: {"zh": "部门间核查", "en": "check between departments"},
    Mode.COMMITMENT: {"zh": "告知承诺", "en": "commitment"},
}
GROUPED: Mapping[By, Text] = {
    By.REGION: {"zh": "地区", "en": "region"},
    By.LIFE_CYCLE: {"zh": "生命周期", "en": "life cycle"},
    By.STAGE: {"zh": "阶段", "en": "stage"},
    By.SCENE: {"zh": "场景", "en": "scene"},
    By.DEPARTMENT: {"zh": "牵头部门", "en": "leading department"},
}
_COLUMNS: tuple[tuple[str, Text], ...] = (
    ("items", {"zh": "事项", "en": "items"}),
    ("numbered", {"zh": "序号", "en": "numbered"}),
    ("materials", {"zh": "材料", "en": "materials"}),
    ("exempt", {"zh": "已确认", "en": "confirmed"}),
    ("waiting", {"zh": "拟议", "en": "proposed"}),
    ("missing", {"zh": "无来源", "en": "no source"}),
    ("own", {"zh": "其中自备文书", "en": "(own papers)"}),
    ("saved", {"zh": "少交", "en": "saved"}),
    ("elsewhere", {"zh": "上级办理", "en": "elsewhere"}),
    ("not_in_force", {"zh": "已失效", "en": "not in force"}),
    ("departments", {"zh": "牵头部门", "en": "leads"}),
)
_STEPS: Mapping[Kind, Text] = {
    Kind.SOURCE: {"zh": "确认数源", "en": "confirm the source"},
    Kind.UNIT: {"zh": "确认核查单位", "en": "confirm the unit"},
    Kind.NEW: {"zh": "寻找数源", "en": "find a source for"},
}


def table(report: Coverage, catalog: Catalog, language: str) -> list[str]:
    """Groups, modes, the proof of the numbers, and the ranking of further sources."""
    total = {"zh": "合计", "en": "total"}[language]
    head = [GROUPED[report.by][language], *(words[language] for _, words in _COLUMNS)]
    rows = [_row(_label(group, report.by, language), group.figures) for group in report.groups]
    return [
        *aligned([head, *rows, _row(total, report.total)]),
        "",
        *aligned(_modes(report.total, language)),
        "",
        *(_proved(one, catalog, language) for one in report.proof),
        "",
        *_ranking(report.steps, language),
    ]


def _row(label: str, figures: Figures) -> list[str | int]:
    return [label, *(getattr(figures, name) for name, _ in _COLUMNS)]


def _label(group: Group, by: By, language: str) -> str:
    return (
        group.name[language]
        if by in {By.REGION, By.LIFE_CYCLE, By.DEPARTMENT}
        else f"{group.key} {group.name[language]}"
    )


def _modes(figures: Figures, language: str) -> list[list[str | int]]:
    head = {"zh": ("方式", "已确认", "拟议"), "en": ("mode", "confirmed", "proposed")}[language]
    rows: list[list[str | int]] = [list(head)]
    for mode, name in MODES.items():
        rows.append([name[language], figures.confirmed.get(mode, 0), figures.proposed.get(mode, 0)])
    return rows


def _proved(proof: Proof, catalog: Catalog, language: str) -> str:
    region, cycle = catalog.regions[proof.region].name[language], LIFE_CYCLES[proof.life_cycle][language]
    if language == "zh":
        verdict = "达到" if proof.met else "未达到"
        return f"{region} {cycle}：{proof.numbered} 个编号事项，{verdict} {REQUIRED_NUMBERS} 个"
    verdict = "at least" if proof.met else "fewer than"
    return f"{region}, {cycle}: {proof.numbered} numbered items, {verdict} {REQUIRED_NUMBERS}"


def _ranking(steps: Sequence[Step], language: str) -> list[str]:
    if not steps:
        return [{"zh": "没有可再减免的材料", "en": "No further source would free anything"}[language]]
    if language == "zh":
        lines = ["再有一个数源，哪一个减免最多（逐个累加）："]
        words = "{number:>2}. {what} {name}：再减 {adds} 份（单独 {alone} 份，{kinds} 种材料）"
    else:
        lines = ["Which further source would free most (each in addition to those before it):"]
        words = "{number:>2}. {what} {name}: {adds} more ({alone} alone; kinds of material: {kinds})"
    for number, step in enumerate(steps, 1):
        name = step.name[language] if step.kind is not Kind.SOURCE else f"{step.name[language]} [{step.key}]"
        what = _STEPS[step.kind][language]
        lines.append(
            words.format(
                number=number, what=what, name=name, adds=step.adds, alone=step.alone, kinds=len(step.materials)
            )
        )
    return lines


# ---- for machines


def as_values(report: Coverage) -> dict[str, Any]:
    """The coverage as plain values, for ``--format json`` and the API."""
    return {
        "by": report.by.value,
        "day": report.day.isoformat(),
        "groups": [{"key": one.key, "name": dict(one.name), **_figures(one.figures)} for one in report.groups],
        "total": _figures(report.total),
        "proof": [
            {
                "region": one.region,
                "life_cycle": one.life_cycle,
                "numbered": one.numbered,
                "required": REQUIRED_NUMBERS,
                "met": one.met,
            }
            for one in report.proof
        ],
        "next": [
            {
                "kind": one.kind.value,
                "key": one.key,
                "name": dict(one.name),
                "adds": one.adds,
                "alone": one.alone,
                "materials": list(one.materials),
            }
            for one in report.steps
        ],
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return {name: getattr(figures, name) for name, _ in _COLUMNS} | {
        "confirmed": {mode.value: count for mode, count in figures.confirmed.items()},
        "proposed": {mode.value: count for mode, count in figures.proposed.items()},
    }


def as_csv(report: Coverage) -> str:
    """One row per group and the total, modes in columns of their own; the head is for machines, so in English."""
    modes = [(state, mode) for state in ("confirmed", "proposed") for mode in MODES]
    head = ["key", "zh", "en", *(name for name, _ in _COLUMNS), *(f"{state}_{mode}" for state, mode in modes)]
    groups = (*report.groups, Group("", {"zh": "合计", "en": "total"}, report.total))
    rows: list[list[str | int]] = [list(head)]
    for group in groups:
        counts = [getattr(group.figures, state).get(mode, 0) for state, mode in modes]
        rows.append([group.key, group.name["zh"], group.name["en"], *_row("", group.figures)[1:], *counts])
    return csv_text(rows)
