"""A strict exchange platform: working secrets, signed headers, and behind them the departments' services.

Written from the description of the real one and from nothing the broker's connector contains.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError

import orjson
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from broker.core.envelope import parse
from broker.core.errors import CallerProblem
from broker.core.identifiers import is_citizen_id, is_credit_code
from broker.sandbox.configured import Service, service
from broker.sandbox.exchange_soap import answered
from broker.sandbox.holdings import NAMES, Holdings, Record
from broker.sandbox.platform import CHINA, Call, Reply, records

SECRET_SECONDS: Final = 30 * 60
CLOCK_SECONDS: Final = 10 * 60  # how far a caller's rtime may be off
SHORT_USES: Final = (16, 64)  # where a secret is told to end in the midst of a batch: at the 16th of each 64 calls
KEPT_SECRETS: Final = 32  # askers that refresh at the same time all keep working
HEAD_FIELDS: Final = frozenset(
    {"FWQQBH", "QQBWDM", "QQBWMC", "SJLYXTDM", "SJLYXTMC", "JLS", "FSSJ"}
    | {"QQRGMSFHM", "QQRXM", "QQRDWDM", "QQRDWMC", "QQYWLXDM", "QQYWLXMC", "QQYWXTDM", "QQYWXTMC"}
)


class _Refused(Exception):
    """The gateway's own refusal."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ExchangePlatform:
    """One requester's view of the gateway."""

    def __init__(
        self,
        *,
        rid: str,
        app_key: str,
        ident_key: str,
        options: Mapping[str, Any],
        held: Holdings,
        described: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """``options`` are the connection's: prefix, paths, and the service ids of the sources this requester may ask.

        ``described`` are the services that a file describes; ``ident_key`` is what this requester signs the arguments
        of SOAP services with.
        """
        self._prefix = options["prefix"]
        self._secret_path = options["secret_path"]
        self._proxy_path = options["proxy_path"]
        self._wsproxy_path = options["wsproxy_path"]
        self._rid = rid
        self._app_key = app_key
        self._ident_key = ident_key
        self._soap = {source: one["soap"] for source, one in described.items() if "soap" in one}
        self._sources = {service: source for source, service in options["services"].items()}
        self._held = held
        self._services = {**_SERVICES, **{source: service(one) for source, one in described.items()}}
        self._secrets: list[tuple[str, float]] = []
        self._uses = 0

    def handle(self, call: Call, behaviour: Callable[[str], str]) -> Reply:
        """A service's answer, or the gateway's code and message."""
        try:
            return self._refresh(call, behaviour) if call.path == self._secret_path else self._proxy(call, behaviour)
        except _Refused as refused:
            return Reply(_json({"code": refused.code, "message": f"错误{refused.code}"}))

    def _refresh(self, call: Call, behaviour: Callable[[str], str]) -> Reply:
        signed = _parsed(call.body)
        if not isinstance(signed, dict) or len(signed) != 4:
            raise _Refused("-1")
        source = self._sources.get(self._check(signed, [self._app_key], call.now), "")
        secret, ends = secrets.token_hex(16), call.now + SECRET_SECONDS
        self._secrets = [*self._secrets[-KEPT_SECRETS + 1 :], (secret, ends)]
        handed = {"unsigned": secret, "wrong_key": wrapped(secret, secrets.token_hex(16))}
        told = handed.get(behaviour(source)) or wrapped(secret, self._app_key)
        data = {"secret": told, "secretEndTime": str(int(ends * 1000))}
        return Reply(_json({"code": "0", "message": "成功", "data": data}))

    def _check(self, signed: Mapping[str, Any], keys: list[str], now: float) -> str:
        """The service id, once requester, service, time and signature hold."""
        values = [signed.get(f"{self._prefix}_{name}") for name in ("sid", "rid", "rtime", "sign")]
        if not all(isinstance(value, str) and value for value in values):
            raise _Refused("-1")
        sid, rid, rtime, signature = map(str, values)
        if rid != self._rid or sid not in {*self._sources, *_MANAGEMENT}:
            raise _Refused("E-106")
        if not rtime.isdigit() or abs(int(rtime) / 1000 - now) > CLOCK_SECONDS:
            raise _Refused("-1")
        message = (sid + rid + rtime).encode()
        if not any(hmac.compare_digest(_signature(key, message), signature.encode()) for key in keys):
            raise _Refused("-1")
        return sid

    def _proxy(self, call: Call, behaviour: Callable[[str], str]) -> Reply:
        if call.path not in {self._proxy_path, self._wsproxy_path}:
            raise _Refused("-1")
        alive = [secret for secret, ends in reversed(self._secrets) if ends > call.now]
        sid = self._check(call.headers, alive, call.now)
        if (call.path == self._wsproxy_path) != (self._sources.get(sid) in self._soap):
            raise _Refused("-1")
        if sid in _MANAGEMENT:
            return Reply(_json(_managed(sid, _parsed(call.body))))
        source = self._sources[sid]
        if behaviour(source) == "not_permitted":
            raise _Refused("E-106")
        if behaviour(source) == "secret_expired":
            self._use_up()
        if source in {"ps-identity", "ps-base"}:
            return Reply(self._police(source, call, behaviour(source)), "application/xml; charset=utf-8", source)
        return self._service(source, call, behaviour(source))

    def _service(self, source: str, call: Call, behaviour: str) -> Reply:
        def answer(asked: dict[str, Any]) -> dict[str, Any]:
            return self._services[source](self._held, source, asked, behaviour, call.now)

        if source in self._soap:
            told = answered(self._soap[source], self._ident_key, call, answer)
            return Reply(told, "text/xml; charset=utf-8", source)
        asked = _parsed(call.body)
        if not isinstance(asked, dict):
            raise _Refused("-1")
        return Reply(_json(answer(asked)), source=source)

    def _use_up(self) -> None:
        """Let every secret end at one call of many, as if its time had come in the midst of a batch."""
        self._uses += 1
        last, calls = SHORT_USES
        if self._uses % calls == last:
            self._secrets = []
            raise _Refused("-1")

    def _police(self, source: str, call: Call, behaviour: str) -> bytes:
        asked = _package(call.body)
        if asked is None or not is_citizen_id(asked["GMSFHM"]):
            return _error("20")
        found = records(self._held, source, asked["GMSFHM"], behaviour, call.now)
        if behaviour == "schema":
            return _HEAD + b'<RECORD no="1" code="0"><GMSFHM><XM/></GMSFHM></RECORD>' + _TAIL
        if not found:
            return _error("10")
        if source == "ps-base":
            matching = [record for record in found if record["XM"] == asked["XM"]]
            return b"".join([_HEAD, *(_record(record) for record in matching), _TAIL]) if matching else _error("10")
        return b"".join([_HEAD, *(_record(_compared(record, asked)) for record in found), _TAIL])


def wrapped(secret: str, app_key: str) -> str:
    """The working secret as it is handed out: AES-128-ECB under a key hashed twice from the app key, Base64."""
    key = hashlib.sha1(hashlib.sha1(app_key.encode()).digest()).digest()[:16]  # noqa: S324 - the platform's own way
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - the platform's own way
    padded = padder.update(secret.encode()) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def _signature(key: str, message: bytes) -> bytes:
    return base64.b64encode(hmac.digest(key.encode(), message, "sha256"))


def _parsed(body: bytes) -> Any:
    try:
        return parse(body)
    except CallerProblem:
        raise _Refused("-1") from None


def _json(document: object) -> bytes:
    return orjson.dumps(document)


# ---- public security: XML

_HEAD: Final = b'<?xml version="1.0" encoding="UTF-8"?><PACKAGE><PACKAGEHEAD></PACKAGEHEAD><DATA>'
_TAIL: Final = b"</DATA></PACKAGE>"


def _package(body: bytes) -> dict[str, str] | None:
    """The asked record, if the package is complete: every head field filled, one record, its time well written."""
    try:
        package = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        return None
    head, asked = package.find("PACKAGEHEAD"), package.findall("DATA/RECORD")
    if package.tag != "PACKAGE" or head is None or len(asked) != 1:
        return None
    told, record = _texts(head), _texts(asked[0])
    complete = told.keys() == HEAD_FIELDS and all(told.values()) and told["JLS"] == "1"
    if not complete or record.keys() != {"GMSFHM", "XM"} or not all(record.values()):
        return None
    return record if _is_time(told["FSSJ"]) else None


def _texts(element: Element) -> dict[str, str]:
    return {child.tag: (child.text or "").strip() for child in element}


def _is_time(text: str) -> bool:
    try:
        return bool(datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=CHINA) > datetime(2020, 1, 1, tzinfo=UTC))
    except ValueError:
        return False


