"""Review: read the whole log again and hold it against its signed checkpoints, as an auditor would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from broker.core import checkpoint, merkle
from broker.core.cosignature import behind
from broker.core.envelope import Verifier
from broker.core.errors import BrokerProblem, CallerProblem
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
        rebuilt = _Rebuilt(parts, work, log_keys)
        rebuilt.grow_to(head.size, heard)
        rebuilt.hold(head)
    return LogReport(head.size, rebuilt.root, waiting)


class _Rebuilt:
    """The log made again from its entries' bytes alone, and held against what is stored beside them on the way.

    Of the tiles it keeps only those at the right edge, so that a log of any length fits into memory. What does not hold
    is noted and told at the end, the entries before everything that is made of them.
    """

    def __init__(self, parts: Parts, work: Work, log_keys: Sequence[Verifier]) -> None:
        self._parts = parts
        self._work = work
        self._log_keys = log_keys
        self._edge: _Tiles = {}
        self._other_entry = ""
        self._other_tile = ""
        self._checkpoints = _checkpoints(work)
        self._next = next(self._checkpoints, None)
        self._false_checkpoint: CallerProblem | BrokerProblem | None = None
        self.root, self.size = merkle.EMPTY_ROOT, 0

    def grow_to(self, until: int, heard: Heard) -> None:
        """Read the entries and everything that was made of them."""
        while self.size < until:
            rows = self._work.log_rows(self.size, min(self.size + _CHUNK, until))
            right = [_held_row(position, row) for position, row in enumerate(rows, self.size)]
            if not rows:
                raise _damaged(f"entry {self.size} is missing")
            _hold_index(self._work.indexed(self.size, self.size + len(rows)), right, self.size)
            growth = merkle.grow(self.size, [merkle.leaf_hash(row.body) for row in rows], self._tile)
            self._edge |= growth.tiles
            self.root, self.size = growth.root, growth.size
            self._compare({key: one for key, one in growth.tiles.items() if len(one) == merkle.TILE_SIZE})
            self._hold_checkpoints(until=self.size)
            self._forget()
            heard(self.size, until)
        if self._work.indexed(until, _EVERY_PLACE):
            raise _damaged(f"index of entry {until}")  # (7)

    def hold(self, head: checkpoint.Checkpoint) -> None:
        """Tell what does not hold. Raises as ``verify_log``."""
        self._compare({key: one for key, one in self._edge.items() if len(one) < merkle.TILE_SIZE})
        if self.root != head.root:  # (2)
            raise _damaged(self._other_entry or f"root of {head.size} entries")
        if self._work.log_size() != head.size:
            raise _damaged(f"entry {head.size} is not in the checkpoint")
        if self._other_tile:  # (3)
            raise _damaged(self._other_tile)
        self._hold_checkpoints(until=None)
        if self._false_checkpoint is not None:
            raise self._false_checkpoint

    def _tile(self, level: int, index: int) -> bytes:
        return self._edge[level, index]

    def _forget(self) -> None:
        """Keep the last tile of each level: what growing reads, and the roots of what comes."""
        last: dict[int, int] = {}
        for level, index in self._edge:
            last[level] = max(index, last.get(level, 0))
        self._edge = {(level, index): self._edge[level, index] for level, index in last.items()}

    def _compare(self, tiles: _Tiles) -> None:
        """Note the first entry that is not the one whose hash was stored beside it, and the first tile that differs."""
        stored = self._work.tiles(list(tiles))
        for (level, index), hashes in sorted(tiles.items()):
            kept = stored.get((level, index), b"")
            if kept == hashes:
                continue
            self._other_tile = self._other_tile or f"tile {level}/{index}"
            if level == 0 and not self._other_entry:
                pairs = zip(_hashes(hashes), _hashes(kept), strict=False)
                place = next((number for number, (one, other) in enumerate(pairs) if one != other), 0)
                self._other_entry = f"entry {index * merkle.TILE_WIDTH + place}"

    def _hold_checkpoints(self, until: int | None) -> None:
        """Hold those that are due against the entries so far, until one is false; None: all that are left."""
        while self._false_checkpoint is None and self._next is not None and (until is None or self._next[0] <= until):
            try:
                self._hold_checkpoint(*self._next)
            except (CallerProblem, BrokerProblem) as problem:
                self._false_checkpoint = problem
            self._next = next(self._checkpoints, None)

    def _hold_checkpoint(self, size: int, note: str) -> None:
        log_keys, signers = behind(self._log_keys), len(self._parts.log_signers)
        head = checkpoint.verify(note, self._parts.log_origin, log_keys, at_least=signers)  # (1)
        if head.size != size or head.root != merkle.root(size, self._tile):  # (4)
            raise _damaged(f"checkpoint {size}")


def _hashes(tile: bytes) -> list[bytes]:
    return [tile[at : at + merkle.HASH_SIZE] for at in range(0, len(tile), merkle.HASH_SIZE)]


def _checkpoints(work: Work) -> Iterator[tuple[int, str]]:
    last = 0
    while found := work.checkpoints(last, _CHUNK):
        yield from found
        last = found[-1][0]


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
