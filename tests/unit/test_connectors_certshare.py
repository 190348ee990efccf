"""Certificates by 用证码 and by identifier, their files, and links that work once."""

from __future__ import annotations

import base64
import hashlib
import io
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from broker.connectors import CertShare
from broker.connectors.certshare_consent import PATIENCE
from broker.connectors.certshare_files import MAX_FILE
from broker.core.answer import Answer, Awaited, Question, Reason, Reply, Waiting, checked
from broker.core.catalog import Form
from broker.ports import HttpRequest, HttpResponse
from broker.sandbox.certshare_files import CODE_SECONDS, LINK_SECONDS, use_code
from broker.sandbox.certshare_platform import CertSharePlatform
from broker.sandbox.holdings import holdings, type_code
from broker.sandbox.platform import Call
from broker.sandbox.population import populate
from broker.signing import keys
from broker.signing.sm2 import Sm2Signer
from tests.asking import (
    ANSWER_OK,
    SOURCES,
    MemoryRoad,
    answers_of,
    ask,
    decrypt,
    memory_road,
    no_decrypt,
    party,
    question,
    reply,
    with_changes,
)

LICENCE, CARD, TITLE = "ecert-business-licence", "ecert-id-card", "ecert-real-estate-title"
HELD = holdings(populate(1))
NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
CERTSHARE, PLAIN = CertShare(ANSWER_OK, decrypt), CertShare(ANSWER_OK, no_decrypt)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> MemoryRoad:
    return memory_road(tmp_path_factory.mktemp("certshare"))


@pytest.fixture
def road(shared: MemoryRoad) -> Iterator[MemoryRoad]:
    shared.sent.clear()
    yield shared
    shared.behave("sd-certshare", "ok")


def identifier(road: MemoryRoad, source: str, role: str) -> str:
    """The identifier of the last certificate that the platform holds for a role."""
    face: dict[str, str] = HELD[source][road.roles[role]["number"]][-1]["face"]
    return face["cert_identifier"]


def operations(road: MemoryRoad) -> list[str]:
    return [request.url.rpartition("/")[2].partition("?")[0] for request in road.sent]


# ---- 用证码 and identifiers


def shown(road: MemoryRoad, source: str, role: str, certificate: str, at: float | None = None) -> Answer:
    """What is made of a certificate that the person in this role shows."""
    return ask(road, source, Form.QUERY, party(road.roles[role]), token=use_code(certificate, at or time.time()))


def test_a_shown_certificate_is_read_by_its_code(road: MemoryRoad) -> None:
    answer = shown(road, LICENCE, "company_valid", identifier(road, LICENCE, "company_valid"))
    assert answer.reason is Reason.VALID
    assert answer.fields["holder_number"] == road.roles["company_valid"]["number"]
    assert operations(road) == ["queryCertInfoByQRcode"]
    assert orjson.loads(road.sent[0].body)["data"].keys() == {"qrcode", "useCause"}


def test_a_code_that_shows_somebody_elses_certificate_is_the_wrong_persons(road: MemoryRoad) -> None:
    other = identifier(road, LICENCE, "company_valid")
    assert shown(road, LICENCE, "company_revoked", other).reason is Reason.WRONG_PERSON


def test_a_code_that_shows_another_certificate_says_nothing_about_ours(road: MemoryRoad) -> None:
    food = identifier(road, "ecert-food-licence", "company_valid")
    assert shown(road, LICENCE, "company_valid", food).reason is Reason.INSUFFICIENT


def test_a_code_of_ten_minutes_ago_is_refused(road: MemoryRoad) -> None:
    old = time.time() - 2 * CODE_SECONDS
    answer = shown(road, LICENCE, "company_valid", identifier(road, LICENCE, "company_valid"), old)
    assert (answer.reason, answer.source_code) == (Reason.SOURCE_REFUSED_QUESTION, "102")


def test_one_of_several_certificates_is_found_by_its_identifier(road: MemoryRoad) -> None:
    owner = party(road.roles["person_two_titles"])
    named = identifier(road, TITLE, "person_two_titles")
    assert ask(road, TITLE, Form.QUERY, owner).reason is Reason.AMBIGUOUS
    answer = ask(road, TITLE, Form.QUERY, owner, certificates=(named,))
    assert answer.reason is Reason.VALID
    assert operations(road)[-1] == "queryCertInfo"


