"""The unit of work's part for consents; see ``ports.consents`` for what the methods mean."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from broker.ports.consents import Consent
from broker.store import tables as t
from broker.store import waiting_tables as w
from broker.store.rows import Rows

_COLUMNS = {
    "client": "client_id",
    "case": "case_number",
    "until": "until_at",
    "lookup": "lookup_id",
}  # the others have their fields' names
_FIELDS = {one.name: _COLUMNS.get(one.name, one.name) for one in fields(Consent)}
_consents = select(*(w.consent.c[column] for column in _FIELDS.values()))


class ConsentRows(Rows):
    """One transaction's methods for consents."""

    def add_consents(self, rows: Sequence[Consent]) -> None:
        """Ask for consents."""
        if rows:
            self.connection.execute(insert(w.consent), [_values(row) for row in rows])

    def consents_in(self, client: str, case: str) -> list[Consent]:
        """Every consent of a case, the oldest first."""
        theirs = (w.consent.c.client_id == client, w.consent.c.case_number == case)
        return [_consent(row) for row in self._run(_consents.where(*theirs).order_by(w.consent.c.id))]

    def consents_of(self, subject: str, limit: int) -> list[Consent]:
        """What a person was asked for, the newest first."""
        theirs = _consents.where(w.consent.c.subject == subject).order_by(w.consent.c.id.desc()).limit(limit)
        return [_consent(row) for row in self._run(theirs)]

    def lock_consent(self, number: str) -> Consent | None:
        """A consent, locked until this transaction ends."""
        row = self._run(_consents.where(w.consent.c.id == number).with_for_update()).one_or_none()
        return None if row is None else _consent(row)

    def change_consent(self, consent: Consent) -> None:
        """Keep what has become of a consent; the caller has locked it."""
        self._run(update(w.consent).where(w.consent.c.id == consent.id).values(_values(consent)))

    def lock_consents_at(self, lookups: Collection[str]) -> dict[str, Consent]:
        """Those that the sources of these lookups ask for themselves, by lookup; locked."""
        theirs = _consents.where(w.consent.c.lookup_id.in_(sorted(lookups))).order_by(w.consent.c.id).with_for_update()
        return {row.lookup_id: _consent(row) for row in self._run(theirs)} if lookups else {}

    def release_lookups(self, consent: str, now: datetime) -> list[str]:
        """Let the lookups that wait for a consent be due now; returns their sources."""
        waiting = (
            t.lookup.c.consent_id == consent,
            t.lookup.c.state == "due",
            t.lookup.c.awaited == "pending.consent",
        )
        released = update(t.lookup).where(*waiting).values(ready_at=now, awaited=None, until=None)
        return sorted(set(self._run(released.returning(t.lookup.c.source)).scalars()))

    def expire_consents(self, now: datetime) -> list[Consent]:
        """Write down which consents are over, each once; as they now stand."""
        over = (w.consent.c.state.in_(("requested", "waiting", "granted")), w.consent.c.until_at <= now)
        returned = (w.consent.c[column] for column in _FIELDS.values())
        rows = self._run(update(w.consent).where(*over).values(state="expired").returning(*returned))
        return [_consent(row) for row in rows]


def _consent(row: Any) -> Consent:
    return Consent(**dict(zip(_FIELDS, row, strict=True)) | {"sources": tuple(json.loads(row.sources))})


def _values(consent: Consent) -> dict[str, Any]:
    return {column: getattr(consent, name) for name, column in _FIELDS.items()} | {
        "sources": json.dumps(list(consent.sources))
    }
