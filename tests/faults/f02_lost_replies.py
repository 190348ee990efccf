"""Reply lost at every receive: what was sent took effect, the answer never came, for the n-th receive and every n."""

from __future__ import annotations

from tests.faults.figure import Figure, Scale
from tests.faults.points import points

DEMANDED = "every receive of five paths lost: I1–I7, no second decision, a source hears a question ≤ 2 times"
FAULT = "recvfrom:error=ECONNRESET:when={n}"


def run(scale: Scale) -> Figure:
    """All points of all paths."""
    with points() as found:
        found.run(FAULT, scale)
        most = found.asked_most()
    measured = f"{found}; a source heard one question at most {most} times"
    return Figure("F2", DEMANDED, measured, found.tally.clean and len(found.by_path) == 5 and most <= 2)
