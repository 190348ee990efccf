"""Bad input: each kind has its code, one shape, an audit entry where the party is known – and changes nothing else."""

from __future__ import annotations

import io
import json
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from broker.core.authorise import REVOKED, SUSPENDED
from broker.core.case import Basis
from broker.core.catalog import Form
from broker.core.envelope import Algorithm
from broker.core.errors import OperatorProblem
from broker.flow.register import register_grant, register_key, revoke_key, set_grant_state
from broker.ports import ClientKey
from broker.signing import http_message, keys
from broker.web.guard import MAX_BODY
from tests.unit.web_ground import (
    CATALOG,
    CLERK,
    COMPANY,
    END,
    JSON,
    OTHER_PERSON,
    PERSON,
    PUBLIC_URL,
    START,
    Ground,
    check_answer,
    document_of,
    enrol,
    later,
    lay_ground,
)

SUBMIT = "/v1/verifications"
Send = Callable[[Ground], TestResponse]


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = lay_ground(tmp_path)
    yield ground
    ground.database.dispose()


def refused(ground: Ground, send: Send, code: str, *, known: bool, nonce: int = 1) -> dict[str, Any]:
    """Send it; the refusal has this code and left nothing behind but, of a known party, its entry and its nonce."""
    before = ground.rows()
    answer = send(ground)
    problem = document_of(answer)
    assert (problem["code"], answer.mimetype) == (code, "application/problem+json")
    assert ground.rows() == {
        name: count + (known if name in {"entry", "entry_queue"} else nonce if known and name == "nonce" else 0)
        for name, count in before.items()
    }
    if known:
        entry = ground.entries()[-1]
        assert (entry["kind"], entry["code"], entry["client"]) == ("refused", code, "approval")
    assert PERSON not in answer.text
    assert COMPANY not in answer.text
    return problem


# --- the bytes and the signature -------------------------------------------------------------------------------------


def _raw(ground: Ground, **how: Any) -> TestResponse:
    answer = ground.http.post(SUBMIT, **how)
    check_answer("POST", SUBMIT, answer)
    return answer


def _unsigned(ground: Ground) -> TestResponse:
    return _raw(ground, json=ground.request())


def _other_target(ground: Ground) -> TestResponse:
    return ground.submit(target=f"{PUBLIC_URL}/v1/cases/outcome")


def _headers(ground: Ground, body: bytes, change: Callable[[str], str]) -> dict[str, str]:
    signed = http_message.sign_request(
        "POST", PUBLIC_URL + SUBMIT, body, JSON, ground.signer, int(time.time()), secrets.token_hex(16)
    )
    return {**signed, "Signature-Input": change(signed["Signature-Input"]), "Content-Type": JSON}


def _without_nonce(ground: Ground) -> TestResponse:
    def change(stated: str) -> str:
        head, _, rest = stated.partition(';nonce="')
        return head + rest.partition('"')[2]

    body = json.dumps(ground.request()).encode()
    return _raw(ground, data=body, headers=_headers(ground, body, change))


def _uncovered_body(ground: Ground) -> TestResponse:
    headers = http_message.sign_request(
        "POST", PUBLIC_URL + SUBMIT, None, JSON, ground.signer, int(time.time()), secrets.token_hex(16)
    )
    return _raw(ground, json=ground.request(), headers=headers)


def _forwarded_host(ground: Ground) -> TestResponse:
    """Signed for another host, which the request then claims to be: no header of a request decides its target."""
    claims = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    return ground.submit(target=f"https://evil.example{SUBMIT}", headers=claims)


UNKNOWN_PARTY: dict[str, tuple[Send, str]] = {
    "unsigned": (_unsigned, "signature.missing"),
    "malformed signature": (lambda g: g.submit(headers={"Signature-Input": "sig1=?"}), "signature.malformed"),
    "unregistered key": (lambda g: g.submit(signer=keys.generate(Algorithm.ED25519)), "signature.unknown-key"),
    "another's key": (lambda g: g.submit(signer=keys.generate(Algorithm.ED25519, "k1")), "signature.invalid"),
    "another algorithm": (lambda g: g.submit(signer=keys.generate(Algorithm.P256, "k1")), "signature.algorithm"),
    "another digest": (
        lambda g: g.submit(headers={"Content-Digest": http_message.content_digest(b"{}")}),
        "signature.digest",
    ),
    "another target": (_other_target, "signature.invalid"),
    "another host": (_forwarded_host, "signature.invalid"),
    "stale": (lambda g: g.submit(skew=-http_message.MAX_SKEW - 5), "signature.stale"),
    "future": (lambda g: g.submit(skew=http_message.MAX_SKEW + 5), "signature.future"),
    "no nonce": (_without_nonce, "signature.nonce"),
    "body not covered": (_uncovered_body, "signature.components"),
    "too large": (lambda g: g.submit(body=b" " * (MAX_BODY + 1)), "body.too-large"),
    "another media type": (lambda g: g.submit(headers={"Content-Type": "text/plain"}), "body.media-type"),
    "no media type": (lambda g: g.submit(headers={"Content-Type": None}), "body.media-type"),
}


