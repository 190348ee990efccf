"""Short-lived secrets of platforms, shared by all processes of a deployment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

MARGIN: Final = timedelta(seconds=60)  # a secret that ends sooner is not used: clocks differ, calls take time


@dataclass(frozen=True, slots=True)
class WorkingSecret:
    """The short-lived key of a requester, when it ends, and from when on a new one should be fetched."""

    value: bytes = field(repr=False)
    ends_at: datetime
    renew_at: datetime | None = None

    def usable(self, now: datetime) -> bool:
        """Whether it outlives a call that starts now."""
        return now + MARGIN < self.ends_at

    def due(self, now: datetime) -> bool:
        """Whether one of those who use it should fetch the next one; the others go on with it meanwhile."""
        return now >= (self.renew_at or self.ends_at - MARGIN)


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """A platform's newest secret as kept: encrypted, and None once the platform has refused it."""

    version: int
    value: bytes | None = field(repr=False)


class SessionWork(Protocol):
    """One transaction's methods for the platforms' short-lived secrets."""

    def shared_secret(self, platform: str) -> SharedSecret | None:
        """The newest secret of a platform, None before the first."""
        ...

    def lease_secret(self, platform: str, version: int, now: datetime, lease_ms: int) -> bool:
        """Whether we, and nobody else until the lease ends, may fetch what follows this version (0: nothing yet)."""
        ...

    def keep_secret(self, platform: str, value: bytes, ends_at: datetime, now: datetime) -> int:
        """Keep a secret as the newest, and return its version; of two fetched at the same time the later stays."""
        ...

    def refuse_secret(self, platform: str, version: int) -> None:
        """Let nobody take this version any more; a newer one stays."""
        ...
