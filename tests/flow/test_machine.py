"""Programs of admissions, answers, crashes and changes in any order; whatever they do, the invariants hold at the end.

``BROKER_PROGRAMS`` asks for more programs than the normal run's, ``BROKER_STEPS`` for longer ones.
"""

# ruff: noqa: D102 - a rule's name says what it does

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import hypothesis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from broker.core.answer import Answer, Question, Reason
from broker.core.errors import Problem
from broker.flow import register
from broker.flow.look_up import look_up
from broker.flow.publish import publish
from broker.flow.sequence import sequence
from broker.flow.sweep import sweep
from tests.flow import catalogue, kit
from tests.flow.catalogue import LICENCES, POPULATION, REGISTER

PROGRAMS = int(os.environ.get("BROKER_PROGRAMS", "100"))
STEPS = int(os.environ.get("BROKER_STEPS", "25"))

sources = st.sampled_from([LICENCES, REGISTER, POPULATION])
faults = st.sampled_from(["", "", "", "before", "after"])
numbers = st.integers(0, 5)
kinds = st.sampled_from([{}, {"item": None, "scene": catalogue.SCENE}, {"item": catalogue.KIOSK, "parties": None}])


class Machine(RuleBasedStateMachine):
    """The model: which requests the client knows to be admitted, with which receipt."""

    quick: Callable[[], kit.Broker]

    @initialize()
    def begin(self) -> None:
        self.broker = self.quick()
        self.known: dict[str, str] = {}  # request id → verification, as the client was told
        self.receipts: dict[str, str] = {}
        self.bodies: dict[str, dict[str, object]] = {}
        self.grants: dict[str, str] = {}  # source → the grant that followed a revoked one
        self.given = 0
        self.editions = 1

    @rule(number=numbers, repeat=st.integers(0, 1), kind=kinds, fault=faults)
    def admit(self, number: int, repeat: int, kind: dict[str, object], fault: str) -> None:
        body = self.bodies.setdefault(
            f"r{number}-{repeat}", kit.request(number, request_id=f"r{number}-{repeat}", **kind)
        )
        self.submit(body, fault)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.known)))
        assert self.submit(self.bodies[name], "") == self.known[name]

    def submit(self, body: dict[str, object], fault: str) -> str | None:
        name = str(body["request_id"])
        self.broker.store.fault = fault
        found, refused = None, ""
        try:
            found = self.broker.submit(body).verification
        except kit.Crash:
            return None  # the client does not know; it may ask again
        except Problem as problem:
            refused = problem.code
        finally:
            self.broker.store.fault = ""
        if found is None:
            assert name not in self.known
            assert refused.startswith(("grant.", "case."))
            return None
        assert self.known.setdefault(name, found.id) == found.id
        if found.receipt:
            assert self.receipts.setdefault(found.id, found.receipt) == found.receipt
        return found.id

    @rule(
        source=sources,
        reason=st.sampled_from([None, *Reason]),
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
        self.broker.store.fault = claim
        with contextlib.suppress(kit.Crash):
            look_up(self.broker.parts, source)
        self.broker.sources.meanwhile = lambda source, questions: None
        self.broker.store.fault = ""

    @rule()
    def expire_leases(self) -> None:
        self.broker.expire_leases()

    @rule()
    def sweep(self) -> None:
        sweep(self.broker.parts)

    @rule(fault=faults)
    def sequence(self, fault: str) -> None:
        self.broker.store.fault = fault
        with contextlib.suppress(kit.Crash):
            sequence(self.broker.parts)
        self.broker.store.fault = ""

    @rule()
    def publish(self) -> None:
        document = catalogue.second_edition() if self.editions % 2 else catalogue.document()
        publish(self.broker.parts, document, None, "editor")
        self.editions += 1

    @rule(source=sources, state=st.sampled_from(["revoked", "suspended", "in_force"]))
    def change_grant(self, source: str, state: str) -> None:
        try:
            register.set_grant_state(self.broker.parts, self.grants.get(source, f"g-{source}"), state)
        except Problem:  # revoked is final: the department gives another
            self.grants[source] = f"g-{source}-{self.given}"
            self.given += 1
            register.register_grant(self.broker.parts, kit.grant(source, id=self.grants[source]))

    @rule(number=numbers)
    def close_case(self, number: int) -> None:
        with contextlib.suppress(Problem):
            register.close_case(self.broker.parts, kit.closing(f"case-{number}", "granted"), kit.as_client())

    @rule()
    def restart(self) -> None:
        self.broker.parts._policy = None
        self.broker.parts._editions.clear()

    def teardown(self) -> None:
        if not hasattr(self, "broker"):
            return
        self.broker.sources.meanwhile = lambda source, questions: None
        self.broker.check()
        self.broker.finish()
        for number in self.known.values():
            receipt = self.broker.verification(number).receipt
            assert receipt
            assert self.receipts.setdefault(number, receipt) == receipt
        self.broker.database.dispose()


def test_no_program_breaks_an_invariant(quick_brokers: Callable[[], kit.Broker]) -> None:
    machine = type("Program", (Machine,), {"quick": staticmethod(quick_brokers)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=PROGRAMS,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
