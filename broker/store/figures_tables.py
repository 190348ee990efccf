"""The tables for what was collected on paper, and for figures. They know cases by number, and no person at all."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from broker.core.figures import Counted, Refused
from broker.store.tables import Moment, metadata

DIMENSIONS = Counted._fields[1:]  # all but the day
PAPER_DIMENSIONS = ("region", "department", "scene", "item", "material", "standing", "reason", "original")

paper_report = Table(
    "paper_report",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("request_digest", Text, nullable=False),  # salted
    Column("request_salt", LargeBinary),  # encrypted; none once the notes are forgotten
    Column("case_number", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("scene", Text, nullable=False),
    Column("department", Text, nullable=False),
    Column("operator", Text, nullable=False),  # staff number
    Column("unit", Text, nullable=False),
    Column("edition", Integer, nullable=False),
    Column("day", Text, nullable=False),
    Column("at", Moment, nullable=False),
    UniqueConstraint("client_id", "request_id"),
)
Index("paper_report_day", paper_report.c.day)
SALTED = text("request_salt IS NOT NULL")
Index("paper_report_salted", paper_report.c.day, postgresql_where=SALTED, sqlite_where=SALTED)

Index("paper_report_case", paper_report.c.client_id, paper_report.c.case_number)
Index("paper_report_at", paper_report.c.at)
Index("paper_report_item", paper_report.c.item, paper_report.c.at)
Index("paper_report_department", paper_report.c.department, paper_report.c.at)
Index("paper_report_scene", paper_report.c.scene, paper_report.c.at)

paper = Table(
    "paper",
    metadata,
    Column("report_id", Text, ForeignKey("paper_report.id"), nullable=False),
    Column("material", Text, nullable=False),
    Column("original", Boolean, nullable=False),
    Column("standing", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("verification", Text, nullable=False),
    Column("note", LargeBinary, nullable=False),  # encrypted: somebody may write a name into it
    PrimaryKeyConstraint("report_id", "material"),
)
NOTED = text("length(note) > 0")
Index("paper_noted", paper.c.report_id, postgresql_where=NOTED, sqlite_where=NOTED)

figures_day = Table(
    "figures_day",
    metadata,
    Column("day", Text, nullable=False),
    *(Column(name, Text, nullable=False) for name in DIMENSIONS),
    Column("count", Integer, nullable=False),
    PrimaryKeyConstraint("day", *DIMENSIONS),
)

Index("figures_day_source", figures_day.c.source, figures_day.c.day)

figures_refused = Table(
    "figures_refused",
    metadata,
    *(Column(name, Text, nullable=False) for name in Refused._fields),
    Column("count", Integer, nullable=False),
    PrimaryKeyConstraint(*Refused._fields),
)

figures_cursor = Table(  # one row: up to where the log is folded into the counters
    "figures_cursor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)

figures_month = Table(  # append only
    "figures_month",
    metadata,
    Column("month", Text, nullable=False),
    *(Column(name, Text, nullable=False) for name in DIMENSIONS),
    Column("count", Integer, nullable=False),
    PrimaryKeyConstraint("month", *DIMENSIONS),
)

paper_month = Table(  # append only
    "paper_month",
    metadata,
    Column("month", Text, nullable=False),
    *(Column(name, Boolean if name == "original" else Text, nullable=False) for name in PAPER_DIMENSIONS),
    Column("count", Integer, nullable=False),
    PrimaryKeyConstraint("month", *PAPER_DIMENSIONS),
)

figures_frozen = Table(  # append only: the months of the two tables above
    "figures_frozen",
    metadata,
    Column("month", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("frozen_at", Moment, nullable=False),
)
