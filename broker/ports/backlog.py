"""The unit of work's part for what is still to be done, counted for whoever watches the broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

MOST: Final = 10_000  # counted; a figure that stands here means so many or more


@dataclass(frozen=True, slots=True)
class DueOf:
    """What one source has to be asked, now."""

    source: str
    lookups: int
    oldest: datetime  # when the first of them was due


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is still to be done; each figure ends at ``MOST``."""

    due: Sequence[DueOf]
    verifications: Mapping[str, int]  # admitted | pending
    orders: Mapping[str, int]  # open | overdue
    promises: Mapping[str, int]  # open | by_hand
    consents: int  # that a holder may still decide


class BacklogWork(Protocol):
    """One transaction's method for what is still to be done."""

    def backlog(self, now: datetime, since: datetime) -> Backlog:
        """How much there is; work orders are overdue here that ended so from ``since`` on."""
        ...
