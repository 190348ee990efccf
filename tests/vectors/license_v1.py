"""The situations of the license-app v1 family."""

from __future__ import annotations

import orjson

from broker.core.answer import Reason
from broker.core.catalog import Form, Source
from tests.vectors.vector import Vector, situations

LICENCE = "gd-business-licence"
Q, F = Form.QUERY, Form.FILE

VECTORS = (
    *situations(LICENCE, Q, "company_valid", nobody="person_single", stale=Reason.EXPIRED),
    *situations(LICENCE, F, "company_valid", nobody="person_single", stale=Reason.EXPIRED),
    Vector("revoked", LICENCE, Q, "company_revoked", Reason.REVOKED),
    Vector("revoked", LICENCE, F, "company_revoked", Reason.REVOKED),
    Vector("ran-out", LICENCE, Q, "company_expired", Reason.EXPIRED),
    Vector("empty", LICENCE, Q, "company_valid", Reason.MALFORMED, "empty"),
    Vector("unknown-to-it", LICENCE, Q, "company_valid", Reason.AUTHENTICATION, "ok", (("password", "wrong"),)),
    Vector("unnumbered", LICENCE, Q, "company_valid", Reason.INSUFFICIENT, "ok", (), (("operator_identity", True),)),
)


def business_part(body: bytes, source: Source) -> object:
    """The whole body; a GET has none, so that its question is the one before."""
    return orjson.loads(body)
