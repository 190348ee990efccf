"""The processes of the demonstration: sources, broker (embedded or as a fleet), and what must be registered."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket

import requests

from broker.bootstrap import make_keys, open_office
from broker.config import ROOT, settings_from
from broker.core.authorise import Grant
from broker.core.case import Basis
from broker.core.catalog import Catalog
from broker.core.envelope import Algorithm
from broker.core.identifiers import credit_check_digit
from broker.core.roles import Role
from broker.flow import register
from broker.flow.parts import Parts
from broker.flow.publish import publish
from broker.ports import Client, ClientKey
from broker.sandbox.servers import fresh_database, start_postgres, start_redis
from broker.sandbox.sources import POLICE_UNIT, Sandbox
from broker.signing import keys
from broker.store.catalog_file import read_catalog
from broker.store.migrate import migrate

SYSTEM = "zaozhuang-approval"  # the approval system that asks
POLICE_SYSTEM = "zaozhuang-police"  # with which the police answer work orders
READY_SECONDS = 40
WORKERS = 2  # of the fleet
GRANTED_ITEMS = ("food-business-licence", "fund-withdrawal-purchase", "internet-cafe-licence")
GRANTED_SCENES = ("enterprise-1.1",)


class NotReady(RuntimeError):
    """A process of the demonstration did not come up; the message says where its output is."""


@dataclass
class City:
    """Everything that runs, and what those who speak to the broker need to know."""

    url: str
    sandbox: Sandbox
    signer: keys.PrivateKey  # the approval system's
    police: keys.PrivateKey  # their system's
    catalog: Catalog
    folder: Path


@contextmanager
def city(folder: Path, *, fleet: bool) -> Iterator[City]:
    """Start everything in a fresh folder, stop everything at the end, whatever happens in between."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(folder / "sources"))
        environment = _settings(folder, sandbox, stack, fleet=fleet)
        signer, police = keys.generate(Algorithm.SM2), keys.generate(Algorithm.SM2)
        catalog = _registered(environment, signer, police)
        for name, command in _processes(fleet=fleet):
            stack.enter_context(_process(name, command, environment, folder))
        url = environment["BROKER_PUBLIC_URL"]
        _wait_until_ready(url, folder)
        yield City(url, sandbox, signer, police, catalog, folder)


def _settings(folder: Path, sandbox: Sandbox, stack: ExitStack, *, fleet: bool) -> dict[str, str]:
    port = _free_port()
    settings = {
        "BROKER_KEYS_FOLDER": str(folder / "keys"),
        "BROKER_PLATFORMS_FILE": str(sandbox.connections),
        "BROKER_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "BROKER_PORT": str(port),
        "BROKER_DATABASE_URL": f"sqlite:///{folder / 'broker.db'}",
        "BROKER_LOG_LEVEL": "WARNING",
    }
    if fleet:
        settings["BROKER_DATABASE_URL"] = fresh_database(stack.enter_context(start_postgres()))
        settings["BROKER_REDIS_URL"] = stack.enter_context(start_redis()).url
    return settings


def _processes(*, fleet: bool) -> list[tuple[str, list[str]]]:
    if not fleet:
        return [("serve", ["serve"])]
    workers = [(f"work-{number}", ["work", "--name", f"worker-{number}"]) for number in range(1, WORKERS + 1)]
    return [("serve", ["serve"]), *workers, ("sweep", ["sweep"])]


@contextmanager
def _process(name: str, command: list[str], settings: Mapping[str, str], folder: Path) -> Iterator[None]:
    """One broker process, its output in a file of the folder, in a session of its own so that Ctrl-C is ours alone."""
    outside = {key: value for key, value in os.environ.items() if not key.startswith("BROKER_")}
    with (folder / f"{name}.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "broker.cli", *command],
            env=outside | dict(settings),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _registered(settings: Mapping[str, str], signer: keys.PrivateKey, police: keys.PrivateKey) -> Catalog:
    """Keys, schema, edition, the approval system with its key and grants, and the police; all else stays ungranted."""
    make_keys(Path(settings["BROKER_KEYS_FOLDER"]), Algorithm.SM2)
    office = open_office(settings_from(settings))
    parts = office.parts
    try:
        migrate(office.database)
        publish(parts, read_catalog(ROOT / "data_catalog.yaml").document, None, "demo")
        with parts.store.read() as work:
            pulse = work.pulse()
            catalog = parts.edition_in_force(work, parts.policy(work, pulse), pulse.now).catalog
        now = datetime.now(UTC)
        _enrol(parts, Client(SYSTEM, "枣庄市一窗受理系统（演示）", unit(), None, "active"), signer, now)
        roles = (Role.SOURCE.value,)
        _enrol(parts, Client(POLICE_SYSTEM, "公安核查系统（演示）", POLICE_UNIT, None, "active", roles), police, now)
        for grant in _grants(catalog, now):
            register.register_grant(parts, grant)
    finally:
        office.close()
    return catalog


def _enrol(parts: Parts, client: Client, key: keys.PrivateKey, now: datetime) -> None:
    register.register_client(parts, client)
    known = ClientKey(client.id, key.verifier(), now - timedelta(minutes=1), None, None)
    register.register_key(parts, known, keys.public_pem(key).decode("ascii"))


def _grants(catalog: Catalog, now: datetime) -> Iterator[Grant]:
    """One grant per source, for the demonstration's items and scene only."""
    for source in catalog.sources.values():
        yield Grant(
            id=f"grant-{source.key}",
            client=SYSTEM,
            source=source.key,
            forms=source.forms,
            fields=source.fields,
            bases=(Basis.STATUTORY_DUTY, Basis.HOLDER_CONSENT),
            legal_reference="国务院令第716号 第七条",
            valid_from=now - timedelta(minutes=1),
            valid_to=now + timedelta(days=30),
            scenes=GRANTED_SCENES,
            items=GRANTED_ITEMS,
            daily_calls=10_000,
        )


def unit() -> str:
    """The credit code of the demonstration's implementing body: invented, with a right check digit."""
    first = "11370400MB0000001"
    return first + credit_check_digit(first)


def _wait_until_ready(url: str, folder: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if requests.get(f"{url}/ready", timeout=2).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise NotReady(f"the broker did not come up within {READY_SECONDS} s; see {folder}/*.log")


def _free_port() -> int:
    with socket(AF_INET, SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
