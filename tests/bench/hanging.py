"""``python -m tests.bench.hanging``: what one hanging source costs the others, in one run.

The embedded broker over SQLite, in this process. Verifications that ask only ``ps-identity`` come at a steady rate,
and beside them as many that ask only ``tx-deed-tax``, which is on another platform and hangs in every second phase.
Phases take turns, so that whatever else the machine does touches both kinds. A latency is decided − admitted, on the
database's clock.
"""

from __future__ import annotations

import contextlib
import itertools
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
PAUSE_S: Final = 6.0  # after a phase: what hangs is late by then, and the breaker has had its probe
DEMANDED: Final = 1.2


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", type=int, default=6, show_default=True, help="Each a phase of either kind.")
@click.option("--seconds", type=float, default=10.0, show_default=True, help="Of each phase.")
def main(rounds: int, seconds: float) -> None:
    """Print the p50 and p99 of the others with a healthy and with a hanging neighbour, and the ratio of the p99."""
    calm: list[float] = []
    hung: list[float] = []
    numbers = itertools.count(1)
    with (
        tempfile.TemporaryDirectory() as folder,
        Sandbox(Path(folder) / "sandbox") as sandbox,
        _office(Path(folder), sandbox) as office,
    ):
        _phase(office, sandbox, numbers, 3.0)  # warm
        for _ in range(rounds):
            calm += _phase(office, sandbox, numbers, seconds)
            sandbox.behave("sd-exchange", "hang", source=HANGING[1])
            hung += _phase(office, sandbox, numbers, seconds)
            sandbox.behave("sd-exchange", "ok", source=HANGING[1])
            time.sleep(PAUSE_S)
    ratio = _percentile(hung, 99) / _percentile(calm, 99)
    for name, found in (("neighbour healthy", calm), ("neighbour hanging", hung)):
        half, most = _percentile(found, 50), _percentile(found, 99)
        print(f"{name}: {len(found)} verifications, p50 {half:.0f} ms, p99 {most:.0f} ms")
    print(f"p99 hanging / healthy = {ratio:.2f}, demanded ≤ {DEMANDED}")


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
            found = [(one.admitted_at, one.decided_at) for one in decided.values()]
            return [(until - since).total_seconds() * 1000 for since, until in found if until is not None]
        if time.monotonic() > ends:
            raise TimeoutError(f"{len(numbers) - len(decided)} verifications were not decided")
        time.sleep(0.2)


def _percentile(found: Sequence[float], share: int) -> float:
    ordered = sorted(found)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]


if __name__ == "__main__":
    main()
