"""``python -m tests.bench.hanging``: what one hanging source costs the others, in one run.

The embedded broker over SQLite, in this process. Verifications that ask only ``ps-identity`` come at a steady rate,
and beside them as many that ask only ``tx-deed-tax``, which is on another platform and hangs in every second phase.
A latency is decided − admitted, on the database's clock.

A pair is one phase of each kind, one after the other, and every second pair begins with the other kind: whatever else
the machine does touches both, and a drift cancels out. The figure is the ratio of the two 99th percentiles over all
pairs. What chance leaves open is told by resampling the pairs: nine of ten such ratios lie in the interval given. A
stall of the machine in one phase of one pair widens the interval; an interval on both sides of what is demanded shows
nothing, and says so.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click
import orjson

from broker.bootstrap import Office, make_keys, open_office
from broker.config import settings_from
from broker.core.authorise import Grant
from broker.core.case import Basis
from broker.core.catalog import Form
from broker.core.envelope import Algorithm
from broker.flow import register
from broker.flow.admit import Submission, admit_all
from broker.flow.caller import Caller
from broker.flow.publish import publish
from broker.housekeeping import Housekeeping
from broker.ports import Client
from broker.sandbox.sources import Sandbox
from broker.store.catalog_file import read_catalog
from broker.store.migrate import migrate
from tests.bench.ours import unthrottled
from tests.bench.work_unit import CLIENT, ITEM, REPOSITORY, SYSTEM, UNIT, Couple, couples, document

OTHERS: Final = ("identity", "ps-identity", Form.VERIFY)
HANGING: Final = ("deed-tax-receipt", "tx-deed-tax", Form.QUERY)
PER_SECOND: Final = 25  # of each kind
PAUSE_S: Final = 6.0  # after a phase that hung: what hangs is late by then, and the breaker has had its probe
DEMANDED: Final = 1.2
RESAMPLED: Final = 2_000
PAGE: Final = REPOSITORY / "docs" / "performance.md"
BEGIN: Final = "<!-- hanging:begin -->"
END: Final = "<!-- hanging:end -->"

Pair = tuple[list[float], list[float]]
"""Latencies of the others with a healthy and with a hanging neighbour, in milliseconds."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--pairs", "count", type=click.IntRange(2), default=16, show_default=True,
              help="Each a phase of either kind.")  # fmt: skip
@click.option("--seconds", type=float, default=12.0, show_default=True, help="Of each phase.")
@click.option("--write-docs", "docs", is_flag=True, help="Write the figure just measured into docs/performance.md.")
def main(count: int, seconds: float, docs: bool) -> None:
    """Print the p50 and p99 of the others with a healthy and with a hanging neighbour, and the ratio of the p99."""
    told = found(measured(count, seconds), seconds)
    print(told)
    if docs:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        when = datetime.now(UTC).strftime("%Y-%m-%d")
        PAGE.write_text(f"{before}{BEGIN}\n{told}\n\nMeasured on {when}.\n{END}{rest.partition(END)[2]}", "utf-8")


def measured(count: int, seconds: float) -> list[Pair]:
    """So many pairs of phases."""
    numbers = itertools.count(1)
    with (
        tempfile.TemporaryDirectory() as folder,
        Sandbox(Path(folder) / "sandbox") as sandbox,
        _office(Path(folder), sandbox) as office,
    ):

        def calm() -> list[float]:
            return _phase(office, sandbox, numbers, seconds)

        def hung() -> list[float]:
            sandbox.behave("sd-exchange", "hang", source=HANGING[1])
            latencies = _phase(office, sandbox, numbers, seconds)
            sandbox.behave("sd-exchange", "ok", source=HANGING[1])
            time.sleep(PAUSE_S)
            return latencies

        _phase(office, sandbox, numbers, 3.0)  # warm
        pairs: list[Pair] = []
        for number in range(count):
            if number % 2:
                later = hung()
                pairs.append((calm(), later))
            else:
                pairs.append((calm(), hung()))
        return pairs


def found(pairs: Sequence[Pair], seconds: float) -> str:
    """What was measured, as lines of Markdown."""
    calm, hung = ([one for pair in pairs for one in pair[kind]] for kind in (0, 1))
    low, high = interval(pairs)
    lines = [
        f"{len(pairs)} pairs of phases of {seconds:g} s, {PER_SECOND} verifications a second of each kind:", "",
        "| neighbour | verifications | p50 | p99 |", "|---|---|---|---|",
        *(f"| {name} | {len(kind):,} | {percentile(kind, 50):.0f} ms | {percentile(kind, 99):.0f} ms |"
          for name, kind in (("healthy", calm), ("hanging", hung))), "",
        (f"p99 beside a hanging source ÷ p99 beside a healthy one = **{ratio(pairs):.2f}** (nine of ten resampled: "
        f"{low:.2f} to {high:.2f}); demanded ≤ {DEMANDED}: {verdict(ratio(pairs), low, high)}."),
    ]  # fmt: skip
    return "\n".join(lines)


