"""Our own signing keys: register, prepare, rotate with overlap, limit, revoke – each change with its entry.

The private keys lie in a folder or on a token, the register in the database; no transaction holds both. So each step
says at its commit what a crash leaves behind, and does the rest when it is typed again. What is registered is published
by every process at once; which key signs, a process finds out when it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from broker.core.entry import entry
from broker.core.envelope import Algorithm
from broker.core.errors import OperatorProblem
from broker.core.own_key import KeyState, OwnKey
from broker.core.receipt import moment
from broker.flow.parts import Parts
from broker.ports import Work
from broker.ports.own_keys import KeptKey, KeyFolder


def adopt_keys(parts: Parts, folder: KeyFolder) -> int:
    """Register what the folder holds and the register does not: the first keys, and those of older releases.

    They have no ``not_before``: since when they have signed, nobody has written down. Returns how many there were.
    """
    present, coming, retired = folder.kept()
    return _adopt(parts, [
        *((one, KeyState.ACTIVE) for one in present),
        *((one, KeyState.COMING) for one in coming),
        *((one, KeyState.RETIRED) for one in retired),
    ])  # fmt: skip


def _adopt(parts: Parts, found: Sequence[tuple[KeptKey, KeyState]]) -> int:
    with parts.store.write() as work:
        work.lock_keys()  # processes start together, and each finds the same keys new
        pulse = work.pulse()
        known = parts.policy(work, pulse).own_keys
        new = [(one, state) for one, state in found if one.verifier.key_id not in known]
        if not new:
            return 0
        for one, state in new:
            own = OwnKey(one.verifier, one.role, one.name, state, revoked_at=one.revoked_at)
            work.add_own_key(own, one.pem, pulse.now)
            told = own.state_at(pulse.now).value
            work.record([entry("own_key_registered", pulse.now, key=one.verifier.key_id, state=told, **_of(own))])
            work.move_policy()
        # Crash before this commit: the next process that starts does it. After it: they are registered.
        work.commit()
    return len(new)


def prepare_key(
    parts: Parts, folder: KeyFolder, name: str, algorithm: Algorithm | None, lifetime: timedelta | None
) -> str:
    """Make the successor of a key, or take the one that lies ready, and publish it; it signs nothing yet. Its key id.

    Raises ``OperatorProblem`` ``register.exists`` where one is prepared already.
    """
    _adopt(parts, [(one, KeyState.ACTIVE) for one in folder.kept()[0]])
    made, known = folder.prepare(name, algorithm), _registered(parts)
    if made.verifier.key_id in known and known[made.verifier.key_id].revoked_at is not None:
        folder.discard(name)  # it was revoked before it ever signed
        made = folder.prepare(name, algorithm)
    with parts.store.write() as work:
        now = work.pulse().now
        until = None if lifetime is None else now + lifetime
        own = OwnKey(made.verifier, made.role, name, KeyState.COMING, now, until)
        if not work.add_own_key(own, made.pem, now):
            raise OperatorProblem("register.exists", got=name)
        work.move_policy()
        work.record([entry("own_key_prepared", now, key=made.verifier.key_id, **_of(own), **_until(until))])
        # Crash before this commit: the key lies in the folder, nobody knows it, and the same command registers it.
        # After it: it is published.
        work.commit()
    return made.verifier.key_id


def rotate_key(parts: Parts, folder: KeyFolder, name: str, overlap: timedelta) -> tuple[str, str]:
    """Let the prepared key sign from the next start on; the old one may go on for the overlap, and stays published.

    Raises ``OperatorProblem`` ``key.unusable`` where none is prepared, ``key.expired`` where it may not sign any more.
    """
    present, coming, _ = folder.kept()
    _adopt(parts, [(one, KeyState.ACTIVE) for one in present])
    old = next(one for one in present if one.name == name)
    new = next((one for one in coming if one.name == name), None)
    if new is None:
        raise OperatorProblem("key.unusable", got=name, expected="a key made by broker keys prepare")
    with parts.store.write() as work:
        work.lock_keys()
        pulse = work.pulse()
        known = parts.policy(work, pulse).own_keys
        before, after = known[old.verifier.key_id], known.get(new.verifier.key_id)
        if after is None:
            raise OperatorProblem("key.unusable", got=name, expected="a key made by broker keys prepare")
        after.require_signing(pulse.now)
        if after.state is KeyState.COMING:
            ends = min(filter(None, (before.not_after, pulse.now + overlap)))
            _changed(work, before, replace(before, state=KeyState.RETIRED, not_after=ends))
            _changed(work, after, replace(after, state=KeyState.ACTIVE))
            work.move_policy()
            work.record([entry("own_key_rotated", pulse.now, key=new.verifier.key_id, before=old.verifier.key_id,
                               overlap_until=moment(ends), **_of(after))])  # fmt: skip
        # Crash before this commit: nothing has changed. After it: the old key still lies in its place and signs on for
        # the overlap; the same command, which finds the register as it is, puts the new one there.
        work.commit()
    folder.change_over(name)
    return old.verifier.key_id, new.verifier.key_id


def limit_key(parts: Parts, key_id: str, until: datetime) -> None:
    """Let a key expire: what it signs from then on counts nothing. An end may come sooner than was said, never later.

    Raises ``OperatorProblem``: ``register.unknown``; ``key.expired`` where it ends before that, or was revoked.
    """

    def change(own: OwnKey, now: datetime) -> tuple[OwnKey, str, dict[str, Any]]:
        ended = own.revoked_at is not None or (own.not_after is not None and own.not_after <= until)
        if ended or until < now:
            raise OperatorProblem("key.expired", got=key_id, expected="an end to come, before the one that it has")
        return replace(own, not_after=until), "own_key_limited", _until(until)

    _change(parts, key_id, change)


def revoke_own_key(parts: Parts, key_id: str, reason: str) -> None:
    """From now on, what this key signed counts only where it is shown to be older: see docs/proof.md.

    Raises ``OperatorProblem``: ``register.unknown``; ``key.in-use`` for the one that signs, which is rotated first;
    ``register.exists`` where it was revoked before, since the first moment stands.
    """

    def change(own: OwnKey, now: datetime) -> tuple[OwnKey, str, dict[str, Any]]:
        if own.revoked_at is not None:
            raise OperatorProblem("register.exists", got=key_id)
        if own.state is KeyState.ACTIVE:
            raise OperatorProblem("key.in-use", got=key_id)
        return replace(own, revoked_at=now), "own_key_revoked", {"reason": reason}

    _change(parts, key_id, change, reason)


def _changed(work: Work, before: OwnKey, after: OwnKey, reason: str = "") -> None:
    """Change it where it is as it was read; an entry must not tell of a change that did not happen."""
    if not work.change_own_key(before, after, reason):
        raise OperatorProblem("register.unknown", got=before.verifier.key_id)  # changed meanwhile: look again


def _change(
    parts: Parts,
    key_id: str,
    change: Callable[[OwnKey, datetime], tuple[OwnKey, str, dict[str, Any]]],
    reason: str = "",
) -> None:
    with parts.store.write() as work:
        work.lock_keys()  # whoever changes it just now is waited for: what they have left is changed, or refused
        pulse = work.pulse()
        before = parts.policy(work, pulse).own_keys.get(key_id)
        if before is None:
            raise OperatorProblem("register.unknown", got=key_id)
        after, kind, facts = change(before, pulse.now)
        _changed(work, before, after, reason)
        work.move_policy()
        work.record([entry(kind, pulse.now, key=key_id, **_of(before), **facts)])
        # Crash before this commit: nothing has changed. After it: every process publishes it so.
        work.commit()


def all_keys(parts: Parts) -> list[tuple[OwnKey, KeyState]]:
    """Every registered key, in the order of their registration, and where it is in its life now."""
    with parts.store.read() as work:
        pulse = work.pulse()
        own = parts.policy(work, pulse).own_keys.values()
    return [(one, one.state_at(pulse.now)) for one in own]


def _registered(parts: Parts) -> Mapping[str, OwnKey]:
    with parts.store.read() as work:
        return parts.policy(work, work.pulse()).own_keys


def _of(own: OwnKey) -> dict[str, str]:
    """What an entry says of the key besides its id: a file's name is no person's."""
    return {"role": own.role.value, "slot": own.name, "algorithm": own.verifier.algorithm.value}


def _until(until: datetime | None) -> dict[str, str]:
    return {} if until is None else {"not_after": moment(until)}


def adopt_source_keys(parts: Parts) -> int:
    """Write into the log which credentials of sources are new, other or gone since a process last started.

    They are files, or lines of one, which people change; the broker hears of it when it starts. Returns how many.
    """
    now_there = {
        (platform, one.name): one.fingerprint for platform, listed in parts.references.items() for one in listed
    }
    with parts.store.write() as work:
        work.lock_keys()
        now, before = work.pulse().now, work.source_keys()
        changed = sorted(key for key in {*now_there, *before} if now_there.get(key) != before.get(key))
        for platform, name in changed:
            fingerprint = now_there.get((platform, name))
            work.set_source_key(platform, name, fingerprint, now)
            kind = "removed" if fingerprint is None else "changed" if (platform, name) in before else "registered"
            told = {} if fingerprint is None else {"fingerprint": fingerprint}
            work.record([entry(f"source_key_{kind}", now, platform=platform, slot=name, **told)])
        # Crash before this commit: the next process that starts does it. After it: the log has it.
        work.commit()
    return len(changed)
