"""Receipts: what they say and do not say, and that nothing about a bundle can be altered unseen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.core import checkpoint, merkle
from broker.core.answer import Answer, Finding, Reason
from broker.core.authorise import Permit
from broker.core.day import CHINA
from broker.core.decide import advance
from broker.core.entry import entry
from broker.core.envelope import Algorithm, Revoked, Signer, Verifier, canonical, seal, unseal
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.plan import plan
from broker.core.problems import PROBLEMS
from broker.core.receipt import (
    RECEIPT_TYPE,
    Bundle,
    Circumstances,
    bundle_from,
    moment,
    receipt_digest,
    receipt_payload,
    sign_receipt,
    verify_bundle,
)
from broker.signing import keys
from tests.flow import catalogue, kit
from tests.flow.strategies import TODAY, edition, party, plain_request

NOW = datetime(2026, 7, 1, 4, 5, 6, 789_999, tzinfo=UTC)
ORIGIN = "log.example/receipts"
NUMBER = f"{1:032x}"
ROOT = Path(__file__).parents[2]
REQUEST = plain_request(
    applicant=party("applicant", -1), parties=(party("legal_representative", 1),), item=catalogue.SHOP, scene=None
)


def payload() -> dict[str, Any]:
    """A receipt with one material of each kind."""
    found = plan(edition(catalogue.document()), REQUEST, TODAY)
    answers = {
        catalogue.LICENCES: Answer(Reason.REVOKED, source_code="7"),
        catalogue.REGISTER: Answer(Reason.LATE),
        catalogue.POPULATION: Answer(Reason.VALID, {"match": "一致"}),
    }
    findings = {
        key: Finding(answers[one.source], hashlib.sha256(key.encode()).hexdigest(), NOW, NOW)
        for key, one in found.lookups.items()
    }
    decisions = advance(found, REQUEST, {key: Permit("g") for key in found.lookups}, findings, TODAY).decisions
    about = Circumstances("issuer.example", NUMBER, "client", "d" * 64, "a" * 32, ORIGIN, NOW)
    return receipt_payload(about, edition(catalogue.document()), found, REQUEST, decisions)


@dataclass(frozen=True)
class Made:
    """A bundle, and what it is verified with."""

    bundle: Bundle
    keys: dict[str, Verifier]
    log_keys: list[Verifier]

    def verify(self, bundle: Bundle | None = None) -> Any:
        """Verify this bundle, or another with the same keys."""
        return verify_bundle(bundle or self.bundle, self.keys, self.log_keys)


@cache
def made(algorithm: Algorithm = Algorithm.ED25519) -> Made:
    """A bundle among 300 entries of a log with two keys."""
    signer = keys.generate(algorithm)
    log_signers: list[Signer] = [keys.generate(Algorithm.ED25519), keys.generate(Algorithm.SM2)]
    receipt = sign_receipt(payload(), signer)
    mine = entry("decided", NOW, verification=NUMBER, receipt=receipt_digest(receipt)).body
    entries = [b"entry %d" % number for number in range(299)]
    entries.insert(123, mine)
    growth = merkle.grow(0, [merkle.leaf_hash(one) for one in entries], lambda level, index: b"")
    path = merkle.inclusion_proof(123, growth.size, lambda level, index: growth.tiles[level, index])
    note = checkpoint.sign(checkpoint.Checkpoint(ORIGIN, growth.size, growth.root), log_signers)
    proof = checkpoint.InclusionProof(123, tuple(path), note).format()
    verifiers = [key.verifier() for key in log_signers]  # type: ignore[attr-defined]
    return Made(Bundle(receipt, mine, proof), {signer.key_id: signer.verifier()}, verifiers)


# --- what a receipt says ----------------------------------------------------------------------------------------------


def test_a_receipt_follows_its_published_grammar() -> None:
    schema = json.loads((ROOT / "schemas" / "receipt.schema.json").read_text("utf-8"))
    errors = [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(payload())]
    assert errors == []


def test_a_receipt_tells_each_material_with_decision_reason_and_steps() -> None:
    told = {one["material"]: (one["decision"], one["reason"], len(one["steps"])) for one in payload()["materials"]}
    assert told == {
        "identity@legal_representative": ("exempt", "held.valid", 1),
        "licence": ("not_met", "not_held.revoked", 1),
        "premises": ("fallback", "fallback.commitment", 2),
        "form": ("submit", "submit.no-source", 1),
    }


def test_a_step_that_asked_carries_the_digest_and_one_that_did_not_carries_none() -> None:
    steps = [step for one in payload()["materials"] for step in one["steps"]]
    for step in steps:
        asked = step["mode"] in {"certificate", "data_query", "data_verify"}
        assert ("digest" in step) == ("asked_at" in step) == ("answered_at" in step) == asked


def test_a_receipt_names_nobody_and_holds_no_answer() -> None:
    text = json.dumps(payload(), ensure_ascii=False)
    for secret in (kit.company(1), kit.citizen(1), "张某", "公司", "一致", "李某", "op1"):
        assert secret not in text


def test_a_moment_is_utc_to_the_millisecond_and_never_rounded_up() -> None:
    assert moment(NOW) == "2026-07-01T04:05:06.789Z"
    assert moment(NOW.replace(microsecond=0)) == "2026-07-01T04:05:06.000Z"


def test_a_receipts_digest_is_that_of_its_bytes() -> None:
    token = made().bundle.receipt
    assert receipt_digest(token) == hashlib.sha256(token.encode()).hexdigest()


# --- what verifies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_bundle_proves_receipt_entry_and_place(algorithm: Algorithm) -> None:
    shown = made(algorithm).verify()
    assert (shown.payload, shown.position, shown.size) == (payload(), 123, 300)


def test_a_receipt_without_proof_shows_only_its_signature() -> None:
    for bundle in (Bundle(made().bundle.receipt), bundle_from(made().bundle.receipt.encode())):
        shown = made().verify(bundle)
        assert (shown.payload["verification"], shown.position, shown.size) == (NUMBER, None, None)


def test_a_bundle_comes_back_from_its_file() -> None:
    body = json.dumps(made().bundle.document()).encode()
    assert bundle_from(body) == made().bundle
    assert made().verify(bundle_from(b"\n " + body + b"\n")).position == 123


# --- what does not ----------------------------------------------------------------------------------------------------


def refused(bundle: Bundle, *codes: str) -> None:
    with pytest.raises(CallerProblem) as caught:
        made().verify(bundle)
    assert caught.value.code in PROBLEMS
    assert not codes or caught.value.code in codes


@given(st.integers(0, 10**6), st.characters())
def test_a_receipt_with_any_character_changed_is_refused(place: int, other: str) -> None:
    token = made().bundle.receipt
    place %= len(token)
    if token[place] != other:
        refused(replace(made().bundle, receipt=token[:place] + other + token[place + 1 :]))


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=1))
def test_an_entry_with_any_byte_changed_is_refused(place: int, other: bytes) -> None:
    body = made().bundle.entry
    place %= len(body)
    if body[place : place + 1] != other:
        refused(replace(made().bundle, entry=body[:place] + other + body[place + 1 :]))


@given(st.integers(0, 10**6), st.sampled_from("AZaz09+/=\n é"))
def test_a_proof_with_any_character_changed_is_refused_or_proves_the_same(place: int, other: str) -> None:
    """A changed line of one log key leaves the other's: it is enough to prove the place, with old keys in mind."""
    proof = made().bundle.proof
    place %= len(proof)
    changed = replace(made().bundle, proof=proof[:place] + other + proof[place + 1 :])
    try:
        shown = made().verify(changed)
    except CallerProblem as problem:
        assert problem.code in PROBLEMS  # noqa: PT017 - either outcome is right, and both are looked at
    else:
        assert (shown.position, shown.size) == (123, 300)


