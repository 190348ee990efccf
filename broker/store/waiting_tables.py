"""The tables for what a verification waits for: work orders, consents, promises to be checked later."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Table, Text

from broker.store.tables import Moment, metadata

promise = Table(  # a commitment on which a decision rests
    "promise",
    metadata,
    Column("id", Text, primary_key=True),
    Column("verification_id", Text, ForeignKey("verification.id"), nullable=False, index=True),
    Column("material", Text, nullable=False),
    Column("text", Text, nullable=False),  # the commitment's text and version
    Column("state", Text, nullable=False),  # open | kept | broken | by_hand
    Column("lookup_id", Text, unique=True),
    Column("promised_at", Moment, nullable=False),
    Column("checked_at", Moment),
)
