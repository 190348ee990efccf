# ruff: noqa: S608 - statements of our own words
"""What else fills the tables of a city that has used the broker for a year, each row belonging to rows of the flow."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import psycopg

from broker.store.tables import milliseconds
from tests.flow import kit

TABLES = ("paper_report", "paper", "objection", "objection_words", "work_order", "consent", "holder_usage", "conduct",
          "grant_usage", "figures_day", "log_related")  # fmt: skip
REMEMBERED = timedelta(days=90)
_REMAINDER = re.compile(r"%(?!\()")  # the operator, which is no place for a value
_DAY = "to_char(to_timestamp(({}) / 1000.0) AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD')"
_STATEMENTS = (
    # Every other system is called back; each verification it decides once.
    """INSERT INTO delivery (id, verification_id, kind, notice, client_id, state, ready_at, fence, last_code)
       SELECT bench.id(at, n, 70), names[1], 'decided', NULL, client,
              CASE WHEN n % 500 = 0 THEN 'given_up' ELSE 'delivered' END, at + 1000, 1, '204'
       FROM bench.copy JOIN bench.model USING (model) WHERE n / 2 % 2 = 0 AND NOT is_pending""",
    "INSERT INTO log_related (subject, position) SELECT persons[2], first_entry - 1 FROM bench.copy WHERE n % 3 = 0",
    """INSERT INTO promise (id, verification_id, material, text, state, lookup_id, promised_at, checked_at)
       SELECT bench.id(at, n, 71), names[1], 'identity', 'commitment-v1', 'kept', NULL, at, at + 86400000
       FROM bench.copy WHERE n % 20 = 0""",
    # One report of paper for every fifth verification, of one or two papers.
    f"""INSERT INTO paper_report (id, client_id, request_id, request_digest, case_number, region, item, scene,
                                  department, operator, unit, edition, day, at)
        SELECT bench.id(at, n, 72), client, 'p' || n, md5(n::text), number, region, item, scene, department, operator,
               %(unit)s, 1, {_DAY.format("at")}, at
        FROM bench.copy JOIN (SELECT DISTINCT ON (model) * FROM bench.model_line) AS line USING (model)
        WHERE n % 5 = 0""",
    """INSERT INTO paper (report_id, material, original, standing, reason, source, verification, note)
       SELECT bench.id(at, n, 72), material, n % 7 = 0,
              (ARRAY['exempt', 'live', 'decided', 'uncovered'])[1 + n / 5 % 4],
              CASE WHEN n / 5 % 4 < 2 THEN
                  (ARRAY['clerk_habit', 'no_record', 'source_down', 'archive_demands_paper'])[1 + n % 4] ELSE '' END,
              source, names[1], ''
       FROM bench.copy JOIN (
           SELECT model, material, min(source) AS source,
                  row_number() OVER (PARTITION BY model ORDER BY material) AS place
           FROM bench.model_line GROUP BY model, material
       ) AS line USING (model)
       WHERE n % 5 = 0 AND (place = 1 OR place < 4 AND n % 10 = 0)""",
    # Objections to one answer in a hundred cases; the old ones are over.
    """INSERT INTO objection (id, verification_id, client_id, case_number, material, source, about, owner, raised_by,
           raised_unit, raised_at, state, due_at, accepted_by, accepted_at, verified_by, verified_at, lifted_by,
           lifted_at, corrected_at, ended_by, ended_at, reminded_at)
       SELECT bench.id(at, n, 73), names[1], client, number, 'identity', l.source, persons[l.person],
              CASE WHEN n / 50 % 10 = 0 THEN %(department)s ELSE '' END, 'clerk', %(unit)s, at + 60000,
              CASE WHEN at < %(recent)s THEN CASE WHEN n / 50 % 3 = 0 THEN 'refused' ELSE 'closed' END
                   ELSE (ARRAY['raised', 'accepted', 'found_right', 'corrected'])[1 + n / 50 % 4] END,
              at + 172800000, 'zhou', at + 3600000, '', NULL, '', NULL, NULL, '',
              CASE WHEN at < %(recent)s THEN at + 432000000 END, CASE WHEN at < %(recent)s THEN at + 172800000 END
       FROM bench.copy AS c JOIN bench.model_lookup AS l ON l.model = c.model AND l.place = 1 WHERE n % 50 = 0""",
    """INSERT INTO objection_words (objection_id, act, said_by, said_at, words)
       SELECT id, 'raise', raised_by, raised_at, decode(repeat(md5(id), 4), 'hex') FROM objection""",
    # Work orders: the open ones of pending verifications, and one ended for every thirtieth verification.
    """INSERT INTO work_order (id, lookup_id, verification_id, source, unit, state, attempt, question, asked_at,
           remind_at, due_at, reminded_at, ended_at, reply, answered_by, holder)
       SELECT bench.id(at, n, 1000 + place), bench.id(at, n, place), names[1], source,
              CASE WHEN n % 2 = 0 THEN %(department)s ELSE %(unit)s END,
              CASE WHEN l.state = 'due' THEN 'open' WHEN n % 300 = 0 THEN 'overdue' ELSE 'answered' END, 1, '',
              at + 1000, at + 86400000, CASE WHEN n % 10 = 0 THEN at + 86400000 ELSE at + 4320000000 END, NULL,
              CASE WHEN l.state = 'due' THEN NULL ELSE at + 90000000 END,
              CASE WHEN l.state = 'due' THEN NULL ELSE 'confirm' END,
              CASE WHEN l.state = 'due' THEN NULL ELSE 'w-1' END,
              CASE WHEN n % 3 = 0 THEN 'organisation' ELSE 'person' END
       FROM bench.copy AS c JOIN bench.model_lookup AS l ON l.model = c.model
       WHERE l.state = 'due' OR (n % 30 = 0 AND place = 1)""",
    """INSERT INTO consent (id, client_id, case_number, subject, sources, text, requested_at, until_at, state,
                            decided_at, decided_by, statement)
       SELECT bench.id(at, n, 75), client, number, persons[1], '["ps-identity"]', 'v1', at, at + 259200000,
              CASE WHEN at < %(recent)s THEN CASE WHEN n / 20 % 3 = 0 THEN 'refused' ELSE 'expired' END
                   ELSE 'granted' END, at + 60000, 'portal', md5(n::text)
       FROM bench.copy WHERE n % 20 = 0""",
    f"""INSERT INTO holder_usage (grant_id, day, operator, subject)
        SELECT DISTINCT l.grant_id, {_DAY.format("at")}, client || '/' || %(unit)s || '/' || operator, persons[1]
        FROM bench.copy AS c JOIN bench.model_lookup AS l ON l.model = c.model AND l.place = 1
        WHERE at > %(remembered)s""",
    f"""INSERT INTO grant_usage (grant_id, day, calls)
        SELECT CASE WHEN client = %(client)s THEN 'g-' || source ELSE client || '-' || source END,
               {_DAY.format("at")}, count(*)
        FROM bench.copy AS c JOIN bench.model_lookup AS l ON l.model = c.model GROUP BY 1, 2""",
    """INSERT INTO conduct (position, verification_id, client_id, operator, case_number, region, item, scene, channel,
                            basis, reference, subject, edition, at)
       SELECT first_entry - 1, names[1], client, client || '/' || %(unit)s || '/' || operator, number,
              coalesce(region, '370400'), item, NULL, 'window', 'statutory_duty', '', persons[1], 1, at
       FROM bench.copy LEFT JOIN (SELECT DISTINCT ON (model) * FROM bench.model_line) AS line USING (model)
       WHERE at > %(remembered)s""",
    """INSERT INTO misuse_flag (id, rule, client_id, operator, action, state, raised_at, evidence, cleared_by,
                                cleared_at, comment)
       SELECT bench.id(at, n, 76), (ARRAY['many-holders', 'constant-reason', 'no-decision', 'after-hours'])[1 + n % 4],
              client, client || '/' || %(unit)s || '/' || operator, 'flag',
              CASE WHEN at < %(recent)s THEN 'cleared' ELSE 'open' END, at,
              json_build_object('count', 70, 'verifications', ARRAY[names[1]], 'case', number)::text,
              CASE WHEN at < %(recent)s THEN 'auditor' END, CASE WHEN at < %(recent)s THEN at + 86400000 END,
              CASE WHEN at < %(recent)s THEN '核对无误' END
       FROM bench.copy WHERE n % 300 = 0""",
    """INSERT INTO annotation (id, position, flag, verdict, by_login, text, made_at)
       SELECT bench.id(at, n, 77), first_entry, NULL, '', 'auditor', '已核对', at FROM bench.copy WHERE n % 200 = 0""",
    """INSERT INTO source_health (source, day, held, not_held, unknown, failed, barred, last_ok_at, last_fail_at,
           last_failure, timed, total_ms, least_ms, most_ms, within_5_ms, within_10_ms, within_25_ms, within_50_ms,
           within_100_ms, within_250_ms, within_500_ms, within_1000_ms, within_2500_ms, within_5000_ms,
           within_10000_ms, longer, verifications, data_as_of)
       SELECT source, to_char(day, 'YYYY-MM-DD'), 80, 10, 10, 3, 0, %(now)s - 60000, %(now)s - 600000,
              'unknown.source-down', 100, 9000, 3, 900, 10, 20, 30, 20, 10, 10, 0, 0, 0, 0, 0, 0, 90,
              %(now)s - 86400000
       FROM (SELECT DISTINCT source FROM bench.model_lookup) AS sources,
            generate_series(to_timestamp(%(remembered)s / 1000.0), to_timestamp(%(now)s / 1000.0), '1 day') AS day""",
    # What the figures' duty would have counted, all but the last day: that it still has before it.
    f"""INSERT INTO figures_day (day, region, department, scene, item, material, mode, decision, source, reach, count)
        SELECT {_DAY.format("at + decided_after")}, region, department, scene, item, material, mode, decision, source,
               reach, count(*)
        FROM bench.copy JOIN bench.model USING (model) JOIN bench.model_line USING (model)
        WHERE at < %(yesterday)s GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10""",
    """UPDATE figures_cursor SET position = (SELECT min(first_entry) - 1 FROM bench.copy WHERE at >= %(yesterday)s)""",
    """UPDATE misuse_cursor SET position = (SELECT min(first_entry) - 1 FROM bench.copy WHERE at >= %(yesterday)s)""",
    """DELETE FROM conduct WHERE position >= (SELECT position FROM misuse_cursor)""",
)


def fill(connection: psycopg.Connection[Any], now: datetime) -> None:
    """Everything that is made out of the copies."""
    values = {
        "unit": kit.UNIT, "department": kit.DEPARTMENT, "client": kit.CLIENT, "now": milliseconds(now),
        "recent": milliseconds(now - timedelta(days=15)), "remembered": milliseconds(now - REMEMBERED),
        "yesterday": milliseconds(now - timedelta(days=1)),
    }  # fmt: skip
    for statement in _STATEMENTS:
        connection.execute(_REMAINDER.sub("%%", statement), values)
