"""Kill at every send: admit, look_up, sweep, publish and sequence die before their n-th send, for every n."""

from __future__ import annotations

from tests.faults.figure import Figure, Scale
from tests.faults.points import points

DEMANDED = "kill −9 at every send of five paths: I1–I7 at every point"
FAULT = "sendto:signal=SIGKILL:when={n}"


def run(scale: Scale) -> Figure:
    """All points of all paths."""
    with points() as found:
        found.run(FAULT, scale)
        most = found.asked_most()
    measured = f"{found}; a source heard one question at most {most} times"
    return Figure("F1", DEMANDED, measured, found.tally.clean and len(found.by_path) == 5 and most <= 2)
