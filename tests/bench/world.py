"""What every contender meets: the simulated sources, one PostgreSQL and one Redis, a folder, and the caller's key."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Self

import redis

from broker.core.envelope import Algorithm
from broker.sandbox.servers import LOOPBACK, Postgres, Redis, fresh_database, start_postgres, start_redis
from broker.sandbox.sources import PLATFORMS, Sandbox
from broker.signing import keys
from tests.bench.work_unit import Couple, couples


class World:
    """Started once per run of the benchmark; every contender uses the same."""

    def __init__(self) -> None:
        """Nothing is started before ``with``."""
        self.folder = Path(tempfile.mkdtemp(prefix="broker-bench-"))
        self._stack = contextlib.ExitStack()
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.sandbox = Sandbox(self.folder / "sandbox")

    def __enter__(self) -> Self:
        try:
            self.postgres: Postgres = self._stack.enter_context(start_postgres())
            self.redis: Redis = self._stack.enter_context(start_redis())
            self._stack.enter_context(self.sandbox)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def couples(self) -> list[Couple]:
        """Whom the verifications are about."""
        return couples(self.sandbox.population)

    @property
    def trees(self) -> dict[str, list[int]]:
        """The processes that belong to the world, by role."""
        running = self.sandbox._running
        return {
            "sources": [running[name].pid for name in PLATFORMS],
            "postgres": [self.postgres.pid],
            "redis": [self.redis.pid],
        }

    def database(self) -> str:
        """A new, empty database."""
        return fresh_database(self.postgres)

    def empty_redis(self) -> None:
        """Forget every queue of the contender before."""
        with redis.Redis.from_url(self.redis.url) as client:
            client.flushall()

    def caller_key(self, algorithm: Algorithm) -> Path:
        """The approval system's private key (PEM); its public half stands beside it as ``.pub``."""
        path = self.folder / f"caller-{algorithm.value}.pem"
        if not path.exists():
            key = keys.generate(algorithm)
            keys.save_private(path, key)
            path.with_suffix(".pub").write_bytes(keys.public_pem(key))
        return path


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port
