"""Sources: how each is and has been, what its outage means, a test of its connection, its credentials' references.

The centre's operator stops a source here, and opens it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from flask import Response, request
from flask_babel import gettext
from markupsafe import Markup

from broker.core.answer import Reason
from broker.core.catalog import Edition, Source
from broker.core.day import day_of
from broker.core.errors import FAULT_WORDS, CallerProblem
from broker.core.gate import Gate
from broker.core.health import Day
from broker.core.outage import demand, impact
from broker.core.people import ConsoleRole
from broker.core.probe import STEPS, advice
from broker.core.problems import PROBLEMS
from broker.core.reasons import ReasonText, reason_text
from broker.flow import source_test
from broker.flow.fitness import sources_seen
from broker.flow.stops import open_source, stop_source
from broker.ports import Work
from broker.ports.console import Job
from broker.ports.health import CredentialReference, RegisteredCredential
from broker.web.console.area import EVERY_ROLE, Area, Console, Nav, only
from broker.web.console.chart import days as drawn_days
from broker.web.console.list_words import MODES
from broker.web.console.page import said_of, shown, to
from broker.web.console.sheets import Table, Value, exported
from broker.web.console.visit import visitor
from broker.web.console.words import clock, mark, told

DAYS = 14
_ANSWERS = 1000  # the latest answers whose reasons are counted
_JOBS = 100  # looked through for those of one source
ROTATE_AFTER = timedelta(days=365)  # a secret that is a year old is known to people who have left
NEAR_LIMIT = 0.8  # of the calls a day: from here on the page warns, while there is time to ask for more
_OPERATOR = only(ConsoleRole.OPERATOR)


def sources_area(console: Console) -> Area:
    """The pages of sources."""
    area, sources = Area("sources", Nav("index", "Sources")), _Sources(console)
    area.get("/sources", sources.index, EVERY_ROLE)
    area.get("/sources/export/<kind>", sources.export, EVERY_ROLE)
    area.get("/sources/<key>", sources.source, EVERY_ROLE)
    area.post("/sources/<key>/test", sources.test, _OPERATOR)
    area.post("/sources/<key>/stop", sources.stop, _OPERATOR)
    area.post("/sources/<key>/open", sources.open, _OPERATOR)
    return area


class _Sources:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts

    def index(self) -> Response:
        """Every source of the list in force, or those sought, with its health of today."""
        _, rows, found = self._rows()
        return shown(
            "sources/index.html", rows=found, states=STATES, all=len(rows), near=near_limit,
            q=request.args.get("q", ""), state=request.args.get("state", ""),
            counts={state: sum(row.view["state"] == state for row in rows) for state in STATES},
        )  # fmt: skip

    def export(self, kind: str) -> Response:
        """The same lines as a file."""
        edition, _, found = self._rows()
        return exported(self._parts, _table(edition, found), kind)

    def _rows(self) -> tuple[int, list[_Row], list[_Row]]:
        """The edition in force, its sources, the most urgent first, and those of them that are sought."""
        with self._parts.store.read() as work:
            seen = sources_seen(self._parts, work)
            edition = self._edition(work)
        theirs = [(one, edition.catalog.sources[one["source"]]) for one in seen]
        rows = [_Row(one, source, self._connected(source)) for one, source in theirs]
        rows.sort(key=lambda row: (_URGENT.index(row.view["state"]), not row.connected))
        words, state = request.args.get("q", "").strip().casefold(), request.args.get("state", "")
        found = [row for row in rows if words in _sought(row.source) and state in {"", row.view["state"]}]
        return edition.number, rows, found

    def source(self, key: str) -> Response:
        """One source: today, the last days, why it failed, what falls back without it, and its connection."""
        return self._page(key, "", 200)

    def _page(self, key: str, wrong: str, status: int) -> Response:
        with self._parts.store.read() as work:
            catalog = self._edition(work).catalog
            source = catalog.sources.get(key)
            if source is None:
                raise CallerProblem("page.unknown")
            pulse = work.pulse()
            now, stop = pulse.now, self._parts.policy(work, pulse).stops.get(key)
            view = next(one for one in sources_seen(self._parts, work) if one["source"] == key)
            gate = next((one for one in work.gates() if one.source == key), None)
            past = [one for one in work.health(_first_day(now)) if one.source == key]
            reasons, decided = work.reasons(key, _ANSWERS), work.decided_by(key, _first_day(now))
            registered = work.source_keys_of(source.platform)
            jobs = [one for one in work.jobs(source_test.KIND, _JOBS) if json.loads(one.asked)["source"] == key]
        days = _every_day(key, past, now)
        is_operator = visitor().has(ConsoleRole.OPERATOR)
        return shown(
            "sources/source.html", status=status, wrong=wrong, stop=stop, typed=request.form.get("why", ""),
            source=source, view=view, gate=gate, past=days, now=now, freshness=_freshness(view, source, now), days=DAYS,
            reasons=[(name, count, _text(name)) for name, count in reasons.items()], modes=MODES, catalog=catalog,
            picture=Markup(drawn_days(days)), demand=demand(days), decided=decided,  # noqa: S704 - drawn by us, every word escaped
            impact=impact(catalog, key), connected=self._connected(source), job=_newest(jobs), steps=STEPS,
            whose=FAULT_WORDS, states=STATES,
            references=_credentials(self._parts.references.get(source.platform, ()), registered) if is_operator else (),
            old=ROTATE_AFTER,
            is_operator=is_operator, calls=_calls(gate, now), near=near_limit,
        )  # fmt: skip

    def test(self, key: str) -> Response:
        """Begin a test of its connection."""
        source_test.ask(self._parts, key, visitor().login)
        return to("sources_source", key=key)

    def stop(self, key: str) -> Response:
        """Ask it nothing more."""
        return self._step(key, lambda: stop_source(self._parts, key, visitor().login, request.form.get("why", "")))

    def open(self, key: str) -> Response:
        """Ask it again."""
        return self._step(key, lambda: open_source(self._parts, key, visitor().login, request.form.get("why", "")))

    def _step(self, key: str, step: Callable[[], None]) -> Response:
        """Do it, or show the source as it is now with the reason why it was not done."""
        try:
            step()
        except CallerProblem as problem:
            return self._page(key, said_of(problem), PROBLEMS[problem.code].status)
        return to("sources_source", key=key)

    def _edition(self, work: Work) -> Edition:
        pulse = work.pulse()
        return self._parts.edition_in_force(work, self._parts.policy(work, pulse), pulse.now)

    def _connected(self, source: Source) -> bool:
        return self._parts.asking(source) is not None


def near_limit(calls: int, most: int | None) -> bool:
    """Whether today's calls come near what the source allows in a day."""
    return most is not None and calls >= NEAR_LIMIT * most


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the newest data were that a source has answered from, beside what the list allows."""

    as_of: datetime
    days: int
    is_stale: bool


def _freshness(view: Mapping[str, Any], source: Source, now: datetime) -> Freshness | None:
    """None where no answer of the last week has said how old its data were."""
    if view["data_as_of"] is None:
        return None
    as_of = datetime.fromisoformat(view["data_as_of"])
    age = max(timedelta(), now - as_of)
    return Freshness(as_of, age.days, age > timedelta(days=source.freshness_days))


def _credentials(
    references: Sequence[CredentialReference], registered: Mapping[str, RegisteredCredential]
) -> list[tuple[CredentialReference, RegisteredCredential | None]]:
    """What this process has read, each beside what the register has of it."""
    return [(one, registered.get(one.name)) for one in references]


def _first_day(now: datetime) -> str:
    return day_of(now - timedelta(days=DAYS - 1)).isoformat()


def _sought(source: Source) -> str:
    return " ".join((source.key, source.platform, *source.name.values(), *source.authority.values())).casefold()


STATES: Mapping[str, str] = {  # the most urgent first
    "stopped": mark("stopped by hand"),
    "away": mark("away"), "failing": mark("failing"), "ok": mark("well"), "unasked": mark("not asked yet"),
}  # fmt: skip
_URGENT = tuple(STATES)


class _Row(NamedTuple):
    """One source with its health, and whether it is connected here."""

    view: Mapping[str, Any]
    source: Source
    connected: bool

    @property
    def words(self) -> str:
        """Its state, to be translated."""
        return STATES[self.view["state"]]


def _table(edition: int, found: Sequence[_Row]) -> Table:
    heads = [gettext("Source"), gettext("Key"), gettext("Authority"), gettext("Connected here"), gettext("State"),
             gettext("Answered"), gettext("Failed"), gettext("Not sent"), gettext("95 of 100 within (ms)"),
             gettext("Calls"), gettext("Limit of calls"), gettext("Last answer")]  # fmt: skip
    rows: list[Sequence[Value]] = [
        (told(row.view["name"]), row.source.key, told(row.source.authority), _yes(row.connected),
         gettext(row.words), answered(row.view["today"]), row.view["today"]["failed"],
         row.view["today"]["barred"], row.view["duration_ms"]["p95"], row.view["today"]["calls"],
         row.source.calls_per_day, clock(row.view["last_ok_at"])[:16])
        for row in found
    ]  # fmt: skip
    asked = {name: request.args.get(name, "").strip() for name in ("q", "state")}
    about = [(gettext("Figures of"), gettext("today, since midnight"))]
    if asked["q"]:
        about.append((gettext("Name, key or authority"), asked["q"]))
    if asked["state"] in STATES:
        words = STATES[asked["state"]]
        about.append((gettext("State"), gettext(words)))
    return Table("sources", gettext("Sources"), heads, rows, about, edition, asked)


def answered(today: Mapping[str, int]) -> int:
    """Questions of today that got an answer, whatever it said."""
    return today["held"] + today["not_held"] + today["unknown"] - today["failed"]


def _yes(value: bool) -> str:  # noqa: FBT001 - that is all it is about
    return str(gettext("yes") if value else gettext("no"))


def _every_day(key: str, past: list[Day], now: datetime) -> list[Day]:
    """Each of the last days, also those without a question."""
    known = {one.day: one for one in past}
    names = [day_of(now - timedelta(days=back)).isoformat() for back in reversed(range(DAYS))]
    return [known.get(name, Day(key, name)) for name in names]


def _calls(gate: Gate | None, now: datetime) -> int:
    return gate.calls if gate is not None and gate.day == day_of(now).isoformat() else 0


def _text(name: str) -> Mapping[str, str]:
    known: ReasonText | None = reason_text(name) if name in set(Reason) else None
    return {"zh": known.zh, "en": known.en} if known else {"zh": name, "en": name}


def _newest(jobs: list[Job]) -> dict[str, Any] | None:
    """The last test with its steps, each with what to do where it failed; one of an earlier release had none."""
    for job in jobs:
        result = json.loads(job.result) if job.result else {"steps": []}
        if "steps" in result:
            steps = [(one, STEPS[one["name"]], advice(one["name"], one["cause"])) for one in result["steps"]]
            return {"job": job, "steps": steps}
    return None
