"""Every connector against its simulator without sockets: what each situation must become."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import jsonschema_rs
import orjson
import pytest

from broker.core.answer import Answer, Reason, Waiting
from broker.core.catalog import Form, RowState, names_holder
from broker.ports import Connection
from tests.asking import (
    CONNECTORS,
    REPOSITORY,
    SCHEMAS,
    SILENT,
    SIMULATED,
    SOURCES,
    SPEAKING,
    MemoryRoad,
    ask,
    memory_road,
    party,
    question,
)
from tests.contract import FAMILIES, VECTORS, run
from tests.vectors.vector import CANNOT, LEVERS, SITUATIONS, Vector

OF_COMPANIES = frozenset(
    {"ecert-business-licence", "ecert-food-licence", "samr-enterprise", "sdo-enterprise", "gd-business-licence"}
    | {"sc-institution"}
)


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> MemoryRoad:
    return memory_road(tmp_path_factory.mktemp("memory"))


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_what_the_platform_does_becomes_its_reason(road: MemoryRoad, vector: Vector) -> None:
    run(road, vector)


@pytest.mark.parametrize("family", SPEAKING)
def test_every_family_brings_its_vectors(family: str) -> None:
    """A connector without its vectors is not finished."""
    assert family in FAMILIES, f"tests/vectors/{family}.py is missing"


@pytest.mark.parametrize("key", SIMULATED)
def test_every_source_brings_each_situation_that_can_happen_there(key: str) -> None:
    """One with a vector too few is not finished; neither is a table that excuses what does happen."""
    brought = [one for one in VECTORS if one.source == key and one.name in SITUATIONS]
    names, cannot = {one.name for one in brought}, CANNOT.get(key, {}).keys()
    assert sorted(SITUATIONS.keys() - names - cannot) == []
    assert sorted(names & cannot) == []
    assert [str(one) for one in brought if one.reason not in SITUATIONS[one.name]] == []


@pytest.mark.parametrize("key", SIMULATED)
def test_what_cannot_happen_at_a_source_follows_from_what_the_list_says_of_it(key: str) -> None:
    source = SOURCES[key]
    by_period = source.connector in {"certshare", "license_v1"} and "valid_until" in source.options["fields"]
    tells = {
        "stale": "as_of" in source.options or by_period,
        "not-held": "verdicts" in source.options or source.connector in {"certshare", "license_v1"},
        "wrong-person": names_holder(source.options),
    }
    cannot = CANNOT.get(key, {})
    married = {"not-held": True} if key == "mca-marriage" else {}  # of two people, the kind of the last registration
    assert {name: name not in cannot for name in tells} == tells | married


@pytest.mark.parametrize(
    ("key", "name"), [(key, name) for key, excused in CANNOT.items() for name in excused if key in SOURCES]
)
def test_what_is_said_not_to_happen_does_not_when_its_lever_is_pulled(road: MemoryRoad, key: str, name: str) -> None:
    """The source's answer is as sound as before."""
    held = next(one for one in VECTORS if one.source == key and one.name == "held")
    run(road, replace(held, behaviour=LEVERS[name][0]))


def test_no_source_is_excused_that_is_not_there() -> None:
    assert sorted(CANNOT.keys() - set(SIMULATED)) == []
    assert {name for one in CANNOT.values() for name in one} <= SITUATIONS.keys()


@pytest.mark.parametrize("family", SPEAKING)
def test_every_family_has_a_simulator_for_its_sources(family: str, road: MemoryRoad) -> None:
    """A strict platform stands behind each source that the list connects through this family."""
    own = [SOURCES[key] for key in SIMULATED if SOURCES[key].connector == family]
    assert own != []
    assert {source.platform for source in own} <= road.connections.keys()
    assert {vector.source for vector in FAMILIES[family].VECTORS} <= {source.key for source in own}


def test_every_confirmed_source_is_simulated() -> None:
    confirmed = {key for key, one in SOURCES.items() if one.connector in SPEAKING and one.state is RowState.CONFIRMED}
    assert sorted(confirmed - set(SIMULATED)) == []


@pytest.mark.parametrize("key", sorted(key for key, one in SOURCES.items() if one.connector in SILENT))
@pytest.mark.parametrize("memo", ["", "2026-01-01T00:00:00+08:00"])
def test_a_family_without_a_wire_sends_nothing(road: MemoryRoad, key: str, memo: str) -> None:
    """So there is nothing to simulate; what its people reply stands in ``tests/flow/test_orders.py``."""
    source = SOURCES[key]
    asked = replace(question(key, source.forms[0], party(road.roles["person_single"])), memo=memo)
    connection = Connection(source.platform, "", {}, {"units": {"370400": "11370400MB9999999L"}})
    conversation = CONNECTORS[source.connector].ask(asked, source, connection, datetime.now(UTC))
    with pytest.raises(StopIteration) as end:
        next(conversation)
    assert isinstance(end.value.value, Answer if memo else Waiting)


@pytest.mark.parametrize("key", SIMULATED)
def test_every_source_has_its_pair_of_schemas(key: str) -> None:
    for part in ("question", "answer"):
        schema = orjson.loads((SCHEMAS / f"{key}.{part}.schema.json").read_bytes())
        assert schema["$id"] == f"{key}.{part}.schema.json"
        jsonschema_rs.Draft202012Validator(schema)


