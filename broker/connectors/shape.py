"""What differs between the services behind one exchange gateway: how a question is written and an answer read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from broker.core.answer import Answer, Question
from broker.core.catalog import Source
from broker.ports import Connection


@dataclass(frozen=True, slots=True)
class Asking:
    """One question on its way to one source at one time."""

    question: Question = field(repr=False)
    source: Source
    connection: Connection
    now: datetime


class Shape(Protocol):
    """One body format; every method ends the conversation by ``Settled`` where it cannot go on."""

    @property
    def content_type(self) -> str:
        """Of the request."""
        ...

    def body(self, asking: Asking) -> bytes:
        """The request body."""
        ...

    def payload(self, body: bytes, asking: Asking) -> Any:
        """The decoded business payload of a success, as the source's answer schema describes it."""
        ...

    def answer(self, payload: Any, asking: Asking) -> Answer:
        """What a schema-valid payload answers."""
        ...
