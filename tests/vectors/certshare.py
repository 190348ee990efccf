"""The e-licence platform's situations."""

from __future__ import annotations

from typing import Any

import orjson

from broker.core.answer import Reason
from broker.core.catalog import Form, Source
from tests.vectors.vector import COUPLE, Vector, situations

LICENCE, TITLE, CARD = "ecert-business-licence", "ecert-real-estate-title", "ecert-id-card"
REGISTRATION, HOUSEHOLD, MARRIAGE = "ecert-real-estate-registration", "ecert-household-register", "ecert-marriage"
FOOD, SAFETY, OPERATOR = "ecert-food-licence", "ecert-safety-officer", "ecert-special-operator"
Q, V, F = Form.QUERY, Form.VERIFY, Form.FILE
CONSENT = ("consent", True)

VECTORS: tuple[Vector, ...] = (
    # a platform still calls valid what has run out, so that what is stale is EXPIRED
    *situations(LICENCE, Q, "company_valid", nobody="person_single", stale=Reason.EXPIRED),
    *situations(LICENCE, F, "company_valid", nobody="person_single", stale=Reason.EXPIRED),
    *situations(CARD, Q, "person_single", stale=Reason.EXPIRED),
    *situations(TITLE, Q, COUPLE, nobody="person_single"),
    *situations(TITLE, F, COUPLE, nobody="person_single"),
    *situations(REGISTRATION, Q, COUPLE, nobody="person_single"),
    *situations(REGISTRATION, F, COUPLE, nobody="person_single"),
    *situations(HOUSEHOLD, Q, "person_single"),
    *situations(MARRIAGE, Q, COUPLE, nobody="person_single"),
    *situations(FOOD, Q, "company_valid", nobody="person_single", stale=Reason.EXPIRED),
    *situations(SAFETY, Q, "person_safety_officer", nobody="person_single", stale=Reason.EXPIRED),
    # a source that configuration alone has connected is asked like any other
    *situations(OPERATOR, Q, "person_safety_officer", nobody="person_single", stale=Reason.EXPIRED),
    *situations(OPERATOR, F, "person_safety_officer", nobody="person_single", stale=Reason.EXPIRED),
)

VECTORS += (
    Vector("held", LICENCE, V, "company_valid", Reason.VALID),
    Vector("renewed", CARD, Q, "person_renewed_id_card", Reason.VALID),
    Vector("revoked", LICENCE, Q, "company_revoked", Reason.REVOKED),
    Vector("revoked", LICENCE, V, "company_revoked", Reason.REVOKED),
    Vector("revoked", LICENCE, F, "company_revoked", Reason.REVOKED),
    Vector("divorced", MARRIAGE, Q, "person_divorced", Reason.REVOKED),
    Vector("expired", LICENCE, Q, "company_expired", Reason.EXPIRED),
    Vector("restricted", LICENCE, Q, "company_restricted", Reason.RESTRICTED),
    Vector("two-of-them", TITLE, Q, "person_two_titles", Reason.AMBIGUOUS),
    Vector("two-of-them", TITLE, F, "person_two_titles", Reason.AMBIGUOUS),
    Vector("two-of-them", REGISTRATION, Q, "person_two_titles", Reason.AMBIGUOUS),
    Vector("empty", LICENCE, Q, "company_valid", Reason.MALFORMED, "empty"),
    Vector("not-permitted", LICENCE, V, "company_valid", Reason.NOT_PERMITTED, "not_permitted"),
    Vector("unknown-to-it", LICENCE, Q, "company_valid", Reason.AUTHENTICATION, "ok", (("password", "wrong"),)),
    Vector("not-enough", TITLE, V, "person_two_titles", Reason.INSUFFICIENT),
)

# What the holder shows a code for is given once they consent.
VECTORS += tuple(
    Vector(name, source, form, role, reason, lever, (), (CONSENT,), shown=True)
    for source, form, role in ((LICENCE, Q, "company_valid"), (LICENCE, F, "company_valid"), (REGISTRATION, Q, COUPLE))
    for name, lever, reason in (
        ("consented", "ok", Reason.VALID),
        ("undecided", "undecided", Reason.CONSENT_EXPIRED),
        ("consent-refused", "refused", Reason.CONSENT_REFUSED),
    )
)


def business_part(body: bytes, source: Source) -> Any:
    """What stands under ``data``."""
    return orjson.loads(body)["data"]
