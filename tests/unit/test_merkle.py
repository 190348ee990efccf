"""The tree against a naive one that follows the words of RFC 6962, section 2.1, and against published vectors."""

from __future__ import annotations

import hashlib
import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core import merkle
from broker.core.errors import BrokerProblem, CallerProblem

MANY = 70_000  # the size of the example in tlog-tiles: three levels, each with a partial tile
ENTRIES = [b"entry %d" % number for number in range(MANY)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]


# --- the oracle: the RFC's three definitions, over ENTRIES[start:stop], with nothing shared with the code under test --


def k(n: int) -> int:
    """The largest power of two smaller than n."""
    power = 1
    while power * 2 < n:
        power *= 2
    return power


@cache
def mth(start: int, stop: int) -> bytes:
    n = stop - start
    if n == 0:
        return hashlib.sha256().digest()
    if n == 1:
        return hashlib.sha256(b"\x00" + ENTRIES[start]).digest()
    middle = start + k(n)
    return hashlib.sha256(b"\x01" + mth(start, middle) + mth(middle, stop)).digest()


def path(m: int, start: int, stop: int) -> list[bytes]:
    n = stop - start
    if n == 1:
        return []
    middle = start + k(n)
    if m < k(n):
        return [*path(m, start, middle), mth(middle, stop)]
    return [*path(m - k(n), middle, stop), mth(start, middle)]


def subproof(m: int, start: int, stop: int, whole: bool) -> list[bytes]:
    n = stop - start
    if m == n:
        return [] if whole else [mth(start, stop)]
    middle = start + k(n)
    if m <= k(n):
        return [*subproof(m, start, middle, whole), mth(middle, stop)]
    return [*subproof(m - k(n), middle, stop, False), mth(start, middle)]


def sides(m: int, n: int) -> str:
    """On which side the siblings of leaf m lie: what a path tells about sizes, and all it tells."""
    if n == 1:
        return ""
    return sides(m, k(n)) + "r" if m < k(n) else sides(m - k(n), n - k(n)) + "l"


def shape(m: int, n: int, whole: str = "whole ") -> str:
    """The same for a consistency proof."""
    if m in (0, n):
        return whole
    return shape(m, k(n), whole) + "r" if m <= k(n) else shape(m - k(n), n - k(n), "part ") + "l"


class Store:
    """Tiles in a dict, written only by growing; remembers what was read."""

    def __init__(self) -> None:
        self.size = 0
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.reads: set[tuple[int, int]] = set()

    def read(self, level: int, index: int) -> bytes:
        """A ``ReadTile``; a tile that was never written is a KeyError."""
        self.reads.add((level, index))
        return self.tiles[level, index]

    def grow(self, leaves: list[bytes]) -> merkle.Growth:
        """Grows and stores, as the sequencer does."""
        growth = merkle.grow(self.size, leaves, self.read)
        self.tiles.update(growth.tiles)
        self.size = growth.size
        return growth


@cache
def big() -> Store:
    """One tree of all leaves; smaller trees are read from its tiles, which are wider than they need."""
    store = Store()
    store.grow(LEAVES)
    return store


def flipped(value: bytes, bit: int) -> bytes:
    return (int.from_bytes(value, "big") ^ 1 << bit % (8 * len(value))).to_bytes(len(value), "big")


# --- published vectors: the eight leaves of the Certificate Transparency reference implementation ---------------------

REFERENCE_LEAVES = [
    bytes.fromhex(text)
    for text in ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
]
REFERENCE_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATH_0_OF_8 = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]
CONSISTENCY_6_TO_8 = [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
]


def reference_store() -> Store:
    store = Store()
    store.grow([merkle.leaf_hash(leaf) for leaf in REFERENCE_LEAVES])
    return store


@pytest.mark.parametrize("size", range(9))
def test_the_reference_tree_has_its_published_roots(size: int) -> None:
    growth = Store().grow([merkle.leaf_hash(leaf) for leaf in REFERENCE_LEAVES[:size]])
    assert growth.root.hex() == REFERENCE_ROOTS[size]
    assert merkle.root(size, reference_store().read).hex() == REFERENCE_ROOTS[size]


