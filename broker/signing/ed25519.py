"""Ed25519 (RFC 8032) through ``cryptography``."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from broker.core.envelope import Algorithm
from broker.core.errors import OperatorProblem

SPKI_PREFIX: Final = bytes.fromhex("302a300506032b6570032100")

# y of every point of small order, the sign bit cleared: under such a "key" one signature fits every message,
# so that its holder could deny, and anybody claim, whatever it signed. No generator ever makes one.
_SMALL_ORDER: Final = frozenset(
    bytes.fromhex(y)
    for y in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)


class Ed25519Verifier:
    """A public Ed25519 key."""

    __slots__ = ("_key", "key_id", "public")

    algorithm: Final = Algorithm.ED25519

    def __init__(self, public: bytes, key_id: str) -> None:
        """``public`` is 32 bytes; a wrong length or a point of small order is ``OperatorProblem`` ``key.unusable``."""
        if len(public) != 32 or public[:31] + bytes((public[31] & 0x7F,)) in _SMALL_ORDER:
            raise OperatorProblem("key.unusable", expected="an Ed25519 public key, 32 bytes")
        self._key = Ed25519PublicKey.from_public_bytes(public)
        self.public = public
        self.key_id = key_id

    def __repr__(self) -> str:
        """Name the key."""
        return f"Ed25519Verifier({self.key_id!r})"

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's over exactly ``message``."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Ed25519Signer:
    """A private Ed25519 key."""

    __slots__ = ("_key", "key_id", "public")

    algorithm: Final = Algorithm.ED25519

    def __init__(self, key: Ed25519PrivateKey, key_id: str) -> None:
        """Use :meth:`generate` or :meth:`from_pkcs8`."""
        self._key = key
        self.public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = key_id

    @classmethod
    def generate(cls, key_id: str) -> Ed25519Signer:
        """A new key."""
        return cls(Ed25519PrivateKey.generate(), key_id)

    @classmethod
    def from_pkcs8(cls, data: bytes, key_id: str) -> Ed25519Signer:
        """The key of an unencrypted PKCS#8 DER; anything else is ``OperatorProblem`` ``key.unusable``."""
        try:
            key = load_der_private_key(data, password=None)
        except (ValueError, TypeError) as error:
            raise OperatorProblem("key.unusable", expected="an Ed25519 private key in PKCS#8") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise OperatorProblem("key.unusable", expected="an Ed25519 private key in PKCS#8")
        return cls(key, key_id)

    def __repr__(self) -> str:
        """Name the key and show nothing of it."""
        return f"Ed25519Signer({self.key_id!r})"

    def pkcs8(self) -> bytes:
        """The private key as unencrypted PKCS#8 DER."""
        return self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def verifier(self) -> Ed25519Verifier:
        """The public half."""
        return Ed25519Verifier(self.public, self.key_id)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over the message."""
        return self._key.sign(message)
