"""Notes, checkpoints, proofs and bundles against published vectors, and what must not pass for them."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from broker.core import checkpoint, merkle
from broker.core.checkpoint import Checkpoint, InclusionProof
from broker.core.envelope import Algorithm, Signer, Verifier
from broker.core.errors import BrokerProblem, CallerProblem

ORIGIN = "example.com/log"
WITNESS = "witness.example"


@dataclass(frozen=True, slots=True)
class Ed25519Key:
    """A signer and a verifier in one, over a seed of the test's choice."""

    seed: bytes
    key_id: str = "log-2025"
    algorithm: Algorithm = Algorithm.ED25519

    @property
    def public(self) -> bytes:
        """The raw public key."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """A deterministic signature."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Never raises, as the port wants it."""
        return ed25519_verifies(self.public, message, signature)


@dataclass(frozen=True, slots=True)
class PointKey:
    """Stands for SM2 and P-256, whose keys are 65-byte points: the note does not care how a signature is made."""

    algorithm: Algorithm
    key_id: str = "point"
    public: bytes = b"\x04" + bytes(range(64))

    def sign(self, message: bytes) -> bytes:
        """64 bytes that depend on everything."""
        return hashlib.sha512(self.algorithm.encode() + self.public + message).digest()

    def verify(self, message: bytes, signature: bytes) -> bool:
        """As a real key does: true for its own signature only."""
        return signature == self.sign(message)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A verifier made of a published key."""

    public: bytes
    key_id: str = "published"
    algorithm: Algorithm = Algorithm.ED25519

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Never raises."""
        return ed25519_verifies(self.public, message, signature)


def ed25519_verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


LOG = Ed25519Key(b"\x01" * 32)
OTHER = Ed25519Key(b"\x02" * 32, "log-2026")
SM2 = PointKey(Algorithm.SM2)
P256 = PointKey(Algorithm.P256)
HEAD = Checkpoint(ORIGIN, 70_000, merkle.leaf_hash(b"any hash"))
NOTE = checkpoint.sign(HEAD, [LOG, SM2])


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def refused(code: str, note: str, *verifiers: Verifier, origin: str = ORIGIN) -> None:
    with pytest.raises(CallerProblem) as caught:
        checkpoint.verify(note, origin, verifiers or (LOG, SM2))
    assert caught.value.code == code


# --- published vectors ------------------------------------------------------------------------------------------------

GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
# The example key of that documentation, published on purpose.
GO_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
VECTORS = [  # text, signature line, verifier key: from the documentation of Go's sumdb/note, from C2SP signed-note
    (
        GO_TEXT,
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ),
    (
        "This is an example message.\n",
        (
            "— example.com/foo "
            "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
        ),
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ),
]


@pytest.mark.parametrize(("text", "line", "vkey"), VECTORS)
def test_published_notes_open_with_their_published_keys(text: str, line: str, vkey: str) -> None:
    key = checkpoint.parse_verifier_key(vkey)
    assert checkpoint.verifier_key(key.name, key) == vkey
    assert checkpoint.key_hash(key.name, key).hex() == vkey.split("+")[1]
    note = f"{text}\n{line}\n"
    assert checkpoint.open_note(note, key.name, [PublicKey(key.public)]) == text
    with pytest.raises(CallerProblem, match=r"^log\.checkpoint-signature$"):
        checkpoint.open_note(note.replace("is", "was", 1), key.name, [PublicKey(key.public)])
    with pytest.raises(CallerProblem, match=r"^log\.checkpoint-malformed$"):
        checkpoint.verify(note, key.name, [PublicKey(key.public)])


def test_the_published_private_key_gives_the_published_signature() -> None:
    text, line, vkey = VECTORS[0]
    note = f"{text}\n— {WITNESS} {b64(bytes(68))}\n"
    assert checkpoint.signed_also(note, "PeterNeumann", [Ed25519Key(GO_SEED)]) == f"{note}{line}\n"
    assert checkpoint.verifier_key("PeterNeumann", Ed25519Key(GO_SEED)) == vkey


def test_the_checkpoint_of_the_specification_has_the_text_of_its_parts() -> None:
    root = base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert Checkpoint("example.com/behind-the-sofa", 20_852_163, root).text == text


# --- signing and verifying --------------------------------------------------------------------------------------------


