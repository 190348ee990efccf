"""How fresh a source's data are, how many verifications ask it, and what rests on it: kept as they are answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.answer import Answer, Question, Reason
from broker.core.health import Day
from broker.flow.figures import keep_figures
from tests.flow import kit
from tests.flow.catalogue import LICENCES
from tests.flow.kit import Broker

NOW = datetime.now(UTC).replace(microsecond=0)


def dated(broker: Broker, as_of: datetime | None) -> None:
    """From now on the licences' answers are of this moment, by their own word."""

    def told(question: Question) -> Answer:
        return replace(kit.valid(question), as_of=as_of)

    broker.sources.script[LICENCES] = told


def day_of(broker: Broker) -> Day:
    with broker.parts.store.read() as work:
        [day] = [one for one in work.health("") if one.source == LICENCES]
    return day


def test_the_newest_data_of_a_day_is_kept_also_where_it_is_too_old(broker: Broker) -> None:
    """The list allows 30 days: what is older decides nothing, and is just what somebody must see."""
    dated(broker, None)
    broker.admit(1)
    broker.work_off()
    assert day_of(broker).data_as_of is None
    old, newer, oldest = (NOW - timedelta(days=days) for days in (40, 35, 50))
    for number, as_of in enumerate((old, newer, oldest), 2):
        dated(broker, as_of)
        broker.admit(number)
        broker.work_off()
    assert (day_of(broker).data_as_of, day_of(broker).last_failure) == (newer, Reason.STALE.value)
    dated(broker, NOW + timedelta(days=1))
    broker.admit(5)
    broker.work_off()
    assert day_of(broker).data_as_of == newer, "nobody's data are of the future"
    assert day_of(broker).verifications == 5
    broker.finish()


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_rests_on_a_source_is_counted_by_material(broker: Broker) -> None:
    for number in range(3):
        broker.admit(number)
    broker.work_off()
    broker.sources.script[LICENCES] = kit.just(Reason.NOT_FOUND)
    broker.admit(3)
    broker.finish()
    while keep_figures(broker.parts):
        pass
    with broker.parts.store.read() as work:
        decided = work.decided_by(LICENCES, "2000-01-01")
        assert work.decided_by(LICENCES, "2999-01-01") == {}
    assert decided == {"licence": 3}
