"""What proofs are made of, in a transaction – tiles, each read once, a checkpoint of ours – and a receipt's own."""

from __future__ import annotations

from functools import cache

from broker.core import checkpoint, merkle
from broker.core.errors import BrokerProblem, CallerProblem
from broker.core.own_key import KeyRole
from broker.core.receipt import Bundle
from broker.flow.parts import Parts
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


def _stands(parts: Parts, work: Work, note: str) -> bool:
    """Whether a key of the log that was not revoked has signed a checkpoint of ours."""
    own = parts.policy(work, work.pulse()).own_keys.values()
    revoked = [one.verifier for one in own if one.role is KeyRole.LOG and one.revoked_at is not None]
    if not revoked:
        return True
    gone = {(parts.log_origin, checkpoint.key_hash(parts.log_origin, key)) for key in revoked}
    lines = {key for key, _ in checkpoint.split_note(note)[1] if key[0] == parts.log_origin}
    return bool(lines - gone)


def proved(parts: Parts, work: Work, number: str, kind: str, receipt: str) -> Bundle:
    """The receipt with its proof in the newest checkpoint that a witness signed, or else in the latest.

    A checkpoint that only revoked keys of the log have signed is passed over: it would need the witness's word.
    Its entry is of the kind of the verification's state.

    Raises ``CallerProblem`` ``log.not-yet`` until the sequencer has come by.
    """
    place, note = work.place_of(number, kind), work.witnessed_checkpoint()
    position, entry = place or (None, b"")
    seen = note is not None and position is not None and position < checkpoint_size(note)
    if not seen or not _stands(parts, work, note or ""):  # no witness has seen it yet, or its signers are gone
        note = work.latest_checkpoint()
    if position is None or note is None or position >= checkpoint_size(note):
        raise CallerProblem("log.not-yet", retry_after=1)
    hashes = merkle.inclusion_proof(position, checkpoint_size(note), tile_reader(work))
    return Bundle(receipt, entry, checkpoint.InclusionProof(position, tuple(hashes), note).format())