def test_the_reference_tree_has_its_published_proofs() -> None:
    read = reference_store().read
    assert [part.hex() for part in merkle.inclusion_proof(0, 8, read)] == PATH_0_OF_8
    assert [part.hex() for part in merkle.consistency_proof(1, 8, read)] == PATH_0_OF_8
    assert [part.hex() for part in merkle.consistency_proof(6, 8, read)] == CONSISTENCY_6_TO_8


# --- growing ---------------------------------------------------------------------------------------------------------


def test_growing_leaf_by_leaf_gives_the_naive_root_at_every_size() -> None:
    store = Store()
    assert store.grow([]) == merkle.Growth(0, mth(0, 0), {})
    for size in range(1, 601):
        growth = store.grow([LEAVES[size - 1]])
        assert (growth.size, growth.root) == (size, mth(0, size))
        assert growth.tiles.keys() == {(0, (size - 1) // 256), *([] if size % 256 else [(1, 0)])}
        assert store.grow([]) == merkle.Growth(size, mth(0, size), {})


@settings(deadline=None)
@given(st.lists(st.integers(0, 700), max_size=6))
def test_growing_in_batches_is_growing_at_once(batches: list[int]) -> None:
    store, total = Store(), sum(batches)
    for batch in batches:
        before = store.size
        store.reads.clear()
        growth = store.grow(LEAVES[before : before + batch])
        assert store.reads <= set(merkle.tiles_for_growth(before))
        assert growth.root == mth(0, before + batch)
    at_once = Store()
    assert at_once.grow(LEAVES[:total]).root == mth(0, total)
    assert at_once.tiles == store.tiles


def test_batches_across_the_third_level_give_the_naive_root() -> None:
    store, chance = Store(), random.Random(6962)
    while store.size < MANY:
        batch = chance.choice([1, 255, 256, 257, 3_000, 9_999])
        growth = store.grow(LEAVES[store.size : store.size + batch])
        assert growth.root == mth(0, growth.size)
    assert store.tiles == big().tiles


def test_tiles_have_the_number_and_width_of_the_example_in_tlog_tiles() -> None:
    full = [place for place, tile in big().tiles.items() if len(tile) == merkle.TILE_SIZE]
    partial = {place: len(tile) // 32 for place, tile in big().tiles.items() if len(tile) < merkle.TILE_SIZE}
    assert full == [*((0, index) for index in range(273)), (1, 0)]
    assert partial == {(0, 273): 112, (1, 1): 17, (2, 0): 1}
    assert merkle.tiles_for_growth(MANY) == list(partial)


def test_each_hash_of_a_tile_is_the_naive_root_of_what_it_spans() -> None:
    for (level, index), tile in big().tiles.items():
        span = 256**level
        for place in (0, len(tile) // 64, len(tile) // 32 - 1):
            start = (index * 256 + place) * span
            assert tile[place * 32 : place * 32 + 32] == mth(start, start + span)


def test_growing_again_after_a_crash_gives_the_same_tiles() -> None:
    """The tiles of the first run were stored, its size was not: they are wider than the size says."""
    store = Store()
    store.grow(LEAVES[:300])
    first = store.grow(LEAVES[300:1_000])
    store.size = 300
    assert store.grow(LEAVES[300:1_000]) == first


def test_no_tile_is_needed_to_grow_from_full_tiles() -> None:
    assert merkle.tiles_for_growth(0) == []
    assert merkle.tiles_for_growth(256) == [(1, 0)]
    assert merkle.tiles_for_growth(65_536) == [(2, 0)]


def test_a_leaf_hash_of_another_length_is_not_taken() -> None:
    with pytest.raises(ValueError, match=r"^a leaf hash has 32 bytes$"):
        Store().grow([LEAVES[0], b"short"])


def test_a_tile_with_too_few_hashes_stops_the_work() -> None:
    store = Store()
    store.grow(LEAVES[:300])
    store.tiles[0, 1] = store.tiles[0, 1][:-1]
    for work in (lambda: store.grow(LEAVES[300:301]), lambda: merkle.root(300, store.read)):
        with pytest.raises(BrokerProblem) as caught:
            work()
        told = (caught.value.code, caught.value.got, caught.value.expected)
        assert told == ("log.tile", "1407 bytes in 0/1", "44 hashes")
    assert store.size == 300


# --- proofs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [range(130), range(250, 270), range(510, 520), range(590, 601)])
def test_inclusion_proofs_are_the_naive_ones_and_verify(sizes: range) -> None:
    for size in sizes:
        root = merkle.root(size, big().read)
        assert root == mth(0, size)
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, big().read)
            assert proof == path(index, 0, size)
            assert merkle.verify_inclusion(LEAVES[index], index, size, proof, root)


@pytest.mark.parametrize("sizes", [range(100), range(250, 264), range(508, 518)])
def test_consistency_proofs_are_the_naive_ones_and_verify(sizes: range) -> None:
    for new in sizes:
        for old in range(1, new + 1):
            proof = merkle.consistency_proof(old, new, big().read)
            assert proof == subproof(old, 0, new, whole=True)
            assert merkle.verify_consistency(old, mth(0, old), new, mth(0, new), proof)


@settings(deadline=None)
@given(st.data())
def test_proofs_in_large_trees_are_the_naive_ones_and_verify(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, MANY))
    old, index = data.draw(st.integers(1, new)), data.draw(st.integers(0, new - 1))
    inclusion = merkle.inclusion_proof(index, new, big().read)
    consistency = merkle.consistency_proof(old, new, big().read)
    assert inclusion == path(index, 0, new)
    assert consistency == subproof(old, 0, new, whole=True)
    assert merkle.verify_inclusion(LEAVES[index], index, new, inclusion, mth(0, new))
    assert merkle.verify_consistency(old, mth(0, old), new, mth(0, new), consistency)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (5, 5), (-1, 5), (0, -1)])
