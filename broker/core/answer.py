"""Questions to sources, their answers, and what an answer means for one material.

Three-valued and reasoned: HELD, NOT_HELD (a business fact), UNKNOWN. UNKNOWN never exempts and never refuses.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from broker.core.case import Operator, Party, Request
from broker.core.catalog import Expectation, Form, Source
from broker.core.envelope import canonical
from broker.core.spelling import spelt


class Outcome(StrEnum):
    """What a source's answer says of the fact asked for."""

    HELD = "held"
    NOT_HELD = "not_held"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why; the part before the dot is the outcome it belongs to, ``reasons`` has both languages and the next step."""

    VALID = "held.valid"
    REVOKED = "not_held.revoked"
    EXPIRED = "not_held.expired"
    RESTRICTED = "not_held.restricted"
    NOT_YET_ACTIVE = "not_held.not-yet-active"
    FROZEN = "not_held.frozen"
    MISMATCH = "not_held.mismatch"
    DECEASED = "not_held.deceased"
    CANCELLED = "not_held.cancelled"
    DENIED = "not_held.denied"  # a person in the source department says that it is not so
    NOT_FOUND = "unknown.not-found"
    AMBIGUOUS = "unknown.ambiguous"
    NO_EARLIER = "unknown.no-earlier-evidence"  # nothing fresh was verified before, under the same grant
    INSUFFICIENT = "unknown.insufficient"
    SOURCE_DOWN = "unknown.source-down"
    SOURCE_STOPPED = "unknown.source-stopped"  # a person has stopped it: it is not asked until a person opens it again
    LATE = "unknown.late"
    MALFORMED = "unknown.malformed"
    EFFECT_UNKNOWN = "unknown.effect-unknown"  # it was sent, and nobody knows whether it was done: not sent again
    UNTRUSTED = "unknown.untrusted"  # a signature, a decryption or a claim about time did not hold
    WRONG_PERSON = "unknown.wrong-person"
    NAME_DIFFERS = "unknown.name-differs"  # the number agrees, and the name is written otherwise: nobody knows more
    STALE = "unknown.stale"
    NOT_PERMITTED = "unknown.not-permitted"  # the source refuses us, or no grant of ours covers it
    AUTHENTICATION = "unknown.authentication"  # the source does not know our credentials
    CATALOGUE_DRIFT = "unknown.catalogue-drift"  # type, service or template not known at the source any more
    SOURCE_REFUSED_QUESTION = "unknown.question-refused"  # the source calls a parameter of ours wrong
    SOURCE_CONFIGURATION = "unknown.source-configuration"  # the source's own set-up is broken
    THROTTLED = "unknown.throttled"
    PROPOSED = "unknown.proposed"  # the list's row is not confirmed yet
    NOT_CONFIGURED = "unknown.not-configured"  # the deployment has no connection or service id for this source
    CANNOT_SAY = "unknown.cannot-say"  # a person in the source department cannot say
    CONSENT_REFUSED = "unknown.consent-refused"  # the holder does not agree
    CONSENT_REVOKED = "unknown.consent-revoked"  # the holder no longer agrees
    CONSENT_EXPIRED = "unknown.consent-expired"  # the holder has not decided in time, or the consent is over
    OBJECTED = "unknown.objected"  # the record is marked: somebody objects to it, and it is not verified yet
    OVERDUE = "unknown.overdue"  # nobody in the source department answered in time

    @property
    def outcome(self) -> Outcome:
        """The outcome this reason belongs to."""
        return Outcome(self.value.split(".", 1)[0])

    @property
    def passes(self) -> bool:
        """Whether asking again later may well give an answer: the road or the source's set-up was at fault."""
        return self in _PASSING


_PASSING = frozenset({
    Reason.SOURCE_DOWN, Reason.SOURCE_STOPPED, Reason.LATE, Reason.EFFECT_UNKNOWN, Reason.MALFORMED,
    Reason.UNTRUSTED, Reason.WRONG_PERSON, Reason.AUTHENTICATION, Reason.SOURCE_CONFIGURATION, Reason.THROTTLED,
})  # fmt: skip


