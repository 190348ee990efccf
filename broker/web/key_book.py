"""Our public keys as whoever verifies must take them now: those that this process holds, and what the register says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker.core.envelope import Verifier
from broker.core.own_key import KeyRole, KeyState
from broker.flow.parts import Parts
from broker.signing import keys


@dataclass(frozen=True)
class KeyBook:
    """Reads the register each time it is asked: a key that another process has revoked counts no more here either."""

    parts: Parts
    receipt_keys: Sequence[Verifier] = ()
    log_keys: Sequence[Verifier] = ()

    def receipt(self) -> dict[str, Verifier]:
        """The keys of receipts, editions and answers by key id."""
        return {one.key_id: one for one in self.parts.published(KeyRole.RECEIPT, self.receipt_keys)}

    def log(self) -> list[Verifier]:
        """The keys of checkpoints."""
        return self.parts.published(KeyRole.LOG, self.log_keys)

    def key_set(self) -> dict[str, Any]:
        """The JWK set that is published."""
        with self.parts.store.read() as work:
            pulse = work.pulse()
            own = self.parts.policy(work, pulse).own_keys
        states = {key_id: one.state_at(pulse.now) for key_id, one in own.items()}
        return key_set(list(self.receipt().values()), self.log(), states)


def key_set(receipt: Sequence[Verifier], log: Sequence[Verifier], states: Mapping[str, KeyState]) -> dict[str, Any]:
    """A JWK set. ``roles`` says what a key is for: ``receipt`` (receipts and answers), ``log`` (checkpoints)."""
    found: dict[str, dict[str, Any]] = {}
    for role, verifiers in ((KeyRole.RECEIPT, receipt), (KeyRole.LOG, log)):
        for one in verifiers:
            member = found.setdefault(one.key_id, {**keys.published(one), "roles": []})
            member["roles"].append(role.value)
            if one.key_id in states:
                member["status"] = states[one.key_id].value
    return {"keys": list(found.values())}
