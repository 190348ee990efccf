"""A strict e-licence sharing platform: account, token, whitelist, use cause; data encrypted to the caller with SM2.

Certificates by holder, by identifier and by 用证码; verification; files, at once or behind a link that works once;
the consent transaction. Written from the description of the real one and from nothing the broker's connector contains.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from typing import Any, Final, cast

import orjson

from broker.core.envelope import Algorithm, parse
from broker.core.errors import CallerProblem
from broker.core.identifiers import HOLDER_TYPES, is_certificate_type, is_identifier
from broker.sandbox.certshare_files import LINK_SECONDS, Links, certificate_file, shown_by
from broker.sandbox.holdings import Holdings, Record, type_code
from broker.sandbox.platform import Call, Reply, records
from broker.signing import keys
from broker.signing.sm2 import Sm2Verifier

Encrypt = Callable[[bytes], bytes]
Behaviour = Callable[[str], str]
Told = tuple[str, Any, int]  # source, data, status
Operation = Callable[[dict[str, Any], Behaviour, float], Told]

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
_FILE_FIELDS: Final = frozenset(
    {"fileType", "certificateIdentifier", "certificateCopyCause", "certificateCopyCauseExpiringTime"}
)
_LABELS: Final = {  # the field dictionary of a certificate's face
    "holder": "持证主体",
    "holdercode": "持证主体代码",
    "certno": "证照编号",
    "zzyxqqsrq": "证照有效期起始日期",
    "zzyxqjzrq": "证照有效期截止日期",
}
TRANSACTION_SECONDS: Final = 600
_BEGUN: Final = 60001  # a transaction that had begun before is as good as a new one
_AUTHORISED, _WAITING, _REFUSED = 2, 1, 3


class _Refused(Exception):
    def __init__(self, status: int, source: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.source = source


@dataclass(frozen=True)
class Account:
    """One caller as the platform knows it: ``types`` are those it may ask for, by our name."""

    name: str
    password: str = field(repr=False)
    encrypt: Encrypt = field(repr=False)
    types: Mapping[str, str]


@dataclass
class _Transaction:
    """A consent being asked for: of whom, for which types, until when."""

    holder: str
    types: frozenset[str]
    ends: float


class CertSharePlatform:
    """One account's view of the platform."""

    def __init__(self, account: Account, held: Holdings, base: str = "") -> None:
        """``base`` is where links of the platform begin."""
        self._account = account.name
        self._token = hashlib.md5(account.password.encode(), usedforsecurity=False).hexdigest()
        self._held = held
        self._base = base
        self._sources = {
            account.types.get(source) or type_code(source): source for source in held if source.startswith("ecert-")
        }
        self._allowed = account.types.keys()
        encrypt = account.encrypt
        self._encrypt = lru_cache(maxsize=4096)(lambda data: encrypt(data).hex())  # a benchmark's server must be cheap
        self._links = Links()
        self._transactions: dict[str, _Transaction] = {}
        self._operations: dict[str, Operation] = {
            "/CertShare/queryCertInfoByHolderCode": self._query,
            "/CertShare/queryCertInfo": self._query_one,
            "/CertShare/queryCertInfoByQRcode": self._query_shown,
            "/CertShare/downloadUrl": self._link,
            "/CertShare/downloadUrlsByHolderCode": self._links_of_holder,
            "/CertShare/downloadFile": self._file,
            "/CertShare/verifyCertInfo": self._verify,
            "/CertShare/verifyFile": self._verify_file,
            "/CertShare/getCertRemarkInfo": self._dictionary,
            "/ChannelVerify/begin/verify": self._begin,
            "/ChannelVerify/current/status": self._status_of,
            "/CertShare/queryCertInfosByVerifyTrx": self._query_consented,
        }

    def handle(self, call: Call, behaviour: Behaviour) -> Reply:
        """Status 0 with encrypted data, or the status that says what is wrong."""
        if call.method == "GET":
            return self._download(call)
        try:
            data = self._authenticated(call)
            source, document, status = self._operations.get(call.path, _no_operation)(data, behaviour, call.now)
        except _Refused as refused:
            head = {"status": refused.status, "message": f"错误{refused.status}"}
            return Reply(orjson.dumps({"head": head, "data": None}), source=refused.source)
        head = {"status": status, "message": "接口调用成功"}
        protect = _PROTECTION.get(behaviour(source), self._encrypt)
        return Reply(orjson.dumps({"head": head, "data": protect(orjson.dumps(document))}), source=source)

    def _download(self, call: Call) -> Reply:
        """The file behind a link: once, and only in time; a second try finds nothing."""
        number = call.query.removeprefix("id=")
        found = self._links.spend(number, call.now) if call.path == "/zzgxpt/download" else None
        if found is None:
            return Reply("链接已失效".encode(), "text/plain; charset=utf-8", status="404 Not Found")
        source, content, kind = found
        return Reply(content, "application/ofd" if kind == "ofd" else "image/png", source)

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

    # ---- queries

    def _query(self, data: dict[str, Any], behaviour: Behaviour, now: float) -> Told:
        source, found = self._of_holder(data, behaviour, now)
        return source, {"certData": [record["face"] for record in found]}, 0

    def _of_holder(self, data: dict[str, Any], behaviour: Behaviour, now: float) -> tuple[str, list[Record]]:
        _only(data, _QUERY_FIELDS)
        source = self._source(data, behaviour)
        _check_cause(data.get("useCause"))
        number = _filled(data.get("holderCode"), 110, source)
        _check_holder(data.get("holderTypeCode"), number, source)
        return source, _valid(records(self._held, source, number, behaviour(source), now), source)

    def _query_one(self, data: dict[str, Any], behaviour: Behaviour, now: float) -> Told:
        _only(data, {"certIdentifier", "useCause"})
        _check_cause(data.get("useCause"))
        source, found = self._certificate(data.get("certIdentifier"), behaviour, now)
        return source, {"certData": _valid(found, source)[0]["face"]}, 0

    def _query_shown(self, data: dict[str, Any], behaviour: Behaviour, now: float) -> Told:
        _only(data, {"qrcode", "useCause"})
        _check_cause(data.get("useCause"))
        identifier = self._shown(data.get("qrcode"), now)
        source, found = self._certificate(identifier, behaviour, now)
        return source, {"certData": _valid(found, source)[0]["face"]}, 0

    def _shown(self, code: object, now: float) -> str:
        """The certificate that a code shows; one that is old, or nobody's, is a wrong parameter."""
        shown = shown_by(_filled(code, 12), now, lambda: list(self._by_identifier))
        if not shown:
            raise _Refused(102)
        return shown

    @cached_property
    def _by_identifier(self) -> dict[str, tuple[str, str]]:
        """Source and holder of each certificate."""
        return {
            record["face"]["cert_identifier"]: (source, number)
            for source in self._sources.values()
            for number, found in self._held[source].items()
            for record in found
        }

    def _certificate(self, identifier: object, behaviour: Behaviour, now: float) -> tuple[str, list[Record]]:
        """The one certificate of this identifier, with the lies its source tells."""
        known = _filled(identifier, 12)
        source, number = self._by_identifier.get(known, ("", ""))
        if not source:
            raise _Refused(10)
        if source not in self._allowed or behaviour(source) == "not_permitted":
            raise _Refused(100, source)
        found = records(self._held, source, number, behaviour(source), now)
        return source, [record for record in found if record["face"]["cert_identifier"] == known]

    # ---- verification

    def _verify(self, data: dict[str, Any], behaviour: Behaviour, now: float) -> Told:
        _only(data, _VERIFY_FIELDS)
        source = self._source(data, behaviour)
        _check_cause(data.get("useCause"))
        asserted = data.get("certData")
        if not isinstance(asserted, dict) or not asserted:
            return source, _result(6), 0
        number = _filled(asserted.get("holderCode"), 110, source)
        _filled(asserted.get("holder"), 111, source)
        _filled(asserted.get("certNo"), 109, source)
        return source, _result(_compared(records(self._held, source, number, behaviour(source), now), asserted)), 0

    def _verify_file(self, data: dict[str, Any], behaviour: Behaviour, now: float) -> Told:
        """Whether these bytes are one of our files; that its answer looks like verifyCertInfo's is our reading."""
        _only(data, {"certTypeCode", "contentType", "content", "useCause"})
        source = self._source(data, behaviour)
        _check_cause(data.get("useCause"))
        if data.get("contentType") != "base64":
            raise _Refused(102, source)
        try:
            content = base64.b64decode(_filled(data.get("content"), 12, source), validate=True)
        except ValueError:
            raise _Refused(102, source) from None
        everyone = self._held[source]
        kept = [one for number in everyone for one in records(self._held, source, number, behaviour(source), now)]
        same = [one for one in kept if content in {certificate_file(one, "ofd"), certificate_file(one, "png")}]
        return source, _result(_standing(same[0]) if same else 5), 0

    # ---- files

    def _file(self, data: dict[str, Any], behaviour: Behaviour, now: float) -> Told:
        _only(data, _FILE_FIELDS)
        _check_cause(data.get("certificateCopyCause"))
        source, found = self._certificate(data.get("certificateIdentifier"), behaviour, now)
        if data.get("fileType") not in {"ofd", "png"}:
            raise _Refused(102, source)
        content = certificate_file(_valid(found, source)[0], data["fileType"])
        return source, base64.b64encode(content).decode(), 0

    def _link(self, data: dict[str, Any], behaviour: Behaviour, now: float) -> Told:
        _only(data, {"certIdentifier", "useCause", "expiryTime"})
        _check_cause(data.get("useCause"))
        source, found = self._certificate(data.get("certIdentifier"), behaviour, now)
        return source, self._linked(source, _valid(found, source), now), 0

    def _links_of_holder(self, data: dict[str, Any], behaviour: Behaviour, now: float) -> Told:
        source, found = self._of_holder(data, behaviour, now)
        return source, self._linked(source, found, now), 0

    def _linked(self, source: str, found: list[Record], now: float) -> list[dict[str, str]]:
        return [
            {
                "contentType": kind,
                "certIdentifier": record["face"]["cert_identifier"],
                "content": f"{self._base}/zzgxpt/download?id="
                + self._links.new(source, certificate_file(record, kind), kind, now + LINK_SECONDS),
            }
            for record in found
            for kind in ("ofd", "png")
        ]

    # ---- the consent transaction

    def _begin(self, data: dict[str, Any], behaviour: Behaviour, now: float) -> Told:
        _only(data, {"qrcode", "certCodes"})
        types = data.get("certCodes")
        if not isinstance(types, list) or not types:
            raise _Refused(12)
        sources = [self._source({"certTypeCode": one}, behaviour) for one in types]
        _, holder = self._by_identifier[self._shown(data.get("qrcode"), now)]
        begun = {number for number, one in self._transactions.items() if one.holder == holder and one.types == {*types}}
        number = next(iter(begun), None) or secrets.token_hex(16)
        self._transactions[number] = _Transaction(holder, frozenset(types), now + TRANSACTION_SECONDS)
        return sources[0], {"trxId": number}, _BEGUN if begun else 0

    def _status_of(self, data: dict[str, Any], behaviour: Behaviour, now: float) -> Told:
        _only(data, {"trxId"})
        source, status, _ = self._transaction(data, behaviour, now)
        return source, {"verifyStatus": status}, 0

    def _transaction(self, data: dict[str, Any], behaviour: Behaviour, now: float) -> tuple[str, int, _Transaction]:
        """Where a transaction stands: the holder decides as the lever says, and nobody waits for ever."""
        found = self._transactions.get(_filled(data.get("trxId"), 12))
        if found is None:
            raise _Refused(102)
        source = self._source({"certTypeCode": min(found.types)}, behaviour)
        decided = {"undecided": _WAITING, "refused": _REFUSED}.get(behaviour(source), _AUTHORISED)
        return source, decided if now < found.ends else _REFUSED, found

    def _query_consented(self, data: dict[str, Any], behaviour: Behaviour, now: float) -> Told:
        _only(data, {"trxId", "certTypeCode", "useCause"})
        _check_cause(data.get("useCause"))
        source = self._source(data, behaviour)
        _, status, found = self._transaction(data, behaviour, now)
        if status != _AUTHORISED or data["certTypeCode"] not in found.types:
            raise _Refused(100, source)
        kept = _valid(records(self._held, source, found.holder, behaviour(source), now), source)
        return source, {"certData": [record["face"] for record in kept]}, 0

    # ---- the rest

    def _dictionary(self, data: dict[str, Any], behaviour: Behaviour, now: float) -> Told:
        del now  # a dictionary has no moment
        _only(data, {"certName", "certTypeCode"})
        source = self._source(data, behaviour)
        faces = [record["face"] for found in self._held[source].values() for record in found[:1]]
        return source, {name: _LABELS.get(name, name) for name in faces[0] if name != "cert_identifier"}, 0

    def _source(self, data: dict[str, Any], behaviour: Behaviour) -> str:
        code = _filled(data.get("certTypeCode"), 12)
        if not is_certificate_type(code):
            raise _Refused(113)
        source = self._sources.get(code)
        if source is None:
            raise _Refused(13)
        if source not in self._allowed or behaviour(source) == "not_permitted":
            raise _Refused(100, source)
        return source


def _no_operation(_data: dict[str, Any], _behaviour: Behaviour, _now: float) -> Told:
    raise _Refused(2)


def _only(data: dict[str, Any], known: Collection[str]) -> None:
    if not data.keys() <= set(known):
        raise _Refused(102)


def _valid(found: list[Record], source: str) -> list[Record]:
    valid = [record for record in found if record["state"] in VALID_STATES]
    if not valid:
        raise _Refused(_status(found), source)
    return valid


@cache
def _stranger() -> Sm2Verifier:
    """A key that is nobody's, for answers that are not for us."""
    return cast("Sm2Verifier", keys.generate(Algorithm.SM2).verifier())


_PROTECTION: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "unsigned": orjson.loads,
    "wrong_key": lambda data: _stranger().encrypt(data).hex(),
}
"""Lies about the encryption: none at all, or for somebody else."""


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
    return _standing(hits[0])


def _standing(record: Record) -> int:
    state = record["state"]
    return 0 if state in VALID_STATES else _RESULT_OF_STATUS.get(_STATE_STATUS.get(state, 21), 3)