def test_another_certificate_than_the_one_named_is_no_answer(road: MemoryRoad) -> None:
    """A platform that answers a question by number with something else has answered another question."""
    owner = party(road.roles["person_two_titles"])
    named = identifier(road, TITLE, "person_two_titles")
    source = SOURCES[TITLE]
    connection = replace(road.connections[source.platform], credentials={"account": "demo", "password": "pass_demo"})
    asked = replace(question(TITLE, Form.QUERY, owner), certificates=(named,))
    for other, reason in ((named, Reason.VALID), (named.replace(".001.", ".002."), Reason.MALFORMED)):
        face = HELD[TITLE][owner.number][-1]["face"] | {"cert_identifier": other}
        conversation = CertShare(lambda *_: True, decrypt).ask(asked, source, connection, datetime.now(UTC))
        next(conversation)
        with pytest.raises(StopIteration) as end:
            conversation.send(HttpResponse(200, {}, orjson.dumps({"head": {"status": 0}, "data": face})))
        assert end.value.value.reason is reason


@pytest.mark.parametrize(
    ("role", "change", "reason"),
    [
        ("person_two_titles", ("", ""), Reason.VALID),
        ("person_single", ("", ""), Reason.WRONG_PERSON),
        ("person_two_titles", (".001.", ".002."), Reason.NOT_FOUND),
    ],
)
def test_an_identifier_counts_for_its_own_holder_only(
    road: MemoryRoad, role: str, change: tuple[str, str], reason: Reason
) -> None:
    named = identifier(road, TITLE, "person_two_titles").replace(*change)
    assert ask(road, TITLE, Form.QUERY, party(road.roles[role]), certificates=(named,)).reason is reason


def test_an_identifier_of_another_type_leaves_the_query_by_holder(road: MemoryRoad) -> None:
    """A material's chain may ask two sources; the identifier is meant for the one whose type it names."""
    named = identifier(road, LICENCE, "company_valid")
    assert ask(road, CARD, Form.QUERY, party(road.roles["person_single"]), certificates=(named,)).reason is Reason.VALID
    assert operations(road) == ["queryCertInfoByHolderCode"]


def test_no_hint_shows_in_a_repr(road: MemoryRoad) -> None:
    asked = replace(
        question(LICENCE, Form.QUERY, party(road.roles["company_valid"])), token="ZZ1", certificates=("1.2.3",)
    )
    assert "ZZ1" not in repr(asked)
    assert "1.2.3" not in repr(asked)


# ---- files


def asked_file(road: MemoryRoad, **wanted: str) -> Answer:
    """The file of the company's licence, in the way that the list says."""
    source = SOURCES[LICENCE]
    listed = replace(source, options={**source.options, "file": wanted})
    connector = conversation_of(road, listed)
    return answers_of([road.send(listed, connector)])[0]


def conversation_of(road: MemoryRoad, listed: Any) -> Any:
    from_list = question(LICENCE, Form.FILE, party(road.roles["company_valid"]))
    return CERTSHARE.ask(from_list, listed, road.connections["sd-certshare"], NOW)


@pytest.mark.parametrize("way", ["download", "link"])
@pytest.mark.parametrize(("kind", "media_type"), [("ofd", "application/ofd"), ("png", "image/png")])
def test_a_file_comes_with_its_type_and_digest(road: MemoryRoad, way: str, kind: str, media_type: str) -> None:
    answer = asked_file(road, type=kind, way=way)
    content = base64.b64decode(answer.fields["file"])
    assert answer.reason is Reason.VALID
    assert answer.fields["file_type"] == media_type
    assert answer.fields["file_digest"] == hashlib.sha256(content).hexdigest()
    assert answer.holder_number == road.roles["company_valid"]["number"]
    if kind == "ofd":
        assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["OFD.xml"]
    assert operations(road)[0] == "queryCertInfoByHolderCode"


def test_a_revoked_certificate_has_no_file(road: MemoryRoad) -> None:
    answer = ask(road, LICENCE, Form.FILE, party(road.roles["company_revoked"]))
    assert (answer.reason, dict(answer.fields)) == (Reason.REVOKED, {})
    assert operations(road) == ["queryCertInfoByHolderCode"]


