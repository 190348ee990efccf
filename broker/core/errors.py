"""Every refusal the broker can utter, drawn by who is at fault.

Problem
├── CallerProblem    the approval system or its request is wrong; repeating it unchanged is useless
├── SourceProblem    an authoritative source is wrong, late or away
├── OperatorProblem  those who run the broker or keep the sharing list must act
└── BrokerProblem    we are wrong, or cannot work just now; repeating later may help

A problem is a value that travels: it carries a stable ``code``, the ``rule`` it follows and what to do next,
in both languages. It never carries a person's data: ``got`` and ``expected`` are for names and codes only.
The codes are defined once, in :mod:`broker.core.problems`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Fault(StrEnum):
    """Whose move it is."""

    CALLER = "caller"
    SOURCE = "source"
    OPERATOR = "operator"
    BROKER = "broker"


FAULT_WORDS: Final[Mapping[Fault, Mapping[str, str]]] = {
    Fault.CALLER: {"zh": "请求方", "en": "caller"},
    Fault.SOURCE: {"zh": "数源", "en": "source"},
    Fault.OPERATOR: {"zh": "运维与清单管理", "en": "operator"},
    Fault.BROKER: {"zh": "本平台", "en": "broker"},
}


class Problem(Exception):
    """A refusal with a stable code; subclasses say whose fault it is."""

    fault: Fault = Fault.BROKER

    def __init__(
        self, code: str, *, got: str = "", expected: str = "", pointer: str = "", retry_after: int | None = None
    ) -> None:
        """``code`` must be listed in ``problems``; ``pointer`` is a JSON pointer into the caller's document."""
        super().__init__(code)
        self.code = code
        self.got = got
        self.expected = expected
        self.pointer = pointer
        self.retry_after = retry_after

    def __str__(self) -> str:
        """The code and where, never the offending value."""
        return f"{self.code}{' at ' + self.pointer if self.pointer else ''}"


class CallerProblem(Problem):
    """The caller must change the request."""

    fault = Fault.CALLER


class SourceProblem(Problem):
    """A source broke its contract or could not be reached."""

    fault = Fault.SOURCE


class OperatorProblem(Problem):
    """Configuration, keys or the sharing list must be mended."""

    fault = Fault.OPERATOR


class BrokerProblem(Problem):
    """We cannot carry out a correct request just now."""

    fault = Fault.BROKER