@pytest.mark.parametrize(("send", "code"), UNKNOWN_PARTY.values(), ids=UNKNOWN_PARTY)
def test_what_nobody_signed_is_refused_and_leaves_no_trace_in_the_store(ground: Ground, send: Send, code: str) -> None:
    refused(ground, send, code, known=False)


def test_a_body_without_stated_length_is_counted_as_it_comes(ground: Ground) -> None:
    endless = {"wsgi.input": io.BytesIO(b" " * (MAX_BODY + 1)), "wsgi.input_terminated": True}
    answer = ground.http.open(SUBMIT, method="POST", content_type=JSON, environ_overrides=endless)
    assert document_of(answer)["code"] == "body.too-large"


def test_a_key_that_has_ended_was_revoked_or_is_not_valid_yet_signs_nothing(ground: Ground) -> None:
    ended, coming, revoked = (keys.generate(Algorithm.ED25519, name) for name in ("ended", "coming", "revoked"))
    enrol(ground, "a", ended, not_after=datetime.now(UTC) - timedelta(hours=1))
    enrol(ground, "b", coming, not_before=later(hours=1))
    enrol(ground, "c", revoked)
    assert ground.submit(signer=revoked).status_code == 403  # known, though no grant covers it
    revoke_key(ground.parts, "revoked")
    for signer in (ended, coming, revoked):
        refused(ground, partial(Ground.submit, signer=signer), "signature.unknown-key", known=False)


def test_a_key_that_is_revoked_already_is_not_registered(ground: Ground) -> None:
    enrol(ground, "late", keys.generate(Algorithm.ED25519, "good"))
    signer = keys.generate(Algorithm.ED25519, "compromised")
    before = ground.rows()
    revoked = ClientKey("late", signer.verifier(), START, None, datetime.now(UTC))
    with pytest.raises(OperatorProblem, match=r"register\.revoked"):
        register_key(ground.parts, revoked, keys.public_pem(signer).decode())
    assert ground.rows() == before
    refused(ground, partial(Ground.submit, signer=signer), "signature.unknown-key", known=False)


def test_a_suspended_system_is_refused_and_the_attempt_recorded(ground: Ground) -> None:
    signer = keys.generate(Algorithm.ED25519, "suspended-key")
    enrol(ground, "suspended", signer, state="suspended")
    before = ground.rows()
    answer = ground.submit(signer=signer)
    assert document_of(answer)["code"] == "caller.suspended"
    assert ground.entries()[-1]["client"] == "suspended"
    assert {name for name, count in ground.rows().items() if count != before[name]} == {"entry", "entry_queue", "nonce"}


def test_a_replayed_request_is_refused_though_its_signature_holds(ground: Ground) -> None:
    body = json.dumps(ground.request()).encode()
    headers = _headers(ground, body, lambda stated: stated)
    assert _raw(ground, data=body, headers=headers).status_code == 202
    refused(ground, lambda g: _raw(g, data=body, headers=headers), "signature.replayed", known=True, nonce=0)


@pytest.mark.parametrize("path", [f"{SUBMIT}/{'0' * 32}", f"{SUBMIT}/{'0' * 32}/bundle"])
def test_a_replayed_read_is_refused_too(ground: Ground, path: str) -> None:
    nonce = secrets.token_hex(16)
    assert ground.send("GET", path, nonce=nonce).status_code == 404
    refused(ground, lambda g: g.send("GET", path, nonce=nonce), "signature.replayed", known=True, nonce=0)


# --- the document ----------------------------------------------------------------------------------------------------

BODIES: dict[str, tuple[bytes, str]] = {
    "not JSON": (b'{"request_id": ', "body.not-json"),
    "empty": (b"", "body.not-json"),
    "not UTF-8": ('{"request_id": "é"}'.encode("latin-1"), "body.not-json"),
    "too deep": (b"[" * 64 + b"]" * 64, "body.not-json"),
    "duplicate key": (b'{"request_id": "a", "request_id": "b"}', "body.duplicate-key"),
    "NaN": (b'{"facts": {"x": NaN}}', "body.not-finite"),
    "infinity": (b'{"facts": {"x": -Infinity}}', "body.not-finite"),
}


