"""One way to sign and to verify bytes: strict JSON in, canonical JSON out, JWS compact around it (RFC 7515).

Verify bytes first, parse after; nothing is ever re-serialised in order to be verified. The key decides the
algorithm: a header that names another one is refused, and so is every header parameter we do not know.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import orjson

from broker.core.errors import CallerProblem

MAX_DOCUMENT = 256 * 1024  # a scene of 12 items with all its parties takes 12 KiB; twenty times that is an attack
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")  # an escaped surrogate; rare, since UTF-8 needs no escapes
MAX_DEPTH = 16  # our deepest document (a scene's receipt) has 6 levels


class Algorithm(StrEnum):
    """Signature algorithms by their JWS names; SM2-SM3 is our registered private one (GB/T 35276, default id)."""

    ED25519 = "EdDSA"
    P256 = "ES256"
    SM2 = "SM2-SM3"


class Signer(Protocol):
    """Holds one private key and signs bytes with it."""

    @property
    def key_id(self) -> str:
        """The key's published name."""
        ...

    @property
    def algorithm(self) -> Algorithm:
        """What the key is for; the message never decides it."""
        ...

    @property
    def public(self) -> bytes:
        """32 bytes for Ed25519, the 65-byte uncompressed point for P-256 and SM2."""
        ...

    def sign(self, message: bytes) -> bytes:
        """64 bytes: the Ed25519 signature, or r‖s big-endian for P-256 and SM2."""
        ...


class Verifier(Protocol):
    """Holds one public key and tells whether a signature is its own."""

    @property
    def key_id(self) -> str:
        """The key's published name."""
        ...

    @property
    def algorithm(self) -> Algorithm:
        """What the key is for; the message never decides it."""
        ...

    @property
    def public(self) -> bytes:
        """The raw public key, as ``Signer.public``."""
        ...

    def verify(self, message: bytes, signature: bytes) -> bool:
        """True only for a valid 64-byte signature over exactly these bytes; never raises on bad input."""
        ...


def canonical(document: Any) -> bytes:
    """RFC 8785 for the documents we sign: no floats, ASCII keys, integers within 2^53 (the schemas see to it)."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def parse(body: bytes, *, limit: int = MAX_DOCUMENT) -> Any:
    """Strict JSON: UTF-8, no duplicate keys, no NaN or infinities, no U+0000 in a text, bounded size and depth.

    Raises ``CallerProblem``: ``body.too-large``, ``body.not-json``, ``body.duplicate-key``, ``body.not-finite``.
    """
    if len(body) > limit:
        raise CallerProblem("body.too-large", got=str(len(body)), expected=f"at most {limit} bytes")
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_not_finite)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise CallerProblem("body.not-json") from error
    if _HALF_CHARACTER.search(body) and not _encodable(document):
        raise CallerProblem("body.not-json", expected="whole characters")
    if _depth_exceeds(document, MAX_DEPTH):
        raise CallerProblem("body.not-json", expected=f"at most {MAX_DEPTH} levels")
    if rb"\u0000" in body and _holds_nul(document):
        raise CallerProblem("body.not-json", expected="text without U+0000")  # no database keeps it
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CallerProblem("body.duplicate-key")
    return found


def _not_finite(_: str) -> Any:
    raise CallerProblem("body.not-finite")


def _encodable(document: Any) -> bool:
    try:
        orjson.dumps(document)
    except TypeError:  # a surrogate without its other half; it has no bytes in UTF-8
        return False
    return True


def _holds_nul(document: Any) -> bool:
    if isinstance(document, str):
        return "\0" in document
    inside = (*document, *document.values()) if isinstance(document, dict) else document
    return isinstance(inside, (tuple, list)) and any(map(_holds_nul, inside))


def _depth_exceeds(document: Any, levels: int) -> bool:
    if not isinstance(document, (dict, list)):
        return False
    if levels == 0:
        return True
    children = document.values() if isinstance(document, dict) else document
    return any(_depth_exceeds(child, levels - 1) for child in children)


def seal(payload: bytes, signer: Signer, typ: str) -> str:
    """The payload as a JWS in compact form, its header naming key, algorithm and type."""
    header = canonical({"alg": signer.algorithm.value, "kid": signer.key_id, "typ": typ})
    signing_input = f"{b64(header)}.{b64(payload)}"
    return f"{signing_input}.{b64(signer.sign(signing_input.encode()))}"


@dataclass(frozen=True, slots=True)
class Told:
    """A published key of which more is told than itself."""

    key: Verifier

    @property
    def key_id(self) -> str:
        """The key's published name."""
        return self.key.key_id

    @property
    def algorithm(self) -> Algorithm:
        """What the key is for."""
        return self.key.algorithm

    @property
    def public(self) -> bytes:
        """The raw public key."""
        return self.key.public

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the key signed, whenever that was."""
        return self.key.verify(message, signature)


@dataclass(frozen=True, slots=True)
class Revoked(Told):
    """A published key that was revoked: by itself no signature of its counts any more, whenever it was made.

    Whoever can show by other means that a signature is older than ``at`` verifies with ``key``.
    """

    at: datetime

    def verify(self, message: bytes, signature: bytes) -> bool:  # noqa: ARG002 - the port's; nothing is looked at
        """Never."""
        return False


def unseal(token: str, keys: Mapping[str, Verifier], typ: str) -> bytes:
    """The payload of a JWS.

    To be shown: (1) three parts, (2) a known key, (3) that key's algorithm, (4) our type, (5) no other header
    parameter, (6) the signature over the bytes as received.

    Raises ``CallerProblem`` ``envelope.malformed``, ``envelope.unknown-key``, ``envelope.algorithm``,
    ``envelope.type`` or ``envelope.signature``.
    """
    parts = token.split(".")
    if len(parts) != 3:  # (1)
        raise CallerProblem("envelope.malformed", expected="three parts")
    header = parse(unb64(parts[0]))
    if not isinstance(header, dict) or not all(isinstance(value, str) for value in header.values()):
        raise CallerProblem("envelope.malformed", expected="a header of strings")
    key = keys.get(header.get("kid", ""))
    if key is None:  # (2)
        raise CallerProblem("envelope.unknown-key")
    if header.get("alg") != key.algorithm.value:  # (3)
        raise CallerProblem("envelope.algorithm", expected=key.algorithm.value)
    if header.get("typ") != typ:  # (4)
        raise CallerProblem("envelope.type", expected=typ)
    if header.keys() != {"alg", "kid", "typ"}:  # (5)
        raise CallerProblem("envelope.malformed", expected="alg, kid, typ and nothing else")
    payload = unb64(parts[1])
    if not key.verify(f"{parts[0]}.{parts[1]}".encode("ascii"), unb64(parts[2])):  # (6)
        raise CallerProblem("envelope.signature")
    return payload


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """The bytes of canonical base64url without padding; any other spelling is ``envelope.malformed``."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise CallerProblem("envelope.malformed", expected="base64url") from error
    if b64(data) != text:
        raise CallerProblem("envelope.malformed", expected="canonical base64url")
    return data
