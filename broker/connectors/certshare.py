"""The e-licence sharing platform of Shandong and its cities (证照共享): account and token, SM2-encrypted answers.

``POST <endpoint>/<operation>`` with ``{"head": {accessId, accessToken}, "data": {…, useCause}}``; the answer is
``{"head": {status, message}, "data": …}`` whose data is hex SM2 ciphertext (C1‖C2‖C3) to our key.

Connection: credentials ``account``, ``password``, ``private_key`` (PEM; without it answers are expected in the clear,
with it a clear answer is UNTRUSTED); options ``use_cause`` ("object" or "string") and ``services``.
Source options: those of :mod:`broker.connectors.reading`, and ``verify``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

import orjson

from broker.connectors.reading import (
    AnswerOk,
    Record,
    Settled,
    at,
    body_of,
    code_of,
    credential,
    is_long_term,
    json_of,
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
from broker.core.answer import Answer, Matter, Question, Reason
from broker.core.catalog import Form, Source
from broker.core.day import CHINA
from broker.core.errors import OperatorProblem, SourceProblem
from broker.ports import Connection, Conversation, HttpRequest, HttpResponse

Decrypt: TypeAlias = Callable[[str, bytes], bytes]
"""Private key (PEM) and C1‖C2‖C3 to plaintext; ``SourceProblem`` when the text is not for this key."""

STATUSES: Final[Mapping[int, Reason]] = {  # head.status
    0: Reason.VALID,
    2: Reason.CATALOGUE_DRIFT,  # this interface is not offered
    10: Reason.NOT_FOUND,
    11: Reason.AUTHENTICATION,
    12: Reason.SOURCE_REFUSED_QUESTION,  # a required parameter is empty
    13: Reason.CATALOGUE_DRIFT,  # the type does not exist or is not published
    21: Reason.REVOKED,  # or cancelled
    22: Reason.EXPIRED,
    23: Reason.RESTRICTED,
    99: Reason.SOURCE_DOWN,  # any other exception
    100: Reason.NOT_PERMITTED,  # this account must apply for this type first
    101: Reason.SOURCE_CONFIGURATION,
    102: Reason.SOURCE_REFUSED_QUESTION,
    103: Reason.SOURCE_REFUSED_QUESTION,  # holder type
    105: Reason.CATALOGUE_DRIFT,  # no catalogue
    106: Reason.CATALOGUE_DRIFT,  # several catalogues
    107: Reason.CATALOGUE_DRIFT,  # no template
    108: Reason.CATALOGUE_DRIFT,  # several templates
    109: Reason.SOURCE_REFUSED_QUESTION,  # certificate number empty
    110: Reason.SOURCE_REFUSED_QUESTION,  # holder number empty
    111: Reason.SOURCE_REFUSED_QUESTION,  # holder name empty
    113: Reason.SOURCE_REFUSED_QUESTION,  # certificate type
}

RESULTS: Final[Mapping[int, Reason]] = {  # data.result of verifyCertInfo
    0: Reason.VALID,
    1: Reason.NOT_YET_ACTIVE,
    2: Reason.FROZEN,
    3: Reason.REVOKED,  # revoked, cancelled, expired or changed: no longer valid
    4: Reason.AMBIGUOUS,  # not enough information, several hits
    5: Reason.NOT_FOUND,
    6: Reason.SOURCE_REFUSED_QUESTION,  # certData empty
    7: Reason.MISMATCH,
}

_DIGITS: Final = re.compile(r"0|[1-9][0-9]{0,3}")


class CertShare:
    """Queries and verifies certificates by holder."""

    def __init__(self, answer_ok: AnswerOk, decrypt: Decrypt) -> None:
        self._answer_ok = answer_ok
        self._decrypt = decrypt

    def ask(self, question: Question, source: Source, connection: Connection, now: datetime) -> Conversation:
        """One request; several certificates of one holder are one answer only if a single one is valid."""
        try:
            return (yield from self._ask(question, source, connection, now))
        except Settled as end:
            return end.answer

    def _ask(
        self, question: Question, source: Source, connection: Connection, now: datetime
    ) -> Generator[HttpRequest, HttpResponse, Answer]:
        operation, data = _operation(question, source, connection)
        response = yield _request(question, connection, operation, data)
        document = self._payload(response, source, connection)
        if question.form is Form.VERIFY:
            return _verified(document)
        return _certificate(records_of(document), question, source, now)

    def _payload(self, response: HttpResponse, source: Source, connection: Connection) -> object:
        """The decrypted data of an answer whose status is 0, checked against the source's schema."""
        envelope = json_of(body_of(response))
        status = at(envelope, "head.status")
        reason = STATUSES.get(_number(status), Reason.MALFORMED)
        if reason is not Reason.VALID:
            settle(reason, status)
        document = self._in_clear(envelope.get("data"), connection)
        if not self._answer_ok(source.key, document):
            settle(Reason.MALFORMED, status)
        return document

    def _in_clear(self, data: object, connection: Connection) -> object:
        """Either all of ``data`` is ciphertext or its ``certData``; a key of ours demands that one of them is."""
        key = connection.credentials.get("private_key")
        inner = data.get("certData", data) if isinstance(data, dict) else data
        if key is None or inner is None:
            return inner
        if not isinstance(inner, str):
            settle(Reason.UNTRUSTED)
        document = json_of(self._plaintext(key, inner))
        return document.get("certData", document) if isinstance(document, dict) else document

    def _plaintext(self, key: str, ciphertext: str) -> bytes:
        try:
            return self._decrypt(key, bytes.fromhex(ciphertext))
        except (SourceProblem, ValueError):
            settle(Reason.UNTRUSTED)
        except OperatorProblem:
            settle(Reason.NOT_CONFIGURED)


