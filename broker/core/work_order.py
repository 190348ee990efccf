"""What a person in a source department can reply to a work order (部门间核查), and what that means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from broker.core.answer import Answer, Reason

CONFIRMED = "confirmed"  # the one field that a source of people has: what they were asked is so


_BEGINNINGS: Mapping[str, bytes] = {
    "application/pdf": b"%PDF-",
    "application/ofd": b"PK\x03\x04",  # GB/T 33190: a ZIP
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG\r\n\x1a\n",
}


def is_of_type(content: bytes, media_type: str) -> bool:
    """Whether a document begins as its type must; what it is called says nothing."""
    beginning = _BEGINNINGS.get(media_type)
    return beginning is not None and content.startswith(beginning)


class OrderReply(StrEnum):
    """What the person says of the fact they were asked for."""

    CONFIRM = "confirm"  # 属实
    DENY = "deny"  # 不符
    CANNOT_SAY = "cannot_say"  # 无法核实


_REASONS: Mapping[OrderReply, Reason] = {
    OrderReply.CONFIRM: Reason.VALID,
    OrderReply.DENY: Reason.DENIED,
    OrderReply.CANNOT_SAY: Reason.CANNOT_SAY,
}


def answer_of(reply: OrderReply, fields: Sequence[str]) -> Answer:
    """The lookup's answer, of the fields it asks for: what is confirmed is so; free words never become data."""
    confirmed = {CONFIRMED: "yes"} if reply is OrderReply.CONFIRM and CONFIRMED in fields else {}
    return Answer(_REASONS[reply], confirmed, source_code=reply.value)
