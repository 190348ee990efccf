"""Every code of every family becomes its reason, and no code that we do not know becomes HELD."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.connectors import certshare, certshare_call, exchange, shape_soap
from broker.connectors.reading import moment
from broker.core.answer import Answer, Outcome, Reason
from broker.core.case import Party
from broker.core.catalog import Form, Source
from broker.ports import Connection, Connector, HttpResponse
from broker.ports.sessions import WorkingSecret
from broker.sandbox import exchange_platform
from tests.asking import ANSWER_OK, SOURCES, no_decrypt, question

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
SHOP = Party("applicant", "001", "91370499LN9ENAFF3K", "样例1号商贸（模拟）有限公司")
MAN = Party("applicant", "111", "370499196601100010", "测试甲子甲")
WOMAN = Party("spouse", "111", "370499198507130028", "测试乙丑甲")
CERTSHARE = Connection("sd-certshare", "http://certshare", {"account": "demo", "password": "pass_demo"})
SERVICES = {key: f"s_{key}" for key in SOURCES}
SECRET = WorkingSecret(b"0123456789abcdef0123456789abcdef", NOW + timedelta(minutes=30))


unhurried = settings(deadline=None)  # a busy machine is no finding


def gateway(**options: object) -> Connection:
    """A connection that holds a working secret already."""
    credentials = {"rid": "rid_demo_0001", "app_key": "appkey-demo-0001"}
    return Connection(
        "gj-exchange", "http://exchange", credentials, {"services": SERVICES, **options}, {"secret": SECRET}
    )


def answered(
    connector: Connector,
    connection: Connection,
    source: Source,
    form: Form,
    bodies: Sequence[bytes],
    *,
    related: Party | None = None,
    status: int = 200,
) -> Answer:
    """What the connector makes of these response bodies, in their order."""
    subject = SHOP if source.key in {"ecert-business-licence", "samr-enterprise", "sc-institution"} else MAN
    conversation = connector.ask(question(source.key, form, subject, related), source, connection, NOW)
    next(conversation)
    for position, body in enumerate(bodies):
        try:
            conversation.send(HttpResponse(status, {}, body))
        except StopIteration as end:
            assert position == len(bodies) - 1, "the conversation ended before its last answer"
            found: Answer = end.value
            return found
    raise AssertionError("the conversation wants more answers than there are")


def from_certshare(envelope: object, form: Form = Form.QUERY, source: str = "ecert-business-licence") -> Answer:
    connection = replace(CERTSHARE, options={"services": {source: "11370499000000000X001"}})
    connector = certshare.CertShare(ANSWER_OK, no_decrypt)
    head = envelope.get("head") if isinstance(envelope, dict) else None
    failed = isinstance(head, dict) and certshare_call.number_of(head.get("status")) == 99
    times = 3 if failed else 1  # "other exception": asked again and again
    return answered(connector, connection, SOURCES[source], form, [orjson.dumps(envelope)] * times)


def from_exchange(
    source: str, document: object, form: Form | None = None, related: Party | None = None, **options: object
) -> Answer:
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    connector = exchange.Exchange(ANSWER_OK)
    listed = SOURCES[source]
    return answered(connector, gateway(**options), listed, form or listed.forms[0], [body], related=related)


# ---- SOAP

ENVELOPE = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{}</e:Body></e:Envelope>'
RECORD = (
    f"<RECORD><sydwmc>样例单位</sydwmc><tyshxydm>{SHOP.number}</tyshxydm><fddbr>测试</fddbr>"
    "<zsyxqsrq>2020-01-01</zsyxqsrq><zsyxjzrq>2030-01-01</zsyxjzrq><zt>存续</zt><gxsj>2026-11-22</gxsj></RECORD>"
)


def soap(**options: object) -> tuple[Connection, Source]:
    """The connection, and the listed source with some of its options replaced."""
    connection = gateway()
    source = SOURCES["sc-institution"]
    return (
        replace(connection, credentials={**connection.credentials, "ident_key": "key-demo"}),
        replace(source, service="s_demo_2972", options={**source.options, **options}),
    )


def from_soap(inside: str, **options: object) -> Answer:
    """The answer to what stands in the SOAP body."""
    body = ENVELOPE.format(inside).encode()
    return answered(exchange.Exchange(ANSWER_OK), *soap(**options), Form.QUERY, [body])


def returned(document: str) -> str:
    """The operation's response with this document as its text."""
    return f'<q:queryResponse xmlns:q="urn:institutions:ours"><return>{escape(document)}</return></q:queryResponse>'


