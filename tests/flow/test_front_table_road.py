"""Exchange tables in a real PostgreSQL: read by an account that may do nothing else, within the budget."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import psycopg
import pytest
from psycopg import sql

from broker.core.answer import Answer, Reason
from broker.ports import TableQuery
from broker.sandbox.servers import Postgres, fresh_database, start_postgres
from broker.transport.https import HttpsTransport
from tests.asking import SOURCES
from tests.flow.front import read_of, talk

BUDGET = 1.0
SOURCE = replace(SOURCES["nr-title"], budget_ms=int(BUDGET * 1000))
read = partial(read_of, SOURCE)
PASSWORD = "front-reader-demo"
TABLE = """
    CREATE SCHEMA "ZJK";
    CREATE TABLE "ZJK"."T_GJJ$JC" (
        "ZJHM" text, "XM" text, "JCZT" char(1), "YE" numeric(12, 2), "JCYS" numeric(6, 0), "KHRQ" date,
        "GXSJ" timestamptz, "BZ" bytea, "MM" text
    );
    INSERT INTO "ZJK"."T_GJJ$JC" VALUES
        ('37049919800101009X', '测试甲', '0', 1234.50, 36, '2020-01-02', '2026-01-01 00:00:00+00', NULL, 'secret'),
        ('x'' OR ''1''=''1', '测试乙', '0', 0, 0, NULL, NULL, '\\x00', 'secret');
