"""The license-app v1 family: its three entry points, pages, tokens, archive copies, and the variant of the delta."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from broker.connectors.license_v1 import MAX_FILE, MAX_PAGES, PAGE_SIZE, AccessToken, LicenseV1
from broker.core.answer import Answer, Question, Reason
from broker.core.case import Basis, Party
from broker.core.catalog import Form
from broker.core.identifiers import citizen_check_digit
from broker.ports import Connection, HttpRequest, HttpResponse
from broker.sandbox.license_platform import real_name_token
from tests.asking import ANSWER_OK, SOURCES, MemoryRoad, ask, memory_road, party, question

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
SOURCE = SOURCES["gd-business-licence"]
SHOP = Party("applicant", "001", "91370499LN9ENAFF3K", "样例1号商贸（模拟）有限公司")
CREDENTIALS = {"app_key": "k", "app_secret": "s", "account": "a", "password": "p"}
FACE = {"FDDBR": "测试甲", "ZS": "测试路1号"}
LICENCE: dict[str, Any] = {
    "license_code": "L1",
    "name": "营业执照",
    "holder_name": SHOP.name,
    "holder_identity_num": SHOP.number,
    "license_item_code": "100001001",
    "license_status": "ISSUED",
    "begin_date": "2019-03-01",
    "expiry_date": "长期",
    "trust_level": "A",
    "data_fields": orjson.dumps(FACE).decode(),
}
PDF = b"%PDF-1.4\n%%EOF\n"


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> MemoryRoad:
    return memory_road(tmp_path_factory.mktemp("license"))


def connection(**options: object) -> Connection:
    """A connection that is logged in already."""
    services = {"gd-business-licence": "100001001"}
    return Connection("gd-license", "http://gd/v1", CREDENTIALS, {"services": services, **options}, {"token": TOKEN})


TOKEN = AccessToken("token-1")


def good(**document: object) -> dict[str, object]:
    """A success."""
    return {"ack_code": "SUCCESS", "errors": [], **document}


def listing(*summaries: dict[str, Any]) -> dict[str, object]:
    """A page of summaries."""
    return good(auth_codes=[f"code-{number}" for number, _ in enumerate(summaries)], data=list(summaries))


def failed(code: str) -> dict[str, object]:
    """A failure."""
    return {"ack_code": "FAILURE", "errors": [{"code": code, "message": "…"}]}


def heard(asked: Question, where: Connection, *documents: object) -> tuple[Answer, Sequence[HttpRequest]]:
    """The answer to these documents, and what was asked for them."""
    conversation, sent = LicenseV1(ANSWER_OK).ask(asked, SOURCE, where, NOW), []
    try:
        sent.append(next(conversation))
        for document in documents:
            body = document if isinstance(document, bytes) else orjson.dumps(document)
            sent.append(conversation.send(HttpResponse(200, {}, body)))
    except StopIteration as end:
        answer: Answer = end.value
        return answer, sent
    raise AssertionError(f"asks for more: {sent[-1].url}")


def query(form: Form = Form.QUERY, **changes: object) -> Question:
    """A question about the shop."""
    return replace(question("gd-business-licence", form, SHOP), **changes)  # type: ignore[arg-type]


def based(basis: Basis, token: str = "") -> Question:
    """A question on this basis."""
    asked = query()
    return replace(asked, matter=replace(asked.matter, basis=basis.value), token=token)


def test_each_basis_has_its_entry_point(road: MemoryRoad) -> None:
    """By duty with the operator and the number; by consent or delegation with the token that the holder showed."""
    holder = party(road.roles["company_valid"])
    secret = road.connections["gd-license"].credentials["app_secret"]
    matter = replace(question("gd-business-licence", Form.QUERY, holder).matter)
    for basis, entry in (("statutory_duty", "auth"), ("holder_consent", "holder"), ("delegation", "entrust")):
        road.sent.clear()
        hints: dict[str, Any] = {
            "matter": replace(matter, basis=basis),
            "token": real_name_token(secret, entry, holder.number),
        }
        answer = ask(road, "gd-business-licence", Form.QUERY, holder, **hints)
        assert (answer.reason, answer.fields["holder_name"]) == (Reason.VALID, holder.name)
        (listed,) = [request for request in road.sent if f"/license/{entry}?" in request.url]
        named = orjson.loads(listed.body)
        assert ("operator" in named, "credential" in named) == (entry == "auth", entry != "auth")
        assert holder.number not in "".join(request.url for request in road.sent)


@pytest.mark.parametrize("basis", [Basis.HOLDER_CONSENT, Basis.DELEGATION])
def test_without_the_holders_token_nothing_is_asked(basis: Basis) -> None:
    answer, sent = heard(based(basis), connection())
    assert (answer.reason, sent) == (Reason.INSUFFICIENT, [])


@pytest.mark.parametrize("entry", ["holder", "entrust"])
def test_a_token_is_good_at_its_own_entry_only(road: MemoryRoad, entry: str) -> None:
    holder = party(road.roles["company_valid"])
    secret = road.connections["gd-license"].credentials["app_secret"]
    other = {"holder": Basis.DELEGATION, "entrust": Basis.HOLDER_CONSENT}[entry]
    hints: dict[str, Any] = {"matter": based(other).matter, "token": real_name_token(secret, entry, holder.number)}
    assert ask(road, "gd-business-licence", Form.QUERY, holder, **hints).reason is Reason.NOT_PERMITTED


def test_all_pages_are_read_until_one_is_not_full() -> None:
    others = [LICENCE | {"license_item_code": "other"}] * PAGE_SIZE
    answer, sent = heard(query(), connection(), listing(*others), listing(LICENCE), good(data=LICENCE))
    assert answer.reason is Reason.VALID
    assert [orjson.loads(one.body)["page_index"] for one in sent[:2]] == [1, 2]
    assert sent[2].url.endswith("get_license?auth_code=code-0&access_token=token-1")


def test_a_list_without_an_end_is_not_read_for_ever() -> None:
    answer, sent = heard(query(), connection(), *[listing(*[LICENCE] * PAGE_SIZE)] * MAX_PAGES)
    assert (answer.reason, len(sent)) == (Reason.AMBIGUOUS, MAX_PAGES)


def test_of_several_licences_only_the_one_in_force_counts() -> None:
    old = LICENCE | {"license_status": "ABOLISHED"}
    answer, sent = heard(query(), connection(), listing(old, LICENCE), good(data=LICENCE))
    assert answer.reason is Reason.VALID
    assert "auth_code=code-1&" in sent[-1].url
    assert heard(query(), connection(), listing(LICENCE, LICENCE))[0].reason is Reason.AMBIGUOUS


def test_the_face_and_the_trust_level_are_fields() -> None:
    answer, _ = heard(query(), connection(), listing(LICENCE), good(data=LICENCE))
    told = {"legal_representative": "测试甲", "address": "测试路1号", "trust_level": "A"}
    assert told.items() <= answer.fields.items()
    assert answer.holder_number == SHOP.number


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ({"license_status": "FROZEN"}, Reason.MALFORMED),
        ({"license_status": "ABOLISHED"}, Reason.REVOKED),
        ({"expiry_date": "2026-11-21"}, Reason.EXPIRED),
        ({"expiry_date": "2026-11-22"}, Reason.VALID),
        ({"begin_date": "2026-11-23"}, Reason.NOT_YET_ACTIVE),
        ({"data_fields": "{"}, Reason.MALFORMED),
        ({"data_fields": "[]"}, Reason.MALFORMED),
        ({"holder_identity_num": ""}, Reason.MALFORMED),
    ],
)
def test_what_the_licence_says_becomes_its_reason(spoilt: dict[str, str], reason: Reason) -> None:
    assert heard(query(), connection(), listing(LICENCE), good(data=LICENCE | spoilt))[0].reason is reason


@pytest.mark.parametrize(
    "document", [{}, {"ack_code": "FAILURE"}, {"ack_code": "OK"}, failed("E1"), good(auth_codes=["c"], data=[]), []]
)
def test_what_nobody_has_told_us_is_never_held(document: object) -> None:
    assert heard(query(), connection(), document)[0].reason is Reason.MALFORMED


def test_a_refused_token_is_renewed_once() -> None:
    where = connection(session_codes=["T9"])
    fresh = good(access_token="token-2")
    answer, sent = heard(query(), where, failed("T9"), fresh, listing(LICENCE), good(data=LICENCE))
    assert answer.reason is Reason.VALID
    assert where.session["token"] == AccessToken("token-2")
    assert [request.url.partition("?")[0].rpartition("/")[2] for request in sent] == [
        "auth", "login", "auth", "get_license",
    ]  # fmt: skip
    again = connection(session_codes=["T9"], codes={"T9": "unknown.authentication"})
    assert heard(query(), again, failed("T9"), fresh, failed("T9"))[0].reason is Reason.AUTHENTICATION


def test_a_token_that_another_asker_has_renewed_is_kept() -> None:
    where = connection(session_codes=["T9"])
    conversation = LicenseV1(ANSWER_OK).ask(query(), SOURCE, where, NOW)
    next(conversation)
    where.session["token"] = AccessToken("token-3")
    assert "token-3" in conversation.send(HttpResponse(200, {}, orjson.dumps(failed("T9")))).url
    conversation.close()


def test_a_second_question_logs_in_no_more(tmp_path: Path) -> None:
    road = memory_road(tmp_path)
    for _ in range(3):
        assert ask(road, "gd-business-licence", Form.QUERY, party(road.roles["company_valid"])).reason is Reason.VALID
    assert len([request for request in road.sent if request.url.endswith("/security/login")]) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (PDF, Reason.VALID),
        (b"PK\x03\x04" + bytes(64), Reason.VALID),
        (b"<html>", Reason.MALFORMED),
        (b"", Reason.MALFORMED),
        (PDF.ljust(MAX_FILE + 1), Reason.MALFORMED),
    ],
)
def test_an_archive_copy_is_what_it_promises_to_be(content: bytes, reason: Reason) -> None:
    file = good(data={"file_name": "x", "file_data": base64.b64encode(content).decode()})
    answer, sent = heard(query(Form.FILE), connection(), listing(LICENCE), good(data=LICENCE), file)
    assert answer.reason is reason
    assert sent[-1].url.startswith("http://gd/v1/license/archive?auth_code=code-0&")
    if reason is Reason.VALID:
        assert base64.b64decode(answer.fields["file"]) == content
        assert answer.fields["file_digest"] == hashlib.sha256(content).hexdigest()
        assert answer.fields["file_type"] in {"application/pdf", "application/ofd"}


def test_a_file_of_what_does_not_hold_is_not_fetched() -> None:
    gone = LICENCE | {"license_status": "ABOLISHED"}
    answer, sent = heard(query(Form.FILE), connection(), listing(gone), good(data=gone))
    assert (answer.reason, len(sent), "file" in answer.fields) == (Reason.REVOKED, 2, False)


def test_only_the_fields_asked_for_come_with_a_file() -> None:
    asked = query(Form.FILE, fields=("file_digest",))
    file = good(data={"file_data": base64.b64encode(PDF).decode()})
    answer, _ = heard(asked, connection(), listing(LICENCE), good(data=LICENCE), file)
    assert answer.fields == {"file_digest": hashlib.sha256(PDF).hexdigest()}


def test_the_variant_of_the_delta_is_configuration() -> None:
    """Another code of success, and the licence with its file in the list itself."""
    where = connection(ack={"path": "code", "values": ["000001"]}, inline={"record": "liscenseInfo", "file": "pdf"})
    entry = {"name": "营业执照", "pdf": base64.b64encode(PDF).decode(), "liscenseInfo": LICENCE | {"data_fields": FACE}}
    answer, sent = heard(query(Form.FILE), where, {"code": "000001", "data": [entry]})
    assert (answer.reason, answer.source_code, len(sent)) == (Reason.VALID, "000001", 1)
    assert base64.b64decode(answer.fields["file"]) == PDF
    assert heard(query(), where, {"code": "000001", "data": [entry, entry]})[0].reason is Reason.AMBIGUOUS
    assert heard(query(), where, {"code": "000002", "data": []})[0].reason is Reason.MALFORMED


def test_an_operator_is_numbered_only_where_the_platform_wants_it() -> None:
    asked, number = query(), "37049919800101001" + citizen_check_digit("37049919800101001")
    numbered = replace(asked.matter, operator=replace(asked.matter.operator, id=number))
    for wanted in (False, True):
        where = connection(operator_identity=wanted)
        answer, sent = heard(replace(asked, matter=numbered), where, listing())
        assert (answer.reason, "identity_num" in orjson.loads(sent[0].body)["operator"]) == (Reason.NOT_FOUND, wanted)


def test_there_is_no_verification() -> None:
    answer, sent = heard(query(Form.VERIFY), connection())
    assert (answer.reason, sent) == (Reason.NOT_CONFIGURED, [])
