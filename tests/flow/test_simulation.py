"""A seeded simulation: the flow real, everything around it failing by chance; nothing is lost, nothing happens twice.

Two processes share one database. Whatever they call – the commit, the source, the wake – may work, fail before it took
effect, fail after (took effect, answer lost), take so long that leases run out and others go on meanwhile, or be
repeated. Once the faults stop, everything must settle, and the client that repeats what it is unsure of finds it there
exactly once. ``SEED=n`` replays one run, ``BROKER_SEEDS=n`` asks for more than the normal run's.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from broker.core.answer import Answer, Question, Reason
from broker.core.errors import BrokerProblem, CallerProblem, OperatorProblem, Problem
from broker.flow import register
from broker.flow.deliver import deliver
from broker.flow.look_up import look_up
from broker.flow.publish import publish
from broker.flow.sequence import sequence
from broker.flow.sweep import sweep
from broker.ports import Client, Store, Work
from tests.flow import catalogue, kit
from tests.flow.catalogue import KITCHEN, LICENCES, POPULATION, REGISTER, SCENE, SHOP

SEEDS = int(os.environ.get("BROKER_SEEDS", "200"))
STEPS = 30
CHECK_EVERY = 1 if "SEED" in os.environ else 13  # a replay looks after every step
MATERIALS = [None, None, ["licence"], ["form"], ["identity@legal_representative"]]


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
        self.first.sources.meanwhile = self.meanwhile
        for source in (LICENCES, REGISTER, POPULATION):
            self.first.sources.script[source] = self.answer
        self.bodies: dict[str, dict[str, Any]] = {}
        self.admitted: dict[str, str] = {}
        self.refused: set[str] = set()
        self.depth = 0
        self.told: dict[str, set[str]] = {}
        self.grants = {source: f"t-{source}" for source in (LICENCES, REGISTER, POPULATION)}

    def run(self) -> None:
        """Faults for so many steps; then calm, and everything must come right."""
        register.register_client(self.first.parts, Client("told", "审批", kit.UNIT, "http://127.0.0.1:1/", "active"))
        for source in (LICENCES, REGISTER, POPULATION):
            cap = self.chance.choice([None, None, 3])
            given = kit.grant(source, id=self.grants[source], client="told", daily_calls=cap)
            register.register_grant(self.first.parts, given)
        self.world.stormy = True
        for step in range(STEPS):
            self.step()
            if step % CHECK_EVERY == 0:
                self.first.check()
        self.calm()

    def step(self) -> None:
        """One thing that happens in one of the processes, and may fail."""
        act = self.chance.choice([
            self.submit, self.submit, self.submit, self.repeat, self.hear, self.hear, self.hear, self.work, self.work,
            self.work, self.sweep, self.time_passes, self.sequence, self.deliver, self.administer, self.close,
        ])  # fmt: skip
        with contextlib.suppress(kit.Crash, BrokerProblem):
            act(self.chance.choice([self.first, self.second]))

    # --- the client

    def submit(self, broker: kit.Broker) -> None:
        """A new request, or an earlier one whose fate is not known."""
        number = self.chance.randrange(8)
        name = f"r{number}-{self.chance.randrange(3)}"
        if name not in self.bodies:
            item = self.chance.choice([SHOP, KITCHEN, None])
            materials = self.chance.choice(MATERIALS) if item == SHOP else None
            scene = None if item else SCENE
            self.bodies[name] = kit.request(number, request_id=name, item=item, scene=scene, materials=materials)
        self.send(broker, name)

    def repeat(self, broker: kit.Broker) -> None:
        """What was told once is told again, the same."""
        if self.admitted:
            self.send(broker, self.chance.choice(sorted(self.admitted)))

    def send(self, broker: kit.Broker, name: str) -> None:
        """The client keeps a log: admitted, refused, or – after any other error – unknown."""
        number = ""
        try:
            number = broker.submit(self.bodies[name], kit.as_client("told")).verification.id
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
        look_up(broker.parts, self.chance.choice([LICENCES, REGISTER, POPULATION]))

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
        self.told.setdefault(document["verification"], set()).add(document["delivery"])
        assert self.told[document["verification"]] == {document["delivery"]}
        return 500 if self.world.strikes(0.2) else 204

    def time_passes(self, broker: kit.Broker) -> None:
        """Leases and back-offs run out."""
        broker.expire_leases()

    # --- the administrators

    def administer(self, broker: kit.Broker) -> None:
        """A grant is revoked or restored, or another edition published."""
        source = self.chance.choice([LICENCES, REGISTER, POPULATION])
        if self.chance.random() < 0.3:
            document = self.chance.choice([catalogue.document, catalogue.second_edition])()
            with contextlib.suppress(Problem):
                publish(broker.parts, document, None, "editor")
        else:
            state = self.chance.choice(["in_force", "in_force", "revoked", "suspended"])
            self.set_grant(broker, source, state)

    def set_grant(self, broker: kit.Broker, source: str, state: str) -> None:
        """Revoked is final, so that another grant follows; so it does where it is not known whether one was written."""
        try:
            register.set_grant_state(broker.parts, self.grants[source], state)
        except (CallerProblem, OperatorProblem):
            self.grants[source] += "+"
            register.register_grant(broker.parts, kit.grant(source, id=self.grants[source], client="told"))

    def close(self, broker: kit.Broker) -> None:
        """A case ends."""
        if self.chance.random() < 0.3:
            with contextlib.suppress(Problem):
                name = f"case-{self.chance.randrange(8)}"
                register.close_case(broker.parts, name, "granted", kit.as_client("told"))

    # --- the sources

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
        if not self.world.strikes(0.4):
            return kit.valid(question)
        wrong = replace(kit.valid(question), holder_number=kit.citizen(99))
        return self.chance.choice([Answer(reason) for reason in Reason] + [wrong] * 5)

    # --- the end

    def calm(self) -> None:
        """No more faults: all is settled, told, in the log, and known to the client exactly once."""
        self.world.stormy = False
        for source in (LICENCES, REGISTER, POPULATION):
            self.set_grant(self.first, source, "in_force")
        for name in self.bodies:
            self.send(self.first, name)
        for _ in range(20):
            self.first.expire_leases()
            deliver(self.first.parts)
            self.first.finish()
            if not self.first.rows("SELECT id FROM delivery WHERE state = 'due'"):
                break
        rows = self.first.rows("SELECT id, request_id, state FROM verification")
        assert {row.request_id: row.id for row in rows} == self.admitted
        assert {row.state for row in rows} <= {"decided"}
        due = {row.verification_id for row in self.first.rows("SELECT verification_id FROM delivery")}
        assert due <= self.told.keys()
        self.first.database.dispose()


def seeds() -> list[int]:
    """One seed where ``SEED`` names it; else as many as asked for."""
    given = os.environ.get("SEED")
    return [int(given)] if given else list(range(SEEDS))


def test_whatever_the_weather_nothing_is_lost_and_nothing_happens_twice(
    quick_brokers: Callable[[], kit.Broker],
) -> None:
    for seed in seeds():
        try:
            Simulation(seed, quick_brokers).run()
        except BaseException as error:
            error.add_note(f"replay with SEED={seed}")
            raise
