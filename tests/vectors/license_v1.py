"""The situations of the license-app v1 family."""

from __future__ import annotations

import orjson

from broker.core.answer import Reason
from broker.core.catalog import Form, Source
from tests.vectors.vector import Vector

LICENCE = "gd-business-licence"
Q, F = Form.QUERY, Form.FILE

VECTORS = (
    Vector("held", LICENCE, Q, "company_valid", Reason.VALID),
    Vector("held", LICENCE, F, "company_valid", Reason.VALID),
    Vector("not-held", LICENCE, Q, "company_revoked", Reason.REVOKED),
    Vector("not-held", LICENCE, F, "company_revoked", Reason.REVOKED),
    Vector("ambiguous", LICENCE, Q, "company_valid", Reason.AMBIGUOUS, "ambiguous"),
    Vector("not-found", LICENCE, Q, "person_single", Reason.NOT_FOUND),
    Vector("wrong-person", LICENCE, Q, "company_valid", Reason.WRONG_PERSON, "wrong_person"),
    Vector("stale", LICENCE, Q, "company_valid", Reason.EXPIRED, "stale"),
    Vector("ran-out", LICENCE, Q, "company_expired", Reason.EXPIRED),
    Vector("malformed", LICENCE, Q, "company_valid", Reason.MALFORMED, "malformed"),
    Vector("empty", LICENCE, Q, "company_valid", Reason.MALFORMED, "empty"),
    Vector("not-permitted", LICENCE, Q, "company_valid", Reason.NOT_PERMITTED, "not_permitted"),
    Vector("unknown-to-it", LICENCE, Q, "company_valid", Reason.AUTHENTICATION, "ok", (("password", "wrong"),)),
    Vector("unnumbered", LICENCE, Q, "company_valid", Reason.INSUFFICIENT, "ok", (), (("operator_identity", True),)),
)


def business_part(body: bytes, source: Source) -> object:
    """The whole body; a GET has none, so that its question is the one before."""
    return orjson.loads(body)
