"""Reading what sources say: strictly, and by the ``options`` the sharing list has for each source.

A source's code that nobody has listed never becomes HELD: it is MALFORMED, because an unknown meaning is not a fact.
The options read here: ``fields``, ``holder``, ``values``, ``verdicts``, ``pick``, ``latest``, ``as_of``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final, NoReturn, ParamSpec, TypeAlias

from broker.core.answer import Answer, Outcome, Question, Reason, Reply
from broker.core.case import Party
from broker.core.catalog import Source
from broker.core.day import CHINA
from broker.core.envelope import parse
from broker.core.errors import CallerProblem
from broker.ports import Connection, Conversation, HttpResponse

_P = ParamSpec("_P")

AnswerOk: TypeAlias = Callable[[str, object], bool]
"""Whether a decoded business payload is what this source's answer schema describes."""

Record: TypeAlias = Mapping[str, Any]

MAX_ANSWER: Final = 1024 * 1024  # what the transport lets through; parsing must not be the stricter of the two


_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_MOMENT: Final = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})(?:[ T]?([0-9]{2}):?([0-9]{2}):?([0-9]{2}))?")
_PERHAPS: Final = "?"  # behind a holder's path: compared where the source names its holder, and missed by nobody

_LONG_TERM: Final = frozenset({"长期", "长期有效"})

_STATUS: Final[Mapping[int, Reason]] = {  # the gateway in front of a source, speaking plain HTTP
    401: Reason.AUTHENTICATION,
    403: Reason.NOT_PERMITTED,
    404: Reason.CATALOGUE_DRIFT,
    405: Reason.CATALOGUE_DRIFT,
    410: Reason.CATALOGUE_DRIFT,
}


class Settled(Exception):
    """The conversation is over: whatever comes next, this is its answer."""

    def __init__(self, reason: Reason, code: object = "") -> None:
        """``code`` is the source's own; it is kept only if it looks like a code."""
        super().__init__(reason.value)
        self.answer = Answer(reason, source_code=code_of(code))


def settle(reason: Reason, code: object = "") -> NoReturn:
    """End the conversation with this reason."""
    raise Settled(reason, code)


def conversation(talk: Callable[_P, Generator[Any, Any, Reply]]) -> Callable[_P, Conversation]:
    """What ``ask`` of a connector is: a conversation that ``settle`` may end anywhere, with the answer it gives."""

    @wraps(talk)
    def settled(*args: _P.args, **kwargs: _P.kwargs) -> Conversation:
        try:
            return (yield from talk(*args, **kwargs))
        except Settled as end:
            return end.answer

    return settled


def code_of(value: object) -> str:
    """The source's code as text; empty for anything that might be free text, which may name people."""
    told = text_of(value) or ""
    return told if _CODE.fullmatch(told) else ""


def body_of(response: HttpResponse) -> bytes:
    """The body of a 200; what any other status means ends the conversation."""
    if response.status != 200:
        settle(_STATUS.get(response.status, Reason.MALFORMED), str(response.status))
    return response.body


def json_of(body: bytes) -> Any:
    """Strict JSON, or MALFORMED."""
    try:
        return parse(body, limit=MAX_ANSWER)
    except CallerProblem:
        settle(Reason.MALFORMED)


def object_of(value: object) -> Record:
    """A JSON object, or MALFORMED."""
    if not isinstance(value, dict):
        settle(Reason.MALFORMED)
    return value


def records_of(value: object) -> Sequence[Record]:
    """One record or a list of them; null is none, anything else MALFORMED."""
    if value is None:
        return ()
    return [object_of(entry) for entry in value] if isinstance(value, list) else (object_of(value),)


def at(document: object, path: str) -> Any:
    """The value at a dotted path; None where the path ends early."""
    for step in path.split("."):
        if not isinstance(document, dict):
            return None
        document = document.get(step)
    return document


def text_of(value: object) -> str | None:
    """A string as it is, or a whole number as text; None for all that is no single plain value."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def reason_of(code: object, known: Mapping[str, str]) -> Reason:
    """Our reason for a source's code from a table of the list; unlisted codes are MALFORMED."""
    told = text_of(code)
    if told is None or told not in known:
        settle(Reason.MALFORMED, told or "")
    try:
        return Reason(known[told])
    except ValueError:
        settle(Reason.NOT_CONFIGURED, told)  # the list names a reason that does not exist


def refusal_of(code: object, known: Mapping[str, str]) -> Reason:
    """Our reason for a code beside the good ones; it is never HELD, whatever the list says."""
    reason = reason_of(code, known)
    return Reason.MALFORMED if reason.outcome is Outcome.HELD else reason


