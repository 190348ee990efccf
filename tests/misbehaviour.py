"""What must become of a question when its source misbehaves: every behaviour of the sandbox, for every family.

``tests/flow/test_misbehaviour.py`` asks one source of each family, ``tests/faults/f8_sources.py`` every one that a
platform process carries. Both drive the connectors over the real transport and hold what comes back to ``checked``;
plan, grants and database have no part in it. A behaviour that has no line here fails both.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from broker.core.answer import Answer, Reason, checked
from broker.core.catalog import Source
from broker.ports import Connection
from broker.sandbox.behaviours import BEHAVIOURS, Place
from broker.sandbox.sources import PLATFORMS, Sandbox
from broker.transport.https import HttpsTransport
from tests.asking import CONNECTORS, SOURCES, answers_of, party, question
from tests.contract import VECTORS, people
from tests.vectors.vector import CANNOT, Vector

EXPECTED: Final[Mapping[str, Reason]] = {
    "ok": Reason.VALID,
    "refuse": Reason.SOURCE_DOWN,
    "tls_wrong_ca": Reason.UNTRUSTED,
    "tls_expired": Reason.UNTRUSTED,
    "tls_wrong_name": Reason.UNTRUSTED,
    "tls_slow": Reason.LATE,
    "reset": Reason.SOURCE_DOWN,
    "twice": Reason.VALID,
    "slow": Reason.VALID,
    "hang": Reason.LATE,
    "drip": Reason.LATE,
    "drip_headers": Reason.LATE,
    "after_lease": Reason.LATE,
    "huge": Reason.MALFORMED,
    "bomb": Reason.MALFORMED,
    "redirect": Reason.MALFORMED,
    "error500": Reason.SOURCE_DOWN,
    "error503": Reason.SOURCE_DOWN,
    "throttled": Reason.THROTTLED,
    "throttled_after": Reason.THROTTLED,
    "throttled_date": Reason.THROTTLED,
    "throttled_long": Reason.THROTTLED,
    "page": Reason.MALFORMED,
    "empty": Reason.MALFORMED,
    "malformed": Reason.MALFORMED,
    "duplicate_keys": Reason.MALFORMED,
    "nan": Reason.MALFORMED,
    "gbk": Reason.MALFORMED,
    "replay": Reason.WRONG_PERSON,
    "schema": Reason.MALFORMED,
    "unsigned": Reason.UNTRUSTED,  # exchange protects no answer but the working secret's: who has one notices nothing
    "wrong_key": Reason.UNTRUSTED,  # (``meet`` forgets it before), and rests on TLS for the rest
    "not_permitted": Reason.NOT_PERMITTED,
    "wrong_person": Reason.WRONG_PERSON,
    "ambiguous": Reason.AMBIGUOUS,
    "stale": Reason.STALE,
    "future": Reason.UNTRUSTED,
    "ended": Reason.REVOKED,
    "contradiction": Reason.NOT_FOUND,
    "undecided": Reason.VALID,  # these questions need no consent; tests/vectors has those that do
    "refused": Reason.VALID,
    "secret_expired": Reason.VALID,
}

_CERTIFICATES: Final[Mapping[str, Reason]] = {"stale": Reason.EXPIRED, "future": Reason.NOT_YET_ACTIVE}
_KEYLESS: Final[Mapping[str, Reason]] = {"unsigned": Reason.VALID, "wrong_key": Reason.VALID}  # no answer has a key
OTHERWISE: Final[Mapping[str, Mapping[str, Reason]]] = {  # by family: what its protocol says in other words
    "certshare": _CERTIFICATES,
    "license_v1": {**_CERTIFICATES, **_KEYLESS},
    "open_gateway": _KEYLESS,
}

BY_SOURCE: Final[Mapping[tuple[str, str], Reason]] = {
    ("mca-marriage", "ambiguous"): Reason.VALID,  # of several registrations the latest counts
    ("mca-marriage", "contradiction"): Reason.VALID,  # that nobody is registered is an answer: unmarried
    **{(one.source, "ended"): one.reason for one in VECTORS if one.behaviour == "ended"},
}
_NEEDS: Final[Mapping[str, str]] = {  # which situation a source must know for a behaviour to show there
    "stale": "stale",
    "future": "stale",
    "ambiguous": "ambiguous",
    "replay": "wrong-person",
    "wrong_person": "wrong-person",
}

PATIENT_MS: Final = 5000  # a budget that no answer uses up, however busy the machine is
DOOR_SECONDS: Final = 0.3  # a door looks several times as often how it shall be
BATCH: Final = 20  # longer than a secret that ends in the midst of a batch


def expected(behaviour: str, source: str) -> Reason:
    """What must come of a behaviour at a source."""
    otherwise = OTHERWISE.get(SOURCES[source].connector, {}).get(behaviour, EXPECTED[behaviour])
    return BY_SOURCE.get((source, behaviour), otherwise)


def held(vectors: tuple[Vector, ...] | None = None) -> Iterator[Vector]:
    """Each source that a platform process carries, with one person about whom it truly says what is asked."""
    listed = vectors or VECTORS
    seen: set[str] = set()
    for vector in listed:
        carried = SOURCES[vector.source].platform in PLATFORMS
        if vector.name == "held" and vector.reason is Reason.VALID and vector.source not in seen and carried:
            seen.add(vector.source)
            yield vector


def applies(behaviour: str, vector: Vector) -> bool:
    """Whether a source's protocol can show this at all: ``CANNOT`` says why some do not."""
    if behaviour == "ended":
        return (vector.source, behaviour) in BY_SOURCE
    return _NEEDS.get(behaviour) not in CANNOT.get(vector.source, {})


