"""A department's front-end database: one exchange table, and an account that may read some of its columns.

A real table in a real database. PostgreSQL and MariaDB have accounts with their grants, and what is shown is a view
that can do more than a table: break, sleep, grow. An SQLite file has only the table, and :meth:`FrontDatabase.guard`
stands for the grants. What happens below SQL is :mod:`broker.sandbox.front_door`'s.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.schema import CreateSchema

from broker.sandbox.front_accounts import DIALECTS, READER
from broker.sandbox.holdings import UPDATED, Holdings, Record
from broker.sandbox.platform import CHINA

SOURCE: Final = "hf-front-deposit"
TABLE: Final = "T_GJJ_JC"
GRANTED: Final = ("CXZJHM", "XM", "ZJHM", "DWMC", "JCZT", "JCYS", "GXSJ")
_BEHIND: Final = "T_GJJ_JC_SRC"  # the table behind the view
_LONGEST: Final = 200
_TIME: Final = "%Y-%m-%d %H:%M:%S"

_Rows = list[Record]


class FrontDatabase:
    """What the department's administrator can do to the database."""

    def __init__(self, url: str, held: Holdings) -> None:
        """``url`` is the owner's, password included."""
        self._url = make_url(url)
        self._records = [record for found in held[SOURCE].values() for record in found]
        self._dialect = DIALECTS.get(self._url.get_backend_name())
        self._engine = create_engine(self._url, hide_parameters=True)
        self._schema = self._dialect.schema if self._dialect else None
        self._table = Table(
            _BEHIND if self._dialect else TABLE,
            MetaData(schema=self._schema),
            *(Column(name, Integer if name == "JCYS" else String(_LONGEST), quote=True) for name in GRANTED),
            Column("MM", String(_LONGEST), quote=True),  # what the account may not see
            quote=True,
            quote_schema=True,
        )
        self.permitted = True
        self.port = self._url.port
        """Where the reader is to knock: a door in front of the server may stand elsewhere."""

    @property
    def has_accounts(self) -> bool:
        """Whether a reader has to say who it is; a file has no such thing."""
        return self._dialect is not None

    @property
    def service(self) -> str:
        """The table's name as a deployment configures it."""
        return f"{self._schema}.{TABLE}" if self._schema else TABLE

    @property
    def endpoint(self) -> str:
        """The reader's URL, without a password."""
        if self._dialect is None:
            return f"sqlite:///file:{self._url.database}?mode=ro&uri=true"
        server = self._url
        name = server.get_backend_name()
        return URL.create(name, self.reader, None, server.host, self.port, server.database).render_as_string()

    @property
    def reader(self) -> str:
        """The account's name: one for each database."""
        return f"{READER}_{self._url.database}"

    def install(self, password: str) -> None:
        """The table with everything a department knows, and the account that may read it (password: hex digits)."""
        with self._engine.begin() as connection:
            if self._schema:
                connection.execute(CreateSchema(self._schema, if_not_exists=True))
            if self._dialect:
                self._hide(connection)
            self._table.metadata.drop_all(connection)
            self._table.metadata.create_all(connection)
            if self._dialect:
                self._dialect.make_account(connection, self.reader, password)
        self.behave("ok")

    def behave(self, behaviour: str) -> None:
        """Fill the table as the behaviour has it, and grant or revoke; ValueError for one that no table knows."""
        if behaviour not in self.behaviours:
            raise ValueError(f"this table refuses {behaviour}: {sorted(self.behaviours)}")
        self.permitted = behaviour != "not_permitted"
        now = datetime.now(CHINA)
        rows = [
            record | {"GXSJ": f"{now:{_TIME}}"} if record["GXSJ"] == UPDATED else record for record in self._records
        ]
        with self._engine.begin() as connection:
            connection.execute(self._table.delete())
            if spoilt := _SPOILT.get(behaviour, _as_they_are)(rows, now):
                connection.execute(self._table.insert(), spoilt)
            if self._dialect:
                self._show(connection, behaviour)
                self._dialect.grant(connection, self.reader, TABLE, self._readable(behaviour))
                self._dialect.throttle(connection, self.reader, on=behaviour == "throttled")

    @property
    def behaviours(self) -> frozenset[str]:
        """What this table can be told."""
        views = {*self._dialect.views, "schema", "throttled"} if self._dialect else set()
        return frozenset(_SPOILT | dict.fromkeys(views))

    def close(self) -> None:
        """Let go of the connections; the tables stay."""
        self._engine.dispose()

    def guard(self, connection: sqlite3.Connection) -> None:
        """Give an SQLite connection the rights that the account would have: to read the granted columns."""

        def rules(action: int, table: str | None, column: str | None, *_: Any) -> int:
            if action == sqlite3.SQLITE_READ and table == TABLE:
                return sqlite3.SQLITE_OK if self.permitted and column in GRANTED else sqlite3.SQLITE_DENY
            return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY

        connection.set_authorizer(rules)

    def _readable(self, behaviour: str) -> Sequence[str]:
        return [] if not self.permitted else _without_state() if behaviour == "schema" else GRANTED

    def _show(self, connection: Connection, behaviour: str) -> None:
        """The view anew: with what a behaviour does to a column, or without one."""
        changed = self._dialect.views.get(behaviour, {}) if self._dialect else {}
        shown = _without_state() if behaviour == "schema" else (*GRANTED, "MM")
        columns = ", ".join(f"{changed.get(name, self._quoted(name))} AS {self._quoted(name)}" for name in shown)
        self._hide(connection)
        view = f"CREATE VIEW {self._place(TABLE)} AS SELECT {columns} FROM {self._place(_BEHIND)}"  # noqa: S608 - names of ours
        connection.execute(text(view.replace(":", "\\:")))

    def _hide(self, connection: Connection) -> None:
        connection.execute(text(f"DROP VIEW IF EXISTS {self._place(TABLE)}"))

    def _place(self, name: str) -> str:
        return f"{self._quoted(self._schema)}.{self._quoted(name)}" if self._schema else self._quoted(name)

    def _quoted(self, name: str) -> str:
        return self._engine.dialect.identifier_preparer.quote_identifier(name)


