"""The situations of the two open gateways."""

from __future__ import annotations

from urllib.parse import parse_qsl

import orjson

from broker.core.answer import Reason
from broker.core.catalog import Form, Source
from tests.vectors.vector import Vector, situations

SHANDONG, ZHEJIANG = "sdo-enterprise", "zj-insurance"
Q = Form.QUERY

VECTORS = (
    *situations(SHANDONG, Q, "company_valid", nobody="person_single"),
    Vector("revoked", SHANDONG, Q, "company_revoked", Reason.REVOKED),
    Vector("future", SHANDONG, Q, "company_valid", Reason.UNTRUSTED, "future"),
    Vector("unknown-to-it", SHANDONG, Q, "company_valid", Reason.AUTHENTICATION, "ok", (("secret", "wrong"),)),
    Vector("schemeless", SHANDONG, Q, "company_valid", Reason.NOT_CONFIGURED, "ok", (), (("scheme", "jinhua"),)),
    *situations(ZHEJIANG, Q, "person_single", not_held=Reason.CANCELLED),
    Vector("cancelled", ZHEJIANG, Q, "person_deceased", Reason.CANCELLED),
    Vector("unknown-to-it", ZHEJIANG, Q, "person_single", Reason.AUTHENTICATION, "ok", (("app_secret", "wrong"),)),
)


def business_part(body: bytes, source: Source) -> object:
    """The parameters beside key, time and signature, ``additional`` parsed."""
    told = dict(parse_qsl(body.decode()))
    business = {name: told[name] for name in told.keys() - {"appKey", "requestTime", "sign", "additional"}}
    return business | ({"additional": orjson.loads(told["additional"])} if "additional" in told else {})
