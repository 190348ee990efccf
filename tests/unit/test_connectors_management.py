"""What an operator may ask of a platform itself: dictionary, file verification, correction, application."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson
import pytest

from broker.connectors.certshare_call import Platform
from broker.connectors.management import CALLS, Management
from broker.core.answer import Answer, Reason
from broker.core.catalog import Form
from broker.ports import HttpRequest, Repeat
from broker.ports.management import ManagementCall
from broker.sandbox.certshare_files import certificate_file
from broker.sandbox.exchange_platform import _MANAGEMENT
from tests.asking import SOURCES, MemoryRoad, ask, decrypt, memory_road, party, with_changes

LICENCE, HOMES = "ecert-business-licence", "nr-house-count"
CORRECTION = {"cataId": "c-1", "problem": "坐落字段缺失"}


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> MemoryRoad:
    return memory_road(tmp_path_factory.mktemp("management"))


def made(road: MemoryRoad, key: str, call: str, arguments: Mapping[str, str] | None = None) -> Answer:
    """One call to the platform of a source."""
    source = SOURCES[key]
    wanted = ManagementCall("mc-0001", call, "核对证照字段", arguments or {})
    conversation = Management(decrypt).run(wanted, source, road.connections[source.platform], datetime.now(UTC))
    answer = road.send(source, conversation)
    assert isinstance(answer, Answer)
    return answer


def test_the_field_dictionary_names_every_field_of_the_face(road: MemoryRoad) -> None:
    labels = made(road, LICENCE, "field_dictionary").fields
    assert labels["holder"] == "持证主体"
    assert {"holder", "holdercode", "certno", "fddbr", "zs", "zzyxqjzrq"} == labels.keys() - {"zzyxqqsrq"}


@pytest.mark.parametrize(("role", "reason"), [("company_valid", Reason.VALID), ("company_restricted", Reason.FROZEN)])
def test_a_file_is_verified_as_it_stands(road: MemoryRoad, role: str, reason: Reason) -> None:
    """A restricted certificate cannot be downloaded; its file from before is known all the same."""
    number = road.roles[role]["number"]
    platform = road.applications["sd-certshare"]._platform
    content = base64.b64encode(certificate_file(platform._held[LICENCE][number][0], "ofd")).decode()  # type: ignore[attr-defined]
    assert made(road, LICENCE, "verify_file", {"content": content}).reason is reason


def test_a_file_that_came_as_an_answer_verifies(road: MemoryRoad) -> None:
    answer = ask(road, LICENCE, Form.FILE, party(road.roles["company_valid"]))
    assert made(road, LICENCE, "verify_file", {"content": answer.fields["file"]}).reason is Reason.VALID


def test_an_altered_file_is_nobodys(road: MemoryRoad) -> None:
    answer = made(road, LICENCE, "verify_file", {"content": base64.b64encode(b"PK altered").decode()})
    assert (answer.reason, answer.source_code) == (Reason.NOT_FOUND, "5")


def test_a_call_outside_a_case_says_so_and_why(road: MemoryRoad) -> None:
    made(road, LICENCE, "verify_file", {"content": "eA=="})
    cause = orjson.loads(road.sent[-1].body)["data"]["useCause"]
    assert (cause["certificateCallCategory"], cause["certificateCopyCause"]) == ("1", "核对证照字段")


@pytest.mark.parametrize(
    ("call", "service"),
    [("correct_catalogue", "s_sys_problemback001"), ("apply_for_resource", "s_sys_supply002")],
)
def test_corrections_and_applications_go_through_the_gateway(road: MemoryRoad, call: str, service: str) -> None:
    answer = made(road, HOMES, call, CORRECTION)
    assert (answer.reason, answer.fields["state"]) == (Reason.VALID, "受理")
    assert road.sent[-1].headers["sdjhpt_sid"] == service
    assert orjson.loads(road.sent[-1].body) == CORRECTION
    assert road.sent[-1].repeat is Repeat.EFFECT, "a correction is not filed twice"


@pytest.mark.parametrize(
    ("operation", "repeat"),
    [
        ("queryCertInfoByHolderCode", Repeat.SAFE),
        ("verifyFile", Repeat.SAFE),
        ("queryCertInfoByQRcode", Repeat.EFFECT),
        ("ChannelVerify/begin/verify", Repeat.EFFECT),
    ],
)
def test_what_spends_a_code_or_rings_a_phone_is_sent_once(road: MemoryRoad, operation: str, repeat: Repeat) -> None:
    platform = Platform(road.connections[SOURCES[LICENCE].platform], decrypt, "lk-1")
    assert next(platform.beside(operation, {})).repeat is repeat


def test_a_request_of_which_nothing_is_said_is_sent_once() -> None:
    assert HttpRequest("GET", "https://source.example/zzgxpt/download").repeat is Repeat.EFFECT


def test_an_application_that_the_platform_refuses_is_no_success(road: MemoryRoad) -> None:
    answer = made(road, HOMES, "apply_for_resource", {"cataId": ""})
    assert (answer.reason, answer.source_code) == (Reason.SOURCE_REFUSED_QUESTION, "1")


@pytest.mark.parametrize(
    ("key", "call", "reason"),
    [
        (LICENCE, "correct_catalogue", Reason.NOT_CONFIGURED),
        (HOMES, "field_dictionary", Reason.NOT_CONFIGURED),
        (HOMES, "correct_catalogue", Reason.INSUFFICIENT),
        (LICENCE, "verify_file", Reason.INSUFFICIENT),
    ],
)
def test_what_cannot_be_called_is_not(road: MemoryRoad, key: str, call: str, reason: Reason) -> None:
    road.sent.clear()
    assert made(road, key, call).reason is reason
    assert road.sent == []


def test_wrong_credentials_are_refused_here_too(road: MemoryRoad) -> None:
    for key, name in ((LICENCE, "password"), (HOMES, "app_key")):
        platform = SOURCES[key].platform
        honest = road.connections[platform]
        road.connections[platform] = with_changes(honest, {name: "wrong"}, {})
        call = "field_dictionary" if key == LICENCE else "correct_catalogue"
        assert made(road, key, call, CORRECTION).reason is Reason.AUTHENTICATION
        road.connections[platform] = honest


def test_every_call_is_known_to_the_simulators() -> None:
    assert {family for family, _ in CALLS} == {"certshare", "exchange"}
    assert len(_MANAGEMENT) == sum(family == "exchange" for family, _ in CALLS)
