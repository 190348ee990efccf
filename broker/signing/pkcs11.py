"""Signing keys that never leave a PKCS#11 token (a hardware module, SoftHSM), behind the same ``Signer`` as key files.

The token signs; we only ask. Ed25519 and P-256, by the mechanisms that PKCS#11 defines; SM2 has none there, only its
makers' own, and is refused.

A module is entered by one thread of a process at a time, whatever its tokens and keys: so callers queue. A forked child
begins anew, because what its parent has opened is not its own (PKCS#11, 6.6). So does a process whose token was pulled
out: once for each signature that fails, and never with a PIN that was refused, which would lock the token.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pkcs11

from broker.core.envelope import Algorithm
from broker.core.errors import OperatorProblem
from broker.signing import keys

SUFFIX = ".pkcs11"  # of the file that names a key on a token, where a key file would end in .pem
_SIZES = {Algorithm.P256: 65, Algorithm.ED25519: 32}  # of a raw public key
_DER_HEAD = 2  # type and length of the octet string in which EC_POINT is the raw key; some tokens leave them out
_AWAY_S = 10  # when a caller may come again: somebody has to put the token back
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


def open_signer(path: Path, folder: Path | None = None) -> Pkcs11Signer:
    """The signer of the key that a file refers to; the PIN's file is sought from ``folder``, by default beside it.

    Raises ``OperatorProblem`` ``key.unusable``.
    """
    reference = reference_from(path)
    try:
        pin = ((folder or path.parent) / reference.pin_file).read_text("ascii").strip()
        return Pkcs11Signer(TokenSlot(reference.module, reference.token, pin), reference.label, reference.algorithm)
    except (OSError, RuntimeError) as error:  # all that a module raises is a RuntimeError
        raise OperatorProblem("key.unusable", got=path.name, expected="a token that opens with its PIN") from error


class Slot(Protocol):
    """Where a signer's session comes from."""

    @property
    def turn(self) -> threading.RLock:
        """Held by whoever talks to the module."""
        ...

    def session(self) -> Session:
        """The open session: the same one, until it was begun again."""
        ...

    def begin_again(self) -> None:
        """Let go of every session of the module, since one of them does not answer any more."""
        ...


class _Module:
    """A PKCS#11 library in this process, with the sessions that are open."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.turn = threading.RLock()
        self.forked = False
        self.sessions: dict[str, Session] = {}

    def begin_again(self) -> None:
        """Finalise and initialise; a module that notices a fork by itself has nothing to finalise."""
        self.sessions.clear()
        self.forked = False
        library = pkcs11.lib(self.path)
        with suppress(pkcs11.PKCS11Error):
            library.finalize()
        library.initialize()

    def in_child(self) -> None:
        """After a fork: the parent's thread that may have held the turn is not here, its sessions are not ours."""
        self.turn = threading.RLock()
        self.forked = True


_modules: list[_Module] = []


@cache
def _module(path: str) -> _Module:
    _modules.append(_Module(path))
    return _modules[-1]


def _in_child() -> None:
    for one in _modules:
        one.in_child()


os.register_at_fork(after_in_child=_in_child)


class TokenSlot:
    """A token by its label, wherever it is plugged in; see ``Slot``. Logging in is the process's, not the session's."""

    def __init__(self, module: str, token: str, pin: str) -> None:
        """Opens nothing yet."""
        self._module, self._token, self._pin = _module(module), token, pin
        self._refused = False

    def __repr__(self) -> str:
        """Without the PIN."""
        return f"TokenSlot({self._token!r})"

    @property
    def turn(self) -> threading.RLock:
        """One for the whole module: it was initialised for one thread at a time."""
        return self._module.turn

    def session(self) -> Session:
        """The token's session. Raises ``pkcs11.PKCS11Error``."""
        if self._module.forked:
            self._module.begin_again()
        known = self._module.sessions.get(self._token)
        if known is None:
            known = self._module.sessions[self._token] = self._opened()
        return known

    def begin_again(self) -> None:
        """All of the module's sessions end, other tokens' too: their signers open theirs when they next sign."""
        self._module.begin_again()

    def _opened(self) -> Session:
        if self._refused:
            raise pkcs11.PinIncorrect
        token = pkcs11.lib(self._module.path).get_token(token_label=self._token)
        try:
            session: Session = token.open(user_pin=self._pin)
        except (pkcs11.PinIncorrect, pkcs11.PinLocked, pkcs11.PinExpired):
            self._refused = True  # tried once more for each signature, it would lock the token
            raise
        return session


class Pkcs11Signer:
    """A private key on a token; see ``core.envelope.Signer``."""

    def __init__(self, slot: Slot, label: str, algorithm: Algorithm) -> None:
        """Finds the key pair under its label. Raises ``OperatorProblem`` ``key.unusable``."""
        if algorithm not in _MECHANISMS:
            raise OperatorProblem("key.unusable", got=algorithm.value, expected="EdDSA or ES256 on a token")
        self.algorithm = algorithm
        self._slot, self._label = slot, label
        with slot.turn:
            session = slot.session()
            try:
                self._private, self._public = self._found(session)
            except pkcs11.PKCS11Error as error:
                raise OperatorProblem("key.unusable", expected="one key pair under the label") from error
        self._session = session

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
        """64 bytes, made by the token. Raises ``OperatorProblem`` ``key.away`` where there is none, or another one."""
        data = hashlib.sha256(message).digest() if self.algorithm is Algorithm.P256 else message
        with self._slot.turn:
            try:
                return self._signed(data)
            except pkcs11.PKCS11Error:
                pass  # pulled out, plugged in elsewhere, or the session was closed: from the beginning, once
            try:
                self._slot.begin_again()
                return self._signed(data)
            except pkcs11.PKCS11Error as error:
                raise OperatorProblem("key.away", got=self._label, retry_after=_AWAY_S) from error

    def _signed(self, data: bytes) -> bytes:
        session = self._slot.session()
        if session is not self._session:
            private, public = self._found(session)
            if public.public != self.public:  # what is published under our key id would not verify it
                raise OperatorProblem("key.away", got=self._label, expected=f"the key {self.key_id}")
            self._private, self._session = private, session
        return bytes(self._private.sign(data, mechanism=_MECHANISMS[self.algorithm]))

    def _found(self, session: Session) -> tuple[Any, keys.PublicKey]:
        private = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=self._label)
        public = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=self._label)
        point = bytes(public[pkcs11.Attribute.EC_POINT])
        wrapped = len(point) == _SIZES[self.algorithm] + _DER_HEAD
        return private, keys.public_key(self.algorithm, point[_DER_HEAD:] if wrapped else point)
