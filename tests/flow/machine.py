"""Programs of admissions, answers, crashes and changes in any order; after every step the invariants I1 to I8 hold.

People answer work orders and decide on consents, promises are checked, grants and sources are taken away and given
back, our own keys replaced and revoked. Where a simulation has two processes and the weather, here Hypothesis looks for
the shortest program that breaks an invariant.
"""

# ruff: noqa: D102 - a rule's name says what it does

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import hypothesis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from broker.core.answer import Answer, Question, Reason
from broker.core.authorise import Grant
from broker.core.case import Party
from broker.core.consent import ConsentDecision
from broker.core.envelope import Algorithm, Signer
from broker.core.errors import CallerProblem, OperatorProblem, Problem
from broker.core.own_key import KeyRole
from broker.core.work_order import OrderReply
from broker.flow import consents, orders, own_keys, register, stops
from broker.flow.consents import Decided
from broker.flow.deliver import deliver
from broker.flow.look_up import look_up
from broker.flow.orders import Said
from broker.flow.publish import publish
from broker.flow.sequence import sequence
from broker.flow.sweep import sweep
from broker.ports.own_keys import KeptKey
from broker.signing import keys
from broker.signing.key_folder import LOG, RECEIPT
from tests.flow import catalogue, kit
from tests.flow.catalogue import KITCHEN, LICENCES, POPULATION, REGISTER, SCENE, SHOP
from tests.flow.simulation import CLUB, OFFICER, POLICE, PORTAL, SAID, Hurried, listed

CLIENT = "told"
SOURCES = (LICENCES, REGISTER, POPULATION, POLICE)
ROLES = {RECEIPT: KeyRole.RECEIPT, LOG[0]: KeyRole.LOG, LOG[1]: KeyRole.LOG}
REPLACED = (RECEIPT, LOG[0])  # the other key of the log is replaced in the same way, and an SM2 signature costs more
DAY = timedelta(days=1)

CONSENT: dict[str, object] = {"basis": {"kind": "holder_consent"}}
PROMISE: dict[str, object] = {"commitments": [{"material": "premises", "text": "premises/2"}]}

sources = st.sampled_from(SOURCES)
faults = st.sampled_from(["", "", "", "before", "after"])
numbers = st.integers(0, 3)
kinds = st.sampled_from(
    [{}, {"item": None, "scene": SCENE}, {"item": KITCHEN}, {"item": CLUB}, CONSENT, PROMISE],
)
decisions = st.sampled_from([ConsentDecision.GRANT, *ConsentDecision])
holders: tuple[Callable[[int], Party], ...] = (
    lambda number: Party("", "001", kit.company(number), ""),
    lambda number: Party("", "111", kit.citizen(number), ""),
)


@dataclass
class Drawer:
    """Implements ``ports.KeyFolder`` in memory."""

    present: dict[str, Signer]
    coming: dict[str, Signer] = field(default_factory=dict)
    retired: list[KeptKey] = field(default_factory=list)

    def kept(self) -> tuple[Sequence[KeptKey], Sequence[KeptKey], Sequence[KeptKey]]:
        present, coming = ([_kept(*one) for one in place.items()] for place in (self.present, self.coming))
        return present, coming, self.retired

    def prepare(self, name: str, algorithm: Algorithm | None) -> KeptKey:
        made = self.coming.setdefault(name, keys.generate(algorithm or self.present[name].algorithm))
        return _kept(name, made)

    def discard(self, name: str) -> None:
        del self.coming[name]

    def change_over(self, name: str) -> None:
        if name in self.coming:
            self.retired.append(_kept(name, self.present[name]))
            self.present[name] = self.coming.pop(name)


def _kept(name: str, signer: Signer) -> KeptKey:
    verifier = keys.public_key(signer.algorithm, signer.public)
    return KeptKey(verifier, keys.public_pem(verifier).decode(), ROLES[name], name)


