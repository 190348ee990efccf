"""A broker for the flow's tests: real flow, real store, and sources that answer as a test scripts them."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import event, text

from broker.bootstrap import Office, open_office, read_client_key
from broker.config import Settings
from broker.connectors import WorkOrders
from broker.core.answer import Answer, Question, Reason, Reply
from broker.core.authorise import Grant
from broker.core.case import Basis
from broker.core.catalog import Catalog, Form, Source
from broker.core.day import day_of
from broker.core.errors import Problem
from broker.core.identifiers import citizen_check_digit, credit_check_digit
from broker.core.problems import PROBLEMS
from broker.core.working_days import Calendar
from broker.flow import register
from broker.flow.admit import Admitted, admit
from broker.flow.caller import Caller, Identify
from broker.flow.look_up import look_up
from broker.flow.parts import Limits, Parts, Untold
from broker.flow.publish import publish
from broker.flow.sequence import sequence
from broker.flow.sweep import sweep
from broker.ports import Client, Connection, Conversation, HttpRequest, Policy, Store, StoredVerification, Work
from broker.store.engine import Database
from broker.store.migrate import migrate
from broker.store.work import SqlStore
from broker.wakes.drain import Drain
from tests.flow import catalogue
from tests.flow.checker import Checker

CLIENT, OTHER_CLIENT = "approvals", "other-approvals"
UNIT = "113700000045046442"
DEPARTMENT = "11370400MB9999999L"  # whose people answer work orders
PHONE = "13800001111"  # what a talkative source adds without being asked
_nonces = itertools.count()


def citizen(number: int) -> str:
    """A citizen number that passes its check and belongs to nobody (the region code does not exist)."""
    first17 = (
        f"999999{1950 + number // 8400 % 50}{1 + number // 700 % 12:02}{1 + number // 25 % 28:02}{number % 1000:03}"
    )
    return first17 + citizen_check_digit(first17)


def company(number: int) -> str:
    """A credit code that passes its check; its registering region does not exist."""
    first17 = f"91999999MA{number:07}"
    return first17 + credit_check_digit(first17)


def request(number: int, **changes: Any) -> dict[str, Any]:
    """The request of the ``number``-th case: a company, its legal representative, and an operator."""
    document: dict[str, Any] = {
        "request_id": f"r{number}",
        "item": catalogue.SHOP,
        "region": catalogue.REGION,
        "case": {"number": f"case-{number}"},
        "channel": "window",
        "applicant": {"id_type": "001", "number": company(number), "name": f"公司甲{number}"},
        "parties": [
            {"role": "legal_representative", "id_type": "111", "number": citizen(number), "name": f"张某{number}"}
        ],
        "operator": {"id": "op1", "name": "李某", "unit": UNIT, "unit_name": "市监局"},
        "basis": {"kind": "statutory_duty"},
    }
    return {key: value for key, value in (document | changes).items() if value is not None}


def closing(case: str, outcome: str) -> register.Closing:
    """That a case has ended, by the operator of ``request``."""
    return register.Closing(case, outcome, "op1", UNIT)


def whole_request(number: int, catalog: Catalog, region: str, **what: str | None) -> dict[str, object]:
    """A request with every role filled that the items know that are handled here and now."""
    levels, today = catalog.regions[region].levels, day_of(datetime.now(UTC))
    listed = catalog.items_of(region=region, item=what.get("item"), scene=what.get("scene"))
    items = [one for one in listed if one.places[region].level in levels and one.effective.covers(today)]
    roles = {need.holder for item in items for need in item.requirements}
    roles |= {str(need.when["party"]) for item in items for need in item.requirements if "party" in need.when}
    roles |= {
        step.related
        for item in items
        for need in item.requirements
        for step in catalog.materials[need.material].chain
        if step.related
    }
    parties = [
        {"role": role, "id_type": "111", "number": citizen(100 * number + place), "name": f"张某{place}"}
        for place, role in enumerate(sorted(roles - {"applicant"}))
    ]
    return request(number, region=region, parties=parties, **what)


def valid(question: Question) -> Answer:
    """The answer of a source that holds what it is asked for – and says more than it was asked."""
    known = {
        "number": question.subject.number,
        "name": question.subject.name,
        "status": "正常",
        "valid_to": "长期",
        "address": "某路1号",
        "match": "一致",
        "phone": PHONE,
    }
    return Answer(Reason.VALID, known, question.subject.number, datetime.now(UTC), "200")


def just(reason: Reason) -> Callable[[Question], Answer]:
    """A source that says only this."""
    return lambda _: Answer(reason, source_code="x")


Script = Callable[[Question], Reply]
OpenBroker = Callable[..., "Broker"]


@dataclass
class Sources:
    """All sources, behind the ports ``Connector`` and ``Transport``: answers by script, and counts what it is asked."""

    script: dict[str, Script] = field(default_factory=dict)  # by source; without one, it holds everything
    asked: Counter[str] = field(default_factory=Counter)  # by lookup id
    questions: list[Question] = field(default_factory=list)
    meanwhile: Callable[[str, list[Question]], object] = lambda source, questions: None
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _open: dict[str, Question] = field(default_factory=dict)

    def ask(self, question: Question, source: Source, connection: Connection, now: datetime) -> Conversation:
        """A connector of one exchange; the wire carries only the lookup's id."""
        with self._guard:
            self._open[question.lookup_id] = question
        response = yield HttpRequest("POST", f"scripted://{source.key}/{question.lookup_id}")
        return cast("Reply", response)  # our transport sends the reply itself

    def converse(self, source: Source, conversations: Sequence[Conversation]) -> list[Reply]:
        """Answer each conversation by its source's script; those that send nothing answer themselves."""
        begun = [_begun(one) for one in conversations]
        if not all(isinstance(one, HttpRequest) for one in begun):
            return cast("list[Reply]", begun)
        asked = [self._open[cast("HttpRequest", one).url.rsplit("/", 1)[1]] for one in begun]
        with self._guard:
            self.questions += asked
            self.asked.update(one.lookup_id for one in asked)
        self.meanwhile(source.key, asked)
        script = self.script.get(source.key, valid)
        return [_driven(one, script(question)) for one, question in zip(conversations, asked, strict=True)]

    def of(self, source: str) -> list[Question]:
        """What one source was asked."""
        return [one for one in self.questions if one.source == source]


