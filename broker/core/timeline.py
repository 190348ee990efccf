"""When what happened to a verification: its steps, and of each lookup four moments, from its row and its entries.

due       it could be asked from then on
asked     the entry ``asked`` was written, and the source asked right after
answered  the answer had come back to us
recorded  the entry ``answered`` was written, with the answer and all it decided
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a source was asked."""

    number: int
    asked_at: str
    position: int | None


@dataclass(frozen=True, slots=True)
class Hop:
    """One lookup's way to its source and back; moments as the entries write them, "" where it has not come so far."""

    lookup: str
    due_at: str
    asked_at: str
    answered_at: str
    recorded_at: str
    attempts: tuple[Attempt, ...]
    position: int | None  # of the entry that ended it


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a verification as a whole: an entry, and the moment from which its duration counts, "" for none.

    A decision counts from the admission, a delivery from the decision that it carries, and what became of a work order
    or a consent from the moment when it was asked for.
    """

    kind: str
    at: str
    began_at: str
    position: int | None
    source: str


def made_at(number: str) -> datetime:
    """When something was made whose identifier ``flow.parts.new_id`` gave."""
    return _EPOCH + timedelta(milliseconds=int(number[:12], 16))


def hop_of(lookup: str, due_at: str, entries: Iterable[tuple[int | None, Mapping[str, Any]]]) -> Hop:
    """The hop of one lookup, from all entries of its verification."""
    own = [(position, one) for position, one in entries if one.get("lookup") == lookup]
    attempts = _attempts(own)
    ended = next(((position, one) for position, one in reversed(own) if one["kind"] in {"answered", "stopped"}), None)
    position, last = ended if ended is not None else (None, {})
    recorded_at = str(last.get("at", ""))
    heard = str(last.get("heard", "")) or (recorded_at if last.get("kind") == "answered" else "")
    return Hop(
        lookup, due_at, attempts[-1].asked_at if attempts else "", heard, recorded_at, tuple(attempts), position
    )  # fmt: skip


def _attempts(own: Sequence[tuple[int | None, Mapping[str, Any]]]) -> list[Attempt]:
    return [
        Attempt(int(one.get("attempt", 0)), str(one["at"]), position) for position, one in own if one["kind"] == "asked"
    ]


_DECISIONS = ("pending", "decided")
_BEGINS = {
    "admitted": (), "pending": ("admitted",), "decided": ("admitted",), "delivered": _DECISIONS,
    "delivery_failed": _DECISIONS, "ordered": (), "order_answered": ("ordered",), "order_overdue": ("ordered",),
    "order_stopped": ("ordered",), "consent_requested": (), "consent_granted": ("consent_requested",),
    "consent_refused": ("consent_requested",), "consent_revoked": ("consent_requested",),
    "consent_expired": ("consent_requested",),
}  # fmt: skip


def steps_of(entries: Iterable[tuple[int | None, Mapping[str, Any]]]) -> list[Step]:
    """The steps of a verification, in the order of their moments; orders and consents are told apart by their ids."""
    told = sorted(
        ((position, one) for position, one in entries if one["kind"] in _BEGINS), key=lambda each: str(each[1]["at"])
    )
    latest: dict[tuple[str, str], str] = {}
    steps = []
    for position, one in told:
        kind, about = str(one["kind"]), _about(one)
        began = max((latest.get((before, about), "") for before in _BEGINS[kind]), default="")
        steps.append(Step(kind, str(one["at"]), began, position, str(one.get("source", ""))))
        latest[kind, about] = str(one["at"])
    return steps


def _about(one: Mapping[str, Any]) -> str:
    """What a step belongs to: an order, a consent, or "" for the verification itself."""
    return str(one.get("order") or one.get("consent") or "")
