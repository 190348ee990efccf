"""What the check of the sharing list can find: each rule once, with its words and the way to mend it.

A finding names a place in the document by its path; ``render`` turns paths into ``file:line`` with the places the
reader of the file has noted. ``docs/sharing-list.md`` shows the same rules, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ERROR, WARNING = "error", "warning"

Where = tuple[str | int, ...]  # keys and positions from the root of the document
Places = Mapping[Where, str]  # where each path stands: file:line


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: how grave, what it says of a place (a template), and what to do."""

    severity: str
    zh: str
    en: str
    mend_zh: str
    mend_en: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule broken at one place. ``place`` is set where the path cannot say it (a file that cannot be read)."""

    rule: str
    severity: str
    path: Where
    message_zh: str
    message_en: str
    mend_zh: str
    mend_en: str
    place: str = ""


RULES: dict[str, Rule] = {
    # reading the file
    "unreadable": Rule(ERROR, "文件无法读取：{why}", "The file cannot be read: {why}", "请检查文件及语法", "Mend the file or its syntax"),
    "duplicate-key": Rule(ERROR, "键 {key} 重复，前面的 {first} 会被覆盖", "The key {key} stands twice, first at {first}", "请删除或改名其中之一", "Remove or rename one of the two"),
    "include": Rule(ERROR, "不能包含 {name}：{why}", "{name} cannot be included: {why}", "只能包含本文件所在目录之下的文件", "Include only files below this file's folder"),
    "too-large": Rule(ERROR, "文件超出限制：{why}", "The file is beyond a limit: {why}", "请拆分文件，避免深层嵌套和别名展开", "Split the file; avoid deep nesting and aliases of aliases"),
    # the grammar
    "schema": Rule(ERROR, "不符合清单结构：{why}", "Not in the list's grammar: {why}", "请对照 schemas/catalog.schema.json 修改", "Compare with schemas/catalog.schema.json"),
    # references
    "reference": Rule(ERROR, "{kind} {name} 不存在", "There is no {kind} called {name}", "请改正名称或先定义它", "Correct the name, or define it"),
    "duplicate-item": Rule(ERROR, "与 {other} 是同一地区的同一序号和办理项", "{other} has the same number and leaf in this region", "请合并两个事项或更正序号", "Merge the two items or correct the number"),
    "duplicate-requirement": Rule(ERROR, "材料 {name} 对同一持有人重复要求", "{name} is required twice of the same holder", "请合并为一行", "Make one line of the two"),
    "life-cycle": Rule(ERROR, "场景 {name} 属于另一生命周期", "The scene {name} is of the other life cycle", "请改正场景或生命周期", "Correct the scene or the life cycle"),
    "lead-missing": Rule(WARNING, "没有牵头部门", "No leading department is named", "请向牵头单位核实并在 note 中说明", "Ask who leads, and say so in the note"),
    "unused-material": Rule(WARNING, "没有事项需要此材料", "No item requires this material", "请删除或补充需要它的事项", "Remove it, or name the item that needs it"),
    "master-withdrawn": Rule(WARNING, "事项库 {source} 在 {version} 版中取消了该事项", "The item library {source} withdrew it in its version {version}", "请核实，并在 effective 中写明截止日期和依据", "Find out, and give the last day and its reason in effective"),
    # codes and dates
    "check-digit": Rule(ERROR, "编码 {code} 的前18位不是有效的统一社会信用代码", "The first 18 characters of {code} are no valid credit code", "请按原始文件核对编码", "Compare the code with its document"),
    "date": Rule(ERROR, "{date} 不是有效日期", "{date} is no date", "请写成 YYYY-MM-DD", "Write it as YYYY-MM-DD"),
    "dates-contradict": Rule(ERROR, "起始日期 {start} 晚于截止日期 {end}", "It starts on {start}, after it ends on {end}", "请改正日期", "Correct the dates"),
    "dates-outside": Rule(WARNING, "要求材料的期间不在事项有效期内", "The period of this requirement lies outside the item's", "请删除此行或改正日期", "Remove the line or correct the dates"),
    "end-unexplained": Rule(WARNING, "事项已有截止日期但未说明原因", "The item ends, and nothing says why", "请在 effective.reason 中写明取消依据", "Give the legal text in effective.reason"),
    # materials
    "catch-all": Rule(ERROR, "“{name}”是兜底条款，不得设为材料", "“{name}” is a catch-all and may not be a material", "请列明具体材料或删除", "Name the material, or remove it"),
    "no-basis": Rule(WARNING, "没有法律依据", "No legal basis is given", "请补充设定依据；确无依据的应取消该材料", "Cite the law; without one, drop the material"),
    # the chain
    "row-incomplete": Rule(ERROR, "{mode} 行缺少 {name}", "A row of mode {mode} needs {name}", "请补充该字段", "Add it"),
    "row-excess": Rule(ERROR, "{mode} 行不应有 {name}", "A row of mode {mode} takes no {name}", "请删除该字段", "Remove it"),
    "mode-form": Rule(ERROR, "{mode} 不能采用 {form} 方式", "The mode {mode} does not go with the form {form}", "数据查询用 query，数据核验用 verify", "data_query takes query, data_verify takes verify"),
    "work-order": Rule(ERROR, "{mode} 行不能使用数源 {source}", "A row of mode {mode} does not go with the source {source}", "部门间核查须使用人工答复（work_order）的数源，其他方式不得使用", "A check between departments asks a source of the connector work_order, and nothing else does"),
    "work-order-days": Rule(ERROR, "人工答复的数源 {source} 没有写明办理时限", "The source {source}, whose people answer, does not say by when", "请在 options 中填写 sla_working_days，及小于它的 remind_working_days", "Give options.sla_working_days, and a smaller remind_working_days"),
    "form-not-offered": Rule(ERROR, "数源 {source} 不提供 {form} 方式", "The source {source} does not offer the form {form}", "请改用数源提供的方式", "Use a form that the source offers"),
    "field-not-offered": Rule(ERROR, "数源 {source} 不提供字段 {field}，该行无法免提交", "The source {source} does not offer {field}: this row can never exempt", "请改用数源提供的字段", "Use fields that the source offers"),
    "field-not-asked": Rule(ERROR, "比对字段 {field} 未列入 fields，数源的答复会被裁去", "The expectation reads {field}, which the row does not ask for", "请把该字段加入 fields", "Add the field to the row's fields"),
    "field-unmapped": Rule(ERROR, "字段 {field} 在 options.fields 中没有对应", "options.fields does not map {field}", "请补充字段对应关系", "Map the field, or do not offer it"),
    "field-withheld": Rule(ERROR, "字段 {field} 在数源 {source} 的不予共享清单中", "The negative list of {source} keeps {field} back", "请删除该字段", "Remove the field"),
    "not-shared": Rule(ERROR, "数源 {source} 不予共享", "The source {source} is not shared", "请删除该行", "Remove the row"),
    "wrong-person": Rule(ERROR, "查询方式未比对持有人，可能张冠李戴", "Nothing says that the answer must be about the right person", "请比对 {fields} 之一，例如 {{field: {field}, op: equals, to: {to}}}", "Compare one of {fields}, for example {{field: {field}, op: equals, to: {to}}}"),
    "person-not-named": Rule(WARNING, "数源 {source} 的答复未以号码指明持有人", "The answers of {source} name no holder by number", "请与数源约定返回持有人号码（options.holder）", "Agree with the source that it names the holder (options.holder)"),
    "holder-missing": Rule(ERROR, "数源 {source} 的查询答复不指明任何人，不得确认", "Answers of {source} to queries name nobody: nothing may be confirmed on them", "请先与数源约定返回持有人号码（options.holder），或暂列为拟议", "Agree with the source that it names the holder (options.holder), or leave it proposed"),
    "chain-open": Rule(ERROR, "替代链没有以申请人提交或告知承诺结束", "The chain does not end in submission or commitment", "请在最后加上 {{mode: submission}}", "End it with {{mode: submission}}"),
    "chain-unreachable": Rule(ERROR, "申请人提交之后的行永远不会用到", "Nothing after submission is ever reached", "请把申请人提交移到最后", "Move submission to the end"),
    "chain-proposed": Rule(WARNING, "替代链没有已确认的行，目前仍须提交", "No row of the chain is confirmed: the material is still handed in", "请数源部门确认", "Ask the owner to confirm a row"),
    "confirmed-without-basis": Rule(ERROR, "已确认的行没有写明依据", "A confirmed row cites no basis", "请写明法律条文或接口文件，或改为 proposed", "Cite the law or the interface, or make it proposed"),
    "confirmed-on-proposed": Rule(WARNING, "已确认的行使用了拟议的数源 {source}", "A confirmed row asks the source {source}, which is only proposed", "请先确认数源", "Confirm the source first"),
    "commitment-excluded": Rule(ERROR, "事项 {item} 不适用告知承诺，但材料 {material} 允许承诺", "{item} excludes commitments, but {material} allows one", "请为该事项另设不含承诺的材料", "Give this item a material without the commitment"),
    "scene-result-elsewhere": Rule(ERROR, "材料 {material} 由 {issuer} 产生，但它不在本事项所在场景", "{issuer}, which issues {material}, is not in this item's scene", "请改用同一场景的事项，或使用另一材料", "Name an item of the same scene, or use another material"),
    "scene-result-late": Rule(ERROR, "产生材料 {material} 的 {issuer} 排在本事项之后", "{issuer}, which issues {material}, comes after this item", "请调整事项顺序", "Put the issuing item first"),
    "source-without-unit": Rule(WARNING, "{authority}（{count} 个数源）没有统一社会信用代码，其授权申请均由大数据中心决定", "{authority} ({count} sources) has no credit code, so the big-data centre decides every application for its grants", "请向该部门取得代码，填入其各数源的 unit", "Ask the authority for it, and write it as unit of each of its sources"),
    "service-unknown": Rule(WARNING, "服务编码未知，部署时须填写", "The service code is unknown", "取得编码后填写 service", "The deployment must give it; fill it in when it is known"),
}  # fmt: skip


def found(rule: str, path: Where, **names: str) -> Finding:
    """A finding of a rule, its templates filled with names."""
    words = RULES[rule]
    return Finding(
        rule,
        words.severity,
        path,
        words.zh.format(**names),
        words.en.format(**names),
        words.mend_zh.format(**names),
        words.mend_en.format(**names),
    )


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether anything found forbids publishing."""
    return any(finding.severity == ERROR for finding in findings)


def render(findings: Iterable[Finding], places: Places, language: str = "en") -> list[str]:
    """One line per finding: ``file:line severity rule message → mend``."""
    return [
        f"{_place(finding, places)} {finding.severity} {finding.rule} "
        + (
            f"{finding.message_zh} → {finding.mend_zh}"
            if language == "zh"
            else f"{finding.message_en} → {finding.mend_en}"
        )
        for finding in findings
    ]


def as_json(findings: Iterable[Finding], places: Places) -> list[dict[str, Any]]:
    """The findings as plain values for the API and ``--json``."""
    return [
        {
            "rule": finding.rule,
            "severity": finding.severity,
            "place": _place(finding, places),
            "pointer": "".join(f"/{_escaped(str(step))}" for step in finding.path),
            "message": {"zh": finding.message_zh, "en": finding.message_en},
            "mend": {"zh": finding.mend_zh, "en": finding.mend_en},
        }
        for finding in findings
    ]


def _place(finding: Finding, places: Places) -> str:
    """Its own place, else that of the path, else that of the nearest path above it."""
    if finding.place:
        return finding.place
    path = finding.path
    while path and path not in places:
        path = path[:-1]
    return places.get(path, "-")


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