def fault(code: str) -> str:
    """A SOAP 1.1 fault."""
    return f"<e:Fault><faultcode>{code}</faultcode><faultstring>…</faultstring></e:Fault>"


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        (returned(f"<R><CODE>0</CODE>{RECORD}</R>"), Reason.VALID),
        (returned(f'<?xml version="1.0" encoding="UTF-8"?><R><CODE>0</CODE>{RECORD}</R>'), Reason.VALID),
        (returned(f"<R><CODE>0</CODE>{RECORD}{RECORD}</R>"), Reason.AMBIGUOUS),
        (returned("<R><CODE>0</CODE></R>"), Reason.NOT_FOUND),
        (returned("<R><CODE>1</CODE></R>"), Reason.NOT_FOUND),
        (returned(f"<R><CODE>7</CODE>{RECORD}</R>"), Reason.MALFORMED),
        (returned(f"<R>{RECORD}</R>"), Reason.MALFORMED),
        (returned(f"<R><CODE>0</CODE><CODE>0</CODE>{RECORD}</R>"), Reason.MALFORMED),
        (returned(f"<R><CODE>0</CODE>{RECORD.replace('存续', '<x/>')}</R>"), Reason.MALFORMED),
        (returned(f"<R><CODE>0</CODE>{RECORD.replace('存续', '不明')}</R>"), Reason.MALFORMED),
        (returned(f'<!DOCTYPE R [<!ENTITY a "b">]><R><CODE>0</CODE>{RECORD}</R>'), Reason.MALFORMED),
        (returned(""), Reason.MALFORMED),
        (returned("0").replace("<return>", "<x/><return>"), Reason.MALFORMED),
        (returned("0").replace("ours", "others"), Reason.MALFORMED),
        ("", Reason.MALFORMED),
        (fault("e:Client"), Reason.SOURCE_REFUSED_QUESTION),
        (fault("e:Client.Authentication"), Reason.AUTHENTICATION),
        (fault("e:Client.Other"), Reason.SOURCE_REFUSED_QUESTION),
        (fault("e:Server"), Reason.SOURCE_DOWN),
        (fault("e:Server.Busy"), Reason.SOURCE_DOWN),
        (fault("e:MustUnderstand"), Reason.CATALOGUE_DRIFT),
        (fault("e:VersionMismatch"), Reason.CATALOGUE_DRIFT),
        (fault("e:Whatever"), Reason.MALFORMED),
        (fault(""), Reason.MALFORMED),
    ],
)
def test_each_soap_answer_has_its_reason(inside: str, reason: Reason) -> None:
    assert from_soap(inside).reason is reason


def test_no_fault_is_held_whatever_the_list_says() -> None:
    assert from_soap(fault("e:Server"), faults={"Server": "held.valid"}).reason is Reason.MALFORMED


@pytest.mark.parametrize(
    "options",
    [
        {"operation": None},
        {"operation": {"name": "a b", "namespace": "urn:x", "type": "T"}},
        {"operation": {"name": "query", "namespace": "urn:x"}},
        {"request": {}},
        {"ok": {}},
        {"result": "*[1]"},
    ],
)
def test_a_soap_service_that_is_described_in_part_is_not_asked(options: dict[str, object]) -> None:
    connection, source = soap(**options)
    asked = question(source.key, Form.QUERY, SHOP)
    with pytest.raises(StopIteration) as end:
        next(exchange.Exchange(ANSWER_OK).ask(asked, source, connection, NOW))
    assert end.value.value.reason is Reason.NOT_CONFIGURED


def test_the_digest_is_over_the_arguments_and_the_key() -> None:
    """As ``printf 'abckey' | md5sum`` has it."""
    assert shape_soap.security_of("abc", "key") == "11e74c87d199c94fd4c02322b42391dd"


# ---- standards §14


def test_the_token_is_the_published_one() -> None:
    assert certshare.access_token("pass_demo") == "3a67e5d2cc9add0d0fe5a4ab0b07332a"


def test_the_signature_is_the_published_one() -> None:
    signature = exchange.sign(b"appkey-demo-0001", "s_demo_0001", "rid_demo_0001", "1700000000000")
    assert signature == "HBKUuwdcOOMvN7i6Tmz2rB3IDeBsZkNZWusVRFi9agE="