"""
GRANTED = ("ZJHM", "XM", "JCZT", "YE", "JCYS", "KHRQ", "GXSJ", "BZ")


@dataclass
class Front:
    """A front-end database, and what its owner can do to it."""

    server: Postgres
    owner: str
    reader: str

    def run(self, statement: str) -> None:
        """As the owner."""
        with psycopg.connect(self.owner, autocommit=True) as connection:
            connection.execute(statement.encode())

    def query(self, **changes: object) -> TableQuery:
        """The reader's question about the first person."""
        asked = TableQuery(
            self.reader, PASSWORD, "ZJK.T_GJJ$JC", ("XM", "JCZT"), {"ZJHM": "37049919800101009X"}, 5, SOURCE.budget_ms
        )
        return replace(asked, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    """A server of its own, since a test stops it."""
    with start_postgres() as server:
        owner = fresh_database(server).replace("+psycopg", "", 1)
        role = sql.SQL("CREATE ROLE front_reader LOGIN PASSWORD {}").format(sql.Literal(PASSWORD))
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(role)
            connection.execute(TABLE.encode())
        place = owner.rpartition("@")[2]
        ground = Front(server, owner, f"postgresql://front_reader@{place}")
        ground.run('GRANT USAGE ON SCHEMA "ZJK" TO front_reader')
        columns = ", ".join(f'"{name}"' for name in GRANTED)
        ground.run(f'GRANT SELECT ({columns}) ON "ZJK"."T_GJJ$JC" TO front_reader')
        yield ground


@pytest.fixture(scope="module")
def transport() -> Iterator[HttpsTransport]:
    found = HttpsTransport()
    yield found
    found.close()


def test_the_granted_columns_arrive_as_plain_values(transport: HttpsTransport, front: Front) -> None:
    columns = ("XM", "JCZT", "YE", "JCYS", "KHRQ", "GXSJ", "BZ")
    told = {"XM": "测试甲", "JCZT": "0", "YE": "1234.50", "JCYS": 36, "KHRQ": "2020-01-02"}
    answer, rows = read(transport, front.query(columns=columns))
    assert answer.reason is Reason.VALID
    assert rows == [told | {"GXSJ": "2026-01-01 08:00:00", "BZ": None}]


def test_a_value_is_never_part_of_the_statement(transport: HttpsTransport, front: Front) -> None:
    """What would be all rows if it were pasted in is one row's strange number, or nobody's."""
    assert read(transport, front.query(where={"ZJHM": "x' OR '1'='1"}))[1] == [{"XM": "测试乙", "JCZT": "0"}]
    assert read(transport, front.query(where={"ZJHM": "' OR '1'='1"}))[1] == []
    assert read(transport, front.query(where={"ZJHM": "'; DROP TABLE x; --"}))[0].reason is Reason.VALID


REFUSALS = (
    ({"columns": ("MM",)}, Reason.NOT_PERMITTED, "42501"),
    ({"columns": ("NEVER",)}, Reason.CATALOGUE_DRIFT, "42703"),
    ({"columns": ("xm",)}, Reason.CATALOGUE_DRIFT, "42703"),
    ({"table": "ZJK.T_OTHER"}, Reason.CATALOGUE_DRIFT, "42P01"),
    ({"table": "OTHER.T_GJJ$JC"}, Reason.CATALOGUE_DRIFT, "42P01"),
    ({"where": {"KHRQ": "no day"}}, Reason.CATALOGUE_DRIFT, "42883"),
    ({"where": {"ZJHM": "x' OR '1'='1"}, "columns": ("BZ",)}, Reason.MALFORMED, ""),
    ({"password": "wrong"}, Reason.AUTHENTICATION, ""),
    ({"password": ""}, Reason.AUTHENTICATION, ""),
    ({"endpoint": "oracle://reader@127.0.0.1:9/x"}, Reason.NOT_CONFIGURED, ""),
    ({"endpoint": "postgresql://reader:inside@127.0.0.1:9/x"}, Reason.NOT_CONFIGURED, ""),
    ({"endpoint": "no url"}, Reason.NOT_CONFIGURED, ""),
)


@pytest.mark.parametrize(("changes", "reason", "code"), REFUSALS)
def test_what_the_database_refuses_has_its_reason(
    transport: HttpsTransport, front: Front, changes: dict[str, object], reason: Reason, code: str
) -> None:
    answer, rows = read(transport, front.query(**changes))
    assert (answer.reason, answer.source_code, rows) == (reason, code, [])
    assert read(transport, front.query())[0].reason is Reason.VALID, "the pool has suffered"


def test_a_reading_cannot_write_even_where_the_account_could(transport: HttpsTransport, front: Front) -> None:
    """A view whose reading writes: the transaction itself is read-only."""
    front.run('CREATE TABLE "ZJK".trace (at timestamptz)')
    front.run(
        "CREATE FUNCTION touched() RETURNS text LANGUAGE sql SECURITY DEFINER AS "
        """$$ INSERT INTO "ZJK".trace VALUES (now()); SELECT 'written' $$"""
    )
    front.run('CREATE VIEW "ZJK"."V_WRITES" AS SELECT touched() AS "XM", \'1\'::text AS "ZJHM"')
    front.run('GRANT SELECT ON "ZJK"."V_WRITES" TO front_reader')
    answer, _ = read(transport, front.query(table="ZJK.V_WRITES", columns=("XM",), where={"ZJHM": "1"}))
    assert answer.source_code == "25006"
    with psycopg.connect(front.owner) as connection:
        assert connection.execute('SELECT count(*) FROM "ZJK".trace').fetchone() == (0,)


def test_a_locked_table_is_late_and_the_statement_ends_at_the_server(transport: HttpsTransport, front: Front) -> None:
    with psycopg.connect(front.owner) as owner:
        owner.execute('LOCK TABLE "ZJK"."T_GJJ$JC" IN ACCESS EXCLUSIVE MODE')
        started = time.monotonic()
        answer, _ = read(transport, front.query())
        assert time.monotonic() - started < BUDGET + 2
        assert (answer.reason, answer.source_code) == (Reason.LATE, "57014")
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'front_reader' AND state = 'active'"
        assert owner.execute(waiting).fetchone() == (0,)
    assert read(transport, front.query())[0].reason is Reason.VALID


def test_a_server_that_stops_talking_is_late(transport: HttpsTransport, front: Front) -> None:
    """Its processes are frozen: the kernel still acknowledges what is sent, and no time-out of the server's comes."""
    assert read(transport, front.query())[0].reason is Reason.VALID
    with psycopg.connect(front.owner) as owner:
        found = owner.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'front_reader'").fetchall()
    frozen = [pid for (pid,) in found]
    assert frozen
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        assert read(transport, front.query())[0].reason is Reason.LATE
        assert time.monotonic() - started < BUDGET + 2
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert read(transport, front.query())[0].reason is Reason.VALID


def test_more_questions_than_connections_wait_for_each_other(transport: HttpsTransport, front: Front) -> None:
    rows: list[object] = []
    answers = transport.converse(SOURCE, [talk(front.query(), rows) for _ in range(12)])
    assert answers == [Answer(Reason.VALID)] * 12
    assert len(rows) == 12


def test_a_connection_that_died_while_idle_is_replaced(transport: HttpsTransport, front: Front) -> None:
    assert read(transport, front.query())[0].reason is Reason.VALID
    front.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'front_reader'")
    assert read(transport, front.query())[0].reason is Reason.VALID


def test_nobody_there_is_down(transport: HttpsTransport, front: Front) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for backend in ("postgresql", "mysql", "mariadb"):
        answer, _ = read(transport, front.query(endpoint=f"{backend}://reader@127.0.0.1:{port}/x"))
        assert answer.reason is Reason.SOURCE_DOWN


@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
def test_a_server_that_never_says_who_it_is_is_late(transport: HttpsTransport, front: Front, backend: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, held = server.getsockname()[1], []
        thread = threading.Thread(target=lambda: held.append(server.accept()))
        thread.start()
        answer, _ = read(transport, front.query(endpoint=f"{backend}://reader@127.0.0.1:{port}/x"))
        thread.join()
        held[0][0].close()
    assert answer.reason is Reason.LATE
