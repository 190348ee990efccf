"""What every test shares: closed sockets in unit tests, loopback only elsewhere, real servers where they are needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, settings

from broker.sandbox.door import make_certificates
from broker.sandbox.mariadb import MariaDb, start_mariadb
from broker.sandbox.servers import (
    LOOPBACK,
    Postgres,
    Redis,
    ServerUnavailable,
    fresh_database,
    start_postgres,
    start_redis,
)

TESTS = Path(__file__).parent
UNIT = TESTS / "unit"

# A busy machine draws its examples slowly, which says nothing of the code: no property fails by the clock.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Close every socket in tests/unit; let all other tests reach this machine and nothing else."""
    for item in items:
        if UNIT in item.path.parents and item.get_closest_marker("real_network") is None:
            item.add_marker(pytest.mark.disable_socket)
        else:
            item.add_marker(pytest.mark.allow_hosts([LOOPBACK]))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A real PostgreSQL for the whole run; a test that kills or stops it starts it again before it ends."""
    with start_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A real Redis or Valkey for the whole run; a test that kills or stops it starts it again before it ends."""
    with start_redis() as server:
        yield server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificates by what is wrong with them, ``ok`` for none; their authority is ``ca.pem`` beside them."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def mariadb_server(certificates: dict[str, Path]) -> Iterator[MariaDb]:
    """A real MariaDB, which no wheel brings: where it cannot be had, a person's run says so and goes on, CI's fails."""
    try:
        server = start_mariadb(certificates["ok"])
    except ServerUnavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> str:
    """A new, empty PostgreSQL database for this test alone."""
    return fresh_database(postgres_server)


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """The Redis of this run, emptied."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A new, empty SQLite database for this test alone, in a file, as the embedded broker uses it."""
    return f"sqlite:///{tmp_path / 'broker.db'}"