def test_the_wrapping_key_is_the_published_one() -> None:
    assert exchange.wrapping_key("appkey-demo-0001").hex() == "0b5c3693de3236f2ee7f8a85d57d243b"


WRAPPED = "EmlJ76RB+nEpzCsTqjrmQxJpSe+kQfpxKcwrE6o65kOMBaLSyHfkaiU9wwZXDwRQ"


def test_the_working_secret_unwraps_and_the_simulator_wraps_it_alike() -> None:
    assert exchange.unwrap_secret(WRAPPED, "appkey-demo-0001") == SECRET.value
    assert exchange_platform.wrapped(SECRET.value.decode(), "appkey-demo-0001") == WRAPPED


# ---- certshare

CERTIFICATE = {
    "cert_identifier": "1.2.156.3005.2.11370499000000000X001.11370499MB0000000X.0001.001.0",
    "holder": SHOP.name,
    "holdercode": SHOP.number,
    "certno": SHOP.number,
    "fddbr": "测试丙子甲",
    "zs": "山东省模拟市",
    "zzyxqqsrq": "2019-03-01",
    "zzyxqjzrq": "2049-02-28",
}


OTHER_TYPE = "1.2.156.3005.2.11370499000000000X002.11370499MB0000000X.0001.001.0"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (2, Reason.CATALOGUE_DRIFT),
        (10, Reason.NOT_FOUND),
        (11, Reason.AUTHENTICATION),
        (12, Reason.SOURCE_REFUSED_QUESTION),
        (13, Reason.CATALOGUE_DRIFT),
        (21, Reason.REVOKED),
        (22, Reason.EXPIRED),
        (23, Reason.RESTRICTED),
        (99, Reason.SOURCE_DOWN),
        (100, Reason.NOT_PERMITTED),
        (101, Reason.SOURCE_CONFIGURATION),
        (102, Reason.SOURCE_REFUSED_QUESTION),
        (103, Reason.SOURCE_REFUSED_QUESTION),
        (105, Reason.CATALOGUE_DRIFT),
        (106, Reason.CATALOGUE_DRIFT),
        (107, Reason.CATALOGUE_DRIFT),
        (108, Reason.CATALOGUE_DRIFT),
        (109, Reason.SOURCE_REFUSED_QUESTION),
        (110, Reason.SOURCE_REFUSED_QUESTION),
        (111, Reason.SOURCE_REFUSED_QUESTION),
        (113, Reason.SOURCE_REFUSED_QUESTION),
    ],
)
@pytest.mark.parametrize("form", [Form.QUERY, Form.VERIFY])
def test_each_status_has_its_reason(status: int, reason: Reason, form: Form) -> None:
    answer = from_certshare({"head": {"status": status, "message": "…"}, "data": None}, form)
    assert (answer.reason, answer.source_code) == (reason, str(status))
    assert from_certshare({"head": {"status": str(status)}}, form) == answer


def test_another_exception_is_asked_again_later_and_later_and_then_no_more() -> None:
    connection = replace(CERTSHARE, options={"services": {"ecert-business-licence": "11370499000000000X001"}})
    source = SOURCES["ecert-business-licence"]
    asked = question(source.key, Form.QUERY, SHOP)
    exception, good = ({"head": {"status": 99}}, {"head": {"status": 0}, "data": [CERTIFICATE]})
    conversation = certshare.CertShare(ANSWER_OK, no_decrypt).ask(asked, source, connection, NOW)
    sent = [next(conversation)]
    sent += [conversation.send(HttpResponse(200, {}, orjson.dumps(exception))) for _ in range(2)]
    assert sent[0].after == 0 < sent[1].after < sent[2].after
    with pytest.raises(StopIteration) as end:
        conversation.send(HttpResponse(200, {}, orjson.dumps(good)))
    assert end.value.value.reason is Reason.VALID


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (0, Reason.VALID),
        (1, Reason.NOT_YET_ACTIVE),
        (2, Reason.FROZEN),
        (3, Reason.REVOKED),
        (4, Reason.AMBIGUOUS),
        (5, Reason.NOT_FOUND),
        (6, Reason.SOURCE_REFUSED_QUESTION),
        (7, Reason.MISMATCH),
    ],
)
def test_each_verification_result_has_its_reason(result: int, reason: Reason) -> None:
    data = {"result": result, "message": "…"}
    answer = from_certshare({"head": {"status": 0}, "data": data}, Form.VERIFY)
    assert (answer.reason, answer.source_code) == (reason, str(result))


