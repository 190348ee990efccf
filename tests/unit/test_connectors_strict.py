"""The simulators accept what the connectors send and refuse it with any part altered."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from broker.core.answer import Answer, Reason
from broker.core.catalog import Form
from broker.ports import HttpRequest
from broker.sandbox.exchange_platform import HEAD_FIELDS
from tests.asking import CONNECTORS, SOURCES, MemoryRoad, ask, memory_road, party, question


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> MemoryRoad:
    return memory_road(tmp_path_factory.mktemp("strict"))


def last_request(road: MemoryRoad, source: str, form: Form, role: str) -> HttpRequest:
    """The request our connector sends, after the simulator has accepted it."""
    entry = road.roles[role]
    road.sent.clear()
    answer = ask(road, source, form, party(entry))
    assert answer.outcome.value == "held"
    return road.sent[-1]


def certshare_status(road: MemoryRoad, request: HttpRequest, alter: Callable[[dict[str, Any]], object]) -> int:
    """The status for the same request with its document altered."""
    document = orjson.loads(request.body)
    alter(document)
    response = road.exchange("sd-certshare", replace(request, body=orjson.dumps(document)))
    status = orjson.loads(response.body)["head"]["status"]
    assert isinstance(status, int)
    return status


def put(*path: str, value: object) -> Callable[[dict[str, Any]], object]:
    """Alter one place of a document."""

    def alter(document: dict[str, Any]) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return alter


CAUSE = ("data", "useCause")


@pytest.mark.parametrize(
    ("alter", "status"),
    [
        (put("head", "accessId", value="somebody"), 11),
        (put("head", "accessToken", value="0" * 32), 11),
        (put("head", "accessToken", value=None), 11),
        (put("data", "holderCode", value=""), 110),
        (put("data", "holderCode", value="91370499LN9ENAFF30"), 102),
        (put("data", "holderTypeCode", value="000"), 103),
        (put("data", "certTypeCode", value=""), 12),
        (put("data", "certTypeCode", value="123"), 113),
        (put("data", "certTypeCode", value="11100000000013661B006"), 13),
        (put("data", "surplus", value="1"), 102),
        (put(*CAUSE, value=""), 12),
        (put(*CAUSE, value="长" * 201), 12),
        (put(*CAUSE, value="{"), 12),
        (put(*CAUSE, value=None), 12),
        (put(*CAUSE, "certificateSystemName", value=""), 12),
        (put(*CAUSE, "certificateCopyCause", value=""), 12),
        (put(*CAUSE, "certificateCallCategory", value="2"), 12),
        (put(*CAUSE, "certificateMatterName", value=""), 12),
        (put(*CAUSE, "certificateEventCode", value=""), 12),
        (lambda document: document["data"]["useCause"].pop("certificateEventCode"), 12),
        (lambda document: document["data"].pop("useCause"), 12),
        (lambda document: document.pop("head"), 12),
        (put("data", value=[]), 12),
    ],
)
def test_an_altered_certificate_query_is_refused(
    road: MemoryRoad, alter: Callable[[dict[str, Any]], object], status: int
) -> None:
    request = last_request(road, "ecert-business-licence", Form.QUERY, "company_valid")
    assert certshare_status(road, request, alter) == status


@pytest.mark.parametrize(
    ("alter", "status"),
    [
        (put("data", "certData", "holderCode", value=""), 110),
        (put("data", "certData", "holder", value=""), 111),
        (put("data", "certData", "certNo", value=""), 109),
        (put("data", "useCause", value=""), 12),
        (put("data", "certTypeCode", value="x"), 113),
    ],
)
def test_an_altered_verification_is_refused(
    road: MemoryRoad, alter: Callable[[dict[str, Any]], object], status: int
) -> None:
    request = last_request(road, "ecert-business-licence", Form.VERIFY, "company_valid")
    assert certshare_status(road, request, alter) == status


def test_an_operation_nobody_offers_is_status_2(road: MemoryRoad) -> None:
    request = last_request(road, "ecert-business-licence", Form.QUERY, "company_valid")
    elsewhere = replace(request, url=request.url.replace("queryCertInfoByHolderCode", "deleteEverything"))
    assert certshare_status(road, elsewhere, lambda _: None) == 2


@pytest.mark.parametrize("shape", ["object", "string", "text"])
def test_every_spelling_of_the_use_cause_is_accepted(road: MemoryRoad, shape: str) -> None:
    connection = road.connections["sd-certshare"]
    road.connections["sd-certshare"] = replace(connection, options={**connection.options, "use_cause": shape})
    try:
        last_request(road, "ecert-business-licence", Form.QUERY, "company_valid")
    finally:
        road.connections["sd-certshare"] = connection


def gateway_code(road: MemoryRoad, request: HttpRequest, **headers: str) -> str:
    """The gateway's code for the same request with other headers; empty when it is let through."""
    response = road.exchange("gj-exchange", replace(request, headers={**request.headers, **headers}))
    return str(orjson.loads(response.body)["code"]) if response.body.startswith(b"{") else ""


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("gjgxjhpt_rid", "somebody", "E-106"),
        ("gjgxjhpt_sid", "s_0000000000000_0000", "E-106"),
        ("gjgxjhpt_sid", "s_1200000900000_2108", "-1"),
        ("gjgxjhpt_rtime", "1700000000000", "-1"),
        ("gjgxjhpt_rtime", "now", "-1"),
        ("gjgxjhpt_sign", "HBKUuwdcOOMvN7i6Tmz2rB3IDeBsZkNZWusVRFi9agE=", "-1"),
        ("gjgxjhpt_sign", "", "-1"),
    ],
)
def test_an_altered_header_is_refused(road: MemoryRoad, header: str, value: str, code: str) -> None:
    request = last_request(road, "ps-identity", Form.VERIFY, "person_single")
    assert gateway_code(road, request) == ""
    assert gateway_code(road, request, **{header: value}) == code