def _compared(record: Record, asked: Mapping[str, str]) -> Record:
    matches = {"GMSFHM_PPDDM": "1", "XM_PPDDM": "1" if record["XM"] == asked["XM"] else "0"}
    return {"GMSFHM": record["GMSFHM"]} | matches | {"SWBS": record["SWBS"]}


def _record(record: Record) -> bytes:
    tags = "".join(f"<{tag}>{escape(value)}</{tag}>" for tag, value in record.items())
    return f'<RECORD no="1" code="0">{tags}</RECORD>'.encode()


def _error(code: str) -> bytes:
    return _HEAD + f'<RECORD no="1" code="{code}" msg="错误{code}"></RECORD>'.encode() + _TAIL


# ---- the platform's own services

_MANAGEMENT: Final = frozenset({"s_sys_problemback001", "s_sys_supply002"})


def _managed(service: str, asked: Any) -> dict[str, Any]:
    """A correction or an application is taken with a number; which fields they have nobody has published."""
    if not isinstance(asked, dict) or not asked or not all(isinstance(text, str) and text for text in asked.values()):
        return {"code": "1", "message": "参数错误"}
    number = hashlib.sha256(orjson.dumps([service, asked])).hexdigest()[:12]
    return {"code": "0", "message": "成功", "data": {"number": number, "state": "受理"}}


