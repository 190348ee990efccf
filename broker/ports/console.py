"""The unit of work's part for the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from broker.core.people import Assignment, Person
from broker.ports.cases import CaseWork
from broker.ports.objections import ObjectionWork


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a person proves who they are. The second factor's secret is encrypted under the person's own key."""

    person: Person
    password: str = field(repr=False)  # argon2id, in its own notation; "" where an identity provider vouches
    must_change: bool
    wrapped_key: bytes = field(repr=False)
    totp: bytes = field(repr=False)  # encrypted; b"" until it is enrolled
    totp_step: int  # the last step that was accepted: a code counts once
    failures: int
    locked_until: datetime | None
    subject: str  # issuer and subject of the identity provider, "" for a local account


@dataclass(frozen=True, slots=True)
class Origin:
    """Whence attempts to sign in as a person come: how many failed in a row, and whether one ever succeeded."""

    person: str
    address: str  # keyed pseudonym
    failures: int
    locked_until: datetime | None
    used_at: datetime | None  # the last whole sign-in from there, None before the first
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """An account as the operator sees it."""

    person: Person
    local: bool  # with a password here; else an identity provider vouches
    must_change: bool
    enrolled: bool  # whether a second factor is in use
    locked_until: datetime | None
    waiting: int  # addresses from which sign-in is closed just now


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser. ``stage``: which step of signing in comes next, ``open`` when all are done."""

    digest: str  # SHA-256 of the cookie's value, which alone is stored
    person: str
    stage: str  # password | enrol | second | open
    csrf: str = field(repr=False)
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """Long work that goes on while its owner does something else."""

    id: str
    kind: str
    owner: str  # login
    state: str  # waiting | running | done | failed | cancelled
    done: int
    total: int
    asked: str  # JSON: what is to be done
    result: str | None  # JSON
    created_at: datetime
    ready_at: datetime
    fence: int
    about: str | None = None  # the one thing it is about: a draft, a source


@dataclass(frozen=True, slots=True)
class Decided:
    """A decided verification as it is replayed."""

    id: str
    client: str
    edition: int
    admitted_at: datetime
    request: bytes = field(repr=False)  # encrypted
    permits: str
    wrapped_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is, as an identity provider vouches."""

    issuer: str
    subject: str
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> str:
        """The one name of this identity: a subject means nothing without its issuer."""
        return f"{self.issuer}#{self.subject}"


class IdentityProvider(Protocol):
    """Signs people in elsewhere (OpenID Connect: authorisation code with PKCE)."""

    label: str  # what the button says

    def begin(self, redirect_uri: str, *, again: bool = False) -> tuple[str, str]:
        """Where to send the browser, and what to remember until it comes back; ``again``: it must look anew."""
        ...

    def leave(self, back: str) -> str:
        """Where to send a browser so that the provider signs it out too, "" where it offers no such place."""
        ...

    def finish(self, redirect_uri: str, memory: str, answer: str) -> Identity:
        """Who came back by this whole URL. Raises ``CallerProblem``: ``access.provider``, ``access.weak``."""
        ...


class ConsoleWork(CaseWork, ObjectionWork, Protocol):
    """One transaction's methods for the console."""

    def add_person(self, credentials: Credentials, now: datetime) -> bool:
        """False where the login, or the identity provider's subject, is taken."""
        ...

    def people(self) -> list[Person]:
        """Everybody, by login."""
        ...

    def accounts(self, now: datetime) -> list[Account]:
        """Everybody as the operator sees them, by login."""
        ...

    def origin(self, person: str, address: str) -> Origin | None:
        """What is known of sign-ins from an address."""
        ...

    def keep_origin(self, origin: Origin) -> None:
        """Keep it; a sign-in of before is not forgotten."""
        ...

    def forget_origins(self, person: str) -> None:
        """Let a person sign in from anywhere as if nobody had failed."""
        ...

    def credentials(self, login: str) -> Credentials | None:
        """A person's credentials by login; in a writing transaction locked until it ends."""
        ...

    def login_of_subject(self, subject: str) -> str | None:
        """Whose identity an identity provider's subject is."""
        ...

    def change_credentials(self, credentials: Credentials) -> None:
        """Keep everything but the assignments; the caller has read them in this transaction."""
        ...

    def assign(self, person: str, assignments: Sequence[Assignment], by: str, now: datetime) -> None:
        """Let a person have these assignments and no others that were given here."""
        ...

    def provide(self, person: str, assignments: Sequence[Assignment], now: datetime) -> None:
        """Let a person have these assignments and no others by the identity provider."""
        ...

    def add_session(self, session: Session) -> None:
        """Open a session."""
        ...

    def session(self, digest: str) -> tuple[Session, Person] | None:
        """A session and whose it is, assignments included."""
        ...

    def sessions_of(self, person: str) -> list[Session]:
        """Every session of a person, the newest first; what has run out may be among them."""
        ...

    def touch_session(self, digest: str, now: datetime) -> None:
        """Note that a session was used."""
        ...

    def end_session(self, digest: str) -> None:
        """Close one session."""
        ...

    def end_sessions(self, person: str) -> None:
        """Close every session of a person."""
        ...

    def forget_sessions(self, now: datetime, idle_before: datetime) -> None:
        """Drop what has run out, attempts and errands included."""
        ...

    def add_errand(self, digest: str, memory: str, expires_at: datetime) -> None:
        """Remember a browser that was sent to the identity provider."""
        ...

    def take_errand(self, digest: str, now: datetime) -> str | None:
        """What was remembered, once: it is gone afterwards."""
        ...

    def count_attempt(self, key: str, window: datetime) -> int:
        """Count one attempt in a window, and say how many it has seen."""
        ...

    def count_decided(self, after: str) -> int:
        """How many verifications whose ids come after this one are decided."""
        ...

    def decided_after(self, after: str, limit: int) -> list[Decided]:
        """Decided verifications in the order of their ids, which is that of time, after this one."""
        ...

    def add_job(self, job: Job) -> None:
        """A job that waits for whoever works next."""
        ...

    def job(self, number: str) -> Job | None:
        """A job as it stands."""
        ...

    def jobs(self, kind: str, limit: int) -> list[Job]:
        """The newest jobs of a kind."""
        ...

    def newest_job(self, kind: str, about: str) -> Job | None:
        """The newest job of a kind about one thing."""
        ...

    def unfinished_jobs(self, owner: str) -> list[Job]:
        """What somebody has asked for that is not finished; in a writing transaction nobody adds to it meanwhile."""
        ...

    def claim_job(self, kind: str, now: datetime, lease_until: datetime) -> Job | None:
        """The oldest job of a kind that nobody works on, leased to us."""
        ...

    def keep_job(self, job: Job) -> bool:
        """Keep what has become of a job; False where it was cancelled, or claimed by another since."""
        ...

    def cancel_job(self, number: str) -> bool:
        """True where a job that was not finished was cancelled by this."""
        ...
