"""What is kept about persons: AES-256-GCM under a key per case, the case keys wrapped by one key of the deployment.

Deleting a case's wrapped key makes its answers unreadable for ever (crypto-shredding). Pseudonyms are HMAC-SHA-256
under a second key: equal subjects give equal pseudonyms, and nobody without the key can try numbers out.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.core.errors import BrokerProblem, OperatorProblem

KEY_BYTES = 32
_NONCE_BYTES = 12  # the size GCM is defined for; random per message, far below its limit of 2^32 messages per key
_KEPT = 4096  # ciphers by case key: a batch's verifications and their answers meet the same key several times


class CaseVault:
    """Implements ``ports.Vault`` with keys held in memory."""

    def __init__(self, wrapping_key: bytes, pseudonym_key: bytes) -> None:
        """Two keys of 32 bytes each. Raises ``OperatorProblem`` ``key.unusable``."""
        if len(wrapping_key) != KEY_BYTES or len(pseudonym_key) != KEY_BYTES:
            raise OperatorProblem("key.unusable", expected=f"{KEY_BYTES} bytes")
        self._wrapping = AESGCM(wrapping_key)
        self._pseudonym_key = pseudonym_key
        self._cipher = lru_cache(maxsize=_KEPT)(AESGCM)

    def __repr__(self) -> str:
        """No key material."""
        return "CaseVault()"

    def new_case_key(self) -> tuple[bytes, bytes]:
        """A fresh key and its wrapped form."""
        key = os.urandom(KEY_BYTES)
        nonce = os.urandom(_NONCE_BYTES)
        return key, nonce + self._wrapping.encrypt(nonce, key, b"case-key")

    def unwrap(self, wrapped: bytes) -> bytes:
        """The case key. Raises ``BrokerProblem`` ``key.unusable`` where it was wrapped by another deployment."""
        return _opened(self._wrapping, wrapped, b"case-key")

    def encrypt(self, key: bytes, plain: bytes, context: str) -> bytes:
        """Nonce and ciphertext; ``context`` (a row's id) must be the same to decrypt."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher(key).encrypt(nonce, plain, context.encode())

    def decrypt(self, key: bytes, cipher: bytes, context: str) -> bytes:
        """The plain bytes. Raises ``BrokerProblem`` ``key.unusable`` where anything was altered."""
        return _opened(self._cipher(key), cipher, context.encode())

    def lock(self, plain: bytes, context: str) -> bytes:
        """Encrypt something of the deployment itself, which belongs to no case."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._wrapping.encrypt(nonce, plain, context.encode())

    def unlock(self, cipher: bytes, context: str) -> bytes:
        """The plain bytes. Raises ``BrokerProblem`` ``key.unusable`` where anything was altered."""
        return _opened(self._wrapping, cipher, context.encode())

    def pseudonym(self, subject: str) -> str:
        """32 hex digits for a subject (``id_type:number``)."""
        return hmac.new(self._pseudonym_key, subject.encode(), hashlib.sha256).hexdigest()[:32]


def _opened(cipher: AESGCM, data: bytes, context: bytes) -> bytes:
    try:
        return cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], context)
    except (InvalidTag, ValueError) as error:
        raise BrokerProblem("key.unusable") from error
