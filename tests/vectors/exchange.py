"""The exchange platform's situations, and those of the services behind it."""

from __future__ import annotations

from typing import Any

import orjson
from defusedxml.ElementTree import fromstring

from broker.core.answer import Reason
from broker.core.catalog import Form, Source
from tests.vectors.vector import COUPLE, Vector, situations

Q, V = Form.QUERY, Form.VERIFY
POOR = "person_on_subsistence"

VECTORS: tuple[Vector, ...] = (
    *situations("ps-identity", V, "person_single", not_held=Reason.CANCELLED),
    *situations("ps-base", Q, "person_single", not_held=Reason.CANCELLED),
    *situations("mca-subsistence", Q, POOR, nobody="person_single"),
    *situations("mca-cremation", Q, "person_deceased", nobody="person_single"),
    *situations("samr-enterprise", Q, "company_valid", nobody="misnamed"),
    *situations("nr-title", Q, COUPLE, nobody="person_single"),
    *situations("nr-house-count", Q, "person_single"),
    *situations("hc-contract", Q, COUPLE, nobody="person_single"),
    *situations("tx-deed-tax", Q, COUPLE, nobody="person_single"),
    *situations("hs-insurance", Q, "person_single"),
    *situations("hs-retirement", Q, "person_retired"),
    *situations("nhc-death", V, "person_deceased", nobody="person_single", not_held=Reason.MISMATCH),
    *situations("nhc-birth", Q, COUPLE, nobody="person_single"),
    # sources that configuration alone has connected are asked like any other
    *situations("hs-personal", Q, "person_single", nobody="misnamed"),
    *situations("mca-special-poor", Q, POOR, nobody="person_single"),
    *situations("sc-institution", Q, "company_valid"),
)

# Marriages are told as events, of one person and of two.
VECTORS += (
    Vector("held", "mca-marriage", Q, "person_divorced", Reason.VALID),
    Vector("none", "mca-marriage", Q, "person_single", Reason.VALID),
    Vector("ambiguous", "mca-marriage", Q, COUPLE, Reason.AMBIGUOUS, "ambiguous"),
    Vector("wrong-person", "mca-marriage", Q, "person_divorced", Reason.WRONG_PERSON, "wrong_person"),
    Vector("malformed", "mca-marriage", Q, "person_divorced", Reason.MALFORMED, "malformed"),
    Vector("not-permitted", "mca-marriage", Q, "person_divorced", Reason.NOT_PERMITTED, "not_permitted"),
    Vector("held", "mca-marriage", V, COUPLE, Reason.VALID),
    Vector("not-held", "mca-marriage", V, "divorced_couple", Reason.MISMATCH),
    Vector("not-found", "mca-marriage", V, "strangers", Reason.NOT_FOUND),
    Vector("ambiguous", "mca-marriage", V, COUPLE, Reason.AMBIGUOUS, "ambiguous"),
    Vector("wrong-person", "mca-marriage", V, COUPLE, Reason.WRONG_PERSON, "wrong_person"),
)

VECTORS += (
    Vector("deceased", "ps-identity", V, "person_deceased", Reason.DECEASED),
    Vector("deceased", "ps-base", Q, "person_deceased", Reason.DECEASED),
    Vector("locked", "ps-identity", V, "person_locked", Reason.FROZEN),
    Vector("unknown-to-it", "ps-identity", V, "person_single", Reason.AUTHENTICATION, "ok", (("app_key", "wrong"),)),
    Vector("stranger-to-it", "ps-identity", V, "person_single", Reason.NOT_PERMITTED, "ok", (("rid", "wrong"),)),
    Vector("mismatch", "ps-identity", V, "misnamed", Reason.NAME_DIFFERS),
    Vector("revoked", "samr-enterprise", Q, "company_revoked", Reason.REVOKED),
    Vector("two-of-them", "nr-title", Q, "person_two_titles", Reason.AMBIGUOUS),
    Vector("future", "nr-house-count", Q, "person_single", Reason.UNTRUSTED, "future"),
    Vector("unknown-to-it", "nr-house-count", Q, "person_single", Reason.AUTHENTICATION, "ok", (("app_key", "wrong"),)),
    Vector("revoked", "sc-institution", Q, "company_revoked", Reason.REVOKED),
    Vector("schema", "sc-institution", Q, "company_valid", Reason.MALFORMED, "schema"),
    Vector("entity", "sc-institution", Q, "company_valid", Reason.MALFORMED, "nan"),
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
