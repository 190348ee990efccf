"""What the simulated platforms have in common: one call in, one reply out, no sockets and no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, Protocol

from broker.sandbox.holdings import NAMES, UPDATED, Holdings, Record

CHINA: Final = timezone(timedelta(hours=8))
_ENDED: Final[Mapping[str, object]] = {  # where authorities say that something holds no longer, and how
    "state": -5,
    "license_status": "ABOLISHED",
    "regstateCn": "吊销",
    "zt": "吊销",
    "INSUREDSTATUS": "3",
    "SWBS": "2",
    "cxjg": "0",
}
_DATA_TIME: Final = {"stale": timedelta(days=-400), "future": timedelta(days=2)}


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it arrived; header names as ``x_request_id``, ``now`` in seconds since the epoch."""

    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    now: float
    method: str = "POST"
    query: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back, and which source was asked ("" when the call did not get that far)."""

    body: bytes = field(repr=False)
    content_type: str = "application/json"
    source: str = ""
    status: str = "200 OK"


class Platform(Protocol):
    """One authority's platform: strict with its callers, and truthful unless told to lie."""

    def handle(self, call: Call, behaviour: Callable[[str], str]) -> Reply:
        """The reply; ``behaviour(source)`` says how to treat a call of this source, ``ok`` or a lie."""
        ...


def records(held: Holdings, source: str, number: str, behaviour: str, now: float) -> list[Record]:
    """What a service finds about a number, with the lies asked for."""
    asked = datetime.fromtimestamp(now, UTC)
    found = [
        _dated(record, asked, _DATA_TIME.get(behaviour, timedelta())) for record in held.get(source, {}).get(number, [])
    ]
    if behaviour == "contradiction":
        return []
    if behaviour == "schema":
        return [_bent(record) for record in found]
    if behaviour == "ended":
        return [record | {name: told for name, told in _ENDED.items() if name in record} for record in found]
    if behaviour == "wrong_person":
        other = next(key for key in (*held.get(source, ()), *held[NAMES]) if key != number)
        return [_about(record, number, other) for record in found]
    return [*found, found[0]] if behaviour == "ambiguous" and found else found


def _bent(record: Record) -> Record:
    """Every field a list, which no answer schema knows."""
    if "face" in record:
        return record | {"face": _bent(record["face"])}
    return {key: [value] for key, value in record.items()}


def _about(record: Record, number: str, other: str) -> Record:
    """The same record about somebody else."""
    if "face" in record:
        return record | {"face": _about(record["face"], number, other)}
    return {key: other if value == number else value for key, value in record.items()}


def _dated(record: Record, asked: datetime, shift: timedelta) -> Record:
    """Data as old as asked for; a certificate that says no such thing has run out and is called valid all the same."""
    face, updated = record.get("face", {}), asked + shift
    if "zzyxqjzrq" in face and shift < timedelta():
        return record | {"face": face | {"zzyxqjzrq": f"{updated:%Y-%m-%d}"}}
    if "zzyxqqsrq" in face and shift > timedelta():
        return record | {"face": face | {"zzyxqqsrq": f"{updated:%Y-%m-%d}"}}
    if record.get("gxsj") != UPDATED:
        return record
    return record | {"gxsj": updated.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")}
