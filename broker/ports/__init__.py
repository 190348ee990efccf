"""What the flow needs from outside, each a protocol with one sentence; its adapters are wired in ``bootstrap``."""

from __future__ import annotations

from collections.abc import Generator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from broker.core.answer import Awaited, Question, Reply, Wait
from broker.core.authorise import Grant
from broker.core.catalog import Source
from broker.core.entry import Entry
from broker.core.envelope import Verifier
from broker.core.gate import Stop
from broker.core.own_key import OwnKey
from broker.core.roles import Role
from broker.ports.audit import AuditWork
from broker.ports.backlog import BacklogWork
from broker.ports.console import ConsoleWork
from broker.ports.editions import EditionWork
from broker.ports.figures import FiguresWork
from broker.ports.grants import GrantsWork, Parties
from broker.ports.health import HealthWork
from broker.ports.own_keys import OwnKeysWork
from broker.ports.proof import ProofWork
from broker.ports.sessions import SessionWork
from broker.ports.waiting import WaitingWork


class Repeat(StrEnum):
    """Whether the road may send a request again after it was sent and nothing came back."""

    SAFE = "safe"  # it changes nothing at the far end, which may be asked twice
    ONCE = "once"  # it changes nothing, but its bytes are taken a single time: they carry a nonce, or a token
    EFFECT = "effect"  # it does something there: nobody may do it twice, or say that it was not done


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What a connector wants sent. The URL never carries a person's data where the protocol allows a body.

    Whoever does not say that it may be repeated has it sent once. ``after``: seconds to wait before it is sent, where
    the source itself has asked to try again; a conversation whose budget has no room for that ends SOURCE_DOWN.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    repeat: Repeat = Repeat.EFFECT
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What came back, whole: status, headers with lower-case names, and a body below the size cap."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TableQuery:
    """What a connector wants read from a department's exchange table (前置库): columns of the rows where all is equal.

    ``endpoint`` is a database URL without its password; ``table`` may be qualified by its schema; ``limit`` rows come
    at most, and the reading ends within ``budget_ms``.
    """

    endpoint: str
    password: str = field(repr=False)
    table: str
    columns: Sequence[str]
    where: Mapping[str, str] = field(repr=False)
    limit: int
    budget_ms: int


@dataclass(frozen=True, slots=True)
class TableRows:
    """What was read: each row a mapping of plain JSON values, times as ``yyyy-MM-dd HH:mm:ss`` in China."""

    rows: Sequence[Mapping[str, Any]] = field(repr=False)


@dataclass(frozen=True)
class Connection:
    """How this deployment reaches one platform: endpoint, credentials (already resolved), and its peculiarities.

    ``session`` is the platform's short-lived state (working secrets, tokens) shared by all askers of this deployment;
    connectors read and replace entries in it, each an immutable value.
    """

    platform: str
    endpoint: str
    credentials: Mapping[str, str] = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    session: MutableMapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


Conversation = Generator[Any, Any, Reply]
"""Yields ``HttpRequest`` or ``TableQuery`` and is sent ``HttpResponse`` or ``TableRows``: each reply is of its
request's kind, which no generator's type can say."""


class Connector(Protocol):
    """Speaks one protocol family without I/O: a conversation yields requests, receives responses, returns a reply.

    A conversation maps everything a source can *say* to an ``Answer``; what the *road* does (refused, late, too large)
    the transport turns into an UNKNOWN answer without asking the connector. Where the answer takes longer than a
    conversation, it returns ``Waiting`` and is asked again, with the memo it left.
    """

    def ask(self, question: Question, source: Source, connection: Connection, now: datetime) -> Conversation:
        """The conversation for one question; ``now`` is the asking step's."""
        ...


class Transport(Protocol):
    """Drives conversations to their answers within the source's budget; never raises for what a source or road does."""

    def converse(self, source: Source, conversations: Sequence[Conversation]) -> Sequence[Reply]:
        """One reply per conversation, in their order."""
        ...


