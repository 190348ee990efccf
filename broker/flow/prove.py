"""What proofs are made of, in a transaction – tiles, each read once, a checkpoint of ours – and a receipt's own."""

from __future__ import annotations

from functools import cache

from broker.core import checkpoint, merkle
from broker.core.errors import BrokerProblem, CallerProblem
from broker.core.receipt import Bundle
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


def proved(work: Work, number: str, kind: str, receipt: str) -> Bundle:
    """The receipt with its proof in the newest checkpoint that a witness signed, or else in the latest.

    Its entry is of the kind of the verification's state.

    Raises ``CallerProblem`` ``log.not-yet`` until the sequencer has come by.
    """
    place, note = work.place_of(number, kind), work.witnessed_checkpoint()
    position, entry = place or (None, b"")
    if note is None or position is None or position >= checkpoint_size(note):  # no witness has seen it yet
        note = work.latest_checkpoint()
    if position is None or note is None or position >= checkpoint_size(note):
        raise CallerProblem("log.not-yet", retry_after=1)
    hashes = merkle.inclusion_proof(position, checkpoint_size(note), tile_reader(work))
    return Bundle(receipt, entry, checkpoint.InclusionProof(position, tuple(hashes), note).format())
