"""However large the database: a page reads it in few statements, and says no more of itself than it must."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import event

from broker.core.people import ConsoleRole
from broker.flow import publish as steps
from tests.console.kit import House

MOST = 14  # of one page, its session included


@pytest.mark.parametrize(
    "path",
    [
        "/console", "/console/account", "/console/list", "/console/list?q=公司", "/console/list/items/company-setup",
        "/console/list/materials", "/console/list/materials/identity", "/console/list/sources/mca-marriage",
        "/console/drafts", "/console/drafts/{draft}", "/console/drafts/{draft}/findings",
        "/console/drafts/{draft}/rows/items/company-setup", "/console/drafts/{draft}/preview", "/console/editions",
        "/console/editions/1", "/console/coverage", "/console/figures", "/console/figures?by=item", "/console/papers",
        "/console/supply", "/console/supply/department?name=税务部门",
    ],
)  # fmt: skip
def test_a_page_needs_few_statements(city: House, path: str) -> None:
    with city.parts.store.read() as work:
        drafts = work.drafts()
    if not drafts:
        drafts = [steps.draft(city.parts, _published(city), "somebody", "对照")]
    visitor = city.http(city.account(ConsoleRole.LIST_EDITOR, ConsoleRole.READER, login="keeper"))
    where = path.format(draft=drafts[0].id)
    assert visitor.get(where).status_code == 200
    seen: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    event.listen(city.office.database.engine, "before_cursor_execute", count)
    try:
        visitor.get(where)
    finally:
        event.remove(city.office.database.engine, "before_cursor_execute", count)
    assert 0 < len(seen) <= MOST, seen


def _published(city: House) -> Any:
    with city.parts.store.read() as work:
        return json.loads(work.edition(1)[1])
