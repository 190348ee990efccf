"""SM2 with SM3 (GB/T 32918, GB/T 35276): sign, verify, encrypt, decrypt through the system's OpenSSL.

The signer's identity is always the default of GB/T 35276, ``1234567812345678``. OpenSSL 3 uses an *empty* one
unless told, so the digest over identity, curve and public key (Z) is computed here, once per key, and OpenSSL is
given the finished digest to sign: that also saves a quarter of the hashing of a short message.

Encryption speaks the old order C1‖C2‖C3 (GM/T 0003-2012 drafts), which the licence platforms still send;
OpenSSL speaks the ASN.1 form of GM/T 0009.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from ctypes import c_size_t
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from broker.core.envelope import Algorithm
from broker.core.errors import OperatorProblem, SourceProblem
from broker.signing import der, libcrypto

IDENTITY: Final = b"1234567812345678"
POINT_BYTES: Final = 65  # 04 ‖ X ‖ Y
SM3_BYTES: Final = 32
MAX_DER_SIGNATURE: Final = 72  # two 33-byte integers with their headers and a sequence around them
DER_OVERHEAD: Final = 256  # a ciphertext in ASN.1 exceeds its text by two integers, a digest and four lengths: 126
SPKI_PREFIX: Final = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200")

# a ‖ b ‖ Gx ‖ Gy of the curve sm2p256v1, as they enter Z
_CURVE: Final = bytes.fromhex(
    "fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc"
    "28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93"
    "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7"
    "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"
)


def _sm3_by_hashlib(data: bytes) -> bytes:
    return hashlib.new("sm3", data).digest()


def _sm3_by_cryptography(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


sm3: Final[Callable[[bytes], bytes]] = (
    _sm3_by_hashlib if "sm3" in hashlib.algorithms_available else _sm3_by_cryptography
)
"""SM3 of the data, 32 bytes; Python's own when its OpenSSL has it, which is twice as fast."""


def z_value(public: bytes) -> bytes:
    """Z of GB/T 32918.2 §5.5: the digest that ties identity, curve and public key to every signature."""
    return sm3((len(IDENTITY) * 8).to_bytes(2, "big") + IDENTITY + _CURVE + public[1:])


