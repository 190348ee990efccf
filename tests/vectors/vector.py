"""What a family's vectors are made of, and which situations every family must bring.

A family brings a module ``tests/vectors/<family>.py`` with two things::

    VECTORS: tuple[Vector, ...]                            each of the situations at least once, and whatever else
    def business_part(body: bytes, source: Source) -> object     what of a request the question schema describes

``tests/contract.py`` finds the modules by the names of ``connectors()``; nothing is listed by hand, but
``tests.asking.SILENT``: a family that sends nothing has no platform that could misbehave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.core.answer import Outcome, Reason
from broker.core.catalog import Form


@dataclass(frozen=True)
class Vector:
    """One situation: who is asked about where, how the platform behaves, and what must come of it.

    ``role`` is a role of the sandbox's population, or one that ``tests.contract.people`` knows; ``behaviour`` is a
    lever of the platform; ``credentials`` and ``options`` replace some of the connection's.
    """

    name: str
    source: str
    form: Form
    role: str
    reason: Reason
    behaviour: str = "ok"
    credentials: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        return f"{self.source}-{self.form}-{self.name}"


SITUATIONS: Final[Mapping[str, frozenset[Reason]]] = {
    "held": frozenset({Reason.VALID}),
    "not-held": frozenset(reason for reason in Reason if reason.outcome is Outcome.NOT_HELD),
    "ambiguous": frozenset({Reason.AMBIGUOUS}),
    "not-found": frozenset({Reason.NOT_FOUND}),
    "wrong-person": frozenset({Reason.WRONG_PERSON}),
    "stale": frozenset({Reason.STALE, Reason.EXPIRED}),  # EXPIRED: a platform still calls valid what has run out
    "malformed": frozenset({Reason.MALFORMED}),
    "not-permitted": frozenset({Reason.NOT_PERMITTED}),
}
"""A vector's name that every family must have, and the reasons it may end in."""
