"""How the broker and its sources are: what is exercised, what is remembered, and which part is broken.

Signing and writing are tried out, for a broker that cannot sign or write admits nothing. The queue is tried out too,
but without it the sweepers find the work. Sources are not asked here, since each question costs a call: their last
answers tell, and a source that nobody asks is probed (``flow.probe``).
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from broker.core.catalog import Source
from broker.core.day import day_of
from broker.core.envelope import Verifier, seal, unseal
from broker.core.errors import OperatorProblem, Problem
from broker.core.gate import Gate
from broker.core.health import Day, Probed, merged, source_view
from broker.core.probe import Probing, probing
from broker.flow.key_ends import CLIENT, OWN, SOURCE, KeyEnd, keys_ending
from broker.flow.parts import Parts, require_signing
from broker.ports import Work

WEEK: Final = timedelta(days=7)  # how far back the last success or failure is looked for
NEEDED: Final = ("sign", "write")  # what the broker cannot admit without
ILL: Final = frozenset({"away", "failing"})  # states that somebody should look at; ``stopped`` is what somebody wanted
_KEY: Final = "broker.fitness"  # of the nonce that is written and runs out like any other
_PROOF_TYPE: Final = "exemption-fitness+json"


@dataclass(frozen=True, slots=True)
class Check:
    """One part, tried out."""

    name: str
    well: bool
    took_ms: int
    retry_after: int | None = None  # where it mends by itself


def sources_now(parts: Parts) -> list[dict[str, Any]]:
    """Each source of the edition in force with its health. Raises ``OperatorProblem`` ``edition.none``."""
    with parts.store.read() as work:
        return sources_seen(parts, work)


def sources_seen(parts: Parts, work: Work) -> list[dict[str, Any]]:
    """As :func:`sources_now`, in a transaction of the caller's."""
    pulse = work.pulse()
    policy = parts.policy(work, pulse)
    edition = parts.edition_in_force(work, policy, pulse.now)
    gates, days = states(work, pulse.now)
    probed = probes(work)
    return [
        source_view(
            key, source.name, _of_today(days.get(key), pulse.now), gates.get(key),
            may_probe(parts, source), probed.get(key), policy.stops.get(key),
        )
        for key, source in sorted(edition.catalog.sources.items())
    ]  # fmt: skip


def may_probe(parts: Parts, source: Source) -> Probing:
    """Whether a source may be probed from here."""
    asking = parts.asking(source)
    return probing(source, None if asking is None else asking[1].options)


def probes(work: Work) -> Mapping[str, Probed]:
    """What probing has shown, by source."""
    return {one.source: one for one in work.probes()}


def states(work: Work, now: datetime) -> tuple[Mapping[str, Gate], Mapping[str, Day]]:
    """Every gate, and what each source did of late, by source."""
    gates = {gate.source: gate for gate in work.gates()}
    days: dict[str, list[Day]] = {}
    for one in work.health(day_of(now - WEEK).isoformat()):
        days.setdefault(one.source, []).append(one)
    return gates, {source: found for source, listed in days.items() if (found := merged(listed)) is not None}


def _of_today(day: Day | None, now: datetime) -> Day | None:
    """The counts of another day are not today's; when it last went well or ill still counts."""
    today = day_of(now).isoformat()
    if day is None or day.day == today:
        return day
    return Day(day.source, today, last_ok_at=day.last_ok_at, last_fail_at=day.last_fail_at,
               last_failure=day.last_failure, data_as_of=day.data_as_of)  # fmt: skip


def fitness(parts: Parts, keys: Mapping[str, Verifier], queue: Callable[[], bool]) -> dict[str, Any]:
    """Every part and how it is; ``keys`` are the published ones.

    Raises ``OperatorProblem`` ``broker.unfit`` naming what is broken, where that keeps us from admitting anything.
    """
    checks = [
        _timed("sign", lambda: _signs(parts, keys)),
        _timed("write", lambda: _writes(parts)),
        _timed("queue", queue),
    ]
    broken = [check.name for check in checks if not check.well]
    missing = [check for check in checks if check.name in NEEDED and not check.well]
    if missing:
        raise OperatorProblem(
            "broker.unfit", got=" ".join(broken), expected="sign and write", retry_after=_worth_waiting(missing)
        )
    began = time.monotonic()
    seen = _seen(parts)
    ill = {one["source"]: _why(one) for one in seen if one["state"] in ILL}
    checks.append(Check("source", not ill, _since(began)))
    broken = [check.name for check in checks if not check.well]
    ending = Counter(one.whose for one in _ending(parts))
    return {
        "status": "degraded" if broken else "ok",
        "checks": {check.name: {"well": check.well, "took_ms": check.took_ms} for check in checks},
        "sources": {one["source"]: one["state"] for one in seen},
        "broken": broken,
        "broken_sources": ill,
        "keys_ending": {whose: ending[whose] for whose in (OWN, CLIENT, SOURCE)},
    }


def _ending(parts: Parts) -> list[KeyEnd]:
    """The keys that end soon: nothing is broken yet, so that only their number is told to everybody."""
    with parts.store.read() as work:
        pulse = work.pulse()
        return keys_ending(parts, parts.policy(work, pulse), pulse.now)


def _why(seen: Mapping[str, Any]) -> str:
    """What is broken of a source: the step that its probe failed, or else the reason of its last failure."""
    return str(seen["probe"]["failed"] or seen["last_failure"] or seen["breaker"]["state"])


def _worth_waiting(missing: Sequence[Check]) -> int | None:
    """When to ask again; None where one of the parts stays broken until somebody mends it."""
    waits = [check.retry_after for check in missing if check.retry_after is not None]
    return max(waits) if len(waits) == len(missing) else None


def _seen(parts: Parts) -> list[dict[str, Any]]:
    try:
        return sources_now(parts)
    except OperatorProblem as problem:
        if problem.code != "edition.none":
            raise
        return []  # before the first edition there are no sources


def _timed(name: str, tried: Callable[[], bool]) -> Check:
    began = time.monotonic()
    retry_after = None
    try:
        well = tried()
    except Problem as problem:
        well, retry_after = False, problem.retry_after
    return Check(name, well, _since(began), retry_after)


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _signs(parts: Parts, keys: Mapping[str, Verifier]) -> bool:
    """Each key in use makes a signature that its public half verifies, and may sign by the register."""
    signers = (parts.signer, *parts.log_signers)
    for signer in signers:
        unseal(seal(b"{}", signer, _PROOF_TYPE), keys, _PROOF_TYPE)
    with parts.store.read() as work:
        pulse = work.pulse()
        policy = parts.policy(work, pulse)
    for signer in signers:
        require_signing(policy, signer, pulse.now)
    return True


def _writes(parts: Parts) -> bool:
    """A row of ours, committed: reading alone also works on a full disk, or on a standby."""
    with parts.store.write() as work:
        now = work.pulse().now
        fresh = work.spend_nonce(_KEY, os.urandom(16).hex(), now)
        # Crash before this commit, or after it: a nonce that nobody will bring is forgotten with the others.
        work.commit()
    return fresh