@pytest.mark.parametrize("minutes", [-11, 11])
def test_a_clock_that_is_off_is_refused(tmp_path: Path, minutes: int) -> None:
    road = memory_road(tmp_path)
    asked = question("ps-identity", Form.VERIFY, party(road.roles["person_single"]))
    source = SOURCES["ps-identity"]
    now = datetime.now(UTC) + timedelta(minutes=minutes)
    conversation = CONNECTORS["exchange"].ask(asked, source, road.connections["gj-exchange"], now)
    heard = road.send(source, conversation)
    assert isinstance(heard, Answer)
    assert heard.reason is Reason.AUTHENTICATION


def record_code(road: MemoryRoad, request: HttpRequest, body: str) -> str:
    """RECORD@code in the answer to another package under the same signature."""
    response = road.exchange("gj-exchange", replace(request, body=body.encode()))
    match = re.search(rb'code="(\d+)"', response.body)
    assert match is not None
    return match[1].decode()


@pytest.mark.parametrize("tag", sorted(HEAD_FIELDS | {"GMSFHM", "XM"}))
def test_a_package_without_one_of_its_fields_is_refused(road: MemoryRoad, tag: str) -> None:
    request = last_request(road, "ps-identity", Form.VERIFY, "person_single")
    whole = request.body.decode()
    assert record_code(road, request, whole) == "0"
    assert record_code(road, request, re.sub(rf"<{tag}>[^<]*</{tag}>", f"<{tag}></{tag}>", whole)) == "20"
    assert record_code(road, request, re.sub(rf"<{tag}>[^<]*</{tag}>", "", whole)) == "20"


@pytest.mark.parametrize("old", ["<JLS>1<", "<FSSJ>2", "<PACKAGE>", "</RECORD>"])
def test_a_package_that_is_ill_formed_is_refused(road: MemoryRoad, old: str) -> None:
    request = last_request(road, "ps-identity", Form.VERIFY, "person_single")
    assert record_code(road, request, request.body.decode().replace(old, old.replace("<", "<x", 1))) == "20"