def test_no_inclusion_is_proved_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(CallerProblem, match=r"^log\.not-yet$"):
        merkle.inclusion_proof(index, size, big().read)
    assert not merkle.verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])


@pytest.mark.parametrize(("old", "new"), [(6, 5), (-1, 5), (-2, -1)])
def test_no_consistency_is_proved_with_a_shorter_tree(old: int, new: int) -> None:
    with pytest.raises(CallerProblem, match=r"^log\.not-yet$"):
        merkle.consistency_proof(old, new, big().read)
    assert not merkle.verify_consistency(old, mth(0, 5), new, mth(0, 5), [])


def test_a_negative_size_has_no_root() -> None:
    with pytest.raises(CallerProblem) as caught:
        merkle.root(-1, big().read)
    told = (caught.value.code, caught.value.got, caught.value.expected)
    assert told == ("log.not-yet", "", "an index below the size, a size the log has reached")


@pytest.mark.parametrize("new", [0, 1, 7, 300])
def test_every_tree_begins_with_the_empty_tree_and_with_itself(new: int) -> None:
    root, extra = mth(0, new), [LEAVES[0]]
    assert merkle.consistency_proof(0, new, big().read) == merkle.consistency_proof(new, new, big().read) == []
    assert merkle.verify_consistency(0, mth(0, 0), new, root, [])
    assert merkle.verify_consistency(new, root, new, root, [])
    assert not merkle.verify_consistency(0, mth(0, 0), new, root, extra)
    assert not merkle.verify_consistency(new, root, new, root, extra)
    assert not merkle.verify_consistency(0, LEAVES[0], new, root, [])
    assert not merkle.verify_consistency(new, flipped(root, 0), new, root, [])


