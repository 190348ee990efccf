"""A platform's short-lived state as its connection's ``session``: the secret in the database, all else in memory.

One secret serves all processes. While it is not due it is read from memory, without a round trip; once it is, one of
those who use it is given the lease to fetch the next, and the others go on with it until it ends. Only where there is
none at all do they wait for the one who fetches – for a moment, and then help themselves.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final

from broker.core.errors import BrokerProblem
from broker.log import fault
from broker.ports import Store, Vault
from broker.ports.sessions import SharedSecret, WorkingSecret

SECRET: Final = "secret"  # noqa: S105 - the name under which connectors keep it
REFUSED: Final = "refused"  # a secret the platform has refused: nobody is to use it any more
LEASE_MS: Final = 5_000  # longer than fetching a secret takes; after it somebody else may try
PATIENCE_S: Final = 3.0  # how long those wait who have nothing to go on with
LOOK_AGAIN_S: Final = 1.0  # between two looks at the database while somebody else fetches
_GLANCE_S: Final = 0.05

_log = logging.getLogger(__name__)


class SharedSession(MutableMapping[str, Any]):
    """Implements ``Connection.session`` over the database; one per platform and process."""

    def __init__(
        self,
        platform: str,
        store: Store,
        vault: Vault,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        remaining: Callable[[], float] = lambda: PATIENCE_S,
    ) -> None:
        """``clock`` only says when to look; leases are compared by the database's own.

        ``remaining`` are the seconds left to whoever asks; ``TimeoutError`` when there are none.
        """
        self._platform = platform
        self._store = store
        self._vault = vault
        self._clock = clock
        self._remaining = remaining
        self._looking = threading.Lock()
        self._held: tuple[int, WorkingSecret] | None = None  # replaced as one value, so read without a lock
        self._version = 0  # the newest that was seen, refused or not
        self._refused = 0  # the newest that was refused us: not to be adopted again before the database knows of it
        self._next_look = 0.0
        self._others: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        """The value; for the secret, KeyError to the one who is to fetch it."""
        return self._secret() if key == SECRET else self._others[key]

    def __setitem__(self, key: str, value: Any) -> None:
        """Keep a value; a secret for every process, a refused one for none."""
        if key == SECRET:
            self._keep(value)
            return
        self._others[key] = value
        if key == REFUSED:
            self._refuse(value)

    def __delitem__(self, key: str) -> None:
        """Forget a value in this process."""
        if key == SECRET:
            self._held = None
        else:
            del self._others[key]

    def __iter__(self) -> Iterator[str]:
        """The names of what this process holds."""
        return iter([*self._others, *([SECRET] if self._held else [])])

    def __len__(self) -> int:
        """How many values this process holds."""
        return sum(1 for _ in self)

    def _secret(self) -> WorkingSecret:
        held, now = self._held, self._clock()
        usable = held is not None and held[1].usable(now)
        if held is not None and usable and (not held[1].due(now) or time.monotonic() < self._next_look):
            return held[1]
        # One of us looks; who has a secret to go on with does not wait for that, and nobody longer than it takes one.
        left = min(PATIENCE_S, self._remaining())
        ends = time.monotonic() + left
        if held is not None and usable:
            if not self._looking.acquire(blocking=False):
                return held[1]
        elif not self._looking.acquire(timeout=left):
            raise TimeoutError
        try:
            found = self._looked_up(ends)
        except BrokerProblem as problem:
            fault(_log, "a shared secret cannot be read", problem, platform=self._platform)
            found = held[1] if held is not None and usable else None
        finally:
            self._looking.release()
        if found is None:
            raise KeyError(SECRET)
        return found

    def _looked_up(self, ends: float) -> WorkingSecret | None:
        """The secret to use, None where we are the one to fetch the next."""
        while True:
            self._adopt()
            held, now = self._held, self._clock()
            usable = held is not None and held[1].usable(now)
            if held is not None and usable and not held[1].due(now):
                return held[1]
            if self._leased(held[0] if held else self._version) or (not usable and time.monotonic() > ends):
                return None
            if held is not None and usable:
                self._next_look = time.monotonic() + LOOK_AGAIN_S
                return held[1]
            time.sleep(_GLANCE_S)

    def _adopt(self) -> None:
        """Take over what another process has kept, or refused."""
        with self._store.read() as work:
            row = work.shared_secret(self._platform)
        self._version = row.version if row else 0
        if row is None or row.value is None or row.version <= self._refused:
            self._held = None
        elif self._held is None or self._held[0] != row.version:
            self._held = self._opened(row, row.value)

    def _leased(self, version: int) -> bool:
        with self._store.write() as work:
            leased = work.lease_secret(self._platform, version, work.pulse().now, LEASE_MS)
            # Crash before this commit: nobody holds the lease. After it: it runs out, and somebody else fetches.
            work.commit()
        return leased

    def _keep(self, secret: WorkingSecret) -> None:
        document = [secret.value.hex(), secret.ends_at.isoformat(), secret.renew_at and secret.renew_at.isoformat()]
        try:
            sealed = self._vault.lock(json.dumps(document).encode(), self._context)
            with self._store.write() as work:
                version = work.keep_secret(self._platform, sealed, secret.ends_at, work.pulse().now)
                # Crash before this commit: the secret is lost with us, the lease runs out, another one is fetched.
                # After it: everybody has it.
                work.commit()
        except BrokerProblem as problem:
            fault(_log, "a shared secret cannot be kept", problem, platform=self._platform)
            version = 0  # good for this process, and told to nobody
        self._held = (version, secret)

    def _refuse(self, secret: WorkingSecret) -> None:
        held = self._held
        if held is None or held[1] != secret:
            return  # somebody has fetched a newer one meanwhile
        self._refused = max(self._refused, held[0])
        self._held = None
        try:
            with self._store.write() as work:
                work.refuse_secret(self._platform, held[0])
                # Crash before this commit: the next one to use it is refused as we were. After it: nobody uses it.
                work.commit()
        except BrokerProblem as problem:
            fault(_log, "a refused secret cannot be taken back", problem, platform=self._platform)

    def _opened(self, row: SharedSecret, value: bytes) -> tuple[int, WorkingSecret] | None:
        try:
            plain = self._vault.unlock(value, self._context)
        except BrokerProblem as problem:
            fault(_log, "a shared secret is not ours", problem, platform=self._platform)
            return None
        told, ends, renew = json.loads(plain)
        renew_at = datetime.fromisoformat(renew) if renew else None
        return row.version, WorkingSecret(bytes.fromhex(told), datetime.fromisoformat(ends), renew_at)

    @property
    def _context(self) -> str:
        return f"platform-session:{self._platform}"
