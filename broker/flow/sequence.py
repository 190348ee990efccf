"""Sequence: give committed entries their place in the Merkle log and sign the checkpoint, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeGuard

import orjson

from broker.core import checkpoint, merkle
from broker.core.errors import BrokerProblem
from broker.flow.parts import Parts, require_signing
from broker.ports import Work
from broker.ports.proof import LOGIN, MATERIAL, Indexed

LONGEST = 512  # characters of a fact by which entries are found: PostgreSQL's index takes 2,704 bytes, so 4 for each


def sequence(parts: Parts) -> int:
    """Integrate up to a batch of entries; returns how many. One sequencer at a time; others return 0 at once."""
    with parts.store.write() as work:
        if not work.lock_log():
            return 0
        waiting = work.unsequenced(parts.limits.sequence_batch)
        if not waiting:
            return 0
        size = work.log_size()
        edge = work.tiles(merkle.tiles_for_growth(size))

        def read_edge(level: int, index: int) -> bytes:
            return edge[level, index]

        _require_signed_state(parts, work, size, read_edge)
        pulse = work.pulse()
        for signer in parts.log_signers:
            require_signing(parts.policy(work, pulse), signer, pulse.now)
        growth = merkle.grow(size, [merkle.leaf_hash(body) for _, body in waiting], read_edge)
        head = checkpoint.Checkpoint(parts.log_origin, growth.size, growth.root)
        note = checkpoint.sign(head, parts.log_signers)
        work.extend_log(size, [number for number, _ in waiting], growth.tiles, growth.size, note, pulse.now)
        work.index_entries(indexed(size, [body for _, body in waiting]))
        # Crash before this commit: the entries still wait, the next run gives them the same places. After it: done.
        work.commit()
    return len(waiting)


def _require_signed_state(parts: Parts, work: Work, size: int, read_tile: merkle.ReadTile) -> None:
    """Refuse to build on tiles that are not those we last signed: a damaged store must not get our signature."""
    last = work.latest_checkpoint()
    if last is None and size == 0:
        return
    head = checkpoint.Checkpoint(parts.log_origin, size, merkle.root(size, read_tile))
    if last is None or not last.startswith(head.text + "\n"):
        raise BrokerProblem("log.damaged", got=str(size))


def indexed(first: int, bodies: Sequence[bytes]) -> list[Indexed]:
    """By what entries can be found again, from the place ``first`` on; a fact that is not text is not searched for.

    Neither is what PostgreSQL takes into no index, U+0000 and long texts: one such entry must not hold up all others.
    """
    rows = []
    for position, body in enumerate(bodies, first):
        says = orjson.loads(body)
        facts = (_first_text(says, names) for names in _SAID_AS)
        more = {name: _first_text(says, names) for name, names in _SAID_BESIDES.items()}
        related, at = tuple(sorted(set(says.get("related", ())))), datetime.fromisoformat(says["at"])
        rows.append(Indexed(position, at, says["kind"], *facts, **more, related=related, named=_named(says)))
    return rows


# By which of its facts an entry is found, in the order of ``Indexed``: who did something in the console is named by
# login, where cases name the operator.
_SAID_AS = (
    ("client",), ("case",), ("operator", "login", "by"), ("subject",), ("unit",), ("source",),
    ("reason", "outcome", "code"),
)  # fmt: skip
_SAID_BESIDES = {"request_id": ("request_id",), "item": ("item", "scene"), "region": ("region",)}


def _named(says: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The materials and the logins that an entry names; a material is the same whosever it is."""
    one, several = says.get("material"), says.get("materials")
    materials = [one, *(several if isinstance(several, dict) else ())]
    keys = {text.partition("@")[0] for text in materials if _is_text(text)}
    logins = {text for name in ("login", "by") if _is_text(text := says.get(name))}
    return tuple(sorted({(MATERIAL, key) for key in keys} | {(LOGIN, login) for login in logins}))


def _first_text(says: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((value for name in names if _is_text(value := says.get(name))), None)


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= LONGEST and "\0" not in value
