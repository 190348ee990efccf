"""Export: what the centre takes out of the audit log, and what anybody takes out of the console; an entry first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core import merkle
from broker.core.case import Party
from broker.core.entry import entry
from broker.core.errors import CallerProblem
from broker.core.log_export import Filter, Head, Line
from broker.flow.caller import Identify, identified
from broker.flow.find_person import require_no_person, require_reason, sought
from broker.flow.parts import Parts
from broker.flow.prove import checkpoint_size, tile_reader
from broker.ports import Work
from broker.ports.proof import Placed

PAGE = 500  # entries read in one transaction, well below the time a statement may take …
STRETCH = 100_000  # … and of so many places, however few of them are wanted


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants out of the log, and why."""

    wanted: Filter
    by: str
    reason: str
    holder: Party | None = None  # whose data; the entry names the pseudonym


@dataclass(frozen=True, slots=True)
class TableTaken:
    """A table that somebody takes out of the console as a file: which, as what, how much of it, by which filter."""

    table: str
    kind: str
    by: str
    rows: int
    wanted: Mapping[str, str]
    edition: int | None = None  # of the list it shows, or names things by


def record_table(parts: Parts, taken: TableTaken) -> datetime:
    """The moment by which a table is given out; the entry ``table_exported`` is committed before."""
    with parts.store.write() as work:
        now = work.pulse().now
        work.record([entry("table_exported", now, by=taken.by, table=taken.table, format=taken.kind, rows=taken.rows,
                           filter=dict(taken.wanted) or None, edition=taken.edition)])  # fmt: skip
        # Crash before this commit: nothing was given. After it: the entry says so, whether or not the file arrived.
        work.commit()
    return now


def export_log(
    parts: Parts, asked: Wanted, identify: Identify | None = None, most: int | None = None
) -> tuple[Head, Iterator[Line]]:
    """The head and the lines, which are read page by page while they are taken.

    The entry ``exported`` with filter, person and reason is committed before the first line is given, and beside it
    ``person_sought`` where somebody's number was known. Raises ``CallerProblem`` ``log.not-yet`` while the log is
    empty, ``sought.reason``, ``sought.filter``, ``export.too-long`` where there are more than ``most``.
    """
    require_reason(asked.reason, asked.holder)
    require_no_person(asked.wanted)
    wanted = asked.wanted
    if asked.holder is not None:
        wanted = replace(wanted, subject=parts.vault.pseudonym(asked.holder.subject))
    with parts.store.write() as work:
        pulse = work.pulse()
        told: dict[str, str] = {}
        if identify is not None:
            caller = identified(work, parts.policy(work, pulse), identify, pulse.now)
            told = {"client": caller.client.id, "key": caller.key_id}
        note = work.latest_checkpoint()
        if note is None:
            raise CallerProblem("log.not-yet", retry_after=1)
        head = Head(parts.log_origin, checkpoint_size(note), note, wanted, pulse.now)
        if most is not None and _more_than(work, wanted, head.size, most):
            raise CallerProblem("export.too-long", expected=f"at most {most} entries")
        if asked.holder is not None and wanted.subject is not None:
            work.record([sought(asked.holder, wanted.subject, pulse.now, asked.reason, by=asked.by, **told)])
        work.record([entry("exported", pulse.now, by=asked.by, why=asked.reason, size=head.size,
                           filter=wanted.document(), **told)])  # fmt: skip
        # Crash before this commit: nothing was given. After it: the entry says what was asked for, given or not.
        work.commit()
    return head, _lines(parts, head)


def _lines(parts: Parts, head: Head) -> Iterator[Line]:
    """Page by page, each in a transaction of its own: below a signed size the log never changes."""
    start = 0
    while start < head.size:
        with parts.store.read() as work:
            page, start = _page(work, head.wanted, start, head.size, PAGE)
            read = tile_reader(work)
            lines = [
                Line(one.position, one.body, () if head.wanted.whole else _proof(one.position, head.size, read))
                for one in page
            ]
        yield from lines


def _page(work: Work, wanted: Filter, start: int, size: int, limit: int) -> tuple[list[Placed], int]:
    """Up to ``limit`` entries of one stretch, and where to go on."""
    stop = min(start + STRETCH, size)
    found = work.find_entries(wanted, start, stop, limit)
    return found, found[-1].position + 1 if len(found) == limit else stop


def _more_than(work: Work, wanted: Filter, size: int, most: int) -> bool:
    start, left = 0, most + 1
    while start < size and left > 0:
        page, start = _page(work, wanted, start, size, left)
        left -= len(page)
    return left <= 0


def _proof(position: int, size: int, read: merkle.ReadTile) -> tuple[bytes, ...]:
    return tuple(merkle.inclusion_proof(position, size, read))
