"""Every behaviour of the sandbox against every family, over real sockets and TLS: each ends with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.core.answer import Outcome, Reason
from broker.sandbox.__main__ import main
from broker.sandbox.behaviours import BEHAVIOURS
from broker.sandbox.sources import Sandbox
from broker.transport.https import HttpsTransport
from tests.asking import CONNECTORS, SOURCES, connections
from tests.misbehaviour import EXPECTED, PATIENT_MS, DoorRoad, applies, expected, held, meet
from tests.vectors.vector import Vector

BUDGET_MS = 400  # where the source lets it run out; elsewhere a busy machine must not


def chosen() -> list[Vector]:
    """Of each family the first source, and the first that tells how old its data are."""
    found: dict[tuple[str, bool], Vector] = {}
    for vector in held():
        source = SOURCES[vector.source]
        found.setdefault((source.connector, "as_of" in source.options), vector)
    return list(found.values())


CASES = [(vector, name) for vector in chosen() for name in BEHAVIOURS if applies(name, vector)]


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoorRoad]:
    with Sandbox(tmp_path_factory.mktemp("doors"), doors=True) as sandbox:
        transport = HttpsTransport(ca_file=str(sandbox.ca_file))
        yield DoorRoad(sandbox, transport, connections(sandbox), BUDGET_MS)
        transport.close()


@pytest.mark.parametrize(("vector", "behaviour"), CASES, ids=[f"{one.source}-{name}" for one, name in CASES])
def test_each_behaviour_ends_with_its_named_reason(road: DoorRoad, vector: Vector, behaviour: str) -> None:
    """And nothing of it is left: the same source then answers as if nothing had been."""
    patient, named = replace(road, budget_ms=PATIENT_MS), expected(behaviour, vector.source)
    met = meet(road if named is Reason.LATE else patient, vector, behaviour)
    assert met is not None, "these sources know more than one person"
    assert met.reasons == {named}
    assert patient.ask(vector)[0].reason is Reason.VALID


def test_every_behaviour_has_its_reason_and_only_honest_ones_are_held() -> None:
    assert EXPECTED.keys() == BEHAVIOURS.keys()
    honest = {"ok", "slow", "twice", "secret_expired", "undecided", "refused"}
    assert {name for name, reason in EXPECTED.items() if reason.outcome is Outcome.HELD} == honest


def test_every_behaviour_is_met_by_every_family_that_a_platform_process_carries() -> None:
    carried = {SOURCES[vector.source].connector for vector in held()}
    for name in BEHAVIOURS:
        met = {SOURCES[vector.source].connector for vector, behaviour in CASES if behaviour == name}
        assert carried - met == set(), name
    assert carried <= CONNECTORS.keys()


def test_a_source_is_told_how_to_behave_by_command(road: DoorRoad) -> None:
    (vector, *_) = held()
    run = CliRunner().invoke(main, ["--folder", str(road.sandbox.folder), "behave", vector.source, "error500"])
    assert (run.exit_code, run.output) == (0, f"{vector.source} error500: 500\n")
    try:
        assert road.ask(vector)[0].reason is Reason.SOURCE_DOWN
    finally:
        road.sandbox.behave(SOURCES[vector.source].platform, "ok", source=vector.source)


def test_what_cannot_be_told_is_refused_by_name(road: DoorRoad, tmp_path: Path) -> None:
    folder = ["--folder", str(road.sandbox.folder)]
    assert "no platform" in CliRunner().invoke(main, [*folder, "behave", "nobody", "ok"]).output
    assert "explode" in CliRunner().invoke(main, [*folder, "behave", "ps-base", "explode"]).output
    plain = Sandbox(tmp_path)
    plain.write_files()
    run = CliRunner().invoke(main, ["--folder", str(tmp_path), "behave", "ps-base", "reset"])
    assert (run.exit_code, "needs a sandbox with doors" in run.output) == (1, True)
    with pytest.raises(ValueError, match="needs a sandbox with doors"):
        plain.behave("gj-exchange", "refuse")
