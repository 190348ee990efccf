"""The tables: moments in milliseconds, personal data in encrypted columns only, both dialects from one definition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import LargeBinary
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from broker.store import tables
from broker.store.schema import metadata
from broker.store.statements import Statements
from broker.store.tables import Moment, milliseconds, moment_from

moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
_dialects: Any = (postgresql, sqlite)
POSTGRESQL, SQLITE = (one.dialect() for one in _dialects)
COLUMNS = [column for table in metadata.sorted_tables for column in table.columns]


@given(st.integers(0, 2**43))
def test_milliseconds_come_back(value: int) -> None:
    assert milliseconds(moment_from(value)) == value


@given(moments)
def test_a_moment_loses_less_than_a_millisecond_and_never_gains(when: datetime) -> None:
    kept = moment_from(milliseconds(when))
    assert kept <= when < kept + timedelta(milliseconds=1)
    assert kept.tzinfo is UTC


@given(moments, moments)
def test_the_order_of_moments_is_the_order_of_their_numbers(one: datetime, other: datetime) -> None:
    if milliseconds(one) < milliseconds(other):
        assert one < other


@pytest.mark.parametrize("dialect", [POSTGRESQL, SQLITE], ids=["postgresql", "sqlite"])
def test_nothing_stays_nothing_on_both_dialects(dialect: Any) -> None:
    kind = Moment()
    assert kind.process_bind_param(None, dialect) is None
    assert kind.process_result_value(None, dialect) is None
    assert kind.process_result_value(kind.process_bind_param(datetime(2026, 7, 1, tzinfo=UTC), dialect), dialect) == (
        datetime(2026, 7, 1, tzinfo=UTC)
    )


@pytest.mark.parametrize("column", [one for one in COLUMNS if one.name.endswith("_at")], ids=str)
def test_every_point_in_time_is_a_moment_on_the_databases_clock(column: object) -> None:
    assert isinstance(column.type, Moment)  # type: ignore[attr-defined]
    assert column.server_default is None  # type: ignore[attr-defined]


def test_bytes_are_kept_in_these_columns_only() -> None:
    """Encrypted ones, published ones, and hashes; whoever adds one says here which it is."""
    found = {str(column) for column in COLUMNS if isinstance(column.type, LargeBinary)}
    encrypted = {
        "case_file.wrapped_key",
        "verification.request",
        "verification.request_salt",
        "lookup.question",
        "lookup.answer",
    }
    encrypted |= {"lookup.memo", "person.wrapped_key", "person.totp", "platform_session.value"}
    encrypted |= {"work_order.question", "work_order.remark", "work_order.evidence"}
    encrypted |= {"paper.note", "paper_report.request_salt", "objection_words.words"}
    published = {"edition.body", "draft.body", "entry.body"}
    assert found == encrypted | published | {"log_tile.hashes"}


@pytest.mark.parametrize("dialect", [POSTGRESQL, SQLITE], ids=["postgresql", "sqlite"])
def test_every_table_can_be_made_in_both_dialects(dialect: Any) -> None:
    for table in metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect))


@pytest.mark.parametrize(("is_sqlite", "dialect"), [(True, SQLITE), (False, POSTGRESQL)])
def test_every_statement_compiles_in_its_dialect(is_sqlite: bool, dialect: Any) -> None:
    statements = Statements(is_sqlite=is_sqlite)
    made = {name: one for name, one in vars(statements).items() if hasattr(one, "compile")}
    assert len(made) > 30
    for statement in made.values():
        assert str(statement.compile(dialect=dialect))


def test_postgresql_skips_what_another_worker_is_claiming() -> None:
    """Two workers of one source never wait for each other, and never take the same lookup."""
    statements = Statements(is_sqlite=False)
    for claim in (statements.claim, statements.claim_deliveries):
        assert "FOR UPDATE SKIP LOCKED" in str(claim.compile(dialect=POSTGRESQL))
    assert "FOR UPDATE" in str(statements.hold.compile(dialect=POSTGRESQL))


def test_an_insert_unless_it_is_there_always_tells_whether_it_was() -> None:
    """SQLAlchemy gives -1 rows for an INSERT on PostgreSQL, unless asked to keep the count or to return rows."""
    statements = Statements(is_sqlite=False)
    for name, statement in vars(statements).items():
        if hasattr(statement, "compile") and "ON CONFLICT DO NOTHING" in str(statement.compile(dialect=POSTGRESQL)):
            kept = statement.get_execution_options().get("preserve_rowcount")
            assert kept or statement._returning, name


def test_a_list_is_bound_as_one_value_however_long_it_is() -> None:
    assert Statements(is_sqlite=True).listed(["a", "b"]) == '["a", "b"]'
    assert Statements(is_sqlite=False).listed(("a", "b")) == ["a", "b"]


def test_the_module_says_where_personal_data_stands() -> None:
    for name in ("verification.request", "lookup.question", "lookup.answer"):
        assert name in (tables.__doc__ or "")