class Wake(Protocol):
    """Tells the workers of these sources that work is due; losing or repeating a wake is harmless."""

    def wake(self, sources: Sequence[str]) -> None:
        """Returns at once, and never raises for what a queue does."""
        ...


# --- the unit of work -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Client:
    """A registered system, and what it may do here."""

    id: str
    name: str
    unit: str
    callback_url: str | None
    state: str  # active | suspended
    roles: tuple[str, ...] = (Role.APPROVAL.value,)
    units: tuple[str, ...] = ()  # further bodies for whose people it may ask


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A client's public key and the time it may be used in."""

    client: str
    verifier: Verifier
    not_before: datetime
    not_after: datetime | None
    revoked_at: datetime | None

    def usable(self, now: datetime) -> bool:
        """Whether a signature made now by this key counts."""
        if self.revoked_at is not None and now >= self.revoked_at:
            return False
        return self.not_before <= now and (self.not_after is None or now < self.not_after)


@dataclass(frozen=True)
class Policy:
    """Everything the administrators decide, as of one version: who may come, with which keys, grants and editions."""

    version: int
    clients: Mapping[str, Client]
    keys: Mapping[str, ClientKey]
    grants: Mapping[str, Grant]
    grants_of: Mapping[str, Sequence[Grant]]
    editions: Sequence[tuple[int, datetime]]  # number, effective from; ascending
    stopped: frozenset[str] = frozenset()  # operators whom a rule against misuse has stopped
    marks: Mapping[str, frozenset[str]] = field(default_factory=dict)  # 数据异议: about whom, by source
    own_keys: Mapping[str, OwnKey] = field(default_factory=dict)  # the broker's signing keys, by key id
    stops: Mapping[str, Stop] = field(default_factory=dict)  # sources that a person has stopped

    def edition_at(self, now: datetime) -> int | None:
        """The number of the edition in force."""
        numbers = [number for number, effective in self.editions if effective <= now]
        return max(numbers, default=None)


@dataclass(frozen=True, slots=True)
class Pulse:
    """The policy's version and the database's clock, read together at the start of a step."""

    version: int
    now: datetime
    moved: bool = False  # by this transaction itself: whether that version will ever be, only its commit decides


@dataclass(frozen=True, slots=True)
class CaseFile:
    """An opened case: one applicant and its parties (as pseudonyms), and the wrapped key of its answers."""

    id: str
    client: str
    number: str
    applicant: str
    state: str
    wrapped_key: bytes = field(repr=False)  # empty once it was destroyed
    parties: Parties = ()
    erased: bool = False


@dataclass(frozen=True, slots=True)
class NewVerification:
    """A verification as admitted."""

    id: str
    client: str
    request_id: str
    request_digest: str
    case: str
    edition: int
    request: bytes = field(repr=False)
    request_salt: bytes = field(repr=False)
    permits: str
    unit: str  # credit code of the body that asked


@dataclass(frozen=True, slots=True)
class NewLookup:
    """A lookup that is due from ``ready_at`` on."""

    id: str
    verification: str
    key: str
    source: str
    grant: str
    about: str  # keyed pseudonym of the person, or of the two persons, it is about
    ready_at: datetime
    question: bytes = field(repr=False)
    consent: str | None = None  # the holder's, by which it may be asked
    wait: Wait | None = None  # that it waits for it


