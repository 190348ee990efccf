"""Keys of every algorithm: generate, load, save, publish. The only module that knows all of them.

Key files are PEM: PKCS#8 for private, SubjectPublicKeyInfo for public keys, unencrypted, one key to a file, as
``openssl genpkey`` writes them. Every mistake in a key, a key id or a key set is ``OperatorProblem`` ``key.unusable``;
its ``expected`` says what is wrong, in words that hold nothing of the key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from broker.core.envelope import Algorithm, Revoked, Verifier, b64, canonical, unb64
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.own_key import Dated
from broker.signing import ed25519, p256, sm2

PrivateKey: TypeAlias = ed25519.Ed25519Signer | p256.P256Signer | sm2.Sm2Signer
"""A signer that can also give its ``verifier()`` and its ``pkcs8()``; an SM2 one can ``decrypt()`` too."""

PublicKey: TypeAlias = ed25519.Ed25519Verifier | p256.P256Verifier | sm2.Sm2Verifier
"""A verifier; an SM2 one can ``encrypt()`` too."""

KEY_ID: Final = re.compile(r"[A-Za-z0-9._~:/@+=-]{1,128}")
"""What a key id may look like: safe inside an HTTP signature parameter, a JWS header and a URL's path."""

_PEM: Final = re.compile(rb"\s*-----BEGIN ([A-Z ]+)-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END \1-----\s*")
_HEAD: Final = 32  # a PKCS#8 names its algorithm within these first bytes, the key itself comes later


@dataclass(frozen=True, slots=True)
class _Family:
    """What differs between the algorithms in files and in JWKs."""

    signer: type[PrivateKey]
    verifier: type[PublicKey]
    spki_prefix: bytes  # everything before the raw public key
    identifier: bytes  # the AlgorithmIdentifier inside a PKCS#8
    kty: str
    crv: str


_FAMILIES: Final[Mapping[Algorithm, _Family]] = {
    Algorithm.ED25519: _Family(
        ed25519.Ed25519Signer, ed25519.Ed25519Verifier, ed25519.SPKI_PREFIX, ed25519.SPKI_PREFIX[2:9], "OKP", "Ed25519"
    ),
    Algorithm.P256: _Family(
        p256.P256Signer, p256.P256Verifier, p256.SPKI_PREFIX, p256.SPKI_PREFIX[2:23], "EC", "P-256"
    ),
    Algorithm.SM2: _Family(sm2.Sm2Signer, sm2.Sm2Verifier, sm2.SPKI_PREFIX, sm2.SPKI_PREFIX[2:23], "EC", "SM2"),
}

_NAMES: Final = ", ".join(_FAMILIES)


def generate(algorithm: Algorithm, key_id: str | None = None) -> PrivateKey:
    """A new private key; its id is its thumbprint unless given."""
    return _named(_FAMILIES[algorithm].signer.generate(""), key_id)


def load_private(pem: bytes, key_id: str | None = None) -> PrivateKey:
    """The private key of a PKCS#8 PEM, whichever algorithm it is for."""
    der = _unwrap(pem, b"PRIVATE KEY")
    for family in _FAMILIES.values():
        if family.identifier in der[:_HEAD]:
            return _named(family.signer.from_pkcs8(der, ""), key_id)
    raise OperatorProblem("key.unusable", expected=f"a key for {_NAMES}")


def load_public(pem: bytes, key_id: str | None = None) -> PublicKey:
    """The public key of a SubjectPublicKeyInfo PEM, whichever algorithm it is for."""
    der = _unwrap(pem, b"PUBLIC KEY")
    for algorithm, family in _FAMILIES.items():
        if der.startswith(family.spki_prefix):
            return public_key(algorithm, der[len(family.spki_prefix) :], key_id)
    raise OperatorProblem("key.unusable", expected=f"a key for {_NAMES}")


def public_key(algorithm: Algorithm, public: bytes, key_id: str | None = None) -> PublicKey:
    """The verifier of a raw public key: 32 bytes for Ed25519, the uncompressed point for P-256 and SM2."""
    return _FAMILIES[algorithm].verifier(public, _checked_id(key_id or thumbprint(algorithm, public)))


def private_pem(key: PrivateKey) -> bytes:
    """The private key as an unencrypted PKCS#8 PEM."""
    return _wrap(key.pkcs8(), b"PRIVATE KEY")


def public_pem(key: PrivateKey | Verifier) -> bytes:
    """The public key as a SubjectPublicKeyInfo PEM."""
    return _wrap(_FAMILIES[key.algorithm].spki_prefix + key.public, b"PUBLIC KEY")


def save_private(path: Path, key: PrivateKey) -> None:
    """Write the private key to a new file that only its owner may read; an existing file is never overwritten."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # whatever the umask says
        file.write(private_pem(key))
        file.flush()
        os.fsync(descriptor)  # what this key signs next must not outlive it


def thumbprint(algorithm: Algorithm, public: bytes) -> str:
    """RFC 7638: the SHA-256 of the JWK's required members, base64url. The default key id."""
    return b64(hashlib.sha256(canonical(_members(algorithm, public))).digest())


def jwk(key: PrivateKey | Verifier) -> dict[str, str]:
    """The public key as a JWK; ``crv`` "SM2" is registered nowhere and ours."""
    described = {"alg": key.algorithm.value, "kid": key.key_id, "use": "sig"}
    return _members(key.algorithm, key.public) | described


