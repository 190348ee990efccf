"""What an approval system asks about: a case (办件), the people and companies in it, and who asks on which basis.

Everything here holds personal data; no ``repr`` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from broker.core.errors import CallerProblem
from broker.core.identifiers import (
    CertificateCheck,
    check_certificate_identifier,
    is_credit_code,
    is_identifier,
)

CREDIT_CODE = "001"
CITIZEN_ID = "111"
APPLICANT = "applicant"
MAX_PARTIES = 40  # of one case over its life: twice what one request may name, and far below what a list of people is


class Basis(StrEnum):
    """Why the asking body may see the data (the three entry points of DB44/T 2167.3)."""

    STATUTORY_DUTY = "statutory_duty"  # 依职能（法定职责）
    HOLDER_CONSENT = "holder_consent"  # 持证人授权
    DELEGATION = "delegation"  # 委托


class Channel(StrEnum):
    """Where the applicant stands; recorded, and without influence on the decision."""

    WINDOW = "window"
    WEB = "web"
    MOBILE = "mobile"
    KIOSK = "kiosk"
    AUTOMATIC = "automatic"


@dataclass(frozen=True, slots=True)
class Party:
    """A person or an organisation in one role of the case; ``id_type`` follows GB/T 36903 (111, 001 …)."""

    role: str
    id_type: str
    number: str = field(repr=False)
    name: str = field(repr=False)
    token: str = field(default="", repr=False, compare=False)  # 用证码 or real-name token, as shown for this request
    certificates: tuple[str, ...] = field(default=(), repr=False, compare=False)  # identifiers (GB/T 36904) they named

    @property
    def is_organisation(self) -> bool:
        """Whether the identifier belongs to a legal person or another organisation."""
        return self.id_type in {CREDIT_CODE, "099"}

    @property
    def subject(self) -> str:
        """The one spelling under which this party is told from others: type and number."""
        return f"{self.id_type}:{self.number}"


@dataclass(frozen=True, slots=True)
class Operator:
    """The named person of the implementing body who asks, and the body by its credit code."""

    id: str = field(repr=False)
    name: str = field(repr=False)
    unit: str
    unit_name: str


@dataclass(frozen=True, slots=True)
class Request:
    """One verification as asked: one item or one scene, in one region, for one case."""

    request_id: str
    region: str
    case_number: str
    channel: Channel
    applicant: Party
    operator: Operator
    basis: Basis
    basis_reference: str = ""
    item: str | None = None
    scene: str | None = None
    parties: tuple[Party, ...] = ()
    agent: Party | None = None
    agent_basis: str = ""
    materials: tuple[str, ...] = ()  # empty: every material of the item or scene
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    commitments: Mapping[str, str] = field(default_factory=dict)  # material → the text the applicant has signed

    def party(self, role: str) -> Party | None:
        """Who holds a role; the applicant is a role like the others."""
        if role == APPLICANT:
            return self.applicant
        return next((party for party in self.parties if party.role == role), None)


def doubtful_certificates(request: Request) -> int:
    """How many identifiers have a check character that fits neither way: a reason to warn, and none to refuse."""
    named = [one for party in (request.applicant, *request.parties) for one in party.certificates]
    return sum(check_certificate_identifier(one) is CertificateCheck.MISMATCH for one in named)


def request_from(document: Mapping[str, Any]) -> Request:
    """The request a schema-valid document tells.

    Raises ``CallerProblem``: ``request.scope`` unless exactly one of item and scene is named, ``request.identifier``
    for a wrong check digit, ``request.role-twice`` for two parties in one role.
    """
    if ("item" in document) == ("scene" in document):
        raise CallerProblem("request.scope", expected="item or scene", pointer="/item")
    named = enumerate(document.get("parties", ()))
    parties = tuple(_party(entry, entry["role"], f"/parties/{position}") for position, entry in named)
    roles = [party.role for party in parties]
    if len(set(roles)) != len(roles) or APPLICANT in roles:
        raise CallerProblem("request.role-twice", pointer="/parties")
    agent = document.get("agent")
    operator = document["operator"]
    if not is_credit_code(operator["unit"]):
        raise CallerProblem("request.identifier", got=CREDIT_CODE, pointer="/operator/unit")
    return Request(
        request_id=document["request_id"],
        region=document["region"],
        case_number=document["case"]["number"],
        channel=Channel(document["channel"]),
        applicant=_party(document["applicant"], APPLICANT, "/applicant"),
        operator=Operator(operator["id"], operator["name"], operator["unit"], operator["unit_name"]),
        basis=Basis(document["basis"]["kind"]),
        basis_reference=document["basis"].get("reference", ""),
        item=document.get("item"),
        scene=document.get("scene"),
        parties=parties,
        agent=_party(agent, "agent", "/agent") if agent else None,
        agent_basis=agent["basis"] if agent else "",
        materials=tuple(document.get("materials", ())),
        facts=document.get("facts", {}),
        commitments={one["material"]: one["text"] for one in document.get("commitments", ())},
    )


def _party(entry: Mapping[str, Any], role: str, pointer: str) -> Party:
    if not is_identifier(entry["id_type"], entry["number"]):
        raise CallerProblem("request.identifier", got=entry["id_type"], pointer=f"{pointer}/number")
    certificates = tuple(entry.get("certificates", ()))
    for position, identifier in enumerate(certificates):
        if check_certificate_identifier(identifier) is CertificateCheck.MALFORMED:
            raise CallerProblem("request.identifier", got="certificate", pointer=f"{pointer}/certificates/{position}")
    return Party(role, entry["id_type"], entry["number"], entry["name"], entry.get("token", ""), certificates)