def test_the_reason_printed_on_the_copy_is_the_cases(road: MemoryRoad) -> None:
    asked_file(road, type="ofd")
    sent = orjson.loads(road.sent[-1].body)["data"]
    assert "370499-2026-0001" in sent["certificateCopyCause"]


def test_a_file_type_nobody_knows_is_not_asked_for(road: MemoryRoad) -> None:
    assert asked_file(road, type="exe").reason is Reason.NOT_CONFIGURED


def last_link(road: MemoryRoad) -> HttpRequest:
    asked_file(road, type="png", way="link")
    assert road.sent[-1].method == "GET"
    return road.sent[-1]


def test_a_link_works_once(road: MemoryRoad) -> None:
    again = road.exchange("sd-certshare", last_link(road))
    assert (again.status, again.body) == (404, "链接已失效".encode())


def test_a_link_carries_no_person(road: MemoryRoad) -> None:
    link = last_link(road)
    company = road.roles["company_valid"]
    assert company["number"] not in link.url
    assert company["name"] not in link.url


def test_a_link_ends_after_ten_minutes(road: MemoryRoad) -> None:
    platform = road.applications["sd-certshare"]._platform
    assert isinstance(platform, CertSharePlatform)
    ids = [platform._links.new(LICENCE, b"x", "png", 1_000.0 + LINK_SECONDS) for _ in range(2)]
    replies = [
        platform.handle(Call("/zzgxpt/download", {}, b"", at, "GET", f"id={one}"), lambda _: "ok")
        for one, at in zip(ids, (1_000.0 + LINK_SECONDS, 999.0 + LINK_SECONDS), strict=True)
    ]
    assert [reply.status for reply in replies] == ["404 Not Found", "200 OK"]


class Lying:
    """A road on which one of the platform's answers is replaced."""

    def __init__(self, road: MemoryRoad, on: str, answer: Any) -> None:
        self.road, self.on, self.answer = road, on, answer

    def converse(self, conversation: Any) -> Answer:
        """Carry a conversation over it."""
        response: HttpResponse | None = None
        while True:
            try:
                request = next(conversation) if response is None else conversation.send(response)
            except StopIteration as end:
                answer: Answer = end.value
                return answer
            response = self.road.exchange("sd-certshare", request)
            if self.on in request.url:
                response = self.answer(response)


def encrypted(pem: str, plaintext: bytes) -> str:
    """As the platform encrypts to the account with this key."""
    key = keys.load_private(pem.encode())
    assert isinstance(key, Sm2Signer)
    return key.verifier().encrypt(plaintext).hex()


def plain(document: object) -> HttpResponse:
    """An answer in the clear, as a connection without a private key gets it."""
    return HttpResponse(200, {}, orjson.dumps({"head": {"status": 0, "message": ""}, "data": document}))


def told_instead(road: MemoryRoad, way: str, on: str, answer: Any) -> Answer:
    """What becomes of a file question when the platform answers like this."""
    source = SOURCES[LICENCE]
    listed = replace(source, options={**source.options, "file": {"type": "png", "way": way}})
    return Lying(road, on, answer).converse(conversation_of(road, listed))


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (HttpResponse(404, {}, b""), Reason.LATE),
        (HttpResponse(410, {}, b""), Reason.LATE),
        (HttpResponse(403, {}, b""), Reason.NOT_PERMITTED),
        (HttpResponse(200, {}, b"<html>"), Reason.MALFORMED),
        (HttpResponse(200, {}, b"PK\x03\x04"), Reason.MALFORMED),
        (HttpResponse(200, {}, b""), Reason.MALFORMED),
        (HttpResponse(200, {}, b"\x89PNG\r\n\x1a\n" + bytes(MAX_FILE)), Reason.MALFORMED),
    ],
)
def test_what_is_no_file_of_the_type_is_no_answer(road: MemoryRoad, response: HttpResponse, reason: Reason) -> None:
    answer = told_instead(road, "link", "/zzgxpt/download", lambda _: response)
    assert (answer.reason, "file" in answer.fields) == (reason, False)


