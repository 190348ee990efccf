"""(c) as a contender: the baseline's processes. What it is, and which choices were made, see ``baseline.settings``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from broker.core.envelope import Algorithm
from broker.signing import keys
from tests.bench.baseline.models import Base, Grant, now
from tests.bench.baseline.settings import CONCURRENCY, PREFIX, PROCESSES, THREADS
from tests.bench.baseline.sources import FIELDS
from tests.bench.processes import python, start
from tests.bench.stack import Running
from tests.bench.work_unit import CLIENT, ITEM, REPOSITORY
from tests.bench.world import World, free_port


@dataclass
class Peer:
    """One deployment of the baseline; a context manager that starts and stops its processes."""

    world: World
    algorithm: Algorithm
    letter: str = "c"
    connections: int = PROCESSES * THREADS

    def __post_init__(self) -> None:
        """Make the key, the tables and the grants."""
        self.folder = self.world.folder / f"{self.letter}-{self.algorithm.value}"
        self.folder.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = self.world.database()
        self._running = Running(self.world)
        self._key = keys.generate(self.algorithm)
        keys.save_private(self.folder / "receipt.pem", self._key)
        engine = create_engine(self.database_url)
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            end = now() + timedelta(days=30)
            for source, fields in FIELDS.items():
                grant = Grant(id=f"g-{source}", client_id=CLIENT, source=source, item=ITEM)
                grant.fields, grant.valid_to = list(fields), end
                session.add(grant)
            session.commit()
        engine.dispose()

    @property
    def environment(self) -> dict[str, str]:
        """The settings of every process."""
        told = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.world.redis.url,
            "PLATFORMS": str(self.world.sandbox.connections),
            "RECEIPT_KEY": str(self.folder / "receipt.pem"),
            "CALLER_KEY": str(self.world.caller_key(self.algorithm).with_suffix(".pub")),
            "PUBLIC_URL": self.url,
        }
        return {f"{PREFIX}{name}": value for name, value in told.items()} | {
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(self.folder),  # gunicorn keeps a control socket there
        }

    @property
    def receipt_keys(self) -> dict[str, Any]:
        """The key of its receipts."""
        return keys.jwks([self._key])

    @property
    def answer_keys(self) -> dict[str, Any] | None:
        """It does not sign its answers."""
        return None

    @property
    def trees(self) -> dict[str, list[int]]:
        """The processes by role."""
        return self._running.trees

    def __enter__(self) -> Self:
        self.world.empty_redis()
        try:
            self._spawn(
                "worker", "celery", "-A", "tests.bench.baseline.tasks", "worker", "--pool=prefork",
                f"--concurrency={CONCURRENCY}", "--without-gossip", "--without-mingle", "--without-heartbeat",
                "--loglevel=WARNING",
            )  # fmt: skip
            self._spawn(
                "web", "gunicorn", "--worker-class=gthread", f"--workers={PROCESSES}", f"--threads={THREADS}",
                "--keep-alive=60", "--timeout=90", f"--bind=127.0.0.1:{self.port}", "--log-level=warning",
                "tests.bench.baseline.web:create_app()",
            )  # fmt: skip
            self._running.wait_for(f"{self.url}/ready")
        except BaseException:
            self._running.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._running.stop()

    def _spawn(self, role: str, module: str, *arguments: str) -> None:
        self._running.add(start(role, python("-m", module, *arguments), self.environment, self.folder / f"{role}.log"))
