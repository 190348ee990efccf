"""The models' rows, copied by PostgreSQL: one statement for each table, with indexes and triggers away meanwhile.

``bench.copy`` is the plan: a row for each verification with its moment, its model, and everything that its texts are
filled in with. Two verifications that follow one another share a case and its persons.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from broker.core.envelope import unb64
from broker.ports import Vault
from broker.store.tables import milliseconds
from tests.bench.city.models import Model, blank, said_by, subject_place, systems
from tests.flow import kit

WITHIN = timedelta(days=365)
OPENABLE = timedelta(days=60)  # twice as long as answers are kept: the retention still has half of them to destroy
WAITING = timedelta(days=20)  # no person has been asked for longer
PERSONS, STAFF = 300_000, 200
TABLES = ("case_file", "verification", "lookup", "entry", "log_leaf", "log_index", "log_named", "delivery",
          "promise")  # fmt: skip

_PLAN = """
CREATE SCHEMA bench;
CREATE FUNCTION bench.iso(bigint) RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT to_char(to_timestamp($1 / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;
CREATE FUNCTION bench.id(at bigint, n bigint, place bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT lpad(to_hex(at), 12, '0') || lpad(to_hex(n), 8, '0') || substr(md5(n || ':' || place), 1, 12) $$;
CREATE UNLOGGED TABLE bench.model (
    model int PRIMARY KEY, head text, payload text, sig text, state text, permits text, decided_after bigint,
    entries int, lookups int, is_pending boolean);
CREATE UNLOGGED TABLE bench.model_lookup (
    model int, place int, key text, source text, grant_id text, person int, state text, ready_after bigint, fence int,
    reason text, digest text, asked_after bigint, answered_after bigint, awaited text, until_after bigint);
CREATE UNLOGGED TABLE bench.model_entry (
    model int, place int, kind text, after bigint, body text, client text, case_number text, operator text,
    subject text, unit text, source text, outcome text, item text, region text, materials text[]);
CREATE UNLOGGED TABLE bench.model_line (
    model int, region text, department text, scene text, item text, material text, mode text, decision text,
    source text, reach text);
CREATE UNLOGGED TABLE bench.copy (
    n bigint, at bigint, model int, case_id text, number text, client text, operator text, persons text[],
    names text[], first_entry bigint, digest text);
CREATE UNLOGGED TABLE bench.sealed_case (case_id text, wrapped_key bytea);
CREATE UNLOGGED TABLE bench.sealed_request (n bigint, request bytea);
CREATE UNLOGGED TABLE bench.sealed_lookup (n bigint, place int, question bytea, answer bytea)
"""
_INDEXES = """
CREATE INDEX ON bench.model_lookup (model, place); CREATE INDEX ON bench.model_entry (model, place);
ANALYZE bench.model; ANALYZE bench.model_lookup; ANALYZE bench.model_entry; ANALYZE bench.model_line
"""
_RECEIPT = """m.head || '.' || translate(encode(convert_to(
    format(m.payload, VARIADIC ARRAY[bench.iso(c.at + m.decided_after), ''] || c.names), 'UTF8'), 'base64'),
    E'+/\\n=', '-_') || '.' || m.sig"""
# The receipt is made twice, here for the digest that entries name, and where it is kept: cheaper than keeping it twice.
_COPIES = f"""
INSERT INTO bench.copy
SELECT c.n, c.at, c.model, case_id, number, client, operator, persons, names, first_entry,
       encode(sha256(convert_to({_RECEIPT.replace("%", "%%")}, 'UTF8')), 'hex')
FROM (
    SELECT n, at, m.model, case_id, number, client, operator, persons,
           ARRAY[bench.id(at, n, 0), number, client, operator] || persons
               || (SELECT array_agg(bench.id(at, n, place)) FROM generate_series(1, 14) AS place) AS names,
           sum(m.entries) OVER (ORDER BY n) - m.entries + 1 AS first_entry
    FROM (
        SELECT n, at, abs(hashint8(n)) AS chance,
               bench.id(%(start)s + n / 2 * 2 * %(span)s / %(count)s, n / 2, 99) AS case_id,
               '办件-' || lpad((n / 2)::text, 8, '0') AS number,
               (%(systems)s::text[])[1 + (n / 2 %% 10 %% %(system_count)s)] AS client,
               CASE WHEN n / 2 %% 10 = 0 THEN 'auto' ELSE 'op' || (n / 2 * 7919 %% %(staff)s) END AS operator,
               (SELECT array_agg(substr(md5((n / 2 * 48271 %% %(persons)s) || '/' || place), 1, 32))
                FROM generate_series(1, 4) AS place) AS persons
        FROM (SELECT n, %(start)s + n * %(span)s / %(count)s AS at
              FROM generate_series(0::bigint, %(count)s - 1) AS n) AS moments
    ) AS planned
    JOIN bench.model AS m
      ON m.model = CASE WHEN at > %(waiting)s THEN chance %% %(models)s ELSE chance %% %(decided)s END
    ORDER BY n
) AS c JOIN bench.model AS m ON m.model = c.model
"""  # noqa: S608 - our own words
_CASES = """
INSERT INTO case_file (id, client_id, number, applicant, parties, state, wrapped_key, opened_at, closed_at, shredded_at)
SELECT c.case_id, client, number, persons[1], '[["legal_representative", "' || persons[2] || '"]]',
       CASE WHEN n % 10 < 8 AND at < %(openable)s THEN 'closed' ELSE 'open' END, coalesce(wrapped_key, ''), at,
       CASE WHEN n % 10 < 8 AND at < %(openable)s THEN at + 864000000 END,
       CASE WHEN wrapped_key IS NULL THEN at + 3456000000 END
FROM bench.copy AS c LEFT JOIN bench.sealed_case AS s ON s.case_id = c.case_id WHERE n % 2 = 0
""".replace("n % ", "n %% ")
_VERIFICATIONS = f"""
INSERT INTO verification (id, client_id, request_id, request_digest, case_id, edition, state, request, permits,
                          admitted_at, decided_at, receipt, preliminary, unit)
SELECT names[1], client, 'r' || c.n, md5(c.n::text) || md5('r' || c.n), case_id, 1, m.state, coalesce(request, ''),
       m.permits, at, CASE WHEN m.is_pending THEN NULL ELSE at + m.decided_after END,
       CASE WHEN m.is_pending THEN NULL ELSE {_RECEIPT} END, CASE WHEN m.is_pending THEN {_RECEIPT} END,
       %(unit)s
FROM bench.copy AS c JOIN bench.model AS m ON m.model = c.model LEFT JOIN bench.sealed_request AS s ON s.n = c.n
"""  # noqa: S608 - our own words
_LOOKUPS = """
INSERT INTO lookup (id, verification_id, key, source, grant_id, about, state, ready_at, fence, question, reason, answer,
                    digest, asked_at, answered_at, awaited, until)
SELECT bench.id(c.at, c.n, l.place), names[1], key, source, grant_id, persons[l.person], state, c.at + ready_after,
       fence, coalesce(question, ''), reason, answer, l.digest, c.at + asked_after, c.at + answered_after, awaited,
       c.at + until_after
FROM bench.copy AS c JOIN bench.model_lookup AS l ON l.model = c.model
LEFT JOIN bench.sealed_lookup AS s ON s.n = c.n AND s.place = l.place
"""
# Nested loops keep the order of the copies, which is that of time: so do the entries' numbers and their rows.
_ENTRIES = """
INSERT INTO entry (id, kind, verification_id, body)
SELECT c.first_entry + e.place, e.kind, names[1],
       convert_to(format(e.body, VARIADIC ARRAY[bench.iso(c.at + e.after), c.digest] || names), 'UTF8')
FROM bench.copy AS c CROSS JOIN LATERAL
    (SELECT * FROM bench.model_entry WHERE model = c.model ORDER BY place OFFSET 0) AS e
"""
_INDEX = """
INSERT INTO log_index (position, at, kind, client_id, case_number, operator, subject, unit, source, outcome,
                       item, region)
SELECT c.first_entry + e.place - 1, c.at + e.after, e.kind,
       format(e.client, VARIADIC said), format(e.case_number, VARIADIC said), format(e.operator, VARIADIC said),
       format(e.subject, VARIADIC said), e.unit, e.source, e.outcome, e.item, e.region
FROM bench.copy AS c CROSS JOIN LATERAL (SELECT ARRAY['', ''] || c.names AS said) AS filled CROSS JOIN LATERAL
    (SELECT * FROM bench.model_entry WHERE model = c.model ORDER BY place OFFSET 0) AS e
"""
_NAMED = """
INSERT INTO log_named (fact, name, position)
SELECT 'material', name, c.first_entry + e.place - 1
FROM bench.copy AS c JOIN bench.model_entry AS e ON e.model = c.model CROSS JOIN LATERAL unnest(e.materials) AS name
"""
_LEAVES = "INSERT INTO log_leaf (position, entry_id) SELECT id - 1, id FROM entry ORDER BY id"

_HAS_LZ4 = "SELECT 1 FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)"

Said = Callable[[str], None]


def multiply(
    connection: psycopg.Connection[Any], models: Sequence[Model], count: int, now: datetime, vault: Vault, said: Said
) -> None:
    """Fill the flow's tables with so many verifications; ``said`` hears what is being done."""
    ordered = sorted(models, key=lambda one: one.order is not None)
    start = milliseconds(now - WITHIN)
    values = {
        "count": count, "start": start, "span": milliseconds(now) - start - 60_000, "models": len(ordered),
        "decided": sum(one.order is None for one in ordered), "systems": systems(), "system_count": len(systems()),
        "staff": STAFF, "persons": PERSONS, "openable": milliseconds(now - OPENABLE),
        "waiting": milliseconds(now - WAITING), "unit": kit.UNIT,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_PLAN)
        _put_models(cursor, ordered)
        cursor.execute(_INDEXES)
        said("plan")
        cursor.execute(_COPIES, values)
        cursor.execute("ANALYZE bench.copy")
        said("ciphertexts")
        _seal(connection, ordered, vault, milliseconds(now - OPENABLE))
        for name, statement in (
            ("cases", _CASES), ("verifications", _VERIFICATIONS), ("lookups", _LOOKUPS), ("entries", _ENTRIES),
            ("places", _LEAVES), ("index", _INDEX), ("names", _NAMED),
        ):  # fmt: skip
            said(name)
            cursor.execute(statement, values)


def _put_models(cursor: psycopg.Cursor[Any], models: Sequence[Model]) -> None:
    rows: dict[str, list[Sequence[Any]]] = {"model": [], "model_lookup": [], "model_entry": [], "model_line": []}
    for number, model in enumerate(models):
        row, at = model.verification, model.verification["admitted_at"]
        token = row["receipt"] or row["preliminary"]
        head, _, sig = token.split(".")
        decided_after = (row["decided_at"] or at) - at
        rows["model"].append((
            number, head, _payload(model, token), sig, row["state"], row["permits"], decided_after, len(model.entries),
            len(model.lookups), model.order is not None,
        ))  # fmt: skip
        for place, one in enumerate(model.lookups, 1):
            moments = (None if one[name] is None else one[name] - at for name in ("asked_at", "answered_at"))
            asked_after, answered_after = moments
            rows["model_lookup"].append((
                number, place, one["key"], one["source"], one["grant_id"], subject_place(model, one["about"]) + 1,
                one["state"], one["ready_at"] - at, one["fence"], one["reason"], one["digest"], asked_after,
                answered_after, one["awaited"], None if one["until"] is None else one["until"] - at,
            ))  # fmt: skip
        for place, one in enumerate(model.entries):
            body = bytes(one["body"])
            after, told, materials = said_by(model, body, place)
            digest = row_digest(model, body)
            text = blank(model, body.decode(), at=json.loads(body)["at"], digest=digest)
            rows["model_entry"].append((number, place, one["kind"], after, text, *told, materials))
        rows["model_line"] += [(number, *line[1:]) for line in model.lines]
    for table, lines in rows.items():
        with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier("bench", table))) as copy:
            for line in lines:
                copy.write_row(line)


def _payload(model: Model, token: str) -> str:
    """What the receipt says, with its moment to be filled in."""
    text = unb64(token.split(".")[1]).decode()
    return blank(model, text, at=json.loads(text)["decided_at"])


def row_digest(model: Model, body: bytes) -> str:
    """The receipt's digest that an entry names, "" where it names none."""
    return str(json.loads(body).get("receipt", ""))


def _seal(connection: psycopg.Connection[Any], models: Sequence[Model], vault: Vault, since: int) -> None:
    """Encrypt what can still be opened: with a key for each case, for the rows' own ids."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n, model, case_id, names FROM bench.copy WHERE at >= %s ORDER BY n", (since,), prepare=False
        )
        found = cursor.fetchall()
    cases: dict[str, tuple[bytes, bytes]] = {}
    for *_, case, _names in found:
        if case not in cases:
            cases[case] = vault.new_case_key()
    _copy(connection, "sealed_case", ((case, wrapped) for case, (_, wrapped) in cases.items()))
    _copy(connection, "sealed_request", (
        (n, vault.encrypt(cases[case][0], models[model].request, names[0])) for n, model, case, names in found
    ))  # fmt: skip
    _copy(connection, "sealed_lookup", _sealed_lookups(found, models, vault, cases))


def _sealed_lookups(
    found: Sequence[Any], models: Sequence[Model], vault: Vault, cases: dict[str, tuple[bytes, bytes]]
) -> Iterator[Sequence[Any]]:
    for n, number, case, names in found:
        key, model = cases[case][0], models[number]
        for place, (question, answer) in enumerate(zip(model.questions, model.answers, strict=True), 1):
            name = names[7 + place] if place <= 14 else ""
            sealed = None if answer is None else vault.encrypt(key, answer, name)
            yield n, place, vault.encrypt(key, question, name), sealed


def _copy(connection: psycopg.Connection[Any], table: str, rows: Iterator[Sequence[Any]]) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier("bench", table))) as copy,
    ):
        for row in rows:
            copy.write_row(row)


@contextmanager
def bare(connection: psycopg.Connection[Any], tables: Sequence[str]) -> Iterator[None]:
    """Within this the tables have no index and no key; afterwards all of them again."""
    connection.execute("SET maintenance_work_mem = '1GB'")
    connection.execute("SET work_mem = '256MB'")
    connection.execute("SET synchronize_seqscans = off")
    if connection.execute(_HAS_LZ4).fetchone():
        connection.execute("SET default_toast_compression = 'lz4'")  # a third of the filling's time otherwise
    keys = connection.execute(
        """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), contype FROM pg_constraint
           WHERE contype IN ('p', 'u', 'f') AND (conrelid::regclass::text = ANY(%(names)s)
                 OR confrelid::regclass::text = ANY(%(names)s)) ORDER BY contype = 'f'""",
        {"names": list(tables)},
    ).fetchall()
    indexes = connection.execute(
        """SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY(%s)
           AND indexname NOT IN (SELECT conname FROM pg_constraint)""",
        (list(tables),),
    ).fetchall()
    for table, name, _, _ in reversed(keys):
        connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    for name, _ in indexes:
        connection.execute(f'DROP INDEX "{name}"')
    yield
    for table, name, definition, kind in keys:
        valid = " NOT VALID" if kind in {"f", b"f"} else ""  # true by how the rows were made
        connection.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}{valid}')
    for _, definition in indexes:
        connection.execute(definition)
    connection.execute("SET session_replication_role = DEFAULT")
