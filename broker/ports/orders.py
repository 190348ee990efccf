"""The unit of work's part for work orders (部门间核查)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """A lookup that a person of a unit answers: as it stands, what is about persons still encrypted."""

    id: str
    lookup: str
    verification: str
    source: str
    unit: str  # credit code
    state: str  # open | answered | overdue | stopped
    attempt: int  # the claim that asked it
    question: bytes = field(repr=False)
    asked_at: datetime
    remind_at: datetime
    due_at: datetime
    reminded_at: datetime | None = None
    ended_at: datetime | None = None
    reply: str | None = None  # confirm | deny | cannot_say
    answered_by: str | None = field(default=None, repr=False)
    remark: bytes | None = field(default=None, repr=False)
    evidence: bytes | None = field(default=None, repr=False)
    evidence_digest: str | None = None
    holder: str | None = None  # person | organisation: the kind of holder, and nothing more about them


@dataclass(frozen=True, slots=True)
class OrdersWanted:
    """Which orders: of these bodies or of these sources (None: of all), in these states."""

    units: Collection[str] | None
    sources: Collection[str]
    states: Collection[str]
    skip: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A work order as a list shows it: who asked, for what, and how far it is."""

    order: WorkOrder
    admitted: bytes = field(repr=False)  # the body of the entry that admitted its verification
    first_viewed: bytes | None = field(repr=False)  # the body of the entry of its first opening


class OrderWork(Protocol):
    """One transaction's methods for work orders."""

    def add_orders(self, rows: Sequence[WorkOrder]) -> None:
        """Open work orders; the caller holds their verifications."""
        ...

    def find_order(self, number: str) -> WorkOrder | None:
        """A work order as it stands."""
        ...

    def orders_of(self, unit: str | None, states: Collection[str], limit: int) -> list[WorkOrder]:
        """A unit's orders in these states, or every unit's; the open ones, those due first, then the latest ended."""
        ...

    def orders_where(self, wanted: OrdersWanted) -> list[OrderLine]:
        """Work orders as a list shows them, without anything about persons.

        Open ones come by when they are due; where others are among them, what was due last comes first.
        """
        ...

    def count_orders(self, wanted: OrdersWanted, now: datetime) -> tuple[int, int]:
        """How many open orders there are, and how many of them were due before now."""
        ...

    def end_order(self, order: WorkOrder) -> None:
        """Keep what has become of an order; the caller holds its verification."""
        ...

    def end_orders(self, lookups: Mapping[str, str], now: datetime) -> dict[str, WorkOrder]:
        """End those of these lookups' orders that are open, in the state given; by lookup, as they now stand."""
        ...

    def remind_orders(self, now: datetime) -> list[WorkOrder]:
        """Mark as reminded whichever open order has come to it; each is returned once."""
        ...
