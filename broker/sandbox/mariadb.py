"""A private, real MariaDB on this machine, for the departments whose front-end database is one; only tests need it.

It lives and dies like the servers of :mod:`broker.sandbox.servers`. There is no wheel of it: it comes from the system
(Debian: ``mariadb-server-core``, which installs no service), or by ``BROKER_TEST_MARIADB_URL``, whose account may
create databases and users. Started it takes some 15 MB of disk and a second.
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pymysql
from sqlalchemy.engine import URL, make_url

from broker.sandbox import servers
from broker.sandbox.servers import LOOPBACK, Program, Server, ServerUnavailable

MARIADB_URL_VARIABLE: Final = "BROKER_TEST_MARIADB_URL"
SCHEME: Final = "mariadb+pymysql"
_CERTIFICATE: Final = "tls.pem"
_SYSTEM_TABLES: Final = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")
_SHARE: Final = Path("/usr/share/mysql")
_SMALL: Final = (  # a database of a few rows: without these its files take 150 MB
    "--innodb-log-file-size=4M",
    "--innodb-data-file-path=ibdata1:5M:autoextend",
    "--innodb-autoextend-increment=1",
    "--innodb-temp-data-file-path=ibtmp1:1M:autoextend",
    "--innodb-undo-tablespaces=0",
    "--innodb-buffer-pool-size=8M",
    "--aria-log-file-size=8388608",
)
_SERVING: Final = ("--skip-name-resolve", "--character-set-server=utf8mb4", "--performance-schema=off")

_database_numbers = itertools.count(1)


@dataclass
class MariaDb(Server):
    """A MariaDB server; ``url`` is SQLAlchemy's form, as an account that may do everything."""

    _fresh: list[str] = field(default_factory=list, repr=False)

    def ping(self) -> None:
        """Raise ``ConnectionError`` unless a connection can be opened."""
        try:
            self.connect().close()
        except pymysql.err.OperationalError as error:
            raise ConnectionError(str(error)) from error

    def connect(self, database: str | None = None) -> pymysql.Connection:
        """A connection as the account that may do everything."""
        found = make_url(self.url)
        return pymysql.connect(
            host=found.host or LOOPBACK,
            port=found.port or 3306,
            user=found.username,
            password=found.password or "",
            database=database,
            charset="utf8mb4",
            autocommit=True,
        )

    def run(self, *statements: str, database: str | None = None) -> None:
        """Execute statements as that account."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def fresh_database(self) -> str:
        """A new, empty database on this server, as a URL for SQLAlchemy."""
        name = f"broker_{os.getpid()}_{next(_database_numbers)}_{secrets.token_hex(3)}"
        self.run(f"CREATE DATABASE `{name}`")
        self._fresh.append(name)
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def present(self, certificate: Path) -> None:
        """Show this certificate (with its key) to whoever connects from now on."""
        self.write_certificate(certificate)
        self.run("FLUSH SSL")

    def write_certificate(self, certificate: Path) -> None:
        """Put it where the server looks."""
        program = self._ours()
        servers.private_file(program.folder / _CERTIFICATE, certificate.read_text(encoding="ascii"), program.user)

    def close(self) -> None:
        """Stop for good and remove the data; on somebody else's server, drop the databases made here."""
        if self._program is None and self._owner == os.getpid():
            while self._fresh:
                self.run(f"DROP DATABASE IF EXISTS `{self._fresh.pop()}`")
        super().close()


def start_mariadb(certificate: Path) -> MariaDb:
    """A running MariaDB that shows this certificate (with its key); ``ServerUnavailable`` where there is none."""
    named = os.environ.get(MARIADB_URL_VARIABLE)
    if named:
        return servers.given(MariaDb(named), MARIADB_URL_VARIABLE)
    found = servers.first(mariadb_programs(), "MariaDB", MARIADB_URL_VARIABLE, "apt-get install mariadb-server-core")
    user = servers.unprivileged_user()
    with servers.folder_of("mariadb", user) as folder:
        password, port = secrets.token_hex(16), servers.free_port()
        data = folder / "data"
        data.mkdir(mode=0o700)
        if user is not None:
            os.chown(data, user.pw_uid, user.pw_gid)
        common = (str(found), "--no-defaults", f"--datadir={data}", *_SMALL)
        _install(servers.as_user(user, (*common, "--bootstrap", "--skip-networking")), folder, password)
        place = (f"--bind-address={LOOPBACK}", f"--port={port}", f"--socket={folder / 'socket'}")
        shown = (f"--ssl-cert={folder / _CERTIFICATE}", f"--ssl-key={folder / _CERTIFICATE}")
        program = Program("MariaDB", (*common, *place, *_SERVING, *shown), folder, user, signal.SIGTERM)
        url = URL.create(SCHEME, "broker", password, LOOPBACK, port)
        server = MariaDb(url.render_as_string(hide_password=False), program)
        server.write_certificate(certificate)
        return servers.started(server)


def mariadb_programs() -> list[Path]:
    """Server programs on this machine that have what makes their system tables beside them."""
    found = [shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin") for name in ("mariadbd", "mysqld")]
    complete = all((_SHARE / name).exists() for name in _SYSTEM_TABLES)
    return list(dict.fromkeys(Path(path).resolve() for path in found if path)) if complete else []


def _install(argv: list[str], folder: Path, password: str) -> None:
    """Make the system tables, and one account that may do everything; the password goes in by a pipe, not by argv."""
    account = f"'broker'@'{LOOPBACK}'"
    statements = [
        "CREATE DATABASE mysql;",
        "USE mysql;",
        *((_SHARE / name).read_text(encoding="utf-8") for name in _SYSTEM_TABLES),
        "DELETE FROM global_priv WHERE User = 'root';",  # made without a password
        "FLUSH PRIVILEGES;",
        f"CREATE USER {account} IDENTIFIED BY '{password}';",
        f"GRANT ALL ON *.* TO {account} WITH GRANT OPTION;",
    ]
    done = subprocess.run(
        argv, input="\n".join([*statements, ""]), cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ServerUnavailable(f"making MariaDB's system tables ended with {done.returncode}:\n{done.stderr[-1000:]}")
