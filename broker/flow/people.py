"""People of the console: accounts, roles, signing in with two factors, sessions – each change with its entry.

A password is compared outside any transaction, because it takes long on purpose and SQLite has one writer. A session
gets a new secret at every step of signing in, so that a secret known before is worth nothing afterwards.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from broker.core.entry import entry
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.people import (
    Assignment,
    Person,
    delay_after,
    require_known,
    require_login,
    require_password,
    require_separation,
)
from broker.flow.parts import Parts, new_id
from broker.ports import Work
from broker.ports.console import Credentials, Origin, Session

ABSOLUTE = timedelta(hours=12)  # a session's longest life: a working day
IDLE = timedelta(minutes=30)
RECENT = timedelta(minutes=15)  # so long the last proof of who somebody is counts for what is sensitive
UNFINISHED = timedelta(minutes=10)  # to enter the second factor, to choose a password, to come back from the provider
TRIES_PER_LOGIN = 10  # a minute, from one address
TRIES_FROM_STRANGERS = 30  # a minute for one login, from all addresses it has never signed in from
TRIES_PER_ADDRESS = 120  # a minute; a whole department may sit behind one address
STEP_SECONDS = 30  # of a one-time code (RFC 6238)
UNCONFIRMED = -1  # the last step of a second factor that was handed out and not yet used
_TOUCH = timedelta(minutes=1)  # a session is noted as used at most so often
_WINDOW = timedelta(minutes=1)
_ISSUER = "材料免提交"  # what an authenticator app shows

# Parts of passwords that everybody tries first, the product's own words among them.
COMMON = (
    "password", "passw0rd", "12345678", "87654321", "11111111", "00000000", "88888888", "66666666", "qwertyui",
    "1qaz2wsx", "asdfghjk", "iloveyou", "woaini", "administrator", "admin123", "letmein", "welcome", "abc123",
    "a123456", "5201314", "changeme", "zaozhuang", "rushan", "mianticao", "broker",
)  # fmt: skip

# 19 MiB and two rounds are what OWASP recommends for argon2id; a few at a time, so that many do not take all memory.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_few = threading.BoundedSemaphore(4)
_NOBODY = _hasher.hash(secrets.token_hex(16))  # compared where there is no such person, so that it takes as long


@dataclass(frozen=True, slots=True)
class Opened:
    """A session and the secret by which alone it is found."""

    secret: str
    session: Session


# --- the operator's side


def add_person(
    parts: Parts, login: str, name: str, unit: str, assignments: Sequence[Assignment], by: str, subject: str = ""
) -> str:
    """A new account; returns its first password, which must be changed, or "" where a provider vouches for it.

    Raises ``OperatorProblem``: ``person.login``, ``person.separation``, ``person.scope``, ``register.exists``.
    """
    require_login(login)
    require_separation(assignments)
    password = "" if subject else _first_password()
    hashed = _hash(password) if password else ""
    _, wrapped = parts.vault.new_case_key()
    with parts.store.write() as work:
        pulse = work.pulse()
        now = pulse.now
        require_known(assignments, parts.catalog_in_force(work, pulse))
        person = Person(new_id(now), login, name, unit, "active", tuple(assignments))
        made = Credentials(person, hashed, bool(password), wrapped, b"", UNCONFIRMED, 0, None, subject)
        if not work.add_person(made, now):
            raise OperatorProblem("register.exists", got=login)
        work.assign(person.id, assignments, by, now)
        work.record([entry("person_added", now, login=login, unit=unit, roles=list(map(str, assignments)), by=by)])
        # Crash before this commit: there is no such person. After it, and with the password lost: a new one is given
        # by resetting it.
        work.commit()
    return password


def assign(parts: Parts, login: str, assignments: Sequence[Assignment], by: str) -> None:
    """Let somebody have these roles and no others, from their next page on, besides those of their groups elsewhere.

    Raises as :func:`add_person`, and ``person.provided`` where the identity provider alone gives this person roles.
    """

    def change(work: Work, found: Credentials, now: datetime) -> None:
        if found.subject and parts.groups is not None and parts.groups.master:
            raise OperatorProblem("person.provided", got=login)
        wanted = replace(found.person, assignments=tuple(assignments))
        require_separation(wanted.effective)
        require_known(assignments, parts.catalog_in_force(work, work.pulse()))
        work.assign(found.person.id, assignments, by, now)
        work.record([entry("person_assigned", now, login=login, roles=list(map(str, wanted.effective)), by=by)])

    _changed(parts, login, by, change)


def set_state(parts: Parts, login: str, state: str, by: str) -> None:
    """Disable an account, which ends its sessions at once, or enable it again."""

    def change(work: Work, found: Credentials, now: datetime) -> None:
        person = replace(found.person, state=state)
        work.change_credentials(replace(found, person=person, failures=0, locked_until=None))
        work.forget_origins(person.id)
        work.end_sessions(person.id)
        work.record([entry(f"person_{state}", now, login=login, by=by)])

    _changed(parts, login, by, change)


def unlock(parts: Parts, login: str, by: str) -> None:
    """Let somebody sign in again at once who is kept waiting after failures; an entry says who did it."""

    def change(work: Work, found: Credentials, now: datetime) -> None:
        work.change_credentials(replace(found, failures=0, locked_until=None))
        work.forget_origins(found.person.id)
        work.record([entry("person_unlocked", now, login=login, by=by)])

    _changed(parts, login, by, change)


def reset_password(parts: Parts, login: str, by: str) -> str:
    """A new first password; whoever was signed in is no longer."""
    password = _first_password()
    hashed = _hash(password)

    def change(work: Work, found: Credentials, now: datetime) -> None:
        if found.subject:
            raise OperatorProblem("person.login", got=login, expected="a local account")
        work.change_credentials(replace(found, password=hashed, must_change=True, failures=0, locked_until=None))
        work.forget_origins(found.person.id)
        work.end_sessions(found.person.id)
        work.record([entry("password_reset", now, login=login, by=by)])

    _changed(parts, login, by, change)
    return password


def reset_second_factor(parts: Parts, login: str, by: str) -> None:
    """Let somebody enrol a second factor anew at their next sign-in, when the telephone is lost."""

    def change(work: Work, found: Credentials, now: datetime) -> None:
        work.change_credentials(replace(found, totp=b"", totp_step=UNCONFIRMED))
        work.end_sessions(found.person.id)
        work.record([entry("second_factor_reset", now, login=login, by=by)])

    _changed(parts, login, by, change)


def _changed(parts: Parts, login: str, by: str, change: Callable[[Work, Credentials, datetime], None]) -> None:
    """Raises ``CallerProblem`` ``person.self``: nobody gives themselves a role, or a way around their own lock."""
    if login == by:
        raise CallerProblem("person.self")
    with parts.store.write() as work:
        found = work.credentials(login)
        if found is None:
            raise OperatorProblem("register.unknown", got=login)
        change(work, found, work.pulse().now)
        # Crash before this commit: the account is as it was. After it: it is as the entry says, from its next page on.
        work.commit()


# --- signing in


def sign_in(parts: Parts, login: str, password: str, address: str) -> Opened:
    """The first factor: a session at its next step. ``address`` is where the attempt comes from.

    Failures are counted by login and address, so that a stranger closes nobody's way in but their own; from all
    addresses together that the login was never used from, only so many attempts are looked at.

    Raises ``CallerProblem``: ``access.too-many``; ``access.refused``, the same for every reason.
    """
    origin = _origin(parts, address)
    count_attempt(parts, f"login:{login}@{address}", TRIES_PER_LOGIN)
    count_attempt(parts, f"address:{address}", TRIES_PER_ADDRESS)
    with parts.store.read() as work:
        known = work.credentials(login)
        from_here = work.origin(known.person.id, origin) if known else None
    if from_here is None or from_here.used_at is None:
        count_attempt(parts, f"strangers:{login}", TRIES_FROM_STRANGERS)
    right = _matches(known.password if known and known.password else _NOBODY, password) and known is not None
    with parts.store.write() as work:
        now = work.pulse().now
        found = work.credentials(login)
        if found is None:
            work.record([entry("sign_in_refused", now, rule="unknown")])
            work.commit()
            raise CallerProblem("access.refused")
        same = known is not None and found.password == known.password  # else it was changed meanwhile
        before = work.origin(found.person.id, origin) or Origin(found.person.id, origin, 0, None, None, now)
        waits = before.locked_until is not None and now < before.locked_until
        if not (right and same) or waits or _closed(found, now):
            _fail_from(work, found, before, now, rule="closed" if waits or _closed(found, now) else "password")
            raise CallerProblem("access.refused")
        work.keep_origin(replace(before, failures=0, locked_until=None, seen_at=now))
        found = _with_second_factor(parts, work, found)
        opened = open_session(work, found.person.id, _next_stage(found), now)
        # Crash before this commit: nobody is signed in. After it, with the answer lost: a session that nobody knows
        # runs out by itself.
        work.commit()
    return opened


def confirm(parts: Parts, secret: str, code: str, address: str = "") -> Opened:
    """The second factor, new or known: the session opens, under a new secret; its address is known from then on.

    Whoever fails here knows the password, so failures count for the account, wherever they come from.

    Raises ``CallerProblem``: ``access.over``, ``access.refused``.
    """
    with parts.store.write() as work:
        session, found, now = _unfinished(work, secret, {"enrol", "second"})
        step = _accepted_step(parts, found, code, now)
        if step is None or _closed(found, now):
            _fail(work, found, now, "code")
            raise CallerProblem("access.refused")
        work.change_credentials(replace(found, totp_step=step, failures=0, locked_until=None))
        if address:
            work.keep_origin(Origin(found.person.id, _origin(parts, address), 0, None, now, now))
        work.end_session(session.digest)
        opened = open_session(work, found.person.id, "open", now)
        if session.stage == "enrol":
            work.record([entry("second_factor_enrolled", now, login=found.person.login)])
        work.record([entry("signed_in", now, login=found.person.login)])
        # Crash before this commit: the code is still good. After it, with the answer lost: it is not, and the next
        # code will be.
        work.commit()
    return opened


def choose_password(parts: Parts, secret: str, password: str) -> Opened:
    """Replace the first password: the session goes on to its next step. Raises ``person.password``."""
    with parts.store.read() as work:
        _, known, _ = _unfinished(work, secret, {"password"})
    require_password(password, known.person.login, COMMON, parts.known_password)
    if _matches(known.password, password):
        raise CallerProblem("person.password", expected="another password than the first")
    hashed = _hash(password)
    with parts.store.write() as work:
        session, found, now = _unfinished(work, secret, {"password"})
        found = replace(found, password=hashed, must_change=False)
        work.change_credentials(found)
        work.end_session(session.digest)
        opened = open_session(work, found.person.id, _next_stage(found), now)
        work.record([entry("password_changed", now, login=found.person.login)])
        work.commit()
    return opened


def change_password(parts: Parts, secret: str, current: str, password: str) -> Opened:
    """Somebody signed in changes their password; every other session of theirs ends, this one gets a new secret."""
    with parts.store.read() as work:
        _, known, _ = _unfinished(work, secret, {"open"})
    count_attempt(parts, f"login:{known.person.login}", TRIES_PER_LOGIN)
    require_password(password, known.person.login, COMMON, parts.known_password)
    right = bool(known.password) and _matches(known.password, current)
    hashed = _hash(password)
    with parts.store.write() as work:
        _, found, now = _unfinished(work, secret, {"open"})
        if not right or found.password != known.password:
            _fail(work, found, now, "password")
            raise CallerProblem("access.refused")
        work.change_credentials(replace(found, password=hashed))
        work.end_sessions(found.person.id)
        opened = open_session(work, found.person.id, "open", now)
        work.record([entry("password_changed", now, login=found.person.login)])
        work.commit()
    return opened


def enrolment(parts: Parts, secret: str) -> tuple[str, str]:
    """The second factor's secret and its ``otpauth`` address, while it is being enrolled."""
    with parts.store.read() as work:
        _, found, _ = _unfinished(work, secret, {"enrol"})
    totp = _totp(parts, found)
    return totp.secret, totp.provisioning_uri(name=found.person.login, issuer_name=_ISSUER)


