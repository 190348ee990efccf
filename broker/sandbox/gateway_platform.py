"""Two strict open gateways: Shandong's signed headers, Zhejiang's two secrets and ``additional``.

Written from the description of the real ones and from nothing the broker's connector contains. The codes beside
Zhejiang's 00 and 03, and Shandong's envelope, are our own invention: nobody has published them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from broker.core.envelope import parse
from broker.core.errors import CallerProblem
from broker.core.identifiers import is_citizen_id, is_credit_code
from broker.sandbox.holdings import NAMES, Holdings, Record
from broker.sandbox.platform import Call, Reply, records

CLOCK_SECONDS: Final = 10 * 60  # how old a signature may be
REQUEST_SECONDS: Final = 15 * 60
REFRESH_SECONDS: Final = 48 * 60 * 60
KEPT_SECRETS: Final = 32  # askers that refresh at the same time all keep working
KEPT_NONCES: Final = 100_000
ADDITIONAL_FIELDS: Final = frozenset(
    {"powerMatters", "subPowerMatters", "accesscardId", "materialName", "sponsorName", "sponsorCode", "projectId"}
)
_PARAMETERS: Final[Mapping[str, tuple[str, str]]] = {  # of each service: number and name
    "sdo-enterprise": ("uniscid", "entname"),
    "zj-insurance": ("cardId", "name"),
}


class _Refused(Exception):
    def __init__(self, code: str, source: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.source = source


class _Gateway:
    """What both have in common: form bodies, services below paths, and records behind them."""

    def __init__(self, services: Mapping[str, str], held: Holdings) -> None:
        self._sources = {service: source for source, service in services.items()}
        self._held = held

    def _source(self, path: str, behaviour: Callable[[str], str]) -> str:
        found = next((source for service, source in self._sources.items() if path.endswith(f"/{service}")), None)
        if found is None or behaviour(found) == "not_permitted":
            raise _Refused("403", found or "")
        return found

    def _found(self, source: str, asked: Mapping[str, str], behaviour: str, now: float) -> list[Record]:
        number, name = (asked.get(parameter, "") for parameter in _PARAMETERS[source])
        whole = asked.keys() == set(_PARAMETERS[source]) and all(asked.values())
        if not whole or not (is_citizen_id(number) or is_credit_code(number)):
            raise _Refused("400", source)
        known = self._held[NAMES].get(number, [{}])[0].get("name") == name
        return records(self._held, source, number, behaviour, now) if known else []


class ShandongGateway(_Gateway):
    """X-Client-Id, X-Timestamp, X-Nonce, X-Signature; no nonce twice."""

    def __init__(self, client: str, secret: str, services: Mapping[str, str], held: Holdings) -> None:
        super().__init__(services, held)
        self._client = client
        self._secret = secret
        self._nonces: dict[str, None] = {}

    def handle(self, call: Call, behaviour: Callable[[str], str]) -> Reply:
        """A service's answer, or the gateway's code and message."""
        try:
            self._check(call)
            source = self._source(call.path, behaviour)
            found = self._found(source, _form(call), behaviour(source), call.now)
        except _Refused as refused:
            answer = {"code": refused.code, "message": f"错误{refused.code}", "data": None}
            return Reply(orjson.dumps(answer), source=refused.source)
        code = "200" if found else "404"
        return Reply(orjson.dumps({"code": code, "message": "", "data": found or None}), source=source)

    def _check(self, call: Call) -> None:
        client, time, nonce, signature = (
            call.headers.get(f"x_{name}", "") for name in ("client_id", "timestamp", "nonce", "signature")
        )
        recent = time.isdigit() and abs(int(time) / 1000 - call.now) <= CLOCK_SECONDS
        expected = base64.b64encode(hmac.digest(self._secret.encode(), (client + time + nonce).encode(), "sha256"))
        genuine = hmac.compare_digest(expected, signature.encode())
        if client != self._client or not recent or not 8 <= len(nonce) <= 64 or not genuine or nonce in self._nonces:
            raise _Refused("401")
        self._nonces[nonce] = None
        if len(self._nonces) > KEPT_NONCES:
            self._nonces.pop(next(iter(self._nonces)))


class ZhejiangGateway(_Gateway):
    """A refresh secret and a request secret, and on each business call the seven fields of ``additional``."""

    def __init__(self, app_key: str, app_secret: str, services: Mapping[str, str], held: Holdings) -> None:
        super().__init__(services, held)
        self._app_key = app_key
        self._app_secret = app_secret
        self._refresh: list[tuple[str, float]] = []
        self._request: list[tuple[str, float]] = []

    def handle(self, call: Call, behaviour: Callable[[str], str]) -> Reply:
        """Two secrets, a service's answer, or a code."""
        try:
            source, datas = self._answer(call, behaviour)
        except _Refused as refused:
            answer = {"code": refused.code, "msg": f"错误{refused.code}", "dataCount": 0, "datas": None}
            return Reply(orjson.dumps(answer), source=refused.source)
        count = len(datas) if isinstance(datas, list) else 1
        return Reply(orjson.dumps({"code": "00", "msg": "成功", "dataCount": count, "datas": datas}), source=source)

    def _answer(self, call: Call, behaviour: Callable[[str], str]) -> tuple[str, Any]:
        asked, now = _form(call), call.now
        if call.path.endswith("/refreshTokenByKey.htm"):
            self._check(asked, [self._app_secret], now)
            return "", self._secrets(now)
        if call.path.endswith("/refreshTokenBySec.htm"):
            self._check(asked, _alive(self._refresh, now), now)
            return "", self._secrets(now)
        self._check(asked, _alive(self._request, now), now)
        source = self._source(call.path, behaviour)
        _check_additional(asked.pop("additional", ""), source)
        return source, self._found(source, asked, behaviour(source), now)

    def _check(self, asked: dict[str, str], keys: list[str], now: float) -> None:
        """Take key, time and signature out of the parameters, once they hold."""
        app_key, time, sign = (asked.pop(name, "") for name in ("appKey", "requestTime", "sign"))
        recent = time.isdigit() and abs(int(time) / 1000 - now) <= CLOCK_SECONDS
        signs = [_signature(app_key, key, time) for key in keys]
        if app_key != self._app_key or not recent or not any(hmac.compare_digest(sign, one) for one in signs):
            raise _Refused("03")

    def _secrets(self, now: float) -> dict[str, str]:
        refresh, request = secrets.token_hex(16), secrets.token_hex(16).upper()
        self._refresh = [*self._refresh[-KEPT_SECRETS + 1 :], (refresh, now + REFRESH_SECONDS)]
        self._request = [*self._request[-KEPT_SECRETS + 1 :], (request, now + REQUEST_SECONDS)]
        return {"refreshSecret": refresh, "requestSecret": request}


def _alive(kept: list[tuple[str, float]], now: float) -> list[str]:
    return [secret for secret, ends in reversed(kept) if ends > now]


def _signature(app_key: str, secret: str, time: str) -> str:
    return hashlib.md5((app_key.lower() + secret.lower() + time).encode(), usedforsecurity=False).hexdigest()


def _check_additional(text: str, source: str) -> None:
    try:
        told = parse(text.encode())
    except CallerProblem:
        raise _Refused("400", source) from None
    whole = isinstance(told, dict) and told.keys() == ADDITIONAL_FIELDS
    if not whole or not all(isinstance(value, str) and value for value in told.values()):
        raise _Refused("400", source)


def _form(call: Call) -> dict[str, str]:
    """The parameters; one given twice, or a person in the URL, is refused."""
    pairs = parse_qsl(call.body.decode("ascii", "replace"), keep_blank_values=True)
    if call.query or call.method != "POST" or len(dict(pairs)) != len(pairs):
        raise _Refused("400")
    return dict(pairs)
