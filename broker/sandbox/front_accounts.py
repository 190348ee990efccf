"""What the administrators of different databases say to make an account that may read some columns and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from sqlalchemy import Connection, text

READER: Final = "broker_reader"


class Dialect(Protocol):
    """One kind of database server: its words for accounts, and for what a view can do to those who read it."""

    schema: str | None
    views: Mapping[str, Mapping[str, str]]

    def make_account(self, connection: Connection, name: str, password: str) -> None:
        """An account that may do nothing, with this password (hex digits)."""
        ...

    def grant(self, connection: Connection, name: str, table: str, columns: Sequence[str]) -> None:
        """Let it read these columns of the table, and these only; none takes the right away."""
        ...

    def throttle(self, connection: Connection, name: str, *, on: bool) -> None:
        """Let it have no more connections or queries than it has had."""
        ...


class PostgreSql:
    """Roles belong to the whole server, and what they may do to each object."""

    schema: str | None = "ZJK"
    views: Mapping[str, Mapping[str, str]] = {
        "huge": {"DWMC": "repeat('x', 4194304)"},
        "gbk": {"DWMC": "convert_to(\"XM\", 'GBK')"},
        "nan": {"JCYS": "'NaN'::numeric"},
        "slow": {"XM": 'CASE WHEN pg_sleep(0.1) IS NULL THEN "XM" ELSE "XM" END'},
        "hang": {"XM": 'CASE WHEN pg_sleep(120) IS NULL THEN "XM" ELSE "XM" END'},
        "after_lease": {"XM": 'CASE WHEN pg_sleep(35) IS NULL THEN "XM" ELSE "XM" END'},
        "error500": {"XM": '"ZJK".broken()'},
    }

    def make_account(self, connection: Connection, name: str, password: str) -> None:
        """A role that may log in, enter the schema, and call what a view of it calls."""
        known = connection.scalar(text("SELECT count(*) FROM pg_roles WHERE rolname = :name"), {"name": name})
        verb = "ALTER" if known else "CREATE"
        connection.execute(text(f"{verb} ROLE \"{name}\" LOGIN PASSWORD '{password}'"))
        connection.execute(text(f'GRANT USAGE ON SCHEMA "{self.schema}" TO "{name}"'))
        connection.execute(
            text(
                f'CREATE OR REPLACE FUNCTION "{self.schema}".broken() RETURNS text LANGUAGE plpgsql AS '
                "$$ BEGIN RAISE EXCEPTION 'broken' USING ERRCODE = 'XX000'; END $$"
            )
        )

    def grant(self, connection: Connection, name: str, table: str, columns: Sequence[str]) -> None:
        """By column."""
        place = f'"{self.schema}"."{table}"'
        connection.execute(text(f'REVOKE ALL ON {place} FROM "{name}"'))
        if columns:
            listed = ", ".join(f'"{one}"' for one in columns)
            connection.execute(text(f'GRANT SELECT ({listed}) ON {place} TO "{name}"'))

    def throttle(self, connection: Connection, name: str, *, on: bool) -> None:
        """No connection at all."""
        connection.execute(text(f'ALTER ROLE "{name}" CONNECTION LIMIT {0 if on else -1}'))


class MariaDb:
    """An account is a name and the place it comes from; a schema is a database, and the table is in the URL's."""

    schema: str | None = None
    views: Mapping[str, Mapping[str, str]] = {
        "huge": {"DWMC": "repeat('x', 4194304)"},
        "gbk": {"DWMC": "CAST(CONVERT(`XM` USING gbk) AS BINARY)"},
        "slow": {"XM": "IF(SLEEP(0.1) = 0, `XM`, `XM`)"},
        "hang": {"XM": "IF(SLEEP(120) = 0, `XM`, `XM`)"},
        "after_lease": {"XM": "IF(SLEEP(35) = 0, `XM`, `XM`)"},
        "error500": {"XM": "broken()"},
    }

    def make_account(self, connection: Connection, name: str, password: str) -> None:
        """An account that may log in from anywhere."""
        connection.execute(text(f"CREATE OR REPLACE USER `{name}` IDENTIFIED BY '{password}'"))
        connection.execute(
            text(
                "CREATE OR REPLACE FUNCTION broken() RETURNS VARCHAR(9) "
                "BEGIN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'broken'; RETURN ''; END"
            )
        )

    def grant(self, connection: Connection, name: str, table: str, columns: Sequence[str]) -> None:
        """By column; all rights go first."""
        connection.execute(text(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM `{name}`"))
        if columns:
            listed = ", ".join(f"`{one}`" for one in columns)
            connection.execute(text(f"GRANT SELECT ({listed}) ON `{table}` TO `{name}`"))

    def throttle(self, connection: Connection, name: str, *, on: bool) -> None:
        """No more than one query in an hour, and that is spent on logging in."""
        connection.execute(text(f"ALTER USER `{name}` WITH MAX_QUERIES_PER_HOUR {1 if on else 0}"))


DIALECTS: Final[Mapping[str, Dialect]] = {"postgresql": PostgreSql(), "mysql": MariaDb(), "mariadb": MariaDb()}
