"""Calls beside questions, which an operator makes of a platform itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from broker.core.catalog import Source
from broker.ports import Connection, Conversation


@dataclass(frozen=True, slots=True)
class ManagementCall:
    """One call: what is asked, with which arguments, and why; it belongs to no case, so the operator gives a reason."""

    id: str
    call: str
    reason: str
    arguments: Mapping[str, str] = field(default_factory=dict, repr=False)


class Manages(Protocol):
    """Speaks the management side of the protocol families, without I/O."""

    def run(self, wanted: ManagementCall, source: Source, connection: Connection, now: datetime) -> Conversation:
        """The conversation for one call."""
        ...
