"""Calls beside questions: what an operator may ask of a platform itself, outside any case.

    certshare   field_dictionary     which fields a certificate type has (getCertRemarkInfo)
                verify_file          whether a certificate's file is the platform's (verifyFile)
    exchange    correct_catalogue    tell the platform that its catalogue is wrong (s_sys_problemback001)
                apply_for_resource   apply for a service (s_sys_supply002)

Each is a conversation like a question's, so the same transport drives it, and ends in an ``Answer``: VALID with what
came back as text fields, or the reason why not. Nobody has published the bodies of the exchange platform's two
services: what the operator names is sent as it is. That ``verifyFile`` answers like ``verifyCertInfo`` is inferred.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from datetime import datetime
from typing import Final, TypeAlias

import orjson

from broker.connectors.certshare_call import RESULTS, Decrypt, Platform, number_of, spelt
from broker.connectors.exchange import Gateway
from broker.connectors.reading import at, code_of, conversation, json_of, object_of, service_of, settle, text_of
from broker.core.answer import Answer, Reason
from broker.core.catalog import Source
from broker.ports import Connection, Conversation, HttpRequest, HttpResponse
from broker.ports.management import ManagementCall

_Talk: TypeAlias = Generator[HttpRequest, HttpResponse, Answer]


class Management:
    """Makes the calls of both families."""

    def __init__(self, decrypt: Decrypt) -> None:
        self._decrypt = decrypt

    @conversation
    def run(self, wanted: ManagementCall, source: Source, connection: Connection, now: datetime) -> Conversation:
        """The conversation for one call; NOT_CONFIGURED where the source's family does not know it."""
        call = CALLS.get((source.connector, wanted.call)) or settle(Reason.NOT_CONFIGURED)
        return (yield from call(self._decrypt, wanted, source, connection, now))


def _cause(wanted: ManagementCall, connection: Connection) -> dict[str, str] | str:
    """Category 1, "not for an item": the one kind of call that no case stands behind."""
    cause = {
        "certificateSystemName": connection.options.get("system", {}).get("name", "exemption-broker"),
        "certificateCopyCause": wanted.reason[:200],
        "certificateCallCategory": "1",
        "certificateMatterName": wanted.call,
        "certificateEventCode": wanted.id,
    }
    return spelt(cause, connection.options.get("use_cause", "object"))


def _field_dictionary(
    decrypt: Decrypt, wanted: ManagementCall, source: Source, connection: Connection, _now: datetime
) -> _Talk:
    asked = {"certName": source.name["zh"], "certTypeCode": service_of(source, connection)}
    labels = yield from Platform(connection, decrypt, wanted.id).call("getCertRemarkInfo", asked)
    return Answer(Reason.VALID, _texts(labels), source_code="0")


def _verify_file(
    decrypt: Decrypt, wanted: ManagementCall, source: Source, connection: Connection, _now: datetime
) -> _Talk:
    content = wanted.arguments.get("content") or settle(Reason.INSUFFICIENT)
    asked = {"certTypeCode": service_of(source, connection), "contentType": "base64", "content": content}
    platform = Platform(connection, decrypt, wanted.id)
    told = yield from platform.call("verifyFile", asked | {"useCause": _cause(wanted, connection)})
    result = object_of(told).get("result")
    return Answer(RESULTS.get(number_of(result), Reason.MALFORMED), source_code=code_of(result))


def _manage(service: str) -> Callable[[Decrypt, ManagementCall, Source, Connection, datetime], _Talk]:
    """A management service of the exchange platform, by its id unless the connection names another."""

    def call(
        _decrypt: Decrypt, wanted: ManagementCall, _source: Source, connection: Connection, now: datetime
    ) -> _Talk:
        if not wanted.arguments:
            settle(Reason.INSUFFICIENT)
        known = connection.options.get("management", {}).get(wanted.call, service)
        headers = {"Content-Type": "application/json", "X-Request-Id": wanted.id}
        document = json_of((yield from Gateway(connection, known, now).call(headers, orjson.dumps(wanted.arguments))))
        code = text_of(at(document, "code"))
        if code != "0":
            settle(Reason.SOURCE_REFUSED_QUESTION, code)
        return Answer(Reason.VALID, _texts(at(document, "data") or {}), source_code="0")

    return call


def _texts(document: object) -> dict[str, str]:
    return {name: told for name, value in object_of(document).items() if (told := text_of(value)) is not None}


CALLS: Final[Mapping[tuple[str, str], Callable[[Decrypt, ManagementCall, Source, Connection, datetime], _Talk]]] = {
    ("certshare", "field_dictionary"): _field_dictionary,
    ("certshare", "verify_file"): _verify_file,
    ("exchange", "correct_catalogue"): _manage("s_sys_problemback001"),
    ("exchange", "apply_for_resource"): _manage("s_sys_supply002"),
}
"""Family and call to what makes it."""