@pytest.mark.parametrize(("body", "code"), BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_strict_json_is_refused(ground: Ground, body: bytes, code: str) -> None:
    refused(ground, lambda g: g.submit(body=body), code, known=True)


_PARTY = {"role": "legal_representative", "id_type": "111", "number": PERSON, "name": "张某"}
_APPLICANT = {"id_type": "001", "number": COMPANY, "name": "某某食品有限公司"}

FIELDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a number for a text": ({"region": 370400}, "request.schema", "/region"),
    "a text for an object": ({"case": "case-1"}, "request.schema", "/case"),
    "a float": ({"facts": {"area": 1.5}}, "request.schema", "/facts/area"),
    "a missing field": ({"operator": None}, "request.schema", "/operator"),
    "an unknown field": ({"colour": "red"}, "request.schema", "/colour"),
    "an unknown field within": ({"applicant": _APPLICANT | {"age": "7"}}, "request.schema", "/applicant/age"),
    "an unknown channel": ({"channel": "fax"}, "request.schema", "/channel"),
    "a name too long": ({"applicant": _APPLICANT | {"name": "长" * 101}}, "request.schema", "/applicant/name"),
    "too many parties": ({"parties": [_PARTY] * 21}, "request.schema", "/parties"),
    "a material twice": ({"materials": ["form", "form"]}, "request.schema", "/materials"),
    "neither item nor scene": ({"item": None}, "request.scope", "/item"),
    "item and scene": ({"scene": "enterprise-1.1"}, "request.scope", "/item"),
    "an unknown item": ({"item": "no-such-item"}, "request.item", "/item"),
    "an unknown scene": ({"item": None, "scene": "enterprise-9.9"}, "request.scene", "/scene"),
    "an unknown region": ({"region": "110000"}, "request.region", "/region"),
    "an unknown role": ({"parties": [_PARTY | {"role": "neighbour"}]}, "request.role", "/parties/0/role"),
    "a role twice": ({"parties": [_PARTY, _PARTY]}, "request.role-twice", "/parties"),
    "an unknown material": ({"materials": ["passport"]}, "request.material", "/materials/0"),
    "a credit code's check digit": (
        {"applicant": _APPLICANT | {"number": COMPANY[:-1] + "0"}}, "request.identifier", "/applicant/number"),
    "a citizen's check digit": (
        {"parties": [_PARTY | {"number": PERSON[:-1] + "0"}]}, "request.identifier", "/parties/0/number"),
    "an item not in force": ({"item": "abolished"}, "request.item-not-in-force", "/item"),
    "an item decided at another level": ({"item": "provincial"}, "request.level", "/item"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "code", "pointer"), FIELDS.values(), ids=FIELDS)
def test_a_document_that_cannot_be_meant_is_refused_where_it_is_wrong(
    ground: Ground, changes: dict[str, Any], code: str, pointer: str
) -> None:
    document = ground.request(**changes)
    assert refused(ground, lambda g: g.submit(document), code, known=True)["pointer"] == pointer


def test_a_person_s_number_typed_as_a_field_name_is_not_echoed(ground: Ground) -> None:
    document = ground.request(**{PERSON: "x"})
    problem = refused(ground, lambda g: g.submit(document), "request.schema", known=True)
    assert "pointer" not in problem


@pytest.mark.parametrize("body", [b"[]", b"7", b'"text"', b"null"])
def test_json_that_is_no_object_is_refused(ground: Ground, body: bytes) -> None:
    refused(ground, lambda g: g.submit(body=body), "request.schema", known=True)


# --- the case --------------------------------------------------------------------------------------------------------


def test_an_applicant_other_than_the_case_s_is_refused(ground: Ground) -> None:
    first = ground.request()
    ground.submit(first)
    other = ground.request(case=first["case"], applicant={"id_type": "111", "number": OTHER_PERSON, "name": "王某"})
    refused(ground, lambda g: g.submit(other), "case.applicant-differs", known=True)


def test_nothing_more_is_asked_for_a_closed_case(ground: Ground) -> None:
    first = ground.request()
    ground.submit(first)
    outcome = {"case": first["case"], "outcome": "approved", "operator": CLERK}
    assert ground.send("POST", "/v1/cases/outcome", outcome).status_code == 200
    again = ground.request(case=first["case"])
    refused(ground, lambda g: g.submit(again), "case.closed", known=True)
    refused(ground, lambda g: g.send("POST", "/v1/cases/outcome", outcome), "case.closed", known=True)


