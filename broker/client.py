"""The approval system's side: sign, submit, wait, read, and verify receipts – answers and receipts alike.

A source department's system uses the same client for its work orders and for objections to its data.

Nothing is retried here: after a lost answer, submit the same document again – the same request id gives the same
verification. The one exception is :meth:`BrokerClient.bundle`, which waits for the audit log when told to.
A client may be shared between threads.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson
import requests
import urllib3
from requests.adapters import HTTPAdapter

from broker.core.envelope import Signer, Verifier, parse
from broker.core.errors import CallerProblem
from broker.core.receipt import VerifiedReceipt, bundle_from, verify_bundle
from broker.signing import http_message, keys

JSON = "application/json"
CONNECT_S = 5.0
ANSWER_S = 15.0  # beyond the time asked for with wait
MAX_ANSWER = 4 * 1024 * 1024  # a guide of the largest scene is below 200 KiB
_POLL_S = 0.2


class Answer(NamedTuple):
    """An HTTP answer: status, headers with lower-case names, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Road = Callable[[str, str, Mapping[str, str], bytes | None, float], Answer]
"""Carries one request: (method, URL, headers, body, seconds to answer). Follows no redirect."""


class Refused(Exception):
    """The broker's refusal: its problem document (RFC 9457), with ``code``, ``detail``, ``next`` and ``fault``."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(problem.get("code", ""))
        self.problem = problem
        self.code: str = problem.get("code", "")
        self.status: int = problem.get("status", 0)


class NotTheBroker(Exception):
    """The answer is not one the broker signed for this very request; nothing in it may be believed."""


def requests_road(pool_size: int = 16) -> Road:
    """The ordinary road: a ``requests`` session with kept-alive connections; the environment's proxies are ignored."""
    session = requests.Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=pool_size))

    def send(method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float) -> Answer:
        answer = session.request(
            method, url, headers=dict(headers), data=body, timeout=(CONNECT_S, seconds), allow_redirects=False
        )
        return Answer(answer.status_code, _lowered(answer.headers), answer.content)

    return send


def pooled_road(pool_size: int = 64) -> Road:
    """The fast road for load: urllib3's pool alone, at less than half the cost per request."""
    pool = urllib3.PoolManager(maxsize=pool_size, block=True, retries=False)

    def send(method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float) -> Answer:
        timeout = urllib3.Timeout(connect=CONNECT_S, read=seconds)
        answer = pool.request(method, url, headers=dict(headers), body=body, timeout=timeout, redirect=False)
        return Answer(answer.status, _lowered(answer.headers), answer.data)

    return send


