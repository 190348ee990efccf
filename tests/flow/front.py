"""Front-end tables read over real sockets: what the tests of each database share."""

from __future__ import annotations

from broker.core.answer import Answer, Reason
from broker.core.catalog import Source
from broker.ports import Conversation, TableQuery, TableRows
from broker.transport.https import HttpsTransport


def talk(query: TableQuery, rows: list[object]) -> Conversation:
    """A conversation of one reading that keeps what it was sent."""
    response: TableRows = yield query
    rows.extend(response.rows)
    return Answer(Reason.VALID)


def read_of(source: Source, transport: HttpsTransport, query: TableQuery) -> tuple[Answer, list[object]]:
    """The answer, within this source's budget, and the rows read."""
    rows: list[object] = []
    (answer,) = transport.converse(source, [talk(query, rows)])
    assert isinstance(answer, Answer)
    return answer, rows
