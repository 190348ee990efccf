"""An edition's seal: which bytes are the list, under which number, from when; the published keys alone verify it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from broker.core.envelope import Signer, Verifier, canonical, parse, seal, unb64, unseal
from broker.core.errors import CallerProblem
from broker.core.own_key import timely
from broker.core.receipt import moment

EDITION_TYPE = "sharing-list-edition+jws"


@dataclass(frozen=True, slots=True)
class SealedEdition:
    """What a seal says of the bytes it was verified with."""

    issuer: str
    number: int
    digest: str
    effective_at: str


def digest_of(body: bytes) -> str:
    """SHA-256 of the published bytes, hex: what receipts and seals name an edition by."""
    return hashlib.sha256(body).hexdigest()


def edition_seal(
    issuer: str, number: int, digest: str, effective_at: datetime, signer: Signer, sealed_at: datetime
) -> str:
    """The JWS that makes bytes an edition. It names no person: who published stands in the audit log."""
    said = {
        "version": 1, "issuer": issuer, "number": number, "digest": digest, "effective_at": moment(effective_at),
        "sealed_at": moment(sealed_at),
    }  # fmt: skip
    return seal(canonical(said), signer, EDITION_TYPE)


def verify_edition(body: bytes, token: str, keys: Mapping[str, Verifier]) -> SealedEdition:
    """What a list's bytes and its seal prove, needing nothing but published keys.

    (1) the seal's signature by a known key, of an edition's type, over the bytes as received;
    (2) the digest that it names is that of exactly these bytes;
    (3) it was sealed in the key's time; seals that do not say when are older than keys with a time.
    Raises ``CallerProblem`` ``envelope.*``, ``edition.digest`` or ``edition.key-time``.
    """
    said = parse(unseal(token, keys, EDITION_TYPE))  # (1)
    signer = keys[parse(unb64(token.split(".", maxsplit=1)[0]))["kid"]]
    if "sealed_at" in said and not timely(signer, said["sealed_at"]):  # (3)
        raise CallerProblem("edition.key-time", got=signer.key_id)
    if said["digest"] != digest_of(body):  # (2)
        raise CallerProblem("edition.digest", got=digest_of(body), expected=said["digest"])
    return SealedEdition(said["issuer"], said["number"], said["digest"], said["effective_at"])