class Machine(RuleBasedStateMachine):
    """The model: which requests the client knows to be admitted, with which final receipt."""

    quick: Callable[[], kit.Broker]
    look: Callable[[kit.Broker], object]

    @initialize()
    def begin(self) -> None:
        self.broker = self.quick()
        self.known: dict[str, str] = {}  # request id → verification, as the client was told
        self.receipts: dict[str, str] = {}
        self.bodies: dict[str, dict[str, object]] = {}
        self.grants = {source: f"{CLIENT}-{source}" for source in SOURCES}
        self.editions = 1
        self.late = False  # whether the departments take longer than they have
        parts = self.broker.parts
        self.drawer = Drawer(dict(zip(ROLES, (parts.signer, *parts.log_signers), strict=True)))
        people = Hurried(parts.connectors["work_order"], lambda: self.late)
        parts.connectors = {**parts.connectors, "work_order": people}

    @invariant()
    def all_of_it_holds(self) -> None:
        if hasattr(self, "broker"):
            self.broker.check()

    @contextlib.contextmanager
    def may_fail(self, fault: str = "") -> Iterator[None]:
        """The next commit is lost, before or after; and a process whose keys are over signs nothing."""
        self.broker.store.fault = fault
        try:
            yield
        except kit.Crash:
            pass
        except Problem as problem:
            if problem.code != "key.expired" or not self.has_old_keys():
                raise
        finally:
            self.broker.store.fault = ""

    def has_old_keys(self) -> bool:
        """Or is about to have: a rotation that died behind its commit has not changed the folder yet."""
        parts = self.broker.parts
        return bool(self.drawer.coming) or [parts.signer, *parts.log_signers] != list(self.drawer.present.values())

    # --- the client

    @rule(number=numbers, repeat=st.integers(0, 1), kind=kinds, fault=faults)
    def admit(self, number: int, repeat: int, kind: dict[str, object], fault: str) -> None:
        name = f"r{number}-{repeat}"
        self.submit(self.bodies.setdefault(name, kit.request(number, request_id=name, **kind)), fault)

    @rule(number=numbers, down=st.sampled_from(["", LICENCES, REGISTER]))
    def an_ordinary_day(self, number: int, down: str) -> None:
        """A case from its beginning to its end: without such days, programs of single steps seldom get far."""
        self.live("d", number, {}, down)

    @rule(number=numbers, decision=decisions)
    def a_day_of_consents(self, number: int, decision: ConsentDecision) -> None:
        self.live("c", number, CONSENT, "", decision)

    @rule(number=numbers)
    def a_day_of_promises(self, number: int) -> None:
        self.live("p", number, PROMISE, REGISTER)

    @rule(number=numbers, reply=st.sampled_from(OrderReply))
    def a_day_of_orders(self, number: int, reply: OrderReply) -> None:
        self.live("o", number, {"item": CLUB}, "", reply=reply)

    def live(
        self, sort: str, number: int, kind: dict[str, object], down: str,
        decision: ConsentDecision = ConsentDecision.GRANT, reply: OrderReply = OrderReply.CONFIRM,
    ) -> None:  # fmt: skip
        name = f"{sort}{number}"
        self.submit(self.bodies.setdefault(name, kit.request(number, request_id=name, **kind)), "")
        self.workers_work(down)
        for whose in holders:
            self.decide_on_consents(number, whose, decision, "")
        self.workers_work(down)
        for order in orders.list_orders(self.broker.parts, kit.DEPARTMENT):
            self.answer(order.id, reply, "")
        self.workers_work("")

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.known)))
        assert self.submit(self.bodies[name], "") == self.known[name]

    def submit(self, body: Mapping[str, object], fault: str) -> str | None:
        name, found = str(body["request_id"]), None
        refused = ""
        with self.may_fail(fault):
            try:
                found = self.broker.submit(body, kit.as_client(CLIENT)).verification
            except CallerProblem as problem:
                refused = problem.code
        assert not refused or (name not in self.known and refused.startswith(("grant.", "case."))), refused
        if found is None:
            return None  # refused, or the client does not know; it may ask again
        assert self.known.setdefault(name, found.id) == found.id
        if found.state == "decided":
            assert self.receipts.setdefault(found.id, str(found.receipt)) == found.receipt
        return found.id

    @rule(number=numbers)
    def close_case(self, number: int) -> None:
        with contextlib.suppress(CallerProblem):
            register.close_case(self.broker.parts, kit.closing(f"case-{number}", "granted"), kit.as_client(CLIENT))

    # --- the workers and the duties

    @rule(
        source=sources,
        reason=st.sampled_from([None, None, *Reason]),
        claim=faults,
        record=faults,
        ends=st.sampled_from(["", "", "dies", "is overtaken"]),
    )
    def look_up(self, source: str, reason: Reason | None, claim: str, record: str, ends: str) -> None:
        def meanwhile(source: str, questions: list[Question]) -> None:
            self.broker.sources.meanwhile = lambda source, questions: None
            if ends == "is overtaken":  # so slow that its lease runs out and somebody else asks again
                self.broker.expire_leases()
                look_up(self.broker.parts, source)
            self.broker.store.fault = record
            if ends == "dies":
                raise kit.Crash

        script = kit.valid if reason in {None, Reason.VALID} else lambda _: Answer(reason or Reason.LATE)
        self.broker.sources.script[source] = script
        self.broker.sources.meanwhile = meanwhile
        with self.may_fail(claim):
            look_up(self.broker.parts, source)
        self.broker.sources.meanwhile = lambda source, questions: None

    @rule(down=st.sampled_from(["", LICENCES, REGISTER]))
    def workers_work(self, down: str) -> None:
        """Each of them as often as the longest chain has steps, time passing between; one source may be down."""
        self.broker.sources.script = {down: kit.just(Reason.SOURCE_DOWN)} if down else {}
        self.broker.expire_leases()
        for source in SOURCES * 2:
            with self.may_fail():
                look_up(self.broker.parts, source)

    @rule()
    def expire_leases(self) -> None:
        self.broker.expire_leases()

    @rule()
    def sweep(self) -> None:
        sweep(self.broker.parts)

    @rule(fault=faults)
    def sequence(self, fault: str) -> None:
        with self.may_fail(fault):
            sequence(self.broker.parts)

    @rule(status=st.sampled_from([204, 500, 0]), fault=faults)
    def deliver(self, status: int, fault: str) -> None:
        self.broker.parts.post = lambda url, body: status
        with self.may_fail(fault):
            deliver(self.broker.parts)

    # --- people

    @rule(data=st.data(), reply=st.sampled_from(OrderReply), fault=faults)
    def answer_an_order(self, data: st.DataObject, reply: OrderReply, fault: str) -> None:
        found = orders.list_orders(self.broker.parts, kit.DEPARTMENT)
        if found:
            self.answer(found[data.draw(st.integers(0, len(found) - 1))].id, reply, fault)

    def answer(self, order: str, reply: OrderReply, fault: str) -> None:
        with self.may_fail(fault), contextlib.suppress(CallerProblem):  # closed, revoked, overdue meanwhile
            orders.answer_order(self.broker.parts, order, Said(OFFICER, reply))

    @rule(late=st.booleans())
    def departments_take_their_time(self, late: bool) -> None:
        self.late = late

    @rule(number=numbers, whose=st.sampled_from(holders), decision=decisions, fault=faults)
    def decide_on_consents(
        self, number: int, whose: Callable[[int], Party], decision: ConsentDecision, fault: str
    ) -> None:
        subject = whose(number)
        for one in consents.show_consents(self.broker.parts, subject, kit.as_client(PORTAL)):
            with self.may_fail(fault), contextlib.suppress(CallerProblem):  # refused, revoked, nothing to revoke
                decided = Decided(subject, decision, SAID)
                consents.decide_consent(self.broker.parts, one.id, decided, kit.as_client(PORTAL))

    @rule(fault=faults)
    def let_consents_expire(self, fault: str) -> None:
        self.broker.execute("UPDATE consent SET until_at = 1")
        with self.may_fail(fault):
            consents.expire_consents(self.broker.parts)

    # --- the administrators

    @rule(fault=faults)
    def publish(self, fault: str) -> None:
        document = catalogue.second_edition() if self.editions % 2 else catalogue.document()
        self.editions += 1
        with self.may_fail(fault), contextlib.suppress(OperatorProblem):  # it is in force: the other one was lost
            publish(self.broker.parts, listed(document), None, "editor")

    @rule(source=sources, state=st.sampled_from(["revoked", "suspended", "in_force"]), fault=faults)
    def change_grant(self, source: str, state: str, fault: str) -> None:
        with self.may_fail(fault):
            self.set_grant(source, state)

    def set_grant(self, source: str, state: str) -> None:
        """Revoked is final: the department gives another, so also where nobody knows whether one was written."""
        try:
            register.set_grant_state(self.broker.parts, self.grants[source], state)
        except Problem:
            self.grants[source] += "+"
            register.register_grant(self.broker.parts, _grant(source, self.grants[source]))

    @rule(source=sources, opens=st.booleans(), fault=faults)
    def stop_or_open_a_source(self, source: str, opens: bool, fault: str) -> None:
        act = stops.open_source if opens else stops.stop_source
        with self.may_fail(fault), contextlib.suppress(CallerProblem):  # it is so already
            act(self.broker.parts, source, "operator", "核查")

    @rule(name=st.sampled_from(REPLACED), fault=faults)
    def prepare_a_key(self, name: str, fault: str) -> None:
        with self.may_fail(fault), contextlib.suppress(OperatorProblem):  # one is prepared already
            own_keys.prepare_key(self.broker.parts, self.drawer, name, None, None)
        self.believe_the_drawer()

    @precondition(lambda self: self.drawer.coming)
    @rule(name=st.sampled_from(REPLACED), overlap=st.sampled_from([timedelta(), DAY]), fault=faults)
    def rotate_a_key(self, name: str, overlap: timedelta, fault: str) -> None:
        """The process signs by the new one from its next start on."""
        with self.may_fail(fault), contextlib.suppress(OperatorProblem):  # none is prepared, or it was revoked
            own_keys.rotate_key(self.broker.parts, self.drawer, name, overlap)

    @rule(data=st.data(), fault=faults)
    def revoke_a_key(self, data: st.DataObject, fault: str) -> None:
        known = own_keys.all_keys(self.broker.parts)
        if known:
            own, _ = data.draw(st.sampled_from(known))
            with self.may_fail(fault), contextlib.suppress(Problem):  # it signs, or was revoked before
                own_keys.revoke_own_key(self.broker.parts, own.verifier.key_id, "stolen")

    def believe_the_drawer(self) -> None:
        """Whoever checks has every key that ever signed."""
        for kept in (one for listed_ in self.drawer.kept() for one in listed_):
            checker = self.broker.checker
            known = checker.receipt_keys if kept.role is KeyRole.RECEIPT else checker.log_keys
            if kept.verifier.key_id not in {one.key_id for one in known}:
                setattr(checker, f"{kept.role}_keys", [*known, kept.verifier])

    @rule()
    def restart(self) -> None:
        parts = self.broker.parts
        parts._policy = None
        parts._editions.clear()
        parts.signer, *parts.log_signers = self.drawer.present.values()

    # --- the end

    def teardown(self) -> None:
        if not hasattr(self, "broker"):
            return
        self.calm()
        self.broker.finish()
        for number in self.known.values():
            receipt = self.broker.verification(number).receipt
            assert receipt
            assert self.receipts.setdefault(number, receipt) == receipt
        self.look(self.broker)
        self.broker.database.dispose()

    def calm(self) -> None:
        """No more harm: every key signs, every source answers, and whoever has not decided by now does not."""
        self.broker.sources.script.clear()
        self.broker.sources.meanwhile = lambda source, questions: None
        for name in list(self.drawer.coming):
            with contextlib.suppress(Problem):  # the one that was to come may have been revoked
                own_keys.rotate_key(self.broker.parts, self.drawer, name, DAY)
        self.restart()
        self.late = True
        for source in SOURCES:
            with contextlib.suppress(CallerProblem):
                stops.open_source(self.broker.parts, source, "operator", "核查")
            self.set_grant(source, "in_force")
        for _ in range(5):  # a chain that moves on may ask for the next consent, or the next person
            self.broker.execute("UPDATE consent SET until_at = 1 WHERE state IN ('requested', 'waiting')")
            consents.expire_consents(self.broker.parts)
            self.broker.expire_leases()
            self.broker.work_off()


def _grant(source: str, number: str) -> Grant:
    fields = ("confirmed", "number", "name", "status", "valid_to", "address", "match")
    return kit.grant(source, id=number, client=CLIENT, fields=fields, items=(SHOP, KITCHEN, CLUB))


def run_programs(
    quick: Callable[[], kit.Broker], programs: int, steps: int, look: Callable[[kit.Broker], object] = lambda _: None,
    **more: Any,
) -> None:  # fmt: skip
    """So many programs of so many steps, each on a broker that ``simulation.furnished`` prepared; look at each end.

    ``more`` are settings of Hypothesis: ``derandomize`` runs the same programs every time.
    """
    machine = type("Program", (Machine,), {"quick": staticmethod(quick), "look": staticmethod(look)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=programs, stateful_step_count=steps, deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck), **more,
        ),
    )  # fmt: skip
