"""The license-app v1 family of e-licence platforms (Guangdong DB44/T 2167.3-2019; Beijing, Shenzhen, Yangtze delta).

Four steps: log in for an access token; ask for the holder's licences at the entry point of the authorisation basis –
``/license/auth`` by statutory duty, ``/license/holder`` with the holder's consent, ``/license/entrust`` by delegation –
which gives an authorisation code for each; get the licence behind a code; and, for a file, its copy for the case
archive. Every document says ``ack_code`` and, where that is not SUCCESS, ``errors``.

Connection: credentials ``app_key``, ``app_secret``, ``account``, ``password``; options ``services``, ``org_code``,
``operator`` (``role``, ``division``, ``division_code``), ``operator_identity`` (true where operators are known by their
citizen number), ``codes`` {their error code: our reason}, ``session_codes`` (errors that ask for another log-in),
``statuses`` {license_status: our reason}, and for the Yangtze delta ``ack`` {path, values} and ``inline`` {record,
file}: its answers carry licence and file at once.
Source: those of :mod:`broker.connectors.reading` over the licence, ``data_fields.<name>`` for its face. The fields
``file`` (Base64), ``file_type`` and ``file_digest`` come with the form FILE.
Session: ``token``, an :class:`AccessToken`.

Inferred, because no public caller shows it: the error codes (so all are configuration, and an unlisted one is
MALFORMED), every status but ISSUED, and what ``/license/entrust`` takes – we send it what ``/license/holder`` takes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from broker.connectors.reading import (
    AnswerOk,
    Record,
    at,
    body_of,
    code_of,
    conversation,
    credential,
    is_long_term,
    json_of,
    moment,
    object_of,
    reason_of,
    records_of,
    refusal_of,
    service_of,
    settle,
    text_of,
    the_one,
    told,
)
from broker.core.answer import Answer, Question, Reason
from broker.core.case import Basis
from broker.core.catalog import Form, Source
from broker.core.day import CHINA
from broker.core.identifiers import is_citizen_id
from broker.ports import Connection, Conversation, HttpRequest, HttpResponse, Repeat

ENTRY_POINTS: Final[Mapping[Basis, str]] = {
    Basis.STATUTORY_DUTY: "/license/auth",
    Basis.HOLDER_CONSENT: "/license/holder",
    Basis.DELEGATION: "/license/entrust",
}
_TOKENS: Final = frozenset({"/license/holder", "/license/entrust"})
"""Entries that take what the holder has shown: nobody says whether it counts twice."""

STATUSES: Final[Mapping[str, str]] = {"ISSUED": "held.valid", "ABOLISHED": "not_held.revoked"}
SESSION_CODES: Final = ("401",)  # HTTP's own; a platform that says it otherwise is configured
ATTEMPTS: Final = 2  # with the token at hand, and once with a new one
PAGE_SIZE: Final = 50
MAX_PAGES: Final = 6  # three hundred licences of one holder under one item: nobody has them, so the list is not meant
MAX_FILE: Final = 512 * 1024  # encoded it must still pass the transport, and be kept with the answer
_ACK: Final[Mapping[str, Any]] = {"path": "ack_code", "values": ["SUCCESS"]}
_KINDS: Final = {b"%PDF-": "application/pdf", b"PK\x03\x04": "application/ofd"}

_NOTHING: Final[Record] = {}

_Heard = Generator[HttpRequest, HttpResponse, Record]


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a log-in gave; good until the platform refuses it."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Found:
    """A licence and the way to its file: an authorisation code, or the file itself where it came along."""

    record: Record = field(repr=False)
    auth_code: str = field(repr=False)
    file: object = field(default=None, repr=False)


class LicenseV1:
    """Queries licences, and fetches their archive copies."""

    def __init__(self, answer_ok: AnswerOk) -> None:
        self._answer_ok = answer_ok

    @conversation
    def ask(self, question: Question, source: Source, connection: Connection, now: datetime) -> Conversation:
        """Two requests with a token at hand, one more for a file; a refused token is renewed once."""
        if question.form is Form.VERIFY:
            settle(Reason.NOT_CONFIGURED)  # the family has no verification
        platform = _Platform(connection, question)
        found = yield from _licence(platform, question, source)
        if not self._answer_ok(source.key, found.record):
            settle(Reason.MALFORMED)
        answer = told(found.record, question, source, platform.good)
        standing = _standing(found.record, connection, now)
        reason = answer.reason if standing is Reason.VALID else standing
        fields = dict(answer.fields)
        if question.form is Form.FILE and reason is Reason.VALID:
            fields |= yield from _file(platform, found, question)
        return Answer(reason, fields, answer.holder_number, answer.as_of, answer.source_code)


class _Platform:
    """One caller's requests for one question."""

    def __init__(self, connection: Connection, question: Question) -> None:
        self.connection = connection
        self._options = connection.options
        self._lookup = question.lookup_id
        self._ack: Mapping[str, Any] = connection.options.get("ack", _ACK)
        self.good = code_of(self._ack["values"][0])

    def call(self, path: str, parameters: Mapping[str, str], document: Mapping[str, Any] | None = None) -> _Heard:
        """The document of a success: a POST of ``document``, else a GET; refusals end the conversation."""
        refusal, heard = "", _NOTHING
        for _ in range(ATTEMPTS):
            token = yield from self._token()
            response = yield self._request(path, {**parameters, "access_token": token.value}, document)
            refusal, heard = self._heard(response)
            if refusal not in (*SESSION_CODES, *self._options.get("session_codes", ())):
                break
            self._forget(token)
        if refusal:
            settle(refusal_of(refusal, {"401": "unknown.authentication", **self._options.get("codes", {})}), refusal)
        return heard

    def _token(self) -> Generator[HttpRequest, HttpResponse, AccessToken]:
        held = self.connection.session.get("token")
        if isinstance(held, AccessToken):
            return held
        names = ("app_key", "app_secret", "account", "password")
        document = {name: credential(self.connection, name) for name in names}
        if "org_code" in self._options:
            document["org_code"] = self._options["org_code"]
        refusal, heard = self._heard((yield self._request("/security/login", {}, document)))
        if refusal:
            settle(reason_of(refusal, {refusal: "unknown.authentication", **self._options.get("codes", {})}), refusal)
        token = AccessToken(text_of(heard.get("access_token")) or settle(Reason.MALFORMED))
        self.connection.session["token"] = token
        return token

    def _forget(self, token: AccessToken) -> None:
        """Only the token that failed: another asker may have logged in meanwhile."""
        if self.connection.session.get("token") is token:
            self.connection.session.pop("token", None)

    def _request(self, path: str, parameters: Mapping[str, str], document: Mapping[str, Any] | None) -> HttpRequest:
        """Codes and tokens travel in the URL, as the platforms will have it; persons only in bodies."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return HttpRequest(
            "GET" if document is None else "POST",
            f"{self.connection.endpoint}{path}{query}",
            {"Content-Type": "application/json", "X-Request-Id": self._lookup},
            b"" if document is None else orjson.dumps(document),
            Repeat.ONCE if path in _TOKENS else Repeat.SAFE,
        )

    def _heard(self, response: HttpResponse) -> tuple[str, Record]:
        """The error code ("" for a success) and the document."""
        if response.status == 401:
            return "401", _NOTHING
        document = object_of(json_of(body_of(response)))
        said = text_of(at(document, self._ack["path"]))
        if said in self._ack["values"]:
            return "", document
        errors = document.get("errors")
        first = errors[0] if isinstance(errors, list) and errors else None
        return code_of(at(first, "code")) or code_of(said) or settle(Reason.MALFORMED), document


def _licence(platform: _Platform, question: Question, source: Source) -> Generator[HttpRequest, HttpResponse, _Found]:
    """The one licence meant, whole. Of several only those in force count, if there are any."""
    service = service_of(source, platform.connection)
    inline = platform.connection.options.get("inline")
    listed = yield from _listed(platform, question)
    if inline is not None:
        return _Found(*_inlined(listed, inline, source))
    matching = [summary for summary in listed if text_of(summary.get("license_item_code")) == service]
    valid = [summary for summary in matching if _status(summary, platform.connection) is Reason.VALID]
    agreed = len({_status(summary, platform.connection) for summary in matching}) == 1  # revoked, whichever is meant
    chosen = the_one(valid or (matching[:1] if agreed else matching), source.options)
    code = text_of(chosen.get("auth_code")) or settle(Reason.MALFORMED)
    document = yield from platform.call("/license/get_license", {"auth_code": code})
    whole = _whole(object_of(document.get("data")))
    if text_of(whole.get("license_item_code")) not in {None, service}:
        settle(Reason.MALFORMED)  # another licence than the summary said
    return _Found(whole, code)


def _listed(platform: _Platform, question: Question) -> Generator[HttpRequest, HttpResponse, Sequence[Record]]:
    """Summaries of the holder's licences, each with its ``auth_code``, from all pages."""
    path, document = _entry(platform.connection, question)
    found: list[Record] = []
    for page in range(1, MAX_PAGES + 1):
        paging = {"page_size": PAGE_SIZE, "page_index": page} if "page_size" in document else {}
        answer = yield from platform.call(path, {}, {**document, **paging})
        listed = records_of(answer.get("data"))
        codes = answer.get("auth_codes", [None] * len(listed))
        if not isinstance(codes, list) or len(codes) != len(listed):
            settle(Reason.MALFORMED)
        found += [{"auth_code": code, **summary} for code, summary in zip(codes, listed, strict=True)]
        if not paging or len(listed) < PAGE_SIZE:
            return found
    settle(Reason.AMBIGUOUS)


