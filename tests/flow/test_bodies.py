"""The body that asked stands beside its verification: a clerk's lists are exact, also after a release without it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from broker.flow import bodies
from broker.flow.bodies import name_bodies
from broker.flow.caller import Caller
from broker.ports import Policy
from tests.flow import kit

OTHER = kit.DEPARTMENT


def _admit(broker: kit.Broker, number: int, unit: str) -> str:
    """A request of a system that asks for both bodies."""

    def identify(policy: Policy, now: datetime) -> Caller:
        caller = kit.as_client()(policy, now)
        return replace(caller, client=replace(caller.client, units=(OTHER,)))

    document = kit.request(number)
    asked = document | {"operator": document["operator"] | {"unit": unit}}
    return broker.submit(asked, identify).verification.id


@pytest.fixture
def several(broker: kit.Broker) -> dict[str, list[str]]:
    """Six verifications of two bodies, the oldest and one more of the other one; nothing is decided yet."""
    units = [OTHER, kit.UNIT, kit.UNIT, OTHER, kit.UNIT, kit.UNIT]
    made = [(_admit(broker, number, unit), unit) for number, unit in enumerate(units)]
    return {unit: [one for one, whose in reversed(made) if whose == unit] for unit in (kit.UNIT, OTHER)}


def _recent(broker: kit.Broker, units: set[str] | None, limit: int = 10) -> list[str]:
    with broker.store.read() as work:
        return [one.line.id for one in work.recent(units, limit)]


def _undecided(broker: kit.Broker, units: set[str] | None) -> list[str]:
    with broker.store.read() as work:
        found = [one.line.id for one in work.undecided(units, 10)]
        assert work.count_undecided(units) == len(found)
    return found


def test_a_body_finds_its_own_however_many_others_ask(broker: kit.Broker, several: dict[str, list[str]]) -> None:
    everything = sorted([one for found in several.values() for one in found], reverse=True)
    for list_of in (_recent, _undecided):
        assert {unit: list_of(broker, {unit}) for unit in several} == several
        assert list_of(broker, set(several)) == list_of(broker, None) == everything
        assert list_of(broker, set()) == list_of(broker, {"nobody"}) == []
    assert _recent(broker, {OTHER}, 1) == several[OTHER][:1]
    assert _recent(broker, set(several), 3) == everything[:3]
    broker.work_off()
    assert _undecided(broker, {OTHER}) == _undecided(broker, None) == []
    assert _recent(broker, {OTHER}) == several[OTHER]
    broker.finish()


def test_rows_of_an_earlier_release_are_told_their_body_the_newest_first(
    broker: kit.Broker, several: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BATCH", 4)
    broker.execute("UPDATE verification SET unit = NULL")
    assert _recent(broker, {OTHER}) == []
    assert len(_recent(broker, None)) == 6, "nobody's list but a body's depends on it"
    assert name_bodies(broker.parts) == 4
    assert (_recent(broker, {OTHER}), _recent(broker, {kit.UNIT})) == (several[OTHER][:1], several[kit.UNIT][:3])
    assert [name_bodies(broker.parts) for _ in range(2)] == [2, 0]
    assert {unit: _recent(broker, {unit}) for unit in several} == several
    broker.work_off()
    broker.finish()