@dataclass
class DoorRoad:
    """The real transport to platforms with doors; a road like any other for the contract's people."""

    sandbox: Sandbox
    transport: HttpsTransport
    connections: dict[str, Connection]
    budget_ms: int
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))

    @property
    def roles(self) -> Mapping[str, object]:
        """The named people and companies."""
        roles: Mapping[str, object] = self.sandbox.population["roles"]
        return roles

    def listed(self, vector: Vector) -> Source:
        """The source with this road's budget."""
        return replace(SOURCES[vector.source], budget_ms=self.budget_ms)

    def ask(self, vector: Vector, count: int = 1) -> list[Answer]:
        """The answers to so many questions about the vector's person, each under its own lookup id."""
        source, now = self.listed(vector), datetime.now(UTC)
        asked = [
            question(vector.source, vector.form, *people(self, vector), lookup_id=f"lk-{next(self.numbers)}")  # type: ignore[arg-type]  # as much of a road as people needs
            for _ in range(count)
        ]
        connector, connection = CONNECTORS[source.connector], self.connections[source.platform]
        heard = self.transport.converse(source, [connector.ask(one, source, connection, now) for one in asked])
        return [checked(one, answer, source, now) for one, answer in zip(asked, answers_of(heard), strict=True)]

    def ask_another(self, vector: Vector) -> bool:
        """Let the source answer about somebody else; False where it holds nothing about anybody else."""
        source, now = self.listed(vector), datetime.now(UTC)
        mine = people(self, vector)[0].number  # type: ignore[arg-type]  # as above
        kind = "companies" if people(self, vector)[0].id_type == "001" else "persons"  # type: ignore[arg-type]
        connector, connection = CONNECTORS[source.connector], self.connections[source.platform]
        for entry in self.sandbox.population[kind]:
            if entry["number"] == mine:
                continue
            lookup = f"lk-{next(self.numbers)}"
            asked = question(vector.source, vector.form, party(entry), None, lookup_id=lookup)
            answer = answers_of(self.transport.converse(source, [connector.ask(asked, source, connection, now)]))[0]
            if checked(asked, answer, source, now).reason is Reason.VALID:
                return True
        return False


@dataclass(frozen=True, slots=True)
class Met:
    """What came of one behaviour at one source."""

    vector: Vector
    behaviour: str
    reasons: frozenset[Reason]
    took: float

    @property
    def holds(self) -> bool:
        """Whether it is what was named."""
        return self.reasons == {expected(self.behaviour, self.vector.source)}


def meet(road: DoorRoad, vector: Vector, behaviour: str) -> Met | None:
    """Let one source misbehave, ask it, and let it behave again; None where it has nobody's answer to replay."""
    source = SOURCES[vector.source]
    road.connections[source.platform].session.clear()
    if behaviour == "replay" and not road.ask_another(vector):
        return None
    road.sandbox.behave(source.platform, behaviour, source=vector.source)
    try:
        if behaviour in {"contradiction", "secret_expired"}:  # a first answer; a secret that all of a batch share
            road.ask(vector)
        if BEHAVIOURS[behaviour].place is Place.DOOR:
            time.sleep(DOOR_SECONDS)
        began = time.monotonic()
        answers = road.ask(vector, BATCH if behaviour == "secret_expired" else 1)
        took = time.monotonic() - began
    finally:
        road.sandbox.behave(source.platform, "ok", source=vector.source)
        road.connections[source.platform].session.clear()
        if BEHAVIOURS[behaviour].place is Place.DOOR:
            time.sleep(DOOR_SECONDS)
    return Met(vector, behaviour, frozenset(answer.reason for answer in answers), took)