@given(st.binary(max_size=300))
@example(b"[]")
@example(b'"text"')
@example(b"null")
@example(b"{}")
@example(b'{"receipt": 1, "verification": "1"}')
def test_no_bytes_pass_for_the_entry(body: bytes) -> None:
    refused(replace(made().bundle, entry=body))


@given(st.text(max_size=300))
def test_no_text_passes_for_a_proof_or_a_receipt(text: str) -> None:
    if text:
        refused(replace(made().bundle, proof=text))
    refused(Bundle(text))


@given(st.binary(max_size=300))
@example(b'{"receipt": 1}')
@example(b'{"receipt": "\\ud800"}')
@example(b'{"entry": "\\ud800"}')
@example(b'{"proof": []}')
@example(b"{" + b'"a":{' * 100)
def test_no_file_breaks_the_verification(body: bytes) -> None:
    with pytest.raises(CallerProblem):
        made().verify(bundle_from(body))


def test_a_receipt_of_a_key_that_is_not_published_is_refused() -> None:
    stranger = keys.generate(Algorithm.ED25519)
    refused(Bundle(sign_receipt(payload(), stranger)), "envelope.unknown-key")


def test_a_receipt_signed_for_another_purpose_is_refused() -> None:
    """The same key signs editions; an edition's seal is no receipt."""
    signer = keys.generate(Algorithm.ED25519)
    token = seal(canonical(payload()), signer, "sharing-list-edition+jws")
    with pytest.raises(CallerProblem, match="envelope.type"):
        verify_bundle(Bundle(token), {signer.key_id: signer.verifier()}, [])
    assert RECEIPT_TYPE == "exemption-receipt+jws"


