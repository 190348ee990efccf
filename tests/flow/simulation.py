"""A seeded simulation: the flow real, everything around it failing by chance; nothing is lost, nothing happens twice.

Two processes share one database. Whatever they call – the commit, the source, the wake – may work, fail before it took
effect, fail after (took effect, answer lost), take so long that leases run out and others go on meanwhile, or be
repeated. Once the faults stop, everything must settle, and the client that repeats what it is unsure of finds it there
exactly once. Sources are stopped and opened, officers answer work orders or let them run out, holders agree, refuse,
revoke or stay silent, applicants promise, and earlier evidence is used again. ``SEED=n`` replays one run,
``BROKER_SEEDS=n`` asks for more or fewer than the normal run's.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from broker.bootstrap import Office, open_office
from broker.core.answer import Answer, Question, Reason
from broker.core.authorise import Grant
from broker.core.case import Party
from broker.core.catalog import Source
from broker.core.consent import ConsentDecision
from broker.core.errors import BrokerProblem, CallerProblem, OperatorProblem, Problem
from broker.core.work_order import OrderReply
from broker.flow import consents, orders, register
from broker.flow.deliver import deliver
from broker.flow.look_up import look_up
from broker.flow.publish import publish
from broker.flow.sequence import sequence
from broker.flow.stops import open_source, stop_source
from broker.flow.sweep import sweep
from broker.ports import Client, Connection, Connector, Conversation, Store, Work
from tests.flow import catalogue, kit
from tests.flow.catalogue import KITCHEN, LICENCES, POPULATION, REGISTER, SCENE, SHOP

SEEDS = int(os.environ.get("BROKER_SEEDS", "2000"))
STEPS = (4, 26)
WATCHED = "SEED" in os.environ  # a replay holds the invariants after every step
CASES = 3
CLUB, POLICE = "open-club", "police"
PORTAL = "portal"
CLIENTS = ("told", "told", "capped")  # the second of them may ask each source three times a day
SOURCES = (LICENCES, REGISTER, POPULATION, POLICE)
MATERIALS = [None, None, ["licence"], ["form"], ["identity@legal_representative"]]
OFFICER = orders.Person("jw-1", kit.DEPARTMENT)
SAID = consents.Statement("holder-consent/1", "auth-1")
LATE = timedelta(days=60)


def listed(document: dict[str, Any]) -> dict[str, Any]:
    """A list of the kit's, with an item for which people answer, and evidence that may be used again."""
    for key in ("licence", "identity"):
        chain = document["materials"][key]["chain"]
        chain.insert(-1, {**chain[0], "mode": "reuse"})
    people = document["sources"][POPULATION] | {"connector": "work_order", "platform": "work_order-platform"}
    people |= {"fields": ["confirmed"], "options": {"sla_working_days": 3, "remind_working_days": 1}}
    check = {"mode": "department_check", "source": POLICE, "form": "verify", "fields": ["confirmed"],
             "unit": "公安机关", "basis": "条例"}  # fmt: skip
    record = {"name": {"zh": "声明", "en": "Statement"}, "kind": "proof", "basis": "条例",
              "chain": [check, {"mode": "submission"}]}  # fmt: skip
    wanted = [{"material": "record", "holder": "legal_representative"}, {"material": "licence"}]
    place = {"seq": "9", "scene": "enterprise-2.1", "level": "county", "lead": ["文旅局"]}
    club = document["items"][KITCHEN] | {"materials": wanted, "regions": {catalogue.REGION: place}}
    return document | {
        "sources": document["sources"] | {POLICE: people},
        "materials": document["materials"] | {"record": record},
        "items": document["items"] | {CLUB: club},
    }


def furnished(office: Office) -> None:
    """Prepare a database for simulations: the list, two clients with their grants, and the portal."""
    kit.prepare(office, listed(catalogue.document()))
    for name in sorted(set(CLIENTS)):
        register.register_client(office.parts, Client(name, "审批", kit.UNIT, "http://127.0.0.1:1/", "active"))
        for source in SOURCES:
            register.register_grant(office.parts, _grant(name, source, f"{name}-{source}"))
    register.register_client(office.parts, Client(PORTAL, "门户", kit.UNIT, None, "active", ("portal",)))


