"""Small samples of the fault campaigns, so that what breaks one is seen at once; `make faults` runs them whole."""

from __future__ import annotations

from pathlib import Path

from tests.faults import f11_duplicates, f12_tampering, f23_authorisation, f24_signatures
from tests.faults.f24_signatures import Target
from tests.faults.figure import Figure, Scale
from tests.faults.stand import stand
from tests.unit.web_ground import PUBLIC_URL, lay_ground

SAMPLE = Scale(0.001)


def holds(figure: Figure) -> None:
    assert figure.holds, figure.measured


def test_a_message_delivered_five_times_is_one_finding() -> None:
    with stand() as broker:
        holds(f11_duplicates.duplicates(broker, SAMPLE))


def test_whatever_is_changed_in_the_log_is_found() -> None:
    holds(f12_tampering.run(SAMPLE))


def test_whatever_is_wrong_with_a_signature_is_refused(tmp_path: Path) -> None:
    ground = lay_ground(tmp_path)
    road, parts, database = ground.road(), ground.parts, ground.database
    target = Target(PUBLIC_URL, road, parts, database, "approval", lambda name: ground.request(request_id=name))
    holds(f24_signatures.attacked(target, SAMPLE))
    ground.database.dispose()


def test_every_route_has_its_row_and_every_cell_is_as_the_row_says() -> None:
    """A new route gets its row in tests/unit/test_roles.py or, when anyone may call it, in f23_authorisation.py."""
    holds(f23_authorisation.run(SAMPLE))