def test_the_same_request_id_with_another_body_is_refused(ground: Ground) -> None:
    first = ground.request()
    ground.submit(first)
    other = first | {"channel": "web"}
    refused(ground, lambda g: g.submit(other), "request.conflict", known=True)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "body.not-json"),
        (b'{"case": {"number": "a"}}', "request.schema"),
        (b'{"case": {"number": "a"}, "outcome": "burnt"}', "request.schema"),
        (b'{"case": {"number": "a"}, "outcome": "approved"}', "request.schema"),
        (json.dumps({"case": {"number": "a"}, "outcome": "approved", "operator": CLERK}).encode(), "case.unknown"),
    ],
)
def test_an_outcome_that_cannot_be_meant_is_refused_and_recorded(ground: Ground, body: bytes, code: str) -> None:
    refused(ground, lambda g: g.send("POST", "/v1/cases/outcome", body=body), code, known=True)


def test_an_outcome_is_verified_before_it_is_parsed(ground: Ground) -> None:
    stranger = keys.generate(Algorithm.ED25519, "stranger")
    refused(
        ground,
        lambda g: g.send("POST", "/v1/cases/outcome", body=b"{", signer=stranger),
        "signature.unknown-key",
        known=False,
    )


# --- the grant -------------------------------------------------------------------------------------------------------

GRANTS: dict[str, tuple[dict[str, Any], str]] = {
    "of another item": ({"items": ("form-only",), "scenes": ()}, "grant.none"),
    "expired": ({"valid_to": datetime(2021, 1, 1, tzinfo=UTC)}, "grant.expired"),
    "not in force yet": ({"valid_from": END - timedelta(days=1)}, "grant.not-yet"),
    "revoked": ({"state": REVOKED}, "grant.revoked"),
    "suspended": ({"state": SUSPENDED}, "grant.suspended"),
    "exhausted": ({"daily_calls": 0}, "grant.exhausted"),
    "of other fields": ({"fields": ("colour",)}, "grant.fields"),
    "of another form": ({"forms": (Form.VERIFY,)}, "grant.form"),
    "of another basis": ({"bases": (Basis.DELEGATION,)}, "grant.basis"),
}


@pytest.mark.parametrize(("changes", "code"), GRANTS.values(), ids=GRANTS)
def test_a_grant_that_does_not_extend_to_the_request_refuses_it(
    tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    ground = lay_ground(tmp_path, granted=False)
    for source in CATALOG["sources"]:
        register_grant(ground.parts, ground.grant(f"grant-{source}", source, **changes))
    refused(ground, Ground.submit, code, known=True)
    ground.database.dispose()


def test_without_any_grant_the_request_is_refused(tmp_path: Path) -> None:
    ground = lay_ground(tmp_path, granted=False)
    refused(ground, Ground.submit, "grant.none", known=True)
    ground.database.dispose()


def test_a_grant_revoked_between_two_requests_refuses_the_second(ground: Ground) -> None:
    assert ground.submit().status_code == 202
    for source in CATALOG["sources"]:
        set_grant_state(ground.parts, f"grant-{source}", REVOKED)
    refused(ground, Ground.submit, "grant.revoked", known=True)


def test_where_one_lookup_is_granted_the_rest_goes_ahead_and_names_the_rule(tmp_path: Path) -> None:
    ground = lay_ground(tmp_path, granted=False)
    register_grant(ground.parts, ground.grant("grant-licences", "licences"))
    view = ground.decided()
    reasons = {one["material"]: [step["reason"] for step in one["steps"]] for one in view["materials"]}
    assert reasons["business-licence"] == ["held.valid"]
    assert reasons["identity@legal_representative"] == ["grant.none", "submit.last-step"]
    ground.database.dispose()


# --- reading what is not one's own -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", ["", "/receipt", "/proof", "/bundle"])
def test_another_system_s_verification_is_as_unknown_as_none(ground: Ground, tail: str) -> None:
    view = ground.sequenced()
    stranger = keys.generate(Algorithm.ED25519, "stranger")
    enrol(ground, "stranger", stranger)
    foreign = ground.send("GET", f"{SUBMIT}/{view['id']}{tail}", signer=stranger)
    absent = ground.send("GET", f"{SUBMIT}/{'0' * 32}{tail}", signer=stranger)
    problems = [document_of(answer) | {"instance": ""} for answer in (foreign, absent)]
    assert problems[0] == problems[1]
    assert problems[0]["code"] == "verification.unknown"
    assert ground.entries()[-1] | {"at": ""} == {
        "version": 1, "kind": "refused", "at": "", "client": "stranger", "key": "stranger",
        "code": "verification.unknown",
    }  # fmt: skip
