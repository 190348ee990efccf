"""The e-licence platform's situations."""

from __future__ import annotations

from typing import Any

import orjson

from broker.core.answer import Reason
from broker.core.catalog import Form, Source
from tests.vectors.vector import Vector

LICENCE, TITLE, CARD = "ecert-business-licence", "ecert-real-estate-title", "ecert-id-card"
Q, V, F = Form.QUERY, Form.VERIFY, Form.FILE

VECTORS: tuple[Vector, ...] = (
    Vector("held", LICENCE, Q, "company_valid", Reason.VALID),
    Vector("held", LICENCE, V, "company_valid", Reason.VALID),
    Vector("held", CARD, Q, "person_renewed_id_card", Reason.VALID),
    Vector("not-held", LICENCE, Q, "company_revoked", Reason.REVOKED),
    Vector("revoked", LICENCE, V, "company_revoked", Reason.REVOKED),
    Vector("expired", LICENCE, Q, "company_expired", Reason.EXPIRED),
    Vector("restricted", LICENCE, Q, "company_restricted", Reason.RESTRICTED),
    Vector("not-found", TITLE, Q, "person_single", Reason.NOT_FOUND),
    Vector("ambiguous", TITLE, Q, "person_two_titles", Reason.AMBIGUOUS),
    Vector("wrong-person", LICENCE, Q, "company_valid", Reason.WRONG_PERSON, "wrong_person"),
    Vector("malformed", LICENCE, Q, "company_valid", Reason.MALFORMED, "malformed"),
    Vector("empty", LICENCE, Q, "company_valid", Reason.MALFORMED, "empty"),
    Vector("not-permitted", LICENCE, Q, "company_valid", Reason.NOT_PERMITTED, "not_permitted"),
    Vector("not-permitted", LICENCE, V, "company_valid", Reason.NOT_PERMITTED, "not_permitted"),
    Vector("unknown-to-it", LICENCE, Q, "company_valid", Reason.AUTHENTICATION, "ok", (("password", "wrong"),)),
    Vector("not-enough", TITLE, V, "person_two_titles", Reason.INSUFFICIENT),
    Vector("held", LICENCE, F, "company_valid", Reason.VALID),
    Vector("revoked", LICENCE, F, "company_revoked", Reason.REVOKED),
    Vector("not-found", TITLE, F, "person_single", Reason.NOT_FOUND),
    Vector("ambiguous", TITLE, F, "person_two_titles", Reason.AMBIGUOUS),
    Vector("wrong-person", LICENCE, F, "company_valid", Reason.WRONG_PERSON, "wrong_person"),
    Vector("stale", LICENCE, Q, "company_valid", Reason.EXPIRED, "stale"),
)

# A source that configuration alone has connected is asked like any other.
OPERATOR, ROLE = "ecert-special-operator", "person_safety_officer"
VECTORS += (
    Vector("held", OPERATOR, Q, ROLE, Reason.VALID),
    Vector("held", OPERATOR, F, ROLE, Reason.VALID),
    Vector("not-found", OPERATOR, Q, "person_single", Reason.NOT_FOUND),
    Vector("stale", OPERATOR, Q, ROLE, Reason.EXPIRED, "stale"),
    Vector("wrong-person", OPERATOR, Q, ROLE, Reason.WRONG_PERSON, "wrong_person"),
    Vector("not-permitted", OPERATOR, Q, ROLE, Reason.NOT_PERMITTED, "not_permitted"),
)


def business_part(body: bytes, source: Source) -> Any:
    """What stands under ``data``."""
    return orjson.loads(body)["data"]