def visit(parts: Parts, secret: str, *, used: bool = True) -> tuple[Session, Person] | None:
    """Whose session this is, None where it has run out or its person was disabled.

    ``used``: that somebody does something; a page that looks for itself how far long work has come keeps none open.
    """
    digest = digest_of(secret)
    with parts.store.read() as work:
        now = work.pulse().now
        found = work.session(digest)
    if found is None:
        return None
    session, person = found
    if now >= session.expires_at or now - session.seen_at >= IDLE or person.state != "active":
        return None
    if used and now - session.seen_at >= _TOUCH:
        with parts.store.write() as work:
            work.touch_session(digest, now)
            work.commit()
    return session, person


def is_recent(parts: Parts, session: Session, within: timedelta) -> bool:
    """Whether who this is was proved not long ago: a session is new, under a new secret, after every proof."""
    with parts.store.read() as work:
        return work.pulse().now - session.created_at < within


def prove_again(parts: Parts, secret: str, code: str) -> Opened:
    """Somebody signed in proves once more, by a code, who they are; the session goes on under a new secret.

    Its end stays where it was: a proof is not another sign-in.

    Raises ``CallerProblem``: ``access.over``, ``access.refused``.
    """
    with parts.store.write() as work:
        session, found, now = _unfinished(work, secret, {"open"})
        step = _accepted_step(parts, found, code, now) if found.totp else None
        if step is None or _closed(found, now):
            _fail(work, found, now, "code")
            raise CallerProblem("access.refused")
        work.change_credentials(replace(found, totp_step=step, failures=0, locked_until=None))
        work.end_session(session.digest)
        opened = open_session(work, found.person.id, "open", now, session.expires_at)
        work.record([entry("proved_again", now, login=found.person.login)])
        # Crash before this commit: the code is still good. After it, with the answer lost: one signs in again.
        work.commit()
    return opened


