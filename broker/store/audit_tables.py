"""The tables for the audit review: what those who review wrote beside entries and flags."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from broker.store.tables import Moment, metadata

annotation = Table(  # append only by privileges; the entry `annotated` holds the text's digest
    "annotation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("position", BigInteger),  # of the entry it is about, or NULL
    Column("flag", Text),  # that it is about, or NULL
    Column("verdict", Text, nullable=False),  # "" | confirmed
    Column("by_login", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
)
Index("annotation_position", annotation.c.position)
Index("annotation_flag", annotation.c.flag)