JSON_SERVICES = (
    ("samr-enterprise", "company_valid"),
    ("nr-title", "company_valid"),
    ("nr-house-count", "person_single"),
    ("hs-insurance", "person_single"),
    ("hs-retirement", "person_retired"),
    ("nhc-death", "person_deceased"),
    ("mca-subsistence", "person_on_subsistence"),
    ("mca-cremation", "person_deceased"),
    ("mca-marriage", "person_divorced"),
)


@pytest.mark.parametrize(("source", "role"), JSON_SERVICES)
def test_a_json_service_refuses_every_altered_parameter(road: MemoryRoad, source: str, role: str) -> None:
    """Empty, missing, of another type, or one too many: never data."""
    request = last_request(road, source, SOURCES[source].forms[0], role)
    whole = orjson.loads(request.body)
    spoilt: tuple[object, ...] = ("", [], None)
    altered = [whole | {name: wrong} for name in whole for wrong in spoilt]
    altered += [{name: value for name, value in whole.items() if name != gone} for gone in whole]
    altered.append(whole | {"surplus": "1"})
    for document in altered:
        response = road.exchange(SOURCES[source].platform, replace(request, body=orjson.dumps(document)))
        told = orjson.loads(response.body)
        assert [told.get(part) or None for part in ("data", "result")] == [None, None], document.keys()


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("schemas.xmlsoap.org/soap/envelope/", "www.w3.org/2003/05/soap-envelope", "VersionMismatch"),
        ("urn:institutions:ours", "urn:elsewhere", "Client"),
        ("call:query", "call:delete", "Client"),
        ("SIC_IF_0006", "SIC_IF_0001", "Client"),
        ("<security>", "<security>0", "Client.Authentication"),
        ("&lt;code&gt;9", "&lt;code&gt;8", "Client.Authentication"),
        ("<security>", "<surplus/><security>", "Client"),
        ("<soap:Body>", "<soap:Body><extra/>", "Client"),
        ("</soap:Envelope>", "", "Client"),
        ('encoding="UTF-8"?>', 'encoding="UTF-8"?><!DOCTYPE x [<!ENTITY a "b">]>', "Client"),
    ],
)
def test_an_altered_soap_call_is_a_fault(road: MemoryRoad, old: str, new: str, fault: str) -> None:
    request = last_request(road, "sc-institution", Form.QUERY, "company_valid")
    assert old in request.body.decode()
    told = road.exchange("gj-exchange", replace(request, body=request.body.decode().replace(old, new).encode()))
    assert f"<faultcode>s:{fault}</faultcode>" in told.body.decode()
    assert "<return>" not in told.body.decode()


@pytest.mark.parametrize("header", ["Content-Type", "SOAPAction"])
def test_a_soap_call_without_its_headers_is_a_fault(road: MemoryRoad, header: str) -> None:
    request = last_request(road, "sc-institution", Form.QUERY, "company_valid")
    headers = {name: text for name, text in request.headers.items() if name != header}
    assert (
        "<faultcode>s:Client</faultcode>"
        in road.exchange("gj-exchange", replace(request, headers=headers)).body.decode()
    )


@pytest.mark.parametrize(
    ("source", "role", "door"),
    [("sc-institution", "company_valid", "/httpproxy"), ("ps-identity", "person_single", "/wsproxy")],
)
def test_a_service_answers_at_its_own_door_only(road: MemoryRoad, source: str, role: str, door: str) -> None:
    request = last_request(road, source, SOURCES[source].forms[0], role)
    assert not request.url.endswith(door)
    elsewhere = replace(request, url=request.url.rpartition("/")[0] + door)
    assert orjson.loads(road.exchange("gj-exchange", elsewhere).body)["code"] == "-1"