def open_sessions(parts: Parts, person: str) -> list[Session]:
    """The sessions by which somebody is signed in just now, the newest first."""
    with parts.store.read() as work:
        now = work.pulse().now
        found = work.sessions_of(person)
    return [one for one in found if one.stage == "open" and now < one.expires_at and now - one.seen_at < IDLE]


def end_own_sessions(parts: Parts, secret: str, digest: str = "") -> None:
    """End one other session of one's own, or all but this one; whoever's it is else stays untouched."""
    with parts.store.write() as work:
        session, found, now = _unfinished(work, secret, {"open"})
        others = [one.digest for one in work.sessions_of(found.person.id) if one.digest != session.digest]
        ended = [one for one in others if digest in {"", one}]
        for one in ended:
            work.end_session(one)
        work.record([entry("sessions_ended", now, login=found.person.login, count=len(ended))])
        work.commit()


def is_local(parts: Parts, login: str) -> bool:
    """Whether somebody signs in with a password here, and not by an identity provider."""
    with parts.store.read() as work:
        found = work.credentials(login)
    return found is not None and bool(found.password)


def sign_out(parts: Parts, secret: str, login: str) -> None:
    """End this session."""
    with parts.store.write() as work:
        work.end_session(digest_of(secret))
        work.record([entry("signed_out", work.pulse().now, login=login)])
        work.commit()


