"""The statement that reads a front-end table, in each dialect, and what each database's errors mean."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

import psycopg
import pymysql
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from broker.connectors.front_table import MAX_ROWS, FrontTable
from broker.core.answer import Answer, Reason
from broker.core.case import Party
from broker.core.catalog import Form
from broker.ports import Connection, TableQuery, TableRows
from broker.transport import deadline
from broker.transport.tables import _road, statement_of
from tests.asking import ANSWER_OK, SOURCES, question

QUERY = TableQuery("mysql://r@h/d", "", "ZJK.T_GJJ$JC", ("XM", "jczt"), {"ZJHM": "1' OR '1'='1"}, 21, 1000)
NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
MAN = Party("applicant", "111", "370499196601100010", "测试甲子甲")
ROW = {"CXZJHM": MAN.number, "ZJHM": MAN.number, "XM": MAN.name, "JCZT": "1", "GXSJ": "2026-11-21 00:00:00"}


@pytest.mark.parametrize(
    ("name", "quote", "parameter", "limit"),
    [
        ("postgresql+psycopg", '"', "%(p0)s", "LIMIT"),
        ("mysql+pymysql", "`", "%s", "LIMIT"),
        ("sqlite", '"', "?", "LIMIT"),
        ("oracle", '"', ":p0", "FETCH FIRST"),
    ],
    ids=["postgresql", "mysql", "sqlite", "oracle"],
)
def test_names_are_quoted_and_values_are_parameters(name: str, quote: str, parameter: str, limit: str) -> None:
    """Oracle is compiled only: no server of its runs in any test."""
    dialect = make_url(f"{name}://").get_dialect()()
    compiled = statement_of(QUERY, dialect.name).compile(dialect=dialect)
    statement = " ".join(str(compiled).split())
    table = f"{quote}ZJK{quote}.{quote}T_GJJ$JC{quote}"
    columns = f"{table}.{quote}XM{quote}, {table}.{quote}jczt{quote}"
    assert statement.startswith(f"SELECT {columns} FROM {table} WHERE ")  # noqa: S608 - nothing is run
    assert f"{table}.{quote}ZJHM{quote} = {parameter}" in statement
    assert limit in statement
    assert "OR" not in statement.split()
    assert "1' OR '1'='1" in compiled.params.values()


def _mysql(number: int) -> Exception:
    """As the driver raises it: with an SQLSTATE, which says less."""
    told: Exception = pymysql.err.OperationalError(number, "…")
    told.sqlstate = "HY000"  # type: ignore[attr-defined]  # the driver has no types
    return told


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        *((_mysql(number), Reason.SOURCE_DOWN) for number in (2002, 2003, 2006, 2013)),
        *((_mysql(number), Reason.NOT_PERMITTED) for number in (1044, 1130, 1142, 1143, 1370)),
        *((_mysql(number), Reason.AUTHENTICATION) for number in (1045, 1698)),
        *((_mysql(number), Reason.CATALOGUE_DRIFT) for number in (1049, 1054, 1146, 1356)),
        *((_mysql(number), Reason.LATE) for number in (1205, 1317, 1969, 3024)),
        *((_mysql(number), Reason.THROTTLED) for number in (1040, 1203, 1226)),
        (psycopg.errors.InsufficientPrivilege(), Reason.NOT_PERMITTED),
        (psycopg.errors.UndefinedTable(), Reason.CATALOGUE_DRIFT),
        (psycopg.errors.QueryCanceled(), Reason.LATE),
        (psycopg.errors.TooManyConnections(), Reason.THROTTLED),
        (psycopg.errors.AdminShutdown(), Reason.SOURCE_DOWN),
        (psycopg.errors.InvalidTextRepresentation(), Reason.SOURCE_REFUSED_QUESTION),
        (psycopg.OperationalError("…"), Reason.SOURCE_DOWN),
        (sqlite3.OperationalError("…"), Reason.SOURCE_DOWN),
    ],
    ids=lambda value: f"{type(value).__name__}{value.args[:1]}" if isinstance(value, Exception) else "",
)
def test_an_error_of_a_database_has_its_reason(told: Exception, reason: Reason) -> None:
    deadline.begin(5)
    road = _road(DBAPIError("SELECT", {}, told))
    assert road.answer.reason is reason
    assert "…" not in road.answer.source_code


def test_what_is_down_after_the_budget_was_late() -> None:
    deadline.begin(0)
    assert _road(DBAPIError("SELECT", {}, _mysql(2013))).answer.reason is Reason.LATE


# ---- the connector


def asked(rows: list[dict[str, object]], form: Form = Form.QUERY) -> Answer:
    """What the connector makes of these rows."""
    source = SOURCES["hf-front-deposit"]
    options = {"services": {"hf-front-deposit": "ZJK.T_GJJ_JC"}}
    where = Connection("city-front", "postgresql://r@h/d", {"password": "p"}, options)
    conversation = FrontTable(ANSWER_OK).ask(question(source.key, form, MAN), source, where, NOW)
    query: TableQuery = next(conversation)
    assert (query.limit, query.table, query.budget_ms) == (MAX_ROWS + 1, "ZJK.T_GJJ_JC", source.budget_ms)
    assert MAN.number not in repr(query)
    assert "'p'" not in repr(query)
    with pytest.raises(StopIteration) as end:
        conversation.send(TableRows([{name: row.get(name) for name in query.columns} for row in rows]))
    answer: Answer = end.value.value
    return answer


def test_one_row_is_the_answer_and_its_age_is_told() -> None:
    answer = asked([ROW | {"JCYS": 36}])
    assert answer.reason is Reason.VALID
    assert answer.fields["months_paid"] == "36"
    assert answer.as_of is not None
    assert answer.as_of.isoformat() == "2026-11-20T16:00:00+00:00"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], Reason.NOT_FOUND),
        ([ROW, ROW], Reason.AMBIGUOUS),
        ([ROW] * (MAX_ROWS + 1), Reason.AMBIGUOUS),
        ([ROW | {"GXSJ": None}], Reason.MALFORMED),
        ([ROW | {"GXSJ": "yesterday"}], Reason.MALFORMED),
        ([ROW | {"ZJHM": None}], Reason.MALFORMED),
        ([ROW | {"JCZT": "?"}], Reason.MALFORMED),
        ([ROW | {"JCZT": "7"}], Reason.MALFORMED),
        ([ROW | {"JCZT": "2"}], Reason.FROZEN),
    ],
)
def test_rows_become_their_reason(rows: list[dict[str, object]], reason: Reason) -> None:
    assert asked(rows).reason is reason
