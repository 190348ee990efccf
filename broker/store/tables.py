"""The tables, for PostgreSQL and SQLite alike. Times are milliseconds since 1970 on the database's clock.

Personal data stands only in ``verification.request`` (and, to prove it, ``request_salt``), ``lookup.question``,
``lookup.answer``, ``lookup.memo`` and in what ``waiting_tables`` calls encrypted, each encrypted with the case's key;
everything else about a person is a keyed pseudonym.

No foreign key leads from the many rows of the flow to the few of the registers (clients, grants, editions): PostgreSQL
would lock the register's row at every insert, and all inserts would meet there. The registers lose no rows.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(when: datetime) -> int:
    """A moment as the tables keep it."""
    return (when - _EPOCH) // timedelta(milliseconds=1)


def moment_from(value: int) -> datetime:
    """A moment as the tables kept it."""
    return _EPOCH + timedelta(milliseconds=value)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, kept as milliseconds since 1970: the same arithmetic in both databases, and no time zones."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """To the table."""
        return None if value is None else milliseconds(value)

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """From the table."""
        return None if value is None else moment_from(value)


metadata = MetaData()

# SQLite gives row ids only to INTEGER primary keys; PostgreSQL needs the eight bytes.
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")

policy = Table(  # one row; its version moves with every change of editions, clients, keys or grants
    "policy",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)

edition = Table(
    "edition",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("effective_at", Moment, nullable=False),
    Column("published_at", Moment, nullable=False),
    Column("published_by", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # JSON of the whole list, as published
    Column("seal", Text, nullable=False),  # JWS over its number, digest and effective date
)

draft = Table(  # a list on its way to become an edition; kept afterwards, as the record of who did what
    "draft",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),  # draft | submitted | approved | rejected | published | discarded
    Column("base", Integer, nullable=False),  # the edition its changes stand on, 0 before the first
    Column("digest", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("drafted_by", Text, nullable=False),
    Column("drafted_at", Moment, nullable=False),
    Column("submitted_by", Text),
    Column("reviewed_by", Text),
    Column("review", Text),
    Column("edition", Integer),
    Column("revision", Integer, nullable=False, server_default="1"),  # moves with every change of the body
    Column("editors", Text),  # who changed the body since, joined by commas
    Column("body", LargeBinary, nullable=False),
)

client = Table(
    "client",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("callback_url", Text),
    Column("state", Text, nullable=False),
    Column("roles", Text, nullable=False, server_default="approval"),  # joined by commas
    Column("units", Text, nullable=False, server_default=text("''")),  # further bodies it may ask for, joined by commas
    Column("created_at", Moment, nullable=False),
)

client_key = Table(
    "client_key",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("client.id"), nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("public_key", Text, nullable=False),  # SPKI PEM
    Column("not_before", Moment, nullable=False),
    Column("not_after", Moment),
    Column("revoked_at", Moment),
)

access_grant = Table(
    "access_grant",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("client.id"), nullable=False),
    Column("source", Text, nullable=False),
    Column("scope", Text, nullable=False),  # JSON: scenes, items, forms, fields, bases, legal_reference, daily_calls
    Column("valid_from", Moment, nullable=False),
    Column("valid_to", Moment, nullable=False),
    Column("state", Text, nullable=False),
    Column("suspended_by", Text, nullable=False, server_default=text("''")),
)

grant_usage = Table(
    "grant_usage",
    metadata,
    Column("grant_id", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("calls", Integer, nullable=False),
    PrimaryKeyConstraint("grant_id", "day"),
)

nonce = Table(
    "nonce",
    metadata,
    Column("key_id", Text, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    PrimaryKeyConstraint("key_id", "nonce"),
)

case_file = Table(
    "case_file",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("applicant", Text, nullable=False),  # keyed pseudonym
    Column("parties", Text, nullable=False, server_default="[]"),  # JSON: role and keyed pseudonym of each
    Column("state", Text, nullable=False),  # open | closed
    Column("wrapped_key", LargeBinary, nullable=False),  # empty: destroyed, and with it what it encrypted
    Column("opened_at", Moment, nullable=False),
    Column("closed_at", Moment),
    Column("outcome", Text),  # as the approval system reported it
    Column("shredded_at", Moment),
    Column("erased_at", Moment),  # shredded on request: no new key is made for it
    UniqueConstraint("client_id", "number"),
)

Index(
    "case_file_kept",
    case_file.c.opened_at,
    postgresql_where=text("length(wrapped_key) > 0"),
    sqlite_where=text("length(wrapped_key) > 0"),
)

Index("case_file_number", case_file.c.number)

verification = Table(
    "verification",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("request_digest", Text, nullable=False),
    Column("case_id", Text, ForeignKey("case_file.id"), nullable=False),
    Column("edition", Integer, nullable=False),
    Column("state", Text, nullable=False),  # admitted | pending | decided
    Column("request", LargeBinary, nullable=False),  # encrypted
    Column("request_salt", LargeBinary),  # encrypted: what the request's digest was salted with; none once destroyed
    Column("permits", Text, nullable=False),  # JSON: lookup key → grant id or refusing rule
    Column("admitted_at", Moment, nullable=False),
    Column("decided_at", Moment),
    Column("receipt", Text),
    Column("preliminary", Text),  # the receipt that was issued while answers were waited for
    Column("unit", Text),  # credit code of the body that asked; none yet on a row of an earlier release
    UniqueConstraint("client_id", "request_id"),
)

Index("verification_case", verification.c.case_id)
Index("verification_unit", verification.c.unit, verification.c.id)
Index(
    "verification_bodiless",
    verification.c.id,
    postgresql_where=text("unit IS NULL"),
    sqlite_where=text("unit IS NULL"),
)
Index(
    "verification_undecided",
    verification.c.id,
    postgresql_where=text("state <> 'decided'"),
    sqlite_where=text("state <> 'decided'"),
)

lookup = Table(
    "lookup",
    metadata,
    Column("id", Text, primary_key=True),
    Column("verification_id", Text, ForeignKey("verification.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("grant_id", Text, nullable=False),
    Column("about", Text, nullable=False),  # keyed pseudonym of whom it is about
    Column("state", Text, nullable=False),  # due | answered
    Column("ready_at", Moment, nullable=False),  # due from then on; a lease is an appointment in the future
    Column("fence", Integer, nullable=False),  # counts the claims; an answer under an older one is not recorded
    Column("question", LargeBinary, nullable=False),  # encrypted
    Column("reason", Text),
    Column("answer", LargeBinary),  # encrypted: 16 bytes of salt, then the answer
    Column("digest", Text),
    Column("asked_at", Moment),
    Column("answered_at", Moment),
    Column("awaited", Text),  # due, but the answer comes later: what it waits for
    Column("until", Moment),  # … and at the latest when
    Column("consent_id", Text),  # the holder's consent by which it may be asked, where the request rests on one
    Column("memo", LargeBinary),  # encrypted: what the connector wants handed back when it asks again
    UniqueConstraint("verification_id", "key"),
)
Index(
    "lookup_due",
    lookup.c.source,
    lookup.c.ready_at,
    postgresql_where=text("state = 'due'"),
    sqlite_where=text("state = 'due'"),
)

Index("lookup_about", lookup.c.about, lookup.c.answered_at)

Index(
    "lookup_kept",
    lookup.c.answered_at,
    postgresql_where=text("answer IS NOT NULL"),
    sqlite_where=text("answer IS NOT NULL"),
)

Index(
    "lookup_consent",
    lookup.c.consent_id,
    postgresql_where=text("consent_id IS NOT NULL"),
    sqlite_where=text("consent_id IS NOT NULL"),
)

entry = Table(  # append only: triggers refuse UPDATE and DELETE
    "entry",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("verification_id", Text, index=True),
    Column("body", LargeBinary, nullable=False),
)

entry_queue = Table(  # entries without a place in the log yet
    "entry_queue",
    metadata,
    Column("entry_id", BigInteger, primary_key=True, autoincrement=False),
)

log_leaf = Table(
    "log_leaf",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_id", BigInteger, nullable=False, unique=True),
)

log_tile = Table(
    "log_tile",
    metadata,
    Column("level", Integer, nullable=False),
    Column("index", BigInteger, nullable=False),
    Column("hashes", LargeBinary, nullable=False),
    PrimaryKeyConstraint("level", "index"),
)

log_checkpoint = Table(  # append only
    "log_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("signed_at", Moment, nullable=False),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Text, primary_key=True),
    Column("verification_id", Text, ForeignKey("verification.id"), nullable=False),
    Column("kind", Text, nullable=False),  # decided | pending | promise:<material>
    Column("notice", Text),  # what it carries where that is no receipt
    Column("client_id", Text, nullable=False),
    Column("state", Text, nullable=False),  # due | delivered | given_up
    Column("ready_at", Moment, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("last_code", Text, nullable=False),
    UniqueConstraint("verification_id", "kind"),
)
Index(
    "delivery_due",
    delivery.c.ready_at,
    postgresql_where=text("state = 'due'"),
    sqlite_where=text("state = 'due'"),
)