plain = st.none() | st.booleans() | st.integers(-10, 2000) | st.text(max_size=8) | st.floats(allow_nan=False)
anything = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))


@unhurried
@given(status=anything.filter(lambda value: value not in (0, "0") or isinstance(value, bool)))
def test_no_unknown_status_is_held(status: object) -> None:
    known = {str(code) for code in certshare.STATUSES}
    answer = from_certshare({"head": {"status": status}, "data": [CERTIFICATE]})
    assert answer.outcome is not Outcome.HELD
    assert str(status) in known or answer.reason is Reason.MALFORMED


@unhurried
@given(result=anything.filter(lambda value: str(value).strip().lstrip("0") not in set("1234567")))
def test_no_unknown_verification_result_is_held(result: object) -> None:
    answer = from_certshare({"head": {"status": 0}, "data": {"result": result}}, Form.VERIFY)
    assert answer.reason is (
        Reason.VALID if result in (0, "0") and not isinstance(result, (bool, float)) else Reason.MALFORMED
    )


@unhurried
@given(data=anything)
def test_no_shapeless_data_is_held(data: object) -> None:
    assert from_certshare({"head": {"status": 0}, "data": data}).reason in {Reason.MALFORMED, Reason.NOT_FOUND}


@unhurried
@given(body=st.binary(max_size=200))
def test_no_bytes_break_a_conversation(body: bytes) -> None:
    """Whatever arrives, the conversation ends with an answer that is not HELD."""
    source = SOURCES["ecert-id-card"]
    told = answered(certshare.CertShare(ANSWER_OK, no_decrypt), CERTSHARE, source, Form.QUERY, [body])
    assert told.reason is Reason.MALFORMED
    for key in ("ps-base", "mca-subsistence", "nr-title"):
        assert from_exchange(key, body).outcome is Outcome.UNKNOWN


def certificates(*entries: Mapping[str, object]) -> dict[str, object]:
    """A plain answer with these certificates."""
    return {"head": {"status": 0}, "data": {"certData": [CERTIFICATE | dict(entry) for entry in entries]}}


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], Reason.NOT_FOUND),
        ([{}], Reason.VALID),
        ([{"zzyxqjzrq": "长期"}], Reason.VALID),
        ([{"zzyxqjzrq": "20261122"}], Reason.VALID),
        ([{"zzyxqjzrq": "2026-11-21"}], Reason.EXPIRED),
        ([{"zzyxqqsrq": "2026-11-23"}], Reason.NOT_YET_ACTIVE),
        ([{"zzyxqjzrq": "2024-01-01"}, {}], Reason.VALID),
        ([{"zzyxqjzrq": "2024-01-01"}, {"zzyxqjzrq": "2025-01-01"}], Reason.EXPIRED),
        ([{}, {}], Reason.AMBIGUOUS),
        ([{"zzyxqjzrq": "2024-01-01"}, {"zzyxqqsrq": "2099-01-01"}], Reason.AMBIGUOUS),  # expired, or not active yet?
        ([{"cert_identifier": OTHER_TYPE}], Reason.MALFORMED),
        ([{}, {"cert_identifier": OTHER_TYPE}], Reason.MALFORMED),
        ([{"cert_identifier": None}], Reason.MALFORMED),
        ([{"zzyxqjzrq": "2026-13-01"}], Reason.MALFORMED),
        ([{"holder": 7}], Reason.MALFORMED),
    ],
)
def test_several_certificates_are_one_answer_only_if_one_is_valid(
    entries: list[dict[str, object]], reason: Reason
) -> None:
    assert from_certshare(certificates(*entries)).reason is reason


def test_the_latest_is_picked_only_where_the_list_says_so() -> None:
    wed = {"poxm": "测试", "pozjhm": "370499198507130028", "djrq": "2010-01-01"}
    envelope = certificates(wed, wed | {"djrq": "2020-02-02"})
    answer = from_certshare(envelope, source="ecert-marriage")
    assert answer.fields["registered_on"] == "2020-02-02"
    tie = certificates(wed, wed)
    assert from_certshare(tie, source="ecert-marriage").reason is Reason.AMBIGUOUS


