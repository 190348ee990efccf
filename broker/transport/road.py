"""How a road ends a conversation: what happened on the way, in our words."""

from __future__ import annotations

from broker.core.answer import Answer, Reason


class Road(Exception):
    """The conversation ends here, with this answer; its connector is not asked."""

    def __init__(self, reason: Reason, code: str = "") -> None:
        """``code`` is the far end's own, never free text of its."""
        super().__init__(reason.value)
        self.answer = Answer(reason, source_code=code)