def _entry(connection: Connection, question: Question) -> tuple[str, dict[str, Any]]:
    """The entry point of the basis, and what it wants to know of item, case, holder and operator."""
    matter, basis = question.matter, Basis(question.matter.basis)
    document: dict[str, Any] = {
        "service_item_code": matter.item_code,
        "service_item_name": matter.item_name,
        "biz_num": matter.case_number,
    }
    if basis is not Basis.STATUTORY_DUTY:
        return ENTRY_POINTS[basis], document | {"credential": question.token or settle(Reason.INSUFFICIENT)}
    holder = {"identity_number": question.subject.number, "request_id": question.lookup_id}
    paging = {"page_size": PAGE_SIZE, "page_index": 1}
    return ENTRY_POINTS[basis], document | holder | paging | {"operator": _operator(connection, question)}


def _operator(connection: Connection, question: Question) -> dict[str, str]:
    operator = question.matter.operator
    person = {
        "account": operator.id,
        "name": operator.name,
        "service_org": operator.unit_name,
        "service_org_code": operator.unit,
    }
    if not all(person.values()):
        settle(Reason.INSUFFICIENT)
    if connection.options.get("operator_identity"):
        person["identity_num"] = operator.id if is_citizen_id(operator.id) else settle(Reason.INSUFFICIENT)
    return {**connection.options.get("operator", {}), **person}


