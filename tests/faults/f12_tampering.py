"""Tampering: single bits of a 1,000-entry log flipped, entries removed, added, moved, tails cut, all of it rewritten.

Whoever does it owns the database: the triggers are gone. What is done is found by `broker log verify` alone (its step
``verify_log``), except for two things that show only beside a checkpoint kept elsewhere, as the big-data centre keeps
it: a log cut back to a checkpoint that was once signed, and one rewritten with the log's stolen keys. Those two are
shown not to be found without it, and to be found with it: by the arithmetic alone, and by the centre's own programs,
which co-sign over HTTP and sound their alarms (``centre.py``). ``log_checkpoint.signed_at`` is not tampered with: it is
for reading, nothing rests on it, and nothing proves it.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from broker.core import checkpoint, merkle
from broker.core.errors import Problem
from broker.flow.review import verify_log
from broker.flow.sequence import indexed
from broker.ports.proof import Indexed
from broker.signing import keys
from broker.witness import Kind
from tests.faults.centre import Centre, centre
from tests.faults.figure import Figure, Scale, Tally
from tests.faults.stand import stand
from tests.flow.kit import Broker

DEMANDED = "20,000 single-bit flips and structural tampering of a 1,000-entry log: 100 % found; cut tails and rewrites \
found through the witness, and not without"
FLIPS, ENTRIES, STRUCTURAL, REWRITES = 20_000, 1_000, 40, 10
CHECKPOINTS = 4
COLUMNS = {
    "entry": ("id", "kind", "verification_id", "body"),
    "log_leaf": ("position", "entry_id"),
    "log_tile": ("level", "index", "hashes"),
    "log_checkpoint": ("size", "note"),
    "log_index": (
        "position",
        "at",
        "kind",
        "client_id",
        "case_number",
        "operator",
        "subject",
        "source",
        "outcome",
        "item",
        "region",
    ),
}
TABLES = (*COLUMNS, "log_related", "log_named", "entry_queue")


@dataclass
class Log:
    """A finished log in a database that somebody else owns."""

    broker: Broker
    chance: random.Random = field(default_factory=lambda: random.Random(12))
    names: dict[str, int] = field(default_factory=dict)  # what was named as damaged, by kind

    def found(self) -> str | None:
        """What the review says is wrong, None where it finds nothing."""
        try:
            verify_log(self.broker.parts, self.broker.office.log_keys)
        except Problem as problem:
            return f"{problem.code} {problem.got}"
        return None

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every row of a table, as it stands."""
        with self.broker.database.begin(write=False) as connection:
            return [dict(row) for row in connection.execute(text(f"SELECT rowid AS place, * FROM {table}")).mappings()]  # noqa: S608 - ours

    @property
    def size(self) -> int:
        """How many entries have their place."""
        return int(self.broker.rows("SELECT count(*) AS n FROM log_leaf")[0].n)

    def place_rest(self) -> None:
        """Give the entries that came since their places; the trigger that queues them is gone with the others."""
        words = "INSERT INTO entry_queue SELECT id FROM entry WHERE id NOT IN (SELECT entry_id FROM log_leaf)"
        self._execute([(words, {})])
        self.broker.sequence_all()

    @contextmanager
    def altered(self, *statements: tuple[str, dict[str, Any]]) -> Iterator[bool]:
        """The log with these changes, and as before afterwards; False where the database itself refused them."""
        kept = {table: self.rows(table) for table in TABLES if any(table in words for words, _ in statements)}
        try:
            self._execute(statements)
        except IntegrityError:
            yield False
            return
        yield True
        self._restore(kept)

    def _execute(self, statements: Sequence[tuple[str, dict[str, Any]]]) -> None:
        with self.broker.database.begin(write=True) as connection:
            for words, values in statements:
                connection.execute(text(words), values)
            connection.commit()

    def _restore(self, kept: dict[str, list[dict[str, Any]]]) -> None:
        statements: list[tuple[str, dict[str, Any]]] = []
        for table, rows in kept.items():
            statements.append((f"DELETE FROM {table}", {}))  # noqa: S608 - ours
            for row in rows:
                values = {f"b_{name}": value for name, value in row.items() if name != "place"}
                columns = ", ".join(f'"{name.removeprefix("b_")}"' for name in values)
                places = ", ".join(f":{name}" for name in values)
                statements.append((f"INSERT INTO {table} ({columns}) VALUES ({places})", values))  # noqa: S608 - ours
        self._execute(statements)


