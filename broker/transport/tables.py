"""Reads a department's exchange table (前置库) with SQLAlchemy Core; everything a database can do becomes UNKNOWN.

Read-only twice over: the account should have no other right, and each reading is a read-only transaction that is
rolled back. Values travel as bound parameters only; names of tables and columns come from the list, are checked by the
connector, and always quoted, so that they mean exactly what is written – Oracle's habit of capitals included.

A reading ends within the source's budget: by the server's own statement time-out, and by hanging up on a server that
stops talking, or talks a byte at a time. PostgreSQL and MySQL or MariaDB; SQLite for the sandbox's files.

Equal means equal in each of them, letter by letter: MySQL by itself compares without case, takes many rare characters
for one another, and of a text compares with a number only the digits at its beginning.

The endpoint's own ``tls=verify`` asks for a server whose certificate and name hold, under the system's authorities and
the deployment's; what holds not is UNTRUSTED. Other parameters go to the driver as they are.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

import psycopg
import pymysql
from sqlalchemy import (
    CHAR,
    ColumnElement,
    Connection,
    Engine,
    Select,
    bindparam,
    cast,
    collate,
    column,
    create_engine,
    event,
    select,
    table,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.sql.elements import quoted_name

from broker.core.answer import Reason
from broker.core.day import CHINA
from broker.ports import TableQuery, TableRows
from broker.transport import deadline
from broker.transport.road import Road

KEPT_CONNECTIONS: Final = 4  # a front-end database is a small machine that the department's own work also needs
SERVERS_SHARE: Final = 0.9  # of the time left: its own time-out must come before we hang up, and keeps the connection
MAX_TEXT: Final = 1024 * 1024  # characters of all rows together, as much as an HTTP answer may have
RECYCLE_SECONDS: Final = 300  # shorter than the idle time after which fire walls between networks forget a connection

_Key: TypeAlias = tuple[str, str, int]  # endpoint, password, budget: what a pool's connections have in common

_DRIVERS: Final[Mapping[str, str]] = {
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "sqlite": "sqlite",
}
_SAID: Final[Mapping[str, Reason]] = {  # what has no code: OpenSSL's words, and what ends a connection to PostgreSQL
    "certificate verify failed": Reason.UNTRUSTED,
    "does not match host name": Reason.UNTRUSTED,
    "server does not support SSL": Reason.UNTRUSTED,
    "too many connections": Reason.THROTTLED,
    "too many clients": Reason.THROTTLED,
    "connection slots are reserved": Reason.THROTTLED,
    "the database system is": Reason.SOURCE_DOWN,  # starting up, shutting down, in recovery
}
SQLSTATE: Final = 5  # characters of the standard's codes, whose first two are the class
_MYSQL: Final = frozenset({"mysql", "mariadb"})
_TLS: Final = "tls"  # the endpoint's parameter, whatever the driver calls it

_REASONS: Final[Mapping[str, Reason]] = {
    # PostgreSQL: an SQLSTATE, or its class
    "42501": Reason.NOT_PERMITTED,
    "57014": Reason.LATE,  # the statement time-out
    "55P03": Reason.LATE,  # a lock was not to be had
    "08": Reason.SOURCE_DOWN,
    "22": Reason.SOURCE_REFUSED_QUESTION,  # a value that the column's type cannot be compared with
    "25": Reason.SOURCE_CONFIGURATION,  # reading it writes, and we read only
    "28": Reason.AUTHENTICATION,
    "3D": Reason.CATALOGUE_DRIFT,
    "3F": Reason.CATALOGUE_DRIFT,
    "42": Reason.CATALOGUE_DRIFT,  # no such table or column, or of another type
    "53": Reason.THROTTLED,  # too many connections, no memory, disk full
    "57": Reason.SOURCE_DOWN,
    # MySQL and MariaDB: an error number
    "1040": Reason.THROTTLED,  # too many connections
    "1044": Reason.NOT_PERMITTED,  # to this database
    "1045": Reason.AUTHENTICATION,
    "1049": Reason.CATALOGUE_DRIFT,  # no such database
    "1054": Reason.CATALOGUE_DRIFT,  # no such column
    "1130": Reason.NOT_PERMITTED,  # from this host
    "1142": Reason.NOT_PERMITTED,  # to this table
    "1143": Reason.NOT_PERMITTED,  # to this column
    "1146": Reason.CATALOGUE_DRIFT,  # no such table
    "1203": Reason.THROTTLED,
    "1205": Reason.LATE,  # waited for a lock
    "1226": Reason.THROTTLED,
    "1317": Reason.LATE,
    "1356": Reason.CATALOGUE_DRIFT,  # a view whose table has changed
    "1370": Reason.NOT_PERMITTED,  # to what a view calls
    "1698": Reason.AUTHENTICATION,
    "1792": Reason.SOURCE_CONFIGURATION,  # reading it writes, and we read only
    "1969": Reason.LATE,  # MariaDB's max_statement_time
    "2026": Reason.UNTRUSTED,  # TLS was asked for, and the server has none
    "3024": Reason.LATE,  # MySQL's max_execution_time
    # SQLite
    "SQLITE_AUTH": Reason.NOT_PERMITTED,
    "SQLITE_BUSY": Reason.LATE,
    "SQLITE_CANTOPEN": Reason.SOURCE_DOWN,
    "SQLITE_ERROR": Reason.CATALOGUE_DRIFT,  # no such table or column
}


class Tables:
    """The pools of this process: one for each database, account and budget."""

    def __init__(self, tls: ssl.SSLContext | None = None, ca_file: str | None = None) -> None:
        """``tls`` and ``ca_file`` say whom to believe, the one for drivers in Python, the other for libpq."""
        self._tls = tls or ssl.create_default_context()
        self._ca_file = ca_file or "system"
        self._lock = threading.Lock()
        self._engines: dict[_Key, Engine] = {}

    def read(self, query: TableQuery) -> TableRows:
        """The rows. A kept connection may have died on the way to us: then once more, anew."""
        engine = self._engine(query)
        statement = statement_of(query, engine.dialect.name)
        try:
            return _read(engine, statement, query)
        except DBAPIError as error:
            if not error.connection_invalidated or _is_over():
                raise _road(error) from error
        try:
            return _read(engine, statement, query)
        except DBAPIError as error:
            raise _road(error) from error

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            engines, self._engines = self._engines, {}
        for engine in engines.values():
            engine.dispose()

    def _engine(self, query: TableQuery) -> Engine:
        key = (query.endpoint, query.password, query.budget_ms)
        with self._lock:
            if key not in self._engines:
                self._engines[key] = self._new_engine(query)
            return self._engines[key]

    def _new_engine(self, query: TableQuery) -> Engine:
        seconds = query.budget_ms / 1000
        url, verified = _url(query)
        engine = create_engine(
            url,
            connect_args=self._connect_args(url.get_backend_name(), math.ceil(seconds), verified=verified),
            execution_options={"postgresql_readonly": True},
            hide_parameters=True,  # an exception's text never quotes whom we asked about
            pool_size=KEPT_CONNECTIONS,
            max_overflow=0,
            pool_timeout=seconds,
            pool_recycle=RECYCLE_SECONDS,
        )
        if engine.dialect.name in _MYSQL:
            event.listen(engine, "do_connect", _mysql_session)
        return engine

    def _connect_args(self, backend: str, seconds: int, *, verified: bool) -> dict[str, Any]:
        if backend == "postgresql":
            secured = {"sslmode": "verify-full", "sslrootcert": self._ca_file} if verified else {}
            return {"connect_timeout": seconds, "application_name": "exemption-broker", **secured}
        if backend == "sqlite":
            return {"timeout": seconds}
        waits = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), seconds)
        # A TIMESTAMP is told in the session's time zone, and read as China's, as every time without a zone is.
        return {**waits, "charset": "utf8mb4", "init_command": "SET time_zone = '+08:00'"} | (
            {"ssl": self._tls} if verified else {}
        )


class _Session(pymysql.Connection):  # type: ignore[misc]  # the driver has no types
    """PyMySQL's connection, which tells its line as libpq's does."""

    def fileno(self) -> int:
        """The socket's number."""
        found: int = self._sock.fileno()
        return found