def test_a_signed_checkpoint_reads_back_and_shows_the_lines_of_its_format() -> None:
    assert checkpoint.verify(NOTE, ORIGIN, [LOG, SM2]) == HEAD
    origin, size, root, blank, first, second, end = NOTE.split("\n")
    assert (origin, size, root, blank, end) == (ORIGIN, "70000", b64(HEAD.root), "", "")
    assert first == f"— {ORIGIN} {b64(checkpoint.key_hash(ORIGIN, LOG) + LOG.sign(HEAD.text.encode()))}"
    assert second == f"— {ORIGIN} {b64(checkpoint.key_hash(ORIGIN, SM2) + SM2.sign(HEAD.text.encode()))}"


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (LOG, b"\x01"),
        (SM2, b"\xffexemption-broker/note/SM2-SM3"),
        (P256, b"\xffexemption-broker/note/ES256"),
    ],
)
def test_a_key_hash_covers_name_type_and_key(key: Signer, kind: bytes) -> None:
    expected = hashlib.sha256(ORIGIN.encode() + b"\n" + kind + key.public).digest()[:4]
    assert checkpoint.key_hash(ORIGIN, key) == expected
    assert checkpoint.verifier_key(ORIGIN, key) == f"{ORIGIN}+{expected.hex()}+{b64(kind + key.public)}"
    read_back = checkpoint.parse_verifier_key(checkpoint.verifier_key(ORIGIN, key))
    assert read_back == checkpoint.NoteKey(ORIGIN, key.algorithm, key.public)


def test_one_point_under_two_algorithms_is_two_keys() -> None:
    assert checkpoint.key_hash(ORIGIN, SM2) != checkpoint.key_hash(ORIGIN, P256)
    refused("log.checkpoint-unsigned", checkpoint.sign(HEAD, [SM2]), P256)


@pytest.mark.parametrize("size", [0, 1, 10**18 - 1])
def test_checkpoints_of_any_size_read_back(size: int) -> None:
    head = replace(HEAD, size=size)
    assert checkpoint.verify(checkpoint.sign(head, [LOG]), ORIGIN, [LOG]) == head


def test_extension_lines_are_kept() -> None:
    head = replace(HEAD, extensions=("first", "second line"))
    assert checkpoint.verify(checkpoint.sign(head, [LOG]), ORIGIN, [LOG]) == head


@pytest.mark.parametrize(
    "head",
    [
        replace(HEAD, origin=""),
        replace(HEAD, origin="two words"),
        replace(HEAD, origin="a+b"),
        replace(HEAD, origin="a\nb"),
        replace(HEAD, size=-1),
        replace(HEAD, size=10**18),
        replace(HEAD, root=b"short"),
        replace(HEAD, extensions=("",)),
        replace(HEAD, extensions=("two\nlines",)),
        replace(HEAD, extensions=("\x07",)),
    ],
)
def test_a_checkpoint_that_would_not_read_back_is_not_signed(head: Checkpoint) -> None:
    with pytest.raises(ValueError, match=r"checkpoint|key name"):
        checkpoint.sign(head, [LOG])


def test_a_checkpoint_is_not_written_without_a_signature() -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        checkpoint.sign(HEAD, [])


def test_lines_of_unknown_keys_are_ignored() -> None:
    stranger = f"— {ORIGIN} {b64(b'abcd' + bytes(100))}\n"
    assert checkpoint.verify(NOTE + stranger, ORIGIN, [LOG, SM2]) == HEAD
    assert checkpoint.verify(checkpoint.signed_also(NOTE, ORIGIN, [OTHER]), ORIGIN, [LOG]) == HEAD
    sixteen = checkpoint.signed_also(NOTE, WITNESS, [Ed25519Key(bytes([n]) * 32) for n in range(3, 17)])
    assert checkpoint.verify(sixteen, ORIGIN, [LOG, SM2]) == HEAD


def test_all_given_keys_must_have_signed_unless_fewer_are_asked_for() -> None:
    note = checkpoint.sign(HEAD, [LOG])
    refused("log.checkpoint-unsigned", note, LOG, SM2)
    refused("log.checkpoint-unsigned", note + note.splitlines()[-1] + "\n", LOG, SM2)
    assert checkpoint.verify(note, ORIGIN, [OTHER, LOG, SM2], at_least=1) == HEAD
    with pytest.raises(CallerProblem, match=r"^log\.checkpoint-unsigned$"):
        checkpoint.verify(note, ORIGIN, [OTHER, SM2], at_least=1)