@pytest.mark.parametrize(
    "facts",
    [
        {"verification": "v2", "receipt": receipt_digest(made().bundle.receipt)},
        {"verification": NUMBER, "receipt": "0" * 64},
        {"verification": NUMBER},
    ],
)
def test_an_entry_of_something_else_is_refused(facts: dict[str, str]) -> None:
    refused(replace(made().bundle, entry=entry("decided", NOW, **facts).body), "receipt.entry")


def test_the_right_entry_at_another_place_is_refused() -> None:
    proof = checkpoint.parse_proof(made().bundle.proof)
    elsewhere = checkpoint.InclusionProof(122, proof.hashes, proof.checkpoint).format()
    refused(replace(made().bundle, proof=elsewhere), "receipt.inclusion")
    shorter = checkpoint.InclusionProof(123, proof.hashes[:-1], proof.checkpoint).format()
    refused(replace(made().bundle, proof=shorter), "receipt.inclusion")


def test_a_checkpoint_of_another_log_or_of_unknown_keys_is_refused() -> None:
    proof = checkpoint.parse_proof(made().bundle.proof)
    head = checkpoint.verify(proof.checkpoint, ORIGIN, made().log_keys)
    strangers: list[Signer] = [keys.generate(Algorithm.ED25519)]
    for origin in (ORIGIN, "other.example/log"):
        forged = checkpoint.sign(checkpoint.Checkpoint(origin, head.size, head.root), strangers)
        moved = checkpoint.InclusionProof(123, proof.hashes, forged).format()
        refused(replace(made().bundle, proof=moved), "log.checkpoint-unsigned", "log.origin")


def test_without_log_keys_no_place_is_believed() -> None:
    with pytest.raises(CallerProblem, match=r"log\."):
        verify_bundle(made().bundle, made().keys, [])


def test_a_moment_is_told_in_utc_whatever_zone_it_comes_in() -> None:
    """Truncated to the millisecond, never rounded into the next one."""
    assert moment(datetime(2026, 7, 1, 0, 5, 6, 7999, tzinfo=CHINA)) == "2026-06-30T16:05:06.007Z"
    assert moment(datetime(2026, 7, 1, 0, 5, 6, tzinfo=UTC)) == "2026-07-01T00:05:06.000Z"
    with pytest.raises(ValueError, match="zone"):
        moment(datetime(2026, 7, 1))  # noqa: DTZ001 - a time without a zone is what is refused


# --- a key that was revoked -------------------------------------------------------------------------------------------


def _revoked(at: datetime) -> dict[str, Verifier]:
    return {name: Revoked(key, at) for name, key in made().keys.items()}


def test_a_receipt_by_a_revoked_key_holds_where_the_log_shows_it_to_be_older() -> None:
    later = NOW + timedelta(milliseconds=1)
    found = verify_bundle(made().bundle, _revoked(later), made().log_keys)
    assert (found.position, found.revoked_at) == (123, later)
    assert made().verify().revoked_at is None


def test_a_receipt_by_a_revoked_key_shows_nothing_without_its_proof_or_with_a_later_entry() -> None:
    bare = Bundle(made().bundle.receipt)
    for bundle, at in (
        (bare, NOW + timedelta(days=1)),
        (made().bundle, NOW.replace(microsecond=789_000)),
        (made().bundle, NOW - timedelta(days=1)),
    ):
        with pytest.raises(CallerProblem) as caught:
            verify_bundle(bundle, _revoked(at), made().log_keys)
        assert caught.value.code == "receipt.key-revoked"


def test_a_proof_does_not_help_an_altered_receipt_of_a_revoked_key() -> None:
    altered = replace(made().bundle, receipt=made().bundle.receipt[:-4] + "AAAA")
    with pytest.raises(CallerProblem, match=r"envelope\.signature"):
        verify_bundle(altered, _revoked(NOW + timedelta(days=1)), made().log_keys)


def test_by_itself_nothing_of_a_revoked_key_counts() -> None:
    with pytest.raises(CallerProblem, match=r"envelope\.signature"):
        unseal(made().bundle.receipt, _revoked(NOW + timedelta(days=1)), RECEIPT_TYPE)


def test_a_key_set_tells_of_revocation() -> None:
    one, other = keys.generate(Algorithm.ED25519).verifier(), keys.generate(Algorithm.ED25519).verifier()
    at = NOW.replace(microsecond=123_000)
    document = {"keys": [keys.published(Revoked(one, at)), keys.published(other)]}
    found = keys.from_jwks(document, "receipt")
    told = found[one.key_id]
    assert isinstance(told, Revoked)
    assert (told.at, told.public, isinstance(found[other.key_id], Revoked)) == (at, one.public, False)
    assert isinstance(keys.from_jwks(document, "log")[one.key_id], Revoked)
    for broken in ("yesterday", None, "2026-11-22T00:00:00"):
        document["keys"][0]["revoked_at"] = broken  # type: ignore[assignment]
        with pytest.raises(OperatorProblem, match=r"key\.unusable"):
            keys.from_jwks(document, "receipt")
