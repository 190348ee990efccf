"""A department's front-end exchange table (前置库): a table or view that the department fills and we may only read.

There is no published protocol: the department names a database, an account with the right to read, a table, its
columns, and the column that tells when a row was last written. All of that is configuration.

Connection: endpoint, a database URL *without* its password; credential ``password``.
Source: ``service`` (or the deployment's ``services``) is the table, qualified by its schema where it needs one;
options ``where`` {their column: what}, with the words of a request parameter, and those of
:mod:`broker.connectors.reading`, whose paths are column names here; ``as_of`` is the row-freshness column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from broker.connectors.reading import AnswerOk, conversation, parameter, service_of, settle, the_one, told
from broker.core.answer import Question, Reason
from broker.core.catalog import Form, Source
from broker.ports import Connection, Conversation, TableQuery, TableRows

MAX_ROWS: Final = 20  # one person's rows; who has more cannot be told apart from a table without its condition
_NAME: Final = re.compile(r"[^\W\d][\w$#]{0,62}")  # letters of any script; a quoted name may hold no quote


class FrontTable:
    """Reads the rows about the subject: one is the answer, the latest of several only where the list says so."""

    def __init__(self, answer_ok: AnswerOk) -> None:
        self._answer_ok = answer_ok

    @conversation
    def ask(
        self,
        question: Question,
        source: Source,
        connection: Connection,
        now: datetime,  # noqa: ARG002 - each row tells how old it is
    ) -> Conversation:
        """One query; the rows are checked against the answer schema before any is believed."""
        response: TableRows = yield _query(question, source, connection)
        rows = _rows(response)
        if not self._answer_ok(source.key, rows):
            settle(Reason.MALFORMED)
        return told(the_one(rows, source.options), question, source)


def _query(question: Question, source: Source, connection: Connection) -> TableQuery:
    where: Mapping[str, str] = source.options.get("where") or settle(Reason.NOT_CONFIGURED)
    if question.form is Form.FILE:
        settle(Reason.NOT_CONFIGURED)
    table, columns = service_of(source, connection), tuple(dict.fromkeys(_columns(source.options)))
    for name in (*table.split("."), *columns, *where):
        if not _NAME.fullmatch(name):
            settle(Reason.NOT_CONFIGURED)
    return TableQuery(
        endpoint=connection.endpoint,
        password=connection.credentials.get("password", ""),
        table=table,
        columns=columns,
        where={name: parameter(spec, question) for name, spec in where.items()},
        limit=MAX_ROWS + 1,
        budget_ms=source.budget_ms,
    )


def _columns(options: Mapping[str, Any]) -> Iterator[str]:
    """What the reading of a row will look at, and nothing else: a column not named here never leaves the database."""
    yield from options.get("fields", {}).values()
    yield from options.get("verdicts", {})
    yield from (options[name] for name in ("holder", "as_of", "latest") if name in options)


def _rows(response: TableRows) -> list[dict[str, Any]]:
    rows = [{name: value for name, value in row.items() if value is not None} for row in response.rows]
    return rows if len(rows) <= MAX_ROWS else settle(Reason.AMBIGUOUS)
