"""ECDSA on P-256 with SHA-256 through ``cryptography``; signatures are r‖s, as in JWS and RFC 9421."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from broker.core.envelope import Algorithm
from broker.core.errors import OperatorProblem

SPKI_PREFIX: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")

_SCHEME: Final = ECDSA(SHA256())


class P256Verifier:
    """A public P-256 key."""

    __slots__ = ("_key", "key_id", "public")

    algorithm: Final = Algorithm.P256

    def __init__(self, public: bytes, key_id: str) -> None:
        """``public`` is the 65-byte uncompressed point; off the curve it is ``OperatorProblem`` ``key.unusable``."""
        if len(public) != 65:
            raise OperatorProblem("key.unusable", expected="a point of P-256, 65 bytes uncompressed")
        try:
            self._key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), public)
        except ValueError as error:
            raise OperatorProblem("key.unusable", expected="a point of P-256, 65 bytes uncompressed") from error
        self.public = public
        self.key_id = key_id

    def __repr__(self) -> str:
        """Name the key."""
        return f"P256Verifier({self.key_id!r})"

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` (r‖s) is this key's over exactly ``message``."""
        if len(signature) != 64:
            return False
        encoded = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        try:
            self._key.verify(encoded, message, _SCHEME)
        except InvalidSignature:
            return False
        return True


class P256Signer:
    """A private P-256 key."""

    __slots__ = ("_key", "key_id", "public")

    algorithm: Final = Algorithm.P256

    def __init__(self, key: EllipticCurvePrivateKey, key_id: str) -> None:
        """Use :meth:`generate` or :meth:`from_pkcs8`."""
        self._key = key
        self.public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.key_id = key_id

    @classmethod
    def generate(cls, key_id: str) -> P256Signer:
        """A new key."""
        return cls(generate_private_key(SECP256R1()), key_id)

    @classmethod
    def from_pkcs8(cls, data: bytes, key_id: str) -> P256Signer:
        """The key of an unencrypted PKCS#8 DER; anything else is ``OperatorProblem`` ``key.unusable``."""
        try:
            key = load_der_private_key(data, password=None)
        except (ValueError, TypeError) as error:
            raise OperatorProblem("key.unusable", expected="a P-256 private key in PKCS#8") from error
        if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
            raise OperatorProblem("key.unusable", expected="a P-256 private key in PKCS#8")
        return cls(key, key_id)

    def __repr__(self) -> str:
        """Name the key and show nothing of it."""
        return f"P256Signer({self.key_id!r})"

    def pkcs8(self) -> bytes:
        """The private key as unencrypted PKCS#8 DER."""
        return self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def verifier(self) -> P256Verifier:
        """The public half."""
        return P256Verifier(self.public, self.key_id)

    def sign(self, message: bytes) -> bytes:
        """r‖s over the message."""
        r, s = decode_dss_signature(self._key.sign(message, _SCHEME))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
