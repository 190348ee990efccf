"""A strict e-licence sharing platform: account, token, whitelist, use cause; data encrypted to the caller with SM2.

Written from the description of the real one and from nothing the broker's connector contains.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

import orjson

from broker.core.envelope import parse
from broker.core.errors import CallerProblem
from broker.core.identifiers import HOLDER_TYPES, is_certificate_type, is_identifier
from broker.sandbox.holdings import Holdings, Record, type_code
from broker.sandbox.platform import Call, Reply, records

Encrypt = Callable[[bytes], bytes]

VALID_STATES: Final = frozenset({5, 11})
_STATE_STATUS: Final = {-4: 22, 12: 23, 13: 23, -8: 21, -5: 21, -3: 21, -2: 21}
_RESULT_OF_STATUS: Final = {22: 3, 21: 3, 23: 2}
CAUSE_FIELDS: Final = frozenset(
    {
        "certificateSystemName",
        "certificateCopyCause",
        "certificateCallCategory",
        "certificateMatterName",
        "certificateEventCode",
    }
)
_QUERY_FIELDS: Final = frozenset({"holderCode", "holderTypeCode", "certTypeCode", "certNo", "useCause"})
_VERIFY_FIELDS: Final = frozenset({"certTypeCode", "certData", "useCause"})


class _Refused(Exception):
    def __init__(self, status: int, source: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.source = source


class CertSharePlatform:
    """Answers ``queryCertInfoByHolderCode`` and ``verifyCertInfo``."""

    def __init__(self, account: str, password: str, encrypt: Encrypt, held: Holdings, allowed: Iterable[str]) -> None:
        """``allowed`` are the sources whose certificate types this account may ask for."""
        self._account = account
        self._token = hashlib.md5(password.encode(), usedforsecurity=False).hexdigest()
        self._held = held
        self._sources = {type_code(source): source for source in held if source.startswith("ecert-")}
        self._allowed = frozenset(allowed)
        self._encrypt = lru_cache(maxsize=4096)(lambda data: encrypt(data).hex())  # a benchmark's server must be cheap

    def handle(self, call: Call, behaviour: Callable[[str], str]) -> Reply:
        """Status 0 with encrypted data, or the status that says what is wrong."""
        try:
            source, document = self._answer(call, behaviour)
        except _Refused as refused:
            head = {"status": refused.status, "message": f"错误{refused.status}"}
            return Reply(orjson.dumps({"head": head, "data": None}), source=refused.source)
        encrypted = self._encrypt(orjson.dumps(document))
        return Reply(orjson.dumps({"head": {"status": 0, "message": "接口调用成功"}, "data": encrypted}), source=source)

    def _answer(self, call: Call, behaviour: Callable[[str], str]) -> tuple[str, Any]:
        data = self._authenticated(call)
        operation = call.path.rpartition("/")[2]
        if operation == "queryCertInfoByHolderCode":
            return self._query(data, behaviour, call.now)
        if operation == "verifyCertInfo":
            return self._verify(data, behaviour, call.now)
        raise _Refused(2)

    def _authenticated(self, call: Call) -> dict[str, Any]:
        try:
            document = parse(call.body)
        except CallerProblem:
            raise _Refused(12) from None
        if not isinstance(document, dict) or document.keys() != {"head", "data"}:
            raise _Refused(12)
        head, data = document["head"], document["data"]
        if not isinstance(head, dict) or not isinstance(data, dict):
            raise _Refused(12)
        token = head.get("accessToken")
        known = head.get("accessId") == self._account and isinstance(token, str)
        if not known or not hmac.compare_digest(str(token).encode(), self._token.encode()):
            raise _Refused(11)
        return data

    def _query(self, data: dict[str, Any], behaviour: Callable[[str], str], now: float) -> tuple[str, Any]:
        if not data.keys() <= _QUERY_FIELDS:
            raise _Refused(102)
        source = self._source(data, behaviour)
        _check_cause(data.get("useCause"))
        number = _filled(data.get("holderCode"), 110, source)
        _check_holder(data.get("holderTypeCode"), number, source)
        found = records(self._held, source, number, behaviour(source), now)
        valid = [record["face"] for record in found if record["state"] in VALID_STATES]
        if not valid:
            raise _Refused(_status(found), source)
        return source, {"certData": valid}

    def _verify(self, data: dict[str, Any], behaviour: Callable[[str], str], now: float) -> tuple[str, Any]:
        if not data.keys() <= _VERIFY_FIELDS:
            raise _Refused(102)
        source = self._source(data, behaviour)
        _check_cause(data.get("useCause"))
        asserted = data.get("certData")
        if not isinstance(asserted, dict) or not asserted:
            return source, _result(6)
        number = _filled(asserted.get("holderCode"), 110, source)
        _filled(asserted.get("holder"), 111, source)
        _filled(asserted.get("certNo"), 109, source)
        return source, _result(_compared(records(self._held, source, number, behaviour(source), now), asserted))

    def _source(self, data: dict[str, Any], behaviour: Callable[[str], str]) -> str:
        code = _filled(data.get("certTypeCode"), 12)
        if not is_certificate_type(code):
            raise _Refused(113)
        source = self._sources.get(code)
        if source is None:
            raise _Refused(13)
        if source not in self._allowed or behaviour(source) == "not_permitted":
            raise _Refused(100, source)
        return source


def _filled(value: object, status: int, source: str = "") -> str:
    if not isinstance(value, str) or not value.strip():
        raise _Refused(status, source)
    return value


def _check_holder(kind: object, number: str, source: str) -> None:
    if not isinstance(kind, str) or kind not in HOLDER_TYPES:
        raise _Refused(103, source)
    if not is_identifier(kind, number):
        raise _Refused(102, source)


def _check_cause(cause: object) -> None:
    """Free text of at most 200 characters is the old form; an object, or the same as a string, the new one."""
    if isinstance(cause, str) and cause.startswith("{"):
        try:
            cause = parse(cause.encode())
        except CallerProblem:
            raise _Refused(12) from None
    if isinstance(cause, dict):
        complete = cause.keys() == CAUSE_FIELDS and all(isinstance(text, str) and text for text in cause.values())
        if not complete or cause["certificateCallCategory"] not in {"0", "1"}:
            raise _Refused(12)
        cause = cause["certificateCopyCause"]
    if not isinstance(cause, str) or not 0 < len(cause) <= 200:
        raise _Refused(12)


def _status(found: list[Record]) -> int:
    """Why there is nothing valid: none at all, or the state of the last one."""
    return _STATE_STATUS.get(found[-1]["state"], 101) if found else 10


def _result(result: int) -> dict[str, Any]:
    return {"result": result, "message": f"核验结果{result}"}


def _compared(found: list[Record], asserted: dict[str, Any]) -> int:
    if not found:
        return 5
    face_fields = {name.lower(): value for name, value in asserted.items()}
    hits = [record for record in found if record["face"].items() >= face_fields.items()]
    if not hits:
        return 7
    if len(hits) > 1:
        return 4
    state = hits[0]["state"]
    return 0 if state in VALID_STATES else _RESULT_OF_STATUS.get(_STATE_STATUS.get(state, 21), 3)
