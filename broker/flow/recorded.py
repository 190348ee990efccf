"""An answer as it is recorded: encrypted under its case's key, with the salted digest that outlives it."""

from __future__ import annotations

import os
from datetime import datetime

from broker.core.answer import Answer, Finding, answer_bytes, answer_digest
from broker.flow.matters import SALT_BYTES
from broker.flow.parts import Parts
from broker.ports import AnsweredLookup


def recorded(
    parts: Parts, lookup: str, answer: Answer, key: bytes, asked_at: datetime, now: datetime
) -> tuple[AnsweredLookup, Finding]:
    """What is kept of a lookup, and the finding that settling then knows; ``key`` is the case's."""
    salt, body = os.urandom(SALT_BYTES), answer_bytes(answer)
    digest = answer_digest(salt, body)
    sealed = parts.vault.encrypt(key, salt + body, lookup)
    row = AnsweredLookup(lookup, answer.reason.value, sealed, digest, asked_at, now)
    return row, Finding(answer, digest, asked_at, now)
