"""The unit of work's part for how the sources are, and what is remembered of the roads to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from broker.core.gate import Breaker, Gate, Stop
from broker.core.health import Day, Probed


@dataclass(frozen=True, slots=True)
class Travelled:
    """What the roads to a source were like since somebody last asked: durations, and where its breaker stands now."""

    durations_ms: Sequence[int] = ()
    breaker: Breaker = Breaker.CLOSED
    calls: int | None = None  # requests that were sent; None where nobody counts them
    pause_s: float = 0.0  # what the source has asked for (Retry-After)


@dataclass(frozen=True, slots=True)
class CredentialReference:
    """A credential by what may be shown of it: never its value."""

    name: str
    file: str  # "" where the value stands in the platforms' file itself
    changed_at: datetime
    fingerprint: str  # keyed, so that nobody can try values against it
    ends_at: datetime | None = None  # where the platforms' file says until when it may be used


@dataclass(frozen=True, slots=True)
class RegisteredCredential:
    """What the register knows of a credential: which one is in use by what was started last, and since when."""

    fingerprint: str
    since: datetime


class Roads(Protocol):
    """What this process remembers of the roads to the sources; the transport tells it, ``look_up`` asks it."""

    def heard(self, source: str, took_ms: int, *, sound: bool, calls: int = 1, pause_s: float = 0.0) -> None:
        """One conversation that sent something is over; ``sound``: the road held, whatever the source said.

        ``calls`` were sent in it; for ``pause_s`` the source wants to be left alone.
        """
        ...

    def follow(self, source: str, breaker: Breaker) -> None:
        """Take over what all workers together have found, before a batch is asked."""
        ...

    def travelled(self, source: str) -> Travelled:
        """What was heard since the last call, and the breaker after it."""
        ...


class HealthWork(Protocol):
    """One transaction's methods for how the sources are."""

    def gate(self, source: str) -> Gate | None:
        """A source's gate, locked until this transaction ends; None before the source was first asked."""
        ...

    def set_gate(self, gate: Gate) -> None:
        """Keep a gate; the caller has locked it."""
        ...

    def set_breaker(self, source: str, breaker: Breaker, until: datetime | None) -> None:
        """What a batch has found out about a source's road."""
        ...

    def true_up(self, source: str, calls: int, cost: int) -> None:
        """Count so many calls more (or fewer) than were counted beforehand, and keep what a lookup costs."""
        ...

    def close_gate(self, source: str, until: datetime) -> None:
        """Ask a source nothing before then, unless a longer pause is on."""
        ...

    def stops(self) -> dict[str, Stop]:
        """What people have stopped, by source; a part of the policy."""
        ...

    def add_stop(self, stop: Stop) -> bool:
        """False where the source is stopped already."""
        ...

    def lift_stop(self, source: str) -> bool:
        """False where the source is not stopped."""
        ...

    def put_back(self, lookups: Sequence[str], ready_at: datetime) -> None:
        """Undo this transaction's own claim of these lookups: they are due as before, nobody was asked."""
        ...

    def add_health(self, batch: Day) -> None:
        """Add a batch to its source's day. The workers of one source meet in this row: last before the commit."""
        ...

    def gates(self) -> list[Gate]:
        """Every gate as it stands."""
        ...

    def health(self, since: str) -> list[Day]:
        """Every source's days from this one on."""
        ...

    def forget_health(self, before: str) -> None:
        """Drop the days before this one."""
        ...

    def probes(self) -> list[Probed]:
        """What probing each source has shown; nothing of those never probed."""
        ...

    def claim_probe(self, source: str, now: datetime, until: datetime) -> bool:
        """Take a source to probe until then; False where another has it, or it was probed so lately."""
        ...

    def keep_probe(self, probed: Probed, lease: datetime) -> bool:
        """Keep what a probe has shown (without ``probed_at``: nothing); False where the lease is another's by now."""
        ...