def test_no_vectors_lie_about_for_a_family_that_is_gone() -> None:
    modules = {path.stem for path in (REPOSITORY / "tests" / "vectors").glob("*.py")} - {"vector"}
    assert modules == FAMILIES.keys()


@pytest.mark.parametrize("key", SIMULATED)
def test_every_question_is_what_its_schema_says(road: MemoryRoad, key: str) -> None:
    source = SOURCES[key]
    organisation = key in OF_COMPANIES
    subject = road.roles["company_valid"] if organisation else road.roles["couple_married"]["husband"]
    spouse = party(road.roles["couple_married"]["wife"], "spouse")
    schema = jsonschema_rs.Draft202012Validator(orjson.loads((SCHEMAS / f"{key}.question.schema.json").read_bytes()))
    for form in source.forms:
        road.sent.clear()
        road.queries.clear()
        related = spouse if key == "mca-marriage" and form is Form.VERIFY else None
        ask(road, key, form, party(subject), related)
        bodies = [request.body for request in road.sent if request.body][-1:]
        for body in [*bodies, *(orjson.dumps(dict(query.where)) for query in road.queries)]:
            schema.validate(FAMILIES[source.connector].business_part(body, source))


@pytest.mark.parametrize("key", SIMULATED)
def test_a_question_carries_its_lookup_id_and_no_person_in_its_url(road: MemoryRoad, key: str) -> None:
    """So that a source can see the same question again, and no proxy's log can tell about whom it was."""
    husband = party(road.roles["couple_married"]["husband"])
    road.sent.clear()
    ask(road, key, SOURCES[key].forms[0], husband)
    assert all(part not in unquote(request.url) for request in road.sent for part in (husband.number, husband.name))
    assert [request.headers["X-Request-Id"] for request in road.sent[-1:]] in ([], ["lk-0001"])
    assert husband.number not in repr([road.sent, road.queries])


def test_the_national_marriage_source_refuses_to_call_the_divorced_a_couple(road: MemoryRoad) -> None:
    man, woman = party(road.roles["person_retired"]), party(road.roles["person_divorced"])
    one, other = (man, woman) if int(man.number[16]) % 2 else (woman, man)
    assert ask(road, "mca-marriage", Form.VERIFY, one, other).reason is Reason.MISMATCH


def test_the_latest_registration_is_the_state(road: MemoryRoad) -> None:
    divorced = party(road.roles["person_divorced"])
    answer = ask(road, "mca-marriage", Form.QUERY, divorced)
    assert answer.fields == {"status": "divorced", "registered_on": "2019-09-09"}


def test_a_second_question_uses_the_secret_of_the_first(tmp_path: Path) -> None:
    road = memory_road(tmp_path)
    single = party(road.roles["person_single"])
    for _ in range(3):
        assert ask(road, "ps-identity", Form.VERIFY, single).reason is Reason.VALID
    assert len([request for request in road.sent if request.url.endswith("refreshappsecret")]) == 1


@pytest.mark.parametrize("lie", ["unsigned", "wrong_key"])
def test_only_the_handing_out_of_a_secret_is_protected_at_an_exchange_platform(tmp_path: Path, lie: str) -> None:
    """Its answers are not: who has a working secret notices nothing, and rests on TLS for what is answered."""
    road = memory_road(tmp_path)
    single = party(road.roles["person_single"])
    road.behave("gj-exchange", lie)
    assert ask(road, "ps-identity", Form.VERIFY, single).reason is Reason.UNTRUSTED
    road.behave("gj-exchange", "ok")
    assert ask(road, "ps-identity", Form.VERIFY, single).reason is Reason.VALID
    road.behave("gj-exchange", lie)
    assert ask(road, "ps-identity", Form.VERIFY, single).reason is Reason.VALID


def test_a_secret_the_platform_has_forgotten_is_fetched_again_once(tmp_path: Path) -> None:
    """As after a restart of the gateway."""
    road, fresh = memory_road(tmp_path), memory_road(tmp_path)
    single = party(road.roles["person_single"])
    ask(road, "ps-identity", Form.VERIFY, single)
    road.applications["gj-exchange"] = fresh.applications["gj-exchange"]
    road.sent.clear()
    assert ask(road, "ps-identity", Form.VERIFY, single).reason is Reason.VALID
    assert [request.url.rpartition("/")[2] for request in road.sent] == ["httpproxy", "refreshappsecret", "httpproxy"]


@pytest.mark.parametrize("key", SIMULATED)
def test_without_a_connection_nothing_is_asked(road: MemoryRoad, key: str) -> None:
    platform = SOURCES[key].platform
    honest = road.connections.pop(platform)
    road.sent.clear()
    road.queries.clear()
    try:
        answer = ask(road, key, SOURCES[key].forms[0], party(road.roles["company_valid"]))
    finally:
        road.connections[platform] = honest
    assert answer.reason in {Reason.NOT_CONFIGURED, Reason.INSUFFICIENT}
    assert (road.sent, road.queries) == ([], [])