def _begun(conversation: Conversation) -> object:
    """The first request, or the reply of a conversation that sends none."""
    try:
        return next(conversation)
    except StopIteration as end:
        return end.value


def _driven(conversation: Conversation, reply: Reply) -> Reply:
    try:
        conversation.send(cast("Any", reply))
    except StopIteration as end:
        return cast("Reply", end.value)
    raise AssertionError("the scripted connector asks once")


@dataclass
class Bells:
    """Implements ``ports.Wake`` by remembering; nobody works unless the test does."""

    rung: list[str] = field(default_factory=list)

    def wake(self, sources: Sequence[str]) -> None:
        """Note whom we would have woken."""
        self.rung += sources


class Crash(Exception):
    """The process ends here, as far as the test is concerned."""


@dataclass
class FaultyStore:
    """A store whose next commit may be lost: before it took effect, or after, with its answer."""

    store: Store
    fault: str = ""  # "", "before", "after"
    refuse: Callable[[str], bool] = lambda kind: False

    @contextmanager
    def write(self) -> Iterator[Work]:
        """A transaction that commits as ``fault`` says, once."""
        with self.store.write() as work:
            yield cast("Work", _FaultyWork(work, self))

    def meanwhile(self, kind: str, other: threading.Thread) -> None:
        """Let somebody else begin just before the first entry of a kind is written."""

        def begun(written: str) -> bool:
            if written == kind and not other.ident:
                other.start()
                other.join(0.3)  # they may have to wait for us
            return False

        self.refuse = begun

    def read(self) -> AbstractContextManager[Work]:
        """Reading works."""
        return self.store.read()

    def glance(self) -> AbstractContextManager[Work]:
        """Reading works."""
        return self.store.glance()


class _FaultyWork:
    def __init__(self, work: Work, plan: FaultyStore) -> None:
        self._work, self._plan = work, plan

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)

    def record(self, entries: Sequence[Any]) -> None:
        if any(self._plan.refuse(one.kind) for one in entries):
            raise Crash("the entry cannot be written")
        self._work.record(entries)

    def commit(self) -> None:
        fault, self._plan.fault = self._plan.fault, ""
        if fault == "before":
            raise Crash("before the commit")
        self._work.commit()
        if fault == "after":
            raise Crash("after the commit")


