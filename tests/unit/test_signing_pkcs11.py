"""A key on a token signs as a key file does; tests/conformance/test_softhsm.py says it of a real one."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.core.envelope import Algorithm, seal, unseal
from broker.core.errors import OperatorProblem
from broker.signing import keys
from broker.signing.pkcs11 import Pkcs11Signer, open_signer


class Token:
    """A token with one key pair: it keeps the private key and signs by mechanism, as PKCS#11 says."""

    def __init__(self, algorithm: Algorithm, label: str = "receipt") -> None:
        self.label = label
        self.key: Any = (
            Ed25519PrivateKey.generate() if algorithm is Algorithm.ED25519 else ec.generate_private_key(ec.SECP256R1())
        )

        self.turn = threading.RLock()
        self.begun_again = 0
        self.gone = False

    def session(self) -> Token:
        """The slot it is in, which is itself."""
        if self.gone:
            raise pkcs11.TokenNotPresent
        return self

    def begin_again(self) -> None:
        """Somebody could not sign."""
        self.begun_again += 1

    def get_key(self, *, object_class: Any, label: str) -> Any:
        """The key pair, which is the token itself."""
        if label != self.label:
            raise pkcs11.NoSuchKey
        return self

    def __getitem__(self, attribute: Any) -> bytes:
        assert attribute is pkcs11.Attribute.EC_POINT
        public = self.key.public_key()
        if isinstance(self.key, Ed25519PrivateKey):
            return b"\x04\x20" + bytes(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
        return b"\x04\x41" + bytes(public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

    def sign(self, data: bytes, *, mechanism: Any) -> bytes:
        """As the mechanism says: ECDSA over a digest, EdDSA over the message."""
        if mechanism is pkcs11.Mechanism.EDDSA:
            return bytes(self.key.sign(data))
        assert mechanism is pkcs11.Mechanism.ECDSA
        r, s = utils.decode_dss_signature(self.key.sign(data, ec.ECDSA(utils.Prehashed(SHA256()))))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.parametrize("algorithm", [Algorithm.ED25519, Algorithm.P256])
def test_what_a_token_signs_verifies_by_its_published_key(algorithm: Algorithm) -> None:
    signer = Pkcs11Signer(Token(algorithm), "receipt", algorithm)
    verifier = keys.from_jwks({"keys": [keys.jwk(signer.verifier())]})[signer.key_id]
    signature = signer.sign(b"message")
    assert len(signature) == 64
    assert verifier.verify(b"message", signature)
    assert not verifier.verify(b"another", signature)
    assert unseal(seal(b"payload", signer, "t"), {signer.key_id: verifier}, "t") == b"payload"
    assert (signer.algorithm, signer.public) == (algorithm, verifier.public)


def test_a_key_that_is_not_there_or_of_another_kind_is_refused() -> None:
    with pytest.raises(OperatorProblem, match="key.unusable"):
        Pkcs11Signer(Token(Algorithm.P256), "another", Algorithm.P256)
    with pytest.raises(OperatorProblem, match="key.unusable"):
        Pkcs11Signer(Token(Algorithm.P256), "receipt", Algorithm.ED25519)
    with pytest.raises(OperatorProblem, match="key.unusable"):
        Pkcs11Signer(Token(Algorithm.P256), "receipt", Algorithm.SM2)


def test_a_reference_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "receipt.pkcs11"
    said = {
        "module": str(tmp_path / "none.so"),
        "token": "t",
        "label": "receipt",
        "pin_file": "pin",
        "algorithm": "ES256",
    }
    for text in ("", "{}", json.dumps(said), json.dumps(said | {"algorithm": "RS256"})):
        path.write_text(text)
        with pytest.raises(OperatorProblem, match="key.unusable"):
            open_signer(path)


def test_a_token_that_is_pulled_out_is_asked_once_more_and_then_named() -> None:
    token = Token(Algorithm.ED25519)
    signer = Pkcs11Signer(token, "receipt", Algorithm.ED25519)
    token.gone = True
    with pytest.raises(OperatorProblem, match=r"key\.away"):
        signer.sign(b"message")
    assert token.begun_again == 1
    token.gone = False
    assert signer.verifier().verify(b"message", signer.sign(b"message"))


@pytest.mark.parametrize("algorithm", [Algorithm.ED25519, Algorithm.P256])
def test_a_token_may_tell_a_public_key_without_its_octet_string(algorithm: Algorithm) -> None:
    class Plain(Token):
        def __getitem__(self, attribute: Any) -> bytes:
            return super().__getitem__(attribute)[2:]

    signer = Pkcs11Signer(Plain(algorithm), "receipt", algorithm)
    assert signer.verifier().verify(b"message", signer.sign(b"message"))
