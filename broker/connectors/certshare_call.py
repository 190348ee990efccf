"""One call of the e-licence sharing platform: account and token out, status and SM2-encrypted data back.

``POST <endpoint>/<operation>`` with ``{"head": {accessId, accessToken}, "data": {…, useCause}}``; the answer is
``{"head": {status, message}, "data": …}`` whose data is hex SM2 ciphertext (C1‖C2‖C3) to our key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

import orjson

from broker.connectors.reading import at, body_of, credential, json_of, settle, text_of
from broker.core.answer import Matter, Reason
from broker.core.errors import OperatorProblem, SourceProblem
from broker.ports import Connection, HttpRequest, HttpResponse, Repeat

Decrypt: TypeAlias = Callable[[str, bytes], bytes]
"""Private key (PEM) and C1‖C2‖C3 to plaintext; ``SourceProblem`` when the text is not for this key."""

OK: Final = frozenset({0})

_FAILED: Final = 99  # "other exception": the one status that may be gone a moment later
_BACK_OFF: Final = (0.2, 0.6)  # seconds before a question that met it is asked again

_DOES: Final = frozenset({"queryCertInfoByQRcode", "ChannelVerify/begin/verify"})
"""Operations that do something there: a 用证码 is spent, the holder's phone rings. All others may be asked twice."""

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

CAUSE_LENGTH: Final = 200  # of the older free text

_DIGITS: Final = re.compile(r"0|[1-9][0-9]{0,4}")


class Platform:
    """One account's calls on behalf of one lookup, or of one management call."""

    def __init__(self, connection: Connection, decrypt: Decrypt, request_id: str) -> None:
        """``request_id`` goes along, so that the platform can tell a repeated call."""
        self.connection = connection
        self._decrypt = decrypt
        self._request_id = request_id

    def call(
        self, operation: str, data: Mapping[str, Any], good: Collection[int] = OK
    ) -> Generator[HttpRequest, HttpResponse, Any]:
        """The decrypted data of an answer whose status is good; any other ends the conversation."""
        return (yield from self._asked(self.connection.endpoint, operation, data, good))

    def beside(
        self, operation: str, data: Mapping[str, Any], good: Collection[int] = OK
    ) -> Generator[HttpRequest, HttpResponse, Any]:
        """A call of what stands beside ``/CertShare`` on the same platform, ``/ChannelVerify`` for one."""
        base = self.connection.options.get("base") or self.connection.endpoint.rpartition("/")[0]
        return (yield from self._asked(base, operation, data, good))

    def _asked(
        self, base: str, operation: str, data: Mapping[str, Any], good: Collection[int]
    ) -> Generator[HttpRequest, HttpResponse, Any]:
        request = self._request(base, operation, data)
        response = yield request
        if request.repeat is Repeat.SAFE:
            for pause in _BACK_OFF:
                if _status_of(response) != _FAILED:
                    break
                response = yield replace(request, after=pause)
        return self._data(response, good)

    def _request(self, base: str, operation: str, data: Mapping[str, Any]) -> HttpRequest:
        token = access_token(credential(self.connection, "password"))
        head = {"accessId": credential(self.connection, "account"), "accessToken": token}
        headers = {"Content-Type": "application/json", "X-Request-Id": self._request_id}
        body = orjson.dumps({"head": head, "data": data})
        repeat = Repeat.EFFECT if operation in _DOES else Repeat.SAFE
        return HttpRequest("POST", f"{base}/{operation}", headers, body, repeat)

    def _data(self, response: HttpResponse, good: Collection[int]) -> Any:
        envelope = json_of(body_of(response))
        status = at(envelope, "head.status")
        if number_of(status) not in good:
            reason = STATUSES.get(number_of(status), Reason.MALFORMED)
            settle(Reason.MALFORMED if reason is Reason.VALID else reason, status)
        return self._in_clear(envelope.get("data"))

    def _in_clear(self, data: object) -> Any:
        """Either all of ``data`` is ciphertext or its ``certData``; a key of ours demands that one of them is."""
        key = self.connection.credentials.get("private_key")
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


def _status_of(response: HttpResponse) -> int:
    return number_of(at(json_of(body_of(response)), "head.status"))


def use_cause(matter: Matter, shape: str) -> dict[str, str] | str:
    """用证事由 from the case, in the platform's form; NOT_CONFIGURED for a form that nobody has."""
    return spelt(
        {
            "certificateSystemName": matter.system,
            "certificateCopyCause": matter.reason,
            "certificateCallCategory": "0",  # for a service item; a lookup is never sent outside one
            "certificateMatterName": matter.item_name,
            "certificateEventCode": matter.item_code,
        },
        shape,
    )


def spelt(cause: dict[str, str], shape: str) -> dict[str, str] | str:
    """A cause as the platform wants it: ``object``, the same as a JSON ``string``, or the older free ``text``.

    The text names item, its code and the system besides the reason, within the 200 characters that the older platforms
    take: they print it across the copy, and an auditor must find the case's item by it.
    """
    if shape == "text":
        names = ("certificateCopyCause", "certificateMatterName", "certificateEventCode", "certificateSystemName")
        return "；".join(cause[name] for name in names)[:CAUSE_LENGTH]
    if shape == "string":
        return orjson.dumps(cause).decode()
    return cause if shape == "object" else settle(Reason.NOT_CONFIGURED)


def access_token(password: str) -> str:
    """What the platform compares: the MD5 of the account's password, 32 lower-case hex digits."""
    return hashlib.md5(password.encode(), usedforsecurity=False).hexdigest()


def number_of(value: object) -> int:
    """A code sent as a number or as the same number's digits; -1, which is no code, for anything else."""
    digits = text_of(value) or ""
    return int(digits) if _DIGITS.fullmatch(digits) else -1