def run(scale: Scale) -> Figure:
    """All of it on SQLite, the centre's programs included: what is verified are bytes, whatever the store."""
    figure = tampered(scale)
    unseen, alarms = Tally(), Tally()
    with (
        finished_log(scale.of(ENTRIES, at_least=120)) as log, tempfile.TemporaryDirectory() as name,
        centre(log.broker, Path(name)) as watching,
    ):  # fmt: skip
        named = _watched(log, watching, scale.of(REWRITES, at_least=1), unseen, alarms)
    measured = (
        f"{figure.measured}; beside `broker witness`: {alarms} deeds sounded the right alarm ({named}), {unseen} cut "
        "tails and rewrites unseen by `broker log verify`"
    )
    return Figure("F12", DEMANDED, measured, figure.holds and unseen.clean and alarms.clean)


def tampered(scale: Scale) -> Figure:
    """All but the centre's programs."""
    tally, unseen, seen = Tally(), Tally(), Tally()
    flips = scale.of(FLIPS, at_least=100)
    with finished_log(scale.of(ENTRIES, at_least=120)) as log:
        size = log.size
        _flip_bits(log, flips, tally)
        structural = _tamper(log, scale.of(STRUCTURAL, at_least=2), tally)
        _only_beside_a_checkpoint(log, scale.of(REWRITES, at_least=1), unseen, seen)
    measured = (
        f"{size:,} entries: {flips:,} flips and {structural} structural changes, {tally} found; named: "
        f"{', '.join(f'{count:,} × {name}' for name, count in sorted(log.names.items()))}; cut tails and rewrites: "
        f"{unseen} unseen without, {seen} found with the checkpoint kept elsewhere"
    )
    return Figure("F12", DEMANDED, measured, tally.clean and unseen.clean and seen.clean)


