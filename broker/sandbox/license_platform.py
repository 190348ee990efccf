"""A strict platform of the license-app v1 family: log-in, three entry points, licences by code, archive copies.

Written from the description of the real one and from nothing the broker's connector contains. The error codes are our
own invention: nobody has published the family's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from broker.core.envelope import parse
from broker.core.errors import CallerProblem
from broker.core.identifiers import is_citizen_id, is_credit_code
from broker.sandbox.holdings import Holdings, Record
from broker.sandbox.platform import CHINA, Call, Reply, records

KEPT: Final = 4096  # tokens and authorisation codes that still work
MAX_PAGE: Final = 150
OPERATOR_FIELDS: Final = frozenset(
    {"account", "name", "role", "division", "division_code", "service_org", "service_org_code"}
)
_ITEM_FIELDS: Final = frozenset({"service_item_code", "service_item_name", "biz_num"})
_LOGIN_FIELDS: Final = frozenset({"app_key", "app_secret", "account", "password"})
_DECOY: Final = {"license_code": "0", "name": "其他证照", "license_item_code": "100000000", "license_status": "ISSUED"}


class _Refused(Exception):
    def __init__(self, code: str, source: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.source = source


@dataclass(frozen=True, slots=True)
class _Issued:
    """What an authorisation code stands for."""

    record: Record = field(repr=False)


class LicensePlatform:
    """One caller's view of the platform."""

    def __init__(self, credentials: Mapping[str, str], items: Mapping[str, str], held: Holdings) -> None:
        """``items`` are the sources this caller may ask for, with their licence item codes."""
        self._credentials = {name: credentials[name] for name in _LOGIN_FIELDS}
        self._items = dict(items)
        self._held = held
        self._shown = {
            real_name_token(credentials["app_secret"], entry, number): number
            for source in items
            for number in held.get(source, {})
            for entry in ("holder", "entrust")
        }
        self._tokens: dict[str, None] = {}
        self._codes: dict[str, _Issued] = {}

    def handle(self, call: Call, behaviour: Callable[[str], str]) -> Reply:
        """A success, or FAILURE with its error."""
        try:
            source, told = self._answer(call, behaviour)
        except _Refused as refused:
            errors = [{"code": refused.code, "message": f"错误{refused.code}"}]
            return Reply(orjson.dumps({"ack_code": "FAILURE", "errors": errors}), source=refused.source)
        return Reply(orjson.dumps({"ack_code": "SUCCESS", "errors": [], **told}), source=source)

    def _answer(self, call: Call, behaviour: Callable[[str], str]) -> tuple[str, dict[str, Any]]:
        path = call.path.partition("/v1")[2]
        if (call.method, path) == ("POST", "/security/login"):
            return "", self._login(_object(call.body))
        query = {name: values[0] for name, values in parse_qs(call.query).items()}
        if query.get("access_token") not in self._tokens:
            raise _Refused("TOKEN_INVALID")
        if call.method == "POST" and path in {"/license/auth", "/license/holder", "/license/entrust"}:
            return self._listed(path.rpartition("/")[2], _object(call.body), behaviour, call.now)
        if call.method == "GET" and path in {"/license/get_license", "/license/archive"}:
            issued = self._codes.get(query.get("auth_code", ""))
            if issued is None or query.keys() != {"auth_code", "access_token"}:
                raise _Refused("PARAM_ERROR")
            return "", {"data": _copy(issued.record) if path.endswith("archive") else _licence(issued.record)}
        raise _Refused("PARAM_ERROR")

    def _login(self, asked: dict[str, Any]) -> dict[str, Any]:
        known = asked.keys() - {"org_code"} == self._credentials.keys()
        pairs = [(str(asked.get(name)).encode(), value.encode()) for name, value in self._credentials.items()]
        if not known or not all(hmac.compare_digest(*pair) for pair in pairs):
            raise _Refused("LOGIN_FAILED")
        token = secrets.token_hex(16)
        self._tokens = {**dict.fromkeys([*self._tokens][-31:]), token: None}
        return {"access_token": token}

    def _listed(
        self, entry: str, asked: dict[str, Any], behaviour: Callable[[str], str], now: float
    ) -> tuple[str, dict[str, Any]]:
        number = self._by_duty(asked) if entry == "auth" else self._by_token(entry, asked)
        source, found = self._found(number, behaviour, now)
        listed = [_DECOY, *found]
        if entry == "auth":
            start = (asked["page_index"] - 1) * asked["page_size"]
            listed = listed[start : start + asked["page_size"]]
        summaries = [{name: text for name, text in one.items() if name != "data_fields"} for one in listed]
        return source, {"auth_codes": [self._code(one) for one in listed], "data": summaries}

    def _found(self, number: str, behaviour: Callable[[str], str], now: float) -> tuple[str, list[Record]]:
        source, item = next(iter(self._items.items()))
        told = behaviour(source)
        if told == "not_permitted":
            raise _Refused("NO_PERMISSION", source)
        found = [one | {"license_item_code": item} for one in records(self._held, source, number, told, now)]
        today = datetime.fromtimestamp(now, UTC).astimezone(CHINA)
        if told == "stale":  # what has run out and is still called issued
            found = [one | {"expiry_date": f"{today - timedelta(days=1):%Y-%m-%d}"} for one in found]
        if told == "future":
            found = [one | {"begin_date": f"{today + timedelta(days=2):%Y-%m-%d}"} for one in found]
        return source, found

    def _by_duty(self, asked: dict[str, Any]) -> str:
        wanted = _ITEM_FIELDS | {"identity_number", "request_id", "page_size", "page_index", "operator"}
        operator, size, page = asked.get("operator"), asked.get("page_size"), asked.get("page_index")
        paged = type(size) is int and type(page) is int and 1 <= size <= MAX_PAGE and page >= 1
        if asked.keys() != wanted or not paged or not isinstance(operator, dict):
            raise _Refused("PARAM_ERROR")
        _filled(asked, wanted - {"page_size", "page_index", "operator"})
        if operator.keys() - {"identity_num"} != OPERATOR_FIELDS or len(str(operator["service_org_code"])) != 18:
            raise _Refused("PARAM_ERROR")
        _filled(operator, frozenset(operator))
        number: str = asked["identity_number"]
        if not (is_citizen_id(number) or is_credit_code(number)):
            raise _Refused("PARAM_ERROR")
        return number

    def _by_token(self, entry: str, asked: dict[str, Any]) -> str:
        if asked.keys() != _ITEM_FIELDS | {"credential"}:
            raise _Refused("PARAM_ERROR")
        _filled(asked, frozenset(asked))
        number = self._shown.get(asked["credential"])
        if number is None or asked["credential"] != real_name_token(self._credentials["app_secret"], entry, number):
            raise _Refused("CREDENTIAL_INVALID")
        return number

    def _code(self, record: Record) -> str:
        code = secrets.token_hex(16)
        self._codes[code] = _Issued(record)
        while len(self._codes) > KEPT:
            self._codes.pop(next(iter(self._codes)))
        return code


def real_name_token(secret: str, entry: str, number: str) -> str:
    """What a holder would get from the real-name authentication for ``holder`` or ``entrust``, and show."""
    return hashlib.sha256(f"{secret}:{entry}:{number}".encode()).hexdigest()


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = parse(body)
    except CallerProblem:
        raise _Refused("PARAM_ERROR") from None
    if not isinstance(document, dict):
        raise _Refused("PARAM_ERROR")
    return document


def _filled(document: Mapping[str, Any], names: frozenset[str]) -> None:
    if not all(isinstance(document[name], str) and document[name].strip() for name in names):
        raise _Refused("PARAM_ERROR")


def _licence(record: Record) -> Record:
    return record | {"data_fields": orjson.dumps(record.get("data_fields", {})).decode()}


def _copy(record: Record) -> Record:
    content = f"%PDF-1.4\n% {record['license_code']}\n%%EOF\n".encode()
    return {"file_name": "archive.pdf", "file_data": base64.b64encode(content).decode()}