@pytest.mark.parametrize("at_least", [None, 0, -1])
def test_nothing_is_opened_without_a_key(at_least: int | None) -> None:
    for keys in ([], [OTHER]):
        with pytest.raises(CallerProblem, match=r"^log\.checkpoint-unsigned$"):
            checkpoint.verify(NOTE, ORIGIN, keys, at_least=at_least)


def test_a_bad_line_of_a_known_key_spoils_the_note_even_beside_a_good_one() -> None:
    bad = f"— {ORIGIN} {b64(checkpoint.key_hash(ORIGIN, LOG) + bytes(64))}\n"
    refused("log.checkpoint-signature", NOTE + bad)
    short = f"— {ORIGIN} {b64(checkpoint.key_hash(ORIGIN, LOG) + bytes(63))}\n"
    refused("log.checkpoint-signature", NOTE + short)


def test_a_key_signs_under_its_own_name_only() -> None:
    renamed = NOTE.replace(f"— {ORIGIN}", f"— {WITNESS}")
    refused("log.checkpoint-unsigned", renamed)


def test_a_witness_adds_its_line_and_is_verified_by_its_name() -> None:
    note = checkpoint.signed_also(NOTE, WITNESS, [OTHER])
    assert note.startswith(NOTE)
    assert checkpoint.verify(note, ORIGIN, [LOG, SM2]) == HEAD
    assert checkpoint.verify(note, ORIGIN, [OTHER], name=WITNESS) == HEAD
    refused("log.checkpoint-unsigned", note, OTHER)
    with pytest.raises(CallerProblem, match=r"^log\.checkpoint-unsigned$"):
        checkpoint.verify(NOTE, ORIGIN, [OTHER], name=WITNESS)


def test_a_checkpoint_of_another_log_is_refused_although_a_trusted_witness_signed_it() -> None:
    note = checkpoint.signed_also(checkpoint.sign(replace(HEAD, origin="example.com/other"), [LOG]), WITNESS, [OTHER])
    with pytest.raises(CallerProblem, match=r"^log\.origin$"):
        checkpoint.verify(note, ORIGIN, [OTHER], name=WITNESS)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\u3000b", "a\x01b"])
def test_a_name_that_a_note_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="key name"):
        checkpoint.signed_also(NOTE, name, [OTHER])
    with pytest.raises(ValueError, match="key name"):
        checkpoint.verifier_key(name, OTHER)


# --- malformed notes --------------------------------------------------------------------------------------------------

LINE = f"— {ORIGIN} {b64(b'abcd' + bytes(64))}"
TEXT = HEAD.text


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        "\n\n",
        TEXT,
        f"{TEXT}\n",
        f"{TEXT}{LINE}\n",  # no empty line
        f"{TEXT}\n{LINE}",  # no end of line
        f"{TEXT}\n{LINE}\n\n",
        f"{TEXT}\n{LINE}\n\n{LINE}",
        f"{TEXT}\n\n{LINE}\nx\n",
        f"{TEXT}\n{LINE.replace('—', '-')}\n",
        f"{TEXT}\n{LINE.replace('— ', '—')}\n",
        f"{TEXT}\n{LINE.replace(ORIGIN, 'a+b')}\n",
        f"{TEXT}\n{LINE.replace(ORIGIN, 'a b')}\n",
        f"{TEXT}\n{LINE.replace(ORIGIN, '')}\n",
        f"{TEXT}\n{LINE} \n",
        f"{TEXT}\n{LINE}=\n",
        f"{TEXT}\n— {ORIGIN} {b64(b'abcd')}\n",  # a key hash and no signature
        f"{TEXT}\n— {ORIGIN} {b64(b'abcde')[:-1]}\n",  # no padding
        f"{TEXT}\n— {ORIGIN} {b64(b'abcde')[:-2]}V=\n",  # bits behind the end
        f"{TEXT}\n— {ORIGIN} {b64(bytes([251] * 9)).replace('+', '-')}\n",
        f"{TEXT}\n{LINE}\r\n",
        f"{TEXT}\x00\n{LINE}\n",
        f"{TEXT}\t\n{LINE}\n",
        f"{TEXT}\ud800\n{LINE}\n",
        f"{TEXT}\n" + f"{LINE}\n" * 2_000,
    ],
)
def test_a_note_of_another_form_is_malformed(note: str) -> None:
    refused("log.checkpoint-malformed", note)


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n",
        f"{ORIGIN}\n7\n",
        f"\n7\n{b64(HEAD.root)}\n",
        f"{ORIGIN}\n\n{b64(HEAD.root)}\n",
        f"{ORIGIN}\n07\n{b64(HEAD.root)}\n",
        f"{ORIGIN}\n-7\n{b64(HEAD.root)}\n",
        f"{ORIGIN}\n+7\n{b64(HEAD.root)}\n",
        f"{ORIGIN}\n7 \n{b64(HEAD.root)}\n",
        f"{ORIGIN}\n٧\n{b64(HEAD.root)}\n",
        f"{ORIGIN}\n{10**18}\n{b64(HEAD.root)}\n",
        f"{ORIGIN}\n7\n{b64(HEAD.root)[:-1]}\n",
        f"{ORIGIN}\n7\n{b64(HEAD.root[:-1])}\n",
        f"{ORIGIN}\n7\n{b64(HEAD.root + b'x')}\n",
        f"{ORIGIN}\n7\n{HEAD.root.hex()}\n",
        f"{ORIGIN}\n7\n{b64(HEAD.root)}\n\n",
        f"{ORIGIN}\n7\n{b64(HEAD.root)}\n\nx\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_is_malformed(text: str) -> None:
    note = f"{text}\n— {ORIGIN} {b64(checkpoint.key_hash(ORIGIN, LOG) + LOG.sign(text.encode()))}\n"
    assert checkpoint.open_note(note, ORIGIN, [LOG]) == text
    refused("log.checkpoint-malformed", note, LOG)