@contextmanager
def finished_log(entries: int) -> Iterator[Log]:
    """A log of at least so many entries, all in their places, whose owner has taken the guards away."""
    with stand() as broker:
        broker.parts.limits = replace(broker.parts.limits, sequence_batch=entries // CHECKPOINTS)
        number = 0
        while len(broker.rows("SELECT id FROM entry")) < entries:
            for _ in range(8):
                number += 1
                broker.admit(number)
            broker.work_off()
        broker.finish()
        for row in broker.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            broker.execute(f"DROP TRIGGER {row.name}")
        log = Log(broker)
        if log.found() is not None:
            raise AssertionError("the log is damaged before it was touched")
        yield log
        if log.found() is not None:
            raise AssertionError("the campaign did not put back what it changed")


# --- bits -------------------------------------------------------------------------------------------------------------


def _flip_bits(log: Log, flips: int, tally: Tally) -> None:
    columns = [(table, column) for table, names in COLUMNS.items() for column in names]
    tables = {table: log.rows(table) for table in COLUMNS}
    for number in range(flips):
        table, column = columns[number % len(columns)]
        row = log.chance.choice([one for one in tables[table] if one[column] is not None])
        _flip_one(log, table, column, row, tally)


def _flip_one(log: Log, table: str, column: str, row: dict[str, Any], tally: Tally) -> None:
    """One bit, looked at, and flipped back; a key that the database refuses to have twice cannot be flipped so."""
    update = f'UPDATE {table} SET "{column}" = :new WHERE "{column}" = :old AND rowid = :place'  # noqa: S608 - ours
    before = row[column]
    after = _flipped(before, log.chance)
    place = row["place"]
    try:
        log._execute([(update, {"new": after, "old": before, "place": place})])
    except IntegrityError:
        tally.note("", right=True)
        _named(log, "refused by the database")
        return
    found = log.found()
    tally.note(f"a bit of {table}.{column}", right=found is not None)
    _named(log, _kind(found))
    moved = after if column == "id" else place  # an INTEGER key is its row's place in SQLite
    log._execute([(update, {"new": before, "old": after, "place": moved})])


def _flipped(value: Any, chance: random.Random) -> Any:
    if isinstance(value, int):
        return value ^ 1 << chance.randrange(max(value.bit_length(), 1) + 1)
    at = chance.randrange(len(value))
    if isinstance(value, bytes):
        return value[:at] + bytes([value[at] ^ 1 << chance.randrange(8)]) + value[at + 1 :]
    return value[:at] + chr(ord(value[at]) ^ 1 << chance.randrange(7)) + value[at + 1 :]


def _kind(found: str | None) -> str:
    if found is None:
        return "nothing"
    words = found.removeprefix("log.damaged ").split()
    return words[0] if found.startswith("log.damaged") else "checkpoint"


def _named(log: Log, kind: str) -> None:
    log.names[kind] = log.names.get(kind, 0) + 1


# --- rows -------------------------------------------------------------------------------------------------------------

Change = Callable[[Log], list[tuple[str, dict[str, Any]]]]


def _removed(log: Log) -> list[tuple[str, dict[str, Any]]]:
    position = log.chance.randrange(log.size)
    return [
        ("DELETE FROM entry WHERE id = (SELECT entry_id FROM log_leaf WHERE position = :p)", {"p": position}),
        ("DELETE FROM log_leaf WHERE position = :p", {"p": position}),
        ("UPDATE log_leaf SET position = -position WHERE position > :p", {"p": position}),
        ("UPDATE log_leaf SET position = -position - 1 WHERE position < 0", {}),
    ]


def _added(log: Log) -> list[tuple[str, dict[str, Any]]]:
    values = {"i": 10_000_000, "b": b'{"at":"2026-01-01T00:00:00.000Z","kind":"closed","version":1}', "p": log.size}
    return [
        ("INSERT INTO entry (id, kind, body) VALUES (:i, 'closed', :b)", values),
        ("INSERT INTO log_leaf (position, entry_id) VALUES (:p, :i)", values),
    ]


def _slipped_in(log: Log) -> list[tuple[str, dict[str, Any]]]:
    return _added(log)[:1]


def _swapped(log: Log) -> list[tuple[str, dict[str, Any]]]:
    a, b = log.chance.sample(range(log.size), 2)
    found = {row["position"]: row["entry_id"] for row in log.rows("log_leaf")}
    move = "UPDATE log_leaf SET entry_id = :e WHERE position = :p"
    return [(move, {"e": -1, "p": a}), (move, {"e": found[a], "p": b}), (move, {"e": found[b], "p": a})]


def _duplicated(log: Log) -> list[tuple[str, dict[str, Any]]]:
    a, b = log.chance.sample(sorted(row["id"] for row in log.rows("entry")), 2)
    words = (
        "UPDATE entry SET (kind, verification_id, body) = "
        "(SELECT kind, verification_id, body FROM entry WHERE id = :a) WHERE id = :b"
    )
    return [(words, {"a": a, "b": b})]


def _chained_anew(log: Log) -> list[tuple[str, dict[str, Any]]]:
    """An entry altered, and every tile made to fit; without the log's keys no checkpoint can be."""
    bodies = _bodies(log)
    position = log.chance.randrange(len(bodies))
    entry_id = next(row["entry_id"] for row in log.rows("log_leaf") if row["position"] == position)
    bodies[position] = bodies[position].replace(b'"at":"2', b'"at":"3', 1)
    return [
        ("UPDATE entry SET body = :b WHERE id = :i", {"b": bodies[position], "i": entry_id}),
        *_tiles_for(bodies),
    ]


def _hidden(log: Log) -> list[tuple[str, dict[str, Any]]]:
    """An entry that nobody finds any more, whoever asks for what was asked about a person."""
    return [("DELETE FROM log_index WHERE position = :p", {"p": log.chance.randrange(log.size)})]


STRUCTURES: tuple[Change, ...] = (_removed, _added, _slipped_in, _swapped, _duplicated, _chained_anew, _hidden)


def _tamper(log: Log, times: int, tally: Tally) -> int:
    for change in STRUCTURES:
        for _ in range(times):
            with log.altered(*change(log)) as done:
                found = log.found() if done else "refused by the database"
            tally.note(change.__name__.strip("_"), right=found is not None)
            _named(log, _kind(found) if done else "refused by the database")
    return times * len(STRUCTURES)


def _bodies(log: Log) -> list[bytes]:
    query = "SELECT body FROM log_leaf JOIN entry ON entry.id = entry_id ORDER BY position"
    return [bytes(row.body) for row in log.broker.rows(query)]


def _tiles_for(bodies: Sequence[bytes]) -> list[tuple[str, dict[str, Any]]]:
    grown = merkle.grow(0, [merkle.leaf_hash(body) for body in bodies], lambda level, index: b"")
    insert = 'INSERT INTO log_tile (level, "index", hashes) VALUES (:l, :i, :h)'
    rows = [(insert, {"l": level, "i": index, "h": hashes}) for (level, index), hashes in grown.tiles.items()]
    return [("DELETE FROM log_tile", {}), *rows]


# --- what only a checkpoint kept elsewhere shows ----------------------------------------------------------------------


def _only_beside_a_checkpoint(log: Log, times: int, unseen: Tally, seen: Tally) -> None:
    kept = log.rows("log_checkpoint")[-1]["note"]
    for change in (_cut, _cut_and_continued, _cut_and_outgrown, _rewritten):
        for _ in range(times):
            with log.altered(*change(log)):
                unseen.note(f"{change.__name__.strip('_')}: {log.found()}", right=log.found() is None)
                seen.note(change.__name__.strip("_"), right=_contradicts(log, kept))


def _contradicts(log: Log, kept: str) -> bool:
    """Whether the log does not grow out of the checkpoint that somebody else has kept."""
    known = checkpoint.verify(kept, log.broker.parts.log_origin, log.broker.office.log_keys)
    with log.broker.parts.store.read() as work:
        note = work.latest_checkpoint()
        if note is None:
            return True
        now = checkpoint.verify(note, log.broker.parts.log_origin, log.broker.office.log_keys)
        if now.size < known.size:
            return True

        def read_tile(level: int, index: int) -> bytes:
            return work.tiles([(level, index)])[level, index]

        proof = merkle.consistency_proof(known.size, now.size, read_tile)
    return not merkle.verify_consistency(known.size, known.root, now.size, now.root, proof)


def _cut(log: Log) -> list[tuple[str, dict[str, Any]]]:
    """Back to a checkpoint that was signed once."""
    sizes = [row["size"] for row in log.rows("log_checkpoint")]
    return _shortened(log, log.chance.choice(sizes[:-1]))


def _shortened(log: Log, size: int) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("DELETE FROM entry WHERE id NOT IN (SELECT entry_id FROM log_leaf WHERE position < :s)", {"s": size}),
        ("DELETE FROM log_leaf WHERE position >= :s", {"s": size}),
        ("DELETE FROM log_checkpoint WHERE size > :s", {"s": size}),
        ("DELETE FROM log_index WHERE position >= :s", {"s": size}),
        ("DELETE FROM log_related WHERE position >= :s", {"s": size}),
        ("DELETE FROM log_named WHERE position >= :s", {"s": size}),
        *_tiles_for(_bodies(log)[:size]),
    ]


