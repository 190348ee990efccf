"""An edition's seal: which bytes are the list, under which number, from when; the published keys alone verify it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from broker.core.envelope import Signer, Verifier, canonical, parse, seal, unseal
from broker.core.errors import CallerProblem
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


def edition_seal(issuer: str, number: int, digest: str, effective_at: datetime, signer: Signer) -> str:
    """The JWS that makes bytes an edition. It names no person: who published stands in the audit log."""
    said = {"version": 1, "issuer": issuer, "number": number, "digest": digest, "effective_at": moment(effective_at)}
    return seal(canonical(said), signer, EDITION_TYPE)


def verify_edition(body: bytes, token: str, keys: Mapping[str, Verifier]) -> SealedEdition:
    """What a list's bytes and its seal prove, needing nothing but published keys.

    (1) the seal's signature by a known key, of an edition's type, over the bytes as received;
    (2) the digest that it names is that of exactly these bytes.
    Raises ``CallerProblem`` ``envelope.*`` or ``edition.digest``.
    """
    said = parse(unseal(token, keys, EDITION_TYPE))  # (1)
    if said["digest"] != digest_of(body):  # (2)
        raise CallerProblem("edition.digest", got=digest_of(body), expected=said["digest"])
    return SealedEdition(said["issuer"], said["number"], said["digest"], said["effective_at"])
