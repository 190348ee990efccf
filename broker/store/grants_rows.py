"""The unit of work's part for how grants come about; see ``ports.grants`` for what the methods mean."""

from __future__ import annotations

from broker.store.rows import Rows


class GrantsRows(Rows):
    """One transaction's methods for how grants come about."""
