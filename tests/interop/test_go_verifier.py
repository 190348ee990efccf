"""The log as Go's own packages see it: ``sumdb/note`` opens our checkpoints, ``sumdb/tlog`` follows our proofs."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator, Sequence
from hashlib import sha256

import pytest

from broker.core import checkpoint, merkle
from broker.core.checkpoint import Checkpoint
from broker.core.envelope import Algorithm
from broker.signing import keys
from tests.interop.installed import go_verifier

ORIGIN = "exemption-broker.example/log"
SIZES = (1, 2, 3, 7, 8, 255, 256, 257, 300, 511, 600)
ENTRIES = [f'{{"kind":"test","number":{number}}}'.encode() for number in range(max(SIZES))]
SIGNERS = [keys.generate(Algorithm.ED25519, "log-1"), keys.generate(Algorithm.SM2, "log-2")]


class Go:
    """The verifier's process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, question: str, *arguments: bytes | str | int) -> str:
        """One question, one answer."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        raw = [one if isinstance(one, bytes) else str(one).encode() for one in arguments]
        print(question, *(base64.b64encode(one).decode() for one in raw), file=stdin, flush=True)
        return stdout.readline().strip()


@pytest.fixture(scope="module")
def go() -> Iterator[Go]:
    with subprocess.Popen(go_verifier(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Go(process)
        process.kill()


@pytest.fixture(scope="module")
def tiles() -> dict[tuple[int, int], bytes]:
    """The log of all entries."""
    return merkle.grow(0, [merkle.leaf_hash(entry) for entry in ENTRIES], lambda level, index: b"").tiles


def root_of(size: int, tiles: dict[tuple[int, int], bytes]) -> bytes:
    return merkle.root(size, lambda level, index: tiles[level, index])


def joined(proof: Sequence[bytes]) -> bytes:
    return b"".join(proof)


@pytest.mark.parametrize("size", SIZES)
def test_go_opens_our_checkpoint_and_passes_over_the_line_of_sm2(
    go: Go, tiles: dict[tuple[int, int], bytes], size: int
) -> None:
    head = Checkpoint(ORIGIN, size, root_of(size, tiles))
    note = checkpoint.sign(head, SIGNERS)
    key = checkpoint.verifier_key(ORIGIN, SIGNERS[0])
    assert go.ask("note", key, note) == f"ok {size} {base64.b64encode(head.root).decode()}"
    assert go.ask("note", key, note.replace(f"\n{size}\n", f"\n{size + 1}\n", 1)).startswith("no ")
    other = checkpoint.verifier_key(ORIGIN, keys.generate(Algorithm.ED25519, "log-3"))
    assert go.ask("note", other, note).startswith("no ")


@pytest.mark.parametrize("size", SIZES)
def test_go_follows_our_proofs_of_inclusion(go: Go, tiles: dict[tuple[int, int], bytes], size: int) -> None:
    root = root_of(size, tiles)
    for index in sorted({0, size // 3, size // 2, size - 1}):
        proof = merkle.inclusion_proof(index, size, lambda level, at: tiles[level, at])
        assert go.ask("record", index, size, root, ENTRIES[index], joined(proof)) == "ok"
        assert go.ask("record", index, size, root, ENTRIES[index] + b" ", joined(proof)).startswith("no ")
        assert go.ask("record", index, size, sha256(root).digest(), ENTRIES[index], joined(proof)).startswith("no ")


@pytest.mark.parametrize("size", SIZES)
def test_go_follows_our_proofs_of_consistency(go: Go, tiles: dict[tuple[int, int], bytes], size: int) -> None:
    root = root_of(size, tiles)
    for old in [one for one in SIZES if one <= size]:
        before, proof = root_of(old, tiles), merkle.consistency_proof(old, size, lambda level, at: tiles[level, at])
        assert go.ask("tree", old, before, size, root, joined(proof)) == "ok"
        assert go.ask("tree", old, sha256(before).digest(), size, root, joined(proof)).startswith("no ")