class BrokerClient:
    """Speaks to one broker with one signing key; every answer to a signed request is verified before it is believed."""

    def __init__(
        self, base_url: str, signer: Signer, jwks: Mapping[str, Any] | None = None, *, road: Road | None = None
    ) -> None:
        """``base_url`` is the broker's public URL, which is signed.

        ``jwks`` is its key set, as received from the broker's operator; without one it is fetched once over the road,
        so that trust in the first answer is trust in TLS.
        """
        self.base_url = base_url.rstrip("/")
        self._signer = signer
        self._road = road or requests_road()
        self._jwks = jwks
        self._keys: dict[str, Verifier] = {} if jwks is None else keys_for(jwks, "receipt")

    def submit(self, document: Mapping[str, Any], wait: int | None = None) -> dict[str, Any]:
        """The verification after submitting it, decided where ``wait`` seconds (at most 30) sufficed.

        Raises ``Refused``, ``NotTheBroker``, or what the road raises; after the latter, submit the same again.
        """
        return self._json("POST", "/v1/verifications", orjson.dumps(document), wait)

    def read(self, verification: str, wait: int | None = None) -> dict[str, Any]:
        """A verification as it stands, or as it stands after waiting."""
        return self._json("GET", f"/v1/verifications/{verification}", None, wait)

    def receipt(self, verification: str) -> str:
        """The receipt as stored: a compact JWS."""
        return self._signed("GET", f"/v1/verifications/{verification}/receipt", None).body.decode("ascii")

    def proof(self, verification: str) -> dict[str, Any]:
        """The entry of the decision and its inclusion proof."""
        return self._json("GET", f"/v1/verifications/{verification}/proof", None)

    def bundle(self, verification: str, patience: float = 0.0) -> bytes:
        """Receipt, entry and proof as one file for the archive.

        Asked again for up to ``patience`` seconds while the answer is ``log.not-yet``: the log follows by seconds.
        """
        until = time.monotonic() + patience
        while True:
            try:
                return self._signed("GET", f"/v1/verifications/{verification}/bundle", None).body
            except Refused as refused:
                if refused.code != "log.not-yet" or time.monotonic() >= until:
                    raise
            time.sleep(_POLL_S)

    def close_case(self, number: str, outcome: str, operator: Mapping[str, str]) -> dict[str, Any]:
        """Report a case's outcome; nothing more is asked for it. ``operator``: who decided, ``id`` and ``unit``."""
        body = orjson.dumps({"case": {"number": number}, "outcome": outcome, "operator": dict(operator)})
        return self._json("POST", "/v1/cases/outcome", body)

    def orders(self) -> list[dict[str, Any]]:
        """The open work orders of the signing department's body, those due first come first."""
        found: list[dict[str, Any]] = self._json("GET", "/v1/orders", None)["orders"]
        return found

    def order(self, number: str) -> dict[str, Any]:
        """A work order with what it asks; that it was read is an entry of the log."""
        return self._json("GET", f"/v1/orders/{number}", None)

    def answer_order(self, number: str, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a work order, once and in time: ``{"by": {"id", "unit"}, "reply", "remark"?, "evidence"?}``."""
        return self._json("POST", f"/v1/orders/{number}/answer", orjson.dumps(answer))

    def objections(self) -> list[dict[str, Any]]:
        """The objections that the signing department handles, due first."""
        found: list[dict[str, Any]] = self._json("GET", "/v1/objections", None)["objections"]
        return found

    def objection_dossier(self, number: str) -> dict[str, Any]:
        """An objection with persons, answer and words; that it was read is an entry of the log."""
        return self._json("GET", f"/v1/objections/{number}/dossier", None)

    def act_on_objection(self, number: str, act: Mapping[str, Any]) -> dict[str, Any]:
        """The department's next act: ``{"by": {"id", "unit"}, "act", "words"?}``."""
        return self._json("POST", f"/v1/objections/{number}/acts", orjson.dumps(act))

    def guide(self, region: str, *, item: str | None = None, scene: str | None = None) -> dict[str, Any]:
        """一次告知; public, so neither signed nor verified."""
        wanted = {"region": region, "item": item, "scene": scene}
        query = urlencode({name: value for name, value in wanted.items() if value is not None})
        return _document(self._open(f"/v1/guide?{query}"))

    def jwks(self) -> Mapping[str, Any]:
        """The broker's key set, fetched once; what ``verify_offline`` needs, to be kept with the receipts."""
        if self._jwks is None:
            self._jwks = _document(self._open("/.well-known/jwks.json"))
            self._keys = keys_for(self._jwks, "receipt")
        return self._jwks

    def signed_headers(self, method: str, path: str, body: bytes | None, wait: int | None = None) -> dict[str, str]:
        """The headers of a request signed now: what a load generator or another HTTP library needs."""
        headers = http_message.sign_request(
            method, self.base_url + path, body, JSON, self._signer, int(time.time()), secrets.token_hex(16)
        )
        if body is not None:
            headers["Content-Type"] = JSON
        if wait is not None:
            headers["Prefer"] = f"wait={wait}"
        return headers

    def _json(self, method: str, path: str, body: bytes | None, wait: int | None = None) -> dict[str, Any]:
        return _document(self._signed(method, path, body, wait))

    def _signed(self, method: str, path: str, body: bytes | None, wait: int | None = None) -> Answer:
        self.jwks()
        url, headers = self.base_url + path, self.signed_headers(method, path, body, wait)
        answer = self._road(method, url, headers, body, ANSWER_S + (wait or 0))
        question = http_message.Question(method, url, headers["Signature"])
        try:
            http_message.verify_response(
                answer.status, answer.headers, answer.body, question, self._keys.get, int(time.time())
            )
        except CallerProblem as problem:
            raise NotTheBroker(f"{problem.code} (HTTP {answer.status})") from problem
        return _accepted(answer)

    def _open(self, path: str) -> Answer:
        return _accepted(self._road("GET", self.base_url + path, {}, None, ANSWER_S))


def keys_for(jwks: Mapping[str, Any], role: str) -> dict[str, Verifier]:
    """The keys of a set that may play a role, ``receipt`` or ``log``; a key without ``roles`` may play both."""
    return keys.from_jwks(jwks, role)


def callback_from(url: str, headers: Mapping[str, str], body: bytes, jwks: Mapping[str, Any]) -> dict[str, Any]:
    """What a callback to ``url`` says, after its signature by a published key of the broker was verified.

    ``headers`` have lower-case names. Left outside: a callback may come twice with the same ``delivery``; store it
    once. Raises ``CallerProblem`` ``signature.*`` or ``body.*``: answer 4xx, and believe nothing of it.
    """
    http_message.verify_request("POST", url, headers, body, keys_for(jwks, "receipt").get, int(time.time()))
    document = parse(body)
    if not isinstance(document, dict):
        raise CallerProblem("body.not-json", expected="an object")
    return document


def verify_offline(bundle: bytes, jwks: Mapping[str, Any]) -> VerifiedReceipt:
    """What a bundle, or a bare receipt, proves by these published keys, without any connection.

    Raises ``CallerProblem`` with the code of the first thing that does not hold.
    """
    return verify_bundle(bundle_from(bundle), keys_for(jwks, "receipt"), list(keys_for(jwks, "log").values()))


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _accepted(answer: Answer) -> Answer:
    if answer.status >= 400:
        raise Refused(_document(answer))
    return answer


def _document(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer. Raises ``NotTheBroker`` for anything else, as a proxy's error page would be."""
    try:
        document = parse(answer.body, limit=MAX_ANSWER)
    except CallerProblem as problem:
        raise NotTheBroker(f"{problem.code} (HTTP {answer.status})") from problem
    if not isinstance(document, dict):
        raise NotTheBroker(f"not a JSON object (HTTP {answer.status})")
    return document
