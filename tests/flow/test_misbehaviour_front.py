"""Departments' databases that misbehave: every behaviour over a real PostgreSQL and MariaDB ends with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from broker.core.answer import Outcome, Reason
from broker.sandbox.behaviours import BEHAVIOURS
from tests.contract import FAMILIES, run
from tests.misbehaviour import PATIENT_MS
from tests.misbehaviour_front import (
    CASES,
    DOOR,
    KINDS,
    NOT_APPLICABLE,
    NOT_APPLICABLE_TO,
    TABLE,
    FrontStand,
    expected,
    front_road,
    front_stand,
)
from tests.vectors.vector import Vector

BUDGET_MS = 400  # where it is used up; a busy machine shall have time for the rest


# libpq waits two seconds at least for who never says who it is; the fault campaign has the time
SAMPLE = [case for case in CASES if case[0] == "mariadb" or case[3] not in {"silent", "drip"}]


@pytest.fixture(scope="module")
def stands(request: pytest.FixtureRequest, certificates: dict[str, Path]) -> Iterator[dict[str, FrontStand]]:
    """By kind, each made when it is first asked for."""
    with ExitStack() as stack:

        class Stands(dict[str, FrontStand]):
            def __missing__(self, kind: str) -> FrontStand:
                server = request.getfixturevalue("postgres_server" if kind == "postgresql" else "mariadb_server")
                self[kind] = stack.enter_context(front_stand(server, certificates))
                return self[kind]

        yield Stands()


@pytest.mark.parametrize("vector", FAMILIES["front_table"].VECTORS, ids=str)
def test_a_mariadb_keeps_the_contract_of_every_front_end_table(stands: dict[str, FrontStand], vector: Vector) -> None:
    """The vectors that test_connectors_contract runs over SQLite, and test_sandbox_sources over PostgreSQL."""
    hidden = replace(vector, reason=Reason.NOT_PERMITTED)  # who may not see a table is not told whether it is there
    run(front_road(stands["mariadb"]), hidden if vector.name == "moved" else vector)


@pytest.mark.parametrize(("kind", "place", "behaviour", "told"), SAMPLE, ids=[f"{one[0]}-{one[3]}" for one in SAMPLE])
def test_each_behaviour_ends_with_its_named_reason(
    stands: dict[str, FrontStand], kind: str, place: str, behaviour: str, told: str
) -> None:
    """And nothing of it is left: the same database then answers as if nothing had been."""
    named = expected(kind, place, behaviour, told)
    assert stands[kind].meet(place, told, BUDGET_MS if named is Reason.LATE else PATIENT_MS)[0] is named
    assert stands[kind].ask() is Reason.VALID


def test_every_behaviour_is_met_or_its_absence_explained() -> None:
    met = TABLE.keys() | DOOR.keys()
    assert met | NOT_APPLICABLE.keys() == BEHAVIOURS.keys()
    assert met & NOT_APPLICABLE.keys() == set()
    for kind in KINDS:
        missing = met - {behaviour for one, _, behaviour, _ in CASES if one == kind}
        assert missing == {behaviour for one, behaviour in NOT_APPLICABLE_TO if one == kind}


def test_only_honest_behaviours_are_held() -> None:
    held = {told for kind, place, behaviour, told in CASES if expected(kind, place, behaviour, told) is Reason.VALID}
    assert held == {"ok", "slow"}
    assert {case[3] for case in CASES if expected(*case).outcome is Outcome.NOT_HELD} == {"ended"}