# ---- the other departments: JSON


def _complete(asked: dict[str, Any], names: tuple[str, ...]) -> bool:
    return asked.keys() == set(names) and all(isinstance(value, str) and value for value in asked.values())


def _is_number(text: str) -> bool:
    return is_citizen_id(text) or is_credit_code(text)


def _named(held: Holdings, number: str, name: str) -> bool:
    """Number and name belong together; a service finds nothing for a pair that does not."""
    return held[NAMES].get(number, [{}])[0].get("name") == name


def _marriage(held: Holdings, source: str, asked: dict[str, Any], behaviour: str, now: float) -> dict[str, Any]:
    people = {key: value for key, value in asked.items() if key not in {"start", "limit"}}
    sides = [side for side in ("man", "woman") if f"cert_num_{side}" in people]
    names = tuple(f"{part}_{side}" for side in sides for part in ("name", "cert_num"))
    paged = type(asked.get("start")) is int and type(asked.get("limit")) is int
    numbers = [people.get(f"cert_num_{side}", "") for side in sides]
    if not sides or not paged or not _complete(people, names) or not all(map(is_citizen_id, numbers)):
        return {"status": "param_error", "message": "参数错误"}
    found = records(held, source, numbers[0], behaviour, now)
    if behaviour not in {"wrong_person", "schema"}:
        found = [record for record in found if people.items() <= record.items()]
    return {"status": "success", "result": found[asked["start"] : asked["start"] + asked["limit"]]}


def _civil_affairs(held: Holdings, source: str, asked: dict[str, Any], behaviour: str, now: float) -> dict[str, Any]:
    if not _complete(asked, ("id_card", "name")) or not is_citizen_id(asked["id_card"]):
        return {"status": "param_error", "message": "参数错误"}
    known = _named(held, asked["id_card"], asked["name"])
    found = records(held, source, asked["id_card"], behaviour, now) if known else []
    return {"status": "success", "result": found}


def _plain(names: tuple[str, ...], *, single: bool = False) -> Service:
    """``{"code": "200", "data": …}``: a list of records, or the record itself; ``names`` go from number to name."""

    def told(held: Holdings, source: str, asked: dict[str, Any], behaviour: str, now: float) -> dict[str, Any]:
        if not _complete(asked, names) or not _is_number(asked[names[0]]):
            return {"code": "400", "message": "参数错误", "data": None}
        known = _named(held, asked[names[0]], asked[names[-1]])
        found = records(held, source, asked[names[0]], behaviour, now) if known else []
        if not found:
            return {"code": "404", "message": "未查询到数据", "data": None}
        return {"code": "200", "message": "成功", "data": found[0] if single else {"list": found}}

    return told


def _real_estate(names: tuple[str, ...], *, single: bool = False) -> Service:
    """``{"head": {"code": "0000"}, "data": …}``: a list below ``cxjg``, or the record itself."""

    def told(held: Holdings, source: str, asked: dict[str, Any], behaviour: str, now: float) -> dict[str, Any]:
        if not _complete(asked, names) or not _is_number(asked["qlrzjh"]):
            return {"head": {"code": "2001", "status": "1", "msg": "参数错误"}, "data": None}
        known = _named(held, asked["qlrzjh"], asked["qlrmc"])
        found = records(held, source, asked["qlrzjh"], behaviour, now) if known else []
        if not found:
            return {"head": {"code": "1001", "status": "1", "msg": "未查询到数据"}, "data": None}
        data = found[0] if single else {"cxjg": found}
        return {"head": {"code": "0000", "status": "0", "msg": "成功"}, "data": data}

    return told


_SERVICES: Final[Mapping[str, Service]] = {
    "mca-marriage": _marriage,
    "mca-subsistence": _civil_affairs,
    "mca-cremation": _civil_affairs,
    "samr-enterprise": _plain(("uniscid", "entname")),
    "nr-title": _real_estate(("qlrmc", "qlrzjh")),
    "nr-house-count": _real_estate(("qlrmc", "qlrzjh", "cxfw"), single=True),
    "hc-contract": _plain(("idNo", "name")),
    "tx-deed-tax": _plain(("nsrsbh", "nsrmc")),
    "hs-insurance": _plain(("cardId", "name"), single=True),
    "hs-retirement": _plain(("cardId", "name"), single=True),
    "nhc-death": _plain(("idCardCode", "idCardType", "name"), single=True),
    "nhc-birth": _plain(("parentIdCard", "parentName")),
}