LINK = "http://127.0.0.1:9/zzgxpt/download?id=" + "0" * 32


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://elsewhere/zzgxpt/download?id=" + "0" * 32, Reason.UNTRUSTED),
        ("https://127.0.0.1:9/zzgxpt/download?id=" + "0" * 32, Reason.UNTRUSTED),
        ("http://127.0.0.1:9@elsewhere/zzgxpt/download?id=" + "0" * 32, Reason.UNTRUSTED),
        ("http://127.0.0.1:9/_sandbox/calls?id=" + "0" * 32, Reason.UNTRUSTED),
        (LINK + "&x=1", Reason.UNTRUSTED),
        (LINK[:-1], Reason.UNTRUSTED),
        ("ftp://127.0.0.1:9/zzgxpt/download?id=" + "0" * 32, Reason.UNTRUSTED),
        (None, Reason.UNTRUSTED),
    ],
)
def test_a_link_to_anywhere_else_is_not_followed(road: MemoryRoad, url: str | None, reason: Reason) -> None:
    clear = {name: text for name, text in road.connections["sd-certshare"].credentials.items() if name != "private_key"}
    connection = replace(road.connections["sd-certshare"], credentials=clear)
    company = party(road.roles["company_valid"])
    face = HELD[LICENCE][company.number][-1]["face"]
    source = SOURCES[LICENCE]
    listed = replace(source, options={**source.options, "file": {"type": "png", "way": "link"}})
    conversation = PLAIN.ask(question(LICENCE, Form.FILE, company), listed, connection, NOW)
    next(conversation)
    conversation.send(plain([face]))
    entry = {"contentType": "png", "certIdentifier": face["cert_identifier"], "content": url}
    with pytest.raises(StopIteration) as end:
        conversation.send(plain([entry]))
    assert end.value.value.reason is reason


def test_a_link_for_another_certificate_is_malformed(road: MemoryRoad) -> None:
    entry = {"contentType": "png", "certIdentifier": "1.2.156.3005.2.X", "content": LINK}
    key = road.connections["sd-certshare"].credentials["private_key"]
    cipher = encrypted(key, orjson.dumps([entry]))
    assert told_instead(road, "link", "downloadUrl", lambda _: plain(cipher)).reason is Reason.MALFORMED


@pytest.mark.parametrize("content", ["!", 7, None, {"a": 1}])
def test_a_download_that_is_no_base64_is_malformed(road: MemoryRoad, content: object) -> None:
    key = road.connections["sd-certshare"].credentials["private_key"]
    cipher = encrypted(key, orjson.dumps(content))
    assert told_instead(road, "download", "downloadFile", lambda _: plain(cipher)).reason is Reason.MALFORMED


@pytest.mark.parametrize(
    ("operation", "change", "status"),
    [
        ("downloadFile", {"fileType": "pdf"}, 102),
        ("downloadFile", {"certificateCopyCause": ""}, 12),
        ("downloadFile", {"certificateIdentifier": ""}, 12),
        ("downloadFile", {"certificateIdentifier": "1.2.156.3005.2.X"}, 10),
        ("downloadFile", {"surplus": "1"}, 102),
        ("downloadUrl", {"useCause": ""}, 12),
        ("downloadUrl", {"certIdentifier": "1.2.156.3005.2.X"}, 10),
    ],
)
def test_an_altered_question_for_a_file_is_refused(
    road: MemoryRoad, operation: str, change: dict[str, str], status: int
) -> None:
    asked_file(road, type="png", way="link" if operation == "downloadUrl" else "download")
    request = next(one for one in road.sent if one.url.endswith(operation))
    document = orjson.loads(request.body)
    document["data"] |= change
    response = road.exchange("sd-certshare", replace(request, body=orjson.dumps(document)))
    assert orjson.loads(response.body)["head"]["status"] == status


# ---- the consent transaction


@pytest.fixture
def consenting(road: MemoryRoad) -> Iterator[MemoryRoad]:
    """A platform whose certificates need the holder's consent."""
    connection = road.connections["sd-certshare"]
    road.connections["sd-certshare"] = with_changes(connection, {}, {"consent": True})
    yield road
    road.connections["sd-certshare"] = connection


