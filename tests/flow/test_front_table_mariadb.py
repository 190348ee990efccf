"""Exchange tables in a real MariaDB: what holds for PostgreSQL (``test_front_table_road``), and where MySQL differs."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from broker.core.answer import Answer, Reason
from broker.ports import TableQuery
from broker.sandbox.mariadb import MariaDb
from broker.transport.https import HttpsTransport
from tests.asking import SOURCES
from tests.flow.front import read_of, talk

SOURCE = replace(SOURCES["nr-title"], budget_ms=600)
read = partial(read_of, SOURCE)
PASSWORD = "front-reader-demo"
NUMBER = "37049919800101009X"
LONG = 370499198001010091
GRANTED = ("ZJHM", "XM", "JCZT", "YE", "JCYS", "KHRQ", "GXSJ", "ZHGX", "BZ", "BH")
READER = "'front_reader'@'127.0.0.1'"


@dataclass
class Front:
    """A front-end database, and what its owner can do to it."""

    server: MariaDb
    reader: str

    def query(self, **changes: object) -> TableQuery:
        """The reader's question about the first person."""
        asked = TableQuery(self.reader, PASSWORD, "ZJK.T_GJJ$JC", ("XM", "JCZT"), {"ZJHM": NUMBER}, 5, SOURCE.budget_ms)
        return replace(asked, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def front(mariadb_server: MariaDb) -> Front:
    mariadb_server.run(
        "CREATE DATABASE ZJK",
        "CREATE TABLE ZJK.`T_GJJ$JC` (ZJHM varchar(40), XM varchar(40), JCZT char(1), YE decimal(12, 2), "
        "JCYS decimal(6, 0), KHRQ date, GXSJ datetime, ZHGX timestamp NULL, BZ varbinary(9), BH bigint, MM text)",
        "SET time_zone = '+00:00'",
        f"""INSERT INTO ZJK.`T_GJJ$JC` VALUES
            ('{NUMBER}', '测试𠮷甲', '0', 1234.50, 36, '2020-01-02', '2026-01-01 08:00:00', '2026-01-01 00:00:00',
             NULL, {LONG}, 'secret'),
            ('x'' OR ''1''=''1', '测试乙', '0', 0, 0, NULL, NULL, NULL, 0x00, {LONG + 1}, 'secret'),
            ('back\\\\', '测试丙', '0', 0, 0, NULL, NULL, NULL, NULL, 3, 'secret')""",  # noqa: S608 - constants
        f"CREATE USER {READER} IDENTIFIED BY '{PASSWORD}'",
        f"GRANT SELECT ({', '.join(GRANTED)}) ON ZJK.`T_GJJ$JC` TO {READER}",
    )
    return Front(mariadb_server, f"mariadb://front_reader@{mariadb_server.url.rpartition('@')[2].rstrip('/')}/ZJK")


@pytest.fixture(scope="module")
def transport() -> Iterator[HttpsTransport]:
    found = HttpsTransport()
    yield found
    found.close()


def test_the_granted_columns_arrive_as_plain_values(transport: HttpsTransport, front: Front) -> None:
    """Characters beyond the first plane too, and a time told in another zone is China's."""
    columns = ("XM", "JCZT", "YE", "JCYS", "KHRQ", "GXSJ", "ZHGX", "BZ")
    told = {"XM": "测试𠮷甲", "JCZT": "0", "YE": "1234.50", "JCYS": 36, "KHRQ": "2020-01-02", "BZ": None}
    answer, rows = read(transport, front.query(columns=columns))
    assert answer.reason is Reason.VALID
    assert rows == [told | dict.fromkeys(("GXSJ", "ZHGX"), "2026-01-01 08:00:00")]


def test_a_value_is_never_part_of_the_statement(transport: HttpsTransport, front: Front) -> None:
    assert read(transport, front.query(where={"ZJHM": "x' OR '1'='1"}))[1] == [{"XM": "测试乙", "JCZT": "0"}]
    assert read(transport, front.query(where={"ZJHM": "back\\"}))[1] == [{"XM": "测试丙", "JCZT": "0"}]
    for attempt in ("' OR '1'='1", "\\' OR 1=1 -- ", "'; DROP TABLE x; --", "%"):
        assert read(transport, front.query(where={"ZJHM": attempt})) == (Answer(Reason.VALID), [])


@pytest.mark.parametrize(
    "where",
    [
        {"ZJHM": NUMBER.lower()},
        {"ZJHM": NUMBER, "XM": "测试𡃁甲"},
        {"BH": f"{LONG}x"},
        {"JCYS": "36甲"},
    ],
    ids=["case", "rare character", "number and more", "text as a number"],
)
def test_what_mysql_takes_for_equal_is_not_equal(
    transport: HttpsTransport, front: Front, where: dict[str, str]
) -> None:
    """Each of these finds somebody by its own comparison; the same numbers exactly are found."""
    with front.server.connect("ZJK") as connection, connection.cursor() as cursor:
        condition = " AND ".join(f"`{name}` = %s" for name in where)
        cursor.execute(f"SELECT count(*) FROM `T_GJJ$JC` WHERE {condition}", tuple(where.values()))  # noqa: S608 - as a careless reader would
        assert cursor.fetchone() != (0,)
    assert read(transport, front.query(where=where)) == (Answer(Reason.VALID), [])
    assert len(read(transport, front.query(where={"BH": str(LONG), "JCYS": "36"}))[1]) == 1


REFUSALS = (
    ({"columns": ("MM",)}, Reason.NOT_PERMITTED, "1143"),
    ({"columns": ("NEVER",)}, Reason.NOT_PERMITTED, "1143"),
    ({"table": "ZJK.T_OTHER"}, Reason.NOT_PERMITTED, "1142"),  # who may not see it is not told whether it is there
    ({"table": "OTHER.T_GJJ$JC"}, Reason.NOT_PERMITTED, "1142"),
    ({"where": {"ZJHM": "x' OR '1'='1"}, "columns": ("BZ",)}, Reason.MALFORMED, ""),
    ({"password": "wrong"}, Reason.AUTHENTICATION, "1045"),
    ({"password": ""}, Reason.AUTHENTICATION, "1045"),
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
    front.server.run(
        "CREATE TABLE ZJK.trace (at datetime) ENGINE=InnoDB",
        "CREATE FUNCTION ZJK.touched() RETURNS varchar(9) NOT DETERMINISTIC MODIFIES SQL DATA "
        "BEGIN INSERT INTO ZJK.trace VALUES (now()); RETURN 'written'; END",
        "CREATE VIEW ZJK.V_WRITES AS SELECT ZJK.touched() AS XM, '1' AS ZJHM",
        f"GRANT SELECT ON ZJK.V_WRITES TO {READER}",
    )
    answer, _ = read(transport, front.query(table="ZJK.V_WRITES", columns=("XM",), where={"ZJHM": "1"}))
    assert (answer.reason, answer.source_code) == (Reason.SOURCE_CONFIGURATION, "1792")
    with front.server.connect("ZJK") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM trace")
        assert cursor.fetchone() == (0,)


def test_a_statement_that_takes_too_long_ends_at_the_server(transport: HttpsTransport, front: Front) -> None:
    """By its own clock, so that it does not work on for nobody."""
    with front.server.connect("ZJK") as owner, owner.cursor() as cursor:
        cursor.execute("LOCK TABLES `T_GJJ$JC` WRITE")
        answer, _ = read(transport, front.query())
        assert (answer.reason, answer.source_code) == (Reason.LATE, "1969")
        cursor.execute(
            "SELECT count(*) FROM information_schema.processlist WHERE user = 'front_reader' AND command = 'Query'"
        )
        assert cursor.fetchone() == (0,)
    assert read(transport, front.query())[0].reason is Reason.VALID


def halt(process: int) -> None:
    """Stop a process, and wait until each of its threads stands: on a busy machine one of them may answer meanwhile."""
    os.kill(process, signal.SIGSTOP)
    threads = list(Path(f"/proc/{process}/task").glob("*/stat"))
    while any(one.read_text().rpartition(")")[2].split()[0] != "T" for one in threads):
        time.sleep(0.01)


def test_a_server_that_stops_talking_is_late(transport: HttpsTransport, front: Front) -> None:
    assert read(transport, front.query())[0].reason is Reason.VALID
    halt(front.server.pid)
    try:
        assert read(transport, front.query())[0].reason is Reason.LATE
    finally:
        os.kill(front.server.pid, signal.SIGCONT)
    assert read(transport, front.query())[0].reason is Reason.VALID


def test_a_connection_killed_while_it_reads_is_down_and_one_killed_before_is_made_anew(
    transport: HttpsTransport, front: Front
) -> None:
    def kill(command: str) -> int:
        with front.server.connect() as owner, owner.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM information_schema.processlist WHERE user = 'front_reader' AND command = %s", (command,)
            )
            found = cursor.fetchall()
            for (number,) in found:
                cursor.execute("KILL CONNECTION %s", (number,))
        return len(found)

    assert read(transport, front.query())[0].reason is Reason.VALID
    assert kill("Sleep") > 0
    assert read(transport, front.query())[0].reason is Reason.VALID
    asked: list[Answer] = []
    with front.server.connect("ZJK") as owner, owner.cursor() as cursor:
        cursor.execute("LOCK TABLES `T_GJJ$JC` WRITE")
        reader = threading.Thread(target=lambda: asked.append(read(transport, front.query())[0]))
        reader.start()
        while not kill("Query"):
            time.sleep(0.01)
        reader.join()
    assert asked[0].reason in {Reason.SOURCE_DOWN, Reason.LATE}  # LATE where the second attempt found the lock as well


def test_more_questions_than_connections_wait_for_each_other(transport: HttpsTransport, front: Front) -> None:
    rows: list[object] = []
    answers = transport.converse(SOURCE, [talk(front.query(), rows) for _ in range(12)])
    assert answers == [Answer(Reason.VALID)] * 12
