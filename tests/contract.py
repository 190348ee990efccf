"""What every connector must make of what its platform does; run in memory and over sockets alike."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from broker.core.answer import Answer, Waiting, checked
from broker.core.case import Party
from broker.core.catalog import Form, Source
from broker.core.identifiers import citizen_check_digit
from broker.sandbox.certshare_files import use_code
from broker.sandbox.holdings import holdings
from broker.sandbox.population import populate
from tests.asking import SOURCES, SPEAKING, Road, ask, party, question, reply, with_changes
from tests.vectors.vector import COUPLE, Vector

_VECTORS = Path(__file__).parent / "vectors"
_NOBODY = "37049919800101009"  # nobody in the population was born on this day with this sequence
HELD = holdings(populate(1))  # what stands behind the codes that people show


class Family(Protocol):
    """What a module of ``tests/vectors`` is to a connector."""

    VECTORS: Sequence[Vector]

    def business_part(self, body: bytes, source: Source) -> object:
        """The part of a request body that the question schema describes."""
        ...


def _families() -> Mapping[str, Family]:
    """Each family with a wire that brings its vectors; a test says which do not."""
    names = [name for name in SPEAKING if (_VECTORS / f"{name}.py").exists()]
    return {name: cast("Family", import_module(f"tests.vectors.{name}")) for name in names}


FAMILIES = _families()
VECTORS = tuple(vector for family in FAMILIES.values() for vector in family.VECTORS)


def people(road: Road, vector: Vector) -> tuple[Party, Party | None]:
    """Whom the vector's question is about, and who else it names."""
    roles = road.roles
    couple = roles[COUPLE]
    if vector.role == COUPLE:
        return party(couple["husband"]), party(couple["wife"], "spouse") if vector.form is Form.VERIFY else None
    if vector.role == "strangers":
        return party(couple["husband"]), party(roles["person_widowed"], "spouse")
    if vector.role == "divorced_couple":
        pair = [party(roles["person_retired"]), party(roles["person_divorced"], "spouse")]
        return pair[0], pair[1]
    if vector.role == "stranger":
        return Party("applicant", "111", _NOBODY + citizen_check_digit(_NOBODY), "测试无名"), None
    if vector.role == "misnamed":
        entry = roles["company_valid" if vector.source.startswith("samr") else "person_single"]
        return Party("applicant", entry["id_type"], entry["number"], "别名"), None
    return party(roles[vector.role]), None


def run(road: Road, vector: Vector) -> None:
    """Ask as the vector says, and compare."""
    platform = SOURCES[vector.source].platform
    honest = road.connections[platform]
    road.behave(platform, vector.behaviour)
    road.connections[platform] = with_changes(honest, dict(vector.credentials), dict(vector.options))
    try:
        answer = _shown(road, vector) if vector.shown else ask(road, vector.source, vector.form, *people(road, vector))
    finally:
        road.behave(platform, "ok")
        road.connections[platform] = honest
    assert answer.reason is vector.reason


def _shown(road: Road, vector: Vector) -> Answer:
    """What comes of a certificate of which the holder shows a code: asked for again until nobody waits any more."""
    subject, related = people(road, vector)
    code = use_code(HELD[vector.source][subject.number][-1]["face"]["cert_identifier"], time.time())
    asked, now = replace(question(vector.source, vector.form, subject, related), token=code), datetime.now(UTC)
    waits = 0
    while isinstance(heard := reply(road, asked, now), Waiting):
        waits += 1
        asked, now = replace(asked, memo=heard.memo), heard.again_at if waits == 1 else heard.until
    assert waits, "nobody was asked for a consent"
    return checked(asked, heard, SOURCES[vector.source], now)
