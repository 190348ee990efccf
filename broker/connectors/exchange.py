"""The national exchange platform (国家数据共享交换平台) and its provincial twins: a gateway before many services.

Two steps: with the long-lived ``app_key`` fetch a working secret that lives about half an hour, then sign every call
with it in four headers (``<prefix>_rid``, ``_sid``, ``_rtime``, ``_sign``). What stands in the body is the service's
own affair: one of the :data:`SHAPES`.

Connection: credentials ``rid`` and ``app_key``; options ``prefix``, ``secret_path``, ``proxy_path``, ``wsproxy_path``,
``secret_endpoint`` (where it differs), ``gateway_codes``, ``signature_codes``, ``services``, ``system``.
Session: ``secret``, a :class:`WorkingSecret`, and ``refused``, one that the gateway did not take; when two askers fetch
one at the same time the later one stays. Who finds no ``secret`` there is the one to fetch it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import orjson
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7

from broker.connectors import shape_json, shape_mca, shape_ps, shape_soap
from broker.connectors.reading import (
    AnswerOk,
    at,
    body_of,
    code_of,
    conversation,
    credential,
    json_of,
    reason_of,
    service_of,
    settle,
    text_of,
)
from broker.connectors.shape import Asking, Proxy, Shape
from broker.core.answer import Question, Reason
from broker.core.catalog import Form, Source
from broker.ports import Connection, Conversation, HttpRequest, HttpResponse, Repeat
from broker.ports.sessions import WorkingSecret

SHAPES: Final[Mapping[str, Shape]] = {
    "ps_package": shape_ps.PsPackage(),  # 公安: an XML PACKAGE
    "mca_marriage": shape_mca.Marriage(),  # 民政: couples and their registrations
    "soap": shape_soap.Soap(),  # XML within SOAP 1.1, behind the gateway's other door
    "json": shape_json.ConfiguredJson(),  # everything that configuration alone can describe
}
"""What a source's ``options.shape`` may say."""

PROXIES: Final[Mapping[Proxy, tuple[str, str]]] = {
    Proxy.HTTP: ("proxy_path", "/httpproxy"),
    Proxy.SOAP: ("wsproxy_path", "/wsproxy"),
}
"""The connection's option that names the gateway's path, and the national platform's own."""

AHEAD: Final = timedelta(minutes=5)  # before a secret ends the next one is fetched, or after four fifths of its life
ATTEMPTS: Final = 3  # our secret, a newer one of another asker or a fresh one, and at last one that we have fetched
GATEWAY_CODES: Final[Mapping[str, str]] = {"-1": "unknown.authentication", "E-106": "unknown.not-permitted"}
SIGNATURE_CODES: Final = ("-1",)  # what the gateway answers to a signature it cannot confirm


class Exchange:
    """Fetches the secret where needed, signs, asks, and hands the body to the source's shape."""

    def __init__(self, answer_ok: AnswerOk) -> None:
        self._answer_ok = answer_ok

    @conversation
    def ask(self, question: Question, source: Source, connection: Connection, now: datetime) -> Conversation:
        """One request with a secret at hand, two without; a doubted signature is renewed, never repeated."""
        shape = SHAPES.get(source.options.get("shape", "")) or settle(Reason.NOT_CONFIGURED)
        if question.form is Form.FILE:
            settle(Reason.NOT_CONFIGURED)
        gateway = Gateway(connection, service_of(source, connection), now)
        asking = Asking(question, source, connection, now)
        headers = {**shape.headers, "X-Request-Id": question.lookup_id}
        body = yield from gateway.call(headers, shape.body(asking), shape.proxy, Repeat.SAFE)
        payload = shape.payload(body, asking)
        if not self._answer_ok(source.key, payload):
            settle(Reason.MALFORMED)
        return shape.answer(payload, asking)