def _cut_and_continued(log: Log) -> list[tuple[str, dict[str, Any]]]:
    """The tail replaced by another of the same length, signed with the stolen keys."""
    size = log.rows("log_checkpoint")[-2]["size"]
    bodies = _bodies(log)
    other = [body.replace(b'"at":"2', b'"at":"3', 1) for body in bodies[size:]]
    return [*_shortened(log, size), *_continued(log, bodies[:size], other)]


def _cut_and_outgrown(log: Log) -> list[tuple[str, dict[str, Any]]]:
    """The same, and the log then grows beyond what it was."""
    size = log.rows("log_checkpoint")[-2]["size"]
    bodies = _bodies(log)
    other = [body.replace(b'"at":"2', b'"at":"3', 1) for body in bodies[size:]]
    more = [b'{"at":"3026-01-01T00:00:00.000Z","kind":"closed","version":1}'] * 7
    return [*_shortened(log, size), *_continued(log, bodies[:size], other + more)]


def _rewritten(log: Log) -> list[tuple[str, dict[str, Any]]]:
    """The whole log, one entry of it another, signed with the stolen keys."""
    bodies = _bodies(log)
    at = log.chance.randrange(len(bodies))
    bodies[at] = bodies[at].replace(b'"at":"2', b'"at":"3', 1)
    return [*_shortened(log, 0), *_continued(log, [], bodies)]