def _mysql_session(_: object, __: object, ___: Sequence[object], wanted: dict[str, Any]) -> _Session:
    """A session that is greeted, secured and logged in within the budget, however slowly the server talks."""
    line = socket.create_connection((wanted["host"], wanted.get("port", 3306)), deadline.remaining())
    with _hung_up_in_time(line.fileno()):
        session = _Session(**wanted, defer_connect=True)
        session.connect(line)
    return session


def statement_of(query: TableQuery, dialect: str) -> Select[Any]:
    """The one statement there is: columns of a table where each named column equals its parameter, so many rows."""
    schema, _, name = query.table.rpartition(".")
    names = dict.fromkeys([*query.columns, *query.where])
    source = table(
        _exactly(name), *(column(_exactly(one)) for one in names), schema=_exactly(schema) if schema else None
    )
    asked = [
        same
        for position, (one, value) in enumerate(query.where.items())
        for same in _same(source.c[one], bindparam(f"p{position}", value), dialect)
    ]
    return select(*(source.c[one] for one in query.columns)).where(*asked).limit(query.limit)


def _same(found: ColumnElement[Any], value: ColumnElement[Any], dialect: str) -> list[ColumnElement[bool]]:
    """That a column holds this text; for MySQL first as its index knows it, then letter by letter."""
    exact = [cast(found, CHAR) == collate(value, "utf8mb4_bin")] if dialect in _MYSQL else []
    return [found == value, *exact]


def _exactly(name: str) -> quoted_name:
    return quoted_name(name, quote=True)


def _url(query: TableQuery) -> tuple[URL, bool]:
    """Where to connect, and whether the server has to prove who it is."""
    try:
        url = make_url(query.endpoint)
        driver = _DRIVERS.get(url.get_backend_name())
    except (ArgumentError, NoSuchModuleError) as error:
        raise Road(Reason.NOT_CONFIGURED) from error
    wish = url.query.get(_TLS)
    if driver is None or url.password is not None:  # a password stands in its own file, not in the connection file
        raise Road(Reason.NOT_CONFIGURED)
    if wish not in {None, "verify"}:
        raise Road(Reason.NOT_CONFIGURED)
    plain = url.difference_update_query([_TLS])
    return plain.set(drivername=driver, password=query.password or None), wish is not None


