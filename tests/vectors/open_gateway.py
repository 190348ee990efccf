"""The situations of the two open gateways."""

from __future__ import annotations

from urllib.parse import parse_qsl

import orjson

from broker.core.answer import Reason
from broker.core.catalog import Form, Source
from tests.vectors.vector import Vector

SHANDONG, ZHEJIANG = "sdo-enterprise", "zj-insurance"
Q = Form.QUERY

VECTORS = (
    Vector("held", SHANDONG, Q, "company_valid", Reason.VALID),
    Vector("not-held", SHANDONG, Q, "company_revoked", Reason.REVOKED),
    Vector("ambiguous", SHANDONG, Q, "company_valid", Reason.AMBIGUOUS, "ambiguous"),
    Vector("not-found", SHANDONG, Q, "person_single", Reason.NOT_FOUND),
    Vector("wrong-person", SHANDONG, Q, "company_valid", Reason.WRONG_PERSON, "wrong_person"),
    Vector("stale", SHANDONG, Q, "company_valid", Reason.STALE, "stale"),
    Vector("future", SHANDONG, Q, "company_valid", Reason.UNTRUSTED, "future"),
    Vector("malformed", SHANDONG, Q, "company_valid", Reason.MALFORMED, "malformed"),
    Vector("not-permitted", SHANDONG, Q, "company_valid", Reason.NOT_PERMITTED, "not_permitted"),
    Vector("unknown-to-it", SHANDONG, Q, "company_valid", Reason.AUTHENTICATION, "ok", (("secret", "wrong"),)),
    Vector("schemeless", SHANDONG, Q, "company_valid", Reason.NOT_CONFIGURED, "ok", (), (("scheme", "jinhua"),)),
    Vector("held", ZHEJIANG, Q, "person_single", Reason.VALID),
    Vector("not-held", ZHEJIANG, Q, "person_deceased", Reason.CANCELLED),
    Vector("ambiguous", ZHEJIANG, Q, "person_single", Reason.AMBIGUOUS, "ambiguous"),
    Vector("not-found", ZHEJIANG, Q, "stranger", Reason.NOT_FOUND),
    Vector("wrong-person", ZHEJIANG, Q, "person_single", Reason.WRONG_PERSON, "wrong_person"),
    Vector("stale", ZHEJIANG, Q, "person_single", Reason.STALE, "stale"),
    Vector("malformed", ZHEJIANG, Q, "person_single", Reason.MALFORMED, "malformed"),
    Vector("not-permitted", ZHEJIANG, Q, "person_single", Reason.NOT_PERMITTED, "not_permitted"),
    Vector("unknown-to-it", ZHEJIANG, Q, "person_single", Reason.AUTHENTICATION, "ok", (("app_secret", "wrong"),)),
)


def business_part(body: bytes, source: Source) -> object:
    """The parameters beside key, time and signature, ``additional`` parsed."""
    told = dict(parse_qsl(body.decode()))
    business = {name: told[name] for name in told.keys() - {"appKey", "requestTime", "sign", "additional"}}
    return business | ({"additional": orjson.loads(told["additional"])} if "additional" in told else {})