def begun(road: MemoryRoad, form: Form = Form.QUERY, role: str = "company_valid") -> tuple[Question, Waiting]:
    """A question that has made the platform ask the holder, as it is asked again."""
    shown_code = use_code(identifier(road, LICENCE, role), time.time())
    asked = replace(question(LICENCE, form, party(road.roles[role])), token=shown_code)
    waiting = reply(road, asked, datetime.now(UTC))
    assert isinstance(waiting, Waiting)
    return replace(asked, memo=waiting.memo), waiting


def again(road: MemoryRoad, asked: Question, after: timedelta = timedelta()) -> Reply:
    road.sent.clear()
    return reply(road, asked, datetime.now(UTC) + after)


def test_the_holder_is_asked_before_the_certificate_is(consenting: MemoryRoad) -> None:
    asked, waiting = begun(consenting)
    sent = orjson.loads(consenting.sent[-1].body)["data"]
    assert consenting.sent[-1].url.endswith("/ChannelVerify/begin/verify")
    assert sent == {"qrcode": asked.token, "certCodes": [type_code(LICENCE)]}
    assert waiting.awaited is Awaited.CONSENT
    assert timedelta() < waiting.until - waiting.again_at <= PATIENCE


@pytest.mark.parametrize("form", [Form.QUERY, Form.FILE])
def test_with_the_holders_consent_the_certificate_is_given(consenting: MemoryRoad, form: Form) -> None:
    asked, _ = begun(consenting, form)
    answer = again(consenting, asked)
    assert isinstance(answer, Answer)
    assert answer.reason is Reason.VALID
    assert ("file" in answer.fields) == (form is Form.FILE)
    assert operations(consenting)[:2] == ["status", "queryCertInfosByVerifyTrx"]


def test_an_undecided_holder_is_waited_for_but_not_for_ever(consenting: MemoryRoad) -> None:
    asked, waiting = begun(consenting)
    consenting.behave("sd-certshare", "undecided")
    still = again(consenting, asked)
    assert isinstance(still, Waiting)
    assert (still.until, still.memo) == (waiting.until, waiting.memo)
    assert operations(consenting) == ["status"]
    late = again(consenting, asked, PATIENCE)
    assert isinstance(late, Answer)
    assert late.reason is Reason.CONSENT_EXPIRED


def test_a_holder_who_refuses_has_not_consented(consenting: MemoryRoad) -> None:
    asked, _ = begun(consenting)
    consenting.behave("sd-certshare", "refused")
    answer = again(consenting, asked)
    assert isinstance(answer, Answer)
    assert (answer.reason, answer.source_code) == (Reason.CONSENT_REFUSED, "3")
    assert operations(consenting) == ["status"]


def test_consent_begun_twice_is_one_transaction(consenting: MemoryRoad) -> None:
    """Status 60001: the worker that asked first may have died before it could keep the number."""
    first, _ = begun(consenting)
    second, _ = begun(consenting)
    assert orjson.loads(first.memo)[0] == orjson.loads(second.memo)[0]


def test_the_consent_of_another_person_does_not_answer_for_this_one(consenting: MemoryRoad) -> None:
    asked, _ = begun(consenting)
    other = replace(asked, subject=party(consenting.roles["company_revoked"]))
    answer = again(consenting, other)
    assert isinstance(answer, Answer)
    assert checked(other, answer, SOURCES[LICENCE], datetime.now(UTC)).reason is Reason.WRONG_PERSON


def test_a_transaction_nobody_has_begun_is_refused(consenting: MemoryRoad) -> None:
    asked, waiting = begun(consenting)
    forged = replace(asked, memo=waiting.memo.replace(orjson.loads(waiting.memo)[0], "0" * 32))
    answer = again(consenting, forged)
    assert isinstance(answer, Answer)
    assert answer.reason is Reason.SOURCE_REFUSED_QUESTION


def test_without_a_code_the_certificate_is_asked_for_by_holder(consenting: MemoryRoad) -> None:
    answer = ask(consenting, LICENCE, Form.QUERY, party(consenting.roles["company_valid"]))
    assert answer.reason is Reason.VALID
    assert operations(consenting) == ["queryCertInfoByHolderCode"]


def test_no_transaction_number_shows_in_a_repr(consenting: MemoryRoad) -> None:
    asked, waiting = begun(consenting)
    assert orjson.loads(waiting.memo)[0] not in repr((asked, waiting))
