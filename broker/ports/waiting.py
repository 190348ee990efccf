"""The unit of work's part for what a verification waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from broker.ports.consents import ConsentWork
from broker.ports.orders import OrderWork


@dataclass(frozen=True, slots=True)
class Evidence:
    """An answer that a source gave earlier and that held, still encrypted."""

    lookup: str
    verification: str
    key: str
    digest: str
    asked_at: datetime
    answered_at: datetime
    answer: bytes = field(repr=False)
    wrapped_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Promise:
    """A commitment on which a decision rests, and what became of it when it was checked."""

    id: str
    verification: str
    material: str
    text: str
    state: str  # open | kept | broken | by_hand
    lookup: str | None = None  # the one that checks it; none where only a person can
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PromiseOfCase:
    """A promise with whose case it belongs to."""

    client: str
    case: str
    promised_at: datetime
    promise: Promise


class WaitingWork(OrderWork, ConsentWork, Protocol):
    """One transaction's methods for what a verification waits for."""

    # reuse
    def evidence(self, about: str, source: str, grant: str, since: datetime) -> list[Evidence]:
        """Answers about these persons that held, answered since then under this grant, the newest first; a few."""
        ...

    def receipts_in_case_of(self, verification: str) -> list[tuple[str, str]]:
        """Every receipt of the same case, preliminary ones included, with its verification; what stands last, last."""
        ...

    # promises
    def add_promises(self, rows: Sequence[Promise], now: datetime) -> None:
        """New promises."""
        ...

    def change_promise(self, lookup: str, state: str, now: datetime) -> None:
        """What became of the promise that this lookup checks."""
        ...

    def promises(self, verification: str) -> list[Promise]:
        """The promises on which a verification's decision rests."""
        ...

    def promises_in(self, states: Sequence[str]) -> list[PromiseOfCase]:
        """The promises in these states, the oldest first."""
        ...
