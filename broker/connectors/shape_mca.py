"""Marriage registrations of the Ministry of Civil Affairs (民政部 婚姻): what is registered, newest first or not.

The service answers with events, not with a state: the state is derived from the latest one. Fields: ``status``
(married, divorced, none) and ``registered_on``. Source options: ``kinds`` {ywlxdm: status}, ``codes``, and ``empty``:
whether a person without any event is "none" (a status) or "not_found".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from broker.connectors.reading import (
    Record,
    at,
    json_of,
    latest,
    records_of,
    refusal_of,
    settle,
    text_of,
)
from broker.connectors.shape import Asking, Proxy
from broker.core.answer import Answer, Question, Reason
from broker.core.case import CITIZEN_ID, Party
from broker.core.catalog import Form, Source

SUCCESS: Final = "success"
LIMIT: Final = 100  # more registrations than one life holds; a full page would mean that some are missing
KINDS: Final[Mapping[str, str]] = {  # 业务类型代码
    "IA": "married",
    "ICA": "married",  # a certificate issued again
    "IB": "divorced",
    "ICB": "divorced",
    "ID": "none",  # annulled
}


class Marriage:
    """One person's state (query), or whether two people are married to each other (verify)."""

    proxy: Final = Proxy.HTTP
    headers: Final[Mapping[str, str]] = {"Content-Type": "application/json"}

    def body(self, asking: Asking) -> bytes:
        """The parties by their sex, which stands in the number; INSUFFICIENT where it cannot."""
        question = asking.question
        people = [question.subject]
        if question.form is Form.VERIFY or question.related is not None:
            people.append(question.related or settle(Reason.INSUFFICIENT))
        asked: dict[str, str | int] = {}
        for person in people:
            asked |= {f"name_{sex_of(person)}": person.name, f"cert_num_{sex_of(person)}": person.number}
        if len(asked) != 2 * len(people):
            settle(Reason.INSUFFICIENT)  # the service knows one man and one woman only
        return orjson.dumps(asked | {"start": 0, "limit": LIMIT})

    def payload(self, body: bytes, asking: Asking) -> Any:
        """The document as sent, once it says ``success``."""
        document = json_of(body)
        status = at(document, "status")
        if status != SUCCESS:
            settle(refusal_of(status, asking.source.options.get("codes", {})), status)
        return document

    def answer(self, payload: Any, asking: Asking) -> Answer:
        """The state after the latest registration."""
        records = records_of(payload.get("result"))
        if len(records) >= LIMIT:
            settle(Reason.AMBIGUOUS, SUCCESS)
        if not records:
            return _unregistered(asking.question, asking.source)
        return _registered(records, asking.question, asking.source)


def sex_of(person: Party) -> str:
    """``man`` or ``woman`` by the 17th digit of a citizen number, odd for men."""
    if person.id_type != CITIZEN_ID or len(person.number) != 18 or not person.number[16].isdigit():
        settle(Reason.INSUFFICIENT)
    return "man" if int(person.number[16]) % 2 else "woman"


def _unregistered(question: Question, source: Source) -> Answer:
    """No event of a couple proves nothing; no event of a person is the status "none" where the list says so."""
    if question.form is Form.VERIFY or question.related is not None or source.options.get("empty") != "none":
        settle(Reason.NOT_FOUND, SUCCESS)
    fields = {"status": "none"} if "status" in question.fields else {}
    return Answer(Reason.VALID, fields, source_code=SUCCESS)


def _registered(records: Sequence[Record], question: Question, source: Source) -> Answer:
    last = records[0] if len(records) == 1 else latest(records, "djrq")
    status = {**KINDS, **source.options.get("kinds", {})}.get(text_of(last.get("ywlxdm")) or "")
    if status is None:
        settle(Reason.MALFORMED, SUCCESS)
    if any(_number_of(person, record) != person.number for record in records for person in _people(question)):
        settle(Reason.WRONG_PERSON, SUCCESS)
    together = question.form is not Form.VERIFY or status == "married"
    told = {"status": status, "registered_on": text_of(last.get("djrq")) or ""}
    return Answer(
        Reason.VALID if together else Reason.MISMATCH,
        {name: value for name, value in told.items() if name in question.fields},
        question.subject.number,
        source_code=SUCCESS,
    )


def _people(question: Question) -> Sequence[Party]:
    return [question.subject] if question.related is None else [question.subject, question.related]


def _number_of(person: Party, record: Record) -> str:
    return (text_of(record.get(f"cert_num_{sex_of(person)}")) or "").upper()