def verdict(value: float, low: float, high: float) -> str:
    """Whether the demand is reached, as far as the run can tell."""
    if low <= DEMANDED < high:
        return f"{'reached' if value <= DEMANDED else 'not reached'}, but the run was too noisy to tell for sure"
    return "reached" if value <= DEMANDED else "not reached"


def ratio(pairs: Sequence[Pair]) -> float:
    """The 99th percentile of all phases beside a hanging source by that of all beside a healthy one."""
    calm, hung = ([one for pair in pairs for one in pair[kind]] for kind in (0, 1))
    return percentile(hung, 99) / percentile(calm, 99)


def interval(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Where nine of ten ratios lie when pairs are drawn anew from those measured (the bootstrap, by pairs)."""
    chance = random.Random(8)
    ratios = sorted(ratio(chance.choices(pairs, k=len(pairs))) for _ in range(RESAMPLED))
    return ratios[RESAMPLED // 20], ratios[-RESAMPLED // 20]


@contextlib.contextmanager
def _office(folder: Path, sandbox: Sandbox) -> Iterator[Office]:
    environment = {
        "BROKER_DATABASE_URL": f"sqlite:///{folder / 'broker.db'}",
        "BROKER_KEYS_FOLDER": str(folder / "keys"),
        "BROKER_PLATFORMS_FILE": str(sandbox.connections),
    }
    make_keys(folder / "keys", Algorithm.ED25519)
    office = open_office(settings_from(environment))
    migrate(office.database)
    publish(office.parts, unthrottled(read_catalog(REPOSITORY / "data_catalog.yaml").document), None, "bench")
    register.register_client(office.parts, Client(CLIENT, SYSTEM, UNIT, None, "active"))
    with office.parts.store.read() as work:
        catalog = office.parts.edition(work, 1).catalog
    for _, source, form in (OTHERS, HANGING):
        register.register_grant(office.parts, _grant(source, form, catalog.sources[source].fields))
    duties = Housekeeping(office.parts, office.settings.sweep_seconds)
    duties.start()
    try:
        yield office
    finally:
        duties.stop()
        office.close()


def _grant(source: str, form: Form, fields: Sequence[str]) -> Grant:
    begin = datetime.now(UTC) - timedelta(minutes=1)
    return Grant(
        f"g-{source}", CLIENT, source, (form,), tuple(fields), (Basis.STATUTORY_DUTY,), "法", begin,
        begin + timedelta(days=1), (), (ITEM,),
    )  # fmt: skip


def _phase(office: Office, sandbox: Sandbox, numbers: Iterator[int], seconds: float) -> list[float]:
    """Admit both kinds at the rate, wait for the others' decisions, and give their latencies in milliseconds."""
    pairs = couples(sandbox.population)
    mine: list[str] = []
    began = time.monotonic()
    for turn in range(int(seconds * PER_SECOND)):
        time.sleep(max(0.0, began + turn / PER_SECOND - time.monotonic()))
        for kind in (OTHERS, HANGING):
            number = next(numbers)
            admitted = admit_all(office.parts, [_submission(pairs[number % 2], number, kind[0])])[0]
            if isinstance(admitted, Exception):
                raise admitted
            if kind is OTHERS:
                mine.append(admitted.verification.id)
    return _latencies(office, mine)


def _submission(couple: Couple, number: int, material: str) -> Submission:
    asked: Mapping[str, Any] = document(couple, f"hang-{number}") | {"materials": [material]}
    caller = Caller(Client(CLIENT, SYSTEM, UNIT, None, "active"), "bench", f"bench-nonce-{number:012}")
    return Submission(orjson.dumps(asked), lambda policy, _: replace(caller, client=policy.clients[CLIENT]))


def _latencies(office: Office, numbers: Sequence[str]) -> list[float]:
    ends = time.monotonic() + 30
    while True:
        with office.parts.store.glance() as work:
            decided = work.decided_among(numbers)
        if len(decided) == len(numbers):
            moments = [(one.admitted_at, one.decided_at) for one in decided.values()]
            return [(until - since).total_seconds() * 1000 for since, until in moments if until is not None]
        if time.monotonic() > ends:
            raise TimeoutError(f"{len(numbers) - len(decided)} verifications were not decided")
        time.sleep(0.2)


def percentile(latencies: Sequence[float], share: int) -> float:
    """The value that so many in a hundred do not exceed."""
    ordered = sorted(latencies)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]


if __name__ == "__main__":
    main()
