"""Opening a database: PostgreSQL for the fleet, SQLite in WAL mode for the embedded default."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from broker.core.errors import BrokerProblem

RETRY_AFTER_S = 2  # a restarted PostgreSQL answers again within about this time
# A statement that waits longer than this for a lock or runs longer has met a fault, not load.
_POSTGRES_OPTIONS = "-c lock_timeout=4s -c statement_timeout=5s -c idle_in_transaction_session_timeout=15s"
_SNAPSHOT = "REPEATABLE READ"
_BUSY_MS = 5000  # how long SQLite waits for another process (a CLI command) before it gives up


class Database:
    """An engine and how transactions begin on it.

    SQLite has one writer at a time: a lock in this process queues them fairly, where SQLite itself would let them poll.
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        """``url``: ``postgresql+psycopg://…`` or ``sqlite:///path``; nothing is opened yet."""
        self.is_sqlite = url.startswith("sqlite")
        self.engine = _sqlite(url) if self.is_sqlite else _postgres(url, pool_size)
        self._writer = threading.Lock() if self.is_sqlite else None
        # SQLite's readers have a snapshot anyway; in PostgreSQL each statement would see the state of its own moment.
        self._reader = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level=_SNAPSHOT)
        self._glancer = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def begin(self, *, write: bool) -> Iterator[Connection]:
        """A connection with an open transaction; the caller commits, leaving without it rolls back.

        A reader sees one state of the database throughout. Raises ``BrokerProblem``: ``store.away`` when the database
        cannot be reached or goes away meanwhile, ``broker.overloaded`` when no connection became free in time.
        """
        turn = self._writer if write and self._writer else nullcontext()
        engine = self.engine if write else self._reader
        with turn, translated(), engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN DEFERRED")
            yield connection

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """A connection for one reading statement, without the two round trips of a transaction around it."""
        with translated(), self._glancer.connect() as connection:
            yield connection

    def dispose(self) -> None:
        """Close the idle connections."""
        self.engine.dispose()


@contextmanager
def translated() -> Iterator[None]:
    """What the database does to us, as problems of ours."""
    try:
        yield
    except PoolTimeout as error:
        raise BrokerProblem("broker.overloaded", retry_after=RETRY_AFTER_S) from error
    except OperationalError as error:
        raise BrokerProblem("store.away", retry_after=RETRY_AFTER_S) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise BrokerProblem("store.away", retry_after=RETRY_AFTER_S) from error
        raise
    except psycopg.OperationalError as error:  # past SQLAlchemy, where statements are sent together
        raise BrokerProblem("store.away", retry_after=RETRY_AFTER_S) from error


def driver_said(problem: BaseException) -> str:
    """Why the database is away, in the driver's words, for whoever sits at the command line; "" where it said nothing.

    Its first line: a server, a role, a file. What follows in some messages may quote a row.
    """
    cause = problem.__cause__
    said = str(getattr(cause, "orig", cause) or "")
    return said.partition("\n")[0].strip() if isinstance(cause, DBAPIError | psycopg.Error) else ""


def _postgres(url: str, pool_size: int) -> Engine:
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=4,
        hide_parameters=True,  # an error must not print what a statement carried
        connect_args={"options": _POSTGRES_OPTIONS, "connect_timeout": 4, "prepare_threshold": 1},
    )


def _sqlite(url: str) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=20,
        max_overflow=20,
        connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        _enter_wal(cursor)
        cursor.execute("PRAGMA synchronous=FULL")  # NORMAL may lose acknowledged commits at power loss
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA recursive_triggers=ON")  # else INSERT OR REPLACE removes a row past its DELETE guard
        cursor.close()

    return engine


def _enter_wal(cursor: sqlite3.Cursor) -> None:
    """Put the file into WAL mode, once and for all.

    The change wants the file for itself, and SQLite does not always wait for it as it waits for other locks: two
    processes that open a new file together may find it locked at once.
    """
    patience = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > patience:
                raise
            time.sleep(0.01)
        else:
            return
