"""The folder of the deployment's signing keys: those that sign, their prepared successors, and what signed before.

    receipt.pem, log-ed25519.pem, log-sm2.pem    private keys; or NAME.pkcs11 instead, which refers to a token's key
    next/                                        private keys, or references, that are published and sign nothing yet
    retired/, retired-log/                       public halves of what signed receipts, or checkpoints, before

When each of them counts stands in the database's register; a ``.revoked.json`` beside a retired half is how releases
without one said that it was revoked.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson

from broker.core.envelope import Algorithm
from broker.core.errors import OperatorProblem
from broker.core.own_key import KeyRole
from broker.ports.own_keys import KeptKey
from broker.signing import keys
from broker.signing.pkcs11 import SUFFIX, Pkcs11Signer, open_signer

RECEIPT: Final = "receipt.pem"
LOG: Final = ("log-ed25519.pem", "log-sm2.pem")
NAMES: Final = (RECEIPT, *LOG)
_NEXT = "next"
_RETIRED = {KeyRole.RECEIPT: "retired", KeyRole.LOG: "retired-log"}
_REVOKED = ".revoked.json"


def role_of(name: str) -> KeyRole:
    """What the key of a file signs."""
    return KeyRole.RECEIPT if name == RECEIPT else KeyRole.LOG


def open_key(path: Path) -> keys.PrivateKey | Pkcs11Signer:
    """The key of a file, or the one on a token that ``receipt.pkcs11`` refers to where ``receipt.pem`` would be."""
    reference = path.with_suffix(SUFFIX)
    if not reference.exists():
        return keys.load_private(key_file(path))
    folder = path.parent.parent if path.parent.name == _NEXT else path.parent
    return open_signer(reference, folder)


def key_file(path: Path) -> bytes:
    """What stands in a file of the folder. Raises ``OperatorProblem`` ``key.unusable``."""
    try:
        return path.read_bytes()
    except OSError as error:
        expected = "a key file; broker keys init makes them"
        raise OperatorProblem("key.unusable", got=path.name, expected=expected) from error


class Folder:
    """Implements ``ports.KeyFolder`` over files."""

    def __init__(self, folder: Path) -> None:
        """Reads nothing yet."""
        self.folder = folder

    def kept(self) -> tuple[Sequence[KeptKey], Sequence[KeptKey], Sequence[KeptKey]]:
        """The keys that sign, those that are prepared, and the public halves of those that signed before."""
        present = [self._kept(name) for name in NAMES]
        coming = [self._kept(name, _NEXT) for name in NAMES if self._file(name, _NEXT) is not None]
        return present, coming, [one for role in KeyRole for one in self._retired(role)]

    def prepare(self, name: str, algorithm: Algorithm | None) -> KeptKey:
        """The prepared successor: the one that lies there, or a new one, by default of the present algorithm."""
        if self._file(name, _NEXT) is None:
            present = open_key(self.folder / name)
            (self.folder / _NEXT).mkdir(exist_ok=True, mode=0o700)
            keys.save_private(self.folder / _NEXT / name, keys.generate(algorithm or present.algorithm))
        return self._kept(name, _NEXT)

    def discard(self, name: str) -> None:
        """Take a prepared key away that will never sign."""
        found = self._file(name, _NEXT)
        if found is not None:
            found.unlink()

    def change_over(self, name: str) -> None:
        """Put the prepared key in the present one's place, whose public half is kept. Nothing, where none is prepared.

        Dead in between: the old key signs on, and its public half is kept twice, which is once.
        """
        following, present = self._file(name, _NEXT), self._file(name)
        if following is None or present is None:
            return
        old = open_key(self.folder / name)
        retired = self.folder / _RETIRED[role_of(name)]
        retired.mkdir(exist_ok=True)
        with (retired / f"{old.key_id}.pem").open("wb") as file:
            file.write(keys.public_pem(old.verifier()))
            file.flush()
            os.fsync(file.fileno())
        following.replace(self.folder / following.name)
        if present.name != following.name:
            present.unlink()  # a reference goes before a file, so the new key signs by now, or does once this is done

    def _file(self, name: str, place: str = "") -> Path | None:
        """The key's file, or its reference, which goes before it; None where there is neither."""
        path = self.folder / place / name
        return next((one for one in (path.with_suffix(SUFFIX), path) if one.exists()), None)

    def _kept(self, name: str, place: str = "") -> KeptKey:
        key = open_key(self.folder / place / name).verifier()
        return KeptKey(key, keys.public_pem(key).decode("ascii"), role_of(name), name)

    def _retired(self, role: KeyRole) -> Sequence[KeptKey]:
        return [_as_it_stands(path, role) for path in sorted((self.folder / _RETIRED[role]).glob("*.pem"))]


def _as_it_stands(path: Path, role: KeyRole) -> KeptKey:
    pem, revocation = path.read_bytes(), path.with_suffix(_REVOKED)
    key, revoked_at = keys.load_public(pem), None
    if revocation.exists():
        try:
            revoked_at = datetime.fromisoformat(orjson.loads(revocation.read_bytes())["revoked_at"])
        except (KeyError, TypeError, ValueError) as error:
            raise OperatorProblem("key.unusable", got=revocation.name, expected="revoked_at and reason") from error
    return KeptKey(key, pem.decode("ascii"), role, "", revoked_at)
