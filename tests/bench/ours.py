"""The broker as a contender: (a) embedded over SQLite, (b) as a fleet over PostgreSQL and Redis.

Nothing is switched off: grants (one with a daily cap, which is counted and never reached), audit entries, the
sequencer, encrypted answers. The deployment is made once; its processes are started anew for every round.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection

from broker.bootstrap import Office, make_keys, open_office, read_client_key
from broker.config import settings_from
from broker.core.authorise import Grant
from broker.core.case import Basis
from broker.core.catalog import Form
from broker.core.envelope import Algorithm
from broker.flow import register
from broker.flow.publish import publish
from broker.ports import Client, ClientKey
from broker.signing import keys
from broker.store.catalog_file import read_catalog
from tests.bench.processes import python, start
from tests.bench.stack import Running
from tests.bench.work_unit import CLIENT, ITEM, REPOSITORY, SYSTEM, UNIT
from tests.bench.world import World, free_port

WEB_PROCESSES = 2
WORKERS = 2
# Below what may wait at a time without being turned away: 56 in each web process.
CONNECTIONS = {"a": 48, "b": 96}
UNREACHED_RATE = 10_000  # calls per second, of each source
UNREACHED = 1_000_000_000  # a daily cap that is counted like any other


@dataclass
class Ours:
    """One deployment of the broker; a context manager that starts and stops its processes."""

    world: World
    letter: str
    algorithm: Algorithm

    def __post_init__(self) -> None:
        """Make keys, schema, registers and the first edition."""
        self.fleet = self.letter == "b"
        self.connections = CONNECTIONS[self.letter]
        self.folder = self.world.folder / f"{self.letter}-{self.algorithm.value}"
        self.folder.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = self.world.database() if self.fleet else f"sqlite:///{self.folder / 'broker.db'}"
        self._running = Running(self.world)
        make_keys(self.folder / "keys", self.algorithm)
        subprocess.run(
            python("-m", "broker.cli", "migrate"), env=self._clean() | self.environment, check=True, capture_output=True
        )
        self._register()

    @property
    def environment(self) -> dict[str, str]:
        """The settings of every process."""
        told = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.world.redis.url if self.fleet else "",
            "KEYS_FOLDER": str(self.folder / "keys"),
            "PLATFORMS_FILE": str(self.world.sandbox.connections),
            "PUBLIC_URL": self.url,
            "PORT": str(self.port),
            "WEB_PROCESSES": str(WEB_PROCESSES),
            "LOG_LEVEL": "WARNING",
        }
        return {f"BROKER_{name}": value for name, value in told.items()}

    def _clean(self) -> dict[str, str]:
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY)}

    def office(self) -> Office:
        """The deployment's wiring in this process, which wakes nobody."""
        return open_office(settings_from(self.environment), wake=_Silent())

    @contextlib.contextmanager
    def office_database(self) -> Iterator[Connection]:
        """A reading connection to its database."""
        with contextlib.closing(self.office()) as office, office.database.begin(write=False) as connection:
            yield connection

    def _register(self) -> None:
        pem = self.world.caller_key(self.algorithm).with_suffix(".pub").read_text("ascii")
        key_id = keys.load_public(pem.encode()).key_id
        begin = datetime.now(UTC) - timedelta(minutes=1)
        with contextlib.closing(self.office()) as office:
            parts = office.parts
            register.register_client(parts, Client(CLIENT, SYSTEM, UNIT, None, "active"))
            register.register_key(parts, ClientKey(CLIENT, read_client_key(pem, key_id), begin, None, None), pem)
            for grant in _grants(begin):
                register.register_grant(parts, grant)
            publish(parts, unthrottled(read_catalog(REPOSITORY / "data_catalog.yaml").document), None, "bench")

    @property
    def receipt_keys(self) -> dict[str, Any]:
        """Receipts and answers are signed with the same key."""
        return keys.jwks([keys.load_private((self.folder / "keys" / "receipt.pem").read_bytes())])

    @property
    def answer_keys(self) -> dict[str, Any] | None:
        """As receipts."""
        return self.receipt_keys

    @property
    def trees(self) -> dict[str, list[int]]:
        """The processes by role."""
        return self._running.trees

    def __enter__(self) -> Self:
        if self.fleet:
            self.world.empty_redis()
        try:
            self._spawn("web", "serve", "--accept-edition")  # the rates are not the file's
            if self.fleet:
                for number in range(1, WORKERS + 1):
                    self._spawn("worker", "work", "--name", f"worker-{number}")
                self._spawn("sweep", "sweep")
            self._running.wait_for(f"{self.url}/.well-known/jwks.json")
        except BaseException:
            self._running.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._running.stop()

    def _spawn(self, role: str, *command: str) -> None:
        log = self.folder / f"{role}.log"
        self._running.add(start(role, python("-m", "broker.cli", *command), self.environment, log))

    @property
    def logs(self) -> list[Path]:
        """What its processes printed."""
        return sorted(self.folder.glob("*.log"))


def unthrottled(document: Mapping[str, Any]) -> dict[str, Any]:
    """The shipped list with the highest rate the grammar knows.

    Its 200 calls a second spare real sources; here they would be what is measured. The gate still counts each call.
    """
    rate = {"calls_per_second": UNREACHED_RATE}
    return {**document, "sources": {key: source | rate for key, source in document["sources"].items()}}


def _grants(begin: datetime) -> Sequence[Grant]:
    end = begin + timedelta(days=30)
    basis, law = (Basis.STATUTORY_DUTY,), "国务院令第716号 第七条"
    asked = ("number_match", "name_match", "life_status")
    forms, items = (Form.VERIFY,), (ITEM,)
    return (
        Grant("g-identity", CLIENT, "ps-identity", forms, asked, basis, law, begin, end, (), items, UNREACHED),
        Grant("g-marriage", CLIENT, "mca-marriage", forms, ("status",), basis, law, begin, end, (), items),
    )


class _Silent:
    """Registers admit nothing, so they wake nobody."""

    def wake(self, sources: object) -> None:
        """Do nothing."""