class Awaited(StrEnum):
    """What an answer waits for when it comes later than a conversation lasts."""

    CONSENT = "pending.consent"  # the holder's consent (持证人授权)
    DEPARTMENT = "pending.department_check"  # a person in the source department (部门间核查)
    SOURCE = "pending.source"  # the source, to be back: so does the check of a commitment, never a decision


@dataclass(frozen=True, slots=True)
class Matter:
    """What a question is asked for: filled from the case, never from a caller's constant (useCause, additional …)."""

    system: str  # the approval system's name
    case_number: str
    item_code: str  # 实施编码 where known, else our item key
    item_name: str
    material_name: str
    region: str
    basis: str
    applicant: Party = field(repr=False)
    operator: Operator = field(repr=False)
    legal_basis: str = ""  # the law by which the list's rows ask this source

    @property
    def reason(self) -> str:
        """用证事由, at most 200 characters as the e-licence platform takes it."""
        return f"办理{self.item_name}（办件{self.case_number}）核验{self.material_name}"[:200]


@dataclass(frozen=True, slots=True)
class Question:
    """One lookup as asked: frozen when admitted, encrypted at rest."""

    lookup_id: str
    source: str
    form: Form
    subject: Party = field(repr=False)
    related: Party | None = field(repr=False)
    fields: tuple[str, ...]
    matter: Matter = field(repr=False)
    token: str = field(default="", repr=False)  # 用证码: what the holder showed, good for one use
    memo: str = field(default="", repr=False)  # what the connector left with its last ``Waiting``; "" the first time
    certificates: tuple[str, ...] = field(default=(), repr=False)  # identifiers (GB/T 36904) the holder has named


@dataclass(frozen=True, slots=True)
class Answer:
    """What a connector made of a source's answer, in our words.

    ``fields`` holds only fields that were asked for, as text; ``holder_number`` is the identifier the source itself
    names as the holder ("" where its protocol echoes none); ``as_of`` is the source's own time of its data.
    """

    reason: Reason
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    holder_number: str = field(default="", repr=False)
    as_of: datetime | None = None
    source_code: str = ""  # the source's own status code, never free text of its

    @property
    def outcome(self) -> Outcome:
        """The reason's outcome."""
        return self.reason.outcome


@dataclass(frozen=True, slots=True)
class Order:
    """That a person is to answer (部门间核查): of which unit, and when they are reminded if they have not."""

    unit: str  # credit code
    remind_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """That the answer comes later: the lookup is asked again at ``again_at``, with ``memo``.

    ``until`` is what the preliminary receipt promises; the connector itself ends the waiting when it is asked after it.
    With an ``order``, the flow puts the question before a person, whose answer ends the waiting too.
    """

    awaited: Awaited
    again_at: datetime
    until: datetime
    memo: str = field(default="", repr=False)
    order: Order | None = None


Reply: TypeAlias = Answer | Waiting


@dataclass(frozen=True, slots=True)
class Wait:
    """That a lookup of a verification is waited for, and how long at most."""

    awaited: Awaited
    until: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer as kept: with its salted digest, which proves it after the answer is gone."""

    answer: Answer
    digest: str  # hex SHA-256 of salt ‖ canonical answer; "" when nothing came back
    asked_at: datetime
    answered_at: datetime
    origin: str = ""  # 复用: the verification it was found for; "" where that is this one


MAX_CLOCK_LEAD = timedelta(minutes=5)  # a source's data may not come from further in the future than clocks drift


def trimmed(question: Question, answer: Answer) -> Answer:
    """Only the granted fields; whatever else a source volunteers is dropped before anyone can store it."""
    kept = {name: value for name, value in answer.fields.items() if name in question.fields}
    return Answer(answer.reason, kept, answer.holder_number, answer.as_of, answer.source_code)


def checked(question: Question, answer: Answer, source: Source, now: datetime) -> Answer:
    """The answer – or UNKNOWN where it speaks of another person, of the future, or of data older than allowed."""
    if answer.outcome is Outcome.UNKNOWN:
        return Answer(answer.reason, source_code=answer.source_code)  # what came with it decides nothing: not kept
    if answer.holder_number and answer.holder_number.upper() != question.subject.number.upper():
        return Answer(Reason.WRONG_PERSON, source_code=answer.source_code)
    if answer.as_of is not None and answer.as_of > now + MAX_CLOCK_LEAD:
        return Answer(Reason.UNTRUSTED, source_code=answer.source_code)
    if answer.as_of is not None and answer.as_of < now - timedelta(days=source.freshness_days):
        return Answer(Reason.STALE, source_code=answer.source_code)
    return trimmed(question, answer)


def data_time(told: Answer, kept: Answer) -> datetime | None:
    """The source's own time of what it told, where that can be believed – also of what was ``kept`` as stale only."""
    return told.as_of if kept.outcome is not Outcome.UNKNOWN or kept.reason is Reason.STALE else None


