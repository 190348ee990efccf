r"""What the log hands out to be checked elsewhere: signed checkpoints, inclusion proofs, bundles of entries.

The formats are C2SP's: signed-note, tlog-checkpoint, tlog-proof@v1 and the entry bundles of tlog-tiles. A signature
line is ``— <key name> base64(key hash ‖ signature)``, where

    key hash = SHA-256(key name ‖ "\n" ‖ signature type ‖ public key)[:4]

Our signature types, and the public keys and signatures that go with them:

    Ed25519   0x01                                    32-byte key, 64-byte signature (signed-note's own type)
    SM2-SM3   0xff ‖ "exemption-broker/note/SM2-SM3"  65-byte uncompressed point; r ‖ s, default identifier
    ES256     0xff ‖ "exemption-broker/note/ES256"    65-byte uncompressed point; r ‖ s

0xff is what signed-note reserves for types without an assigned byte; the text behind it is ASCII without a
terminator, its length and the key's being fixed. (0x02 is not ours: it means DER signatures and other key hashes.)
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from broker.core.envelope import Algorithm, Revoked, Signer, Verifier
from broker.core.errors import BrokerProblem, CallerProblem
from broker.core.merkle import HASH_SIZE, TILE_WIDTH

MAX_NOTE = 128 * 1024  # 16 post-quantum signatures of 5 kB, the least signed-note makes us accept, and room to spare
MAX_ENTRY = 0xFFFF  # an entry's length is a uint16
KEY_HASH_SIZE = 4
PROOF_HEADER = "c2sp.org/tlog-proof@v1"

SIGNATURE_TYPES = {
    Algorithm.ED25519: b"\x01",
    Algorithm.SM2: b"\xffexemption-broker/note/SM2-SM3",
    Algorithm.P256: b"\xffexemption-broker/note/ES256",
}
_KEY_SIZES = {Algorithm.ED25519: 32, Algorithm.SM2: 65, Algorithm.P256: 65}

_NAME = r"[^\s+\x00-\x1f\ud800-\udfff]+"
_NUMBER = r"0|[1-9][0-9]{0,17}"  # ASCII only, and always below 2^63
_KEY_NAME = re.compile(_NAME)
_SIZE = re.compile(_NUMBER)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIGNATURE_LINE = re.compile(rf"— ({_NAME}) ([A-Za-z0-9+/=]+)")
_PROOF = re.compile(  # a path through a tree of 2^63 leaves has 63 hashes
    rf"{re.escape(PROOF_HEADER)}\n(?:extra ([A-Za-z0-9+/=]+)\n)?index ({_NUMBER})\n"
    r"((?:[A-Za-z0-9+/]{43}=\n){0,63})\n(.+)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the log commits to: its first ``size`` entries have this ``root``. Extensions are others' lines, kept."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The note text that is signed."""
        lines = [self.origin, str(self.size), _b64(self.root), *self.extensions]
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key as operators exchange it: under which name it signs notes, and with which algorithm."""

    name: str
    algorithm: Algorithm
    public: bytes


# --- checkpoints -----------------------------------------------------------------------------------------------------


def sign(checkpoint: Checkpoint, signers: Sequence[Signer]) -> str:
    """The checkpoint as a note with one line for each signer, under the origin's name as tlog-checkpoint advises.

    Left outside: that no earlier checkpoint contradicts this one. ``ValueError`` if it could not be read back.
    """
    note = f"{checkpoint.text}\n{_lines(checkpoint.text, checkpoint.origin, signers)}"
    try:
        unharmed = _parse_checkpoint(split_note(note)[0]) == checkpoint
    except CallerProblem as problem:
        raise ValueError("such a checkpoint cannot be written") from problem
    if not unharmed:
        raise ValueError("such a checkpoint reads back as another one")
    return note


def signed_also(note: str, name: str, signers: Sequence[Signer]) -> str:
    """The note with somebody else's lines added under their name; what is signed is the text, not the other lines.

    A witness's line is another kind: ``core.cosignature``.
    """
    text, _ = split_note(note)
    return note + _lines(text, name, signers)


def verify(
    note: str, origin: str, verifiers: Sequence[Verifier], *, name: str | None = None, at_least: int | None = None
) -> Checkpoint:
    """The checkpoint in a note (1) well-formed, (2) signed as ``open_note`` asks, (3) a checkpoint, (4) of this log.

    ``name`` is that of a witness; by default the log itself, named by its origin, must have signed.
    Raises ``CallerProblem`` ``log.checkpoint-malformed``, ``log.checkpoint-signature``, ``log.checkpoint-unsigned`` or
    ``log.origin``.
    """
    text = open_note(note, origin if name is None else name, verifiers, at_least=at_least)  # (1), (2)
    checkpoint = _parse_checkpoint(text)  # (3)
    if checkpoint.origin != origin:  # (4)
        raise CallerProblem("log.origin", expected=origin)
    return checkpoint


def _parse_checkpoint(text: str) -> Checkpoint:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 3 or not all(lines) or not _SIZE.fullmatch(lines[1]):
        raise _malformed("an origin, a size, a root")
    root = _unb64(lines[2])
    if root is None or len(root) != HASH_SIZE:
        raise _malformed("a SHA-256 hash in base64")
    return Checkpoint(lines[0], int(lines[1]), root, tuple(lines[3:]))


# --- signed notes ----------------------------------------------------------------------------------------------------


def open_note(note: str, name: str, verifiers: Sequence[Verifier], *, at_least: int | None = None) -> str:
    """The text of a note, after (1) its form, (2) every line of a known key verifies, (3) enough keys have signed.

    Known are the ``verifiers`` under ``name``; lines of any other key are ignored. ``at_least`` of them must have
    signed, by default all: so an SM2 line cannot be dropped unseen. Give 1 to read old notes with a key history.
    Where no key is known, nothing is verified, hence nothing opened. Revoked keys are not known: ``counting`` tells
    which of them a witness makes good.
    Raises ``CallerProblem`` ``log.checkpoint-malformed``, ``log.checkpoint-signature`` or ``log.checkpoint-unsigned``.
    """
    standing = [one for one in verifiers if not isinstance(one, Revoked)]
    needed = max(1, len(standing) if at_least is None else at_least)
    text, signatures = split_note(note)  # (1)
    known = {(name, key_hash(name, verifier)): verifier for verifier in standing}
    signed = set()
    for key, signature in signatures:
        if key in known:
            if not known[key].verify(text.encode(), signature):  # (2)
                raise CallerProblem("log.checkpoint-signature", got=known[key].key_id)
            signed.add(key)
    if len(signed) < needed:  # (3)
        raise CallerProblem("log.checkpoint-unsigned", got=f"{len(signed)} signatures", expected=f"{needed}")
    return text


def key_hash(name: str, key: Signer | Verifier | NoteKey) -> bytes:
    """The four bytes that, with the name, say which key and algorithm made a signature line."""
    return sha256(name.encode() + b"\n" + SIGNATURE_TYPES[key.algorithm] + key.public).digest()[:KEY_HASH_SIZE]


def verifier_key(name: str, key: Signer | Verifier | NoteKey) -> str:
    """The key as signed-note tools take it: ``name+key hash in hex+base64(type ‖ public key)``, the "vkey"."""
    require_name(name)
    return f"{name}+{key_hash(name, key).hex()}+{_b64(SIGNATURE_TYPES[key.algorithm] + key.public)}"


def parse_verifier_key(text: str) -> NoteKey:
    """The inverse of ``verifier_key``; ``CallerProblem`` ``log.verifier-key`` for any other text or a wrong hash."""
    name, _, rest = text.partition("+")
    encoded = _unb64(rest.partition("+")[2]) or b""
    for algorithm, prefix in SIGNATURE_TYPES.items():
        if encoded.startswith(prefix) and len(encoded) == len(prefix) + _KEY_SIZES[algorithm]:
            key = NoteKey(name, algorithm, encoded.removeprefix(prefix))
            if _KEY_NAME.fullmatch(name) and verifier_key(name, key) == text:
                return key
    raise CallerProblem("log.verifier-key")


def _lines(text: str, name: str, signers: Sequence[Signer]) -> str:
    require_name(name)
    signed = [key_hash(name, signer) + signer.sign(text.encode()) for signer in signers]
    return "".join(f"— {name} {_b64(signature)}\n" for signature in signed)


def split_note(note: str) -> tuple[str, list[tuple[tuple[str, bytes], bytes]]]:
    """The text and, for each line behind the last empty one, ((key name, key hash), signature)."""
    try:
        size = len(note.encode())
    except UnicodeEncodeError as error:
        raise _malformed("UTF-8") from error
    text, blank, lines = note.rpartition("\n\n")
    if size > MAX_NOTE or not blank or not lines.endswith("\n") or _CONTROL.search(note):
        raise _malformed("a text, an empty line, signature lines")
    return f"{text}\n", [_signature(line) for line in lines.removesuffix("\n").split("\n")]


def _signature(line: str) -> tuple[tuple[str, bytes], bytes]:
    match = _SIGNATURE_LINE.fullmatch(line)
    signature = _unb64(match[2]) if match else None
    if match is None or signature is None or len(signature) <= KEY_HASH_SIZE:
        raise _malformed("a signature line")
    return (match[1], signature[:KEY_HASH_SIZE]), signature[KEY_HASH_SIZE:]


def require_name(name: str) -> None:
    """Raise ``ValueError`` for what cannot stand as a key name in a signature line."""
    if not _KEY_NAME.fullmatch(name):
        raise ValueError("a key name has no spaces and no plus")


# --- inclusion proofs ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """All that is needed, beside the entry and the log's keys, to check offline that the entry is in the log.

    Nothing is believed by parsing: verify the ``checkpoint`` note, then the hashes against its size and root.
    ``extra`` is signed by nobody.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes = b""

    def format(self) -> str:
        """The ``.tlog-proof`` text."""
        extra = [f"extra {_b64(self.extra)}"] if self.extra else []
        lines = [PROOF_HEADER, *extra, f"index {self.index}", *map(_b64, self.hashes)]
        return "\n".join(lines) + f"\n\n{self.checkpoint}"


