"""Which keys and credentials end, and which of them so soon that somebody must act.

Our own end by the register, callers' by theirs, sources' by what the platforms' file says of them. Whoever has another
key that lasts longer needs no warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.core.own_key import KeyState
from broker.flow.parts import Parts
from broker.ports import ClientKey, Policy

OWN, CLIENT, SOURCE = "own", "client", "source"


@dataclass(frozen=True, slots=True)
class KeyEnd:
    """That a key ends: whose kind of key, under which name, its id or fingerprint, and when."""

    whose: str  # OWN, CLIENT or SOURCE
    name: str  # a key file of ours, a system, or a platform and its credential
    key: str
    ends_at: datetime


def keys_ending(parts: Parts, policy: Policy, now: datetime) -> list[KeyEnd]:
    """What ends within the days of warning, or has ended no longer ago than that; the soonest first."""
    within = timedelta(days=parts.limits.key_warning_days)
    known = [*_own(policy), *_clients(policy), *_sources(parts)]
    return sorted((one for one in known if abs(one.ends_at - now) <= within), key=lambda one: one.ends_at)


def _own(policy: Policy) -> Iterator[KeyEnd]:
    """Those that sign, or are to sign."""
    for key_id, one in policy.own_keys.items():
        signs = one.state in {KeyState.COMING, KeyState.ACTIVE} and one.revoked_at is None
        if signs and one.not_after is not None:
            yield KeyEnd(OWN, one.name, key_id, one.not_after)


def _clients(policy: Policy) -> Iterator[KeyEnd]:
    """The key of each system that lasts longest, where even that one ends."""
    by_client: dict[str, list[tuple[str, ClientKey]]] = {}
    for key_id, one in policy.keys.items():
        if one.revoked_at is None:
            by_client.setdefault(one.client, []).append((key_id, one))
    for client, keys in by_client.items():
        if client in policy.clients and policy.clients[client].state == "active" and _all_end(keys):
            ends_at, key_id = max((key.not_after, key_id) for key_id, key in keys if key.not_after is not None)
            yield KeyEnd(CLIENT, client, key_id, ends_at)


def _all_end(keys: Sequence[tuple[str, ClientKey]]) -> bool:
    return all(one.not_after is not None for _, one in keys)


def _sources(parts: Parts) -> Iterator[KeyEnd]:
    for platform, listed in parts.references.items():
        for one in listed:
            if one.ends_at is not None:
                yield KeyEnd(SOURCE, f"{platform} · {one.name}", one.fingerprint, one.ends_at)
