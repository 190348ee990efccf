"""The unit of work's part for the console; see ``ports.console`` for what the methods mean."""

from __future__ import annotations

from broker.store.rows import Rows


class ConsoleRows(Rows):
    """One transaction's methods for the console."""
