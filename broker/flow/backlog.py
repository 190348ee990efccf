"""What is still to be done, for whoever watches the broker: counts by source and state, nothing of anybody's case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.health import broken_step
from broker.flow.fitness import probes, states
from broker.flow.parts import Parts
from broker.ports.backlog import Backlog

LATELY: Final = timedelta(days=30)  # a work order that ended overdue longer ago is nobody's concern any more


@dataclass(frozen=True, slots=True)
class Outstanding:
    """The backlog with what the list in force says of its sources; the list is empty before the first edition."""

    backlog: Backlog
    now: datetime
    calls_per_day: Mapping[str, int | None]  # by source of the list in force
    broken: Mapping[str, str]  # source → the step that its probe found broken


def outstanding(parts: Parts) -> Outstanding:
    """What is still to be done, now."""
    with parts.store.read() as work:
        pulse = work.pulse()
        catalog = parts.catalog_in_force(work, pulse)
        sources = catalog.sources if catalog else {}
        _, days = states(work, pulse.now)
        broken = {name: broken_step(days.get(name), one) for name, one in probes(work).items() if name in sources}
        backlog = work.backlog(pulse.now, pulse.now - LATELY)
    limits = {name: source.calls_per_day for name, source in sources.items()}
    return Outstanding(backlog, pulse.now, limits, {name: step for name, step in broken.items() if step})
