"""The tables for what proves: what entries are found by, witnesses' lines, embargoes."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, Table, Text, text

from broker.store.tables import Moment, metadata

log_cosignature = Table(  # what witnesses handed in; append only by privileges
    "log_cosignature",
    metadata,
    Column("size", BigInteger, nullable=False),
    Column("witness", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("signed_at", Moment, nullable=False),
    PrimaryKeyConstraint("size", "witness"),
)

log_index = Table(  # what the entries say, once they have their place; made from them, and proved by nothing
    "log_index",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("kind", Text, nullable=False),
    Column("client_id", Text),
    Column("case_number", Text),
    Column("operator", Text),
    Column("subject", Text),
    Column("unit", Text),
    Column("source", Text),
    Column("outcome", Text),
    Column("request_id", Text),  # of a refused request
    Column("item", Text),  # or the scene
    Column("region", Text),
)
Index("log_index_at", log_index.c.at)
Index("log_index_case", log_index.c.case_number, log_index.c.position)
Index("log_index_subject", log_index.c.subject, log_index.c.position)
Index("log_index_kind", log_index.c.kind, log_index.c.position)
Index("log_index_client", log_index.c.client_id, log_index.c.position)
Index("log_index_operator", log_index.c.operator, log_index.c.position)
Index(
    "log_index_request",
    log_index.c.request_id,
    postgresql_where=text("request_id IS NOT NULL"),
    sqlite_where=text("request_id IS NOT NULL"),
)
Index("log_index_source", log_index.c.source, log_index.c.position)
for _name in ("unit", "outcome", "item", "region"):  # many entries have none of them
    Index(
        f"log_index_{_name}",
        log_index.c[_name],
        log_index.c.position,
        postgresql_where=text(f"{_name} IS NOT NULL"),
        sqlite_where=text(f"{_name} IS NOT NULL"),
    )

log_related = Table(  # whom else an entry is about, beside its subject: a spouse, a child, a refused request's parties
    "log_related",
    metadata,
    Column("subject", Text, nullable=False),  # keyed pseudonym
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("subject", "position"),
)

Index("log_related_position", log_related.c.position)

log_named = Table(  # of what an entry may name several: the materials of a decision, the logins of who did it to whom
    "log_named",
    metadata,
    Column("fact", Text, nullable=False),  # material | login
    Column("name", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("fact", "name", "position"),
)
Index("log_named_position", log_named.c.position)

embargo = Table(  # what the subject's view hides: a person's entries, or those of a system's case
    "embargo",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject", Text),  # keyed pseudonym
    Column("client_id", Text),
    Column("case_number", Text),
    Column("reason", Text, nullable=False),
    Column("until", Moment, nullable=False, index=True),
    Column("requested_by", Text, nullable=False),
    Column("requested_from", Text, nullable=False, server_default=text("''")),  # the system that signed the wish
    Column("requested_at", Moment, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Moment),
)