def test_clear_data_are_not_trusted_where_we_gave_a_key() -> None:
    connection = replace(CERTSHARE, credentials={**CERTSHARE.credentials, "private_key": "PEM"})
    connector, source = certshare.CertShare(ANSWER_OK, no_decrypt), SOURCES["ecert-id-card"]
    for data in ([CERTIFICATE], {"certData": [CERTIFICATE]}, "04ab", "not hex", {"certData": "04ab"}):
        body = orjson.dumps({"head": {"status": 0}, "data": data})
        assert answered(connector, connection, source, Form.QUERY, [body]).reason is Reason.UNTRUSTED


def test_only_asked_fields_leave_the_connector() -> None:
    connector, source = certshare.CertShare(ANSWER_OK, no_decrypt), SOURCES["ecert-id-card"]
    asked = replace(question("ecert-id-card", Form.QUERY, MAN), fields=("holder_name",))
    conversation = connector.ask(asked, source, CERTSHARE, NOW)
    next(conversation)
    ours = CERTIFICATE["cert_identifier"].replace("11370499000000000X001", source.service or "")
    face = CERTIFICATE | {"cert_identifier": ours, "csrq": "1966-01-10", "zz": "…", "zzyxqjzrq": "2038-05-01"}
    with pytest.raises(StopIteration) as end:
        conversation.send(HttpResponse(200, {}, orjson.dumps({"head": {"status": 0}, "data": [face]})))
    assert end.value.value.fields == {"holder_name": SHOP.name}


def test_the_older_use_cause_is_text_of_the_case_within_its_length() -> None:
    matter = question("ecert-id-card", Form.QUERY, MAN).matter
    text = certshare_call.use_cause(matter, "text")
    assert isinstance(text, str)
    assert all(part in text for part in (matter.reason, matter.item_name, matter.item_code, matter.system))
    assert len(certshare_call.use_cause(replace(matter, item_name="事" * 300), "text")) == 200
    connection = replace(CERTSHARE, options={"use_cause": "poem"})
    conversation = certshare.CertShare(ANSWER_OK, no_decrypt).ask(
        question("ecert-id-card", Form.QUERY, MAN), SOURCES["ecert-id-card"], connection, NOW
    )
    with pytest.raises(StopIteration) as end:
        next(conversation)
    assert end.value.value.reason is Reason.NOT_CONFIGURED


@pytest.mark.parametrize("shape", ["object", "string"])
def test_the_use_cause_comes_from_the_case(shape: str) -> None:
    connection = replace(CERTSHARE, options={"use_cause": shape})
    asked = question("ecert-id-card", Form.QUERY, MAN)
    connector = certshare.CertShare(ANSWER_OK, no_decrypt)
    request = next(connector.ask(asked, SOURCES["ecert-id-card"], connection, NOW))
    cause = orjson.loads(request.body)["data"]["useCause"]
    assert isinstance(cause, str) == (shape == "string")
    assert (orjson.loads(cause) if shape == "string" else cause) == {
        "certificateSystemName": "模拟市审批系统",
        "certificateCopyCause": "办理食品经营许可（办件370499-2026-0001）核验营业执照",
        "certificateCallCategory": "0",
        "certificateMatterName": "食品经营许可",
        "certificateEventCode": "11370499MB2811111A4370131002000",
    }


# ---- exchange


def package(*records: str) -> bytes:
    """An answer of public security."""
    return f"<PACKAGE><PACKAGEHEAD/><DATA>{''.join(records)}</DATA></PACKAGE>".encode()


def compared(number: str = "1", name: str = "1", life: str = "0") -> bytes:
    """An answer to an identity check."""
    tags = f"<GMSFHM_PPDDM>{number}</GMSFHM_PPDDM><XM_PPDDM>{name}</XM_PPDDM><SWBS>{life}</SWBS>"
    return package(f"<RECORD no='1'><GMSFHM>{MAN.number}</GMSFHM>{tags}</RECORD>")


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        (("1", "1", "0"), Reason.VALID),
        (("0", "1", "0"), Reason.MISMATCH),
        (("0", "0", "0"), Reason.MISMATCH),
        (("1", "0", "0"), Reason.NAME_DIFFERS),
        (("1", "0", "1"), Reason.DECEASED),
        (("1", "1", "1"), Reason.DECEASED),
        (("1", "1", "2"), Reason.CANCELLED),
        (("1", "1", "3"), Reason.FROZEN),
        (("1", "1", "4"), Reason.VALID),
        (("1", "1", "9"), Reason.MALFORMED),
        (("2", "1", "0"), Reason.MALFORMED),
        (("1", "", "0"), Reason.MALFORMED),
    ],
)
def test_each_comparison_code_has_its_reason(codes: tuple[str, str, str], reason: Reason) -> None:
    assert from_exchange("ps-identity", compared(*codes)).reason is reason


