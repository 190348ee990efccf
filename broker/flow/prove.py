"""What proofs are made of, in a transaction: tiles, each read once, and the size of a checkpoint of ours."""

from __future__ import annotations

from functools import cache

from broker.core import merkle
from broker.core.errors import BrokerProblem
from broker.ports import Work


def tile_reader(work: Work) -> merkle.ReadTile:
    """Reads tiles in a transaction, each once. Raises ``BrokerProblem`` ``log.tile`` for one that should be there."""

    @cache
    def read(level: int, index: int) -> bytes:
        found = work.tiles([(level, index)])
        if not found:
            raise BrokerProblem("log.tile", got=f"nothing at {level}/{index}")
        return found[level, index]

    return read


def checkpoint_size(note: str) -> int:
    """The size in a checkpoint that we signed ourselves."""
    return int(note.split("\n", 2)[1])
