"""Run the demonstration: ``python -m broker.demo [--once] [--fleet]``."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import click

from broker.client import BrokerClient, Refused, verify_offline
from broker.core.decide import Kind
from broker.core.receipt import VerifiedReceipt, receipt_digest
from broker.core.work_order import OrderReply
from broker.demo import report
from broker.demo.cases import Case, cases
from broker.demo.city import City, NotReady, city
from broker.sandbox.sources import POLICE_UNIT

WAIT_SECONDS = 20
PROOF_SECONDS = 10  # the log follows a decision by fractions of a second


@click.command()
@click.option("--once", is_flag=True, help="End after the cases: exit 0 only if each came out as it should.")
@click.option("--fleet", is_flag=True, help="PostgreSQL, Redis and separate processes instead of the embedded default.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("var/demo"), show_default=True,
              help="Emptied at the start.")  # fmt: skip
def main(*, once: bool, fleet: bool, folder: Path) -> None:
    """Start simulated sources and the broker, and submit cases as an approval system would."""
    stop = threading.Event()

    def asked_to_stop(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            return
        stop.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, asked_to_stop)
    signal.signal(signal.SIGINT, asked_to_stop)
    try:
        sys.exit(_run(once=once, fleet=fleet, folder=folder.absolute(), stop=stop))
    except KeyboardInterrupt:
        click.echo("已停止 / stopped")
    except NotReady as problem:
        click.secho(f"启动失败 / not started: {problem}", fg="red", err=True)
        sys.exit(1)


def _run(*, once: bool, fleet: bool, folder: Path, stop: threading.Event) -> int:
    click.echo("启动模拟数源与平台…… / starting the simulated sources and the broker …")
    with city(folder, fleet=fleet) as town:
        failures = sum(_play(town, number, case) for number, case in enumerate(cases(town.sandbox.population), 1))
        click.echo()
        if failures:
            click.secho(f"{failures} 个案例不符合预期 / {failures} cases did not come out as they should", fg="red")
        else:
            click.secho("全部案例符合预期 / every case came out as it should", fg="green")
        if not once:
            _stay(town, stop)
    return 1 if failures else 0


def _stay(town: City, stop: threading.Event) -> None:
    click.echo(f"接口 / API: {town.url}/v1   文档 / documentation: {town.url}/docs   OpenAPI: {town.url}/openapi.json")
    click.echo(f"办事指南 / item guide: {town.url}/v1/guide?region=370400&item=food-business-licence")
    click.echo("按 Ctrl-C 结束 / Ctrl-C ends it")
    stop.wait()


def _play(town: City, number: int, case: Case) -> bool:
    """Submit one case and print what comes back; True if it is not what it should be."""
    report.heading(number, case.title)
    for platform in case.down:
        town.sandbox.stop_platform(platform)
    try:
        faults = _submit(town, case)
    finally:
        for platform in case.down:
            town.sandbox.restart_platform(platform)
    report.verdict(faults)
    return bool(faults)


def _submit(town: City, case: Case) -> list[str]:
    client = BrokerClient(town.url, town.signer)
    client.jwks()  # fetched before the clock starts, as an approval system has it
    before = _asked(town, case)
    began = time.monotonic()
    try:
        result = client.submit(case.document, wait=WAIT_SECONDS)
    except Refused as refused:
        report.refusal(refused.code)
        return [] if refused.code == case.refused else [f"refused with {refused.code}"]
    took = time.monotonic() - began
    state = "pending" if case.checked else "decided"
    if result["state"] != state:
        return [f"{result['state']} instead of {state} after {WAIT_SECONDS} s"]
    report.materials(result, town.catalog)
    _prove(client, result, took)
    if case.checked:
        return _checked(town, case, client, result)
    return [*_differences(case, result), *_asked_again(case, before, _asked(town, case))]


def _checked(town: City, case: Case, client: BrokerClient, first: dict[str, Any]) -> list[str]:
    """An officer answers what the preliminary receipt leaves open; the final one must supersede it."""
    pending = {one["material"] for one in first["materials"] if one["decision"] == Kind.PENDING}
    faults = [] if pending == set(case.checked) else [f"{sorted(pending)} pending instead of {case.checked}"]
    began = time.monotonic()
    _answer_as_the_police(town)
    final = client.read(first["id"], wait=WAIT_SECONDS)
    took = time.monotonic() - began
    if final["state"] != "decided":
        return [*faults, f"{final['state']} after the officer's answer"]
    report.materials(final, town.catalog, case.checked)
    if _prove(client, final, took).payload.get("supersedes") != receipt_digest(first["receipt"]):
        faults.append("the final receipt does not name the preliminary one")
    return [*faults, *_differences(case, final)]


def _answer_as_the_police(town: City) -> None:
    """What an officer does in the police's own system: read every open work order, and confirm what it asks."""
    desk = BrokerClient(town.url, town.police)
    for one in desk.orders():
        report.order(desk.order(one["id"]))
        desk.answer_order(one["id"], {"by": {"id": "jw-0471", "unit": POLICE_UNIT}, "reply": OrderReply.CONFIRM})


def _prove(client: BrokerClient, result: dict[str, Any], took: float) -> VerifiedReceipt:
    """Verify the receipt as it stands with its log proof, by published keys alone, and print that."""
    verified = verify_offline(client.bundle(result["id"], patience=PROOF_SECONDS), client.jwks())
    report.proof(verified, took)
    return verified


def _differences(case: Case, result: dict[str, Any]) -> list[str]:
    if case.refused:
        return [f"admitted, but {case.refused} was expected"]
    found = {one["material"]: one for one in result["materials"]}
    faults = [
        f"{key}: {found[key]['decision'] if key in found else 'missing'} instead of {expected}"
        for key, expected in case.decisions.items()
        if key not in found or found[key]["decision"] != expected
    ]
    faults += [
        f"{key}: {found[key]['reason']} instead of {reason}"
        for key, reason in case.reasons.items()
        if key in found and found[key]["reason"] != reason
    ]
    if len(found) != len(result["materials"]):
        faults.append("a material came twice")
    return faults


def _asked(town: City, case: Case) -> dict[str, int]:
    """How often each source that matters here has been asked so far."""
    if not case.asked_once:
        return {}
    counts: dict[str, int] = {}
    for platform in ("sd-certshare", "gj-exchange", "sd-exchange"):
        counts |= town.sandbox.calls(platform)["services"]
    return {source: counts.get(source, 0) for source in case.asked_once}


def _asked_again(case: Case, before: dict[str, int], after: dict[str, int]) -> list[str]:
    return [
        f"{source} was asked {after[source] - before[source]} times instead of once"
        for source in case.asked_once
        if after[source] - before[source] != 1
    ]


if __name__ == "__main__":
    main()