def test_an_identity_check_that_repeats_no_number_is_believed_by_its_codes_and_one_that_does_is_held_to_it() -> None:
    silent = compared().replace(f"<GMSFHM>{MAN.number}</GMSFHM>".encode(), b"")
    answer = from_exchange("ps-identity", silent)
    assert (answer.reason, answer.holder_number) == (Reason.VALID, "")
    assert from_exchange("ps-identity", compared()).holder_number == MAN.number
    assert from_exchange("ps-base", package("<RECORD><XM>x</XM></RECORD>")).reason is Reason.MALFORMED


@unhurried
@given(codes=st.tuples(*[st.text("0123456789ABCXYZ", min_size=1, max_size=4)] * 3))
def test_no_unknown_comparison_code_is_held(codes: tuple[str, str, str]) -> None:
    held = codes[0] == codes[1] == "1" and codes[2] in {"0", "4"}
    assert (from_exchange("ps-identity", compared(*codes)).outcome is Outcome.HELD) == held


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (package(), Reason.NOT_FOUND),
        (package("<RECORD no='1' code='10' msg='x'/>"), Reason.NOT_FOUND),
        (package("<RECORD no='1' code='20'/>"), Reason.SOURCE_REFUSED_QUESTION),
        (package("<RECORD no='1' code='30'/>"), Reason.NOT_PERMITTED),
        (package("<RECORD no='1' code='77'/>"), Reason.MALFORMED),
        (package("<OTHER/>"), Reason.MALFORMED),
        (package("<RECORD><GMSFHM>1</GMSFHM><GMSFHM>2</GMSFHM></RECORD>"), Reason.MALFORMED),
        (b"<OTHER/>", Reason.MALFORMED),
        (b"<PACKAGE><DATA>", Reason.MALFORMED),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><PACKAGE><DATA/></PACKAGE>", Reason.MALFORMED),
        (b"{}", Reason.MALFORMED),
        (b'{"code":"E-106","message":"x"}', Reason.NOT_PERMITTED),
    ],
)
def test_each_package_has_its_reason(body: bytes, reason: Reason) -> None:
    assert from_exchange("ps-identity", body).reason is reason


def event(kind: str, day: str, man: str = MAN.number, woman: str = WOMAN.number) -> dict[str, str]:
    """One registration."""
    return {"ywlxdm": kind, "djrq": day, "cert_num_man": man, "cert_num_woman": woman}


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], "none"),
        ([event("IA", "2015-05-20")], "married"),
        ([event("IA", "20150520"), event("IB", "2019-09-09")], "divorced"),
        ([event("IB", "2019-09-09"), event("IA", "2020-02-02"), event("ICA", "2021-01-01")], "married"),
        ([event("IA", "2015-05-20"), event("ID", "2016-01-01")], "none"),
    ],
)
def test_the_state_follows_from_the_latest_registration(events: list[dict[str, str]], status: str) -> None:
    answer = from_exchange("mca-marriage", {"status": "success", "result": events})
    assert (answer.reason, answer.fields["status"]) == (Reason.VALID, status)


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([], Reason.NOT_FOUND),
        ([event("IA", "2015-05-20")], Reason.VALID),
        ([event("IA", "2015-05-20"), event("IB", "2019-09-09")], Reason.MISMATCH),
        ([event("ZZ", "2015-05-20")], Reason.MALFORMED),
        ([event("IA", "2015-05-20"), event("IB", "2015-05-20")], Reason.AMBIGUOUS),
        ([event("IA", "2015-05-20", woman="370499199001010021")], Reason.WRONG_PERSON),
        ([event("IA", "someday")], Reason.MALFORMED),
        ([event("IA", "2015-05-20")] * 100, Reason.AMBIGUOUS),
    ],
)
def test_only_the_married_are_a_couple(events: list[dict[str, str]], reason: Reason) -> None:
    document = {"status": "success", "result": events}
    assert from_exchange("mca-marriage", document, Form.VERIFY, WOMAN).reason is reason


def test_the_marriage_service_knows_one_man_and_one_woman() -> None:
    """Where the sex cannot be told from the numbers, nothing is asked."""
    passport = Party("spouse", "414", "E00000001", "TEST")
    for related in (MAN, passport, None):
        asked = question("mca-marriage", Form.VERIFY, MAN, related)
        with pytest.raises(StopIteration) as end:
            next(exchange.Exchange(ANSWER_OK).ask(asked, SOURCES["mca-marriage"], gateway(), NOW))
        assert end.value.value.reason is Reason.INSUFFICIENT


