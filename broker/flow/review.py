"""Review: read the whole log again and hold it against its signed checkpoints, as an auditor would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from broker.core import checkpoint, merkle
from broker.core.cosignature import behind
from broker.core.envelope import Verifier
from broker.core.errors import BrokerProblem
from broker.flow.parts import Parts
from broker.flow.sequence import indexed
from broker.ports import LogRow, Work
from broker.ports.proof import Indexed

_CHUNK = 1024  # entries, or checkpoints, read at a time; a multiple of a tile's width

_EVERY_PLACE = 1 << 62

_Tiles = dict[tuple[int, int], bytes]
Heard = Callable[[int, int], None]  # how many entries of how many are read; what it raises ends the review


@dataclass(frozen=True, slots=True)
class LogReport:
    """What holds: so many entries under this root, as the checkpoint says."""

    size: int
    root: bytes
    unsequenced: int


def _unheard(done: int, total: int) -> None:
    """Nobody watches."""


def verify_log(parts: Parts, log_keys: Sequence[Verifier], heard: Heard = _unheard) -> LogReport:
    """Hold the entries against what was signed, and prove that they are the same.

    (1) the newest checkpoint is signed by the log's keys, and every older one that is kept too, there also by keys that
        were revoked since: (4) holds it to the newest;
    (2) the entries in their places hash to the newest checkpoint's root, and its places are all there are;
    (3) every stored tile is what those entries make it;
    (4) each older checkpoint is of the size its row says, and of the same entries: a prefix;
    (5) what the rows repeat of their entries is what the entries say;
    (6) no entry was hidden: each has its place or waits for one;
    (7) what entries are found by is what they say, so that no search, export or subject's view leaves one out.

    Raises ``CallerProblem`` ``log.checkpoint-…`` or ``BrokerProblem`` ``log.damaged`` naming what does not hold, where
    it can be told the first row. Left outside: a log cut or written anew by somebody who has the log's keys, or back to
    a checkpoint that was signed once; that shows only beside a checkpoint kept elsewhere.
    """
    with parts.store.read() as work:
        waiting = len(work.unsequenced(parts.limits.sequence_batch))
        stray = work.stray_entry()
        if stray is not None:  # (6)
            raise _damaged(f"entry row {stray} has no place")
        note = work.latest_checkpoint()
        if note is None:
            if work.log_size():
                raise _damaged("no checkpoint")
            return LogReport(0, merkle.EMPTY_ROOT, waiting)
        head = checkpoint.verify(note, parts.log_origin, log_keys, at_least=len(parts.log_signers))  # (1)
        root, tiles = _rebuilt(work, head.size, heard)
        _hold_entries(work, head, root, tiles)
        _hold_checkpoints(parts, work, log_keys, tiles)
    return LogReport(head.size, root, waiting)


def _hold_entries(work: Work, head: checkpoint.Checkpoint, root: bytes, tiles: _Tiles) -> None:
    stored = work.tiles(list(tiles))
    if root != head.root:  # (2)
        raise _damaged(_first_other(tiles, stored) or f"root of {head.size} entries")
    if work.log_size() != head.size:
        raise _damaged(f"entry {head.size} is not in the checkpoint")
    for (level, index), hashes in tiles.items():  # (3)
        if stored.get((level, index)) != hashes:
            raise _damaged(f"tile {level}/{index}")


def _first_other(tiles: _Tiles, stored: _Tiles) -> str | None:
    """The first entry that is not the one whose hash was stored beside it."""
    for (level, index), hashes in sorted(tiles.items()):
        kept = stored.get((level, index), b"")
        if level == 0 and kept != hashes:
            pairs = zip(_hashes(hashes), _hashes(kept), strict=False)
            return f"entry {index * merkle.TILE_WIDTH + next((n for n, (a, b) in enumerate(pairs) if a != b), 0)}"
    return None


def _hashes(tile: bytes) -> list[bytes]:
    return [tile[at : at + merkle.HASH_SIZE] for at in range(0, len(tile), merkle.HASH_SIZE)]


def _hold_checkpoints(parts: Parts, work: Work, log_keys: Sequence[Verifier], tiles: _Tiles) -> None:
    for size, note in _checkpoints(work):
        head = checkpoint.verify(note, parts.log_origin, behind(log_keys), at_least=len(parts.log_signers))  # (1)
        if head.size != size or head.root != merkle.root(size, lambda level, index: tiles[level, index]):  # (4)
            raise _damaged(f"checkpoint {size}")


def _checkpoints(work: Work) -> Iterator[tuple[int, str]]:
    last = 0
    while found := work.checkpoints(last, _CHUNK):
        yield from found
        last = found[-1][0]


def _rebuilt(work: Work, until: int, heard: Heard) -> tuple[bytes, _Tiles]:
    """Root and tiles of the first entries, from their bytes alone."""
    tiles: _Tiles = {}
    root, size = merkle.EMPTY_ROOT, 0

    def read_tile(level: int, index: int) -> bytes:
        return tiles[level, index]

    while size < until:
        rows = work.log_rows(size, min(size + _CHUNK, until))
        right = [_held_row(position, row) for position, row in enumerate(rows, size)]
        if not rows:
            raise _damaged(f"entry {size} is missing")
        _hold_index(work.indexed(size, size + len(rows)), right, size)
        growth = merkle.grow(size, [merkle.leaf_hash(row.body) for row in rows], read_tile)
        tiles |= growth.tiles
        root, size = growth.root, growth.size
        heard(size, until)
    if work.indexed(until, _EVERY_PLACE):
        raise _damaged(f"index of entry {until}")  # (7)
    return root, tiles


def _hold_index(found: Sequence[Indexed], right: Sequence[Indexed], start: int) -> None:
    """By what these entries are found is what they say (7)."""
    if found != right:
        pairs = zip(right, found, strict=False)
        wrong = next((one.position for one, other in pairs if one != other), start + min(len(found), len(right)))
        raise _damaged(f"index of entry {wrong}")


def _held_row(position: int, row: LogRow) -> Indexed:
    """A row in its place, whose columns say what its entry says (5), by what it is to be found.

    The entry itself is held by the root; one that cannot be read any more is named here already.
    """
    if row.position != position:
        raise _damaged(f"entry {position} is missing")
    try:
        says = orjson.loads(row.body)
        same = (says["kind"], says.get("verification")) == (row.kind, row.verification)
        (found,) = indexed(position, [row.body])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(f"entry {position}") from error
    if not same:
        raise _damaged(f"entry {position}")
    return found


def _damaged(what: str) -> BrokerProblem:
    return BrokerProblem("log.damaged", got=what)
