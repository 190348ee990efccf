"""What differs between the services behind one exchange gateway: how a question is written and an answer read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, Protocol

from broker.core.answer import Answer, Question
from broker.core.catalog import Source
from broker.ports import Connection


class Proxy(Enum):
    """Which of the gateway's two doors a service stands behind."""

    HTTP = auto()
    SOAP = auto()


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
    def proxy(self) -> Proxy:
        """Where its requests go."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the request: what its body is."""
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
