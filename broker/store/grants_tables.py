"""The tables for how grants come about: applications, their approval, caps by operator, flags of misuse."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, Integer, PrimaryKeyConstraint, Table, Text, text

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

conduct = Table(  # what operators did of late, copied from the log for the rules against misuse; forgotten after a time
    "conduct",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),  # of the entry `admitted` or `refused`
    Column("verification_id", Text, nullable=False),  # of a refused request, its request id
    Column("client_id", Text, nullable=False),
    Column("operator", Text, nullable=False),  # system, body and staff number
    Column("case_number", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("item", Text),
    Column("scene", Text),
    Column("channel", Text, nullable=False),
    Column("basis", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("subject", Text, nullable=False),  # keyed pseudonym
    Column("edition", Integer, nullable=False),
    Column("at", Moment, nullable=False, index=True),
    Column("related", Text, nullable=False, server_default="[]"),  # JSON: keyed pseudonyms of the parties
    Column("refused", Text, nullable=False, server_default=text("''")),  # the problem code, "" where it was admitted
    Index("conduct_operator", "operator", "at"),
)

misuse_cursor = Table(  # one row: the place in the log up to which conduct was looked at
    "misuse_cursor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("overdue_at", Moment),  # cases that were overdue by then have been looked at
)

misuse_flag = Table(
    "misuse_flag",
    metadata,
    Column("id", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("operator", Text, nullable=False, index=True),
    Column("action", Text, nullable=False),  # flag | stop
    Column("state", Text, nullable=False),  # open | cleared
    Column("raised_at", Moment, nullable=False),
    Column("evidence", Text, nullable=False),  # JSON: count, verifications, case
    Column("cleared_by", Text),
    Column("cleared_at", Moment),
    Column("comment", Text),
)
Index("misuse_flag_state", misuse_flag.c.state, misuse_flag.c.raised_at)
Index("grant_application_at", grant_application.c.applied_at)
