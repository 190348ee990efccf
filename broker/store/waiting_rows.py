"""The unit of work's part for what a verification waits for; see ``ports.waiting`` for what the methods mean."""

from __future__ import annotations

from broker.store.rows import Rows


class WaitingRows(Rows):
    """One transaction's methods for what a verification waits for."""
