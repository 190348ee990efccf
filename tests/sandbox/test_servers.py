"""The servers that the other tests rely on really are servers, keep their data, and leave nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from broker.sandbox import servers
from broker.sandbox.servers import Postgres, Redis, ServerUnavailable, fresh_database, start_postgres, start_redis

REPOSITORY = Path(__file__).parents[2]


def write(postgres: Postgres) -> None:
    """Commit one row."""
    with psycopg.connect(postgres.libpq_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (line text)")
        connection.execute("INSERT INTO kept VALUES ('here')")


def rows(postgres: Postgres) -> int:
    """Count the rows committed."""
    with psycopg.connect(postgres.libpq_url) as connection:
        found = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.parametrize("programs", servers.postgres_programs(), ids=str)
def test_postgres_keeps_its_data_over_a_kill_and_a_restart(programs: Path) -> None:
    """Every PostgreSQL found on this machine, the system's and the wheel's, behaves alike."""
    with start_postgres(programs) as postgres:
        write(postgres)
        postgres.kill()
        with pytest.raises(ConnectionError):
            postgres.ping()
        postgres.start()
        write(postgres)
        postgres.restart()
        assert rows(postgres) == 2


@pytest.mark.parametrize("program", servers.redis_programs(), ids=str)
def test_redis_keeps_its_data_over_a_restart(program: Path) -> None:
    with start_redis(program) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "here")
        server.restart()
        assert client.get("kept") == b"here"
        server.kill()
        with pytest.raises(ConnectionError):
            server.ping()
        server.restart()
        server.ping()


def test_a_pid_can_be_killed_from_outside(redis_server: Redis) -> None:
    """A fault test may use the pid as an operator would; ``restart`` brings the server back."""
    os.kill(redis_server.pid, signal.SIGKILL)
    redis_server.restart()
    redis_server.ping()


def test_fresh_databases_are_empty_and_apart(postgres_server: Postgres) -> None:
    first, second = fresh_database(postgres_server), fresh_database(postgres_server)
    assert first.startswith("postgresql+psycopg://")
    assert first != second
    with psycopg.connect(first.replace("+psycopg", "", 1)) as connection:
        count = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert count == (0,)


def test_close_removes_the_process_and_the_data() -> None:
    server = start_redis()
    pid, folder = server.pid, Path(str(server_folder(server)))
    assert folder.is_dir()
    server.close()
    server.close()
    assert not psutil.pid_exists(pid)
    assert not folder.exists()
    with pytest.raises(ServerUnavailable):
        _ = server.pid


def server_folder(server: Redis) -> str:
    """Where the server says that its data is."""
    with redis.Redis.from_url(server.url) as client:
        return str(client.config_get("dir")["dir"])


@pytest.mark.parametrize("start", ["start_postgres", "start_redis"])
def test_the_server_dies_with_the_program_that_started_it(start: str) -> None:
    """Even when that program is killed and can clean up nothing."""
    code = f"""
import time
from broker.sandbox.servers import {start}
server = {start}()
print(server.pid, server._program.folder, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        pid, folder = program.stdout.readline().split()
        assert psutil.pid_exists(int(pid))
        program.kill()
    deadline = time.monotonic() + 10
    while alive(int(pid)):
        assert time.monotonic() < deadline, "the server outlived the program"
        time.sleep(0.05)
    shutil.rmtree(folder)


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended but that nobody has waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_server_by_url_is_used_as_it_is(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(servers.REDIS_URL_VARIABLE, redis_server.url)
    with start_redis() as guest:
        assert guest.url == redis_server.url
        with pytest.raises(ServerUnavailable, match="not ours"):
            guest.kill()
    redis_server.ping()


def test_databases_made_on_somebody_elses_server_are_dropped(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(servers.DATABASE_URL_VARIABLE, postgres_server.url)
    with start_postgres() as guest:
        name = guest.create_database()
    with psycopg.connect(postgres_server.libpq_url) as connection:
        assert connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None


def test_a_url_that_does_not_answer_is_an_error_not_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(servers.REDIS_URL_VARIABLE, "redis://127.0.0.1:1/0")
    with pytest.raises(ServerUnavailable, match=servers.REDIS_URL_VARIABLE):
        start_redis()


def test_a_server_that_cannot_start_says_what_it_said(tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho no room at the inn\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(ServerUnavailable, match=r"ended with 3:\nno room at the inn"):
        start_redis(program)


def test_the_url_with_its_password_is_not_in_the_repr(redis_server: Redis) -> None:
    assert "redis://" not in repr(redis_server)