def _grant(client: str, source: str, number: str) -> Grant:
    fields = ("confirmed", "number", "name", "status", "valid_to", "address", "match")
    cap = 3 if client == "capped" else None
    return kit.grant(source, id=number, client=client, fields=fields, items=(SHOP, KITCHEN, CLUB), daily_calls=cap)


def template(office: Office, folder: Path) -> Path:
    """A database file that :func:`furnished` prepared, made with the keys of this office."""
    path = folder / "template.db"
    prepared = open_office(kit.settings(f"sqlite:///{path}", Path(office.settings.keys_folder)), wake=kit.Bells())
    furnished(prepared)
    prepared.close()
    return path


@contextmanager
def brokers(office: Office, prepared: Path, folder: Path) -> Iterator[Callable[[], kit.Broker]]:
    """Prepared brokers on SQLite by the hundred, never synced to disk; two may be in use at a time."""
    pair = [kit.Place(office, f"sqlite:///{folder / name}", synced=False) for name in ("one.db", "two.db")]
    turns = itertools.cycle(pair)

    def quick() -> kit.Broker:
        place = next(turns)
        place.put(prepared)
        return place.broker()

    yield quick
    for place in pair:
        place.close()


@dataclass
class World:
    """Chance, and whether it still means harm."""

    chance: random.Random
    stormy: bool = False

    def strikes(self, odds: float) -> bool:
        """Whether a misfortune of these odds happens now."""
        return self.stormy and self.chance.random() < odds


@dataclass
class StormyStore:
    """Every commit and every opening of a transaction may fail."""

    store: Store
    world: World

    @contextmanager
    def write(self) -> Iterator[Work]:
        """A transaction on a database that may be away."""
        if self.world.strikes(0.03):
            raise BrokerProblem("store.away", retry_after=1)
        with self.store.write() as work:
            yield cast("Work", _StormyWork(work, self.world))

    def read(self) -> AbstractContextManager[Work]:
        """Reading works."""
        return self.store.read()

    def glance(self) -> AbstractContextManager[Work]:
        """Reading works."""
        return self.store.glance()


class _StormyWork:
    def __init__(self, work: Work, world: World) -> None:
        self._work, self._world = work, world

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)

    def commit(self) -> None:
        if self._world.strikes(0.06):
            raise kit.Crash
        self._work.commit()
        if self._world.strikes(0.06):
            raise BrokerProblem("store.away", retry_after=1)


@dataclass
class StormyWake:
    """Wakes are lost, repeated, or kept for later."""

    world: World
    heard: list[str] = field(default_factory=list)

    def wake(self, sources: Sequence[str]) -> None:
        """Note some of them, some twice."""
        for source in sources:
            self.heard += [source] * self.world.chance.choice([0, 1, 1, 2] if self.world.stormy else [1])


@dataclass
class Hurried:
    """Those whose people answer: when they are asked again, the time for answering may be over."""

    inner: Connector
    over: Callable[[], bool]

    def ask(self, question: Question, source: Source, connection: Connection, now: datetime) -> Conversation:
        """The connector's conversation, now or long after."""
        return self.inner.ask(question, source, connection, now + LATE if question.memo and self.over() else now)


