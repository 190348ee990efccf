"""The simulated platforms as processes: the connectors' contract over sockets, their levers, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psutil
import pytest

from broker.core.answer import Answer, Reason
from broker.core.catalog import Form
from broker.core.identifiers import is_certificate_type, is_identifier
from broker.sandbox.configured import SHIPPED, described, hold
from broker.sandbox.holdings import holdings, type_code
from broker.sandbox.population import populate
from broker.sandbox.servers import Postgres, fresh_database
from broker.sandbox.sources import PLATFORMS, Sandbox
from broker.transport.https import HttpsTransport
from tests.asking import (
    CONNECTORS,
    REPOSITORY,
    SIMULATED,
    SOURCES,
    SocketRoad,
    answers_of,
    ask,
    connections,
    party,
    question,
)
from tests.contract import VECTORS, run
from tests.vectors.vector import Vector


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory, postgres_server: Postgres) -> Iterator[SocketRoad]:
    """Every platform in a process of its own, and the front-end table in a PostgreSQL with its grants."""
    transport = HttpsTransport()
    with Sandbox(tmp_path_factory.mktemp("sandbox"), front=fresh_database(postgres_server)) as sandbox:
        yield SocketRoad(sandbox, transport, connections(sandbox))
    transport.close()


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_what_the_platform_does_becomes_its_reason(road: SocketRoad, vector: Vector) -> None:
    run(road, vector)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("error500", Reason.SOURCE_DOWN),
        ("throttled", Reason.THROTTLED),
        ("redirect", Reason.MALFORMED),
        ("page", Reason.MALFORMED),
        ("empty", Reason.MALFORMED),
        ("huge", Reason.MALFORMED),
    ],
)
@pytest.mark.parametrize("source", ["ecert-id-card", "ps-base", "nr-house-count"])
def test_every_misbehaviour_has_its_reason(road: SocketRoad, source: str, behaviour: str, reason: Reason) -> None:
    platform, subject = SOURCES[source].platform, party(road.roles["person_single"])
    road.behave(platform, behaviour)
    try:
        assert ask(road, source, Form.QUERY, subject).reason is reason
    finally:
        road.behave(platform, "ok")
    assert ask(road, source, Form.QUERY, subject).reason is Reason.VALID


def batch(road: SocketRoad, source: str, size: int) -> list[Answer]:
    """So many people asked about at the same time, each question with its own id."""
    listed, now = SOURCES[source], datetime.now(UTC)
    people = [party(entry) for entry in road.sandbox.population["persons"][40 : 40 + size]]
    asked = [question(source, Form.QUERY, one, lookup_id=f"lk-{source}-{number}") for number, one in enumerate(people)]
    connector, connection = CONNECTORS[listed.connector], road.connections[listed.platform]
    return answers_of(road.transport.converse(listed, [connector.ask(one, listed, connection, now) for one in asked]))


@pytest.mark.parametrize("source", ["ecert-id-card", "nr-house-count"])
def test_a_batch_asks_each_question_once(road: SocketRoad, source: str) -> None:
    """Also when the platform has just restarted and all askers fetch the secret at the same time."""
    platform = SOURCES[source].platform
    road.sandbox.restart_platform(platform)
    assert {answer.reason for answer in batch(road, source, 40)} == {Reason.VALID}
    counted = road.sandbox.calls(platform)
    assert counted["services"][source] == 40
    assert counted["lookups"] | {f"lk-{source}-{number}": 1 for number in range(40)} == counted["lookups"]


def test_one_slow_source_leaves_its_neighbours_alone(road: SocketRoad) -> None:
    """With only one of a platform's sources hanging, another one answers meanwhile."""
    subject = party(road.roles["person_single"])
    road.sandbox.behave("sd-exchange", "hang", source="hs-insurance")
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(ask, road, "hs-insurance", Form.QUERY, subject)
        time.sleep(0.1)
        assert ask(road, "nr-house-count", Form.QUERY, subject).reason is Reason.VALID
        assert not hanging.done()
        road.sandbox.behave("sd-exchange", "ok", source="hs-insurance")
        assert hanging.result(5).reason is Reason.VALID


def test_a_stopped_platform_is_down_and_comes_back(road: SocketRoad) -> None:
    subject = party(road.roles["person_single"])
    road.sandbox.stop_platform("sd-certshare")
    assert ask(road, "ecert-id-card", Form.QUERY, subject).reason is Reason.SOURCE_DOWN
    road.sandbox.restart_platform("sd-certshare")
    assert ask(road, "ecert-id-card", Form.QUERY, subject).reason is Reason.VALID


def test_a_lever_nobody_knows_is_refused(road: SocketRoad) -> None:
    with pytest.raises(ValueError, match="refuses"):
        road.behave("sd-certshare", "explode")


def test_the_sandbox_serves_every_source_of_its_platforms(road: SocketRoad) -> None:
    served = {key for connection in road.connections.values() for key in connection.options["services"]}
    assert served == set(SIMULATED)
    for connection in road.connections.values():
        for key, service in connection.options["services"].items():
            assert SOURCES[key].service in {None, service}


# ---- the population


def test_the_same_seed_gives_the_same_people_and_another_one_others() -> None:
    assert populate(7) == populate(7)
    assert populate(7)["persons"] != populate(8)["persons"]


@pytest.mark.parametrize("seed", range(5))
def test_every_number_is_well_formed_and_nobodys(seed: int) -> None:
    population = populate(seed)
    everyone = population["persons"] + population["companies"]
    assert len(population["persons"]) >= 200
    assert len(population["companies"]) >= 100
    assert len({one["number"] for one in everyone}) == len(everyone)
    for one in everyone:
        assert is_identifier(one["id_type"], one["number"])
        assert "370499" in one["number"]
    assert all(is_certificate_type(type_code(key)) for key in SIMULATED)


def test_every_source_holds_something_about_somebody() -> None:
    population = populate(1)
    held = holdings(population)
    hold(described(SHIPPED), population, held)
    assert [key for key in SIMULATED if not held.get(key)] == []


# ---- the processes


def test_the_command_starts_everything_and_takes_it_along(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "broker.sandbox", "--folder", str(tmp_path), "--seed", "3"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(len(PLATFORMS) + 1)]
        assert lines[-1] == f"ready {tmp_path / 'platforms.yaml'}"
        children = psutil.Process(process.pid).children(recursive=True)
        assert orjson.loads((tmp_path / "population.json").read_bytes())["seed"] == 3
        process.terminate()
        assert process.wait(10) == 0
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_platforms_die_with_a_killed_parent(tmp_path: Path) -> None:
    """The granian processes and their workers, whoever killed the sandbox."""
    argv = [sys.executable, "-m", "broker.sandbox", "--folder", str(tmp_path)]
    process = subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("ready"):
            pass
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == 2 * len(PLATFORMS)
        os.kill(process.pid, signal.SIGKILL)
    assert psutil.wait_procs(children, timeout=20)[1] == []


def test_credentials_are_files_for_the_owner_alone(road: SocketRoad) -> None:
    kinds = {".password", ".app-key", ".app-secret", ".secret", ".pem"}
    secret = [path for path in road.sandbox.folder.iterdir() if path.suffix in kinds]
    assert len(secret) == 9
    assert {path.stat().st_mode & 0o077 for path in secret} == {0}
