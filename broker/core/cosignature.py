r"""A witness's line under a checkpoint: C2SP tlog-cosignature, version 1.

The witness has seen the log's checkpoint, has found it consistent with every one it saw before, and says when. The line
looks like any signature line of a note; signed is, under an Ed25519 key alone,

    cosignature/v1 \n  time SECONDS \n  the note's text

and the line holds key hash ‖ seconds (8 bytes, big-endian) ‖ signature. The signature type in key hash and in the
witness's verifier key is 0x04, so that no such line can pass for a log's own.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from broker.core.checkpoint import KEY_HASH_SIZE, require_name, split_note
from broker.core.envelope import Algorithm, Revoked, Signer, Verifier
from broker.core.errors import CallerProblem

SIGNATURE_TYPE = b"\x04"
_TIME_SIZE = 8
_SIZE = KEY_HASH_SIZE + _TIME_SIZE + 64


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness by its name and raw Ed25519 public key, as its verifier key tells them."""

    name: str
    public: bytes = field(repr=False)

    @property
    def hash(self) -> bytes:
        """What its lines begin with."""
        return sha256(self.name.encode() + b"\n" + SIGNATURE_TYPE + self.public).digest()[:KEY_HASH_SIZE]

    def text(self) -> str:
        """The verifier key, ``name+key hash+base64(type ‖ public key)``, as signed-note tools write it."""
        encoded = base64.b64encode(SIGNATURE_TYPE + self.public).decode("ascii")
        return f"{self.name}+{self.hash.hex()}+{encoded}"


def witness_key(text: str) -> WitnessKey:
    """The witness of a verifier key. Raises ``CallerProblem`` ``log.verifier-key``."""
    name, _, rest = text.partition("+")
    try:
        data = base64.b64decode(rest.partition("+")[2], validate=True)
        require_name(name)
    except (binascii.Error, ValueError) as error:
        raise CallerProblem("log.verifier-key") from error
    key = WitnessKey(name, data[1:])
    if data[:1] != SIGNATURE_TYPE or len(data) != 33 or key.text() != text:
        raise CallerProblem("log.verifier-key")
    return key


def cosign(note: str, name: str, signer: Signer, seconds: int) -> str:
    """The witness's line under a note. Verify the note, and its consistency with the last one seen, before."""
    if signer.algorithm is not Algorithm.ED25519:
        raise ValueError("a cosignature is made with Ed25519")
    require_name(name)
    text, _ = split_note(note)
    key = WitnessKey(name, signer.public)
    data = key.hash + seconds.to_bytes(_TIME_SIZE, "big") + signer.sign(_signed(text, seconds))
    return f"— {name} {base64.b64encode(data).decode('ascii')}\n"


@dataclass(frozen=True, slots=True)
class Seen:
    """That a witness saw a checkpoint, and when (seconds since 1970)."""

    witness: str
    seconds: int


def seen_by(note: str, witnesses: Sequence[tuple[WitnessKey, Verifier]]) -> list[Seen]:
    """Which of these witnesses signed a note; lines of others are passed over.

    Raises ``CallerProblem`` ``log.checkpoint-malformed``, or ``log.checkpoint-signature`` where a line of a known
    witness does not verify.
    """
    text, lines = split_note(note)
    known: Mapping[tuple[str, bytes], tuple[WitnessKey, Verifier]] = {
        (key.name, key.hash): (key, verifier) for key, verifier in witnesses
    }
    found = []
    for (name, key_hash), data in lines:
        if (name, key_hash) not in known:
            continue
        seconds = int.from_bytes(data[:_TIME_SIZE], "big")
        _, verifier = known[name, key_hash]
        whole = len(data) == _SIZE - KEY_HASH_SIZE
        if not whole or not verifier.verify(_signed(text, seconds), data[_TIME_SIZE:]):
            raise CallerProblem("log.checkpoint-signature", got=name)
        found.append(Seen(name, seconds))
    return found


def line_key_hash(line: str) -> bytes:
    """The key hash that a line begins with; the line is one that ``seen_by`` has verified."""
    return base64.b64decode(line.rstrip("\n").rpartition(" ")[2])[:KEY_HASH_SIZE]


def counting(log_keys: Sequence[Verifier], seen: Sequence[Seen]) -> list[Verifier]:
    """The log's keys whose lines count under a note that these witnesses saw.

    A line by a key that was revoked counts where a witness had seen the note before that: nobody who stole the key
    later can have written it. Without, such a line counts nothing, since it bears no time.
    """
    earliest = min((one.seconds for one in seen), default=None)
    return [
        key.key if isinstance(key, Revoked) and earliest is not None and earliest < key.at.timestamp() else key
        for key in log_keys
    ]


def behind(log_keys: Sequence[Verifier]) -> list[Verifier]:
    """The same keys, what was revoked included: for notes that are known by other means to be old, or ours."""
    return [key.key if isinstance(key, Revoked) else key for key in log_keys]


def _signed(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()
