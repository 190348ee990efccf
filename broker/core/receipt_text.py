"""A receipt in plain words, for the clerk's screen, the applicant and the paper file; what counts is the signed one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker.core.catalog import Mode, Text
from broker.core.decide import Kind
from broker.core.reasons import reason_text

DECISIONS: dict[Kind, Text] = {
    Kind.EXEMPT: {"zh": "免提交", "en": "need not be submitted"},
    Kind.FALLBACK: {"zh": "以其他方式代替", "en": "replaced in another way"},
    Kind.SUBMIT: {"zh": "由申请人提交", "en": "to be submitted"},
    Kind.PENDING: {"zh": "待核查", "en": "to be answered later"},
    Kind.NOT_MET: {"zh": "数据不符", "en": "contradicted by authoritative data"},
}
MODES: dict[Mode, Text] = {
    Mode.CERTIFICATE: {"zh": "电子证照", "en": "electronic licence"},
    Mode.DATA_QUERY: {"zh": "数据查询", "en": "data query"},
    Mode.DATA_VERIFY: {"zh": "数据核验", "en": "data verification"},
    Mode.REUSE: {"zh": "复用", "en": "earlier evidence"},
    Mode.SCENE_RESULT: {"zh": "联办结果", "en": "result of an earlier item"},
    Mode.DEPARTMENT_CHECK: {"zh": "部门间核查", "en": "check between departments"},
    Mode.COMMITMENT: {"zh": "告知承诺", "en": "commitment"},
    Mode.SUBMISSION: {"zh": "申请人提交", "en": "submission"},
}
_HEAD: Text = {
    "zh": "核验凭证 {verification}\n办件 {case} · 清单第 {edition} 版 · {decided_at} · 出具：{issuer}",
    "en": "Receipt {verification}\nCase {case} · edition {edition} of the list · {decided_at} · issued by {issuer}",
}
_PRELIMINARY: Text = {
    "zh": "（初步结果：部分材料尚待答复，以最终核验凭证为准）",
    "en": "(Preliminary: some answers are still to come; the final receipt supersedes this one)",
}
_UNTIL: Text = {"zh": "    答复期限：{until}", "en": "    Answer due by: {until}"}
_NEXT: Text = {"zh": "    下一步：{next}", "en": "    Next: {next}"}


def receipt_text(payload: Mapping[str, Any], lang: str) -> str:
    """The payload of a verified receipt, material by material and step by step; ``lang`` is ``zh`` or ``en``.

    Every line ends with a newline. It names no person, as the receipt does not.
    """
    head = _HEAD[lang].format(
        verification=payload["verification"],
        case=payload["case"],
        edition=payload["edition"]["number"],
        decided_at=payload["decided_at"],
        issuer=payload["issuer"],
    )
    if payload["status"] == "preliminary":
        head += "\n" + _PRELIMINARY[lang]
    materials = [line for number, one in enumerate(payload["materials"], 1) for line in _material(number, one, lang)]
    return "".join(f"{line}\n" for line in [head, *materials])


def words(reason: str) -> tuple[Text, Text]:
    """What a reason says, and the next step (empty when there is none), in both languages."""
    text = reason_text(reason)
    return {"zh": text.zh, "en": text.en}, {"zh": text.next_zh, "en": text.next_en}


def _material(number: int, entry: Mapping[str, Any], lang: str) -> list[str]:
    decision = DECISIONS[Kind(entry["decision"])][lang]
    holder = "" if entry["holder"] == "applicant" else f" [{entry['holder']}]"
    lines = [f"{number}. {entry['name'][lang]}{holder}: {decision}"]
    lines += [_step(step, lang) for step in entry["steps"]]
    if "until" in entry:
        lines.append(_UNTIL[lang].format(until=entry["until"]))
    next_step = words(entry["reason"])[1][lang]
    if next_step:
        lines.append(_NEXT[lang].format(next=next_step) + (f" ({entry['detail']})" if entry["detail"] else ""))
    return lines


def _step(step: Mapping[str, Any], lang: str) -> str:
    source = f" {step['source']}" if step.get("source") else ""
    return f"    {MODES[Mode(step['mode'])][lang]}{source}: {words(step['reason'])[0][lang]}"
