"""What every connector must make of what its platform does; run in memory and over sockets alike."""

from __future__ import annotations

from dataclasses import dataclass

from broker.core.answer import Reason
from broker.core.case import Party
from broker.core.catalog import Form
from broker.core.identifiers import citizen_check_digit
from tests.asking import SOURCES, Road, ask, party, with_credentials


@dataclass(frozen=True)
class Vector:
    """One situation: who is asked about where, how the platform behaves, and what must come of it."""

    name: str
    source: str
    form: Form
    role: str
    reason: Reason
    behaviour: str = "ok"
    credentials: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{SOURCES[self.source].connector}-{self.source}-{self.form}-{self.name}"


LICENCE, TITLE, COUPLE = "ecert-business-licence", "ecert-real-estate-title", "couple_married"
_NOBODY = "37049919800101009"  # nobody in the population was born on this day with this sequence
Q, V = Form.QUERY, Form.VERIFY

VECTORS = (
    Vector("held", LICENCE, Q, "company_valid", Reason.VALID),
    Vector("held", LICENCE, V, "company_valid", Reason.VALID),
    Vector("held", "ecert-id-card", Q, "person_renewed_id_card", Reason.VALID),
    Vector("revoked", LICENCE, Q, "company_revoked", Reason.REVOKED),
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
    Vector("held", "ps-identity", V, "person_single", Reason.VALID),
    Vector("held", "ps-base", Q, "person_single", Reason.VALID),
    Vector("deceased", "ps-identity", V, "person_deceased", Reason.DECEASED),
    Vector("deceased", "ps-base", Q, "person_deceased", Reason.DECEASED),
    Vector("locked", "ps-identity", V, "person_locked", Reason.FROZEN),
    Vector("not-found", "ps-base", Q, "stranger", Reason.NOT_FOUND),
    Vector("ambiguous", "ps-base", Q, "person_single", Reason.AMBIGUOUS, "ambiguous"),
    Vector("wrong-person", "ps-identity", V, "person_single", Reason.WRONG_PERSON, "wrong_person"),
    Vector("malformed", "ps-identity", V, "person_single", Reason.MALFORMED, "malformed"),
    Vector("not-permitted", "ps-identity", V, "person_single", Reason.NOT_PERMITTED, "not_permitted"),
    Vector("unknown-to-it", "ps-identity", V, "person_single", Reason.AUTHENTICATION, "ok", (("app_key", "wrong"),)),
    Vector("stranger-to-it", "ps-identity", V, "person_single", Reason.NOT_PERMITTED, "ok", (("rid", "wrong"),)),
    Vector("mismatch", "ps-identity", V, "misnamed", Reason.MISMATCH),
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


def people(road: Road, vector: Vector) -> tuple[Party, Party | None]:
    """Whom the vector's question is about, and who else it names."""
    roles = road.roles
    couple = roles[COUPLE]
    if vector.role == COUPLE:
        return party(couple["husband"]), party(couple["wife"], "spouse") if vector.form is V else None
    if vector.role == "strangers":
        return party(couple["husband"]), party(roles["person_widowed"], "spouse")
    if vector.role == "stranger":
        return Party("applicant", "111", _NOBODY + citizen_check_digit(_NOBODY), "测试无名"), None
    if vector.role == "misnamed":
        entry = roles["company_valid" if vector.source.startswith("samr") else "person_single"]
        return Party("applicant", entry["id_type"], entry["number"], "别名"), None
    return party(roles[vector.role]), None


def run(road: Road, vector: Vector) -> None:
    """Ask as the vector says, and compare."""
    platform = SOURCES[vector.source].platform
    honest = road.connections[platform]
    road.behave(platform, vector.behaviour)
    road.connections[platform] = with_credentials(honest, **dict(vector.credentials)) if vector.credentials else honest
    try:
        answer = ask(road, vector.source, vector.form, *people(road, vector))
    finally:
        road.behave(platform, "ok")
        road.connections[platform] = honest
    assert answer.reason is vector.reason
