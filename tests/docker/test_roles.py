"""The application's database role can work with rows and cannot change a table."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from broker.sandbox.servers import Postgres, fresh_database, postgres_programs

ROLES = Path(__file__).parents[2] / "docker" / "postgres" / "roles.sql"
SECRET_IN_CONTAINER = "/run/secrets/app_password"


@pytest.fixture
def database(postgres_server: Postgres, tmp_path: Path) -> Iterator[str]:
    """A database prepared as the container does it, as a libpq URL of its owner."""
    url = fresh_database(postgres_server).replace("+psycopg", "", 1)
    secret = tmp_path / "app_password"
    secret.write_text("it's secret")
    script = tmp_path / "roles.sql"
    script.write_text(ROLES.read_text().replace(SECRET_IN_CONTAINER, str(secret)))
    psql = postgres_programs()[0] / "psql"
    subprocess.run([psql, "-q", "-v", "ON_ERROR_STOP=1", "-f", script, url], check=True)
    yield url
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("DROP OWNED BY broker_app CASCADE")
        owner.execute("DROP ROLE broker_app")


def as_app(url: str) -> str:
    """The same database as the application sees it; the password with its quote arrived whole."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"broker_app:it%27s%20secret@{parts.hostname}:{parts.port}"))


def test_the_app_works_with_rows_and_changes_no_table(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("CREATE TABLE thing (id bigserial, line text)")
    with psycopg.connect(as_app(database), autocommit=True) as app:
        app.execute("INSERT INTO thing (line) VALUES ('a')")
        app.execute("UPDATE thing SET line = 'b'")
        for forbidden in (
            "DROP TABLE thing",
            "ALTER TABLE thing ADD x int",
            "TRUNCATE thing",
            "CREATE TABLE mine (x int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(forbidden)
        assert app.execute("SELECT line FROM thing").fetchall() == [("b",)]


def test_the_owner_can_take_rights_on_one_table_away(database: str) -> None:
    """As the migration that makes the audit log does."""
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("CREATE TABLE entries (line text)")
        owner.execute("REVOKE UPDATE, DELETE ON entries FROM broker_app")
    with psycopg.connect(as_app(database), autocommit=True) as app:
        app.execute("INSERT INTO entries VALUES ('a')")
        for forbidden in ("UPDATE entries SET line = 'b'", "DELETE FROM entries"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(forbidden)
        assert app.execute("SELECT line FROM entries").fetchall() == [("a",)]
