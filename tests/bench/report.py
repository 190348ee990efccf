"""What a run says, on the terminal and in docs/performance.md: figures, pieces and targets, all from bench.json."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.processes import MIB
from tests.bench.suite import lookups_per_second, median

NAMES = {
    "a": "ours, embedded",
    "b": "ours, fleet",
    "c": "idiomatic stack",
    "d": "plain client",
}
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
MEMORY_CAP_MIB = 150
OUR_ROLES = ("web", "worker")
_HIDDEN = ("driver",)
_BUSY_MS = 0.005  # CPU per verification below which a role stood by


def target_lines(found: Mapping[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Every target as (what, measured, wanted, reached); those whose letters were not measured are left out."""
    return [*_throughput(found), *_latency(found), *_database(found), *_memory(found)]


def _throughput(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str, bool]]:
    rounds = found["rounds"]
    rate = {letter: median(rounds[letter], "per_second") for letter in rounds}
    for letter, factor in (("b", 10), ("a", 4)):
        if {letter, "c"} <= rate.keys():
            times = rate[letter] / rate["c"]
            yield f"({letter}) against (c)", f"{times:.1f} ×", f"≥ {factor} ×", times >= factor
    if "b" in rate and "bound" in found:
        share, elsewhere = rate["b"] / found["bound"], rate["b"] / found["bound_elsewhere"]
        measured = f"{share:.0%} ({elsewhere:.0%} with sources and caller elsewhere)"
        yield "(b) of the bound (e)", measured, "≥ 30 %", share >= 0.30
    if {"b", "d"} <= rate.keys():
        share = lookups_per_second(found, "b") / lookups_per_second(found, "d")
        yield "(b) of (d)'s lookups/s", f"{share:.0%}", "≥ 40 %", share >= 0.40


def _latency(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str, bool]]:
    for letter in ("a", "b"):
        if letter in found["rest"]:
            added = found["rest"][letter]["added_p95"]
            yield f"({letter}) added at rest, p95", f"{added:.1f} ms", "≤ 25 ms", added <= 25


def _database(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str, bool]]:
    for letter in ("a", "b"):
        if letter in found["database"]:
            commits = found["database"][letter]["commits"]
            yield f"({letter}) commits per verification", f"{commits:.2f}", "≤ 2", commits <= 2


def _memory(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str, bool]]:
    for letter in ("a", "b"):
        for role in OUR_ROLES:
            largest = max((_peak(one, role) for one in found["rounds"].get(letter, ())), default=0.0)
            if largest:
                what, wanted = f"({letter}) {role} process, peak RSS", f"≤ {MEMORY_CAP_MIB} MiB"
                yield what, f"{largest:.0f} MiB", wanted, largest <= MEMORY_CAP_MIB


def _peak(reading: Mapping[str, Any], role: str) -> float:
    weight: Mapping[str, float] = reading["memory"].get(role, {})
    return weight.get("peak_rss", 0) / MIB


def tables(result: Mapping[str, Any]) -> str:
    """The whole report in Markdown, which reads well on a terminal too."""
    parts = [_machine(result)]
    for algorithm, found in result["algorithms"].items():
        parts += [f"### {algorithm}", _rates(found), _costs(found), _pieces(found), _targets(found)]
    return "\n\n".join(part for part in parts if part)


def _machine(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    facts = " · ".join(f"{name} {value}" for name, value in machine.items())
    return f"Measured {result['measured_at']}, {result['rounds']} rounds of {result['seconds']:g} s. {facts}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    padded = ([text.ljust(width) for text, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def _rates(found: Mapping[str, Any]) -> str:
    rows = []
    for letter, readings in found["rounds"].items():
        rest = found["rest"].get(letter)
        each = ", ".join(f"{one['per_second']:.0f}" for one in readings)
        unit = "lookups/s" if letter == "d" else "verifications/s"
        rows.append([
            f"({letter}) {NAMES[letter]}",
            f"{median(readings, 'per_second'):.0f} {unit}",
            each,
            f"{rest['total_p50']:.1f} / {rest['total_p95']:.1f}" if rest else "",
            f"{rest['added_p50']:.1f} / {rest['added_p95']:.1f}" if rest else "",
            f"{rest['source_p50']:.1f}" if rest else "",
        ])  # fmt: skip
    head = ["", "median", "rounds", "at rest p50 / p95 ms", "added p50 / p95 ms", "source ms"]
    if "bound" in found:
        bounds = f"{found['bound']:.0f} verifications/s", f"elsewhere: {found['bound_elsewhere']:.0f}"
        rows.append(["(e) sum of the pieces", *bounds, "", "", ""])
    return _table(head, rows)


def _costs(found: Mapping[str, Any]) -> str:
    rows = []
    for letter, readings in found["rounds"].items():
        cost = found["database"].get(letter)
        cpu = {role: statistics.median(one["cpu_ms"][role] for one in readings) for role in readings[0]["cpu_ms"]}
        busy = [role for role, spent in cpu.items() if spent >= _BUSY_MS]
        rows.append([
            f"({letter})",
            ", ".join(f"{role} {cpu[role]:.2f}" for role in busy),
            ", ".join(f"{role} {_sizes(readings, role)}" for role in busy if role not in _HIDDEN),
            f"{cost['commits']:.2f}" if cost else "",
            f"{cost['statements']:.1f}" if cost else "",
        ])  # fmt: skip
    head = ["", "CPU ms each, by role", "largest process MiB: peak RSS (PSS)", "commits each", "statements each"]
    return _table(head, rows)


def _sizes(readings: Sequence[Mapping[str, Any]], role: str) -> str:
    rss, pss = (max(one["memory"][role][name] for one in readings) / MIB for name in ("peak_rss", "pss"))
    return f"{rss:.0f} ({pss:.0f})"


def _pieces(found: Mapping[str, Any]) -> str:
    if "pieces" not in found:
        return ""
    rows = [
        [one["name"] + (" (elsewhere)" if one["elsewhere"] else ""), f"{one['milliseconds']:.3f}", one["contains"]]
        for one in found["pieces"]
    ]
    return _table(["(e) piece", "CPU ms", "contains"], rows)


def _targets(found: Mapping[str, Any]) -> str:
    rows = [[*told, "reached" if reached else "**not reached**"] for *told, reached in target_lines(found)]
    return _table(["target", "measured", "wanted", ""], rows) if rows else ""


def write_docs(result: Mapping[str, Any], page: Path) -> None:
    """Put the tables between the page's markers."""
    text = page.read_text("utf-8")
    filled = f"{BEGIN}\n{tables(result)}\n{END}"
    page.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: filled, text, flags=re.DOTALL), "utf-8")