def titles(*entries: Mapping[str, Any], code: object = "0000") -> dict[str, Any]:
    """An answer of the real-estate register."""
    base = {"qlrmc": MAN.name, "qlrzjh": MAN.number, "bdcqzh": "1", "zl": "x", "gxsj": "2026-11-22 08:00:00"}
    return {"head": {"code": code}, "data": {"cxjg": [base | dict(entry) for entry in entries]}}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (titles({}), Reason.VALID),
        (titles(), Reason.NOT_FOUND),
        (titles({}, {}), Reason.AMBIGUOUS),
        (titles({}, code="1001"), Reason.NOT_FOUND),
        (titles({}, code="2001"), Reason.SOURCE_REFUSED_QUESTION),
        (titles({}, code="3001"), Reason.NOT_PERMITTED),
        (titles({}, code="9999"), Reason.MALFORMED),
        (titles({}, code=0), Reason.MALFORMED),
        (titles({"qlrzjh": 7}), Reason.MALFORMED),
        (titles({"gxsj": "yesterday"}), Reason.MALFORMED),
        ({"head": {"code": "0000"}, "data": None}, Reason.MALFORMED),
        ({"code": "-1", "message": "x", "data": {"cxjg": []}}, Reason.MALFORMED),
        ([], Reason.MALFORMED),
    ],
)
def test_each_configured_answer_has_its_reason(document: object, reason: Reason) -> None:
    assert from_exchange("nr-title", document).reason is reason


@unhurried
@given(code=anything.filter(lambda value: value not in ("0000", "1001", "2001", "3001")))
def test_no_unlisted_code_is_held(code: object) -> None:
    assert from_exchange("nr-title", titles({}, code=code)).reason is Reason.MALFORMED


@unhurried
@given(status=st.text("0123456789", min_size=1, max_size=3).filter(lambda text: text not in {"1", "2", "3"}))
def test_no_unlisted_value_of_a_field_is_held(status: str) -> None:
    record = {"cardId": MAN.number, "INSUREDSTATUS": status, "gxsj": "2026-11-22"}
    assert from_exchange("hs-insurance", {"code": "200", "data": record}).reason is Reason.MALFORMED


def test_a_listed_refusal_is_never_held() -> None:
    """A slip in the list must not turn an error into a fact."""
    listed = SOURCES["nr-title"]
    slipped = replace(listed, options={**listed.options, "codes": {"1001": "held.valid", "2001": "no.such"}})
    connector = exchange.Exchange(ANSWER_OK)
    for code, reason in (("1001", Reason.MALFORMED), ("2001", Reason.NOT_CONFIGURED)):
        body = orjson.dumps(titles({}, code=code))
        assert answered(connector, gateway(), slipped, Form.QUERY, [body]).reason is reason


@pytest.mark.parametrize(
    "options", [{}, {"shape": "soap"}, {"shape": "json"}, {"shape": "json", "request": {"a": "b.c"}}]
)
def test_an_unfinished_row_of_the_list_asks_nothing(options: dict[str, object]) -> None:
    source = replace(SOURCES["nr-title"], options=options)
    with pytest.raises(StopIteration) as end:
        next(exchange.Exchange(ANSWER_OK).ask(question("nr-title", Form.QUERY, MAN), source, gateway(), NOW))
    assert end.value.value.reason is Reason.NOT_CONFIGURED


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, Reason.AUTHENTICATION),
        (403, Reason.NOT_PERMITTED),
        (404, Reason.CATALOGUE_DRIFT),
        (204, Reason.MALFORMED),
        (400, Reason.MALFORMED),
    ],
)
def test_each_http_status_has_its_reason(status: int, reason: Reason) -> None:
    for source, connector in (
        ("ecert-id-card", certshare.CertShare(ANSWER_OK, no_decrypt)),
        ("nr-title", exchange.Exchange(ANSWER_OK)),
    ):
        connection = CERTSHARE if source == "ecert-id-card" else gateway()
        assert answered(connector, connection, SOURCES[source], Form.QUERY, [b""], status=status).reason is reason


# ---- the working secret


def secret_answer(**changed: object) -> bytes:
    """A good answer to the first step, or a spoilt one."""
    data = {"secret": WRAPPED, "secretEndTime": str(int((NOW + timedelta(minutes=30)).timestamp() * 1000))}
    return orjson.dumps({"code": "0", "message": "", "data": data | changed})


