"""The e-licence sharing platform of Shandong and its cities (证照共享): certificates by holder, by number, by 用证码.

How it is called stands in :mod:`broker.connectors.certshare_call`, files in :mod:`broker.connectors.certshare_files`,
and the holder's consent in :mod:`broker.connectors.certshare_consent`.

Connection: credentials ``account``, ``password``, ``private_key`` (PEM; without it answers are expected in the clear,
with it a clear answer is UNTRUSTED); options ``use_cause`` ("object", "string" or "text"), ``services``, ``consent``,
``base`` (what stands before ``/ChannelVerify``, where it is not the endpoint's parent) and ``download_origin``.
Source options: those of :mod:`broker.connectors.reading`, ``verify``, ``file`` and ``consent``.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from broker.connectors.certshare_call import RESULTS, STATUSES, Decrypt, Platform, access_token, number_of, use_cause
from broker.connectors.certshare_consent import consented
from broker.connectors.certshare_files import file_fields
from broker.connectors.reading import (
    AnswerOk,
    Record,
    at,
    code_of,
    conversation,
    is_long_term,
    moment,
    object_of,
    parameter,
    records_of,
    service_of,
    settle,
    text_of,
    the_one,
    told,
)
from broker.core.answer import Answer, Outcome, Question, Reason, Reply, Waiting
from broker.core.catalog import Form, Source
from broker.core.day import CHINA
from broker.core.identifiers import certificate_type_of
from broker.ports import Connection, Conversation, HttpRequest, HttpResponse

__all__ = ["RESULTS", "STATUSES", "CertShare", "Decrypt", "access_token", "use_cause"]


class CertShare:
    """Queries certificates, verifies them, and fetches their files."""

    def __init__(self, answer_ok: AnswerOk, decrypt: Decrypt) -> None:
        self._answer_ok = answer_ok
        self._decrypt = decrypt

    @conversation
    def ask(self, question: Question, source: Source, connection: Connection, now: datetime) -> Conversation:
        """One request, and for a file one or two more; several certificates are one answer only if one is valid."""
        return (yield from _Inquiry(self._answer_ok, self._decrypt, question, source, connection, now).answer())


class _Inquiry:
    """One question on its way."""

    def __init__(
        self,
        answer_ok: AnswerOk,
        decrypt: Decrypt,
        question: Question,
        source: Source,
        connection: Connection,
        now: datetime,
    ) -> None:
        self._answer_ok = answer_ok
        self._platform = Platform(connection, decrypt, question.lookup_id)
        self._question = question
        self._source = source
        self._now = now
        self._type = service_of(source, connection)
        self._by_consent = source.options.get("consent", connection.options.get("consent", False)) is True
        named = [one for one in question.certificates if certificate_type_of(one) == self._type]
        self._named = named[0] if len(named) == 1 else ""  # several: which one is meant, nobody has said
        self._cause = use_cause(question.matter, connection.options.get("use_cause", "object"))

    def answer(self) -> Generator[HttpRequest, HttpResponse, Reply]:
        """What the platform makes of it."""
        if self._question.form is Form.VERIFY:
            document = yield from self._platform.call("verifyCertInfo", self._asserted())
            return _verified(self._sound(document))
        document = yield from self._certificates()
        if isinstance(document, Waiting):
            return document
        records = self._asked_for(records_of(self._sound(document)))
        record, answer = _certificate(records, self._question, self._source, self._now)
        if self._question.form is Form.QUERY or answer.outcome is not Outcome.HELD:
            return answer
        found = yield from file_fields(self._platform, record, self._question, self._source, self._cause)
        return replace(answer, fields={**answer.fields, **found})

    def _certificates(self) -> Generator[HttpRequest, HttpResponse, Any]:
        """By what the holder shows, else by the number the case names, else by the holder."""
        question = self._question
        if self._by_consent and (question.token or question.memo):
            return (yield from consented(self._platform, question, self._type, self._cause, self._now))
        if question.token:
            return self._of_our_type((yield from self._shown()))
        if self._named:
            asked: dict[str, Any] = {"certIdentifier": self._named, "useCause": self._cause}
            return _listed((yield from self._platform.call("queryCertInfo", asked)))
        subject = question.subject
        asked = {"holderCode": subject.number, "holderTypeCode": subject.id_type, "certTypeCode": self._type}
        return (yield from self._platform.call("queryCertInfoByHolderCode", asked | {"useCause": self._cause}))

    def _asked_for(self, records: Sequence[Record]) -> Sequence[Record]:
        """The faces, each of the type asked for, and of the number where one was: another is no answer to us."""
        by_number = self._named if not self._question.token else ""
        for record in records:
            identifier = text_of(at(record, "cert_identifier")) or ""
            if f".{self._type}." not in identifier or (by_number and identifier != by_number):
                settle(Reason.MALFORMED, "0")
        return records

    def _shown(self) -> Generator[HttpRequest, HttpResponse, Any]:
        asked = {"qrcode": self._question.token, "useCause": self._cause}
        return _listed((yield from self._platform.call("queryCertInfoByQRcode", asked)))

    def _of_our_type(self, shown: Any) -> Any:
        """A 用证码 may show another certificate than the one asked for; that one says nothing about ours."""
        if not isinstance(shown, list):
            return shown
        ours = [one for one in shown if certificate_type_of(text_of(at(one, "cert_identifier")) or "") == self._type]
        return ours or settle(Reason.INSUFFICIENT, "0")

    def _sound(self, document: Any) -> Any:
        if not self._answer_ok(self._source.key, document):
            settle(Reason.MALFORMED, "0")
        return document

    def _asserted(self) -> dict[str, Any]:
        question = self._question
        face = {theirs: parameter(spec, question) for theirs, spec in self._source.options.get("verify", {}).items()}
        asserted = {"holderCode": question.subject.number, "holder": question.subject.name} | face
        if "certNo" not in asserted:
            settle(Reason.INSUFFICIENT)  # the platform wants the certificate's number, which no question carries
        return {"certTypeCode": self._type, "certData": asserted, "useCause": self._cause}


def _listed(document: Any) -> Any:
    """One certificate as the list that a query by holder gives."""
    return [document] if isinstance(document, dict) else document


def _verified(document: object) -> Answer:
    result = object_of(document).get("result")
    return Answer(RESULTS.get(number_of(result), Reason.MALFORMED), source_code=code_of(result))


def _certificate(records: Sequence[Record], question: Question, source: Source, now: datetime) -> tuple[Record, Answer]:
    """The certificate meant, and what it says."""
    if not records:
        settle(Reason.NOT_FOUND, "0")
    standing = [(_standing(record, source, now), record) for record in records]
    valid = [record for reason, record in standing if reason is Reason.VALID]
    if valid:
        one = the_one(valid, source.options)
        return one, told(one, question, source, "0")
    if len({reason for reason, _ in standing}) > 1:
        record = the_one(records, source.options)  # expired, or not active yet? Not for us to choose
        reason = _standing(record, source, now)
    else:
        reason, record = standing[0]
    return record, replace(told(record, question, source, "0"), reason=reason)


def _standing(record: Record, source: Source, now: datetime) -> Reason:
    """Whether the certificate's own period covers today; the platform's status is not updated on the day."""
    fields, today = source.options.get("fields", {}), now.astimezone(CHINA).date()
    start = _day(record, fields.get("valid_from"))
    end = _day(record, fields.get("valid_until"))
    if start is not None and start.astimezone(CHINA).date() > today:
        return Reason.NOT_YET_ACTIVE
    return Reason.EXPIRED if end is not None and end.astimezone(CHINA).date() < today else Reason.VALID


def _day(record: Record, path: str | None) -> datetime | None:
    written = text_of(at(record, path)) if path else None
    if not written or is_long_term(written):
        return None
    return moment(written) or settle(Reason.MALFORMED)
