"""Gateways before many departments' services that want each call signed: Shandong's open one, Zhejiang's platform.

``options.scheme`` of the connection says which.

``shandong``: headers X-Client-Id, X-Timestamp (ms, good for ten minutes), X-Nonce and X-Signature, Base64 of
HMAC-SHA256 over the first three. Credentials ``client_id``, ``secret``.

``zhejiang``: parameters ``appKey``, ``requestTime`` (ms) and ``sign``, an MD5 over key, secret and time. The app secret
signs a first call that gives two: a refresh secret (48 h), which signs later ones, and a request secret (15 min), which
signs business calls. Each of those says in ``additional`` for which item, material, case and applicant it is, and who
asks. Code 03 means that the signature is not believed: we begin anew. Credentials ``app_key``, ``app_secret``; options
``key_path``, ``secret_path``. Session: ``secrets``, a :class:`Secrets`.

Both: the source's ``service`` is the path of its service; parameters are form-encoded in the body, never in the URL;
source options ``request``, ``ok``, ``codes``, ``result`` as in :mod:`broker.connectors.shape_json`.

Inferred: that both gateways take a POST; the paths of Zhejiang's refreshing, which are configuration; what Shandong's
services answer, which no public page shows, so that ``ok`` and ``codes`` say it for each source.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import orjson

from broker.connectors.reading import (
    AnswerOk,
    at,
    body_of,
    code_of,
    conversation,
    credential,
    json_of,
    parameter,
    service_of,
    settle,
    text_of,
)
from broker.connectors.shape import Asking
from broker.connectors.shape_json import ConfiguredJson
from broker.core.answer import Question, Reason
from broker.core.catalog import Form, Source
from broker.ports import Connection, Conversation, HttpRequest, HttpResponse, Repeat

MARGIN: Final = timedelta(seconds=60)  # a secret that ends sooner is fetched anew: clocks differ, calls take time
REFRESH_LIFE: Final = timedelta(hours=48)
REQUEST_LIFE: Final = timedelta(minutes=15)
ATTEMPTS: Final = 3  # our secret, a newer one of another asker or a fresh one, and once more for a race
GOOD, BAD_SIGNATURE = "00", "03"

_Call = Generator[HttpRequest, HttpResponse, bytes]


class OpenGateway:
    """Signs as the gateway's scheme wants it, and reads what configuration describes."""

    def __init__(self, answer_ok: AnswerOk) -> None:
        self._answer_ok = answer_ok
        self._shape = ConfiguredJson()

    @conversation
    def ask(self, question: Question, source: Source, connection: Connection, now: datetime) -> Conversation:
        """One request with a secret at hand."""
        asking = Asking(question, source, connection, now)
        if question.form is Form.FILE:
            settle(Reason.NOT_CONFIGURED)
        wanted: Mapping[str, str] = source.options.get("request") or settle(Reason.NOT_CONFIGURED)
        scheme = SCHEMES.get(connection.options.get("scheme", "")) or settle(Reason.NOT_CONFIGURED)
        gateway = scheme(asking)
        body = yield from gateway.call({theirs: parameter(spec, question) for theirs, spec in wanted.items()})
        payload = self._shape.payload(body, asking)
        if not self._answer_ok(source.key, payload):
            settle(Reason.MALFORMED)
        return self._shape.answer(payload, asking)


class Gateway(Protocol):
    """One scheme: carries the business parameters to the service and its body back."""

    def call(self, parameters: Mapping[str, str]) -> _Call:
        """The service's answer; what the gateway refuses ends the conversation, or is left to the source's codes."""
        ...


def _form(url: str, lookup: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> HttpRequest:
    kind = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "X-Request-Id": lookup}
    return HttpRequest("POST", url, {**kind, **headers}, urlencode(parameters).encode(), Repeat.SAFE)


def _milliseconds(now: datetime) -> str:
    return str(int(now.timestamp() * 1000))


# ---- Shandong


class _Shandong:
    def __init__(self, asking: Asking) -> None:
        connection, self._lookup = asking.connection, asking.question.lookup_id
        self._url = f"{connection.endpoint}/{service_of(asking.source, connection)}"
        self._client, self._secret = credential(connection, "client_id"), credential(connection, "secret")
        self._time, self._nonce = _milliseconds(asking.now), _nonce(self._lookup, asking.now)

    def call(self, parameters: Mapping[str, str]) -> _Call:
        """One signed request."""
        headers = {
            "X-Client-Id": self._client,
            "X-Timestamp": self._time,
            "X-Nonce": self._nonce,
            "X-Signature": shandong_sign(self._secret, self._client, self._time, self._nonce),
        }
        request = replace(_form(self._url, self._lookup, parameters, headers), repeat=Repeat.ONCE)
        return body_of((yield request))


def _nonce(lookup: str, now: datetime) -> str:
    """Different for each question and each time it is asked; nobody needs to be unable to guess it."""
    return hashlib.sha256(f"{lookup}:{now.isoformat()}".encode()).hexdigest()[:32]


