"""What the parts of the unit of work have in common: a connection with an open transaction, and prepared statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import psycopg
from sqlalchemy import ColumnElement, Connection, literal
from sqlalchemy.exc import DBAPIError

from broker.store.statements import Statements


def inline(word: str) -> ColumnElement[Any]:
    """A word within the statement's text: only so does SQLite see that a partial index serves."""
    return literal(word, literal_execute=True)


class Rows:
    """A connection whose transaction is open, and how statements are run on it.

    Statements whose outcome nobody needs may be run *later*: they wait until something is read, or for the commit, and
    PostgreSQL is then sent all of them in one go. Most of a step's round trips are such writes at its end.
    """

    def __init__(self, connection: Connection, statements: Statements) -> None:
        """On a connection whose transaction is open."""
        self._connection = connection
        self._sql = statements
        self._waiting: list[tuple[Any, Any]] = []

    @property
    def connection(self) -> Connection:
        """The connection, after everything that waited was run: whoever uses it sees what was written before."""
        waiting, self._waiting = self._waiting, []
        for statement, values in waiting:
            self._connection.execute(statement, values)
        return self._connection

    def commit(self) -> None:
        """Make it all true."""
        try:
            with self._together() if self._waiting else nullcontext():
                self.connection.commit()
        except (DBAPIError, psycopg.Error):
            # SQLAlchemy takes a commit that failed for the end of the transaction, and would pool it half open.
            self._connection.invalidate()
            raise

    def _together(self) -> AbstractContextManager[Any]:
        """Within this, PostgreSQL is sent statements without its answer being awaited after each."""
        if self._sql.is_sqlite:
            return nullcontext()
        return cast("AbstractContextManager[Any]", self._driver().pipeline())

    def _driver(self) -> Any:
        return self._connection.connection.driver_connection

    def _run(self, statement: Any, **values: Any) -> Any:
        return self.connection.execute(statement, values)

    def _many(self, statement: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Run a statement for many rows, in one go."""
        return self.connection.execute(statement, self._sql.bound(rows)) if rows else ()

    def _later(self, statement: Any, **values: Any) -> None:
        """Run a statement with the next one whose outcome is needed, or with the commit."""
        self._waiting.append((statement, values))

    def _many_later(self, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement for many rows, with the next one whose outcome is needed, or with the commit."""
        if rows:
            self._waiting.append((statement, self._sql.bound(rows)))

    def _added(self, statement: Any, **values: Any) -> bool:
        """Whether the statement changed a row."""
        return bool(self._run(statement, **values).rowcount)
