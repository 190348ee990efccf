"""The unit of work's part for shared secrets; see ``ports.sessions`` for what the methods mean."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from broker.ports.sessions import SharedSecret
from broker.store.health_tables import platform_session as s
from broker.store.rows import Rows
from broker.store.statements import Statements


class SessionRows(Rows):
    """One transaction's methods for the platforms' short-lived secrets."""

    def shared_secret(self, platform: str) -> SharedSecret | None:
        """The newest secret of a platform, None before the first."""
        row = self._run(_NEWEST, b_platform=platform).one_or_none()
        return None if row is None or row.version == 0 else SharedSecret(row.version, row.value)

    def lease_secret(self, platform: str, version: int, now: datetime, lease_ms: int) -> bool:
        """Whether we, and nobody else until the lease ends, may fetch what follows this version (0: nothing yet)."""
        self._run(_first(self._sql), platform=platform, version=0, value=None, ends_at=None, lease_ends_at=now)
        until = now + timedelta(milliseconds=lease_ms)
        return self._added(_LEASE, b_platform=platform, b_version=version, b_now=now, b_until=until)

    def keep_secret(self, platform: str, value: bytes, ends_at: datetime, now: datetime) -> int:
        """Keep a secret as the newest, and return its version; of two fetched at the same time the later stays."""
        self._run(_first(self._sql), platform=platform, version=0, value=None, ends_at=None, lease_ends_at=now)
        kept = self._run(_KEEP, b_platform=platform, b_value=value, b_ends=ends_at, b_now=now)
        return int(kept.scalar_one())

    def refuse_secret(self, platform: str, version: int) -> None:
        """Let nobody take this version any more; a newer one stays."""
        self._run(_REFUSE, b_platform=platform, b_version=version)


_HERE = s.c.platform == bindparam("b_platform")
_NEWEST = select(s.c.version, s.c.value).where(_HERE)
_LEASE = (
    update(s)
    .where(_HERE, s.c.version == bindparam("b_version"), s.c.lease_ends_at <= bindparam("b_now"))
    .values(lease_ends_at=bindparam("b_until"))
)
_KEEP = (  # and nobody holds a lease on what follows it
    update(s)
    .where(_HERE)
    .values(
        version=s.c.version + 1,
        value=bindparam("b_value"),
        ends_at=bindparam("b_ends"),
        lease_ends_at=bindparam("b_now"),
    )
    .returning(s.c.version)
)
_REFUSE = update(s).where(_HERE, s.c.version == bindparam("b_version")).values(value=None)


@cache
def _first(sql: Statements) -> Any:
    insert = sqlite.insert if sql.is_sqlite else postgresql.insert
    return insert(s).on_conflict_do_nothing()