def _read(engine: Engine, statement: Select[Any], query: TableQuery) -> TableRows:
    try:
        deadline.remaining()
        with engine.connect() as connection, _in_time(connection):
            _limit(connection)
            found = connection.execute(statement).all()
    except (PoolTimeout, TimeoutError) as error:
        raise Road(Reason.LATE) from error
    except OSError as error:  # nobody listens
        raise Road(Reason.SOURCE_DOWN) from error
    except UnicodeDecodeError as error:
        raise Road(Reason.MALFORMED) from error
    rows = [dict(zip(query.columns, map(_plain, row), strict=True)) for row in found]
    if sum(len(value) for row in rows for value in row.values() if isinstance(value, str)) > MAX_TEXT:
        raise Road(Reason.MALFORMED)
    return TableRows(rows)


def _limit(connection: Connection) -> None:
    """Read-only, and stopped by the server itself when the budget is used up."""
    milliseconds = max(1, int(deadline.remaining() * SERVERS_SHARE * 1000))
    for statement, value in _LIMITS[connection.dialect.name](connection, milliseconds):
        connection.execute(text(statement), {"value": value} if value else {})


def _limits_of_postgresql(_: Connection, milliseconds: int) -> list[tuple[str, str | float]]:
    return [("SELECT set_config('statement_timeout', :value, true)", str(milliseconds))]  # BEGIN has said READ ONLY


def _limits_of_mysql(connection: Connection, milliseconds: int) -> list[tuple[str, str | float]]:
    mariadb = getattr(connection.dialect, "is_mariadb", False)
    limit: tuple[str, str | float] = ("SET SESSION max_execution_time = :value", milliseconds)
    if mariadb:
        limit = ("SET SESSION max_statement_time = :value", milliseconds / 1000)
    return [limit, ("SET TRANSACTION READ ONLY", "")]


def _limits_of_sqlite(_: Connection, __: int) -> list[tuple[str, str | float]]:
    return [("PRAGMA query_only = ON", "")]


_LIMITS: Final[Mapping[str, Callable[[Connection, int], list[tuple[str, str | float]]]]] = {
    "postgresql": _limits_of_postgresql,
    "mysql": _limits_of_mysql,
    "mariadb": _limits_of_mysql,
    "sqlite": _limits_of_sqlite,
}


@contextlib.contextmanager
def _in_time(connection: Connection) -> Iterator[None]:
    """A reading that ends with the budget, whatever the server does."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, (psycopg.Connection, _Session)):  # a file
        yield
        return
    with _hung_up_in_time(driver.fileno()):
        yield


@contextlib.contextmanager
def _hung_up_in_time(number: int) -> Iterator[None]:
    """Hang up when time is over: libpq waits for ever for a server that stops talking, PyMySQL anew for each byte."""
    with socket.socket(fileno=os.dup(number)) as line:
        timer = threading.Timer(deadline.remaining(), _hang_up, (line,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _hang_up(line: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the reading has just ended
        line.shutdown(socket.SHUT_RDWR)


def _is_over() -> bool:
    try:
        deadline.remaining()
    except TimeoutError:
        return True
    return False


def _road(error: DBAPIError) -> Road:
    told = error.orig
    code = _code(told)
    group = _REASONS.get(code[:2]) if len(code) == SQLSTATE else None
    reason = _REASONS.get(code) or group or _without_code(told)
    return Road(Reason.LATE if reason is Reason.SOURCE_DOWN and _is_over() else reason, code)


def _code(told: BaseException | None) -> str:
    """The database's own code: an SQLSTATE, an error number, SQLite's name; never its text, which quotes values.

    A MySQL's SQLSTATE is passed over: to most of what can go wrong it says no more than HY000.
    """
    if isinstance(told, pymysql.err.MySQLError):
        return str(told.args[0]) if told.args and isinstance(told.args[0], int) else ""
    code = getattr(told, "sqlstate", None) or getattr(told, "sqlite_errorname", None)
    return code if isinstance(code, str) else ""


def _without_code(told: BaseException | None) -> Reason:
    """What never got as far as an answer; one that had asked for our password and refused does not know us."""
    if isinstance(told, psycopg.errors.ConnectionTimeout):
        return Reason.LATE
    for words, reason in _SAID.items():
        if words in str(told):
            return reason
    line = getattr(told, "pgconn", None)
    return Reason.AUTHENTICATION if line is not None and line.used_password else Reason.SOURCE_DOWN


def _plain(value: object) -> str | int | None:
    """A column's value as JSON knows it; MALFORMED for what is no text, number or time."""
    if value is None or isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, datetime):
        return f"{value.astimezone(CHINA) if value.tzinfo else value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, date):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else str(value)
    raise Road(Reason.MALFORMED)