def _operation(question: Question, source: Source, connection: Connection) -> tuple[str, dict[str, Any]]:
    subject, service = question.subject, service_of(source, connection)
    cause = use_cause(question.matter, connection.options.get("use_cause", "object"))
    if question.form is Form.QUERY:
        asked = {"holderCode": subject.number, "holderTypeCode": subject.id_type, "certTypeCode": service}
        return "queryCertInfoByHolderCode", asked | {"useCause": cause}
    if question.form is Form.VERIFY:
        face = {theirs: parameter(spec, question) for theirs, spec in source.options.get("verify", {}).items()}
        asserted = {"holderCode": subject.number, "holder": subject.name} | face
        if "certNo" not in asserted:
            settle(Reason.INSUFFICIENT)  # the platform wants the certificate's number, which no question carries
        return "verifyCertInfo", {"certTypeCode": service, "certData": asserted, "useCause": cause}
    raise Settled(Reason.NOT_CONFIGURED)


def use_cause(matter: Matter, shape: str) -> dict[str, str] | str:
    """用证事由 from the case: an object, or the same as a JSON string for the platforms that want text."""
    cause = {
        "certificateSystemName": matter.system,
        "certificateCopyCause": matter.reason,
        "certificateCallCategory": "0",  # for a service item; we never ask outside one
        "certificateMatterName": matter.item_name,
        "certificateEventCode": matter.item_code,
    }
    return orjson.dumps(cause).decode() if shape == "string" else cause


def access_token(password: str) -> str:
    """What the platform compares: the MD5 of the account's password, 32 lower-case hex digits."""
    return hashlib.md5(password.encode(), usedforsecurity=False).hexdigest()


def _request(question: Question, connection: Connection, operation: str, data: Mapping[str, Any]) -> HttpRequest:
    token = access_token(credential(connection, "password"))
    head = {"accessId": credential(connection, "account"), "accessToken": token}
    return HttpRequest(
        "POST",
        f"{connection.endpoint}/{operation}",
        {"Content-Type": "application/json", "X-Request-Id": question.lookup_id},
        orjson.dumps({"head": head, "data": data}),
    )


def _number(value: object) -> int:
    """A code sent as a number or as the same number's digits; -1, which is no code, for anything else."""
    digits = text_of(value) or ""
    return int(digits) if _DIGITS.fullmatch(digits) else -1


def _verified(document: object) -> Answer:
    result = object_of(document).get("result")
    return Answer(RESULTS.get(_number(result), Reason.MALFORMED), source_code=code_of(result))


def _certificate(records: Sequence[Record], question: Question, source: Source, now: datetime) -> Answer:
    if not records:
        return Answer(Reason.NOT_FOUND, source_code="0")
    standing = [(_standing(record, source, now), record) for record in records]
    valid = [record for reason, record in standing if reason is Reason.VALID]
    if valid:
        return told(the_one(valid, source.options), question, source, "0")
    reason, record = standing[0]
    answer = told(record, question, source, "0")
    return Answer(reason, answer.fields, answer.holder_number, answer.as_of, answer.source_code)


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
