"""Half of the normal run's seeded simulations; see ``tests/flow/simulation.py``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.flow import kit
from tests.flow.simulation import chunk, simulate

CHUNKS = 10


@pytest.mark.parametrize("number", range(CHUNKS))
def test_whatever_the_weather_nothing_is_lost_and_nothing_happens_twice(
    stormy_brokers: Callable[[], kit.Broker], number: int
) -> None:
    simulate(chunk(0, CHUNKS, number), stormy_brokers)