def answer_bytes(answer: Answer) -> bytes:
    """The canonical bytes that are digested and stored encrypted."""
    return canonical(
        {
            "reason": answer.reason.value,
            "fields": dict(answer.fields),
            "holder": answer.holder_number,
            "as_of": answer.as_of.isoformat() if answer.as_of else "",
            "code": answer.source_code,
        }
    )


def answer_digest(salt: bytes, body: bytes) -> str:
    """SHA-256 over salt ‖ answer bytes; deleting either keeps the proof and hides the content."""
    return hashlib.sha256(salt + body).hexdigest()


def judge(
    answer: Answer, expectations: tuple[Expectation, ...], holder: Party, request: Request, today: date
) -> Reason:
    """What the answer means for one material: its own reason, or the first expectation that does not hold.

    A field the source did not send is MALFORMED (we do not know), a field with another value MISMATCH (we know) – but a
    *name* with another spelling is NAME_DIFFERS: registers and people write 吕 and 呂, and a doubt is no refusal. Where
    anything else fails as well, that is the reason.
    """
    if answer.outcome is not Outcome.HELD:
        return answer.reason
    doubt = Reason.VALID
    for rule in expectations:
        reason = _judge_one(answer.fields.get(rule.field), rule, holder, request, today)
        if reason is Reason.NAME_DIFFERS:
            doubt = reason
        elif reason is not Reason.VALID:
            return reason
    return doubt


def _judge_one(value: str | None, rule: Expectation, holder: Party, request: Request, today: date) -> Reason:
    if value is None or not value.strip():
        return Reason.MALFORMED
    if rule.op == "present":
        return Reason.VALID
    if rule.op == "not_expired":
        until = _day(value)
        if until is None:
            return Reason.MALFORMED
        return Reason.VALID if until >= today else Reason.EXPIRED
    return _compared(value, rule, holder, request)


def _compared(value: str, rule: Expectation, holder: Party, request: Request) -> Reason:
    expected = rule.values if rule.to is None else _referred(rule.to, holder, request)
    if not expected:
        return Reason.INSUFFICIENT  # the request does not name the person to compare with
    if spelt(value) in {spelt(one) for one in expected}:
        return Reason.VALID
    return Reason.NAME_DIFFERS if rule.to is not None and rule.to.endswith(".name") else Reason.MISMATCH


LONG_TERM = {"长期", "长期有效", "99991231", "9999-12-31"}  # how licences print "no end date"


_DAY = re.compile(  # 20301231, 2030-12-31, 2030/1/5, 2030年1月5日; a time of day may follow, another date not
    r"([0-9]{4})(?:([0-9]{2})([0-9]{2})(?:[0-9]{6})?|([-/.])([0-9]{1,2})\4([0-9]{1,2})|年([0-9]{1,2})月([0-9]{1,2})日)"
    r"(?:[ T][0-9]{1,2}[:时].*)?"
)


def _day(text: str) -> date | None:
    """The day a source prints, None where it could be read in two ways: 2030111 is no day."""
    if text.strip() in LONG_TERM:
        return date.max
    found = _DAY.fullmatch(text.strip())
    if found is None:
        return None
    year, *parts = (part for place, part in enumerate(found.groups()) if part and place != 3)
    try:
        return date(int(year), *map(int, parts))
    except ValueError:
        return None


def _referred(to: str, holder: Party, request: Request) -> tuple[str, ...]:
    role, _, attribute = to.partition(".")
    party = holder if role == "holder" else request.party(role)
    if party is None:
        return ()
    return (party.number if attribute == "number" else party.name,)
