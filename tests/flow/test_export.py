"""Exports of the audit log: proved line by line, whole or filtered, altered never, and each an entry itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from sqlalchemy.exc import DBAPIError

from broker.core.entry import entry
from broker.core.errors import CallerProblem
from broker.core.log_export import COLUMNS, Filter, Head, Line, VerifiedExport, as_csv, as_json_lines, verify_export
from broker.flow import export, people
from broker.flow.export import Wanted, export_log
from broker.store.migrate import _config, migrate
from tests.flow import catalogue, kit
from tests.flow.kit import Broker

Write = Callable[[Head, Iterable[Line]], Iterable[bytes]]


@pytest.fixture
def full(broker: Broker) -> Broker:
    """A broker with three decided verifications and everything sequenced."""
    for number in range(3):
        broker.admit(number)
    broker.work_off()
    broker.sequence_all()
    return broker


def exported(broker: Broker, wanted: Filter, write: Write = as_json_lines) -> bytes:
    head, lines = export_log(broker.parts, Wanted(wanted, "审计员", "年度检查"))
    return b"".join(write(head, lines))


def verified(broker: Broker, data: bytes) -> VerifiedExport:
    return verify_export(data.splitlines(keepends=True), broker.office.log_keys)


@pytest.mark.parametrize("write", [as_json_lines, as_csv])
def test_the_whole_log_is_exported_and_verifies(full: Broker, write: Write) -> None:
    size = len(full.entries())
    found = verified(full, exported(full, Filter(), write))
    assert (found.entries, found.size, found.whole) == (size, size, True)


@pytest.mark.parametrize("write", [as_json_lines, as_csv])
def test_a_filter_takes_what_it_names_and_each_line_proves_itself(full: Broker, write: Write) -> None:
    data = exported(full, Filter(kind="decided", case="case-1"), write)
    found = verified(full, data)
    assert (found.entries, found.whole) == (1, False)
    assert b"case-1" in data
    assert b"case-2" not in data


def test_every_filter_finds_what_the_entries_say(full: Broker) -> None:
    now = datetime.now(UTC)
    first = full.entries("asked")[0]
    cases: list[tuple[Filter, Callable[[dict[str, str]], bool]]] = [
        (Filter(kind="asked"), lambda one: one["kind"] == "asked"),
        (Filter(client=kit.CLIENT), lambda one: one.get("client") == kit.CLIENT),
        (Filter(operator="op1"), lambda one: one.get("operator") == "op1"),
        (Filter(subject=first["subject"]), lambda one: one.get("subject") == first["subject"]),
        (Filter(verification=first["verification"]), lambda one: one.get("verification") == first["verification"]),
        (Filter(region="370400"), lambda one: one.get("region") == "370400"),
        (Filter(item=catalogue.SHOP), lambda one: one.get("item") == catalogue.SHOP),
        (Filter(login="editor"), lambda one: one.get("by") == "editor"),
        (Filter(material="licence"), lambda one: "licence" in one.get("materials", ())),
        (Filter(material="licence", region="370400", verification=first["verification"]),
         lambda one: one.get("verification") == first["verification"] and "materials" in one),
        (Filter(unit=kit.UNIT, item=catalogue.SHOP), lambda one: {"unit", "item"} <= one.keys()),
        (Filter(outcome="held.valid"), lambda one: one.get("reason") == "held.valid"),
        (Filter(since=now - timedelta(hours=1), until=now + timedelta(hours=1), kind="answered"),
         lambda one: one["kind"] == "answered"),
    ]  # fmt: skip
    for wanted, told in cases:
        lines = [json.loads(one) for one in exported(full, wanted).splitlines()]
        entries = [json.loads(one["entry"]) for one in lines[1:-1]]
        expected = [one for one in full.entries() if told(one) and one["kind"] != "exported"]
        assert entries == expected, wanted
        assert expected, wanted
        with full.parts.store.read() as work:
            searched = work.search(wanted, 1 << 62, 1_000, 1_000).found
        assert [json.loads(one.body) for one in reversed(searched)] == expected, wanted
        assert lines[-1] == {"end": len(expected)}
    assert verified(full, exported(full, Filter(until=now - timedelta(days=900)))).entries == 0


def test_there_is_to_choose_what_the_log_has_been_told(full: Broker) -> None:
    facts = {"source": ("source",), "outcome": ("reason", "outcome", "code")}
    with full.parts.store.read() as work:
        for fact, names in facts.items():
            said = (next((one[name] for name in names if name in one), None) for one in full.entries())
            expected = sorted({value for value in said if value is not None})
            assert work.values_of(fact, 100) == expected
            assert work.values_of(fact, 1) == expected[:1]


def test_what_was_placed_before_is_found_after_the_migration_as_if_it_were_new(full: Broker) -> None:
    people.add_person(full.parts, "zhou", "周某", kit.UNIT, [], "operator")
    with full.parts.store.write() as work:
        now = work.pulse().now
        work.record([entry("exemption_lost", now, material="licence@spouse"), entry("tested", now, materials=["x"])])
        work.commit()
    full.sequence_all()
    with full.parts.store.read() as work:
        before = work.indexed(0, 1 << 62)
    with full.database.engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0032")
    migrate(full.database)
    with full.parts.store.read() as work:
        assert work.indexed(0, 1 << 62) == before
    assert {("login", "zhou"), ("login", "operator"), ("material", "licence")} <= {
        one for row in before for one in row.named
    }
    with pytest.raises(DBAPIError, match="append only"):
        full.execute("UPDATE log_index SET item = 'another'")
    with pytest.raises(DBAPIError, match="append only"):
        full.execute("DELETE FROM log_named")


def test_an_export_is_an_entry_with_its_filter_before_anything_is_given(full: Broker) -> None:
    full.store.refuse = lambda kind: kind == "exported"
    with pytest.raises(kit.Crash):
        exported(full, Filter())
    full.store.refuse = lambda kind: False
    exported(full, Filter(case="case-1"))
    (told,) = full.entries("exported")
    assert (told["by"], told["why"], told["filter"]) == ("审计员", "年度检查", {"case": "case-1"})
    full.sequence_all()


def test_pages_make_one_export(full: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 7)
    assert verified(full, exported(full, Filter())).whole
    assert verified(full, exported(full, Filter(client=kit.CLIENT))).entries > 7


def test_more_than_the_most_is_refused_and_leaves_nothing(full: Broker) -> None:
    before = full.contents()
    with pytest.raises(CallerProblem, match="export.too-long"):
        export_log(full.parts, Wanted(Filter(), "审计员", "检查"), most=3)
    assert full.contents() == before


ALTERED: dict[str, Callable[[bytes], bytes]] = {
    "an entry's fact": lambda data: data.replace(b"case-1", b"case-9", 1),
    "a line left out": lambda data: b"".join(data.splitlines(keepends=True)[:3] + data.splitlines(keepends=True)[4:]),
    "a line left out and the end mended": lambda data: re.sub(
        rb'"end":(\d+)', lambda found: b'"end":%d' % (int(found[1]) - 1),
        b"".join(data.splitlines(keepends=True)[:3] + data.splitlines(keepends=True)[4:])),
    "the end cut": lambda data: b"".join(data.splitlines(keepends=True)[:-1]),
    "two lines exchanged": lambda data: b"".join(
        [*(lines := data.splitlines(keepends=True))[:1], lines[2], lines[1], *lines[3:]]),
    "a place altered": lambda data: data.replace(b'"position":2,', b'"position":1,', 1),
    "something after the end": lambda data: data + b'{"end":0}\n',
    "the size": lambda data: re.sub(rb'"size":\d+', b'"size":1', data, count=1),
    "another log": lambda data: data.replace(b'"log":"exem', b'"log":"axem', 1),
    "no head": lambda data: b"".join(data.splitlines(keepends=True)[1:]),
    "not an export": lambda data: b"hello",
}  # fmt: skip


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_whatever_is_altered_is_found(full: Broker) -> None:
    whole, some = exported(full, Filter()), exported(full, Filter(client=kit.CLIENT))
    for name, alter in ALTERED.items():
        for data in (whole, some):
            altered = alter(data)
            if altered == data or (name == "a line left out and the end mended" and data is some):
                continue  # what a filter left out, only a whole export can show
            with pytest.raises(CallerProblem):
                verified(full, altered)
    claimed = some.replace(b'"whole":false', b'"whole":true', 1)
    with pytest.raises(CallerProblem, match="export.entry"):
        verified(full, claimed)


def test_no_cell_of_a_csv_can_become_a_formula(full: Broker) -> None:
    with full.parts.store.write() as work:
        work.record([entry("tested", datetime.now(UTC), operator="=1+1")])
        work.commit()
    full.sequence_all()
    data = exported(full, Filter(), as_csv)
    assert b"'=1+1" in data
    assert verified(full, data).whole
    assert data.startswith(",".join(COLUMNS).encode())


@pytest.mark.parametrize(
    "wanted", [Filter(case=kit.citizen(1)), Filter(subject=kit.citizen(1))], ids=["case", "subject"]
)
def test_a_persons_number_is_no_filter_of_an_export_either(broker: Broker, wanted: Filter) -> None:
    """Its entry would repeat the filter, for ever."""
    before = broker.contents()
    with pytest.raises(CallerProblem, match="sought.filter"):
        exported(broker, wanted)
    assert broker.contents() == before
