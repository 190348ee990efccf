"""The unit of work's part for what proves; see ``ports.proof`` for what the methods mean."""

from __future__ import annotations

from broker.store.rows import Rows


class ProofRows(Rows):
    """One transaction's methods for what proves."""