def _continued(log: Log, first: list[bytes], others: list[bytes]) -> list[tuple[str, dict[str, Any]]]:
    parts, whole = log.broker.parts, [*first, *others]
    rows = {row["position"]: row["entry_id"] for row in log.rows("log_leaf")}
    entries = {row["id"]: row for row in log.rows("entry")}
    statements: list[tuple[str, dict[str, Any]]] = []
    for position, body in enumerate(others, len(first)):
        row = entries[rows[position]] if position in rows else _further(position)
        values = {"i": row["id"], "k": row["kind"], "v": row["verification_id"], "b": body, "p": position}
        statements += [
            ("INSERT INTO entry (id, kind, verification_id, body) VALUES (:i, :k, :v, :b)", values),
            ("INSERT INTO log_leaf (position, entry_id) VALUES (:p, :i)", values),
        ]
    for found in indexed(len(first), others):
        statements += _found_by(found)
    root = merkle.grow(0, [merkle.leaf_hash(body) for body in whole], lambda level, index: b"").root
    note = checkpoint.sign(checkpoint.Checkpoint(parts.log_origin, len(whole), root), parts.log_signers)
    signed = {"s": len(whole), "n": note}
    statements.append(("INSERT INTO log_checkpoint (size, note, signed_at) VALUES (:s, :n, 0)", signed))
    return [*statements, *_tiles_for(whole)]


def _found_by(row: Indexed) -> list[tuple[str, dict[str, Any]]]:
    """What an entry is found by, as the sequencer would have written it."""
    said = {
        "position": row.position, "at": round(row.at.timestamp() * 1000), "kind": row.kind, "client_id": row.client,
        "case_number": row.case, "operator": row.operator, "subject": row.subject, "unit": row.unit,
        "source": row.source, "outcome": row.outcome, "request_id": row.request_id, "item": row.item,
        "region": row.region,
    }  # fmt: skip
    names = ", ".join(said)
    places = ", ".join(f":{name}" for name in said)
    persons = "INSERT INTO log_related (subject, position) VALUES (:s, :p)"
    named = "INSERT INTO log_named (fact, name, position) VALUES (:f, :n, :p)"
    return [
        (f"INSERT INTO log_index ({names}) VALUES ({places})", said),  # noqa: S608 - ours
        *((persons, {"s": one, "p": row.position}) for one in row.related),
        *((named, {"f": fact, "n": name, "p": row.position}) for fact, name in row.named),
    ]


def _further(position: int) -> dict[str, Any]:
    """An entry that was never there."""
    return {"id": 10_000_000 + position, "kind": "closed", "verification_id": None}


# --- what the centre's programs make of it ----------------------------------------------------------------------------