_READING: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_TRANSACTION}
)


def _without_state() -> Sequence[str]:
    return [name for name in GRANTED if name != "JCZT"]


def _as_they_are(rows: _Rows, _: datetime) -> Sequence[Record]:
    return rows


def _shifted(days: int) -> Callable[[_Rows, datetime], Sequence[Record]]:
    def shift(rows: _Rows, now: datetime) -> Sequence[Record]:
        return [row | {"GXSJ": f"{now + timedelta(days=days):{_TIME}}"} for row in rows]

    return shift


def _others(rows: _Rows, _: datetime) -> Sequence[Record]:
    """Every row found under somebody's number tells of the next person."""
    return [row | {"ZJHM": other["ZJHM"]} for row, other in zip(rows, [*rows[1:], rows[0]], strict=True)]


def _ended(rows: _Rows, _: datetime) -> Sequence[Record]:
    return [row | {"JCZT": "3"} for row in rows]


def _twice(rows: _Rows, _: datetime) -> Sequence[Record]:
    return [row for row in rows for _ in range(2)]


def _unreadable(rows: _Rows, _: datetime) -> Sequence[Record]:
    return [row | {"GXSJ": "N/A"} for row in rows]


def _nothing(_: _Rows, __: datetime) -> Sequence[Record]:
    return []


_SPOILT: Final[dict[str, Callable[[_Rows, datetime], Sequence[Record]]]] = {
    "ok": _as_they_are,
    "not_permitted": _as_they_are,
    "stale": _shifted(-400),
    "future": _shifted(2),
    "wrong_person": _others,
    "ended": _ended,
    "ambiguous": _twice,
    "malformed": _unreadable,
    "empty": _nothing,
    "contradiction": _nothing,  # who asked before was told otherwise
}