@given(st.integers(0, 8 * len(NOTE.encode()) - 1))
def test_no_flipped_bit_of_a_note_goes_unseen(bit: int) -> None:
    changed = bytearray(NOTE.encode())
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CallerProblem):
        checkpoint.verify(changed.decode("utf-8", errors="surrogateescape"), ORIGIN, [LOG, SM2])


@given(st.text() | st.lists(st.sampled_from(["\n", "—", " ", "a", "YWJjZGVm", "0"])).map("".join))
def test_no_text_raises_anything_but_a_problem(text: str) -> None:
    for read in (checkpoint.parse_verifier_key, checkpoint.parse_proof):
        with pytest.raises(CallerProblem):
            read(text)
    with pytest.raises(CallerProblem):
        checkpoint.verify(text, ORIGIN, [LOG])


@pytest.mark.parametrize(
    "change",
    [
        ("c74f20a3", "c74f20a4"),
        ("c74f20a3", "C74F20A3"),
        ("c74f20a3", "c74f20a"),
        ("PeterNeumann", "PeterNewman"),
        ("PeterNeumann", ""),
        ("PeterNeumann", "Peter Neumann"),
        ("PeterNeumann", "Peter\ud800"),
        ("+ARpc", "+Ahpc"),
        ("10TW", "10TX"),
        ("10TW", "10Q="),
        ("10TW", "10TWAAAA"),
        ("10TW", "10TW\n"),
    ],
)
def test_a_verifier_key_with_anything_changed_is_refused(change: tuple[str, str]) -> None:
    text = VECTORS[0][2].replace(*change)
    with pytest.raises(CallerProblem, match=r"^log\.verifier-key$"):
        checkpoint.parse_verifier_key(text)


# --- inclusion proofs -------------------------------------------------------------------------------------------------

HASHES = (merkle.leaf_hash(b"1"), merkle.leaf_hash(b"2"))
FORMATTED = f"c2sp.org/tlog-proof@v1\nindex 5\n{b64(HASHES[0])}\n{b64(HASHES[1])}\n\n{NOTE}"


def test_a_proof_is_written_as_tlog_proof_says_and_reads_back() -> None:
    proof = InclusionProof(5, HASHES, NOTE)
    assert proof.format() == FORMATTED
    assert checkpoint.parse_proof(FORMATTED) == proof


def test_a_proof_in_a_tree_of_one_leaf_has_no_hashes() -> None:
    text = f"c2sp.org/tlog-proof@v1\nindex 0\n\n{NOTE}"
    assert checkpoint.parse_proof(text) == InclusionProof(0, (), NOTE)
    assert InclusionProof(0, (), NOTE).format() == text


def test_extra_data_is_kept_between_header_and_index() -> None:
    proof = InclusionProof(5, HASHES, NOTE, b"extra information")
    assert proof.format() == FORMATTED.replace("\nindex", f"\nextra {b64(b'extra information')}\nindex")
    assert checkpoint.parse_proof(proof.format()) == proof


