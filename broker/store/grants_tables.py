"""The tables for how grants come about: applications, their approval, caps by operator, flags of misuse."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, PrimaryKeyConstraint, Table, Text

from broker.store.tables import Moment, metadata

holder_usage = Table(  # about whom an operator has asked under a grant on a day; only where the grant has that cap
    "holder_usage",
    metadata,
    Column("grant_id", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("operator", Text, nullable=False),  # system, body and staff number
    Column("subject", Text, nullable=False),  # keyed pseudonym
    PrimaryKeyConstraint("grant_id", "day", "operator", "subject"),
)

grant_application = Table(  # who applied for what, and who decided it; a grant that came of it has the same id
    "grant_application",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False, index=True),  # applied | approved | trimmed | refused
    Column("client_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("asked", Text, nullable=False),  # JSON: the scope applied for
    Column("applied_by", Text, nullable=False),
    Column("applied_unit", Text, nullable=False),
    Column("applied_at", Moment, nullable=False),
    Column("owner", Text, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("due_certain", Boolean, nullable=False),
    Column("renews", Text, nullable=False),
    Column("decided_by", Text),
    Column("decided_unit", Text),
    Column("decided_at", Moment),
    Column("reason", Text, nullable=False),
    Column("given", Text),  # JSON: the scope that was approved
    Column("reminded_on", Date),
)
