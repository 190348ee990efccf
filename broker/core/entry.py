"""Audit entries: who asked what, why, when, with which outcome – digests and pseudonyms, never an answer.

``schemas/entry.schema.json`` is the grammar. Operators are named by their staff number, persons whose data it is only
by a keyed pseudonym.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broker.core.envelope import canonical
from broker.core.receipt import moment


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit log, its bytes fixed when it is made."""

    kind: str  # admitted, refused, asked, answered, stopped, decided, delivered, closed, published, …
    body: bytes
    verification: str | None = None


def entry(kind: str, at: datetime, *, verification: str | None = None, **facts: Any) -> Entry:
    """An entry of a kind at a moment (the step's ``now``); empty facts are left out."""
    document = {"version": 1, "kind": kind, "at": moment(at)}
    if verification is not None:
        document["verification"] = verification
    document |= {name: value for name, value in facts.items() if value not in (None, "", (), [])}
    return Entry(kind, canonical(document), verification)