def service_of(source: Source, connection: Connection) -> str:
    """The source's certificate type or service id: from the list, else from the deployment, else nothing is asked."""
    found = source.service or connection.options.get("services", {}).get(source.key)
    return found if isinstance(found, str) and found else settle(Reason.NOT_CONFIGURED)


def credential(connection: Connection, name: str) -> str:
    """One credential of the connection; nothing is asked without it."""
    return connection.credentials.get(name) or settle(Reason.NOT_CONFIGURED)


def parameter(spec: str, question: Question) -> str:
    """What a request parameter of the list means: ``subject.number``, ``matter.case_number``, …, or ``=literal``."""
    if spec.startswith("="):
        return spec[1:]
    read = _PARAMETERS.get(spec)
    if read is None:
        settle(Reason.NOT_CONFIGURED)
    return read(question) or settle(Reason.INSUFFICIENT)


def _related(question: Question) -> Party:
    return question.related or settle(Reason.INSUFFICIENT)


_PARAMETERS: Final[Mapping[str, Callable[[Question], str]]] = {
    "subject.number": lambda question: question.subject.number,
    "subject.name": lambda question: question.subject.name,
    "subject.id_type": lambda question: question.subject.id_type,
    "related.number": lambda question: _related(question).number,
    "related.name": lambda question: _related(question).name,
    "related.id_type": lambda question: _related(question).id_type,
    "matter.case_number": lambda question: question.matter.case_number,
    "matter.item_code": lambda question: question.matter.item_code,
    "matter.region": lambda question: question.matter.region,
}


def told(record: Record, question: Question, source: Source, code: str = "") -> Answer:
    """The answer one record gives: first what its verdict fields say, then the asked fields in our words."""
    options = source.options
    return Answer(
        reason=_verdict(record, options.get("verdicts", {})),
        fields=_fields(record, question, options),
        holder_number=_holder(record, options.get("holder")),
        as_of=_as_of(record, options.get("as_of")),
        source_code=code_of(code),
    )


def _verdict(record: Record, verdicts: Mapping[str, Mapping[str, str]]) -> Reason:
    """The first that is not VALID; a name written otherwise is a doubt, and what else is known goes before it."""
    reasons = [reason_of(at(record, path), known) for path, known in verdicts.items()]
    firm = (reason for reason in reasons if reason not in {Reason.VALID, Reason.NAME_DIFFERS})
    return next(firm, Reason.NAME_DIFFERS if Reason.NAME_DIFFERS in reasons else Reason.VALID)


def _fields(record: Record, question: Question, options: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for ours, theirs in options.get("fields", {}).items():
        value = (text_of(at(record, theirs)) or "").strip() if ours in question.fields else ""
        if value:
            found[ours] = _in_our_words(value, options.get("values", {}).get(ours))
    return found


def _in_our_words(value: str, known: Mapping[str, str] | None) -> str:
    if known is None:
        return value
    return known.get(value) or settle(Reason.MALFORMED)


def _holder(record: Record, path: str | None) -> str:
    if path is None:
        return ""
    said = (text_of(at(record, path.removesuffix(_PERHAPS))) or "").strip()
    return said if said or path.endswith(_PERHAPS) else settle(Reason.MALFORMED)  # the list promises it


def _as_of(record: Record, path: str | None) -> datetime | None:
    if path is None:
        return None
    return moment(text_of(at(record, path)) or "") or settle(Reason.MALFORMED)


def moment(text: str) -> datetime | None:
    """``yyyy-MM-dd HH:mm:ss``, with or without its separators and its time, as China writes it; None otherwise."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    try:
        return datetime(*(int(part or 0) for part in match.groups()), tzinfo=CHINA).astimezone(UTC)  # type: ignore[misc, arg-type]
    except (ValueError, OverflowError):
        return None


def is_long_term(text: str) -> bool:
    """Whether a licence prints "no end date"."""
    return text in _LONG_TERM


def the_one(records: Sequence[Record], options: Mapping[str, Any]) -> Record:
    """The record meant: the only one, or the latest where the list says so; NOT_FOUND and AMBIGUOUS otherwise."""
    if not records:
        settle(Reason.NOT_FOUND)
    if len(records) == 1:
        return records[0]
    if options.get("pick") != "latest":
        settle(Reason.AMBIGUOUS)
    return latest(records, options.get("latest", ""))


def latest(records: Sequence[Record], path: str) -> Record:
    """The record with the greatest date at this path; MALFORMED without dates, AMBIGUOUS when two share the last."""
    dated = sorted(((_day_of(record, path), record) for record in records), key=lambda pair: pair[0])
    if dated[-1][0] == dated[-2][0]:
        settle(Reason.AMBIGUOUS)
    return dated[-1][1]


def _day_of(record: Record, path: str) -> datetime:
    return moment(text_of(at(record, path)) or "") or settle(Reason.MALFORMED)
