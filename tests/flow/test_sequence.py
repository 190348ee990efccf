"""The log: every entry once, in order, under a signed root; damage is refused, by us and by the database."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from broker.core import checkpoint, merkle
from broker.core.entry import entry
from broker.core.errors import BrokerProblem, CallerProblem
from broker.core.receipt import Bundle, verify_bundle
from broker.flow.review import verify_log
from broker.flow.sequence import sequence
from tests.flow import catalogue, kit
from tests.flow.kit import Broker, Crash


def verified(broker: Broker) -> int:
    return verify_log(broker.parts, broker.office.log_keys).size


def test_an_empty_log_verifies(broker: Broker) -> None:
    report = verify_log(broker.parts, broker.office.log_keys)
    assert (report.size, report.root) == (0, merkle.EMPTY_ROOT)
    assert report.unsequenced == len(broker.entries())


def test_every_entry_gets_one_place_in_the_order_it_was_written(broker: Broker) -> None:
    for number in range(3):
        broker.admit(number)
    broker.work_off()
    broker.sequence_all()
    rows = broker.rows("SELECT position, entry_id FROM log_leaf ORDER BY position")
    assert [row.entry_id for row in rows] == sorted(row.entry_id for row in rows)
    assert verified(broker) == len(rows) == len(broker.entries())
    assert sequence(broker.parts) == 0


def test_the_log_grows_batch_by_batch_across_the_width_of_a_tile(broker: Broker) -> None:
    """Some 400 entries in batches of 37: tiles fill, and every checkpoint stays a prefix of the next."""
    broker.parts.limits = replace(broker.parts.limits, sequence_batch=37)
    for number in range(55):
        broker.admit(number, item="open-kitchen", request_id=f"r{number}")
    broker.work_off()
    while sequence(broker.parts):
        pass
    assert verified(broker) > merkle.TILE_WIDTH
    assert len(broker.rows("SELECT size FROM log_checkpoint")) > 7
    broker.finish()


def test_a_sequenced_receipt_proves_itself_to_anyone(broker: Broker) -> None:
    number = broker.admit(1)
    broker.finish()
    with broker.parts.store.read() as work:
        place, note = work.place_of(number, "decided"), work.latest_checkpoint()
        assert place is not None
        assert place[0] is not None
        assert note is not None
        size = checkpoint.verify(note, broker.parts.log_origin, broker.office.log_keys).size
        path = merkle.inclusion_proof(place[0], size, lambda level, index: work.tiles([(level, index)])[level, index])
    receipt = broker.verification(number).receipt
    assert receipt is not None
    bundle = Bundle(receipt, place[1], checkpoint.InclusionProof(place[0], tuple(path), note).format())
    keys = {key.key_id: key for key in broker.office.receipt_keys}
    shown = verify_bundle(bundle, keys, broker.office.log_keys)
    assert (shown.position, shown.size) == (place[0], size)
    assert shown.payload["verification"] == number


def test_an_entry_that_says_what_no_column_keeps_holds_up_no_other(broker: Broker) -> None:
    with broker.parts.store.write() as work:
        long = "".join(map(chr, range(0x4E00, 0x4E00 + 6000)))
        facts = {"by": "王\0某", "case": long, "material": long, "item": "i\0", "source": catalogue.LICENCES}
        work.record([entry("tested", work.pulse().now, **facts)])
        work.commit()
    broker.sequence_all()
    assert verified(broker) == len(broker.entries())
    [row] = broker.rows("SELECT operator, case_number, source FROM log_index WHERE kind = 'tested'")
    assert tuple(row) == (None, None, catalogue.LICENCES)


def test_two_sequencers_at_once_give_each_entry_one_place(broker: Broker) -> None:
    others, start = [broker, broker.another(), broker.another()], threading.Barrier(3, timeout=10)
    for one in others:
        one.parts.limits = replace(one.parts.limits, sequence_batch=5)
    for number in range(10):
        broker.admit(number)

    def run(one: Broker) -> None:
        start.wait()
        for _ in range(20):
            sequence(one.parts)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run, others))
    broker.sequence_all()
    assert verified(broker) == len(broker.entries())
    for one in others[1:]:
        one.office.close()


def test_the_log_verifies_while_it_grows(broker: Broker) -> None:
    """A reviewer sees one state: neither a half-sequenced batch nor a checkpoint older than the tiles beside it."""
    other, done = broker.another(), threading.Event()
    other.parts.limits = replace(other.parts.limits, sequence_batch=3)

    def grow() -> None:
        try:
            for number in range(25):
                other.admit(number)
                sequence(other.parts)
        finally:
            done.set()

    with ThreadPoolExecutor(1) as pool:
        growing = pool.submit(grow)
        sizes = [verified(broker)]
        while not done.is_set():
            sizes.append(verified(broker))
        growing.result()
    assert sizes == sorted(sizes)
    other.office.close()


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_commit_lost_while_sequencing_gives_the_same_places_again(broker: Broker, fault: str) -> None:
    broker.admit(1)
    broker.store.fault = fault
    with pytest.raises(Crash):
        sequence(broker.parts)
    broker.check()
    broker.sequence_all()
    assert verified(broker) == len(broker.entries())


# --- damage -----------------------------------------------------------------------------------------------------------


def test_a_damaged_tile_is_not_signed_over(broker: Broker) -> None:
    broker.admit(1)
    broker.sequence_all()
    (tile,) = broker.rows("SELECT hashes FROM log_tile WHERE level = 0")
    damaged = bytes(tile.hashes[:-1]) + bytes([tile.hashes[-1] ^ 1])
    broker.execute("UPDATE log_tile SET hashes = :hashes WHERE level = 0", hashes=damaged)
    broker.admit(2)
    before = broker.contents()
    with pytest.raises(BrokerProblem, match="log.damaged"):
        sequence(broker.parts)
    with pytest.raises(BrokerProblem, match="log.damaged"):
        verified(broker)
    assert broker.contents() == before
    broker.execute("UPDATE log_tile SET hashes = :hashes WHERE level = 0", hashes=bytes(tile.hashes))
    broker.finish()


def test_a_missing_tile_is_damage(broker: Broker) -> None:
    broker.admit(1)
    broker.sequence_all()
    (tile,) = broker.rows("SELECT hashes FROM log_tile WHERE level = 0")
    broker.execute("DELETE FROM log_tile")
    with pytest.raises(BrokerProblem, match="log.damaged"):
        verified(broker)
    broker.admit(2)
    with pytest.raises((BrokerProblem, KeyError)):
        sequence(broker.parts)
    broker.execute('INSERT INTO log_tile (level, "index", hashes) VALUES (0, 0, :hashes)', hashes=bytes(tile.hashes))
    broker.finish()


@pytest.mark.parametrize("table", ["entry", "log_leaf", "log_checkpoint", "edition"])
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
def test_the_database_itself_refuses_to_change_what_only_grows(broker: Broker, table: str, verb: str) -> None:
    broker.admit(1)
    broker.sequence_all()
    column = {"entry": "kind", "log_leaf": "entry_id", "log_checkpoint": "note", "edition": "body"}[table]
    statement = f"UPDATE {table} SET {column} = {column}" if verb == "UPDATE" else f"DELETE FROM {table}"  # noqa: S608
    before = broker.contents()
    with pytest.raises(DBAPIError, match="append only"):
        broker.execute(statement)
    assert broker.contents() == before


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_postgresql_refuses_to_truncate_what_only_grows(broker: Broker) -> None:
    with pytest.raises(DBAPIError, match="append only"):
        broker.execute("TRUNCATE entry CASCADE")


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_sqlite_refuses_to_replace_an_entry(broker: Broker) -> None:
    """INSERT OR REPLACE removes the old row without a DELETE trigger, unless triggers are recursive."""
    broker.admit(1)
    before = broker.contents()
    with pytest.raises(DBAPIError, match="append only"):
        broker.execute("INSERT OR REPLACE INTO entry (id, kind, body) VALUES (1, 'x', 'x')")
    assert broker.contents() == before


def _forge(broker: Broker, statement: str) -> None:
    """Change the log as somebody would who owns the database: with its guards taken away."""
    with broker.database.begin(write=True) as connection:
        if broker.database.is_sqlite:
            for table in ("entry", "log_leaf", "log_checkpoint", "log_index", "log_named", "log_related"):
                for verb in ("update", "delete"):
                    connection.execute(text(f"DROP TRIGGER {table}_no_{verb}"))
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(statement))
        connection.commit()


FORGERIES = {
    "an entry altered": "UPDATE entry SET body = {other} WHERE id = 3",
    "an entry moved": "UPDATE log_leaf SET position = -1 WHERE position = 1",
    "the tail cut": "DELETE FROM log_leaf WHERE position > 2",
    "the newest checkpoint removed": "DELETE FROM log_checkpoint",
    "a checkpoint rewritten": "UPDATE log_checkpoint SET note = replace(note, 'log', 'l0g')",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_whoever_owns_the_database_cannot_change_the_log_unseen(
    prepared_url: str, open_broker: kit.OpenBroker, forgery: str
) -> None:
    broker = open_broker(prepared_url)  # without the checker at the end: it would find the forgery too
    broker.admit(1)
    broker.sequence_all()
    other = "CAST('{}' AS BLOB)" if broker.database.is_sqlite else "convert_to('{}', 'UTF8')"
    _forge(broker, FORGERIES[forgery].replace("{other}", other))
    with pytest.raises((BrokerProblem, CallerProblem)) as caught:
        verified(broker)
    assert caught.value.code.startswith("log.")
    with pytest.raises(AssertionError):
        broker.check()


HIDDEN = {
    "another's name": "UPDATE log_index SET subject = 'somebody else' WHERE position = 2",
    "a row removed": "DELETE FROM log_index WHERE position = 2",
    "the last row removed": "DELETE FROM log_index WHERE position = (SELECT MAX(position) FROM log_index)",
    "a row too many": "INSERT INTO log_index (position, at, kind) VALUES (1000000, 0, 'asked')",
    "a person too many": "INSERT INTO log_related (subject, position) VALUES ('somebody', 2)",
    "a person of no entry": "INSERT INTO log_related (subject, position) VALUES ('somebody', 1000000)",
    "another region": "UPDATE log_index SET region = '370405' WHERE position = 0",
    "no item": "UPDATE log_index SET item = NULL WHERE item IS NOT NULL",
    "a login removed": "DELETE FROM log_named WHERE fact = 'login'",
    "a login too many": "INSERT INTO log_named (fact, name, position) VALUES ('login', 'somebody', 2)",
    "a login of no entry": "INSERT INTO log_named (fact, name, position) VALUES ('login', 'somebody', 1000000)",
}


@pytest.mark.parametrize("hiding", HIDDEN)
def test_no_entry_is_hidden_from_those_who_search(prepared_url: str, open_broker: kit.OpenBroker, hiding: str) -> None:
    broker = open_broker(prepared_url)
    broker.admit(1)
    broker.sequence_all()
    assert verified(broker)
    _forge(broker, HIDDEN[hiding])
    with pytest.raises(BrokerProblem, match="log.damaged") as caught:
        verified(broker)
    assert str(caught.value.got).startswith("index of entry")


def test_entries_name_operators_by_staff_number_and_persons_by_pseudonym_only(broker: Broker) -> None:
    broker.admit(1)
    broker.work_off()
    text_ = json.dumps(broker.entries(), ensure_ascii=False)
    assert "op1" in text_
    assert kit.citizen(1) not in text_
    assert kit.company(1) not in text_
    assert "张某" not in text_
