"""By what an entry of the log is found: a filter as conditions on the rows that the sequencer made of the entries.

Most of what a filter may ask for is a column of ``log_index``, one value for each entry. The rest stands beside it: an
entry is about several persons, names several materials, and its verification stands in the entry's own row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Column, ColumnElement, CompoundSelect, FromClause, Select, select, union_all

from broker.core.log_export import Filter
from broker.ports.proof import LOGIN, MATERIAL
from broker.store import proof_tables as p
from broker.store import tables as t

_index = p.log_index.c
COLUMNS: Mapping[str, Column[str]] = {
    "case": _index.case_number, "operator": _index.operator, "item": _index.item, "kind": _index.kind,
    "source": _index.source, "outcome": _index.outcome, "client": _index.client_id, "unit": _index.unit,
    "region": _index.region,
}  # fmt: skip
NAMED = {"material": MATERIAL, "login": LOGIN}  # what an entry may name several of
Places = Select[tuple[int]] | CompoundSelect[tuple[int]]


def places_about(subject: str) -> CompoundSelect[tuple[int]]:
    """The places of the entries about a person, as their subject or beside it."""
    return union_all(
        select(p.log_index.c.position).where(p.log_index.c.subject == subject),
        select(p.log_related.c.position).where(p.log_related.c.subject == subject),
    )


def places_of(verification: str) -> Select[tuple[int]]:
    """The places of a verification's entries."""
    rows = t.log_leaf.join(t.entry, t.entry.c.id == t.log_leaf.c.entry_id)
    return select(t.log_leaf.c.position).select_from(rows).where(t.entry.c.verification_id == verification)


BESIDE: Mapping[str, Callable[[str], Places]] = {"verification": places_of, "subject": places_about}
"""What few entries have in common: all their places are read at once."""


def is_named(fact: str, name: str) -> ColumnElement[bool]:
    """Rows of ``log_named`` that name a material or a login."""
    return (p.log_named.c.fact == NAMED[fact]) & (p.log_named.c.name == name)


def among(wanted: Filter, rows: FromClause) -> list[ColumnElement[bool]]:
    """Everything that the filter asks of rows of the index, but for what they name."""
    asked = [rows.c[column.name] == value for name, column in COLUMNS.items() if (value := getattr(wanted, name))]
    asked += [rows.c.position.in_(places(value)) for name, places in BESIDE.items() if (value := getattr(wanted, name))]
    if wanted.since is not None:
        asked.append(rows.c.at >= wanted.since)
    if wanted.until is not None:
        asked.append(rows.c.at < wanted.until)
    return asked


def naming(wanted: Filter, rows: FromClause) -> list[ColumnElement[bool]]:
    """That a bounded number of rows name what the filter asks: each is looked up.

    As a value and not as EXISTS, which PostgreSQL would make a join with every entry that names it.
    """
    place = p.log_named.c.position
    return [
        select(place).where(is_named(fact, name), place == rows.c.position).scalar_subquery().is_not(None)
        for fact in NAMED
        if (name := getattr(wanted, fact))
    ]


def naming_within(wanted: Filter, rows: FromClause, start: int, stop: int) -> list[ColumnElement[bool]]:
    """The same of a stretch of the log, whose names are read at once."""
    place = p.log_named.c.position
    return [
        rows.c.position.in_(select(place).where(is_named(fact, name), place >= start, place < stop))
        for fact in NAMED
        if (name := getattr(wanted, fact))
    ]
