"""A department's front-end database: one exchange table, and an account that may read some of its columns.

A real table in a real database: PostgreSQL, where the account is a role with its grants, or an SQLite file, where
:meth:`FrontDatabase.guard` stands for the grants.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.schema import CreateSchema

from broker.sandbox.holdings import UPDATED, Holdings, Record
from broker.sandbox.platform import CHINA

SOURCE: Final = "hf-front-deposit"
SCHEMA: Final = "ZJK"
TABLE: Final = "T_GJJ_JC"
GRANTED: Final = ("CXZJHM", "XM", "ZJHM", "DWMC", "JCZT", "JCYS", "GXSJ")
READER: Final = "broker_reader"
_TIME: Final = "%Y-%m-%d %H:%M:%S"

_Rows = list[Record]


class FrontDatabase:
    """What the department's administrator can do to the database."""

    def __init__(self, url: str, held: Holdings) -> None:
        """``url`` is the owner's, password included."""
        self._url = make_url(url)
        self._records = [record for found in held[SOURCE].values() for record in found]
        self._sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = create_engine(self._url, hide_parameters=True)
        self._table = Table(
            TABLE,
            MetaData(schema=None if self._sqlite else SCHEMA),
            *(Column(name, Integer if name == "JCYS" else String, quote=True) for name in GRANTED),
            Column("MM", String, quote=True),  # what the account may not see
            quote=True,
            quote_schema=True,
        )
        self.permitted = True

    @property
    def has_accounts(self) -> bool:
        """Whether a reader has to say who it is; a file has no such thing."""
        return not self._sqlite

    @property
    def service(self) -> str:
        """The table's name as a deployment configures it."""
        return TABLE if self._sqlite else f"{SCHEMA}.{TABLE}"

    @property
    def endpoint(self) -> str:
        """The reader's URL, without a password."""
        if self._sqlite:
            return f"sqlite:///file:{self._url.database}?mode=ro&uri=true"
        server = self._url
        reader = URL.create("postgresql", self._reader, None, server.host, server.port, server.database)
        return reader.render_as_string()

    @property
    def _reader(self) -> str:
        """Roles belong to the whole server: one for each database."""
        return f"{READER}_{self._url.database}"

    def install(self, password: str) -> None:
        """The table with everything a department knows, and the account that may read it (password: hex digits)."""
        with self._engine.begin() as connection:
            if not self._sqlite:
                connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
            self._table.metadata.drop_all(connection)
            self._table.metadata.create_all(connection)
            if not self._sqlite:
                known = text("SELECT count(*) FROM pg_roles WHERE rolname = :name")
                verb = "ALTER" if connection.scalar(known, {"name": self._reader}) else "CREATE"
                self._run(connection, f"{verb} ROLE {{}} LOGIN PASSWORD '{password}'")
                self._run(connection, f'GRANT USAGE ON SCHEMA "{SCHEMA}" TO {{}}')
        self.behave("ok")

    def behave(self, behaviour: str) -> None:
        """Fill the table as the behaviour has it, and grant or revoke; ValueError for one that no table knows."""
        spoil = _SPOILT.get(behaviour)
        if spoil is None:
            raise ValueError(f"a table refuses {behaviour}: {sorted(_SPOILT)}")
        self.permitted = behaviour != "not_permitted"
        now = datetime.now(CHINA)
        rows = [
            record | {"GXSJ": f"{now:{_TIME}}"} if record["GXSJ"] == UPDATED else record for record in self._records
        ]
        with self._engine.begin() as connection:
            connection.execute(self._table.delete())
            connection.execute(self._table.insert(), spoil(rows, now))
            if not self._sqlite:
                columns = ", ".join(f'"{name}"' for name in GRANTED)
                self._run(connection, f"REVOKE ALL ON {_NAME} FROM {{}}")
                if self.permitted:
                    self._run(connection, f"GRANT SELECT ({columns}) ON {_NAME} TO {{}}")

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

    def _run(self, connection: Connection, statement: str) -> None:
        connection.execute(text(statement.format(f'"{self._reader}"').replace(":", "\\:")))


_NAME: Final = f'"{SCHEMA}"."{TABLE}"'
_READING: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_TRANSACTION}
)


def _as_they_are(rows: _Rows, _: datetime) -> Sequence[Record]:
    return rows


def _shifted(days: int) -> Callable[[_Rows, datetime], Sequence[Record]]:
    def shift(rows: _Rows, now: datetime) -> Sequence[Record]:
        return [row | {"GXSJ": f"{now + timedelta(days=days):{_TIME}}"} for row in rows]

    return shift


def _others(rows: _Rows, _: datetime) -> Sequence[Record]:
    """Every row found under somebody's number tells of the next person."""
    return [row | {"ZJHM": other["ZJHM"]} for row, other in zip(rows, [*rows[1:], rows[0]], strict=True)]


def _twice(rows: _Rows, _: datetime) -> Sequence[Record]:
    return [row for row in rows for _ in range(2)]


def _unreadable(rows: _Rows, _: datetime) -> Sequence[Record]:
    return [row | {"GXSJ": "N/A"} for row in rows]


_SPOILT: Final[dict[str, Callable[[_Rows, datetime], Sequence[Record]]]] = {
    "ok": _as_they_are,
    "not_permitted": _as_they_are,
    "stale": _shifted(-400),
    "future": _shifted(2),
    "wrong_person": _others,
    "ambiguous": _twice,
    "malformed": _unreadable,
}
