"""What the steps work with: the adapters, and what a process remembers between steps (policy and editions).

Both memories are safe: the policy is read again whenever its version has moved, editions never change.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from broker.core.answer import Answer
from broker.core.catalog import Catalog, Edition, Source, catalog_from
from broker.core.envelope import Signer, Verifier
from broker.core.errors import OperatorProblem
from broker.core.gate import Breaker
from broker.core.grant_application import Terms
from broker.core.misuse import MisuseRules
from broker.core.own_key import KeyRole
from broker.core.provided import GroupRules
from broker.core.working_days import Calendar
from broker.ports import Connection, Connector, Policy, Pulse, Store, Transport, Vault, Wake, Work
from broker.ports.health import CredentialReference, Roads, Travelled
from broker.ports.reach import Reach, Roadless


@dataclass(frozen=True)
class Limits:
    """The flow's sizes and times."""

    batch: int = 32  # lookups claimed together, as many as one source is asked at a time
    lease_ms: int = 30_000  # longer than any source's budget, so that a living worker never loses its lookups
    sequence_batch: int = 2_000
    deliver_batch: int = 16
    delivery_attempts: int = 12
    consent_hours: int = 72  # how long a holder has to decide
    answer_days: int = 30  # how long answers are kept after a case's close or its last activity
    shred_batch: int = 200
    probe_minutes: float = 30.0  # of silence, after which a source is probed; 0: never
    key_warning_days: int = 30  # before the end of a key or credential, from which on people are told of it
    totp_neighbours: int = 1  # steps of a one-time code before and after the present one that are taken
    quiet_minutes: int = 5  # after which a log that does not grow says that it is alive


class Untold:
    """Implements ``ports.Roads`` for a transport that tells nothing: no durations, and no breaker ever opens."""

    def heard(self, source: str, took_ms: int, *, sound: bool, calls: int = 1, pause_s: float = 0.0) -> None:
        """Not kept."""

    def follow(self, source: str, breaker: Breaker) -> None:
        """Not kept."""

    def travelled(self, source: str) -> Travelled:  # noqa: ARG002 - the same of every source
        """Nothing."""
        return Travelled()


@dataclass
class Parts:
    """Everything a step needs, wired by ``bootstrap``."""

    store: Store
    wake: Wake
    transport: Transport
    connectors: Mapping[str, Connector]
    connections: Mapping[str, Connection]
    vault: Vault
    signer: Signer
    log_signers: Sequence[Signer]
    issuer: str
    log_origin: str
    check_request: Callable[[Any], None]  # raises CallerProblem request.schema
    post: Callable[[str, bytes], int]  # a signed callback: (url, body) → HTTP status; 0 where nothing answered
    limits: Limits = field(default_factory=Limits)
    calendar: Calendar = field(default_factory=Calendar)
    roads: Roads = field(default_factory=Untold)
    pause: Callable[[float], None] = time.sleep  # how a worker waits for its turn at a source's gate, in seconds
    terms: Terms = field(default_factory=Terms)
    misuse: MisuseRules = field(default_factory=MisuseRules)
    groups: GroupRules | None = None  # which groups of the identity provider give roles; None: roles are given here
    known_password: Callable[[str], bool] = lambda _: False  # whether the deployment's list has it; without one, never
    receipt_keys: Sequence[Verifier] = ()  # what is published: the signer's and its predecessors'
    references: Mapping[str, Sequence[CredentialReference]] = field(default_factory=dict)  # by platform
    reach: Reach = field(default_factory=Roadless)
    noting: Callable[[Callable[[bool], None]], Mapping[str, Connector]] | None = None
    """Connectors that tell what a schema said of an answer, for a test of a connection; None where none do."""
    log_keys: Sequence[Verifier] = ()  # those of the log's signers and their predecessors
    _policy: Policy | None = None
    _editions: dict[int, Edition] = field(default_factory=dict)

    def policy(self, work: Work, pulse: Pulse) -> Policy:
        """The administrators' decisions as of this transaction; what it has decided itself is not remembered."""
        if pulse.moved:
            return work.policy(pulse.version)
        known = self._policy
        if known is None or known.version != pulse.version:
            known = self._policy = work.policy(pulse.version)
        return known

    def published(self, role: KeyRole, held: Sequence[Verifier]) -> list[Verifier]:
        """Our keys of a role as whoever verifies must take them now: the register's, and those ``held`` besides."""
        with self.store.read() as work:
            own = self.policy(work, work.pulse()).own_keys
        registered = [one.published() for one in own.values() if one.role is role]
        return [*(one for one in held if one.key_id not in own), *registered]

    def edition(self, work: Work, number: int) -> Edition:
        """An edition by number; read and parsed once per process."""
        known = self._editions.get(number)
        if known is None:
            digest, body = work.edition(number)
            known = self._editions[number] = Edition(number, digest, catalog_from(json.loads(body)))
        return known

    def edition_in_force(self, work: Work, policy: Policy, now: datetime) -> Edition:
        """The edition that plans now. Raises ``OperatorProblem`` ``edition.none``."""
        number = policy.edition_at(now)
        if number is None:
            raise OperatorProblem("edition.none")
        return self.edition(work, number)

    def catalog_in_force(self, work: Work, pulse: Pulse) -> Catalog | None:
        """The list that plans now; None before the first edition, for whoever can do without."""
        number = self.policy(work, pulse).edition_at(pulse.now)
        return None if number is None else self.edition(work, number).catalog

    def asking(self, source: Source) -> tuple[Connector, Connection] | None:
        """Connector and connection of a source, None where this deployment has not connected it."""
        connector, connection = self.connectors.get(source.connector), self.connections.get(source.platform)
        return None if connector is None or connection is None else (connector, connection)


def require_signing(policy: Policy, signer: Signer, now: datetime) -> None:
    """Raise ``OperatorProblem`` ``key.expired`` where a key of ours may not sign any more; asked where it signs."""
    own = policy.own_keys.get(signer.key_id)
    if own is not None:
        own.require_signing(now)


def new_id(now: datetime) -> str:
    """An identifier that sorts by time and cannot be guessed: 12 hex digits of milliseconds, 20 of chance."""
    return f"{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"


def unanswered(answer: Answer) -> bool:
    """Whether nothing of substance came back, so that there is nothing to digest."""
    return not answer.fields and not answer.source_code
