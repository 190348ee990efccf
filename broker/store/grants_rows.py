"""The unit of work's part for how grants come about; see ``ports.grants`` for what the methods mean."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from sqlalchemy import insert, select, update

from broker.ports.grants import Parties
from broker.store import grants_tables as g
from broker.store import tables as t
from broker.store.rows import Rows


class GrantsRows(Rows):
    """One transaction's methods for how grants come about."""

    def holders(self, grants: Collection[str], operators: Collection[str], day: str) -> dict[tuple[str, str], set[str]]:
        """About whom each operator has asked under each grant on a day, by (grant, operator)."""
        table = g.holder_usage.c
        found: dict[tuple[str, str], set[str]] = {}
        for row in self._run(
            select(table.grant_id, table.operator, table.subject).where(
                table.day == day, table.grant_id.in_(sorted(grants)), table.operator.in_(sorted(operators))
            )
        ):
            found.setdefault((row.grant_id, row.operator), set()).add(row.subject)
        return found

    def add_holders(self, asked: Sequence[tuple[str, str, str]], day: str) -> None:
        """Further (grant, operator, subject); the caller has the grants' usage locked."""
        if asked:
            rows = [{"grant_id": grant, "day": day, "operator": who, "subject": whom} for grant, who, whom in asked]
            self.connection.execute(insert(g.holder_usage), rows)

    def change_parties(self, case: str, before: Parties, after: Parties) -> bool:
        """False where the case's parties are no longer those from before."""
        standing = (t.case_file.c.id == case, t.case_file.c.parties == parties_text(before))
        return self._added(update(t.case_file).where(*standing).values(parties=parties_text(after)))


def parties_text(parties: Parties) -> str:
    """Parties as the table keeps them."""
    return json.dumps([list(one) for one in parties])


def parties_from(text: str) -> tuple[tuple[str, str], ...]:
    """Parties as the table kept them."""
    return tuple((role, subject) for role, subject in json.loads(text))
