"""The broker's own signing keys: their register in the database, and the folder or token that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from broker.core.envelope import Algorithm, Verifier
from broker.core.own_key import KeyRole, OwnKey
from broker.ports.health import RegisteredCredential


@dataclass(frozen=True, slots=True)
class KeptKey:
    """The public half of a key in the folder."""

    verifier: Verifier
    pem: str
    role: KeyRole
    name: str = ""
    revoked_at: datetime | None = None


class KeyFolder(Protocol):
    """Where this deployment's private keys are, or what refers to them; ``name`` is that of a key's file."""

    def kept(self) -> tuple[Sequence[KeptKey], Sequence[KeptKey], Sequence[KeptKey]]:
        """The keys that sign, those that are prepared, and the public halves of those that signed before."""
        ...

    def prepare(self, name: str, algorithm: Algorithm | None) -> KeptKey:
        """The prepared successor: the one that lies there, or a new one, by default of the present algorithm."""
        ...

    def discard(self, name: str) -> None:
        """Take a prepared key away that will never sign."""
        ...

    def change_over(self, name: str) -> None:
        """Put the prepared key, if there is one, in the place of the present one, whose public half is kept."""
        ...


class OwnKeysWork(Protocol):
    """One transaction's methods for our own keys, and for those that sources have given us."""

    def lock_keys(self) -> None:
        """Let nobody else register keys until this transaction ends."""
        ...

    def add_own_key(self, key: OwnKey, pem: str, now: datetime) -> bool:
        """False where it is registered already."""
        ...

    def change_own_key(self, before: OwnKey, after: OwnKey, reason: str = "") -> bool:
        """Change state and times; False where it is not any more as it was before."""
        ...

    def source_keys(self) -> dict[tuple[str, str], str]:
        """The fingerprints of what was registered of the platforms' credentials, by platform and name."""
        ...

    def source_keys_of(self, platform: str) -> dict[str, RegisteredCredential]:
        """The same of one platform, by name, each with the time since when it is registered."""
        ...

    def set_source_key(self, platform: str, name: str, fingerprint: str | None, now: datetime) -> None:
        """Keep a credential's fingerprint; None takes it away."""
        ...