def prepare(office: Office, document: Mapping[str, Any], *, schema: bool = True) -> None:
    """Migrate, publish a list as edition 1, and register a client with a grant for each source."""
    if schema:
        migrate(office.database)
    publish(office.parts, document, None, "editor")
    register.register_client(office.parts, Client(CLIENT, "审批系统", UNIT, None, "active"))
    with office.parts.store.read() as work:
        catalog = office.parts.edition(work, 1).catalog
    for source in catalog.sources.values():
        granted = grant(source.key, forms=source.forms, fields=source.fields, items=tuple(catalog.items),
                        scenes=tuple(catalog.scenes))  # fmt: skip
        register.register_grant(office.parts, granted)


def grant(source: str, **changes: Any) -> Grant:
    """A generous grant for a source of the small list."""
    now = datetime.now(UTC)
    given = Grant(
        id=f"g-{source}",
        client=CLIENT,
        source=source,
        forms=tuple(Form),
        fields=("number", "name", "status", "valid_to", "address", "match"),
        bases=tuple(Basis),
        legal_reference="法",
        valid_from=now - timedelta(days=1),
        valid_to=now + timedelta(days=1),
        scenes=(catalogue.SCENE,),
        items=(catalogue.SHOP, catalogue.KITCHEN, catalogue.KIOSK),
    )
    return replace(given, **changes)


def as_client(name: str = CLIENT, nonce: str | None = None) -> Identify:
    """An identification as the web layer does it after verifying the signature; a fresh nonce unless one is given."""

    def identify(policy: Policy, now: datetime) -> Caller:
        return Caller(policy.clients[name], f"key-of-{name}", nonce or f"nonce-{next(_nonces):012}")

    return identify


@dataclass
class Broker:
    """An office on one database with scripted sources, and short words for what tests do."""

    office: Office
    sources: Sources
    checker: Checker
    store: FaultyStore
    bells: Bells
    place: Place | None = None
    processes: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def parts(self) -> Parts:
        """What the steps work with."""
        return self.office.parts

    @property
    def database(self) -> Database:
        """The database under it."""
        return self.office.database

    def submit(self, document: Mapping[str, Any], identify: Identify | None = None) -> Admitted:
        """Admit a request, freshly signed unless told otherwise."""
        body = json.dumps(document, ensure_ascii=False).encode()
        return admit(self.parts, body, identify or as_client())

    def admit(self, number: int, **changes: Any) -> str:
        """Admit the ``number``-th request, and give its verification's id."""
        return self.submit(request(number, **changes)).verification.id

    def refused(self, document: Mapping[str, Any], identify: Identify | None = None) -> Problem:
        """The problem a request meets; one that is admitted fails the test."""
        with pytest.raises(Problem) as caught:
            self.submit(document, identify)
        assert caught.value.code in PROBLEMS
        return caught.value

    def work_off(self, rounds: int = 50) -> None:
        """Work until nothing is due, as the sweeper and the workers would."""
        for _ in range(rounds):
            due = sweep(self.parts)
            if not due:
                return
            for source in due:
                while look_up(self.parts, source):
                    pass
        raise AssertionError("there is no end to the work")

    def sequence_all(self) -> None:
        """Give every entry its place."""
        while sequence(self.parts):
            pass

    def expire_leases(self) -> None:
        """Let the time of every lease and every back-off pass at once."""
        self.execute("UPDATE lookup SET ready_at = 0 WHERE state = 'due'")
        self.execute("UPDATE delivery SET ready_at = 0 WHERE state = 'due'")

    def verification(self, number: str) -> StoredVerification:
        """A verification as it stands."""
        with self.parts.store.read() as work:
            found = work.verification(number)
        assert found is not None
        return found

    def receipt(self, number: str) -> dict[str, Any]:
        """The payload of a decided verification's receipt."""
        token = self.verification(number).receipt
        assert token is not None
        return payload(token)

    def decisions(self, number: str) -> dict[str, tuple[str, str]]:
        """Decision and reason by material."""
        return {one["material"]: (one["decision"], one["reason"]) for one in self.receipt(number)["materials"]}

    def entries(self, *kinds: str) -> list[dict[str, Any]]:
        """The log's entries in the order they were written, placed or not."""
        rows = self.rows("SELECT body FROM entry ORDER BY id")
        documents = [json.loads(row.body) for row in rows]
        return [one for one in documents if not kinds or one["kind"] in kinds]

    def rows(self, statement: str, **values: Any) -> list[Any]:
        """What a query finds, in a transaction of its own."""
        with self.database.begin(write=False) as connection:
            return list(connection.execute(text(statement), values))

    def execute(self, statement: str, **values: Any) -> None:
        """Change the database behind the broker's back."""
        with self.database.begin(write=True) as connection:
            connection.execute(text(statement), values)
            connection.commit()

    def contents(self, *, without: Sequence[str] = ()) -> dict[str, list[Any]]:
        """Every row of every table but those named: what a refusal must leave unchanged."""
        names = [name for name in Checker.TABLES if name not in without]
        return {name: sorted(map(repr, self.rows(f"SELECT * FROM {name}"))) for name in names}  # noqa: S608

    def another(self) -> Broker:
        """A further process on the same database: its own memory, the same sources."""
        if self.place is not None:
            return self.place.process(next(self.processes), self)
        return wired(open_office(self.office.settings, wake=Bells()), self.sources, self.checker)

    def check(self, *, finished: bool = False) -> None:
        """Hold the whole database against the invariants."""
        self.checker.check(finished=finished)

    def finish(self) -> None:
        """Let everything that is due be done, and check that nothing stays unfinished."""
        self.expire_leases()
        self.work_off()
        self.sequence_all()
        self.check(finished=True)