class Sm2Verifier:
    """A public SM2 key: verifies signatures and encrypts to its holder."""

    __slots__ = ("_handle", "_z", "key_id", "public")

    algorithm: Final = Algorithm.SM2

    def __init__(self, public: bytes, key_id: str) -> None:
        """``public`` is the 65-byte uncompressed point; off the curve it is ``OperatorProblem`` ``key.unusable``."""
        handle = libcrypto.public_from_der(SPKI_PREFIX + public) if _uncompressed(public) else None
        if handle is None:
            raise OperatorProblem("key.unusable", expected="a point of the SM2 curve, 65 bytes uncompressed")
        self._handle = handle
        self._z = z_value(public)
        self.public = public
        self.key_id = key_id

    def __repr__(self) -> str:
        """Name the key."""
        return f"Sm2Verifier({self.key_id!r})"

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` (r‖s) is this key's over exactly ``message``."""
        if len(signature) != 64:
            return False
        encoded = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        digest = sm3(self._z + message)
        library = libcrypto.libcrypto()
        with self._handle.operation() as context:
            if library.EVP_PKEY_verify_init(context) != 1:
                raise libcrypto.failure("verify")
            return bool(library.EVP_PKEY_verify(context, encoded, len(encoded), digest, SM3_BYTES) == 1)

    def encrypt(self, plaintext: bytes) -> bytes:
        """C1‖C2‖C3 for the holder of the private key; the plaintext must not be empty."""
        if not plaintext:
            raise ValueError("SM2 cannot encrypt nothing")
        library = libcrypto.libcrypto()
        with self._handle.operation() as context:
            output = _run(library.EVP_PKEY_encrypt_init, library.EVP_PKEY_encrypt, context, plaintext, DER_OVERHEAD)
        if output is None:
            raise libcrypto.failure("encrypt")
        return old_order(output)


class Sm2Signer:
    """A private SM2 key: signs, and decrypts what was encrypted to it."""

    __slots__ = ("_handle", "_z", "key_id", "public")

    algorithm: Final = Algorithm.SM2

    def __init__(self, handle: libcrypto.KeyHandle, key_id: str) -> None:
        """Use :meth:`generate` or :meth:`from_pkcs8`."""
        self._handle = handle
        self.public = handle.public_der()[len(SPKI_PREFIX) :]
        self._z = z_value(self.public)
        self.key_id = key_id

    @classmethod
    def generate(cls, key_id: str) -> Sm2Signer:
        """A new key."""
        return cls(libcrypto.generate_sm2(), key_id)

    @classmethod
    def from_pkcs8(cls, data: bytes, key_id: str) -> Sm2Signer:
        """The key of an unencrypted PKCS#8 DER; anything else is ``OperatorProblem`` ``key.unusable``."""
        handle = libcrypto.private_from_der(data)
        if handle is None or not handle.is_sm2() or not handle.is_consistent():
            raise OperatorProblem("key.unusable", expected="an SM2 private key in PKCS#8")
        return cls(handle, key_id)

    def __repr__(self) -> str:
        """Name the key and show nothing of it."""
        return f"Sm2Signer({self.key_id!r})"

    def pkcs8(self) -> bytes:
        """The private key as unencrypted PKCS#8 DER."""
        return self._handle.private_der()

    def verifier(self) -> Sm2Verifier:
        """The public half."""
        return Sm2Verifier(self.public, self.key_id)

    def sign(self, message: bytes) -> bytes:
        """r‖s over the message."""
        library = libcrypto.libcrypto()
        digest = sm3(self._z + message)
        with self._handle.operation() as context:
            encoded = _run(library.EVP_PKEY_sign_init, library.EVP_PKEY_sign, context, digest, MAX_DER_SIGNATURE)
        if encoded is None:
            raise libcrypto.failure("sign")
        r, s = decode_dss_signature(encoded)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def decrypt(self, ciphertext: bytes) -> bytes:
        """The plaintext of C1‖C2‖C3.

        One ``SourceProblem``, ``source.ciphertext``, whatever is wrong with it: telling more would help to guess.
        """
        library = libcrypto.libcrypto()
        encoded = asn1_order(ciphertext)
        plaintext = None
        if encoded is not None:
            with self._handle.operation() as context:
                plaintext = _run(library.EVP_PKEY_decrypt_init, library.EVP_PKEY_decrypt, context, encoded, 0)
        if plaintext is None:
            raise SourceProblem("source.ciphertext", expected="SM2 C1‖C2‖C3 for our key")
        return plaintext


def old_order(encoded: bytes) -> bytes:
    """C1‖C2‖C3 from the ASN.1 form {x, y, hash, cipher}."""
    x, y, c3, c2 = der.read_sequence(encoded, (der.INTEGER, der.INTEGER, der.OCTETS, der.OCTETS))
    return b"\x04" + _coordinate(x) + _coordinate(y) + c2 + c3


def asn1_order(ciphertext: bytes) -> bytes | None:
    """The ASN.1 form {x, y, hash, cipher} of C1‖C2‖C3; none when it is too short or C1 is not uncompressed."""
    if len(ciphertext) <= POINT_BYTES + SM3_BYTES or ciphertext[0] != 4:
        return None
    return der.sequence(
        der.integer(ciphertext[1:33]),
        der.integer(ciphertext[33:65]),
        der.element(der.OCTETS, ciphertext[-SM3_BYTES:]),
        der.element(der.OCTETS, ciphertext[POINT_BYTES:-SM3_BYTES]),
    )


def _coordinate(integer: bytes) -> bytes:
    return int.from_bytes(integer, "big").to_bytes(32, "big")


def _uncompressed(public: bytes) -> bool:
    return len(public) == POINT_BYTES and public[0] == 4


def _run(start: Any, act: Any, context: Any, data: bytes, room: int) -> bytes | None:
    """One operation that fills a buffer ``room`` bytes larger than its input; none when OpenSSL refuses."""
    length = c_size_t(len(data) + room)
    output = ctypes.create_string_buffer(length.value)
    if start(context) != 1 or act(context, output, ctypes.byref(length), data, len(data)) != 1:
        return None
    return output.raw[: length.value]