# --- what is refused -------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(1, 600), st.data())
def test_one_flipped_bit_of_leaf_root_or_proof_spoils_an_inclusion(size: int, data: st.DataObject) -> None:
    index, bit = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, 255))
    leaf, root, proof = LEAVES[index], mth(0, size), path(index, 0, size)
    assert not merkle.verify_inclusion(flipped(leaf, bit), index, size, proof, root)
    assert not merkle.verify_inclusion(leaf, index, size, proof, flipped(root, bit))
    for place, part in enumerate(proof):
        spoilt = [*proof[:place], flipped(part, bit), *proof[place + 1 :]]
        assert not merkle.verify_inclusion(leaf, index, size, spoilt, root)


@settings(deadline=None)
@given(st.integers(2, 600), st.data())
def test_one_flipped_bit_of_a_root_or_the_proof_spoils_a_consistency(new: int, data: st.DataObject) -> None:
    old, bit = data.draw(st.integers(1, new - 1)), data.draw(st.integers(0, 255))
    old_root, new_root, proof = mth(0, old), mth(0, new), subproof(old, 0, new, whole=True)
    assert not merkle.verify_consistency(old, flipped(old_root, bit), new, new_root, proof)
    assert not merkle.verify_consistency(old, old_root, new, flipped(new_root, bit), proof)
    for place, part in enumerate(proof):
        spoilt = [*proof[:place], flipped(part, bit), *proof[place + 1 :]]
        assert not merkle.verify_consistency(old, old_root, new, new_root, spoilt)


@settings(deadline=None)
@given(st.integers(2, 600), st.data())
def test_a_proof_with_a_hash_more_or_less_or_cut_is_refused(new: int, data: st.DataObject) -> None:
    old, index = data.draw(st.integers(1, new - 1)), data.draw(st.integers(0, new - 1))
    for proof in changed_lengths(path(index, 0, new)):
        assert not merkle.verify_inclusion(LEAVES[index], index, new, proof, mth(0, new))
    for proof in changed_lengths(subproof(old, 0, new, whole=True)):
        assert not merkle.verify_consistency(old, mth(0, old), new, mth(0, new), proof)


def changed_lengths(proof: list[bytes]) -> list[list[bytes]]:
    return [proof[:-1], proof[1:], [*proof, LEAVES[0]], [LEAVES[0], *proof], [*proof[:-1], proof[-1][:-1]]]


def test_an_index_or_size_is_accepted_only_where_the_path_is_the_same() -> None:
    """In one tree no two leaves share a path, so every wrong index is refused; a size is bound by the checkpoint."""
    for size in range(1, 25):
        assert len({sides(index, size) for index in range(size)}) == size
        for index in range(size):
            for claimed_size in range(33):
                for claimed in range(33):
                    accepted = merkle.verify_inclusion(
                        LEAVES[index], claimed, claimed_size, path(index, 0, size), mth(0, size)
                    )
                    same = claimed < claimed_size and sides(claimed, claimed_size) == sides(index, size)
                    assert accepted == same


def test_sizes_are_accepted_as_consistent_only_where_the_proof_has_the_same_shape() -> None:
    for new in range(13):
        for old in range(new + 1):
            proof = merkle.consistency_proof(old, new, big().read)
            for claimed_new in range(16):
                for claimed_old in range(16):
                    if merkle.verify_consistency(claimed_old, mth(0, old), claimed_new, mth(0, new), proof):
                        assert claimed_old <= claimed_new
                        assert shape(claimed_old, claimed_new) == shape(old, new)


def test_a_log_that_changed_an_old_entry_cannot_prove_consistency() -> None:
    rewritten = Store()
    rewritten.grow([*LEAVES[:100], merkle.leaf_hash(b"another entry"), *LEAVES[101:300]])
    for old in range(101, 300):
        proof = merkle.consistency_proof(old, 300, rewritten.read)
        assert not merkle.verify_consistency(old, mth(0, old), 300, merkle.root(300, rewritten.read), proof)


