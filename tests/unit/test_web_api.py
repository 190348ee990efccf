"""What an approval system does over HTTP, and that every answer to it is signed and bound to its question."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema_rs
import pytest

from broker.client import verify_offline
from broker.core.answer import Reason
from broker.core.envelope import Algorithm, Revoked
from broker.core.errors import CallerProblem
from broker.core.receipt import receipt_digest
from broker.core.roles import Role
from broker.signing import http_message, keys
from broker.web.api import preferred_wait
from broker.web.app import Surface, create_app, published_keys
from broker.web.openapi import read_schema
from tests.unit.web_ground import CLERK, PUBLIC_URL, SCHEMAS, Ground, document_of, enrol, lay_ground

SUBMIT = "/v1/verifications"


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = lay_ground(tmp_path)
    yield ground
    ground.database.dispose()


def test_a_submission_is_accepted_and_says_where_to_look(ground: Ground) -> None:
    answer = ground.submit()
    view = document_of(answer)
    assert (answer.status_code, view["state"], view["receipt"], view["materials"]) == (202, "admitted", None, [])
    assert answer.headers["Location"] == f"{PUBLIC_URL}/v1/verifications/{view['id']}"
    assert ground.parts.wake.sources == ["licences", "people"]  # type: ignore[attr-defined]


def test_a_decided_verification_tells_each_material_in_words_with_the_next_step(ground: Ground) -> None:
    ground.connector.reason = Reason.REVOKED
    view = ground.decided()
    licence = view["materials"][0]
    assert (licence["decision"], licence["reason"]) == ("not_met", "not_held.revoked")
    assert licence["outcome"] == {"zh": "数据不符", "en": "contradicted by authoritative data"}
    assert licence["text"]["zh"] == "证照已被吊销或注销"
    assert licence["next"]["en"] == "Tell the applicant; a new licence is needed from the issuer"
    assert licence["steps"][0]["text"]["en"] == "The licence is revoked"


def test_what_asks_no_source_is_decided_on_the_spot(ground: Ground) -> None:
    answer = ground.submit(ground.request(item="form-only", parties=None))
    assert (answer.status_code, document_of(answer)["state"]) == (200, "decided")


# --- idempotency -----------------------------------------------------------------------------------------------------


def test_the_same_body_again_is_the_same_verification_and_asks_nothing_twice(ground: Ground) -> None:
    document = ground.request()
    first = ground.submit(document)
    before = ground.rows()
    second = ground.submit(document)
    assert (second.status_code, document_of(second)) == (202, document_of(first))
    assert ground.rows() == before | {"nonce": before["nonce"] + 1}


def test_the_same_body_after_the_decision_is_answered_with_the_same_receipt(ground: Ground) -> None:
    document = ground.request()
    ground.submit(document)
    ground.settle_all()
    once, twice = ground.submit(document), ground.submit(document)
    assert once.status_code == 200
    assert once.data == twice.data
    assert document_of(once)["receipt"]


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_a_submission_that_waits_is_answered_with_the_decision(ground: Ground) -> None:
    worker = threading.Timer(0.05, ground.settle_all)
    worker.start()
    begun = time.monotonic()
    answer = ground.submit(headers={"Prefer": "wait=10"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=10")
    assert time.monotonic() - begun < 5
    worker.join()


def test_a_wait_that_is_over_says_that_it_is_not_decided_yet(ground: Ground) -> None:
    answer = ground.submit(headers={"Prefer": "wait=0"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "wait=0")
    number = document_of(answer)["id"]
    again = ground.send("GET", f"{SUBMIT}/{number}", headers={"Prefer": "wait=0"})
    assert (again.status_code, document_of(again)["state"]) == (200, "admitted")


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("", None), ("wait=5", 5), ("wait=900", 30), ("respond-async, wait=10", 10), ('wait="7"', 7), ("wait = 4", 4),
        ("wait=-1", None), ("wait=1.5", None), ("wait=x", None), ("await=5", None), ("wait=1; x=y", 1),
    ],
)  # fmt: skip
def test_a_preference_is_read_generously_and_never_beyond_half_a_minute(prefer: str, seconds: int | None) -> None:
    assert preferred_wait(prefer) == seconds


# --- receipt and proof -----------------------------------------------------------------------------------------------


def test_the_receipt_is_served_byte_for_byte_and_follows_its_schema(ground: Ground) -> None:
    view = ground.decided()
    answer = ground.send("GET", f"{SUBMIT}/{view['id']}/receipt")
    assert (answer.mimetype, answer.text) == ("application/jose", view["receipt"])
    payload = verify_offline(answer.data, published_keys(ground.surface)).payload
    jsonschema_rs.Draft202012Validator(read_schema(SCHEMAS, "receipt")).validate(payload)


def test_receipt_and_proof_wait_for_the_decision_and_the_proof_for_the_log(ground: Ground) -> None:
    number = document_of(ground.submit())["id"]
    for tail in ("receipt", "proof", "bundle"):
        answer = ground.send("GET", f"{SUBMIT}/{number}/{tail}")
        assert (document_of(answer)["code"], answer.headers["Retry-After"]) == ("verification.undecided", "1")
    ground.settle_all()
    for tail in ("proof", "bundle"):
        answer = ground.send("GET", f"{SUBMIT}/{number}/{tail}")
        assert (answer.status_code, document_of(answer)["code"]) == (404, "log.not-yet")


def test_a_bundle_verifies_offline_with_nothing_but_the_published_keys(ground: Ground) -> None:
    for _ in range(3):
        ground.sequenced()
    view = ground.sequenced()
    bundle = ground.send("GET", f"{SUBMIT}/{view['id']}/bundle").data
    jwks = document_of(ground.http.get("/.well-known/jwks.json"))
    verified = verify_offline(bundle, jwks)
    assert verified.payload["verification"] == view["id"]
    assert verified.position is not None
    proof = document_of(ground.send("GET", f"{SUBMIT}/{view['id']}/proof"))
    assert json.loads(proof["entry"])["receipt"] == receipt_digest(view["receipt"])
    forged = bundle.replace(b'"proof":"', b'"proof":"x')
    with pytest.raises(CallerProblem, match="log.proof-malformed"):
        verify_offline(forged, jwks)


def test_the_verification_page_says_that_a_key_was_revoked_since_and_refuses_what_is_not_older(ground: Ground) -> None:
    view = ground.sequenced()
    bundle = ground.send("GET", f"{SUBMIT}/{view['id']}/bundle").text
    [signer] = ground.surface.keys
    for at, status, told in ((2100, 200, "吊销"), (2020, 200, "receipt.key-revoked")):
        revoked = replace(ground.surface, keys=[Revoked(signer, datetime(at, 1, 1, tzinfo=UTC))])
        answer = create_app(ground.parts, revoked).test_client().post("/verify", data={"text": bundle})
        assert (answer.status_code, told in answer.text) == (status, True)


def test_a_log_key_signs_no_receipts(ground: Ground) -> None:
    """The roles of the key set keep a stolen sequencer key from making receipts."""
    view = ground.decided()
    document = published_keys(ground.surface)
    for one in document["keys"]:
        one["roles"] = ["log"]
    with pytest.raises(CallerProblem, match="envelope.unknown-key"):
        verify_offline(view["receipt"].encode(), document)


# --- signed answers --------------------------------------------------------------------------------------------------


def test_every_answer_to_a_signed_request_is_signed_and_bound_to_it_refusals_included(ground: Ground) -> None:
    path, body = SUBMIT, json.dumps(ground.request()).encode()
    headers = http_message.sign_request("POST", PUBLIC_URL + path, body, "application/json", ground.signer,
                                        int(time.time()), "n" * 16)  # fmt: skip
    question = http_message.Question("POST", PUBLIC_URL + path, headers["Signature"])
    find = {"broker-1": ground.parts.signer.verifier()}.get  # type: ignore[attr-defined]
    for expected in (202, 401):  # the second is the replay's refusal
        answer = ground.http.post(path, data=body, headers={**headers, "Content-Type": "application/json"})
        lowered = {name.lower(): value for name, value in answer.headers.items()}
        assert answer.status_code == expected
        http_message.verify_response(answer.status_code, lowered, answer.data, question, find, int(time.time()))
        with pytest.raises(CallerProblem, match="signature.invalid"):
            http_message.verify_response(200, lowered, answer.data, question, find, int(time.time()))


def test_unsigned_requests_get_unsigned_answers(ground: Ground) -> None:
    for path in ("/health", "/.well-known/jwks.json", "/nowhere"):
        assert "Signature" not in ground.http.get(path).headers


def test_an_unsignable_path_is_answered_all_the_same(ground: Ground) -> None:
    headers = {"Signature": "sig1=:AAAA:", "Signature-Input": "x"}
    answer = ground.http.get("/v1/verifications/%E5%BC%A0", headers=headers)
    assert (answer.status_code, "Signature-Input" in answer.headers) == (401, False)


# --- open routes -----------------------------------------------------------------------------------------------------


def test_the_guide_and_the_list_are_open(ground: Ground) -> None:
    guide = document_of(ground.http.get("/v1/guide?region=370400&item=food-licence"))
    assert guide["counts"]["skipped"] == 2
    scene = document_of(ground.http.get("/v1/guide?region=370400&scene=enterprise-1.1"))["scene"]
    assert scene["name"]["en"] == "Opening a company"
    items = document_of(ground.http.get("/v1/items?region=370400"))
    assert {one["key"]: one["in_force"] for one in items["items"]}["abolished"] is False
    assert [one["key"] for one in items["scenes"]] == ["enterprise-1.1"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "request.parameter"),
        ("?region=37040", "request.parameter"),
        ("?region=370400", "request.scope"),
        ("?region=370400&item=a&scene=b", "request.scope"),
        ("?region=370400&item=11010119900307109X", "request.parameter"),
        ("?region=370400&item=none", "request.item"),
        ("?region=370400&scene=none", "request.scene"),
        ("?region=110000&item=form-only", "request.region"),
        ("?region=370400&item=abolished", "request.item-not-in-force"),
    ],
)
def test_a_guide_that_cannot_be_meant_is_refused(ground: Ground, query: str, code: str) -> None:
    answer = ground.http.get(f"/v1/guide{query}")
    assert document_of(answer)["code"] == code
    assert "11010119900307109X" not in answer.text


def test_historic_keys_stay_published_with_their_roles(ground: Ground) -> None:
    old = keys.generate(Algorithm.P256, "old").verifier()
    surface = Surface(PUBLIC_URL, [*ground.surface.keys, old], [*ground.surface.log_keys, old])
    found = {one["kid"]: one["roles"] for one in published_keys(surface)["keys"]}
    assert found == {"broker-1": ["receipt"], "old": ["receipt", "log"], "log-1": ["log"]}


def test_every_audit_entry_follows_its_schema(ground: Ground) -> None:
    view = ground.sequenced()
    ground.send("POST", "/v1/cases/outcome", {"case": view["case"], "outcome": "withdrawn", "operator": CLERK})
    ground.send("GET", f"{SUBMIT}/{'0' * 32}")
    validator = jsonschema_rs.Draft202012Validator(read_schema(SCHEMAS, "entry"))
    entries = ground.entries()
    for entry in entries:
        validator.validate(entry)
    assert {"admitted", "asked", "answered", "decided", "closed", "refused"} <= {one["kind"] for one in entries}


def test_an_explanation_is_for_the_system_itself_and_for_centre_and_audit(ground: Ground) -> None:
    number = ground.decided()["id"]
    path = f"/v1/verifications/{number}/explanation"
    told = document_of(ground.send("GET", path))
    assert (told["id"], told["client"]) == (number, "approval")
    for name, role, code in (("a", Role.APPROVAL, "verification.unknown"), ("b", Role.AUDITOR, None)):
        signer = keys.generate(Algorithm.ED25519, name)
        enrol(ground, name, signer, roles=(role,))
        assert document_of(ground.send("GET", path, signer=signer)).get("code") == code
    assert [one.get("reader") for one in ground.entries() if one["kind"] == "explained"] == ["approval", "b"]
    unknown = ground.send("GET", f"/v1/verifications/{'0' * 32}/explanation")
    assert document_of(unknown)["code"] == "verification.unknown"


def test_why_a_request_was_refused_is_for_the_system_itself_and_for_centre_and_audit(ground: Ground) -> None:
    request = ground.request(materials=["none"])
    ground.submit(request)
    ground.sequenced()
    path = f"/v1/refusals/{request['request_id']}"
    (told,) = document_of(ground.send("GET", path))["refusals"]
    assert (told["code"], told["client"], told["lookups"]) == ("request.material", "approval", [])
    for name, role, code in (("c", Role.APPROVAL, "refusal.unknown"), ("d", Role.CENTRE, None)):
        signer = keys.generate(Algorithm.ED25519, name)
        enrol(ground, name, signer, roles=(role,))
        assert document_of(ground.send("GET", path, signer=signer)).get("code") == code