def published(key: PrivateKey | Verifier) -> dict[str, str]:
    """The JWK as our key set shows it, with its time where it has one; a revoked one says so, and since when."""
    told = jwk(key)
    dated = key.key if isinstance(key, Revoked) else key
    if isinstance(dated, Dated):
        times = {"not_before": dated.not_before, "not_after": dated.not_after}
        told |= {name: _moment(at) for name, at in times.items() if at is not None}
    return {**told, "status": "revoked", "revoked_at": _moment(key.at)} if isinstance(key, Revoked) else told


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def jwks(keys: Iterable[PrivateKey | Verifier]) -> dict[str, list[dict[str, str]]]:
    """The public keys as a JWK set, in the order given."""
    return {"keys": [jwk(key) for key in keys]}


def from_jwk(document: Mapping[str, Any]) -> PublicKey:
    """The verifier of one JWK. Members we do not know are ignored; a private one, ``d``, is refused."""
    algorithm = _algorithm(document)
    if algorithm is None:
        raise OperatorProblem("key.unusable", expected=f"a key for {_NAMES}")
    if "d" in document:
        raise OperatorProblem("key.unusable", expected="a public key, without d")
    if document.get("use", "sig") != "sig" or document.get("alg", algorithm.value) != algorithm.value:
        raise OperatorProblem("key.unusable", expected=f"use sig, alg {algorithm.value}")
    if algorithm is Algorithm.ED25519:
        public = _decoded(document, "x")
    else:
        public = b"\x04" + _decoded(document, "x") + _decoded(document, "y")
    key_id = document.get("kid")
    if key_id is not None and not isinstance(key_id, str):
        raise OperatorProblem("key.unusable", expected="a key id that is text", pointer="/kid")
    return public_key(algorithm, public, key_id)


def from_jwks(document: Mapping[str, Any], role: str | None = None) -> dict[str, Verifier]:
    """The verifiers of a JWK set by key id; with a role (``receipt``, ``log``), those whose ``roles`` admit it.

    Those with a time are ``Dated``, revoked ones ``Revoked``. Kinds of key we do not know are passed over, as RFC 7517
    §5 asks, so that a peer may begin to use a new algorithm; a broken key of a kind we do know, or two with one id, is
    refused with the whole set.
    """
    members = document.get("keys")
    if not isinstance(members, list) or not all(isinstance(member, Mapping) for member in members):
        raise OperatorProblem("key.unusable", expected="a JWK set")
    found: dict[str, Verifier] = {}
    for member in members:
        if _algorithm(member) is None or (role is not None and role not in member.get("roles", (role,))):
            continue
        key = from_jwk(member)
        if key.key_id in found:
            raise OperatorProblem("key.unusable", got=key.key_id, expected="one key to an id")
        found[key.key_id] = _as_told(key, member)
    return found


def _as_told(key: Verifier, member: Mapping[str, Any]) -> Verifier:
    """The key with what its member says of its time and its end."""
    begins, ends, revoked = (_told_moment(member, name) for name in ("not_before", "not_after", "revoked_at"))
    dated = key if begins is None and ends is None else Dated(key, begins, ends)
    return dated if revoked is None else Revoked(dated, revoked)


def _told_moment(member: Mapping[str, Any], name: str) -> datetime | None:
    if name not in member:
        return None
    try:
        at = datetime.fromisoformat(member[name])
    except (TypeError, ValueError) as error:
        raise OperatorProblem("key.unusable", pointer=f"/{name}", expected="a moment") from error
    if at.tzinfo is None:
        raise OperatorProblem("key.unusable", pointer=f"/{name}", expected="a moment with its zone")
    return at


def _algorithm(document: Mapping[str, Any]) -> Algorithm | None:
    kind = (document.get("kty"), document.get("crv"))
    return next((algorithm for algorithm, family in _FAMILIES.items() if (family.kty, family.crv) == kind), None)


def _members(algorithm: Algorithm, public: bytes) -> dict[str, str]:
    family = _FAMILIES[algorithm]
    members = {"kty": family.kty, "crv": family.crv}
    if algorithm is Algorithm.ED25519:
        return members | {"x": b64(public)}
    return members | {"x": b64(public[1:33]), "y": b64(public[33:])}


def _decoded(document: Mapping[str, Any], member: str) -> bytes:
    value = document.get(member)
    try:
        data = unb64(value) if isinstance(value, str) else b""
    except CallerProblem as error:
        raise OperatorProblem("key.unusable", pointer=f"/{member}", expected="base64url") from error
    if len(data) != 32:
        raise OperatorProblem("key.unusable", pointer=f"/{member}", expected="32 bytes")
    return data


def _named(key: PrivateKey, key_id: str | None) -> PrivateKey:
    key.key_id = _checked_id(key_id or thumbprint(key.algorithm, key.public))
    return key


def _checked_id(key_id: str) -> str:
    if KEY_ID.fullmatch(key_id) is None:
        raise OperatorProblem("key.unusable", expected=f"a key id {KEY_ID.pattern}")
    return key_id


def _unwrap(pem: bytes, label: bytes) -> bytes:
    match = _PEM.fullmatch(pem)
    if match is None:
        raise OperatorProblem("key.unusable", expected="one PEM block")
    if match[1] != label:
        raise OperatorProblem("key.unusable", got=match[1].decode(), expected=label.decode())
    try:
        return base64.b64decode(b"".join(match[2].split()), validate=True)
    except binascii.Error as error:
        raise OperatorProblem("key.unusable", expected="base64") from error


def _wrap(der: bytes, label: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = b"".join(text[start : start + 64] + b"\n" for start in range(0, len(text), 64))
    return b"-----BEGIN " + label + b"-----\n" + lines + b"-----END " + label + b"-----\n"