def wrapped(secret: bytes, app_key: str = "appkey-demo-0001") -> str:
    """What the platform would send for this secret."""
    padder, encryptor = PKCS7(128).padder(), Cipher(algorithms.AES(exchange.wrapping_key(app_key)), ECB()).encryptor()  # noqa: S305
    padded = padder.update(secret) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"code":"E-106","message":"x"}', Reason.NOT_PERMITTED),
        (b'{"code":"-1","message":"x"}', Reason.AUTHENTICATION),
        (b'{"code":"?"}', Reason.MALFORMED),
        (b"[]", Reason.MALFORMED),
        (secret_answer(secretEndTime="soon"), Reason.MALFORMED),
        (secret_answer(secret="!"), Reason.UNTRUSTED),
        (secret_answer(secret=""), Reason.UNTRUSTED),
        (secret_answer(secret=wrapped(b"")), Reason.UNTRUSTED),
        (secret_answer(secret=wrapped(b"x", "another")), Reason.UNTRUSTED),
    ],
)
def test_a_secret_that_cannot_be_had_has_its_reason(body: bytes, reason: Reason) -> None:
    connection = replace(gateway(), session={})
    connector = exchange.Exchange(ANSWER_OK)
    assert answered(connector, connection, SOURCES["nr-title"], Form.QUERY, [body]).reason is reason
    assert connection.session == {}


@pytest.mark.parametrize(("left", "fetched"), [(61, False), (60, True), (-1, True)])
def test_a_secret_is_renewed_a_minute_before_its_end(left: int, *, fetched: bool) -> None:
    session = {"secret": replace(SECRET, ends_at=NOW + timedelta(seconds=left))}
    connection = replace(gateway(), session=session)
    conversation = exchange.Exchange(ANSWER_OK).ask(
        question("nr-title", Form.QUERY, MAN), SOURCES["nr-title"], connection, NOW
    )
    assert next(conversation).url.endswith("refreshappsecret") is fetched
    conversation.close()


def test_a_doubted_signature_is_renewed_and_then_given_up() -> None:
    doubt = b'{"code":"-1","message":"x"}'
    bodies = [doubt, secret_answer(), doubt, secret_answer(), doubt]
    told = answered(exchange.Exchange(ANSWER_OK), gateway(), SOURCES["nr-title"], Form.QUERY, bodies)
    assert told.reason is Reason.AUTHENTICATION


def test_a_newer_secret_of_another_asker_is_used_before_one_is_fetched() -> None:
    connection = gateway()
    conversation = exchange.Exchange(ANSWER_OK).ask(
        question("nr-title", Form.QUERY, MAN), SOURCES["nr-title"], connection, NOW
    )
    first = next(conversation)
    connection.session["secret"] = replace(SECRET, value=b"newer")
    second = conversation.send(HttpResponse(200, {}, b'{"code":"-1","message":"x"}'))
    assert second.url == first.url
    assert second.headers["gjgxjhpt_sign"] != first.headers["gjgxjhpt_sign"]
    conversation.close()


def test_prefix_and_paths_are_the_connections() -> None:
    connection = replace(gateway(prefix="hnjhpt", secret_path="/sysapi/refreshappsecret", proxy_path="/p"), session={})
    conversation = exchange.Exchange(ANSWER_OK).ask(
        question("nr-title", Form.QUERY, MAN), SOURCES["nr-title"], connection, NOW
    )
    first = next(conversation)
    assert first.url == "http://exchange/sysapi/refreshappsecret"
    assert set(orjson.loads(first.body)) == {f"hnjhpt_{name}" for name in ("rid", "sid", "rtime", "sign")}
    assert conversation.send(HttpResponse(200, {}, secret_answer())).url == "http://exchange/p"
    conversation.close()


# ---- times


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-11-22 08:00:00", datetime(2026, 11, 22, 0, tzinfo=UTC)),
        ("20261122080000", datetime(2026, 11, 22, 0, tzinfo=UTC)),
        ("2026-11-22", datetime(2026, 11, 21, 16, tzinfo=UTC)),
        ("2026-02-30", None),
        ("0001-01-01", None),
        ("", None),
        ("２０２６-11-22", None),
    ],
)
def test_times_are_chinas(text: str, found: datetime | None) -> None:
    assert moment(text) == found
