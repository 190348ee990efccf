"""The unit of work's part for how the sources are; see ``ports.health`` for what the methods mean."""

from __future__ import annotations

from broker.store.rows import Rows


class HealthRows(Rows):
    """One transaction's methods for how the sources are."""
