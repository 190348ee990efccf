"""The steps of a connection test, one after another until one fails: the same for the console and the command line.

List, connection and probe come first, then the road by its parts, then what one real question about the agreed subject
shows. What the source says about that subject is not repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from broker.core.answer import Answer, Question, Reply, checked
from broker.core.catalog import Source, Text
from broker.core.probe import ANSWERED, agreed, failed_step, probe_question, told
from broker.ports import Connection, Connector, Conversation
from broker.ports.reach import Reach

_LATER: Text = {"zh": "稍后答复，探测到此为止", "en": "it answers later; the probe ends here"}
_NOTHING: Text = {"zh": "没有数据", "en": "no data came"}


class Mark(StrEnum):
    """How a step came out."""

    HOLDS = "holds"
    FAILS = "fails"
    UNSHOWN = "unshown"  # nothing came that could show it


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it came out: what is worth telling of it and, where it failed, what is known of why."""

    name: str  # of core.probe.STEPS
    mark: Mark
    found: Text
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Tested:
    """A source to be tested, and by what; ``number`` is that of its question."""

    name: str
    source: Source | None  # None: the list does not have it
    asking: tuple[Connector, Connection] | None  # None: its platform is not connected here
    reach: Reach
    ask: Callable[[Source, Conversation], Reply]
    number: str
    now: datetime
    fits: Callable[[], bool | None] = lambda: None  # what the schema said of the answer; None where nobody knows


def steps(tested: Tested) -> Iterator[Step]:
    """Each step as it is made; the first that fails is the last."""
    source = tested.source
    if source is None:
        yield _fails("list", tested.name)
        return
    yield _holds("list", f"{source.connector} {source.platform}")
    if tested.asking is None:
        yield _fails("connection", source.platform)
        return
    connector, connection = tested.asking
    yield _holds("connection", _place_of(connection.endpoint))
    options = agreed(source, connection.options)
    try:
        question = probe_question(source, options, tested.number)
    except (KeyError, TypeError, ValueError):
        yield _fails("probe", "number, id_type, name; form, related, expect")
        return
    expected = options.get("expect")
    yield _holds("probe", f"{question.form.value}{f', {expected}' if expected else ''}")
    for part in tested.reach.tried(connection.endpoint):
        yield Step(part.step, Mark.FAILS if part.cause else Mark.HOLDS, _both(part.found), part.cause)
        if part.cause:
            return
    yield from _asked(tested, source, connector.ask(question, source, connection, tested.now), question, expected)


def _asked(
    tested: Tested, source: Source, conversation: Conversation, question: Question, expected: str | None
) -> Iterator[Step]:
    """What the answer shows. Where it is to come later, that the question was taken is all: nobody is written to."""
    began = time.monotonic()
    reply = tested.ask(source, conversation)
    took_ms = round((time.monotonic() - began) * 1000)
    if not isinstance(reply, Answer):
        unit = f"{reply.order.unit}, " if reply.order else ""
        yield _holds("answer", f"{unit}≤ {reply.until:%Y-%m-%d %H:%M}")
        yield Step("expected", Mark.UNSHOWN, _LATER)
        return
    answer, fits = checked(question, reply, source, tested.now), tested.fits()
    failing = failed_step(answer, expected, fits=fits)
    zh, en = told(answer)
    facts: dict[str, Text] = {
        "answer": _both(f"{took_ms} ms"),
        "expected": {"zh": zh, "en": en},
        "time": _both(f"{took_ms} ≤ {source.budget_ms} ms"),
    }
    for name in ANSWERED:
        if name == failing:
            yield Step(name, Mark.FAILS, {"zh": zh, "en": en})
            return
        if name == "schema" and fits is None and not answer.fields:
            yield Step(name, Mark.UNSHOWN, _NOTHING)  # a refusal, or nothing found: nothing to hold against a schema
        else:
            yield Step(name, Mark.HOLDS, facts.get(name, _both("")))


def _place_of(endpoint: str) -> str:
    """Where it is, without what else stands in the address."""
    parts = urlsplit(endpoint)
    return parts.netloc.rpartition("@")[2] or parts.scheme


def _both(text: str) -> Text:
    return {"zh": text, "en": text}


def _holds(name: str, found: str) -> Step:
    return Step(name, Mark.HOLDS, _both(found))


def _fails(name: str, found: str) -> Step:
    return Step(name, Mark.FAILS, _both(found))