def note(parts: Parts, kind: str, **facts: Any) -> None:
    """Write an entry of its own, for what changes nothing and must be known: something was viewed, or refused."""
    with parts.store.write() as work:
        work.record([entry(kind, work.pulse().now, **facts)])
        work.commit()


def count_attempt(parts: Parts, key: str, limit: int) -> None:
    """Count one attempt of its kind this minute. Raises ``CallerProblem`` ``access.too-many``."""
    with parts.store.write() as work:
        now = work.pulse().now
        window = now.replace(second=0, microsecond=0)
        seen = work.count_attempt(parts.vault.pseudonym(f"attempt:{key}"), window)
        work.commit()
    if seen > limit:
        raise CallerProblem("access.too-many", retry_after=int((window + _WINDOW - now).total_seconds()) + 1)


def begin_errand(parts: Parts, memory: str) -> str:
    """Remember a browser that is sent to the identity provider; returns the secret for its cookie."""
    secret = secrets.token_urlsafe(32)
    with parts.store.write() as work:
        work.add_errand(digest_of(secret), memory, work.pulse().now + UNFINISHED)
        work.commit()
    return secret


def finish_errand(parts: Parts, secret: str) -> str:
    """What was remembered of it, once. Raises ``CallerProblem`` ``access.provider``."""
    with parts.store.write() as work:
        memory = work.take_errand(digest_of(secret), work.pulse().now)
        work.commit()
    if memory is None:
        raise CallerProblem("access.provider")
    return memory


