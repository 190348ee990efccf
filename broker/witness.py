"""The centre's witness: another program, with a key and a folder of its own, that keeps what the log has signed.

It knows the broker by HTTP alone. Each look fetches the checkpoint, holds it against the last one seen, co-signs what
is consistent, keeps it, and hands the line to the broker. What it finds wrong is an alarm, which stays until a person
clears it, and nothing is co-signed meanwhile:

    forged     the checkpoint is not signed by the log's keys
    cut        the log is shorter than it was
    forked     the log does not begin with what it was
    rewritten  entries are not those that were signed (found by ``audit``, which reads them all)
    silent     nothing new was seen for too long; this one ends by itself

A log in which nothing happens writes that it is alive. One that stands still is therefore withheld from us, or its
sequencer is dead: it counts as silent, however promptly the same checkpoint is served.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from broker.core import checkpoint, merkle
from broker.core.checkpoint import Checkpoint
from broker.core.cosignature import WitnessKey, behind, cosign
from broker.core.envelope import Algorithm, Verifier, canonical
from broker.core.errors import CallerProblem, OperatorProblem
from broker.signing import http_message, keys

_KEY, _CONFIG, _STATE, _SEEN, _EVIDENCE = "witness.pem", "witness.json", "state.json", "checkpoints", "evidence"
_LOCK = "lock"
_JSON = "application/json"

Send = Callable[[str, str, Mapping[str, str], bytes | None], tuple[int, bytes]]
"""Carries one request: (method, URL, headers, body) → status and body; status 0 where nothing answered."""


class Kind(StrEnum):
    """What a witness sounds the alarm for."""

    FORGED = "forged"
    CUT = "cut"
    FORKED = "forked"
    REWRITTEN = "rewritten"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Alarm:
    """What was found wrong, when it was found, and the file under ``evidence`` that keeps what was served then."""

    kind: Kind
    detail: str
    at: str
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """What the witness remembers besides the checkpoints."""

    grown_at: str  # when the log was last seen to grow
    alarm: Alarm | None = None  # the one that stands
    handed: int = 0  # the size under which the broker took our line last
    refused: int = 0  # the status it answered since instead; 0: none, or nothing answered


class Witness:
    """One folder: key, what it watches, every checkpoint seen, and the state."""

    def __init__(self, folder: Path, send: Send) -> None:
        """Raises ``OperatorProblem`` ``key.unusable`` or ``config.invalid`` for a folder not made by ``init``."""
        try:
            self.config = json.loads((folder / _CONFIG).read_bytes())
            self.signer = keys.load_private((folder / _KEY).read_bytes())
        except (OSError, ValueError) as error:
            raise OperatorProblem(
                "config.invalid", got=folder.name, expected="a folder of broker witness init"
            ) from error
        self._folder, self._send = folder, send
        self._log_keys: list[Verifier] = list(keys.from_jwks(self.config["jwks"], "log").values())
        self.key = WitnessKey(self.config["name"], self.signer.public)

    @property
    def state(self) -> State:
        """As it was written last."""
        said = json.loads((self._folder / _STATE).read_bytes())
        alarm = said["alarm"] and Alarm(**said["alarm"] | {"kind": Kind(said["alarm"]["kind"])})
        return State(**said | {"alarm": alarm})

    def latest(self) -> tuple[Checkpoint, str] | None:
        """The last checkpoint that was co-signed, and its note with our line."""
        files = sorted((self._folder / _SEEN).glob("*.note"))
        if not files:
            return None
        note = files[-1].read_text("utf-8")  # our own: a key that was revoked since signed it before
        return checkpoint.verify(note, self.config["origin"], behind(self._log_keys), at_least=1), note

    # --- looking

    def look(self, now: datetime, silence_minutes: float) -> Alarm | None:
        """One look at the log; returns the alarm that stands after it."""
        with self._alone():
            return self._looked(now, silence_minutes)

    def _looked(self, now: datetime, silence_minutes: float) -> Alarm | None:
        state = self.state
        if state.alarm is not None and state.alarm.kind is not Kind.SILENT:
            return state.alarm  # a person must clear it
        found = self._compared(now)
        if isinstance(found, Alarm):
            self._keep(replace(state, alarm=found))
            return found
        if found is not None and self._grown(found, now):
            state = replace(state, grown_at=now.isoformat(), alarm=None)
        elif now - datetime.fromisoformat(state.grown_at) >= timedelta(minutes=silence_minutes):
            silent = Alarm(Kind.SILENT, f"nothing new since {state.grown_at}", now.isoformat())
            state = replace(state, alarm=state.alarm or silent)
        self._keep(self._handed_in(state, now))
        return state.alarm

    def _compared(self, now: datetime) -> str | Alarm | None:
        """The note if it continues what we saw, the alarm if it does not, None where there is nothing to compare."""
        status, body = self._get("/log/checkpoint")
        if status != 200:
            return None
        note = body.decode("utf-8", "replace")
        try:
            head = checkpoint.verify(note, self.config["origin"], self._log_keys, at_least=1)
        except CallerProblem as problem:
            return self._evident(Kind.FORGED, problem.code, body, now)
        last = self.latest()
        return note if last is None else self._continued(note, head, last[0], now)

    def _continued(self, note: str, head: Checkpoint, before: Checkpoint, now: datetime) -> str | Alarm | None:
        if head.size < before.size:
            detail = f"{head.size} entries, and {before.size} before"
            return self._evident(Kind.CUT, detail, note.encode(), now)
        proof: list[bytes] | None = [] if head.size == before.size else self._proof(before.size, head.size)
        if proof is None:
            return None
        if not merkle.verify_consistency(before.size, before.root, head.size, head.root, proof):
            detail = f"{head.size} entries do not continue the {before.size} before"
            return self._evident(Kind.FORKED, detail, note.encode(), now)
        return note

    def _evident(self, kind: Kind, detail: str, served: bytes, now: datetime) -> Alarm:
        """The alarm, after what was served is on the disk: beside the checkpoint we kept, it convicts its signer."""
        name = f"{now:%Y%m%dT%H%M%S%f}-{kind}.note"
        (self._folder / _EVIDENCE).mkdir(exist_ok=True, mode=0o700)
        _write(self._folder / _EVIDENCE / name, served)
        return Alarm(kind, detail, now.isoformat(), name)

    def _proof(self, old: int, new: int) -> list[bytes] | None:
        status, body = self._get(f"/log/proof/consistency?old={old}&new={new}")
        if status != 200:
            return None
        try:
            return [base64.b64decode(one, validate=True) for one in json.loads(body)["hashes"]]
        except (ValueError, KeyError, TypeError, binascii.Error):
            return None

    def _grown(self, note: str, now: datetime) -> bool:
        """Whether the log is longer than it was; then the checkpoint is kept, with our line."""
        head = checkpoint.verify(note, self.config["origin"], self._log_keys, at_least=1)
        last = self.latest()
        if last is not None and last[0].size == head.size:
            return False
        line = cosign(note, self.key.name, self.signer, int(now.timestamp()))
        _write(self._folder / _SEEN / f"{head.size:020d}.note", f"{note}{line}".encode())
        return True

    def _handed_in(self, state: State, now: datetime) -> State:
        """Hand our latest line in, again at each look until it is taken; a refusal is told by the state."""
        last = self.latest()
        if last is None or last[0].size <= state.handed:
            return state
        line = last[1].splitlines(keepends=True)[-1]
        body = canonical({"size": last[0].size, "name": self.key.name, "line": line})
        status, _ = self._signed("POST", "/v1/log/cosignatures", body, now)
        if status == 200:
            return replace(state, handed=last[0].size, refused=0)
        return replace(state, refused=status)

    def knows(self, head: Checkpoint) -> bool | None:
        """Whether a checkpoint that somebody shows is of the log that we watch; None where it cannot be told.

        That is so where it is longer than what we have seen, or the broker hands out no proof.
        """
        last = self.latest()
        if last is None or head.size > last[0].size:
            return None
        proof: list[bytes] | None = [] if head.size == last[0].size else self._proof(head.size, last[0].size)
        if proof is None:
            return None
        return merkle.verify_consistency(head.size, head.root, last[0].size, last[0].root, proof)

    def trust(self, jwks: Mapping[str, Any]) -> None:
        """Watch the log by another key set from now on, handed over by its operator.

        Raises ``OperatorProblem`` ``config.invalid`` where it does not verify the last checkpoint that we kept: a log
        is handed from old keys to new ones by a checkpoint that both have signed.
        """
        log_keys = list(keys.from_jwks(jwks, "log").values())
        last = self.latest()
        if last is not None:
            try:
                checkpoint.verify(last[1], self.config["origin"], behind(log_keys), at_least=1)
            except CallerProblem as problem:
                raise OperatorProblem(
                    "config.invalid", got=problem.code, expected=f"keys that signed the checkpoint of {last[0].size}"
                ) from problem
        self.config["jwks"], self._log_keys = dict(jwks), log_keys
        _write(self._folder / _CONFIG, json.dumps(self.config).encode())

    # --- auditing

    def audit(self, now: datetime) -> Alarm | None:
        """Read every entry of the log that we last co-signed, and hold it against that root; alarm where one differs.

        Raises ``OperatorProblem`` ``witness.unread`` where the broker does not let us read them.
        """
        last = self.latest()
        if last is None:
            return None
        head = last[0]
        for index in range(-(-head.size // merkle.TILE_WIDTH)):
            width = min(merkle.TILE_WIDTH, head.size - index * merkle.TILE_WIDTH)
            if not self._audited(head, index, width, now):
                places = f"among {index * merkle.TILE_WIDTH} to {index * merkle.TILE_WIDTH + width - 1}"
                alarm = Alarm(Kind.REWRITTEN, places, now.isoformat())
                with self._alone():
                    self._keep(replace(self.state, alarm=alarm))
                return alarm
        return None

    def _audited(self, head: Checkpoint, index: int, width: int, now: datetime) -> bool:
        """Whether a bundle's entries are those under the root: its tile is made of them, all others are fetched."""
        status, body = self._signed("GET", f"/log/{merkle.tile_path(merkle.ENTRIES, index, width)}", None, now)
        if status != 200:
            raise OperatorProblem("witness.unread", got=str(status), expected="entry bundles; is our key registered?")
        try:
            leaves = [merkle.leaf_hash(one) for one in checkpoint.unpack_entries(body)]
        except CallerProblem:
            return False
        if len(leaves) != width:
            return False
        own = b"".join(leaves)

        @cache
        def read(level: int, tile: int) -> bytes:
            if (level, tile) == (0, index):
                return own
            count = min(merkle.TILE_WIDTH, (head.size >> merkle.TILE_HEIGHT * level) - tile * merkle.TILE_WIDTH)
            status, hashes = self._get(f"/log/{merkle.tile_path(level, tile, count)}")
            if status != 200:
                raise OperatorProblem("witness.unread", got=str(status), expected="tiles")
            return hashes

        place = index * merkle.TILE_WIDTH  # its path holds hashes over all other leaves of the tile
        path = merkle.inclusion_proof(place, head.size, read)
        return merkle.verify_inclusion(leaves[0], place, head.size, path, head.root)

    def clear(self) -> None:
        """A person has looked into the alarm and takes it back; the checkpoints that were kept stay."""
        with self._alone():
            self._keep(replace(self.state, alarm=None))

    # --- the road and the folder

    def _get(self, path: str) -> tuple[int, bytes]:
        return self._send("GET", self.config["url"] + path, {"Cache-Control": "no-cache"}, None)

    def _signed(self, method: str, path: str, body: bytes | None, now: datetime) -> tuple[int, bytes]:
        url = self.config["url"] + path
        headers = http_message.sign_request(
            method, url, body, _JSON, self.signer, int(now.timestamp()), secrets.token_hex(16)
        )
        return self._send(method, url, headers | ({"Content-Type": _JSON} if body is not None else {}), body)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While one process reads the state and writes it anew, no other does: an audit's alarm must outlive a look."""
        with (self._folder / _LOCK).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed, or the process dies
            yield

    def _keep(self, state: State) -> None:
        _write(self._folder / _STATE, json.dumps(asdict(state)).encode())


def make_witness(folder: Path, name: str, url: str, origin: str, jwks: Mapping[str, Any], now: datetime) -> WitnessKey:
    """A new witness's folder and key. Raises ``OperatorProblem`` ``register.exists``; nothing there is overwritten."""
    if (folder / _CONFIG).exists():
        raise OperatorProblem("register.exists", got=folder.name)
    keys.from_jwks(jwks, "log")
    checkpoint.require_name(name)
    (folder / _SEEN).mkdir(parents=True, exist_ok=True, mode=0o700)
    signer = keys.generate(Algorithm.ED25519)
    keys.save_private(folder / _KEY, signer)
    _write(folder / "witness.pub.pem", keys.public_pem(signer))
    config = {"name": name, "url": url.rstrip("/"), "origin": origin, "jwks": jwks}
    _write(folder / _STATE, json.dumps(asdict(State(now.isoformat()))).encode())
    _write(folder / _CONFIG, json.dumps(config).encode())
    return WitnessKey(name, signer.public)


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, and on the disk before anybody is told of it."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