def wired(office: Office, sources: Sources | None = None, checker: Checker | None = None) -> Broker:
    """An office with scripted sources behind its ports, and a store whose commits can be lost."""
    sources = sources or Sources()
    parts = office.parts
    store = FaultyStore(parts.store)
    parts.store = store
    parts.transport = sources
    parts.connectors = {"certshare": sources, "exchange": sources, "work_order": WorkOrders(Calendar())}
    platforms = ("certshare-platform", "exchange-platform")
    parts.connections = {name: Connection(name, "", {}) for name in platforms}
    units = {"units": {catalogue.REGION: DEPARTMENT}}
    parts.connections["work_order-platform"] = Connection("work_order-platform", "", {}, units)
    parts.limits = Limits()
    parts.roads = Untold()  # as little as the transport above tells
    parts.noting = None
    bells = parts.wake if isinstance(parts.wake, Bells) else Bells()
    checker = checker or Checker(office.database, office.receipt_keys, office.log_keys, office.settings.log_origin)
    return Broker(office, sources, checker, store, bells)


class Place:
    """Where one broker after another stands, with the keys and schemas of one office, on one database address.

    What stands there is put new before each; the engines stay, because they know the statements' compiled form.
    """

    def __init__(self, office: Office, url: str, *, synced: bool = True) -> None:
        """Not ``synced``: commits on SQLite do not wait for the disk."""
        self.office = replace(office, drain=Drain(lambda _: 0), closers=[])
        self.url, self.synced = url, synced
        self.databases: list[Database] = []
        self.stores: list[SqlStore] = []  # they cost more than most tests: every statement is put together anew

    def put(self, template: Path) -> None:
        """Replace what stands there by a copy of an SQLite file."""
        self.close()
        path = Path(self.url.removeprefix("sqlite:///"))
        for leftover in path.parent.glob(f"{path.name}*"):
            leftover.unlink()
        shutil.copy(template, path)

    def broker(self) -> Broker:
        """The first broker on a database that was put there just now."""
        self.close()
        return self.process(0, None)

    def process(self, number: int, first: Broker | None) -> Broker:
        """One of the processes on this database: its own connections and memory; sources and checker are shared."""
        if number == len(self.databases):
            self.databases.append(Database(self.url))
            if not self.synced:
                event.listen(self.databases[-1].engine, "connect", lambda one, _: one.execute("PRAGMA synchronous=OFF"))
            self.stores.append(SqlStore(self.databases[-1], read_client_key))
        database, store = self.databases[number], self.stores[number]
        parts = replace(self.office.parts, store=store, wake=Bells(), _policy=None, _editions={})
        changed = replace(self.office.settings, database_url=self.url)
        office = replace(self.office, settings=changed, parts=parts, database=database)
        broker = wired(office, first.sources if first else None, first.checker if first else None)
        broker.place = self
        return broker

    def close(self) -> None:
        """Let go of all connections."""
        for database in self.databases:
            database.dispose()


def settings(url: str, keys: Path, **changes: Any) -> Settings:
    """Settings of a test office; nothing is connected but what the kit scripts."""
    return Settings(database_url=url, keys_folder=str(keys), platforms_file=str(keys / "none.yaml"), **changes)


def payload(token: str) -> dict[str, Any]:
    """What a JWS says, unverified."""
    middle = token.split(".")[1]
    document: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return document
