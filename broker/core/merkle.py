"""An RFC 6962 Merkle tree kept in C2SP tlog-tiles: how it grows, what it proves, where its tiles lie.

A tile holds up to 256 consecutive hashes of one level; a hash of level L+1 is the root of a *full* tile of level L.
Everything here is a pure function over a reader. Left outside: storing tiles; remembering those already read (a proof
asks for the same tile several times: wrap the reader in a dict); and comparing ``root(size)`` with the last signed
checkpoint before growing from it, without which a damaged store would be signed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from broker.core.errors import BrokerProblem, CallerProblem

HASH_SIZE = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
TILE_SIZE = TILE_WIDTH * HASH_SIZE
ENTRIES = -1  # stands for the level in the paths of entry bundles
MAX_LEVEL = 63  # the tlog-tiles limit on a path; real trees end at level 7
EMPTY_ROOT = sha256(b"").digest()

_PATH = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?")

ReadTile = Callable[[int, int], bytes]
"""(level, index) → the stored hashes of that tile; more of them than the tree in question needs do no harm."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A longer tree; ``tiles`` holds the whole new content of every tile that changed, by (level, index)."""

    size: int
    root: bytes
    tiles: dict[tuple[int, int], bytes]


@dataclass(frozen=True, slots=True)
class TilePath:
    """Where a tile, or with level ``ENTRIES`` an entry bundle, is served; a width below 256 makes it partial."""

    level: int
    index: int
    width: int = TILE_WIDTH


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry; its prefix keeps an entry from passing for an inner node."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


# --- growing ---------------------------------------------------------------------------------------------------------


def grow(size: int, new_leaf_hashes: Sequence[bytes], read_tile: ReadTile) -> Growth:
    """The tree of ``size`` leaves with more leaves behind them; reads no tile but ``tiles_for_growth(size)``.

    Running it twice from the same size gives the same tiles, even if the first run's tiles were stored already.
    """
    if any(len(leaf) != HASH_SIZE for leaf in new_leaf_hashes):
        raise ValueError("a leaf hash has 32 bytes")
    tiles: dict[tuple[int, int], bytes] = {}
    level, hashes = 0, b"".join(new_leaf_hashes)
    while hashes:
        first = (size >> TILE_HEIGHT * level) // TILE_WIDTH
        buffer = _right_edge(level, size, read_tile) + hashes
        for number, start in enumerate(range(0, len(buffer), TILE_SIZE)):
            tiles[level, first + number] = buffer[start : start + TILE_SIZE]
        full = len(buffer) - len(buffer) % TILE_SIZE
        level, hashes = level + 1, _reduce(buffer[:full], TILE_HEIGHT)
    grown = size + len(new_leaf_hashes)
    return Growth(grown, root(grown, lambda level, index: tiles.get((level, index)) or read_tile(level, index)), tiles)


