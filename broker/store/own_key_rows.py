"""The unit of work's part for keys; see ``ports.own_keys`` for what the methods mean."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update

from broker.core.envelope import Verifier
from broker.core.own_key import KeyRole, KeyState, OwnKey
from broker.ports.health import RegisteredCredential
from broker.store import own_key_tables as o
from broker.store import tables as t
from broker.store.rows import Rows

_own = o.own_key.c


class OwnKeyRows(Rows):
    """One transaction's methods for keys."""

    def lock_keys(self) -> None:
        """Let nobody else register keys until this transaction ends."""
        self._run(select(t.policy.c.version).with_for_update())

    def add_own_key(self, key: OwnKey, pem: str, now: datetime) -> bool:
        """False where it is registered already, or another process has registered it just now."""
        fixed = {"key_id": key.verifier.key_id, "role": key.role.value, "name": key.name, "public_key": pem}
        return self._added(self._sql.once(o.own_key), **fixed, **_changing(key), reason="", registered_at=now)

    def change_own_key(self, before: OwnKey, after: OwnKey, reason: str = "") -> bool:
        """Change state and times; False where it is not any more as it was before."""
        same = [
            o.own_key.c[name] == value if value is not None else o.own_key.c[name].is_(None)
            for name, value in _changing(before).items()
        ]
        changed = update(o.own_key).where(_own.key_id == before.verifier.key_id, *same)
        return self._added(changed.values(**_changing(after), **({"reason": reason} if reason else {})))

    def _own_keys(self, read_key: Callable[[str, str], Verifier]) -> dict[str, OwnKey]:
        """Every key of ours; a part of the policy."""
        rows = self._run(select(o.own_key).order_by(_own.registered_at, _own.key_id))
        return {row.key_id: _from(row, read_key) for row in rows}

    def source_keys(self) -> dict[tuple[str, str], str]:
        """The fingerprints of what was registered of the platforms' credentials, by platform and name."""
        return {(row.platform, row.name): row.fingerprint for row in self._run(select(o.source_key))}

    def source_keys_of(self, platform: str) -> dict[str, RegisteredCredential]:
        """The same of one platform, by name, each with the time since when it is registered."""
        rows = self._run(select(o.source_key).where(o.source_key.c.platform == platform))
        return {row.name: RegisteredCredential(row.fingerprint, row.changed_at) for row in rows}

    def set_source_key(self, platform: str, name: str, fingerprint: str | None, now: datetime) -> None:
        """Keep a credential's fingerprint; None takes it away."""
        key = o.source_key.c
        self._run(delete(o.source_key).where(key.platform == platform, key.name == name))
        if fingerprint is not None:
            row = {"platform": platform, "name": name, "fingerprint": fingerprint, "changed_at": now}
            self._run(insert(o.source_key).values(**row))


def _changing(key: OwnKey) -> dict[str, Any]:
    return {
        "state": key.state.value, "not_before": key.not_before, "not_after": key.not_after,
        "revoked_at": key.revoked_at,
    }  # fmt: skip


def _from(row: Any, read_key: Callable[[str, str], Verifier]) -> OwnKey:
    return OwnKey(
        read_key(row.public_key, row.key_id), KeyRole(row.role), row.name, KeyState(row.state),
        row.not_before, row.not_after, row.revoked_at,
    )  # fmt: skip
