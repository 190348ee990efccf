"""The fleet end to end: a real Celery worker in a process of its own, PostgreSQL, Redis – and `kill -9`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from broker.wakes.fleet import FleetWake, celery_app, queue_of
from tests.flow import kit
from tests.flow.catalogue import LICENCES
from tests.flow.kit import Broker
from tests.flow.test_wakes import IN_TIME, undecided, wait_until

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.parametrize("store", ["postgresql"], indirect=True)

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(prepared_url: str, redis_url: str, keys_folder: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts a process of the fleet as an operator does; every one is killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(command: str, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        environment = {
            "BROKER_DATABASE_URL": prepared_url,
            "BROKER_REDIS_URL": redis_url,
            "BROKER_KEYS_FOLDER": str(keys_folder),
            "BROKER_PLATFORMS_FILE": str(tmp_path / "platforms.yaml"),
            "BROKER_SWEEP_SECONDS": "60",
            "PATH": os.environ["PATH"],
        }
        with (tmp_path / f"{command}{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "broker.cli", command, *arguments],
                cwd=ROOT,
                env=environment | settings,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def start_worker(start: Start) -> Start:
    """Starts `broker work`."""
    return lambda name, **settings: start("work", "--name", name, **settings)


@pytest.fixture
def fleet(broker: Broker, redis_url: str) -> Broker:
    """A web process of the fleet."""
    broker.parts.wake = FleetWake(redis_url)
    return broker


def test_workers_hear_of_work_through_redis_and_share_it(fleet: Broker, start_worker: Start) -> None:
    """Nothing is connected in these workers, so every source is UNKNOWN; what matters is that all is decided."""
    for name in ("one", "two"):
        start_worker(name)
    for number in range(10):
        fleet.admit(number)
    wait_until(lambda: undecided(fleet) == 0)
    later = fleet.admit(10)  # with the workers up and idle
    wait_until(lambda: undecided(fleet) == 0)
    assert fleet.decisions(later) == {
        "identity@legal_representative": ("submit", "submit.last-step"),
        "licence": ("submit", "submit.last-step"),
        "premises": ("fallback", "fallback.commitment"),
        "form": ("submit", "submit.no-source"),
    }
    assert {one["reason"] for one in fleet.entries("answered")} == {"unknown.not-configured"}
    fleet.sequence_all()
    fleet.check(finished=True)


def test_redis_may_be_emptied_with_wakes_pending(fleet: Broker, start_worker: Start, redis_url: str) -> None:
    for number in range(10):
        fleet.admit(number)
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen(queue_of(LICENCES)) == 1
        client.flushall()
    start_worker("one", BROKER_SWEEP_SECONDS="0.1")
    wait_until(lambda: undecided(fleet) == 0)
    fleet.sequence_all()
    fleet.check(finished=True)


def test_a_sweeper_sends_the_message_that_was_lost(broker: Broker, start: Start, redis_url: str) -> None:
    broker.admit(1)  # and nobody is told
    start("sweep", BROKER_SWEEP_SECONDS="0.1")
    with redis.Redis.from_url(redis_url) as client:
        wait_until(lambda: client.llen(queue_of(LICENCES)) == 1)


def test_a_worker_that_ends_by_itself_begins_anew_and_one_that_is_told_to_ends(
    fleet: Broker, start_worker: Start, redis_url: str, tmp_path: Path
) -> None:
    """Whatever ends Celery without a signal to this process, here a word through Redis, is none of the operator's."""
    worker = start_worker("one")
    with celery_app(redis_url) as app:
        wait_until(lambda: app.control.ping(timeout=0.5))
        app.control.shutdown()
    wait_until(lambda: b"begins anew" in (tmp_path / "work0.log").read_bytes())
    fleet.admit(1)
    wait_until(lambda: undecided(fleet) == 0)
    assert worker.poll() is None, "it is the same process"
    worker.terminate()
    assert worker.wait(IN_TIME) == 0


def test_a_worker_killed_while_it_asks_leaves_its_lookups_to_the_next(
    fleet: Broker, start_worker: Start, tmp_path: Path
) -> None:
    """`kill -9` between the question and its answer: asked again under the same lookup id, decided once."""
    with _silent_source() as port:
        (tmp_path / "platforms.yaml").write_text(
            "platforms:\n  certshare-platform:\n"
            f"    endpoint: http://127.0.0.1:{port}\n    credentials: {{account: a, password: b}}\n"
        )
        number = fleet.admit(1, materials=["licence"])
        worker = start_worker("one")
        wait_until(lambda: fleet.entries("asked"))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert fleet.entries("answered") == []
    assert [tuple(row) for row in fleet.rows("SELECT state, fence FROM lookup")] == [("due", 1)]
    fleet.check()
    fleet.parts.wake = kit.Bells()
    fleet.finish()  # the lease runs out
    first, second = fleet.entries("asked")
    assert first["lookup"] == second["lookup"] == fleet.sources.questions[0].lookup_id
    assert fleet.decisions(number)["licence"] == ("exempt", "held.valid")


class _silent_source:  # noqa: N801 - used as a context manager
    """A source that takes every connection and never says a word."""

    def __enter__(self) -> int:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.kept: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()
        port: int = self.listener.getsockname()[1]
        return port

    def _listen(self) -> None:
        while True:
            try:
                self.kept.append(self.listener.accept()[0])
            except OSError:
                return

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for one in self.kept:
            one.close()
