"""Requests become values with their identifiers checked; and nothing that holds a person shows them in its repr."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import types
import typing
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import broker.core
import broker.flow
from broker import ports
from broker.core.answer import Answer
from broker.core.case import APPLICANT, Basis, Channel, Operator, Party, Request, doubtful_certificates, request_from
from broker.core.errors import CallerProblem
from broker.flow import admit
from tests.flow import kit


def test_a_request_document_becomes_the_request_it_tells() -> None:
    document = kit.request(
        1,
        agent={"id_type": "111", "number": kit.citizen(9), "name": "代办", "basis": "授权委托书1号"},
        materials=["licence"],
        facts={"rented": True},
    )
    request = request_from(document)
    assert (request.item, request.scene, request.region) == (document["item"], None, document["region"])
    assert (request.channel, request.basis, request.basis_reference) == (Channel.WINDOW, Basis.STATUTORY_DUTY, "")
    assert request.applicant == Party(APPLICANT, "001", kit.company(1), "公司甲1")
    assert request.parties == (Party("legal_representative", "111", kit.citizen(1), "张某1"),)
    assert request.agent == Party("agent", "111", kit.citizen(9), "代办")
    assert (request.agent_basis, request.materials, request.facts) == ("授权委托书1号", ("licence",), {"rented": True})


LICENCE = "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.{check}"


def named(identifier: str) -> Request:
    """A request in which the applicant names a certificate."""
    document = kit.request(1)
    document["applicant"] = document["applicant"] | {"certificates": [identifier]}
    return request_from(document)


@pytest.mark.parametrize(("check", "doubtful"), [("U", 0), ("V", 1)])
def test_a_doubtful_check_character_of_a_certificate_is_counted_and_not_refused(check: str, doubtful: int) -> None:
    request = named(LICENCE.format(check=check))
    assert request.applicant.certificates == (LICENCE.format(check=check),)
    assert doubtful_certificates(request) == doubtful


def test_what_is_no_certificate_identifier_is_refused() -> None:
    with pytest.raises(CallerProblem, match="request.identifier") as refused:
        named("1.2.156.3005.2.X")
    assert refused.value.pointer == "/applicant/certificates/0"


def test_a_role_finds_its_party_and_the_applicant_is_a_role() -> None:
    request = request_from(kit.request(1))
    assert request.party(APPLICANT) == request.applicant
    assert request.party("legal_representative") == request.parties[0]
    assert request.party("spouse") is None


@pytest.mark.parametrize("changes", [{"item": None}, {"scene": "enterprise-1.1"}])
def test_exactly_one_of_item_and_scene_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(CallerProblem, match="request.scope"):
        request_from(kit.request(1, **changes))


@pytest.mark.parametrize("role", [APPLICANT, "legal_representative"])
def test_a_role_is_held_once(role: str) -> None:
    twice = {"role": role, "id_type": "111", "number": kit.citizen(2), "name": "张某"}
    with pytest.raises(CallerProblem, match="request.role-twice"):
        request_from(kit.request(1, parties=[*kit.request(1)["parties"], twice]))


def _wrong(number: str) -> str:
    return number[:-1] + ("0" if number[-1] != "0" else "1")


@pytest.mark.parametrize(
    ("pointer", "changes"),
    [
        ("/applicant/number", {"applicant": {"id_type": "001", "number": _wrong(kit.company(1)), "name": "甲"}}),
        ("/parties/0/number", {"parties": [
            {"role": "spouse", "id_type": "111", "number": _wrong(kit.citizen(1)), "name": "乙"}
        ]}),
        ("/agent/number", {"agent": {"id_type": "111", "number": _wrong(kit.citizen(1)), "name": "丙", "basis": "x"}}),
        ("/operator/unit", {"operator": {"id": "op1", "name": "李", "unit": _wrong(kit.UNIT), "unit_name": "局"}}),
    ],
)  # fmt: skip
def test_a_wrong_check_digit_is_refused_by_its_place_and_without_the_number(
    pointer: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(CallerProblem, match="request.identifier") as caught:
        request_from(kit.request(1, **changes))
    problem = caught.value
    assert problem.pointer == pointer
    said = f"{problem!r} {problem} {problem.got} {problem.expected}"
    assert kit.citizen(1)[:-1] not in said
    assert kit.company(1)[:-1] not in said


def test_organisations_are_told_by_their_type_of_identifier() -> None:
    assert Party("applicant", "001", kit.company(1), "甲").is_organisation
    assert Party("applicant", "099", "x", "甲").is_organisation
    assert not Party("applicant", "111", kit.citizen(1), "甲").is_organisation


def test_a_subject_is_the_same_in_every_role_and_another_for_another_type() -> None:
    one, other = Party("a", "111", "1", "x"), Party("b", "111", "1", "y")
    assert one.subject == other.subject
    assert Party("a", "414", "1", "x").subject != one.subject


# --- no repr shows a person -------------------------------------------------------------------------------------------

CANARY = "510000199001010000-CANARY"  # stands in every field that may hold what belongs to a person

PERSONAL: dict[type, set[str]] = {
    Party: {"number", "name"},
    Operator: {"id", "name"},
    Answer: {"holder_number", "fields"},
    Request: {"facts"},
    ports.HttpRequest: {"headers", "body"},
    ports.HttpResponse: {"headers", "body"},
    ports.Connection: {"credentials", "options", "session"},
    admit._Draft: {"document"},
}
# Bytes are a person's wherever they stand, except where the bytes are what is published: editions, and entries, which
# are built of pseudonyms (tests/flow/checker.py, I8).
PUBLIC_BYTES = {
    ("Entry", "body"),
    ("Bundle", "entry"),
    ("NewEdition", "body"),
    ("NoteKey", "public"),
    ("Checkpoint", "root"),
    ("Growth", "root"),
    ("Growth", "tiles"),
    ("LogReport", "root"),
    ("InclusionProof", "hashes"),
    ("InclusionProof", "extra"),
}


def _modules() -> list[types.ModuleType]:
    packages = (broker.core, broker.flow)
    names = [f"{one.__name__}.{info.name}" for one in packages for info in pkgutil.iter_modules(one.__path__)]
    return [ports, *map(importlib.import_module, names)]


def _dataclasses() -> list[type]:
    found = {
        value
        for module in _modules()
        for value in vars(module).values()
        if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.__name__
    }
    return sorted(found, key=lambda one: (one.__module__, one.__qualname__))


def _value(kind: Any, owner: type, name: str, depth: int = 0) -> Any:  # noqa: C901, PLR0911 - a table of types
    """Some value of a type, the canary wherever it fits."""
    personal = name in PERSONAL.get(owner, set())
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {typing.Union, types.UnionType}:
        return _value(next(one for one in arguments if one is not type(None)), owner, name, depth)
    if kind is str or (kind is Any and personal):
        return CANARY if personal else "x"
    if kind is bytes:
        return b"x" if (owner.__name__, name) in PUBLIC_BYTES else CANARY.encode()
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _instance(kind, depth + 1)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if kind in {int, float, bool}:
        return kind(0)
    if kind is datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)
    if kind is date:
        return date(2026, 1, 1)
    if origin in {tuple, list, set, frozenset, Sequence, typing.get_origin(Sequence[int])} and arguments and depth < 6:
        inner = [_value(one, owner, name, depth + 1) for one in arguments if one is not Ellipsis]
        return tuple(inner) if origin is tuple else list(inner)
    if origin in {dict, Mapping, MutableMapping} and depth < 6:
        key, value = (_value(one, owner, name, depth + 1) for one in arguments)
        return {CANARY if personal else key: CANARY if personal else value}
    return None


def _instance(kind: type, depth: int = 0) -> Any:
    hints = typing.get_type_hints(kind)
    given = {one.name: _value(hints[one.name], kind, one.name, depth) for one in dataclasses.fields(kind) if one.init}
    return kind(**given)


@pytest.mark.parametrize(
    "kind", _dataclasses(), ids=lambda kind: f"{kind.__module__.removeprefix('broker.')}.{kind.__name__}"
)
def test_no_repr_of_any_dataclass_shows_a_person(kind: type) -> None:
    shown = repr(_instance(kind))
    assert CANARY not in shown
    assert CANARY not in shown.replace("\\", "")


def test_the_canary_stands_in_what_is_built() -> None:
    """So that the test above looks at something."""
    assert _instance(Party).number == CANARY
    assert _instance(ports.Claimed).question == CANARY.encode()
    question = next(one for one in _dataclasses() if one.__name__ == "Question")
    assert _instance(question).matter.applicant.name == CANARY
    assert len(_dataclasses()) > 50


@given(st.text(min_size=6, max_size=30).filter(lambda text: not set(text) <= set("0123456789.x' ,=()")))
def test_whatever_a_person_is_called_it_is_not_in_the_repr_of_their_request(name: str) -> None:
    applicant = {"id_type": "001", "number": kit.company(1), "name": name}
    request = request_from(kit.request(1, applicant=applicant, facts={"said": name}))
    assert name not in repr(dataclasses.replace(request, request_id="", region=""))
    assert kit.company(1) not in repr(request)
    assert kit.citizen(1) not in repr(request)
