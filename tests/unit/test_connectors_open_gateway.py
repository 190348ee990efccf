"""The two open gateways: signatures as published, nonces, two secrets, and what each call is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest

from broker.connectors.open_gateway import (
    REFRESH_LIFE,
    REQUEST_LIFE,
    OpenGateway,
    Secrets,
    shandong_sign,
    zhejiang_sign,
)
from broker.core.answer import Answer, Question, Reason
from broker.core.case import Party
from broker.core.catalog import Form
from broker.ports import Connection, HttpRequest, HttpResponse
from tests.asking import ANSWER_OK, SOURCES, MemoryRoad, ask, memory_road, party, question

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
MAN = Party("applicant", "111", "370499196601100010", "测试甲子甲")
SOURCE = SOURCES["zj-insurance"]
NOTHING = {"code": "00", "msg": "", "dataCount": 0, "datas": []}
DOUBTED = {"code": "03", "msg": "签名错误", "dataCount": 0, "datas": None}


def test_the_published_signatures_come_out() -> None:
    """The vectors that were agreed on with two other implementations."""
    assert (
        shandong_sign("secret_demo", "client_demo", "1700000000000", "nonce0001")
        == "ca+DB5OmCLfSIf7Mbh5Wr2fqRBByGzmdVchPm8b3U8k="
    )
    assert zhejiang_sign("ak_demo", "SK_Demo", "1700000000000") == "97679b9d157fb811b331bf95dfc63480"


# ---- Shandong


def test_each_question_has_its_own_nonce_each_time_it_is_asked(tmp_path: Path) -> None:
    """The simulator refuses a nonce it has seen."""
    road = memory_road(tmp_path)
    company = party(road.roles["company_valid"])
    source, where = SOURCES["sdo-enterprise"], road.connections["sd-open"]
    seen = set()
    for lookup, minutes in (("lk-1", 0), ("lk-2", 0), ("lk-1", 1)):
        asked = question("sdo-enterprise", Form.QUERY, company, lookup_id=lookup)
        now = datetime.now(UTC) + timedelta(minutes=minutes)
        answer = road.send(source, OpenGateway(ANSWER_OK).ask(asked, source, where, now))
        assert isinstance(answer, Answer)
        assert answer.reason is Reason.VALID
        seen.add(road.sent[-1].headers["X-Nonce"])
    assert len(seen) == 3


@pytest.mark.parametrize("header", ["X-Client-Id", "X-Timestamp", "X-Nonce", "X-Signature"])
def test_an_altered_header_is_refused(tmp_path: Path, header: str) -> None:
    road = memory_road(tmp_path)
    ask(road, "sdo-enterprise", Form.QUERY, party(road.roles["company_valid"]))
    headers = dict(road.sent[-1].headers)
    for spoilt in (headers | {header: headers[header] + "1"}, {**headers, header: ""}):
        answer = road.exchange("sd-open", replace(road.sent[-1], headers=spoilt))
        assert orjson.loads(answer.body)["code"] == "401"
    assert orjson.loads(road.exchange("sd-open", road.sent[0]).body)["code"] == "401", "a replay"


def test_parameters_are_form_encoded_in_the_body(tmp_path: Path) -> None:
    road = memory_road(tmp_path)
    company = party(road.roles["company_valid"])
    ask(road, "sdo-enterprise", Form.QUERY, company)
    assert dict(parse_qsl(road.sent[-1].body.decode("ascii"))) == {"uniscid": company.number, "entname": company.name}
    assert road.sent[-1].headers["Content-Type"].startswith("application/x-www-form-urlencoded")


# ---- Zhejiang


def connection(secrets: Secrets | None = None) -> Connection:
    """A connection with these secrets at hand."""
    options = {"scheme": "zhejiang", "services": {"zj-insurance": "gateway/api/x.htm"}}
    session: dict[str, Any] = {} if secrets is None else {"secrets": secrets}
    return Connection("zj-open", "http://zj", {"app_key": "AK", "app_secret": "S0"}, options, session)


def held(refresh: timedelta = timedelta(hours=1), request: timedelta = timedelta(minutes=5)) -> Secrets:
    """Secrets that end after so long."""
    return Secrets("R1", NOW + refresh, "Q1", NOW + request)


def secrets(number: int) -> dict[str, object]:
    """What a refreshing gives."""
    return {"code": "00", "datas": {"refreshSecret": f"R{number}", "requestSecret": f"Q{number}"}}


def heard(where: Connection, *documents: object, asked: Question | None = None) -> tuple[Answer, list[tuple[str, str]]]:
    """The answer to these documents; of each request the page, and the secret that signed it."""
    conversation, sent = OpenGateway(ANSWER_OK).ask(asked or _question(), SOURCE, where, NOW), []
    try:
        sent.append(next(conversation))
        for document in documents:
            response = HttpResponse(200, {}, orjson.dumps(document))
            sent.append(conversation.send(response))
    except StopIteration as end:
        answer: Answer = end.value
        return answer, _signers(sent)
    raise AssertionError(f"asks for more: {sent[-1].url}")


def _question() -> Question:
    return question("zj-insurance", Form.QUERY, MAN)


def _signers(sent: Sequence[HttpRequest]) -> list[tuple[str, str]]:
    found = []
    for request in sent:
        told = dict(parse_qsl(request.body.decode()))
        by = {zhejiang_sign("AK", secret, told["requestTime"]): secret for secret in ("S0", "R1", "R2", "Q1", "Q2")}
        found.append((request.url.rpartition("/")[2].removesuffix(".htm"), by[told["sign"]]))
    return found


BY_KEY, BY_SECRET = "refreshTokenByKey", "refreshTokenBySec"


def test_without_secrets_the_app_secret_gives_both() -> None:
    where = connection()
    answer, sent = heard(where, secrets(1), NOTHING)
    assert (answer.reason, sent) == (Reason.NOT_FOUND, [(BY_KEY, "S0"), ("x", "Q1")])
    assert where.session["secrets"] == Secrets("R1", NOW + REFRESH_LIFE, "Q1", NOW + REQUEST_LIFE)


def test_a_request_secret_at_hand_is_used() -> None:
    assert heard(connection(held()), NOTHING)[1] == [("x", "Q1")]


def test_an_old_request_secret_is_refreshed_by_the_refresh_secret() -> None:
    answer, sent = heard(connection(held(request=timedelta(seconds=30))), secrets(2), NOTHING)
    assert (answer.reason, sent) == (Reason.NOT_FOUND, [(BY_SECRET, "R1"), ("x", "Q2")])


def test_an_old_refresh_secret_is_left_for_the_app_secret() -> None:
    where = connection(held(timedelta(seconds=30), timedelta(seconds=30)))
    assert heard(where, secrets(2), NOTHING)[1] == [(BY_KEY, "S0"), ("x", "Q2")]


def test_a_doubted_refresh_secret_is_left_for_the_app_secret() -> None:
    where = connection(held(request=timedelta()))
    assert heard(where, DOUBTED, secrets(2), NOTHING)[1] == [(BY_SECRET, "R1"), (BY_KEY, "S0"), ("x", "Q2")]


def test_a_doubted_call_begins_anew() -> None:
    answer, sent = heard(connection(held()), DOUBTED, secrets(2), NOTHING)
    assert (answer.reason, sent) == (Reason.NOT_FOUND, [("x", "Q1"), (BY_KEY, "S0"), ("x", "Q2")])


def test_a_signature_that_is_never_believed_ends_the_asking() -> None:
    answer, sent = heard(connection(), DOUBTED)
    assert (answer.reason, answer.source_code, sent) == (Reason.AUTHENTICATION, "03", [(BY_KEY, "S0")])
    answer, sent = heard(connection(held()), *[DOUBTED, secrets(1)] * 2, DOUBTED)
    assert (answer.reason, len(sent)) == (Reason.AUTHENTICATION, 5)


@pytest.mark.parametrize("document", [{}, {"code": "00"}, {"code": "00", "datas": {"refreshSecret": "R"}}])
def test_half_a_refreshing_is_none(document: object) -> None:
    where = connection()
    assert heard(where, document)[0].reason in {Reason.MALFORMED, Reason.AUTHENTICATION}
    assert where.session == {}


def test_each_call_says_for_what_it_is_and_who_asks() -> None:
    conversation = OpenGateway(ANSWER_OK).ask(_question(), SOURCE, connection(held()), NOW)
    told = dict(parse_qsl(next(conversation).body.decode()))
    assert orjson.loads(told["additional"]) == {
        "powerMatters": "食品经营许可",
        "subPowerMatters": "11370499MB2811111A4370131002000",
        "accesscardId": "op-0007",
        "materialName": "营业执照",
        "sponsorName": MAN.name,
        "sponsorCode": MAN.number,
        "projectId": "370499-2026-0001",
    }
    conversation.close()


def test_a_case_that_lacks_one_of_them_is_not_asked_for() -> None:
    asked = _question()
    unnamed = replace(asked, matter=replace(asked.matter, item_name=""))
    assert heard(connection(held()), asked=unnamed) == (Answer(Reason.INSUFFICIENT), [])


def test_the_gateway_wants_all_of_them(tmp_path: Path) -> None:
    road: MemoryRoad = memory_road(tmp_path)
    person = party(road.roles["person_single"])
    assert ask(road, "zj-insurance", Form.QUERY, person).reason is Reason.VALID
    pairs = parse_qsl(road.sent[-1].body.decode())
    for name, _ in pairs:
        altered = "&".join(f"{key}={text}" for key, text in pairs if key != name).encode()
        answer = road.exchange("zj-open", replace(road.sent[-1], body=altered))
        assert orjson.loads(answer.body)["code"] != "00", name