def _watched(log: Log, watching: Centre, times: int, unseen: Tally, alarms: Tally) -> str:
    """Each deed under the eyes of a running witness, undone afterwards; how often each alarm was sounded."""
    _continues(log, watching, alarms)
    hidden = {_cut: Kind.CUT, _cut_and_continued: Kind.FORKED, _cut_and_outgrown: Kind.FORKED, _rewritten: Kind.FORKED}
    for change, kind in {**hidden, _signed_by_another: Kind.FORGED}.items():
        for _ in range(times):
            _one_deed(log, watching, change, kind, alarms, unseen if change in hidden else None)
    for _ in range(times):
        _altered_under_its_hash(log, watching, alarms)
    _silent(log, watching, alarms)
    sounded = watching.alarms()
    return ", ".join(f"{sounded.count(kind)} × {kind}" for kind in Kind if kind in sounded)


def _continues(log: Log, watching: Centre, alarms: Tally) -> None:
    """A log that grows as it should is co-signed, and no alarm."""
    log.broker.admit(1_000_000)
    log.broker.work_off()
    _placed(log, watching)
    alarms.note("an honest log", right=not watching.alarms())


def _placed(log: Log, watching: Centre) -> None:
    before = watching.cosigned()
    log.place_rest()
    watching.cosigns(before)


def _one_deed(
    log: Log, watching: Centre, change: Change, kind: Kind, alarms: Tally, unseen: Tally | None
) -> None:  # fmt: skip
    name, told = change.__name__.strip("_"), len(watching.alarms())
    kept, evidence = watching.cosigned(), watching.evidence()
    with log.altered(*change(log)):
        if unseen is not None:
            unseen.note(f"{name}: {log.found()}", right=log.found() is None)
        sounded = watching.alarmed(told)
    alarms.note(f"{name}: {sounded}", right=sounded is kind and watching.cosigned() == kept)
    alarms.note(f"{name}: no evidence is kept", right=watching.evidence() == evidence + 1)
    alarms.note(f"{name}: an alarm about what was put right", right=watching.cleared())


def _signed_by_another(log: Log) -> list[tuple[str, dict[str, Any]]]:
    """Without the log's keys: the last checkpoint signed by others of the same kinds."""
    row = log.rows("log_checkpoint")[-1]
    head = checkpoint.verify(row["note"], log.broker.parts.log_origin, log.broker.office.log_keys)
    note = checkpoint.sign(head, [keys.generate(one.algorithm) for one in log.broker.parts.log_signers])
    return [("UPDATE log_checkpoint SET note = :n WHERE size = :s", {"n": note, "s": row["size"]})]


def _altered_under_its_hash(log: Log, watching: Centre, alarms: Tally) -> None:
    """An entry says something else, and every hash stays: nothing at a look, everything at an audit."""
    position = log.chance.randrange(log.size)
    entry_id = next(row["entry_id"] for row in log.rows("log_leaf") if row["position"] == position)
    body = _bodies(log)[position].replace(b'"at":"2', b'"at":"3', 1)
    with log.altered(("UPDATE entry SET body = :b WHERE id = :i", {"b": body, "i": entry_id})):
        watching.content()
        alarms.note("an entry under its old hash", right=watching.audited())
    alarms.note("audit: an alarm about what was put right", right=watching.cleared() and not watching.audited())
    _placed(log, watching)  # the witness's reading has its entries


def _silent(log: Log, watching: Centre, alarms: Tally) -> None:
    """A log that stands still, and one that nobody serves: an alarm of its own, which ends when the log grows again."""
    watching.end("witness")
    alarms.note("a log that stands still", right=watching.looked_impatiently())
    watching.end("web")
    alarms.note("a log that nobody serves", right=watching.looked_impatiently())
    watching.serve()
    told = len(watching.alarms())
    watching.watch()
    log.broker.admit(1_000_001)
    log.broker.work_off()
    _placed(log, watching)
    watching.content()
    sounded = [Kind(one) for one in watching.alarms()]
    alarms.note(f"silence: {sounded[told - 1]}", right=sounded[told - 1] is Kind.SILENT and len(sounded) == told)
