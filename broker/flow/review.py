"""Review: read the whole log again and hold it against its signed checkpoint, as an auditor would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker.core import checkpoint, merkle
from broker.core.envelope import Verifier
from broker.core.errors import BrokerProblem
from broker.flow.parts import Parts
from broker.ports import Work

_CHUNK = 1024  # entries read at a time; a multiple of a tile's width


@dataclass(frozen=True, slots=True)
class LogReport:
    """What holds: so many entries under this root, as the checkpoint says."""

    size: int
    root: bytes
    unsequenced: int


def verify_log(parts: Parts, log_keys: Sequence[Verifier]) -> LogReport:
    """Hold the entries against what was signed, and prove that they are the same.

    (1) the newest checkpoint is signed by the log's keys;
    (2) the entries in their places hash to the checkpoint's root;
    (3) every stored tile is what those entries make it.

    Raises ``CallerProblem`` ``log.checkpoint-…`` or ``BrokerProblem`` ``log.damaged`` naming what does not hold.
    """
    with parts.store.read() as work:
        waiting = len(work.unsequenced(parts.limits.sequence_batch))
        note = work.latest_checkpoint()
        if note is None:
            if work.log_size():
                raise BrokerProblem("log.damaged", got="no checkpoint")
            return LogReport(0, merkle.EMPTY_ROOT, waiting)
        head = checkpoint.verify(note, parts.log_origin, log_keys, at_least=len(parts.log_signers))  # (1)
        root, tiles = _rebuilt(work, head.size)
        if root != head.root or work.log_size() != head.size:  # (2)
            raise BrokerProblem("log.damaged", got=f"root of {head.size} entries")
        stored = work.tiles(list(tiles))
        wrong = [key for key, hashes in tiles.items() if stored.get(key) != hashes]
        if wrong:  # (3)
            raise BrokerProblem("log.damaged", got=f"tile {wrong[0]}")
    return LogReport(head.size, root, waiting)


def _rebuilt(work: Work, until: int) -> tuple[bytes, dict[tuple[int, int], bytes]]:
    """Root and tiles of the first entries, from their bytes alone."""
    tiles: dict[tuple[int, int], bytes] = {}
    root, size = merkle.EMPTY_ROOT, 0

    def read_tile(level: int, index: int) -> bytes:
        return tiles[level, index]

    while size < until:
        bodies = work.entries(size, min(size + _CHUNK, until))
        if not bodies:
            raise BrokerProblem("log.damaged", got=f"entry {size} is missing")
        growth = merkle.grow(size, [merkle.leaf_hash(body) for body in bodies], read_tile)
        tiles |= growth.tiles
        root, size = growth.root, growth.size
    return root, tiles
