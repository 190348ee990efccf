"""The tables for how grants come about: applications, their approval, caps by operator, flags of misuse."""

from __future__ import annotations

from sqlalchemy import Column, PrimaryKeyConstraint, Table, Text

from broker.store.tables import metadata

holder_usage = Table(  # about whom an operator has asked under a grant on a day; only where the grant has that cap
    "holder_usage",
    metadata,
    Column("grant_id", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("operator", Text, nullable=False),  # system, body and staff number
    Column("subject", Text, nullable=False),  # keyed pseudonym
    PrimaryKeyConstraint("grant_id", "day", "operator", "subject"),
)
