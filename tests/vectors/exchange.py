"""The exchange platform's situations, and those of the services behind it."""

from __future__ import annotations

from typing import Any

import orjson
from defusedxml.ElementTree import fromstring

from broker.core.answer import Reason
from broker.core.catalog import Form, Source
from tests.vectors.vector import Vector

COUPLE = "couple_married"
Q, V = Form.QUERY, Form.VERIFY

VECTORS: tuple[Vector, ...] = (
    Vector("held", "ps-identity", V, "person_single", Reason.VALID),
    Vector("held", "ps-base", Q, "person_single", Reason.VALID),
    Vector("not-held", "ps-identity", V, "person_deceased", Reason.DECEASED),
    Vector("deceased", "ps-base", Q, "person_deceased", Reason.DECEASED),
    Vector("locked", "ps-identity", V, "person_locked", Reason.FROZEN),
    Vector("not-found", "ps-base", Q, "stranger", Reason.NOT_FOUND),
    Vector("ambiguous", "ps-base", Q, "person_single", Reason.AMBIGUOUS, "ambiguous"),
    Vector("wrong-person", "ps-identity", V, "person_single", Reason.WRONG_PERSON, "wrong_person"),
    Vector("malformed", "ps-identity", V, "person_single", Reason.MALFORMED, "malformed"),
    Vector("not-permitted", "ps-identity", V, "person_single", Reason.NOT_PERMITTED, "not_permitted"),
    Vector("unknown-to-it", "ps-identity", V, "person_single", Reason.AUTHENTICATION, "ok", (("app_key", "wrong"),)),
    Vector("stranger-to-it", "ps-identity", V, "person_single", Reason.NOT_PERMITTED, "ok", (("rid", "wrong"),)),
    Vector("mismatch", "ps-identity", V, "misnamed", Reason.NAME_DIFFERS),
    Vector("held", "mca-marriage", Q, "person_divorced", Reason.VALID),
    Vector("none", "mca-marriage", Q, "person_single", Reason.VALID),
    Vector("not-found", "mca-subsistence", Q, "person_single", Reason.NOT_FOUND),
    Vector("held", "mca-subsistence", Q, "person_on_subsistence", Reason.VALID),
    Vector("held", "mca-cremation", Q, "person_deceased", Reason.VALID),
    Vector("wrong-person", "mca-marriage", Q, "person_divorced", Reason.WRONG_PERSON, "wrong_person"),
    Vector("held", "samr-enterprise", Q, "company_valid", Reason.VALID),
    Vector("revoked", "samr-enterprise", Q, "company_revoked", Reason.REVOKED),
    Vector("not-found", "samr-enterprise", Q, "misnamed", Reason.NOT_FOUND),
    Vector("ambiguous", "nr-title", Q, "person_two_titles", Reason.AMBIGUOUS),
    Vector("wrong-person", "nr-house-count", Q, "person_single", Reason.WRONG_PERSON, "wrong_person"),
    Vector("stale", "nr-house-count", Q, "person_single", Reason.STALE, "stale"),
    Vector("future", "nr-house-count", Q, "person_single", Reason.UNTRUSTED, "future"),
    Vector("malformed", "nr-house-count", Q, "person_single", Reason.MALFORMED, "malformed"),
    Vector("not-permitted", "nr-house-count", Q, "person_single", Reason.NOT_PERMITTED, "not_permitted"),
    Vector("unknown-to-it", "nr-house-count", Q, "person_single", Reason.AUTHENTICATION, "ok", (("app_key", "wrong"),)),
    Vector("held", "hs-retirement", Q, "person_retired", Reason.VALID),
    Vector("held", "nhc-death", V, "person_deceased", Reason.VALID),
    Vector("not-found", "nhc-death", V, "person_single", Reason.NOT_FOUND),
    Vector("held", "hc-contract", Q, COUPLE, Reason.VALID),
    Vector("held", "tx-deed-tax", Q, COUPLE, Reason.VALID),
    Vector("held", "nhc-birth", Q, COUPLE, Reason.VALID),
    Vector("held", "mca-marriage", V, COUPLE, Reason.VALID),
    Vector("not-married", "mca-marriage", V, "strangers", Reason.NOT_FOUND),
)

# A source that configuration alone has connected is asked like any other.
VECTORS += (
    Vector("held", "hs-personal", Q, "person_single", Reason.VALID),
    Vector("not-found", "hs-personal", Q, "misnamed", Reason.NOT_FOUND),
    Vector("ambiguous", "hs-personal", Q, "person_single", Reason.AMBIGUOUS, "ambiguous"),
    Vector("wrong-person", "hs-personal", Q, "person_single", Reason.WRONG_PERSON, "wrong_person"),
    Vector("stale", "hs-personal", Q, "person_single", Reason.STALE, "stale"),
    Vector("malformed", "hs-personal", Q, "person_single", Reason.MALFORMED, "malformed"),
    Vector("not-permitted", "hs-personal", Q, "person_single", Reason.NOT_PERMITTED, "not_permitted"),
    Vector("held", "mca-special-poor", Q, "person_on_subsistence", Reason.VALID),
    Vector("not-found", "mca-special-poor", Q, "person_single", Reason.NOT_FOUND),
    Vector("wrong-person", "mca-special-poor", Q, "person_on_subsistence", Reason.WRONG_PERSON, "wrong_person"),
    Vector("not-permitted", "mca-special-poor", Q, "person_on_subsistence", Reason.NOT_PERMITTED, "not_permitted"),
    Vector("held", "sc-institution", Q, "company_valid", Reason.VALID),
    Vector("not-held", "sc-institution", Q, "company_revoked", Reason.REVOKED),
    Vector("not-found", "sc-institution", Q, "stranger", Reason.NOT_FOUND),
    Vector("ambiguous", "sc-institution", Q, "company_valid", Reason.AMBIGUOUS, "ambiguous"),
    Vector("wrong-person", "sc-institution", Q, "company_valid", Reason.WRONG_PERSON, "wrong_person"),
    Vector("stale", "sc-institution", Q, "company_valid", Reason.STALE, "stale"),
    Vector("malformed", "sc-institution", Q, "company_valid", Reason.MALFORMED, "malformed"),
    Vector("schema", "sc-institution", Q, "company_valid", Reason.MALFORMED, "schema"),
    Vector("entity", "sc-institution", Q, "company_valid", Reason.MALFORMED, "nan"),
    Vector("not-permitted", "sc-institution", Q, "company_valid", Reason.NOT_PERMITTED, "not_permitted"),
    Vector("digest", "sc-institution", Q, "company_valid", Reason.AUTHENTICATION, "ok", (("ident_key", "wrong"),)),
    Vector("unsigned", "sc-institution", Q, "company_valid", Reason.NOT_CONFIGURED, "ok", (("ident_key", ""),)),
)


def business_part(body: bytes, source: Source) -> Any:
    """The whole body; of a package its head and its record, of a SOAP call its parameters."""
    shape = source.options.get("shape")
    if shape == "soap":
        asked = {child.tag: child.text or "" for child in fromstring(body)[0][0]}
        return asked | {"arguments": {child.tag: child.text for child in fromstring(asked["arguments"])}}
    if shape != "ps_package":
        return orjson.loads(body)
    package = fromstring(body)
    return {
        "PACKAGEHEAD": {child.tag: child.text for child in package.iterfind("PACKAGEHEAD/*")},
        "RECORD": {child.tag: child.text for child in package.iterfind("DATA/RECORD/*")},
    }