@given(st.integers(0, 10**18 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63), st.binary(max_size=50))
def test_every_proof_reads_back(index: int, hashes: list[bytes], extra: bytes) -> None:
    proof = InclusionProof(index, tuple(hashes), NOTE, extra)
    assert checkpoint.parse_proof(proof.format()) == proof


@pytest.mark.parametrize(
    "change",
    [
        ("@v1", "@v2"),
        ("@v1\n", "@v1\n\n"),
        ("@v1\n", "@v1\r\n"),
        ("c2sp", " c2sp"),
        ("index 5", "index 05"),
        ("index 5", "index -5"),
        ("index 5", "index  5"),
        ("index 5", "index ٥"),
        ("index 5", f"index {10**18}"),
        ("index 5", "index"),
        ("index 5\n", ""),
        ("index 5\n", "index 5\nextra YQ==\n"),
        ("index", "extra \nindex"),
        ("index", "extra YQ\nindex"),
        ("index", "extra YR==\nindex"),
        ("index", "extra YQ==\nextra YQ==\nindex"),
        (b64(HASHES[0]), b64(HASHES[0])[:-1]),
        (b64(HASHES[0]), b64(HASHES[0])[:-4]),
        (b64(HASHES[0]), b64(HASHES[0]) + " "),
        (b64(HASHES[0]), b64(HASHES[0] + HASHES[1])),
        (b64(HASHES[0])[-2:], chr(ord(b64(HASHES[0])[-2]) + 1) + "="),
        (b64(HASHES[0]) + "\n", f"{b64(HASHES[0])}\n" * 63),
        ("\n\n" + NOTE, ""),
        (NOTE, ""),
    ],
)
def test_a_proof_spelt_any_other_way_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises(CallerProblem, match=r"^log\.proof-malformed$"):
        checkpoint.parse_proof(FORMATTED.replace(*change, 1))


def test_an_entry_is_checked_offline_from_its_proof_and_the_keys_alone() -> None:
    leaves = [merkle.leaf_hash(b"entry %d" % number) for number in range(1_000)]
    growth = merkle.grow(0, leaves, lambda _level, _index: b"")
    note = checkpoint.sign(Checkpoint(ORIGIN, growth.size, growth.root), [LOG, SM2])
    hashes = merkle.inclusion_proof(700, growth.size, lambda level, index: growth.tiles[level, index])
    proof = checkpoint.parse_proof(InclusionProof(700, tuple(hashes), note).format())
    head = checkpoint.verify(proof.checkpoint, ORIGIN, [LOG, SM2])
    for entry, included in ((b"entry 700", True), (b"entry 701", False)):
        leaf = merkle.leaf_hash(entry)
        assert merkle.verify_inclusion(leaf, proof.index, head.size, proof.hashes, head.root) == included


# --- bundles ----------------------------------------------------------------------------------------------------------


def test_a_bundle_puts_each_entry_behind_its_length() -> None:
    assert checkpoint.pack_entries([b"", b"abc", b"x" * 258]) == b"\0\0" + b"\0\3abc" + b"\1\2" + b"x" * 258


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_every_bundle_unpacks_and_no_bundle_cut_within_an_entry_does(entries: list[bytes]) -> None:
    bundle = checkpoint.pack_entries(entries)
    assert checkpoint.unpack_entries(bundle) == entries
    if entries:
        with pytest.raises(CallerProblem, match=r"^log\.bundle-malformed$"):
            checkpoint.unpack_entries(bundle[:-1])


def test_the_longest_entry_fits_and_a_longer_one_does_not() -> None:
    assert checkpoint.unpack_entries(checkpoint.pack_entries([b"x" * 65_535])) == [b"x" * 65_535]
    with pytest.raises(BrokerProblem, match=r"^log\.entry-too-long$"):
        checkpoint.pack_entries([b"x" * 65_536])


def test_a_bundle_holds_256_entries_at_most() -> None:
    assert len(checkpoint.unpack_entries(checkpoint.pack_entries([b"x"] * 256))) == 256
    with pytest.raises(ValueError, match="256"):
        checkpoint.pack_entries([b"x"] * 257)
    with pytest.raises(CallerProblem, match=r"^log\.bundle-malformed$"):
        checkpoint.unpack_entries(b"\0\1x" * 257)