class Simulation:
    """One run: two processes, one client, the administrators, and the weather."""

    def __init__(self, seed: int, quick: Callable[[], kit.Broker]) -> None:
        """Everything by chance comes from the seed."""
        self.chance = random.Random(seed)
        self.world = World(self.chance)
        self.first = quick()
        office = self.first.office
        parts = replace(office.parts, _policy=None, _editions={})
        self.second = replace(self.first, office=replace(office, parts=parts))
        self.wake = StormyWake(self.world)
        for one in (self.first, self.second):
            one.parts.store = StormyStore(one.store.store, self.world)
            one.parts.wake = self.wake
            one.parts.post = self.post
            one.parts.limits = replace(one.parts.limits, batch=self.chance.choice([1, 2, 16]), sequence_batch=9)
            people = Hurried(
                one.parts.connectors["work_order"], lambda: not self.world.stormy or self.world.strikes(0.3)
            )
            one.parts.connectors = {**one.parts.connectors, "work_order": people}
        self.first.sources.meanwhile = self.meanwhile
        for source in (LICENCES, REGISTER, POPULATION):
            self.first.sources.script[source] = self.answer
        self.down = {REGISTER} if self.chance.random() < 0.3 else set()
        self.client = self.chance.choice(CLIENTS)
        self.bodies: dict[str, dict[str, Any]] = {}
        self.admitted: dict[str, str] = {}
        self.refused: set[str] = set()
        self.depth = 0
        self.informed: set[str] = set()  # the verifications of which the client heard anything
        self.told: dict[str, str] = {}  # news → the delivery it came by
        self.agreeing = self.chance.random() < 0.3  # whether the holders are asked in this run
        self.touched: set[str] = set()  # whose grants are perhaps not in force
        self.grants = {source: f"{self.client}-{source}" for source in SOURCES}

    def run(self) -> None:
        """Faults for so many steps; then calm, and everything must come right."""
        self.world.stormy = True
        for _ in range(self.chance.randint(*STEPS)):
            self.step()
            if WATCHED:
                self.first.check()
        self.calm()

    def step(self) -> None:
        """One thing that happens in one of the processes, and may fail."""
        act = self.chance.choice([
            self.submit, self.submit, self.submit, self.repeat, self.hear, self.hear, self.hear, self.work, self.work,
            self.work, self.sweep, self.time_passes, self.sequence, self.deliver, self.administer, self.close,
            self.officer, self.officer, self.holder, self.holder, self.holder, self.outage,
        ])  # fmt: skip
        with contextlib.suppress(kit.Crash, BrokerProblem):
            act(self.chance.choice([self.first, self.second]))

    # --- the client

    def submit(self, broker: kit.Broker) -> None:
        """A new request, or an earlier one whose fate is not known."""
        number, turn = self.chance.randrange(CASES), self.chance.randrange(3)
        name = f"r{number}-{turn}"
        if name not in self.bodies:
            item = self.chance.choice([SHOP, SHOP, KITCHEN, CLUB, CLUB, None])
            changes: dict[str, Any] = {"item": item, "scene": None if item else SCENE}
            if item == SHOP:
                promised = [{"material": "premises", "text": "premises/2"}]
                changes |= {"materials": self.chance.choice(MATERIALS)}
                changes |= {"commitments": None if changes["materials"] else self.chance.choice([None, promised])}
            if turn == 2:  # the same people in another case
                changes |= {"case": {"number": f"case-{number}-b"}}
            if self.agreeing and self.chance.random() < 0.7:
                changes |= {"basis": {"kind": "holder_consent"}}
            self.bodies[name] = kit.request(number, request_id=name, **changes)
        self.send(broker, name)

    def repeat(self, broker: kit.Broker) -> None:
        """What was told once is told again, the same."""
        if self.admitted:
            self.send(broker, self.chance.choice(sorted(self.admitted)))

    def send(self, broker: kit.Broker, name: str) -> None:
        """The client keeps a log: admitted, refused, or – after any other error – unknown."""
        number = ""
        try:
            number = broker.submit(self.bodies[name], kit.as_client(self.client)).verification.id
        except BrokerProblem:
            return
        except Problem:
            self.refused.add(name)
        if not number:
            assert name not in self.admitted, "it was admitted before, and is now refused"
            return
        assert self.admitted.setdefault(name, number) == number

    # --- the workers and the duties

    def hear(self, broker: kit.Broker) -> None:
        """A worker hears a wake, in whatever order."""
        if self.wake.heard:
            look_up(broker.parts, self.wake.heard.pop(self.chance.randrange(len(self.wake.heard))))

    def work(self, broker: kit.Broker) -> None:
        """A worker looks without having been woken."""
        look_up(broker.parts, self.chance.choice(SOURCES))

    def sweep(self, broker: kit.Broker) -> None:
        """Find what was lost."""
        sweep(broker.parts)

    def sequence(self, broker: kit.Broker) -> None:
        """Give entries their places."""
        sequence(broker.parts)

    def deliver(self, broker: kit.Broker) -> None:
        """Tell the client."""
        deliver(broker.parts)

    def post(self, url: str, body: bytes) -> int:
        """The client's callback: it may hear and yet seem not to have."""
        if self.world.strikes(0.2):
            return 0
        document = json.loads(body)
        self.informed.add(document["verification"])
        delivery = document.pop("delivery")
        assert self.told.setdefault(json.dumps(document), delivery) == delivery, "the same news as another delivery"
        return 500 if self.world.strikes(0.2) else 204

    def time_passes(self, broker: kit.Broker) -> None:
        """Leases and back-offs run out, and at times a consent too."""
        broker.expire_leases()
        if self.chance.random() < 0.1:
            broker.execute("UPDATE consent SET until_at = 1")
            consents.expire_consents(broker.parts)

    # --- people

    def officer(self, broker: kit.Broker) -> None:
        """An officer of the department answers one of the open orders."""
        found = orders.list_orders(broker.parts, kit.DEPARTMENT)
        if found:
            said = orders.Said(OFFICER, self.chance.choice(list(OrderReply)))
            with contextlib.suppress(CallerProblem):  # closed, revoked, answered meanwhile
                orders.answer_order(broker.parts, self.chance.choice(found).id, said)

    def holder(self, broker: kit.Broker) -> None:
        """A person, or a company, looks at what they are asked for, and decides."""
        if not self.bodies:
            return
        number = int(self.chance.choice(sorted(self.bodies))[1])
        subject = self.chance.choice(
            [Party("", "001", kit.company(number), ""), Party("", "111", kit.citizen(number), "")]
        )
        found = consents.show_consents(broker.parts, subject, kit.as_client(PORTAL))
        if found:
            decision = self.chance.choice([ConsentDecision.GRANT, *ConsentDecision])
            decided = consents.Decided(subject, decision, SAID)
            with contextlib.suppress(CallerProblem):  # refused, revoked, or nothing to revoke
                consents.decide_consent(broker.parts, self.chance.choice(found).id, decided, kit.as_client(PORTAL))

    # --- the administrators

    def administer(self, broker: kit.Broker) -> None:
        """A grant is revoked or restored, a source stopped or opened, or another edition published."""
        source = self.chance.choice(SOURCES)
        if self.chance.random() < 0.3:
            self.stop_or_open(broker, source)
        elif self.chance.random() < 0.3:
            document = self.chance.choice([catalogue.document, catalogue.second_edition])()
            with contextlib.suppress(Problem):
                publish(broker.parts, listed(document), None, "editor")
        else:
            state = self.chance.choice(["in_force", "in_force", "revoked", "suspended"])
            self.set_grant(broker, source, state)

    def stop_or_open(self, broker: kit.Broker, source: str) -> None:
        """Whichever of the two it is not now; whoever did not hear what came of the last time finds out."""
        try:
            stop_source(broker.parts, source, "operator", "数源升级")
        except CallerProblem:
            open_source(broker.parts, source, "operator", "已修复")

    def set_grant(self, broker: kit.Broker, source: str, state: str) -> None:
        """Revoked is final, so that another grant follows; so it does where it is not known whether one was written."""
        self.touched.add(source)
        try:
            register.set_grant_state(broker.parts, self.grants[source], state)
        except (CallerProblem, OperatorProblem):
            self.grants[source] += "+"
            register.register_grant(broker.parts, _grant(self.client, source, self.grants[source]))

    def close(self, broker: kit.Broker) -> None:
        """A case ends."""
        if self.chance.random() < 0.3:
            with contextlib.suppress(Problem):
                name = f"case-{self.chance.randrange(CASES)}{self.chance.choice(['', '-b'])}"
                register.close_case(broker.parts, kit.closing(name, "granted"), kit.as_client(self.client))

    # --- the sources

    def outage(self, _: kit.Broker) -> None:
        """A source goes down, or is back."""
        self.down ^= {self.chance.choice((LICENCES, REGISTER, POPULATION))}

    def meanwhile(self, source: str, questions: list[Question]) -> None:
        """While a source thinks, others act, leases run out, and the asking process may die."""
        if self.depth < 2:
            self.depth += 1
            try:
                if self.world.strikes(0.1):  # so long that somebody else asks again
                    self.first.expire_leases()
                    with contextlib.suppress(kit.Crash, BrokerProblem):
                        look_up(self.second.parts, source)
                for _ in range(self.chance.choice([0, 0, 0, 1, 2]) if self.world.stormy else 0):
                    self.step()
            finally:
                self.depth -= 1
        if self.world.strikes(0.1):
            raise kit.Crash

    def answer(self, question: Question) -> Answer:
        """Mostly the truth; sometimes nothing, a refusal, or somebody else's data."""
        if self.world.stormy and question.source in self.down:
            return Answer(Reason.SOURCE_DOWN)
        if not self.world.strikes(0.3):
            return kit.valid(question)
        wrong = replace(kit.valid(question), holder_number=kit.citizen(99))
        return self.chance.choice([Answer(reason) for reason in Reason] + [wrong] * 5)

    def silence(self) -> None:
        """Whoever has not agreed by now does not; a chain that moves on may ask them for its next source."""
        self.first.execute("UPDATE consent SET until_at = 1 WHERE state IN ('requested', 'waiting')")
        consents.expire_consents(self.first.parts)

    # --- the end

    def withdraw(self) -> None:
        """Take the capped client's grants away for good."""
        rows = self.first.rows("SELECT id, state FROM access_grant WHERE client_id = 'capped'")
        for row in rows:
            if row.state != "revoked":
                register.set_grant_state(self.first.parts, row.id, "revoked")

    def calm(self) -> None:
        """No more faults: all is settled, told, in the log, and known to the client exactly once."""
        self.world.stormy = False
        for source in sorted(self.touched):
            self.set_grant(self.first, source, "in_force")
        with self.first.parts.store.read() as work:
            stopped = sorted(work.stops())
        for source in stopped:
            open_source(self.first.parts, source, "operator", "已修复")
        for name in self.bodies:
            self.send(self.first, name)
        for round_ in range(20):
            if round_ == 10:  # who checks a promise beyond the grant's cap waits for tomorrow, which does not come here
                self.withdraw()
            self.first.expire_leases()
            self.silence()
            deliver(self.first.parts)
            self.first.work_off()
            left = "SELECT id FROM delivery WHERE state = 'due' UNION ALL SELECT id FROM lookup WHERE state = 'due'"
            if not self.first.rows(left):
                break
        self.first.finish()
        rows = self.first.rows("SELECT id, request_id, state FROM verification")
        assert {row.request_id: row.id for row in rows} == self.admitted
        assert {row.state for row in rows} <= {"decided"}
        due = {row.verification_id for row in self.first.rows("SELECT verification_id FROM delivery")}
        assert due <= self.informed


Look = Callable[[kit.Broker], object]


def simulate(seeds: Iterable[int], quick: Callable[[], kit.Broker], look: Look = lambda _: None) -> None:
    """Run each on a broker that :func:`furnished` prepared, and look at its end; a failure names the seed."""
    for seed in seeds:
        try:
            simulation = Simulation(seed, quick)
            simulation.run()
            look(simulation.first)
        except BaseException as error:
            error.add_note(f"replay with SEED={seed}")
            raise


def chunk(half: int, of: int, number: int) -> list[int]:
    """A part of the normal run's seeds; with ``SEED``, that one in the first part and none in the others."""
    given = os.environ.get("SEED")
    if given:
        return [int(given)] if (half, number) == (0, 0) else []
    return list(range(SEEDS))[half::2][number::of]