def test_an_inner_node_does_not_pass_for_an_entry() -> None:
    forged = merkle.leaf_hash(LEAVES[0] + LEAVES[1])
    assert forged != merkle.node_hash(LEAVES[0], LEAVES[1])
    assert not merkle.verify_inclusion(forged, 0, 2, [mth(2, 4)], mth(0, 4))


# --- where tiles lie -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (merkle.TilePath(0, 0), "tile/0/000"),
        (merkle.TilePath(0, 1_067, 5), "tile/0/x001/067.p/5"),
        (merkle.TilePath(1, 1_234_067), "tile/1/x001/x234/067"),
        (merkle.TilePath(63, 999, 255), "tile/63/999.p/255"),
        (merkle.TilePath(2, 1_000_000), "tile/2/x001/x000/000"),
        (merkle.TilePath(merkle.ENTRIES, 1_067, 5), "tile/entries/x001/067.p/5"),
    ],
)
def test_a_tile_lies_where_tlog_tiles_says(tile: merkle.TilePath, path: str) -> None:
    assert merkle.tile_path(tile.level, tile.index, tile.width) == path
    assert merkle.parse_tile_path(path) == tile


@given(st.integers(merkle.ENTRIES, 63), st.integers(0, 2**63), st.integers(1, 256))
def test_every_tile_path_reads_back(level: int, index: int, width: int) -> None:
    assert merkle.parse_tile_path(merkle.tile_path(level, index, width)) == merkle.TilePath(level, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/0/0",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/x1/002",
        "tile/0/X001/002",
        "tile/0/1000",
        "tile/0/000.p/0",
        "tile/0/000.p/05",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/../000",
        "tile/٠/000",
        "tile/0/٠٠٠",
        "tile/0/" + "x001/" * 7 + "000",
    ],
)
def test_a_path_spelt_any_other_way_is_refused(path: str) -> None:
    with pytest.raises(CallerProblem, match=r"^log\.tile-path$"):
        merkle.parse_tile_path(path)


@given(st.from_regex(r"\Atile/(entries|[0-9]{1,2})/(x[0-9]{3}/){0,2}[0-9]{3}(\.p/[0-9]{1,3})?\Z"))
def test_a_path_that_is_accepted_is_the_only_one_of_its_tile(path: str) -> None:
    try:
        tile = merkle.parse_tile_path(path)
    except CallerProblem:
        return
    assert merkle.tile_path(tile.level, tile.index, tile.width) == path


@pytest.mark.parametrize("place", [(-2, 0, 256), (64, 0, 256), (0, -1, 256), (0, 0, 0), (0, 0, 257)])
def test_a_tile_that_cannot_be_has_no_path(place: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="no tile"):
        merkle.tile_path(*place)


# --- what only a proof made to fit would show -------------------------------------------------------------------------


def test_hashes_of_another_length_prove_no_consistency_however_well_they_fit() -> None:
    short, whole = b"s" * 31, b"w" * 32
    for old_root, sibling in ((short, whole), (whole, short)):
        fitting = merkle.node_hash(old_root, sibling)
        assert not merkle.verify_consistency(1, old_root, 2, fitting, [sibling])
    assert merkle.verify_consistency(1, whole, 2, merkle.node_hash(whole, whole), [whole])
    assert merkle.verify_consistency(0, merkle.EMPTY_ROOT, 2, whole, [])
    assert not merkle.verify_consistency(0, merkle.EMPTY_ROOT, 2, short, [])


def test_hashes_of_another_length_prove_no_inclusion_however_well_they_fit() -> None:
    short, whole = b"s" * 31, b"w" * 32
    assert merkle.verify_inclusion(whole, 0, 2, [whole], merkle.node_hash(whole, whole))
    assert not merkle.verify_inclusion(short, 0, 2, [whole], merkle.node_hash(short, whole))
    assert not merkle.verify_inclusion(whole, 0, 2, [short], merkle.node_hash(whole, short))
    assert not merkle.verify_inclusion(short, 0, 1, [], short)