@dataclass(frozen=True, slots=True)
class StoredVerification:
    """A verification as it stands."""

    id: str
    client: str
    request_id: str
    request_digest: str
    case_number: str
    edition: int
    state: str
    admitted_at: datetime
    decided_at: datetime | None
    receipt: str | None  # the final one, or while it is pending the preliminary one
    request_salt: bytes | None = field(default=None, repr=False)  # encrypted; None once it was destroyed
    wrapped_key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A lookup leased to us: we may ask it until ``ready_at``, and record under this ``fence`` only."""

    id: str
    verification: str
    client: str
    key: str
    source: str
    grant: str
    edition: int
    fence: int
    case_state: str
    question: bytes = field(repr=False)
    memo: bytes | None = field(repr=False)
    wrapped_key: bytes = field(repr=False)
    consent: str | None  # the state of the holder's, None where none is needed
    consent_until: datetime | None


@dataclass(frozen=True, slots=True)
class Held:
    """A verification locked by this transaction."""

    id: str
    client: str
    request_digest: str
    edition: int
    state: str  # admitted | pending | decided
    admitted_at: datetime
    request: bytes = field(repr=False)
    permits: str
    preliminary: str | None
    receipt: str | None
    applicant: str
    case_number: str
    wrapped_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LogRow:
    """An entry in its place, and what its row says of it besides."""

    position: int
    kind: str
    verification: str | None
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LookupRow:
    """A lookup as it stands, its answer still encrypted."""

    id: str
    verification: str
    key: str
    state: str
    fence: int
    answer: bytes | None = field(repr=False)
    digest: str | None
    asked_at: datetime | None
    answered_at: datetime | None
    awaited: str | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class WaitingLookup:
    """What is recorded of a lookup whose answer comes later: it is due again at ``again_at``."""

    id: str
    awaited: Awaited
    again_at: datetime
    until: datetime
    memo: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AnsweredLookup:
    """What is recorded of one lookup."""

    id: str
    reason: str
    answer: bytes = field(repr=False)
    digest: str
    asked_at: datetime
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A callback that is due at once; of each kind there is one for a verification."""

    id: str
    verification: str
    client: str
    kind: str  # decided | pending | promise:<material> | objection:<id>
    notice: str | None = None  # what it carries where that is no receipt


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery leased to us, with what it carries: the receipt, the preliminary one, or a notice."""

    id: str
    verification: str
    client: str
    kind: str
    fence: int
    carries: str


@dataclass(frozen=True, slots=True)
class NewEdition:
    """An edition as published."""

    number: int
    digest: str
    effective_at: datetime
    published_by: str
    body: bytes = field(repr=False)
    seal: str


@dataclass(frozen=True, slots=True)
class Published:
    """An edition without its body: what anyone may know of it."""

    number: int
    digest: str
    effective_at: datetime
    seal: str
    withdrawn_at: datetime | None = None  # taken back before it took effect


@dataclass(frozen=True, slots=True)
class Draft:
    """A list on its way to become an edition, and who has done what to it."""

    id: str
    state: str  # draft | submitted | approved | rejected | published | discarded
    base: int
    digest: str
    comment: str
    drafted_by: str
    drafted_at: datetime
    submitted_by: str | None = None
    reviewed_by: str | None = None
    review: str | None = None
    edition: int | None = None
    revision: int = 1  # moves with every change of the body
    editors: str | None = None  # who changed the body since it was drafted, joined by commas


class Work(
    WaitingWork, GrantsWork, ProofWork, HealthWork, SessionWork, ConsoleWork, FiguresWork, AuditWork, EditionWork,
    OwnKeysWork, BacklogWork, Protocol,
):  # fmt: skip
    """One transaction on the only truth: leave it without ``commit`` and nothing happened. Times are the database's."""

    def commit(self) -> None:
        """Make it all true."""
        ...

    def pulse(self) -> Pulse:
        """The policy's version and the database's clock."""
        ...

    def policy(self, version: int) -> Policy:
        """Everything the administrators decided, as this transaction sees it."""
        ...

    def edition(self, number: int) -> tuple[str, bytes]:
        """Digest and published bytes of an edition; raises ``OperatorProblem`` ``edition.none``."""
        ...

    def published(self) -> list[Published]:
        """Every edition, ascending; those that were taken back too."""
        ...

    def record(self, entries: Sequence[Entry]) -> None:
        """Append entries; the database queues them for their place in the log."""
        ...

    # admit
    def spend_nonces(self, carried: Sequence[tuple[str, str]], expires_at: datetime) -> set[tuple[str, str]]:
        """Those of the (key id, nonce) pairs that no key has brought before."""
        ...

    def spend_nonce(self, key_id: str, nonce: str, expires_at: datetime) -> bool:
        """True the first time a key brings this nonce."""
        ...

    def find_verifications(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], StoredVerification]:
        """What was submitted before, by (client, request id)."""
        ...

    def open_cases(self, cases: Sequence[CaseFile], now: datetime) -> dict[tuple[str, str], CaseFile]:
        """The cases by (client, number): as given where they are new, else as they stand."""
        ...

    def close_case(self, client: str, number: str, outcome: str, now: datetime) -> bool:
        """True if an open case was closed by this."""
        ...

    def usage(self, grants: Sequence[str], day: str) -> dict[str, int]:
        """Today's calls by grant; grants without a row have none."""
        ...

    def add_verifications(self, rows: Sequence[NewVerification], now: datetime) -> set[str]:
        """The ids of those that were added; the others' request ids were taken."""
        ...

    def add_lookups(self, rows: Sequence[NewLookup]) -> None:
        """Lookups, each due from its time on."""
        ...

    # look_up and settle
    def claim(self, source: str, limit: int, now: datetime, lease_ms: int) -> list[Claimed]:
        """Up to ``limit`` due lookups of a source, leased to us from the database's now on."""
        ...

    def use_grants(self, calls: Mapping[str, int], day: str) -> dict[str, int]:
        """Count calls; returns each grant's calls of the day including these. Grants in id order, as all do."""
        ...

    def hold(self, verifications: Sequence[str], lookups: Sequence[str]) -> list[Held]:
        """Lock verifications, in id order, and then these lookups of theirs, until this transaction ends."""
        ...

    def lookups_of(self, verifications: Sequence[str]) -> list[LookupRow]:
        """Every lookup of these verifications."""
        ...

    def answer(self, rows: Sequence[AnsweredLookup]) -> None:
        """Record answers; the caller holds the verifications and has compared the fences."""
        ...

    def wait(self, rows: Sequence[WaitingLookup]) -> None:
        """Put lookups off; the caller holds the verifications and has compared the fences."""
        ...

    def suspend(self, receipts: Mapping[str, str]) -> None:
        """Store preliminary receipts; the caller holds the verifications."""
        ...

    def decide(self, receipts: Mapping[str, str], now: datetime) -> None:
        """Store receipts; the caller holds the verifications."""
        ...

    # sweep, sequence, deliver
    def due_sources(self, now: datetime) -> list[str]:
        """Sources with a lookup that is due and not leased."""
        ...

    def forget_nonces(self, now: datetime) -> None:
        """Drop nonces whose requests are too old to be accepted anyway."""
        ...

    def lock_log(self) -> bool:
        """Whether this transaction is the one that may extend the log."""
        ...

    def log_size(self) -> int:
        """How many entries have their place."""
        ...

    def unsequenced(self, limit: int) -> list[tuple[int, bytes]]:
        """Committed entries without a place, oldest first."""
        ...

    def tiles(self, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        """Stored tiles by (level, index); those not stored yet are missing."""
        ...

    def extend_log(
        self,
        first: int,
        entries: Sequence[int],
        tiles: Mapping[tuple[int, int], bytes],
        size: int,
        note: str,
        now: datetime,
    ) -> None:
        """Give entries the places from ``first`` on, store the tiles that changed and the signed checkpoint."""
        ...

    def add_deliveries(self, rows: Sequence[NewDelivery], now: datetime) -> None:
        """Deliveries, due at once."""
        ...

    def claim_deliveries(self, limit: int, now: datetime, lease_ms: int) -> list[Due]:
        """Up to ``limit`` due deliveries, leased to us."""
        ...

    def finish_delivery(self, due: Due, state: str, code: str, ready_at: datetime) -> bool:
        """Record how a delivery went; False where another worker has claimed it since."""
        ...

    # read
    def verification(self, number: str) -> StoredVerification | None:
        """A verification as it stands."""
        ...

    def decided_among(self, numbers: Sequence[str]) -> dict[str, StoredVerification]:
        """Those of these verifications that are decided or pending, by id."""
        ...

    def find_case(self, client: str, number: str) -> CaseFile | None:
        """The case of this client and number."""
        ...

    def latest_checkpoint(self) -> str | None:
        """The newest signed checkpoint, None while the log is empty."""
        ...

    def latest_signing(self) -> datetime | None:
        """When the newest checkpoint was signed, None while the log is empty."""
        ...

    def place_of(self, verification: str, kind: str) -> tuple[int | None, bytes] | None:
        """The latest entry of a kind about a verification, with its place in the log once it has one."""
        ...

    def entries(self, start: int, stop: int) -> list[bytes]:
        """The log's entries from one place to before another."""
        ...

    def log_rows(self, start: int, stop: int) -> list[LogRow]:
        """The same with everything that their rows say, in order; places without an entry are missing."""
        ...

    def checkpoints(self, above: int, limit: int) -> list[tuple[int, str]]:
        """Signed checkpoints of more than so many entries with the size their row says, ascending."""
        ...

    def stray_entry(self) -> int | None:
        """An entry that neither has a place nor waits for one; there must be none."""
        ...

    # register and publish; each is followed by move_policy in the same transaction
    def add_client(self, client: Client, now: datetime) -> bool:
        """False where the id is taken."""
        ...

    def add_client_key(self, key_id: str, key: ClientKey, pem: str) -> bool:
        """False where the key is registered already, by whomever."""
        ...

    def revoke_client_key(self, key_id: str, now: datetime) -> bool:
        """False where there is no such key, or it is revoked already."""
        ...

    def add_grant(self, grant: Grant) -> bool:
        """False where the id is taken."""
        ...

    def add_edition(self, edition: NewEdition, now: datetime) -> bool:
        """False where another publisher was faster with this number."""
        ...

    def add_draft(self, draft: Draft, body: bytes) -> None:
        """A new draft."""
        ...

    def drafts(self) -> list[Draft]:
        """All drafts, the newest first."""
        ...

    def draft(self, number: str) -> tuple[Draft, bytes] | None:
        """A draft and its body, locked until this transaction ends."""
        ...

    def read_draft(self, number: str) -> tuple[Draft, bytes] | None:
        """A draft and its body, as it stands."""
        ...

    def change_draft(self, draft: Draft, body: bytes | None = None) -> None:
        """Keep what has become of a draft, its body where that changed; the caller has locked it."""
        ...

    def move_policy(self) -> None:
        """Let every process read the policy again, from its next transaction on."""
        ...


class Store(Protocol):
    """Opens transactions; ``write`` may wait for other writers, ``read`` never does."""

    def write(self) -> AbstractContextManager[Work]:
        """A transaction that may change things."""
        ...

    def read(self) -> AbstractContextManager[Work]:
        """A transaction that only reads, and waits for no writer."""
        ...

    def glance(self) -> AbstractContextManager[Work]:
        """For one reading statement, without a transaction around it."""
        ...


class Vault(Protocol):
    """Encrypts what is kept about persons, under a key per case, and gives them pseudonyms."""

    def new_case_key(self) -> tuple[bytes, bytes]:
        """A fresh key and its wrapped form, which alone is stored."""
        ...

    def unwrap(self, wrapped: bytes) -> bytes:
        """The case key. Raises ``BrokerProblem`` ``key.unusable`` where it was wrapped by another deployment."""
        ...

    def encrypt(self, key: bytes, plain: bytes, context: str) -> bytes:
        """Nonce and ciphertext; ``context`` (a row's id) must be the same to decrypt."""
        ...

    def decrypt(self, key: bytes, cipher: bytes, context: str) -> bytes:
        """The plain bytes. Raises ``BrokerProblem`` ``key.unusable`` where anything was altered."""
        ...

    def lock(self, plain: bytes, context: str) -> bytes:
        """Encrypt something of the deployment itself, which belongs to no case."""
        ...

    def unlock(self, cipher: bytes, context: str) -> bytes:
        """The plain bytes. Raises ``BrokerProblem`` ``key.unusable`` where anything was altered."""
        ...

    def pseudonym(self, subject: str) -> str:
        """32 hex digits for a subject (``id_type:number``)."""
        ...