def tiles_for_growth(size: int) -> list[tuple[int, int]]:
    """The tiles that ``grow`` and ``root`` may read at this size: the partial one of each level."""
    _require(0, size)
    levels = range(-(-size.bit_length() // TILE_HEIGHT))
    counts = [(level, size >> TILE_HEIGHT * level) for level in levels]
    return [(level, count // TILE_WIDTH) for level, count in counts if count % TILE_WIDTH]


def _right_edge(level: int, size: int, read_tile: ReadTile) -> bytes:
    count = size >> TILE_HEIGHT * level
    start = count - count % TILE_WIDTH
    return _hashes(level, start, count, read_tile) if count > start else b""


# --- the root and the proofs -----------------------------------------------------------------------------------------


def root(size: int, read_tile: ReadTile) -> bytes:
    """The Merkle tree hash of the first ``size`` leaves; the tiles may belong to a longer tree."""
    _require(0, size)
    return _range_hash(0, size, read_tile) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read_tile: ReadTile) -> list[bytes]:
    """The hashes that lead from leaf ``index`` to the root of ``size`` leaves, the leaf's sibling first.

    Raises ``CallerProblem`` ``log.not-yet`` when there is no such leaf.
    """
    _require(index, size - 1)
    siblings, (start, stop) = [], (0, size)
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            siblings.append((middle, stop))
            stop = middle
        else:
            siblings.append((start, middle))
            start = middle
    return [_range_hash(*sibling, read_tile) for sibling in reversed(siblings)]


def consistency_proof(old: int, new: int, read_tile: ReadTile) -> list[bytes]:
    """The hashes that show the tree of ``new`` leaves to begin with the tree of ``old``; empty for 0 and for equals.

    Raises ``CallerProblem`` ``log.not-yet`` when ``old`` is longer than ``new``.
    """
    _require(old, new)
    if old in (0, new):
        return []
    parts, (start, stop) = [], (0, new)
    while old != stop:
        middle = start + _split(stop - start)
        if old <= middle:
            parts.append((middle, stop))
            stop = middle
        else:
            parts.append((start, middle))
            start = middle
    if start:  # the old tree is not itself a node on this path, so the verifier cannot know this one
        parts.append((start, stop))
    return [_range_hash(*part, read_tile) for part in reversed(parts)]


def _split(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


def _range_hash(start: int, stop: int, read_tile: ReadTile) -> bytes:
    """RFC 6962 MTH(D[start:stop]) where ``start`` is a multiple of the smallest power of two that spans it."""
    found = [_perfect(height, position, read_tile) for height, position in _perfect_nodes(start, stop)]
    result = found.pop()
    while found:
        result = node_hash(found.pop(), result)
    return result


def _perfect_nodes(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The (height, position) of the largest perfect subtrees that fill the range, left to right."""
    while start < stop:
        height = (stop - start).bit_length() - 1
        yield height, start >> height
        start += 1 << height


def _perfect(height: int, position: int, read_tile: ReadTile) -> bytes:
    level, rounds = divmod(height, TILE_HEIGHT)
    return _reduce(_hashes(level, position << rounds, (position + 1) << rounds, read_tile), rounds)


def _hashes(level: int, start: int, stop: int, read_tile: ReadTile) -> bytes:
    """The hashes [start, stop) of a level; both lie in one tile."""
    index, offset = divmod(start, TILE_WIDTH)
    end = offset + stop - start
    tile = read_tile(level, index)
    if len(tile) < end * HASH_SIZE:
        raise BrokerProblem("log.tile", got=f"{len(tile)} bytes in {level}/{index}", expected=f"{end} hashes")
    return tile[offset * HASH_SIZE : end * HASH_SIZE]


def _reduce(hashes: bytes, rounds: int) -> bytes:
    """So many levels up: each round hashes all neighbours of the buffer at once (the hot loop of growing)."""
    for _ in range(rounds):
        hashes = b"".join([sha256(b"\x01" + hashes[at : at + 64]).digest() for at in range(0, len(hashes), 64)])
    return hashes


def _require(smaller: int, larger: int) -> None:
    if not 0 <= smaller <= larger:
        raise CallerProblem("log.not-yet", expected="an index below the size, a size the log has reached")


# --- verifying (RFC 9162, sections 2.1.3.2 and 2.1.4.2, whose steps the numbers follow) ------------------------------


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf is at ``index`` of the tree with this root; never raises on bad input.

    The root and size must come from one verified checkpoint: a proof alone does not bind the size, since trees of
    several sizes give the same path to a leaf.
    """
    if not 0 <= index < size or not _well_formed(leaf_hash, root, *proof):  # 1
        return False
    place, last, found = index, size - 1, leaf_hash  # 2, 3
    for sibling in proof:  # 4
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            place, last = _up_from_right(place, last)
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root  # 5


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of ``new`` leaves begins with the tree of ``old`` leaves; never raises on bad input.

    Each root must come with its size from a verified checkpoint. From the empty tree to any other the proof is empty.
    """
    if not 0 <= old <= new or not _well_formed(old_root, new_root, *proof):
        return False
    if old in (0, new):
        return not proof and old_root == (new_root if old == new else EMPTY_ROOT)
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)  # 1, 2
    if len(path) < 2:
        return False
    place, last = _up_while_right(old - 1, new - 1)  # 3, 4
    found_old = found_new = path[0]  # 5
    for sibling in path[1:]:  # 6
        if last == 0:
            return False
        if place & 1 or place == last:
            found_old, found_new = node_hash(sibling, found_old), node_hash(sibling, found_new)
            place, last = _up_from_right(place, last)
        else:
            found_new = node_hash(found_new, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and found_old == old_root and found_new == new_root  # 7


def _well_formed(*hashes: bytes) -> bool:
    return all(len(value) == HASH_SIZE for value in hashes)


def _up_from_right(place: int, last: int) -> tuple[int, int]:
    """Skips the levels where a last node without a sibling is carried up unhashed."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _up_while_right(place: int, last: int) -> tuple[int, int]:
    while place & 1:
        place, last = place >> 1, last >> 1
    return place, last


# --- where tiles lie -------------------------------------------------------------------------------------------------


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """``tile/0/x001/067.p/5``: the C2SP tlog-tiles path; ``ENTRIES`` as level gives that of an entry bundle."""
    if not (ENTRIES <= level <= MAX_LEVEL and index >= 0 and 1 <= width <= TILE_WIDTH):
        raise ValueError(f"no tile has level {level}, index {index} and width {width}")
    folders, number = "", f"{index % 1000:03}"
    while index >= 1000:
        index //= 1000
        folders = f"x{index % 1000:03}/{folders}"
    name = "entries" if level == ENTRIES else str(level)
    return f"tile/{name}/{folders}{number}{'' if width == TILE_WIDTH else f'.p/{width}'}"


def parse_tile_path(path: str) -> TilePath:
    """The tile a path names; any spelling that ``tile_path`` would not give is ``CallerProblem`` ``log.tile-path``."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise CallerProblem("log.tile-path")
    name, number, width = match.groups()
    level = ENTRIES if name == "entries" else int(name)
    index = int(number.replace("/", "").replace("x", ""))
    tile = TilePath(level, index, TILE_WIDTH if width is None else int(width))
    # Width 0 or above 256 has no spelling of its own; leading zeroes, x000 and .p/256 have another one.
    if not 1 <= tile.width <= TILE_WIDTH or level > MAX_LEVEL or tile_path(level, index, tile.width) != path:
        raise CallerProblem("log.tile-path")
    return tile
