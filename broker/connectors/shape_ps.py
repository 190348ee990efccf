"""Population services of the Ministry of Public Security (公安部 人口库): an XML PACKAGE each way.

The PACKAGEHEAD names who asks (operator: number, name, unit) and for what (business type, system); it is filled from
the case and refused by the ministry when a field is empty. An identity check answers by comparison codes alone; that
it repeats the number asked for is not documented, so that number is held against the question only where it is there.
Source options: ``codes`` for RECORD@code, and those of :mod:`broker.connectors.reading`, with the tags in upper case.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from xml.etree.ElementTree import Element

from broker.connectors.reading import refusal_of, settle, the_one, told
from broker.connectors.reading_xml import record_of, tags_of, xml_of
from broker.connectors.shape import Asking, Proxy
from broker.core.answer import Answer, Question, Reason
from broker.core.day import CHINA
from broker.ports import Connection

NO_ERROR: Final = "0"  # RECORD@code where the platform writes one at all


class PsPackage:
    """身份核查 (names and numbers compared) and 基准信息 (the base record): they differ in their tags only."""

    proxy: Final = Proxy.HTTP
    headers: Final[Mapping[str, str]] = {"Content-Type": "application/xml; charset=utf-8"}

    def body(self, asking: Asking) -> bytes:
        """One record about the subject under a head that says who asks and why."""
        question = asking.question
        head = _head(question, asking.connection, asking.now)
        if not all(head.values()):
            settle(Reason.INSUFFICIENT)  # the ministry refuses an empty one; better not to ask
        record = {"GMSFHM": question.subject.number, "XM": question.subject.name}
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><PACKAGE><PACKAGEHEAD>{tags_of(head)}</PACKAGEHEAD>'
            f'<DATA><RECORD no="1">{tags_of(record)}</RECORD></DATA></PACKAGE>'
        ).encode()

    def payload(self, body: bytes, asking: Asking) -> Any:
        """The records as ``[{tag: text}]``, unless one of them is an error."""
        data = _package(body).find("DATA")
        if data is None or any(element.tag != "RECORD" for element in data):
            settle(Reason.MALFORMED)
        for element in data:
            code = element.get("code", NO_ERROR)
            if code != NO_ERROR:
                settle(refusal_of(code, asking.source.options.get("codes", {})), code)
        return [record_of(element) for element in data]

    def answer(self, payload: Any, asking: Asking) -> Answer:
        """The single record's answer."""
        return told(the_one(payload, asking.source.options), asking.question, asking.source, NO_ERROR)


def _package(body: bytes) -> Element:
    package = xml_of(body)
    return package if package.tag == "PACKAGE" else settle(Reason.MALFORMED)


def _head(question: Question, connection: Connection, now: datetime) -> dict[str, str]:
    matter, operator = question.matter, question.matter.operator
    system = connection.options.get("system", {})
    return {
        "FWQQBH": question.lookup_id,
        "QQBWDM": operator.unit,
        "QQBWMC": operator.unit_name,
        "SJLYXTDM": system.get("code", matter.system),
        "SJLYXTMC": system.get("name", matter.system),
        "JLS": "1",
        "FSSJ": now.astimezone(CHINA).strftime("%Y%m%d%H%M%S"),
        "QQRGMSFHM": operator.id,
        "QQRXM": operator.name,
        "QQRDWDM": operator.unit,
        "QQRDWMC": operator.unit_name,
        "QQYWLXDM": matter.item_code,
        "QQYWLXMC": matter.item_name,
        "QQYWXTDM": matter.system,
        "QQYWXTMC": matter.system,
    }
