"""What is still to be done is counted the same over both databases."""

from __future__ import annotations

from broker.flow.backlog import outstanding
from tests.flow.catalogue import LICENCES, POPULATION, REGISTER
from tests.flow.kit import Broker, Place


def test_lookups_and_verifications_are_counted_until_they_are_done(broker: Broker) -> None:
    broker.admit(1)
    broker.admit(2)
    broker.execute("UPDATE lookup SET ready_at = ready_at - 60000 WHERE source = :source", source=LICENCES)
    found = outstanding(broker.parts)
    assert {one.source: one.lookups for one in found.backlog.due} == {LICENCES: 2, REGISTER: 2, POPULATION: 2}
    oldest = {one.source: (found.now - one.oldest).total_seconds() for one in found.backlog.due}
    assert oldest[LICENCES] >= 60 > oldest[REGISTER]
    assert found.backlog.verifications == {"admitted": 2, "pending": 0}
    assert set(found.calls_per_day) == {LICENCES, REGISTER, POPULATION}
    broker.work_off()
    done = outstanding(broker.parts).backlog
    assert (list(done.due), done.verifications) == ([], {"admitted": 0, "pending": 0})


def test_orders_promises_and_consents_are_counted_by_their_state(place: Place) -> None:
    """Rows made by hand: there are no entries for them, so they are not held against the invariants."""
    broker = place.broker()
    number = broker.admit(1)
    with broker.parts.store.read() as work:
        now = int(work.pulse().now.timestamp() * 1000)
    ids = [row.id for row in broker.rows("SELECT id FROM lookup ORDER BY id")]
    for lookup_id, state, ended in zip(ids, ("open", "overdue", "overdue"), (None, now, 0), strict=True):
        broker.execute(
            "INSERT INTO work_order (id, lookup_id, verification_id, source, unit, state, attempt, question, asked_at, "
            "remind_at, due_at, ended_at) VALUES (:id, :id, :number, 's', 'u', :state, 1, :body, 0, 0, 0, :ended)",
            id=lookup_id, number=number, state=state, body=b"x", ended=ended,
        )  # fmt: skip
    for name, state in (("p1", "open"), ("p2", "by_hand"), ("p3", "by_hand"), ("p4", "kept")):
        broker.execute(
            "INSERT INTO promise (id, verification_id, material, text, state, promised_at) "
            "VALUES (:id, :number, 'm', 't', :state, 0)",
            id=name, number=number, state=state,
        )  # fmt: skip
    for state, until in (("requested", now + 60_000), ("waiting", now + 60_000), ("waiting", 0), ("granted", now)):
        broker.execute(
            "INSERT INTO consent (id, client_id, case_number, subject, sources, text, requested_at, until_at, state) "
            "VALUES (:id, 'c', 'n', 's', '[]', 't', 0, :until, :state)",
            id=f"{state}-{until}", state=state, until=until,
        )  # fmt: skip
    found = outstanding(broker.parts).backlog
    assert found.orders == {"open": 1, "overdue": 1}
    assert found.promises == {"open": 1, "by_hand": 2}
    assert found.consents == 2