def shandong_sign(secret: str, client: str, milliseconds: str, nonce: str) -> str:
    """Base64 of HMAC-SHA256 over client, time and nonce, in this order and without separators."""
    return base64.b64encode(hmac.digest(secret.encode(), f"{client}{milliseconds}{nonce}".encode(), "sha256")).decode()


# ---- Zhejiang


@dataclass(frozen=True, slots=True)
class Secrets:
    """What signs the next refreshing and what signs business calls, and when each ends."""

    refresh: str = field(repr=False)
    refresh_ends: datetime
    request: str = field(repr=False)
    request_ends: datetime


class _Zhejiang:
    def __init__(self, asking: Asking) -> None:
        self._connection, self._question, self._now = asking.connection, asking.question, asking.now
        self._options = asking.connection.options
        self._service = service_of(asking.source, asking.connection)
        self._app_key = credential(asking.connection, "app_key")
        self._app_secret = credential(asking.connection, "app_secret")

    def call(self, parameters: Mapping[str, str]) -> _Call:
        """One signed request, after one or two for secrets where none is at hand; a doubted one begins anew."""
        told = {"additional": orjson.dumps(additional(self._question)).decode(), **parameters}
        answer = b""
        for _ in range(ATTEMPTS):
            secrets = yield from self._secrets()
            answer = body_of((yield self._signed(f"/{self._service}", secrets.request, told)))
            if text_of(at(json_of(answer), "code")) != BAD_SIGNATURE:
                return answer
            self._forget(secrets)
        settle(Reason.AUTHENTICATION, BAD_SIGNATURE)

    def _secrets(self) -> Generator[HttpRequest, HttpResponse, Secrets]:
        held, soon = self._connection.session.get("secrets"), self._now + MARGIN
        known = held if isinstance(held, Secrets) else None
        if known is not None and known.request_ends > soon:
            return known
        code, datas = "", None
        if known is not None and known.refresh_ends > soon:
            path = self._options.get("secret_path", "/gateway/app/refreshTokenBySec.htm")
            code, datas = yield from self._refreshed(path, known.refresh)
        if datas is None and code in {"", BAD_SIGNATURE}:
            path = self._options.get("key_path", "/gateway/app/refreshTokenByKey.htm")
            code, datas = yield from self._refreshed(path, self._app_secret)
        if datas is None:
            settle(Reason.AUTHENTICATION, code)
        fetched = self._fetched(datas)
        self._connection.session["secrets"] = fetched
        return fetched

    def _refreshed(self, path: str, secret: str) -> Generator[HttpRequest, HttpResponse, tuple[str, Any]]:
        """The gateway's code, and its two secrets where the code is good."""
        document = json_of(body_of((yield self._signed(path, secret, {}))))
        code = code_of(at(document, "code")) or settle(Reason.MALFORMED)
        return code, at(document, "datas") if code == GOOD else None

    def _fetched(self, datas: object) -> Secrets:
        refresh, request = (text_of(at(datas, name)) for name in ("refreshSecret", "requestSecret"))
        if not refresh or not request:
            settle(Reason.MALFORMED, GOOD)
        return Secrets(refresh, self._now + REFRESH_LIFE, request, self._now + REQUEST_LIFE)

    def _forget(self, secrets: Secrets) -> None:
        """Only the secrets that failed: another asker may have fetched newer ones meanwhile."""
        if self._connection.session.get("secrets") is secrets:
            self._connection.session.pop("secrets", None)

    def _signed(self, path: str, secret: str, parameters: Mapping[str, str]) -> HttpRequest:
        time = _milliseconds(self._now)
        signed = {"appKey": self._app_key, "requestTime": time, "sign": zhejiang_sign(self._app_key, secret, time)}
        return _form(self._connection.endpoint + path, self._question.lookup_id, {**signed, **parameters}, {})


def zhejiang_sign(app_key: str, secret: str, milliseconds: str) -> str:
    """MD5 over key and secret in lower case and the time, 32 lower-case hex digits."""
    signed = f"{app_key.lower()}{secret.lower()}{milliseconds}"
    return hashlib.md5(signed.encode(), usedforsecurity=False).hexdigest()


def additional(question: Question) -> dict[str, str]:
    """For which item, material, case and applicant a business call is, and who asks; INSUFFICIENT with any unknown."""
    matter = question.matter
    told = {
        "powerMatters": matter.item_name,
        "subPowerMatters": matter.item_code,
        "accesscardId": matter.operator.id,
        "materialName": matter.material_name,
        "sponsorName": matter.applicant.name,
        "sponsorCode": matter.applicant.number,
        "projectId": matter.case_number,
    }
    return told if all(told.values()) else settle(Reason.INSUFFICIENT)


SCHEMES: Final[Mapping[str, Callable[[Asking], Gateway]]] = {"shandong": _Shandong, "zhejiang": _Zhejiang}
"""What a connection's ``options.scheme`` may say."""
