"""How a road ends a conversation: what happened on the way, in our words."""

from __future__ import annotations

from typing import Final

from broker.core.answer import Answer, Reason

_BROKEN: Final = frozenset({Reason.SOURCE_DOWN, Reason.LATE, Reason.EFFECT_UNKNOWN, Reason.MALFORMED, Reason.UNTRUSTED})


class Road(Exception):
    """The conversation ends here, with this answer; its connector is not asked."""

    def __init__(
        self, reason: Reason, code: str = "", again: float | None = None, *, pause: float = 0.0, sent: bool = True
    ) -> None:
        """``code`` is the far end's own, never free text of its.

        ``again``: the seconds after which the request may be repeated; None where it must not be. ``pause``: the
        seconds for which the source wants to be left alone. ``sent``: whether anything may have left us.
        """
        super().__init__(reason.value)
        self.answer = Answer(reason, source_code=code)
        self.again = again
        self.pause = pause
        self.sent = sent

    @property
    def silent(self) -> bool:
        """Whether it was sent and nothing that could be read came back: what it asked for may have been done."""
        return self.sent and self.answer.reason in {Reason.SOURCE_DOWN, Reason.LATE}

    @property
    def sound(self) -> bool:
        """Whether the road itself held: a source that throttles or refuses us was reached."""
        return self.answer.reason not in _BROKEN

    @property
    def taken(self) -> bool:
        """Whether there was a road at all: where nothing is configured, nobody was on the way to the source."""
        return self.answer.reason is not Reason.NOT_CONFIGURED