class Gateway:
    """One requester's call of one service at one time."""

    def __init__(self, connection: Connection, service: str, now: datetime) -> None:
        """``service`` is the id that is asked for, and signed."""
        self._connection = connection
        self._options = connection.options
        self._prefix = connection.options.get("prefix", "gjgxjhpt")
        self._requester = credential(connection, "rid")
        self._app_key = credential(connection, "app_key")
        self._service = service
        self._now = now

    def call(
        self, headers: Mapping[str, str], body: bytes, proxy: Proxy = Proxy.HTTP, repeat: Repeat = Repeat.EFFECT
    ) -> Generator[HttpRequest, HttpResponse, bytes]:
        """The service's answer, or the gateway's refusal as the end of the conversation."""
        url = self._connection.endpoint + self._options.get(*PROXIES[proxy])
        answer, refusal = b"", ""
        refused: list[WorkingSecret] = []
        while len(refused) < ATTEMPTS:
            secret = yield from self._secret(refused)
            signed = {**headers, **self._signed(secret.value)}
            answer = body_of((yield HttpRequest("POST", url, signed, body, repeat)))
            refusal = self._refusal(answer)
            if refusal not in self._options.get("signature_codes", SIGNATURE_CODES):
                break
            refused.append(secret)
            self._connection.session["refused"] = secret  # another asker may have fetched a newer one meanwhile
        if refusal:
            settle(reason_of(refusal, self._known_codes()), refusal)
        return answer

    def _secret(self, refused: Sequence[WorkingSecret]) -> Generator[HttpRequest, HttpResponse, WorkingSecret]:
        """One that was not refused us; the last time not one of others, which may have ended with those before it."""
        session = self._connection.session
        held = session.get("secret") if len(refused) < ATTEMPTS - 1 else None
        gone = (*refused, session.get("refused"))
        if isinstance(held, WorkingSecret) and held.usable(self._now) and held not in gone:
            return held
        endpoint = self._options.get("secret_endpoint", self._connection.endpoint)
        url = endpoint + self._options.get("secret_path", "/sysapi/auth/refreshappsecret")
        signed = orjson.dumps(self._signed(self._app_key.encode()))
        kind = {"Content-Type": "application/json"}
        answer = json_of(body_of((yield HttpRequest("POST", url, kind, signed, Repeat.SAFE))))
        fetched = self._fetched(answer)
        session["secret"] = fetched
        session.pop("refused", None)  # a gateway may give out the same secret again
        return fetched

    def _fetched(self, answer: object) -> WorkingSecret:
        code = text_of(at(answer, "code"))
        if code != "0":
            settle(reason_of(code, self._known_codes()), code)
        ends = text_of(at(answer, "data.secretEndTime")) or ""
        if not (ends.isascii() and ends.isdigit() and len(ends) <= 14):
            settle(Reason.MALFORMED, code)
        value = unwrap_secret(text_of(at(answer, "data.secret")) or "", self._app_key)
        ends_at = datetime.fromtimestamp(int(ends) / 1000, UTC)
        return WorkingSecret(value, ends_at, ends_at - min(AHEAD, (ends_at - self._now) / 5))

    def _signed(self, key: bytes) -> dict[str, str]:
        milliseconds = str(int(self._now.timestamp() * 1000))
        return {
            f"{self._prefix}_rid": self._requester,
            f"{self._prefix}_sid": self._service,
            f"{self._prefix}_rtime": milliseconds,
            f"{self._prefix}_sign": sign(key, self._service, self._requester, milliseconds),
        }

    def _refusal(self, answer: bytes) -> str:
        """The gateway's own code: it answers with code and message only, and with no data."""
        if b'"code"' not in answer[:200]:
            return ""
        document = json_of(answer)
        ours = isinstance(document, dict) and document.keys() <= {"code", "message", "data"}
        code = code_of(document.get("code")) if ours and not document.get("data") else ""
        return code if code in self._known_codes() else ""

    def _known_codes(self) -> Mapping[str, str]:
        return {**GATEWAY_CODES, **self._options.get("gateway_codes", {})}


def sign(key: bytes, service: str, requester: str, milliseconds: str) -> str:
    """Base64 of HMAC-SHA256 over service, requester and time, in this order and without separators."""
    return base64.b64encode(hmac.digest(key, f"{service}{requester}{milliseconds}".encode(), "sha256")).decode()


@lru_cache(maxsize=16)
def wrapping_key(app_key: str) -> bytes:
    """The AES key that Java's KeyGenerator makes of SHA1PRNG seeded with the app key: SHA-1 twice, 16 bytes."""
    once = hashlib.sha1(app_key.encode(), usedforsecurity=False).digest()
    return hashlib.sha1(once, usedforsecurity=False).digest()[:16]


def unwrap_secret(wrapped: str, app_key: str) -> bytes:
    """The working secret out of Base64 AES-128-ECB with PKCS#5 padding; UNTRUSTED when it is not for this key."""
    try:
        decryptor = Cipher(algorithms.AES(wrapping_key(app_key)), ECB()).decryptor()  # noqa: S305 - the platform's choice
        unpadder = PKCS7(128).unpadder()
        padded = decryptor.update(base64.b64decode(wrapped, validate=True)) + decryptor.finalize()
        secret = unpadder.update(padded) + unpadder.finalize()
    except (binascii.Error, ValueError):
        settle(Reason.UNTRUSTED)
    return secret or settle(Reason.UNTRUSTED)