def digest_of(secret: str) -> str:
    """What is stored of a secret: it has 256 bits of chance, so a plain hash cannot be guessed back."""
    return hashlib.sha256(secret.encode()).hexdigest()


# --- inside


def _unfinished(work: Work, secret: str, stages: set[str]) -> tuple[Session, Credentials, datetime]:
    """The session at one of these stages and whose it is. Raises ``CallerProblem`` ``access.over``."""
    now = work.pulse().now
    found = work.session(digest_of(secret))
    if found is None or found[0].stage not in stages or now >= found[0].expires_at:
        raise CallerProblem("access.over")
    whose = work.credentials(found[1].login)
    if whose is None or whose.person.state != "active":
        raise CallerProblem("access.over")
    return found[0], whose, now


def open_session(work: Work, person: str, stage: str, now: datetime, until: datetime | None = None) -> Opened:
    """A new session under a new secret, at one step of signing in; ``until``: its end, where not the usual one."""
    secret = secrets.token_urlsafe(32)
    until = until or now + (ABSOLUTE if stage == "open" else UNFINISHED)
    session = Session(digest_of(secret), person, stage, secrets.token_urlsafe(32), now, now, until)
    work.add_session(session)
    return Opened(secret, session)


def _fail(work: Work, found: Credentials, now: datetime, rule: str) -> None:
    """Count a failure, and close the account for a while where there were too many; commits."""
    if _closed(found, now):
        rule = "closed"
    else:
        failures = found.failures + 1
        delay = delay_after(failures)
        work.change_credentials(replace(found, failures=failures, locked_until=now + delay if delay else None))
    work.record([entry("sign_in_refused", now, login=found.person.login, rule=rule)])
    work.commit()


def _fail_from(work: Work, found: Credentials, before: Origin, now: datetime, *, rule: str) -> None:
    """Count a failure from one address, and let it wait where there were too many; commits."""
    if rule != "closed":
        failures = before.failures + 1
        delay = delay_after(failures)
        kept = replace(before, failures=failures, locked_until=now + delay if delay else None, seen_at=now)
        work.keep_origin(kept)
    work.record([entry("sign_in_refused", now, login=found.person.login, rule=rule)])
    work.commit()


def _origin(parts: Parts, address: str) -> str:
    """What is kept of a network address: nobody reads back whence somebody came."""
    return parts.vault.pseudonym(f"origin:{address}")


def _closed(found: Credentials, now: datetime) -> bool:
    locked = found.locked_until is not None and now < found.locked_until
    return locked or found.person.state != "active" or not found.password


def _next_stage(found: Credentials) -> str:
    if found.must_change:
        return "password"
    return "second" if found.totp_step > UNCONFIRMED else "enrol"


def _with_second_factor(parts: Parts, work: Work, found: Credentials) -> Credentials:
    """Somebody without a second factor gets its secret now, to be shown and confirmed at a later step."""
    if found.totp:
        return found
    key = parts.vault.unwrap(found.wrapped_key)
    made = replace(found, totp=parts.vault.encrypt(key, pyotp.random_base32().encode(), found.person.id))
    work.change_credentials(made)
    return made


def _totp(parts: Parts, found: Credentials) -> pyotp.TOTP:
    secret = parts.vault.decrypt(parts.vault.unwrap(found.wrapped_key), found.totp, found.person.id)
    return pyotp.TOTP(secret.decode(), interval=STEP_SECONDS)


def _accepted_step(parts: Parts, found: Credentials, code: str, now: datetime) -> int | None:
    """The step a code belongs to: this one or a neighbour that is allowed, and never one that was accepted before."""
    totp, given = _totp(parts, found), "".join(code.split())
    current = int(now.timestamp()) // STEP_SECONDS
    near = parts.limits.totp_neighbours
    for step in sorted(range(current - near, current + near + 1), key=lambda one: abs(one - current)):
        if step > found.totp_step and hmac.compare_digest(totp.generate_otp(step).encode(), given.encode()):
            return step
    return None


def _first_password() -> str:
    """Four groups that can be read out on the telephone: 79 bits of chance."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


def _hash(password: str) -> str:
    with _few:
        return _hasher.hash(password)


def _matches(hashed: str, password: str) -> bool:
    with _few:
        try:
            return _hasher.verify(hashed, password)
        except VerificationError:
            return False
