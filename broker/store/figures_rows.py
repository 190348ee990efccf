"""The unit of work's part for paper and figures; see ``ports.figures`` for what the methods mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, time, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Table, exists, func, insert, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from broker.core.catalog import Mode
from broker.core.collected import Standing
from broker.core.day import CHINA
from broker.core.decide import Kind
from broker.core.figures import Counted, Reach, Refused
from broker.ports.figures import Frozen, Own, Paper, Report, Where
from broker.store import figures_tables as f
from broker.store import objection_tables as o
from broker.store import tables as t
from broker.store.rows import Rows

KEPT_SUMS = 512  # sums of frozen months that a process keeps; a page of figures asks for five

_Lines = Callable[[Sequence[str], Sequence[str]], Any]
_RESTING = (Kind.EXEMPT.value, Kind.NOT_MET.value)  # decisions that an answer made
_UNUSED = tuple(one.value for one in Standing if one.unused)


class FiguresRows(Rows):
    """One transaction's methods for what was collected on paper, and for figures."""

    def add_report(self, report: Report) -> bool:
        """False where the system has used this request id before."""
        row = asdict(report)
        papers, row["client_id"] = row.pop("papers"), row.pop("client")
        row["request_digest"], row["case_number"] = row.pop("digest"), row.pop("case")
        row["request_salt"] = row.pop("salt")
        try:
            with self.connection.begin_nested():
                self._run(insert(f.paper_report).values(**row))
        except IntegrityError:
            return False
        self.connection.execute(insert(f.paper), [one | {"report_id": report.id} for one in papers])
        return True

    def report_of(self, client: str, request_id: str) -> Report | None:
        """What a system reported under a request id."""
        table = f.paper_report.c
        found = select(f.paper_report).where(table.client_id == client, table.request_id == request_id)
        row = self._run(found).one_or_none()
        return None if row is None else _report(row, self._papers_of([row.id])[row.id])

    def receipts_of_case(self, client: str, number: str) -> list[tuple[str, str]]:
        """The decided verifications of a case with their receipts, the latest decision first."""
        v, case = t.verification.c, t.case_file.c
        found = select(v.id, v.receipt).select_from(t.verification.join(t.case_file, v.case_id == case.id))
        theirs = found.where(case.client_id == client, case.number == number, v.state == "decided")
        return [(row.id, row.receipt) for row in self._run(theirs.order_by(v.decided_at.desc(), v.id.desc()))]

    def reports(
        self, where: Mapping[str, str], since: str, until: str, limit: int, *, skip: int = 0, own: Own | None = None
    ) -> list[Report]:
        """Reports from one day up to another that hold an unused paper, the newest first; of ``own`` alone if given."""
        table = f.paper_report.c
        unused = exists().where(f.paper.c.report_id == table.id, f.paper.c.standing.in_(_UNUSED), *_of_paper(where))
        found = select(f.paper_report).where(table.day >= since, table.day <= until, unused)
        of_report = [f.paper_report.c[name] == value for name, value in where.items() if name in f.paper_report.c]
        if own is not None:
            of_report.append(or_(table.department.in_(sorted(own.departments)), table.unit.in_(sorted(own.units))))
        newest = found.where(*of_report).order_by(table.at.desc(), table.id.desc())
        rows = self._run(newest.limit(limit).offset(skip)).all()
        return self._with_papers(rows)

    def reports_of_case(self, client: str, case: str, limit: int) -> list[Report]:
        """The reports of a system's case, the newest first."""
        table = f.paper_report.c
        theirs = select(f.paper_report).where(table.client_id == client, table.case_number == case)
        return self._with_papers(self._run(theirs.order_by(table.at.desc(), table.id.desc()).limit(limit)).all())

    def _with_papers(self, rows: Sequence[Any]) -> list[Report]:
        papers = self._papers_of([row.id for row in rows])
        return [_report(row, papers[row.id]) for row in rows]

    def _papers_of(self, reports: Sequence[str]) -> dict[str, tuple[Paper, ...]]:
        found: dict[str, list[Paper]] = {one: [] for one in reports}
        for report, *paper in self._run(self._sql.papers_of, b_ids=self._sql.listed(reports)):
            found[report].append(Paper(*paper))
        by_material = attrgetter("material")  # sorted here: databases differ in how they order "@" and letters
        return {report: tuple(sorted(papers, key=by_material)) for report, papers in found.items()}

    def forget_notes(self, before: str) -> None:
        """Drop what clerks wrote with reports before this day, and the salts of their digests; the reports stay."""
        old = select(f.paper_report.c.id).where(f.paper_report.c.day < before)
        self._run(update(f.paper).where(f.NOTED, f.paper.c.report_id.in_(old)).values(note=b""))
        salted = (f.paper_report.c.day < before, f.SALTED)
        self._run(update(f.paper_report).where(*salted).values(request_salt=None))

    def objections_to(self, since: datetime) -> dict[str, int]:
        """How many objections were raised to each source's data from this moment on."""
        raised = o.objection.c
        counted = select(raised.source, func.count()).where(raised.raised_at >= since).group_by(raised.source)
        return {source: int(count) for source, count in self._run(counted)}

    # --- folding

    def folded_to(self) -> int | None:
        """The place in the log up to which figures are folded, locked; None where another folds."""
        place = select(f.figures_cursor.c.position).with_for_update(skip_locked=True)
        found: int | None = self._run(place).scalar_one_or_none()
        return found

    def fold_place(self) -> int:
        """The same place, not locked."""
        return int(self._run(select(f.figures_cursor.c.position)).scalar_one())

    def receipts_between(self, start: int, stop: int) -> list[str]:
        """The final receipts whose decisions stand from one place of the log to before another."""
        leaf, entry, v = t.log_leaf.c, t.entry.c, t.verification.c
        joined = t.log_leaf.join(t.entry, entry.id == leaf.entry_id).join(t.verification, v.id == entry.verification_id)
        found = select(v.receipt).select_from(joined).where(leaf.position >= start, leaf.position < stop)
        return [row.receipt for row in self._run(found.where(entry.kind == "decided"))]

    def refusals_between(self, start: int, stop: int) -> list[bytes]:
        """The entries of refused requests from one place of the log to before another."""
        leaf, entry = t.log_leaf.c, t.entry.c
        found = select(entry.body).select_from(t.log_leaf.join(t.entry, entry.id == leaf.entry_id))
        theirs = found.where(leaf.position >= start, leaf.position < stop, entry.kind == "refused")
        return [row.body for row in self._run(theirs)]

    def add_counts(self, counts: Counter[Counted], refusals: Counter[Refused], folded_to: int) -> None:
        """Add to the counters, and move the place; the caller has it locked."""
        self._add(
            f.figures_day, ["day", *f.DIMENSIONS], [line._asdict() | {"count": counts[line]} for line in sorted(counts)]
        )
        self._add(
            f.figures_refused,
            Refused._fields,
            [line._asdict() | {"count": refusals[line]} for line in sorted(refusals)],
        )
        self._run(update(f.figures_cursor).values(position=folded_to))

    def _add(self, table: Table, key: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        made = (sqlite if self._sql.is_sqlite else postgresql).insert(table)
        added = made.on_conflict_do_update(
            index_elements=list(key), set_={"count": table.c["count"] + made.excluded["count"]}
        )
        if rows:
            self.connection.execute(added, rows)

    # --- freezing

    def frozen(self) -> list[Frozen]:
        """Every frozen month, ascending."""
        table = f.figures_frozen
        return [Frozen(*row) for row in self._run(select(table).order_by(table.c.month))]

    def first_day(self) -> str | None:
        """The first day of which there is anything to count."""
        days = [self._run(select(func.min(one))).scalar_one() for one in (f.figures_day.c.day, f.paper_report.c.day)]
        return min((day for day in days if day), default=None)

    def place_is_after(self, place: int, moment: datetime) -> bool:
        """Whether everything in the log before this moment stands before this place."""
        leaf, v = t.log_leaf.c, t.verification.c
        joined = t.log_leaf.join(t.entry, t.entry.c.id == leaf.entry_id).join(
            t.verification, v.id == t.entry.c.verification_id
        )
        left = select(leaf.position).select_from(joined).where(
            leaf.position >= place, t.entry.c.kind == "decided", v.decided_at < moment
        )  # fmt: skip
        return self._run(left.limit(1)).first() is None

    def copy_month(self, month: str) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """Copy a month's lines to where they never change: its counters, and its papers; returns both."""
        lines = _lines_of_days(f.DIMENSIONS, [month])
        self._run(insert(f.figures_month).from_select(["month", *f.DIMENSIONS, "count"], lines))
        papers = _papers_of_days(f.PAPER_DIMENSIONS, [month])
        self._run(insert(f.paper_month).from_select(["month", *f.PAPER_DIMENSIONS, "count"], papers))
        return self.frozen_lines(month)

    def freeze_month(self, frozen: Frozen) -> None:
        """Say that a month is frozen."""
        self._run(insert(f.figures_frozen).values(**asdict(frozen)))

    def frozen_lines(self, month: str) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """A frozen month's lines, as they stand."""
        lines, papers = (
            [tuple(row)[1:] for row in self._run(select(table).where(table.c.month == month))]
            for table in (f.figures_month, f.paper_month)
        )
        return lines, papers

    # --- reading

    def counts(
        self, by: Sequence[str], where: Where, months: Sequence[str]
    ) -> list[tuple[tuple[str, ...], str, str, int]]:
        """Counters of these months by these columns: (values, decision, reach, count). Frozen months stay as frozen."""
        needed = [name for name in f.DIMENSIONS if name in {*by, *where, "decision", "reach"}]
        found = self._sums(f.figures_month, _lines_of_days, needed, [*by, "decision", "reach"], where, months)
        return [(key[:-2], key[-2], key[-1], count) for key, count in found]

    def papers(self, by: Sequence[str], where: Where, months: Sequence[str]) -> list[tuple[tuple[str, ...], str, int]]:
        """Papers of these months by these columns: (values, standing, count). Frozen months stay as frozen."""
        needed = [name for name in f.PAPER_DIMENSIONS if name in {*by, *where, "standing"}]
        found = self._sums(f.paper_month, _papers_of_days, needed, [*by, "standing"], where, months)
        return [(key[:-1], key[-1], count) for key, count in found]

    def decided_by(self, source: str, since: str) -> dict[str, int]:
        """How many decisions rested on a fresh answer of a source from this day on, by material."""
        line = f.figures_day.c
        rested = (line.decision.in_(_RESTING), line.reach == Reach.APPLIED, line.mode != Mode.REUSE)
        found = select(line.material, func.sum(line["count"])).where(line.day >= since, line.source == source, *rested)
        decided: Counter[str] = Counter()
        for material, count in self._run(found.group_by(line.material)):
            decided[material.partition("@")[0]] += int(count)  # whoever holds it
        return dict(decided)

    def refusals(self, where: Where, months: Sequence[str]) -> list[tuple[str, int]]:
        """Refused requests of these months by code, the most frequent first."""
        table = f.figures_refused.c
        total = func.sum(table["count"])
        found = select(table.code, total).where(_within(table.day, months), *_each(table, where))
        return [
            (code, int(count)) for code, count in self._run(found.group_by(table.code).order_by(-total, table.code))
        ]

    def _sums(
        self, kept: Table, open_lines: _Lines, needed: Sequence[str], columns: Sequence[str], where: Where,
        months: Sequence[str],
    ) -> list[tuple[tuple[Any, ...], int]]:  # fmt: skip
        """Counts by these columns: those of frozen months as they were frozen, the others added up over their days."""
        frozen = {one.month: one.digest for one in self.frozen()}
        open_ = [month for month in months if month not in frozen]
        found = Counter(self._kept_sum(kept, needed, columns, where, {m: frozen[m] for m in months if m in frozen}))
        if open_:
            found.update(self._sum(open_lines(needed, open_), columns, where))
        return sorted(found.items(), key=lambda one: tuple(map(str, one[0])))

    def _kept_sum(
        self, table: Table, needed: Sequence[str], columns: Sequence[str], where: Where, months: Mapping[str, str]
    ) -> Mapping[tuple[Any, ...], int]:
        """Added up once in a process: a frozen month never changes, and its digest says which freezing is meant."""
        key = (table.name, tuple(columns), tuple(sorted(where.items())), tuple(months.items()))
        kept = self._sql.kept_sums
        if months and key not in kept:
            if len(kept) >= KEPT_SUMS:
                kept.clear()
            kept[key] = self._sum(_lines_of_months(table, needed, list(months)), columns, where)
        return kept.get(key, {})

    def _sum(self, lines: Any, columns: Sequence[str], where: Where) -> dict[tuple[Any, ...], int]:
        said = lines.subquery().c
        by = [said[name] for name in columns]
        total = select(*by, func.sum(said["count"])).where(*_each(said, where)).group_by(*by)
        return {tuple(row[:-1]): int(row[-1]) for row in self._run(total)}


def _each(columns: Any, where: Where) -> list[ColumnElement[bool]]:
    return [
        columns[name].in_(value) if isinstance(value, tuple) else columns[name] == value
        for name, value in where.items()
    ]


def _lines_of_months(table: Table, names: Sequence[str], months: Sequence[str]) -> Any:
    chosen = [table.c[name] for name in names]
    return select(table.c.month, *chosen, table.c["count"]).where(table.c.month.in_(months))


def _lines_of_days(names: Sequence[str], months: Sequence[str]) -> Any:
    """The counters of whole months, added up over their days."""
    table = f.figures_day
    month = func.substr(table.c.day, 1, 7).label("month")
    chosen = [table.c[name] for name in names]
    total = func.sum(table.c["count"]).label("count")
    return select(month, *chosen, total).where(_within(table.c.day, months)).group_by(month, *chosen)


def _papers_of_days(names: Sequence[str], months: Sequence[str]) -> Any:
    table, paper = f.paper_report, f.paper
    month = func.substr(table.c.day, 1, 7).label("month")
    chosen = [(paper if name in paper.c else table).c[name] for name in names]
    counted = select(month, *chosen, func.count().label("count")).select_from(paper.join(table))
    made = _made_within(paper.c.report_id, months)
    return counted.where(_within(table.c.day, months), made).group_by(month, *chosen)


def _within(day: Any, months: Sequence[str]) -> Any:
    """Whether a day is of one of these months; ranges, so that the index on days helps."""
    found: Any = literal(value=False)
    for month in months:
        found = found | day.between(f"{month}-01", f"{month}-31")
    return found


def _made_within(number: Any, months: Sequence[str]) -> Any:
    """Whether a report's id is of one of these months: ids begin with their moment, so papers need no day of their own.

    A day wider on both sides, since it only spares reading the papers of other months.
    """
    found: Any = literal(value=False)
    for month in months:
        first = datetime.combine(date.fromisoformat(f"{month}-01"), time(), CHINA)
        start, stop = first - timedelta(days=1), first + timedelta(days=32)
        found = found | ((number >= f"{t.milliseconds(start):012x}") & (number < f"{t.milliseconds(stop):012x}"))
    return found


def _of_paper(where: Mapping[str, str]) -> list[Any]:
    return [f.paper.c[name] == value for name, value in where.items() if name in f.paper.c]


def _report(row: Any, papers: tuple[Paper, ...]) -> Report:
    return Report(
        row.id, row.client_id, row.request_id, row.request_digest, row.case_number, row.region, row.item, row.scene,
        row.department, row.operator, row.unit, row.edition, row.day, row.at, papers, row.request_salt,
    )  # fmt: skip