def _inlined(listed: Sequence[Record], inline: Mapping[str, str], source: Source) -> tuple[Record, str, object]:
    entries = [(object_of(entry.get(inline["record"])), entry.get(inline["file"])) for entry in listed]
    record = the_one([one for one, _ in entries], source.options)
    return record, "", next(file for one, file in entries if one is record)


def _whole(licence: Record) -> Record:
    """The licence with its face opened: ``data_fields`` is JSON within JSON."""
    face = text_of(licence.get("data_fields"))
    return {**licence, "data_fields": object_of(json_of(face.encode()))} if face else licence


def _status(record: Record, connection: Connection) -> Reason:
    return reason_of(record.get("license_status"), {**STATUSES, **connection.options.get("statuses", {})})


def _standing(record: Record, connection: Connection, now: datetime) -> Reason:
    """The platform's status, and whether the licence's own period covers today; an inlined licence has no status."""
    today = now.astimezone(CHINA).date()
    reason = Reason.VALID if "inline" in connection.options else _status(record, connection)
    start, end = _day(record.get("begin_date")), _day(record.get("expiry_date"))
    if reason is Reason.VALID and start is not None and start.astimezone(CHINA).date() > today:
        return Reason.NOT_YET_ACTIVE
    if reason is Reason.VALID and end is not None and end.astimezone(CHINA).date() < today:
        return Reason.EXPIRED
    return reason


def _day(value: object) -> datetime | None:
    written = text_of(value)
    if not written or is_long_term(written):
        return None
    return moment(written) or settle(Reason.MALFORMED)


def _file(
    platform: _Platform, found: _Found, question: Question
) -> Generator[HttpRequest, HttpResponse, dict[str, str]]:
    """The copy for the case archive, which must be the PDF or OFD file that the family promises."""
    encoded = found.file
    if found.auth_code:
        document = yield from platform.call("/license/archive", {"auth_code": found.auth_code})
        encoded = at(document, "data.file_data")
    content = _decoded(encoded)
    kind = next((kind for magic, kind in _KINDS.items() if content.startswith(magic)), "")
    if not kind or len(content) > MAX_FILE:
        settle(Reason.MALFORMED)
    told_of = {
        "file": base64.b64encode(content).decode(),
        "file_type": kind,
        "file_digest": hashlib.sha256(content).hexdigest(),
    }
    return {name: value for name, value in told_of.items() if name in question.fields}


def _decoded(encoded: object) -> bytes:
    try:
        return base64.b64decode(encoded if isinstance(encoded, str) else "", validate=True)
    except (binascii.Error, ValueError):
        settle(Reason.MALFORMED)
