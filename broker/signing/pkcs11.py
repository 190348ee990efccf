"""Signing keys that never leave a PKCS#11 token (a hardware module, SoftHSM), behind the same ``Signer`` as key files.

The token signs; we only ask. Ed25519 and P-256, by the mechanisms that PKCS#11 defines; SM2 has none there, only its
makers' own, and is refused. A session serves one caller at a time, so callers queue.
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pkcs11

from broker.core.envelope import Algorithm
from broker.core.errors import OperatorProblem
from broker.signing import keys

SUFFIX = ".pkcs11"  # of the file that names a key on a token, where a key file would end in .pem
_DER_HEAD = {Algorithm.P256: b"\x04\x41", Algorithm.ED25519: b"\x04\x20"}  # EC_POINT is the raw key in an octet string
_MECHANISMS = {Algorithm.P256: pkcs11.Mechanism.ECDSA, Algorithm.ED25519: pkcs11.Mechanism.EDDSA}


class Session(Protocol):
    """As much of a PKCS#11 session as is needed: the key of a class under a label."""

    def get_key(self, *, object_class: Any, label: str) -> Any:
        """The one key; raises where there is none, or more than one."""
        ...


@dataclass(frozen=True, slots=True)
class KeyReference:
    """Where a key is: JSON in a file beside the key files. The PIN stands in a file of its own."""

    module: str
    token: str
    label: str
    pin_file: str
    algorithm: Algorithm


def reference_from(path: Path) -> KeyReference:
    """The reference in a file. Raises ``OperatorProblem`` ``key.unusable``."""
    try:
        said = json.loads(path.read_bytes())
        return KeyReference(
            said["module"], said["token"], said["label"], said["pin_file"], Algorithm(said["algorithm"])
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        expected = "JSON with module, token, label, pin_file, algorithm"
        raise OperatorProblem("key.unusable", got=path.name, expected=expected) from error


def open_signer(path: Path) -> Pkcs11Signer:
    """The signer of the key that a file refers to. Raises ``OperatorProblem`` ``key.unusable``."""
    reference = reference_from(path)
    try:
        pin = (path.parent / reference.pin_file).read_text("ascii").strip()
        session = pkcs11.lib(reference.module).get_token(token_label=reference.token).open(user_pin=pin)
    except (OSError, RuntimeError, pkcs11.PKCS11Error) as error:
        raise OperatorProblem("key.unusable", got=path.name, expected="a token that opens with its PIN") from error
    return Pkcs11Signer(session, reference.label, reference.algorithm)


class Pkcs11Signer:
    """A private key on a token; see ``core.envelope.Signer``."""

    def __init__(self, session: Session, label: str, algorithm: Algorithm) -> None:
        """Finds the key pair under its label. Raises ``OperatorProblem`` ``key.unusable``."""
        if algorithm not in _MECHANISMS:
            raise OperatorProblem("key.unusable", got=algorithm.value, expected="EdDSA or ES256 on a token")
        try:
            self._private = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=label)
            public = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=label)
            point = bytes(public[pkcs11.Attribute.EC_POINT])
        except pkcs11.PKCS11Error as error:
            raise OperatorProblem("key.unusable", expected="one key pair under the label") from error
        self.algorithm = algorithm
        self._public = keys.public_key(algorithm, point.removeprefix(_DER_HEAD[algorithm]))
        self._turn = threading.Lock()

    def __repr__(self) -> str:
        """Name the key."""
        return f"Pkcs11Signer({self.key_id!r})"

    @property
    def key_id(self) -> str:
        """The key's thumbprint, as that of any other."""
        return self._public.key_id

    @property
    def public(self) -> bytes:
        """The raw public key."""
        return self._public.public

    def verifier(self) -> keys.PublicKey:
        """The public half."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """64 bytes, made by the token."""
        data = hashlib.sha256(message).digest() if self.algorithm is Algorithm.P256 else message
        with self._turn:
            return bytes(self._private.sign(data, mechanism=_MECHANISMS[self.algorithm]))
