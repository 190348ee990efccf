"""The tables for objections to data. What is said in words is encrypted with the case's key."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, PrimaryKeyConstraint, Table, Text

from broker.store.tables import Moment, metadata

objection = Table(
    "objection",
    metadata,
    Column("id", Text, primary_key=True),
    Column("verification_id", Text, ForeignKey("verification.id"), nullable=False, index=True),
    Column("client_id", Text, nullable=False),
    Column("case_number", Text, nullable=False),
    Column("material", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("about", Text, nullable=False),  # keyed pseudonym
    Column("owner", Text, nullable=False),  # credit code of the source's department
    Column("raised_by", Text, nullable=False),
    Column("raised_unit", Text, nullable=False),
    Column("raised_at", Moment, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("accepted_by", Text, nullable=False),
    Column("accepted_at", Moment),
    Column("verified_by", Text, nullable=False),
    Column("verified_at", Moment),
    Column("lifted_by", Text, nullable=False),
    Column("lifted_at", Moment),
    Column("corrected_at", Moment),
    Column("ended_by", Text, nullable=False),
    Column("ended_at", Moment),
    Column("reminded_at", Moment),
)
Index("objection_record", objection.c.about, objection.c.source)
Index("objection_due", objection.c.state, objection.c.due_at)
Index("objection_raised", objection.c.raised_at)
Index("objection_ended", objection.c.ended_at)

objection_words = Table(
    "objection_words",
    metadata,
    Column("objection_id", Text, ForeignKey("objection.id"), nullable=False),
    Column("act", Text, nullable=False),  # raise, or an act; each happens once
    Column("said_by", Text, nullable=False),
    Column("said_at", Moment, nullable=False),
    Column("words", LargeBinary, nullable=False),  # encrypted
    PrimaryKeyConstraint("objection_id", "act"),
)

reopened = Table(  # decisions that used what was corrected
    "reopened",
    metadata,
    Column("objection_id", Text, ForeignKey("objection.id"), nullable=False),
    Column("verification_id", Text, ForeignKey("verification.id"), nullable=False),
    Column("reopened_at", Moment, nullable=False),
    PrimaryKeyConstraint("objection_id", "verification_id"),
)