def parse_proof(text: str) -> InclusionProof:
    """The proof in a text exactly as ``format`` writes it; else ``CallerProblem`` ``log.proof-malformed``."""
    match = _PROOF.fullmatch(text)
    if match is None:
        raise CallerProblem("log.proof-malformed")
    extra, index, lines, checkpoint = match.groups()
    decoded = [_unb64(line) for line in [*lines.splitlines(), extra or ""]]
    *hashes, extra_data = [value for value in decoded if value is not None]
    if len(hashes) + 1 != len(decoded):  # a second spelling of base64
        raise CallerProblem("log.proof-malformed")
    return InclusionProof(int(index), tuple(hashes), checkpoint, extra_data)


# --- bundles of entries ----------------------------------------------------------------------------------------------


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """The entry bundle that lies beside a tile of leaf hashes: each entry behind its length in two bytes.

    Raises ``BrokerProblem`` ``log.entry-too-long`` above 65,535 bytes.
    """
    if len(entries) > TILE_WIDTH:
        raise ValueError(f"a bundle holds {TILE_WIDTH} entries")
    if any(len(entry) > MAX_ENTRY for entry in entries):
        raise BrokerProblem("log.entry-too-long", expected=f"at most {MAX_ENTRY} bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unpack_entries(bundle: bytes) -> list[bytes]:
    """The entries of a bundle; ``CallerProblem`` ``log.bundle-malformed`` if it is cut or holds more than 256."""
    entries = list(_entries(bundle))
    if len(entries) > TILE_WIDTH:
        raise CallerProblem("log.bundle-malformed", expected=f"at most {TILE_WIDTH} entries")
    return entries


def _entries(bundle: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(bundle):
        start = at + 2
        at = start + int.from_bytes(bundle[at:start], "big")
        if at > len(bundle):
            raise CallerProblem("log.bundle-malformed", expected="whole entries")
        yield bundle[start:at]


# --- base64 with one spelling ----------------------------------------------------------------------------------------


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: str) -> bytes | None:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if _b64(data) == text else None


def _malformed(expected: str) -> CallerProblem:
    return CallerProblem("log.checkpoint-malformed", expected=expected)
