"""Every table of ours, from all areas: what the migrations must make."""

from __future__ import annotations

from broker.store import (
    audit_tables,
    console_tables,
    edition_tables,
    figures_tables,
    grants_tables,
    health_tables,
    objection_tables,
    own_key_tables,
    proof_tables,
    tables,
    waiting_tables,
)
from broker.store.tables import metadata

__all__ = [
    "audit_tables",
    "console_tables",
    "edition_tables",
    "figures_tables",
    "grants_tables",
    "health_tables",
    "metadata",
    "objection_tables",
    "own_key_tables",
    "proof_tables",
    "tables",
    "waiting_tables",
]
