"""A verification as its client sees it: what the receipt says, with every reason in words and the next step.

``schemas/verification.schema.json`` is the grammar. The receipt is our own, read from our own table, so it is parsed
without verifying it; whoever takes it elsewhere verifies it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from broker.core.decide import Kind
from broker.core.envelope import unb64
from broker.core.receipt import moment
from broker.core.receipt_text import DECISIONS, words
from broker.ports import StoredVerification


def verification_view(stored: StoredVerification, salt: str | None) -> dict[str, Any]:
    """The document; ``materials`` is empty and ``receipt`` null until it is decided.

    ``salt`` leads from the request's bytes to the digest that its receipt names; None once it was destroyed.
    """
    path = f"/v1/verifications/{stored.id}"
    materials = [] if stored.receipt is None else _payload(stored.receipt)["materials"]
    return {
        "id": stored.id,
        "state": stored.state,
        "request_id": stored.request_id,
        "request": {"digest": stored.request_digest, "salt": salt},
        "case": {"number": stored.case_number},
        "edition": stored.edition,
        "admitted_at": moment(stored.admitted_at),
        "decided_at": None if stored.decided_at is None else moment(stored.decided_at),
        "materials": [_material(one) for one in materials],
        "receipt": stored.receipt,
        "links": {"self": path, "receipt": f"{path}/receipt", "proof": f"{path}/proof", "bundle": f"{path}/bundle"},
    }


def _payload(receipt: str) -> dict[str, Any]:
    payload: dict[str, Any] = orjson.loads(unb64(receipt.split(".")[1]))
    return payload


def _material(entry: Mapping[str, Any]) -> dict[str, Any]:
    text, next_step = words(entry["reason"])
    return {
        **entry,
        "outcome": DECISIONS[Kind(entry["decision"])],
        "text": text,
        "next": next_step,
        "steps": [{**step, "text": words(step["reason"])[0]} for step in entry["steps"]],
    }
