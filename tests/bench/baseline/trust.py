"""Signatures of the baseline: http-message-signatures for requests, a JWT for receipts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flask import Request
from http_message_signatures import (
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)

from broker.core.envelope import Algorithm, canonical, seal
from broker.signing import keys
from broker.signing.http_message import REQUEST_TAG

COVERED = ("@method", "@target-uri", "content-digest", "content-type")


class Sm2(HTTPSignatureAlgorithm):
    """SM2 with SM3, which the library does not bring."""

    algorithm_id = "sm2-sm3"

    def __init__(self, public_key: Any = None, private_key: Any = None, password: Any = None) -> None:
        """The verifier stands in for the key."""
        self._key = public_key

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raise ``InvalidSignature`` unless it holds."""
        if not self._key.verify(message, signature):
            raise InvalidSignature("wrong")


class Resolver(HTTPSignatureKeyResolver):
    """The one registered caller."""

    def __init__(self, pem: bytes) -> None:
        """From its public key."""
        self._verifier = keys.load_public(pem)
        self._pem = pem

    def resolve_public_key(self, key_id: str) -> Any:
        """What the algorithm wants as its key."""
        if key_id != self._verifier.key_id:
            raise InvalidSignature("an unknown key")
        return self._verifier if self._verifier.algorithm is Algorithm.SM2 else self._pem


class Requests:
    """Verifies callers' requests."""

    def __init__(self, pem: bytes, public_url: str) -> None:
        """The algorithm follows from the caller's key."""
        sm2 = keys.load_public(pem).algorithm is Algorithm.SM2
        self._verifier = HTTPMessageVerifier(
            signature_algorithm=Sm2 if sm2 else algorithms.ED25519, key_resolver=Resolver(pem)
        )
        self._url = public_url

    def verify(self, request: Request, body: bytes) -> str:
        """The nonce. Raises ``InvalidSignature``."""
        message = SimpleNamespace(
            method=request.method, url=f"{self._url}{request.path}", headers=dict(request.headers.items())
        )
        results = self._verifier.verify(
            message, max_age=timedelta(seconds=30), expect_tag=REQUEST_TAG, require_components=COVERED, body=body
        )
        return str(results[0].nonce)


class Receipts:
    """Signs receipts."""

    def __init__(self, path: Path) -> None:
        """The private key, loaded once."""
        pem = path.read_bytes()
        self._signer = keys.load_private(pem)
        self._jwt_key: Any = None if self._signer.algorithm is Algorithm.SM2 else load_pem_private_key(pem, None)

    def sign(self, payload: dict[str, Any]) -> str:
        """A compact JWS."""
        if self._jwt_key is None:
            return seal(canonical(payload), self._signer, "JWT")
        return jwt.encode(payload, self._jwt_key, algorithm="EdDSA", headers={"kid": self._signer.key_id})
