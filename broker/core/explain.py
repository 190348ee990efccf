"""Why each lookup of a verification was permitted or not, and why each material was decided as it was.

Worked out from what is kept in any case – permits, grants, the edition's rows, the log's entries and the receipt –
so that nothing about a person is opened for it: it explains as well after the case's key has been destroyed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker.core.authorise import Grant
from broker.core.catalog import Edition, Mode, Replacement, Text
from broker.core.decide import Kind
from broker.core.guide import role_name
from broker.core.reasons import reason_text
from broker.core.receipt import moment
from broker.core.receipt_text import DECISIONS, MODES

_PERMITTED: Text = {"zh": "授权覆盖本次查询", "en": "a grant covers this lookup"}


@dataclass(frozen=True, slots=True)
class Told:
    """An entry of the log about the verification, with its place once it has one."""

    position: int | None
    document: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.document["kind"])


@dataclass(frozen=True, slots=True)
class Sent:
    """A lookup as its row has it."""

    id: str
    key: str
    state: str
    attempts: int
    digest: str | None


@dataclass(frozen=True)
class Facts:
    """All that an explanation is made of."""

    verification: Mapping[str, Any]  # id, client, case, state
    edition: Edition
    permits: Mapping[str, Mapping[str, str]]  # lookup key → {"grant": id} or {"rule": code}, as decided at admission
    grants: Mapping[str, Grant]
    lookups: Sequence[Sent]
    entries: Sequence[Told]
    receipt: Mapping[str, Any] | None


def explain(facts: Facts) -> dict[str, Any]:
    """The explanation; ``schemas/explanation.schema.json`` is its grammar."""
    sent = {one.key: one for one in facts.lookups}
    return {
        **facts.verification,
        "edition": {"number": facts.edition.number, "digest": facts.edition.digest},
        "entries": [_entry(one) for one in facts.entries],
        "lookups": [_lookup(facts, key, permit, sent.get(key)) for key, permit in sorted(facts.permits.items())],
        "materials": [_material(facts, one) for one in (facts.receipt or {"materials": ()})["materials"]],
    }


def explain_refusal(told: Told, grants: Mapping[str, Grant]) -> dict[str, Any]:
    """Why a request was refused, from its entry alone: the code, and of each lookup the grant or the rule.

    There are no lookups where it was refused before they were planned.
    """
    said = told.document
    return {
        "position": told.position,
        "at": said["at"],
        "client": said["client"],
        "case": said.get("case"),
        "code": said["code"],
        "got": said.get("got"),
        "text": _words(said["code"]),
        "edition": said.get("edition"),
        "lookups": [_planned(grants, key, permit) for key, permit in sorted(said.get("permits", {}).items())],
    }


def _planned(grants: Mapping[str, Grant], key: str, permit: Mapping[str, str]) -> dict[str, Any]:
    source, form, *_ = key.split(":")
    rule = permit.get("rule")
    return {
        "key": key, "source": source, "form": form, "grant": _grant(grants.get(permit.get("grant", ""))),
        "rule": rule, "text": _words(rule) if rule else dict(_PERMITTED),
    }  # fmt: skip


def _entry(told: Told) -> dict[str, Any]:
    return {"position": told.position, "kind": told.kind, "at": told.document["at"]}


def _lookup(facts: Facts, key: str, permit: Mapping[str, str], sent: Sent | None) -> dict[str, Any]:
    source, form, *_ = key.split(":")
    theirs = [one for one in facts.entries if sent is not None and one.document.get("lookup") == sent.id]
    last = next((one.document for one in reversed(theirs) if one.kind in {"answered", "stopped"}), {})
    rule = permit.get("rule") or last.get("rule")
    return {
        "key": key,
        "source": source,
        "form": form,
        "rows": _rows(facts, source, form),
        "grant": _grant(facts.grants.get(permit.get("grant", ""))),
        "rule": rule,
        "text": _words(rule) if rule else dict(_PERMITTED),
        "state": _state(permit, sent, last),
        "attempts": sum(one.kind == "asked" for one in theirs),
        "asked_at": next((one.document["at"] for one in theirs if one.kind == "asked"), None),
        "answered_at": last.get("at"),
        "outcome": last.get("outcome"),
        "reason": last.get("reason"),
        "answer": None if sent is None else sent.digest,
        "entries": [one.position for one in theirs],
    }


def _state(permit: Mapping[str, str], sent: Sent | None, last: Mapping[str, Any]) -> str:
    """Refused at admission, not needed (its chain ended before), due, stopped before it was asked, or answered."""
    if "rule" in permit:
        return "refused"
    if sent is None:
        return "not_needed"
    return "stopped" if last.get("kind") == "stopped" else sent.state


def _grant(grant: Grant | None) -> dict[str, Any] | None:
    if grant is None:
        return None
    return {
        "id": grant.id,
        "legal_reference": grant.legal_reference,
        "purpose": grant.purpose,
        "application": grant.application,
        "valid_from": moment(grant.valid_from),
        "valid_to": moment(grant.valid_to),
        "state": grant.state,  # as it stands now; what it was then, the rule says
    }


def _rows(facts: Facts, source: str, form: str) -> list[dict[str, Any]]:
    """The rows of the list that send such a lookup, for the materials this verification was about."""
    found = []
    for one in (facts.receipt or {"materials": ()})["materials"]:
        for position, row in enumerate(_chain(facts, one["material"]), 1):
            if (row.source, row.form) == (source, form):
                found.append({"material": one["material"], "step": position})
    return found


def _chain(facts: Facts, need: str) -> Sequence[Replacement]:
    return facts.edition.catalog.materials[need.partition("@")[0]].chain


def _material(facts: Facts, one: Mapping[str, Any]) -> dict[str, Any]:
    steps = _steps(one["steps"], _chain(facts, one["material"]))
    return {
        "material": one["material"],
        "name": one["name"],
        "holder": one["holder"],
        "decision": one["decision"],
        "outcome": dict(DECISIONS[Kind(one["decision"])]),
        "reason": one["reason"],
        "text": _words(one["reason"]),
        "steps": steps,
        "ended_by": steps[-1]["row"],
    }


def _steps(told: Sequence[Mapping[str, Any]], chain: Sequence[Replacement]) -> list[dict[str, Any]]:
    """Each step as the receipt tells it, with its row in the chain, counted from one; rows between were no way here."""
    steps, row = [], 0
    for one in told:
        row = next((at for at in range(row, len(chain)) if _is(chain[at], one)), len(chain) - 1) + 1
        steps.append({
            "row": row, "mode": one["mode"], "source": one.get("source"), "form": one.get("form") or None,
            "reason": one["reason"], "text": _words(one["reason"]), "answer": one.get("digest"),
        })  # fmt: skip
    return steps


def _is(row: Replacement, step: Mapping[str, Any]) -> bool:
    return (row.mode.value, row.source or "") == (step["mode"], step.get("source", ""))


def _words(reason: str) -> dict[str, str]:
    text = reason_text(reason)
    return {"zh": text.zh, "en": text.en}


# --- in plain words ---------------------------------------------------------------------------------------------------

_HEAD: Text = {
    "zh": "核验 {id} · 办件 {case} · 清单第 {edition} 版 · {state}",
    "en": "Verification {id} · case {case} · edition {edition} of the list · {state}",
}
_LOOKUP: Text = {
    "zh": "查询 {key}：{text}（{why}）· {state}",
    "en": "Lookup {key}: {text} ({why}) · {state}",
}
_REFUSED: Text = {
    "zh": "{at} 拒绝 · 办件 {case} · {text}（{code}）· 日志 {position}",
    "en": "{at} refused · case {case} · {text} ({code}) · log {position}",
}
_PLANNED: Text = {"zh": "    查询 {key}：{text}（{why}）", "en": "    lookup {key}: {text} ({why})"}
_ASKED: Text = {
    "zh": "    发出 {attempts} 次，{asked_at} → {answered_at}，{reason}，答复摘要 {answer}，日志 {entries}",
    "en": "    asked {attempts} times, {asked_at} → {answered_at}, {reason}, answer {answer}, log {entries}",
}
_ENTRIES: Text = {"zh": "    日志 {entries}", "en": "    log {entries}"}
_MATERIAL: Text = {
    "zh": "材料 {name} · {holder}：{outcome}，止于第 {row} 行",
    "en": "Material {name} · {holder}: {outcome}, ended by row {row}",
}
_STEP: Text = {
    "zh": "    第 {row} 行 {mode}{source}：{text}{answer}",
    "en": "    row {row} {mode}{source}: {text}{answer}",
}
STATES: Mapping[str, Text] = {
    "refused": {"zh": "未准许", "en": "refused"},
    "not_needed": {"zh": "无需查询", "en": "not needed"},
    "due": {"zh": "待查询", "en": "due"},
    "waiting": {"zh": "待答复", "en": "waiting"},
    "stopped": {"zh": "查询前被停止", "en": "stopped before it was asked"},
    "answered": {"zh": "已答复", "en": "answered"},
    "admitted": {"zh": "办理中", "en": "admitted"},
    "pending": {"zh": "待核查", "en": "pending"},
    "decided": {"zh": "已完成", "en": "decided"},
}


def explanation_text(told: Mapping[str, Any], lang: str) -> str:
    """The explanation as lines; ``lang`` is ``zh`` or ``en``."""
    head = _HEAD[lang].format(id=told["id"], case=told["case"], edition=told["edition"]["number"],
                              state=STATES[told["state"]][lang])  # fmt: skip
    lines = [head, *(line for one in told["lookups"] for line in _lookup_lines(one, lang))]
    lines += [line for one in told["materials"] for line in _material_lines(one, lang)]
    return "".join(f"{line}\n" for line in lines)


def refusals_text(refusals: Sequence[Mapping[str, Any]], lang: str) -> str:
    """Refusals as lines; ``lang`` is ``zh`` or ``en``."""
    lines = []
    for one in refusals:
        lines.append(_REFUSED[lang].format(**{**one, "case": one["case"] or "–", "text": one["text"][lang]}))
        for lookup in one["lookups"]:
            grant = lookup["grant"]
            why = lookup["rule"] or (f"{grant['id']} {grant['legal_reference']}" if grant else "–")
            lines.append(_PLANNED[lang].format(key=lookup["key"], text=lookup["text"][lang], why=why))
    return "".join(f"{line}\n" for line in lines)


def _lookup_lines(one: Mapping[str, Any], lang: str) -> list[str]:
    grant = one["grant"]
    why = one["rule"] or f"{grant['id']} {grant['legal_reference']}"
    lines = [_LOOKUP[lang].format(key=one["key"], text=one["text"][lang], why=why, state=STATES[one["state"]][lang])]
    entries = " ".join("…" if place is None else str(place) for place in one["entries"])
    if one["attempts"]:
        lines.append(_ASKED[lang].format(**{**one, "entries": entries}))
    elif entries:
        lines.append(_ENTRIES[lang].format(entries=entries))
    return lines


def _material_lines(one: Mapping[str, Any], lang: str) -> list[str]:
    holder = role_name(one["holder"])[lang]
    said = {"name": one["name"][lang], "holder": holder, "outcome": one["outcome"][lang], "row": one["ended_by"]}
    lines = [_MATERIAL[lang].format(**said)]
    for step in one["steps"]:
        source = f" {step['source']}" if step["source"] else ""
        answer = f" {step['answer']}" if step["answer"] else ""
        mode, text = MODES[Mode(step["mode"])][lang], step["text"][lang]
        lines.append(_STEP[lang].format(row=step["row"], mode=mode, source=source, text=text, answer=answer))
    return lines
