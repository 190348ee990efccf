"""What the parts of the unit of work have in common: a connection with an open transaction, and prepared statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from broker.store.statements import Statements


class Rows:
    """A connection whose transaction is open, and how statements are run on it."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        """On a connection whose transaction is open."""
        self.connection = connection
        self._sql = statements

    def _run(self, statement: Any, **values: Any) -> Any:
        return self.connection.execute(statement, values)

    def _many(self, statement: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Run a statement for many rows, in one go."""
        return self.connection.execute(statement, self._sql.bound(rows)) if rows else ()

    def _added(self, statement: Any, **values: Any) -> bool:
        """Whether the statement changed a row."""
        return bool(self._run(statement, **values).rowcount)
