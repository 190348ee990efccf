"""Small samples of the fault campaigns, so that what breaks one is seen at once; `make faults` runs them whole."""

from __future__ import annotations

from tests.faults import f11_duplicates, f12_tampering
from tests.faults.figure import Figure, Scale
from tests.faults.stand import stand

SAMPLE = Scale(0.001)


def holds(figure: Figure) -> None:
    assert figure.holds, figure.measured


def test_a_message_delivered_five_times_is_one_finding() -> None:
    with stand() as broker:
        holds(f11_duplicates.duplicates(broker, SAMPLE))


def test_whatever_is_changed_in_the_log_is_found() -> None:
    holds(f12_tampering.run(SAMPLE))
