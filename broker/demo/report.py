"""What the demonstration prints: each case material by material, why, from which source, how long, and the proof."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import click

from broker.core.catalog import Catalog, Mode
from broker.core.decide import Kind
from broker.core.problems import PROBLEMS
from broker.core.reasons import reason_text
from broker.core.receipt import VerifiedReceipt
from broker.core.receipt_text import DECISIONS, MODES

_COLOURS = {
    Kind.EXEMPT: "green",
    Kind.FALLBACK: "cyan",
    Kind.SUBMIT: "yellow",
    Kind.NOT_MET: "red",
    Kind.PENDING: "blue",
}


def heading(number: int, title: Mapping[str, str]) -> None:
    """The case's number and title."""
    click.echo()
    click.secho(f"{number}. {title['zh']}", bold=True)
    click.echo(f"   {title['en']}")


def materials(result: Mapping[str, Any], catalog: Catalog, only: Collection[str] = ()) -> None:
    """The materials of a decided or pending verification, or only some."""
    for one in result["materials"]:
        if only and one["material"] not in only:
            continue
        kind = Kind(one["decision"])
        role = "" if one["holder"] == "applicant" else f" @{one['holder']}"
        click.echo(f"   {one['name']['zh']} / {one['name']['en']}{role}: ", nl=False)
        click.secho(f"{DECISIONS[kind]['zh']} / {DECISIONS[kind]['en']}", fg=_COLOURS[kind])
        for step in one["steps"]:
            _step(step, catalog)
        final = reason_text(one["reason"])
        if final.next_zh:
            click.echo(f"      下一步：{final.next_zh} / Next: {final.next_en}")


def _step(step: Mapping[str, Any], catalog: Catalog) -> None:
    mode = MODES[Mode(step["mode"])]
    words = reason_text(step["reason"])
    where = ""
    if step.get("source"):
        source = catalog.sources[step["source"]]
        where = f" · {source.name['zh']} / {source.name['en']}"
    took = f" · {_milliseconds(step)} ms" if "answered_at" in step else ""
    click.echo(f"      {mode['zh']} / {mode['en']}{where}{took}")
    click.echo(f"         {words.zh} / {words.en}  [{step['reason']}]")


def _milliseconds(step: Mapping[str, Any]) -> int:
    asked, answered = (datetime.fromisoformat(step[name]) for name in ("asked_at", "answered_at"))
    return round((answered - asked).total_seconds() * 1000)


def refusal(code: str) -> None:
    """A request that was refused whole."""
    kind = PROBLEMS[code]
    click.secho(f"   拒绝 / refused: {code}", fg="red")
    click.echo(f"      {kind.zh} / {kind.en}")
    click.echo(f"      下一步：{kind.next_zh} / Next: {kind.next_en}")


def order(shown: Mapping[str, Any]) -> None:
    """A work order as the department reads it, without the person it is about, and that it is being answered."""
    click.secho(f"   核查任务：{shown['question']['confirm']}，办理期限 {shown['due_at']}", fg="blue")
    click.echo(f"      work order, due by {shown['due_at']}; the officer confirms / 民警答复：属实")


def proof(verified: VerifiedReceipt, took: float) -> None:
    """How long the case took, and what was verified offline."""
    click.echo(f"   用时 {took * 1000:.0f} ms / took {took * 1000:.0f} ms")
    click.secho(
        f"   离线验证：凭证签名有效，日志收录于第 {verified.position} 位（共 {verified.size} 条）/ "
        f"verified offline: signature valid, included in the log at {verified.position} of {verified.size}",
        fg="green",
    )


def verdict(faults: list[str]) -> None:
    """Whether the case came out as it should."""
    for fault in faults:
        click.secho(f"   不符合预期 / not as expected: {fault}", fg="red", bold=True)
