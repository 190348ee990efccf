"""Lists and requests of every shape, for properties of planning and deciding."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from hypothesis import strategies as st

from broker.core.case import Basis, Channel, Operator, Party, Request
from broker.core.catalog import Edition, catalog_from
from tests.flow import catalogue, kit

TODAY = date(2026, 7, 1)
FIELDS = ["number", "name", "status"]
ROLES = ["applicant", "spouse", "legal_representative"]
ITEMS = ["item-a", "item-b", "item-c"]
MATERIALS = ["paper-a", "paper-b", "paper-c", "paper-d"]
SOURCES = ["source-a", "source-b", "source-c"]
_FORMS = {"certificate": "query", "data_query": "query", "data_verify": "verify"}
_EXPECTATIONS = [
    {"field": "number", "op": "equals", "to": "holder.number"},
    {"field": "name", "op": "equals", "to": "spouse.name"},
    {"field": "status", "op": "in", "values": ["正常"]},
    {"field": "status", "op": "present"},
]


@st.composite
def _steps(draw: st.DrawFn) -> dict[str, Any]:
    mode = draw(st.sampled_from([*_FORMS, *_FORMS, "commitment", "department_check", "scene_result", "reuse"]))
    step: dict[str, Any] = {"mode": mode, "state": draw(st.sampled_from(["confirmed", "confirmed", "proposed"]))}
    if mode in _FORMS:
        step |= {"source": draw(st.sampled_from(SOURCES)), "form": _FORMS[mode]}
        step["fields"] = draw(st.lists(st.sampled_from(FIELDS), min_size=1, unique=True))
        step["expect"] = draw(st.lists(st.sampled_from(_EXPECTATIONS), max_size=2))
        if draw(st.integers(0, 3)) == 0:
            step["related"] = "spouse"
    elif mode == "scene_result":
        step["item"] = draw(st.sampled_from([*ITEMS, "item-elsewhere"]))
    elif mode == "commitment":
        step["text"] = "paper/1"
    return step


_requirements = st.fixed_dictionaries(
    {
        "material": st.sampled_from(MATERIALS),
        "holder": st.sampled_from(ROLES),
        "needed": st.booleans(),
        "when": st.sampled_from(
            [
                {},
                {},
                {"party": "spouse"},
                {"applicant": "person"},
                {"applicant": "organisation"},
                {"fact": "f", "is": True},
            ]
        ),
    }
)
_needs = st.lists(_requirements, max_size=5, unique_by=lambda one: (one["material"], one["holder"]))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A sharing list of three items in one scene, with chains of any kind."""
    base = catalogue.document()
    source = base["sources"][catalogue.REGISTER]
    chains = {key: draw(st.lists(_steps(), max_size=4)) for key in MATERIALS}
    place = base["items"][catalogue.SHOP]
    return base | {
        "sources": {key: source | {"forms": ["query", "verify"], "fields": FIELDS} for key in SOURCES},
        "materials": {
            key: {"name": {"zh": key, "en": key}, "kind": "proof", "basis": "法",
                  "chain": [*chain, *([{"mode": "submission"}] if draw(st.booleans()) else [])]}
            for key, chain in chains.items()
        },
        "items": {key: place | {"materials": draw(_needs)} for key in ITEMS},
    }  # fmt: skip


def edition(document: dict[str, Any]) -> Edition:
    """The document as an edition."""
    return Edition(1, "0" * 64, catalog_from(document))


def party(role: str, number: int) -> Party:
    """A person or, with a negative number, a company."""
    if number < 0:
        return Party(role, "001", kit.company(-number), f"公司{-number}")
    return Party(role, "111", kit.citizen(number), f"张某{number}")


@st.composite
def requests(draw: st.DrawFn, document: dict[str, Any]) -> Request:
    """A request for the scene or one item, its roles held by few enough people that some hold several."""
    known = {need["holder"] for item in document["items"].values() for need in item["materials"]}
    known |= {need["when"].get("party") for item in document["items"].values() for need in item["materials"]}
    needed = {need["material"] for item in document["items"].values() for need in item["materials"]}
    known |= {step.get("related") for key in needed for step in document["materials"][key]["chain"]}
    whole = draw(st.booleans()) or known & {"spouse", "legal_representative"} != set()
    roles = [role for role in ("spouse", "legal_representative") if role in known and draw(st.booleans())]
    return plain_request(
        applicant=party("applicant", draw(st.sampled_from([1, 2, -1]))),
        parties=tuple(party(role, draw(st.sampled_from([1, 2, 3]))) for role in draw(st.permutations(roles))),
        scene=catalogue.SCENE if whole else None,
        item=None if whole else draw(st.sampled_from(ITEMS)),
        facts=draw(st.sampled_from([{}, {"f": True}, {"f": False}])),
    )


def plain_request(**changes: Any) -> Request:
    """A request with everything that does not matter filled in."""
    given: dict[str, Any] = {
        "request_id": "r1",
        "region": catalogue.REGION,
        "case_number": "case-1",
        "channel": Channel.WINDOW,
        "applicant": party("applicant", 1),
        "operator": Operator("op1", "李某", kit.UNIT, "市监局"),
        "basis": Basis.STATUTORY_DUTY,
        "scene": catalogue.SCENE,
    }
    return Request(**(given | changes))


@dataclass(frozen=True)
class Asked:
    """A list and a request for it."""

    document: dict[str, Any]
    request: Request


@st.composite
def cases(draw: st.DrawFn) -> Asked:
    """A list and a request that fits it."""
    document = draw(documents())
    return Asked(document, draw(requests(document)))
