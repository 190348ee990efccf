"""The tables of keys: the broker's own that sign, and by their fingerprints those that sources have given us."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from broker.store.tables import Moment, metadata

own_key = Table(  # public halves only
    "own_key",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("role", Text, nullable=False),  # receipt | log
    Column("name", Text, nullable=False),  # of its file; empty where it had retired before it was registered
    Column("public_key", Text, nullable=False),  # SPKI PEM
    Column("state", Text, nullable=False),  # coming | active | retired; a revoked one is told by revoked_at
    Column("not_before", Moment),
    Column("not_after", Moment),
    Column("revoked_at", Moment),
    Column("reason", Text, nullable=False),  # of the revocation; not published
    Column("registered_at", Moment, nullable=False),
)

source_key = Table(
    "source_key",
    metadata,
    Column("platform", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),  # keyed: nobody can try secrets out with it
    Column("changed_at", Moment, nullable=False),
)
