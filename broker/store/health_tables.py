"""The tables for how the sources are: their health, their gates with breaker and limits, shared secrets."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from broker.core.health import BOUNDS_MS
from broker.store.tables import Moment, metadata

source_gate = Table(  # one row per source that was ever asked
    "source_gate",
    metadata,
    Column("source", Text, primary_key=True),
    Column("tokens", BigInteger, nullable=False),  # thousandths of a call
    Column("filled_at", Moment, nullable=False),
    Column("day", Text, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("breaker", Text, nullable=False),  # closed | open | half_open
    Column("until_at", Moment),
    Column("cost", Integer, nullable=False, server_default="1000"),  # thousandths of a call that a lookup makes
    Column("closed_until", Moment),
)

BUCKETS = (*(f"within_{bound}_ms" for bound in BOUNDS_MS), "longer")

source_health = Table(  # one row per source and day
    "source_health",
    metadata,
    Column("source", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("held", Integer, nullable=False),
    Column("not_held", Integer, nullable=False),
    Column("unknown", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("barred", Integer, nullable=False),
    Column("last_ok_at", Moment),
    Column("last_fail_at", Moment),
    Column("last_failure", Text, nullable=False),
    Column("timed", Integer, nullable=False),
    Column("total_ms", BigInteger, nullable=False),
    Column("least_ms", Integer, nullable=False),
    Column("most_ms", Integer, nullable=False),
    *(Column(name, Integer, nullable=False) for name in BUCKETS),
    Column("verifications", Integer, nullable=False, server_default="0"),
    Column("data_as_of", Moment),
    PrimaryKeyConstraint("source", "day"),
)

source_stop = Table(  # one row per source that is stopped now; what was, the log tells
    "source_stop",
    metadata,
    Column("source", Text, primary_key=True),
    Column("stopped_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("stopped_at", Moment, nullable=False),
)

source_probe = Table(  # one row per source that was ever probed
    "source_probe",
    metadata,
    Column("source", Text, primary_key=True),
    Column("ready_at", Moment, nullable=False),  # probed again from then on; a lease is an appointment in the future
    Column("probed_at", Moment),
    Column("failed", Text, nullable=False),  # the step, "" for none
)

platform_session = Table(  # one row per platform with a working secret
    "platform_session",
    metadata,
    Column("platform", Text, primary_key=True),
    Column("version", Integer, nullable=False),  # 0: none yet
    Column("value", LargeBinary),  # encrypted by the deployment's wrapping key; null once the platform refused it
    Column("ends_at", Moment),
    Column("lease_ends_at", Moment, nullable=False),
)
