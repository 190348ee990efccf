"""Signed requests and answers: every part altered or dropped, every confusion tried, and a second implementation."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import itertools
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import http_message_signatures as peer
import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import example, given
from hypothesis import strategies as st

from broker.core.envelope import Algorithm, Verifier
from broker.core.errors import CallerProblem
from broker.signing import http_message, keys
from broker.signing.http_message import MAX_SKEW, Question

NOW = 1_800_000_000
METHOD = "POST"
URI = "https://broker.example/v1/verifications?scene=birth"
BODY = b'{"case":"ZZ-2026-0001"}'
TYPE = "application/json"
NONCE = "b3k2nVx_0Jk-4dLwQ9"
SERVER = keys.generate(Algorithm.ED25519, "broker-1")
KEYS = {algorithm: keys.generate(algorithm, f"system-{algorithm.name.lower()}") for algorithm in Algorithm}

Headers = dict[str, str]


@pytest.fixture(params=list(Algorithm), ids=str)
def key(request: pytest.FixtureRequest) -> keys.PrivateKey:
    return KEYS[request.param]


def finder(*known: keys.PrivateKey) -> Callable[[str], Verifier | None]:
    verifiers: dict[str, Verifier] = {key.key_id: key.verifier() for key in known}
    return verifiers.get


EVERYBODY = finder(*KEYS.values(), SERVER)


def received(added: Mapping[str, str], content_type: str | None = TYPE) -> Headers:
    """The headers as a server sees them."""
    lowered = {name.lower(): value for name, value in added.items()}
    return lowered | ({"content-type": content_type} if content_type else {})


def signed(key: keys.PrivateKey = KEYS[Algorithm.ED25519], body: bytes | None = BODY, created: int = NOW) -> Headers:
    return received(http_message.sign_request(METHOD, URI, body, TYPE, key, created, NONCE))


def verify(headers: Mapping[str, str], **changes: Any) -> http_message.VerifiedRequest:
    message: dict[str, Any] = {
        "method": METHOD,
        "target_uri": URI,
        "body": BODY,
        "find_key": EVERYBODY,
        "now": NOW,
    } | changes
    return http_message.verify_request(headers=headers, **message)


def refusal(headers: Mapping[str, str], **changes: Any) -> str:
    with pytest.raises(CallerProblem) as caught:
        verify(headers, **changes)
    return caught.value.code


def resigned(headers: Headers, parameters: str, key: keys.PrivateKey = KEYS[Algorithm.ED25519]) -> Headers:
    """The same message with other signature parameters, properly signed by a client that means it."""
    base = (
        f'"@method": {METHOD}\n"@target-uri": {URI}\n"content-digest": {headers["content-digest"]}\n'
        f'"content-type": {TYPE}\n"@signature-params": {parameters}'
    )
    signature = base64.b64encode(key.sign(base.encode())).decode()
    return headers | {"signature-input": f"sig1={parameters}", "signature": f"sig1=:{signature}:"}


def parameters_of(headers: Mapping[str, str]) -> str:
    return headers["signature-input"].removeprefix("sig1=")


# ---- what is accepted ----


def test_a_signed_request_is_verified(key: keys.PrivateKey) -> None:
    assert verify(signed(key)) == http_message.VerifiedRequest(key.key_id, NONCE, NOW)


def test_a_request_without_a_body_is_verified(key: keys.PrivateKey) -> None:
    headers = signed(key, body=None)
    assert "content-digest" not in headers
    assert verify(headers, body=b"").key_id == key.key_id


def test_an_empty_body_may_be_signed_as_one() -> None:
    assert verify(signed(body=b""), body=b"").nonce == NONCE


def test_the_headers_are_exactly_those_of_the_profile() -> None:
    added = http_message.sign_request(METHOD, URI, BODY, TYPE, KEYS[Algorithm.SM2], NOW, NONCE)
    assert added.keys() == {"Signature-Input", "Signature", "Content-Digest"}
    assert added["Signature-Input"] == (
        'sig1=("@method" "@target-uri" "content-digest" "content-type")'
        f';created={NOW};nonce="{NONCE}";keyid="system-sm2";alg="sm2-sm3";tag="broker-request-v1"'
    )


def test_the_digest_is_that_of_the_rfc() -> None:
    """RFC 9530 appendix D, the body of RFC 9421's examples."""
    assert (
        http_message.content_digest(b'{"hello": "world"}') == "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"
    )


def test_parameters_may_come_in_any_order() -> None:
    headers = signed()
    shuffled = (
        '("@method" "@target-uri" "content-digest" "content-type")'
        f';tag="broker-request-v1";alg="ed25519";keyid="system-ed25519";nonce="{NONCE}";created={NOW}'
    )
    assert verify(resigned(headers, shuffled)).nonce == NONCE


# ---- altered and dropped ----


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"method": "PUT"}, "signature.invalid"),
        ({"method": "post"}, "signature.invalid"),
        ({"target_uri": URI + "&x=1"}, "signature.invalid"),
        ({"target_uri": URI.replace("https", "http")}, "signature.invalid"),
        ({"target_uri": URI.replace("broker.", "other.")}, "signature.invalid"),
        ({"body": BODY + b" "}, "signature.digest"),
        ({"body": b""}, "signature.digest"),
        ({"find_key": lambda key_id: None}, "signature.unknown-key"),
        ({"method": "POST\n"}, "signature.malformed"),
        ({"target_uri": URI + '\n"content-type": x'}, "signature.malformed"),
        ({"target_uri": URI + "/案件"}, "signature.malformed"),
        ({"target_uri": ""}, "signature.malformed"),
    ],
    ids=lambda value: re.sub(r" at 0x[0-9a-f]+", "", str(value)),  # the same in every process that runs tests
)
def test_a_request_that_is_not_the_one_signed_is_refused(
    key: keys.PrivateKey, changes: dict[str, Any], code: str
) -> None:
    assert refusal(signed(key), **changes) == code


@pytest.mark.parametrize(
    ("name", "dropped", "altered"),
    [
        ("signature", "signature.missing", "signature.malformed"),
        ("signature-input", "signature.missing", "signature.malformed"),
        ("content-digest", "signature.digest", "signature.digest"),
        ("content-type", "signature.components", "signature.invalid"),
    ],
)
def test_each_header_dropped_emptied_or_altered_is_refused(name: str, dropped: str, altered: str) -> None:
    headers = signed()
    assert refusal({other: value for other, value in headers.items() if other != name}) == dropped
    assert refusal(headers | {name: ""}) == dropped
    assert refusal(headers | {name: headers[name] + "x"}) == altered
    assert refusal(headers | {name: headers[name] + ", " + headers[name]}) == altered


def test_no_signature_at_all_is_missing() -> None:
    assert refusal({"content-type": TYPE}) == "signature.missing"


def test_a_body_slipped_under_a_request_signed_without_one_is_refused() -> None:
    headers = signed(body=None) | {"content-digest": http_message.content_digest(BODY)}
    assert refusal(headers) == "signature.components"


@pytest.mark.parametrize(
    "parts",
    [
        "",
        '"@method"',
        '"@method" "@target-uri"',
        '"@method" "@target-uri" "content-digest"',
        '"@method" "@target-uri" "content-type"',
        '"@method" "content-digest" "content-type"',
        '"@target-uri" "content-digest" "content-type"',
        '"@target-uri" "@method" "content-digest" "content-type"',
        '"@method" "@target-uri" "content-digest" "content-type" "date"',
        '"@method" "@method" "@target-uri" "content-digest" "content-type"',
        '"@method" "@target-uri" "content-digest" "content-type";sf',
        '"@method";req "@target-uri" "content-digest" "content-type"',
        '"@method" "@path" "content-digest" "content-type"',
        '"@method"  "@target-uri" "content-digest" "content-type"',
        '"@status" "content-digest" "content-type" "@method";req "@target-uri";req',
    ],
)
def test_a_signature_over_other_parts_is_refused_although_its_maker_holds_the_key(parts: str) -> None:
    headers = signed()
    covered = parameters_of(headers).replace(http_message.REQUEST_PARTS_WITH_BODY, parts)
    assert refusal(resigned(headers, covered)) == "signature.components"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (f";created={NOW}", "", "signature.malformed"),
        (f";created={NOW}", ";created=", "signature.malformed"),
        (f";created={NOW}", f';created="{NOW}"', "signature.malformed"),
        (f";created={NOW}", f";created=0{NOW}", "signature.malformed"),
        (f";created={NOW}", f";created=-{NOW}", "signature.malformed"),
        (f";created={NOW}", f";created={NOW}.0", "signature.malformed"),
        (f";created={NOW}", f";created={'9' * 16}", "signature.malformed"),
        (f";created={NOW}", ";created=１８０００００００", "signature.malformed"),
        (f";created={NOW}", f";created={NOW};created={NOW}", "signature.malformed"),
        (f";created={NOW}", f";created={NOW};expires={NOW + 9}", "signature.malformed"),
        (f";created={NOW}", f"; created={NOW}", "signature.malformed"),
        (f';nonce="{NONCE}"', "", "signature.nonce"),
        (f';nonce="{NONCE}"', f';nonce="{NONCE}";nonce="{NONCE}"', "signature.malformed"),
        (f';nonce="{NONCE}"', f";nonce={NONCE}", "signature.malformed"),
        (f';nonce="{NONCE}"', ";nonce=1234567890123456", "signature.malformed"),
        (f'"{NONCE}"', '""', "signature.nonce"),
        (f'"{NONCE}"', '"123456789012345"', "signature.nonce"),
        (f'"{NONCE}"', f'"{"a" * 65}"', "signature.nonce"),
        (f'"{NONCE}"', '"0123456789abcde+"', "signature.nonce"),
        (f'"{NONCE}"', '"0123456789abcde\\""', "signature.malformed"),
        ('keyid="system-ed25519"', 'keyid=""', "signature.malformed"),
        ('keyid="system-ed25519"', 'keyid="a b"', "signature.malformed"),
        ('keyid="system-ed25519"', "keyid=7", "signature.malformed"),
        ('keyid="system-ed25519"', 'keyid="系统"', "signature.malformed"),
        ('keyid="system-ed25519"', 'keyid="nobody"', "signature.unknown-key"),
        ('keyid="system-ed25519"', 'keyid="SYSTEM-ED25519"', "signature.unknown-key"),
        (';keyid="system-ed25519"', ';keyid="system-ed25519";keyid="system-p256"', "signature.malformed"),
        (';alg="ed25519"', "", "signature.malformed"),
        ('alg="ed25519"', 'alg="none"', "signature.algorithm"),
        ('alg="ed25519"', 'alg=""', "signature.algorithm"),
        ('alg="ed25519"', 'alg="Ed25519"', "signature.algorithm"),
        ('alg="ed25519"', 'alg="EdDSA"', "signature.algorithm"),
        ('alg="ed25519"', 'alg="hmac-sha256"', "signature.algorithm"),
        ('alg="ed25519"', 'alg="ecdsa-p256-sha256"', "signature.algorithm"),
        ('alg="ed25519"', 'alg="ed25519";alg="none"', "signature.malformed"),
        (';tag="broker-request-v1"', "", "signature.malformed"),
        ('tag="broker-request-v1"', 'tag="broker-response-v1"', "signature.malformed"),
        ('tag="broker-request-v1"', 'tag="other"', "signature.malformed"),
        ('tag="broker-request-v1"', 'tag="broker-request-v1";extra', "signature.malformed"),
    ],
)
def test_each_signature_parameter_dropped_doubled_or_misshapen_is_refused(old: str, new: str, code: str) -> None:
    """Even when the holder of the key signs it so."""
    headers = signed()
    parameters = parameters_of(headers)
    assert old in parameters
    changed = parameters.replace(old, new)
    if changed.isascii():
        assert refusal(resigned(headers, changed)) == code
    assert refusal(headers | {"signature-input": f"sig1={changed}"}) in {code, "signature.invalid"}


@pytest.mark.parametrize(
    "change",
    [
        lambda name, value: {name: value.replace("sig1=", "sig2=")},
        lambda name, value: {name: value.replace("sig1=", "SIG1=")},
        lambda name, value: {name: f"{value},{value}"},
        lambda name, value: {name: f"{value}, {value.replace('sig1=', 'sig2=')}"},
        lambda name, value: {name: f"{value.replace('sig1=', 'sig0=')}, {value}"},
        lambda name, value: {name: f" {value}"},
        lambda name, value: {name: f"{value} "},
        lambda name, value: {name: f"{value}\n"},
        lambda name, value: {name: f"{value},"},
        lambda name, value: {name: value * 20},
        lambda name, value: {name: value.replace("sig1=", "")},
    ],
)
@pytest.mark.parametrize("name", ["signature", "signature-input"])
def test_exactly_one_signature_labelled_sig1(name: str, change: Callable[[str, str], Headers]) -> None:
    headers = signed()
    assert refusal(headers | change(name, headers[name])) == "signature.malformed"


def test_a_signature_input_beyond_all_reason_is_not_even_read() -> None:
    headers = signed()
    long = headers["signature-input"].replace('"@method"', '"@method" ' + '"x" ' * http_message.MAX_FIELD)
    assert refusal(headers | {"signature-input": long}) == "signature.malformed"


def test_a_twin_that_hides_a_second_signature_in_both_headers_is_refused() -> None:
    mine, other = signed(), signed(KEYS[Algorithm.P256])
    twins = {name: f"{mine[name]}, {other[name].replace('sig1', 'sig2')}" for name in ("signature", "signature-input")}
    assert refusal(mine | twins) == "signature.malformed"


@pytest.mark.parametrize("text", ["AAA", "A===", "A", "AB==", "____", "AAAA=", "!"])
def test_a_signature_has_one_spelling_only(text: str) -> None:
    assert refusal(signed() | {"signature": f"sig1=:{text}:"}) == "signature.malformed"


def test_unused_bits_of_the_signatures_base64_are_refused() -> None:
    headers = signed()
    last = headers["signature"][-4]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = alphabet[alphabet.index(last) ^ 1]
    assert refusal(headers | {"signature": headers["signature"][:-4] + other + "==:"}) == "signature.malformed"


@pytest.mark.parametrize(
    "digest",
    [
        lambda good: good.replace("sha-256", "sha-512"),
        lambda good: good.replace("sha-256", "SHA-256"),
        lambda good: f"{good}, unixsum=:AAAA:",
        lambda good: f"sha-512=:AAAA:, {good}",
        lambda good: f"{good}, {good}",
        lambda good: f"{good} ",
        lambda good: good[:-1],
        lambda good: "",
    ],
)
def test_the_digest_is_sha_256_once_and_nothing_beside_it(digest: Callable[[str], str]) -> None:
    headers = signed()
    changed = headers | {"content-digest": digest(headers["content-digest"])}
    assert refusal(changed) == "signature.digest"
    assert refusal(resigned(changed, parameters_of(headers))) == "signature.digest"


def test_body_and_digest_changed_together_are_refused() -> None:
    other = b'{"case":"ZZ-2026-9999"}'
    assert refusal(signed() | {"content-digest": http_message.content_digest(other)}, body=other) == "signature.invalid"


# ---- confusions ----


def test_another_key_under_the_same_id_is_refused(key: keys.PrivateKey) -> None:
    impostor = keys.generate(key.algorithm, key.key_id)
    assert refusal(signed(impostor)) == "signature.invalid"


@pytest.mark.parametrize(("made", "claimed"), list(itertools.permutations(Algorithm, 2)), ids=str)
def test_the_key_decides_the_algorithm(made: Algorithm, claimed: Algorithm) -> None:
    """A signature made with one kind of key, offered under the id of another."""
    key, victim = KEYS[made], KEYS[claimed]
    headers = signed(key)
    parameters = parameters_of(headers).replace(f'keyid="{key.key_id}"', f'keyid="{victim.key_id}"')
    assert refusal(resigned(headers, parameters, key)) == "signature.algorithm"
    names = http_message.ALGORITHM_NAMES
    parameters = parameters.replace(f'alg="{names[key.algorithm]}"', f'alg="{names[claimed]}"')
    assert refusal(resigned(headers, parameters, key)) == "signature.invalid"


@pytest.mark.parametrize("alg", ["hmac-sha256", None], ids=["named", "unnamed"])
def test_an_hmac_with_the_public_key_as_its_secret_is_refused(key: keys.PrivateKey, alg: str | None) -> None:
    headers = signed(key)
    own = http_message.ALGORITHM_NAMES[key.algorithm]
    parameters = parameters_of(headers).replace(f'alg="{own}"', f'alg="{alg or own}"')
    base = (
        f'"@method": {METHOD}\n"@target-uri": {URI}\n"content-digest": {headers["content-digest"]}\n'
        f'"content-type": {TYPE}\n"@signature-params": {parameters}'
    )
    for secret in (key.public, keys.public_pem(key)):
        for digest in (hashlib.sha256, hashlib.sha512):  # 32 bytes, and 64 like a signature
            code = base64.b64encode(hmac.new(secret, base.encode(), digest).digest()).decode()
            forged = headers | {"signature-input": f"sig1={parameters}", "signature": f"sig1=:{code}:"}
            assert refusal(forged) == ("signature.algorithm" if alg else "signature.invalid")


def test_nothing_is_looked_up_before_the_grammar_holds() -> None:
    def never(key_id: str) -> Verifier | None:
        pytest.fail(f"looked up {key_id}")

    headers = signed()
    for changed in (headers["signature-input"].replace("system-ed25519", "x' OR '1'='1"), "sig1=()", "x" * 5000):
        refusal(headers | {"signature-input": changed}, find_key=never)


# ---- time ----


@pytest.mark.parametrize("age", [-MAX_SKEW, 0, MAX_SKEW])
def test_a_request_within_the_skew_is_fresh(age: int) -> None:
    assert verify(signed(), now=NOW + age).created == NOW


def test_the_skew_is_thirty_seconds() -> None:
    assert MAX_SKEW == 30
    assert refusal(signed(), now=NOW + 31) == "signature.stale"
    assert refusal(signed(), now=NOW - 31) == "signature.future"


def test_an_old_time_is_not_believed_from_a_forger() -> None:
    headers = signed()
    assert refusal(headers | {"signature-input": headers["signature-input"].replace(str(NOW), str(NOW - 1000))}) == (
        "signature.invalid"
    )


# ---- making requests ----


@pytest.mark.parametrize(
    "nonce", ["", "short", "a" * 65, "0123456789abcde+", "0123456789abcdef\n", "案件案件案件案件案件案件案件案件"]
)
def test_no_request_is_made_with_a_bad_nonce(nonce: str) -> None:
    with pytest.raises(CallerProblem, match=r"signature\.nonce"):
        http_message.sign_request(METHOD, URI, BODY, TYPE, SERVER, NOW, nonce)


@pytest.mark.parametrize(
    ("method", "uri", "content_type"),
    [
        ("", URI, TYPE),
        (METHOD, "", TYPE),
        ("A\nB", URI, TYPE),
        (METHOD, URI + "\r", TYPE),
        (METHOD, URI, "a\nb"),
        (METHOD, URI, " a"),
    ],
)
def test_no_request_is_made_of_what_cannot_stand_in_a_header(method: str, uri: str, content_type: str) -> None:
    with pytest.raises(CallerProblem, match=r"signature\.malformed"):
        http_message.sign_request(method, uri, BODY, content_type, SERVER, NOW, NONCE)


# ---- answers ----

ANSWER = b'{"outcome":"exempt"}'


def asked(signature: str | None = None) -> Question:
    return Question(METHOD, URI, signature)


def answered(question: Question, key: keys.PrivateKey = SERVER) -> Headers:
    return received(http_message.sign_response(202, ANSWER, TYPE, question, key, NOW))


def verify_answer(headers: Mapping[str, str], question: Question, **changes: Any) -> http_message.VerifiedResponse:
    message: dict[str, Any] = {"status": 202, "body": ANSWER, "find_key": EVERYBODY, "now": NOW} | changes
    return http_message.verify_response(headers=headers, question=question, **message)


def answer_refusal(headers: Mapping[str, str], question: Question, **changes: Any) -> str:
    with pytest.raises(CallerProblem) as caught:
        verify_answer(headers, question, **changes)
    return caught.value.code


def test_an_answer_to_a_signed_question_is_verified(key: keys.PrivateKey) -> None:
    question = asked(signed(key)["signature"])
    headers = answered(question, key)
    assert '"signature";req;key="sig1"' in headers["signature-input"]
    assert verify_answer(headers, question) == http_message.VerifiedResponse(key.key_id, NOW)


def test_an_answer_to_an_unsigned_question_is_verified() -> None:
    headers = answered(asked())
    assert '"signature"' not in headers["signature-input"]
    assert verify_answer(headers, asked()).key_id == "broker-1"


def test_an_answer_is_bound_to_its_question() -> None:
    question = asked(signed(KEYS[Algorithm.SM2])["signature"])
    headers = answered(question)
    same_words_again = signed(KEYS[Algorithm.SM2])["signature"]
    assert answer_refusal(headers, asked(same_words_again)) == "signature.invalid"
    assert answer_refusal(headers, asked(None)) == "signature.components"
    assert answer_refusal(headers, question._replace(method="GET")) == "signature.invalid"
    assert answer_refusal(headers, question._replace(target_uri=URI + "&x=1")) == "signature.invalid"


def test_an_answer_to_an_unsigned_question_does_not_answer_a_signed_one() -> None:
    assert answer_refusal(answered(asked()), asked(signed()["signature"])) == "signature.components"


def test_a_malformed_question_is_answered_unbound_and_a_proper_asker_refuses_that() -> None:
    headers = answered(asked("sig1=garbage"))
    assert verify_answer(headers, asked("sig1=garbage")).key_id == "broker-1"
    assert answer_refusal(headers, asked(signed()["signature"])) == "signature.components"


def test_an_altered_answer_is_refused() -> None:
    question = asked(signed()["signature"])
    headers = answered(question)
    assert answer_refusal(headers, question, status=200) == "signature.invalid"
    assert answer_refusal(headers, question, body=ANSWER + b" ") == "signature.digest"
    assert answer_refusal(headers, question, body=b"") == "signature.digest"
    assert answer_refusal(headers | {"content-type": "text/html"}, question) == "signature.invalid"
    assert answer_refusal(headers | {"content-type": ""}, question) == "signature.components"
    assert answer_refusal(headers | {"content-digest": ""}, question) == "signature.digest"
    assert answer_refusal({}, question) == "signature.missing"
    assert answer_refusal(headers, question, find_key=finder()) == "signature.unknown-key"
    assert answer_refusal(headers, question, now=NOW + 31) == "signature.stale"
    assert answer_refusal(headers, question, now=NOW - 31) == "signature.future"
    assert verify_answer(headers, question, now=NOW + 30).created == NOW
    wrong = headers["signature-input"].replace('alg="ed25519"', 'alg="sm2-sm3"')
    assert answer_refusal(headers | {"signature-input": wrong}, question) == "signature.algorithm"


def test_a_request_reflected_as_its_own_answer_is_refused_and_the_other_way_round() -> None:
    headers = signed(SERVER)
    assert answer_refusal(headers, asked(headers["signature"]), body=BODY) == "signature.malformed"
    assert refusal(answered(asked()), body=ANSWER) == "signature.malformed"


# ---- any bytes at all ----

NAMES = st.sampled_from(["signature", "signature-input", "content-digest", "content-type"])


@given(st.dictionaries(NAMES, st.text()), st.binary(max_size=40))
@example({"signature-input": signed()["signature-input"], "signature": "sig1=:é:"}, b"")
def test_random_headers_raise_nothing_but_callers_problems(headers: Headers, body: bytes) -> None:
    refusal(headers, body=body)
    answer_refusal(headers, asked(), body=body)


@given(NAMES, st.integers(0, 300), st.integers(0, 20), st.text(max_size=20))
def test_a_damaged_header_is_refused_with_a_callers_problem(name: str, start: int, size: int, text: str) -> None:
    headers = signed()
    value = headers[name]
    damaged = value[:start] + text + value[start + size :]
    if damaged == value:
        verify(headers)
    else:
        assert refusal(headers | {name: damaged}).startswith("signature.")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30), st.text(max_size=60))
def test_any_method_and_target_raise_nothing_but_callers_problems(method: str, uri: str) -> None:
    assert refusal(signed(), method=method, target_uri=uri) in {"signature.invalid", "signature.malformed"}


# ---- a second implementation: http-message-signatures ----


@dataclass
class Message:
    """As much of a request or an answer as the other library asks for."""

    headers: dict[str, str]
    method: str = METHOD
    url: str = URI


@dataclass
class Answer:
    """An answer, for the other library."""

    headers: dict[str, str]
    request: Message
    status_code: int = 202


class Sm2Sm3(peer.HTTPSignatureAlgorithm):
    """SM2 as the other library's users would plug it in."""

    algorithm_id = "sm2-sm3"

    def __init__(self, public_key: Any = None, private_key: Any = None) -> None:
        self.public_key, self.private_key = public_key, private_key

    def sign(self, message: bytes) -> bytes:
        """The signature."""
        return keys.load_private(self.private_key).sign(message)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Nothing, or an error."""
        if not keys.load_public(self.public_key).verify(message, signature):
            raise InvalidSignature


@dataclass
class Keys(peer.HTTPSignatureKeyResolver):
    """One key, in PEM, as the other library wants it."""

    key: keys.PrivateKey

    def resolve_public_key(self, key_id: str) -> bytes:
        """The public key, if it is the one meant."""
        assert key_id == self.key.key_id
        return keys.public_pem(self.key)

    def resolve_private_key(self, key_id: str) -> bytes:
        """The private key, if it is the one meant."""
        assert key_id == self.key.key_id
        return keys.private_pem(self.key)


PEER_ALGORITHMS: dict[Algorithm, type[peer.HTTPSignatureAlgorithm]] = {
    Algorithm.ED25519: peer.algorithms.ED25519,
    Algorithm.P256: peer.algorithms.ECDSA_P256_SHA256,
    Algorithm.SM2: Sm2Sm3,
}


def peer_verifies(message: Any, key: keys.PrivateKey, tag: str, body: bytes | None) -> set[str]:
    verifier = peer.HTTPMessageVerifier(signature_algorithm=PEER_ALGORITHMS[key.algorithm], key_resolver=Keys(key))
    (result,) = verifier.verify(message, expect_tag=tag, expect_label="sig1", body=body)
    return set(result.covered_components)


@pytest.mark.parametrize("body", [BODY, b"", None])
def test_the_other_library_verifies_our_requests(key: keys.PrivateKey, body: bytes | None) -> None:
    added = http_message.sign_request(METHOD, URI, body, TYPE, key, int(time.time()), NONCE)
    covered = peer_verifies(Message(added | {"Content-Type": TYPE}), key, http_message.REQUEST_TAG, body)
    assert {'"@method"', '"@target-uri"'} < covered
    assert ('"content-digest"' in covered) == (body is not None)


@pytest.mark.parametrize("bound", [True, False])
def test_the_other_library_verifies_our_answers(key: keys.PrivateKey, bound: bool) -> None:
    now = int(time.time())
    request = Message(http_message.sign_request(METHOD, URI, BODY, TYPE, key, now, NONCE) | {"Content-Type": TYPE})
    question = asked(request.headers["Signature"] if bound else None)
    added = http_message.sign_response(202, ANSWER, TYPE, question, key, now)
    covered = peer_verifies(Answer(added | {"Content-Type": TYPE}, request), key, http_message.RESPONSE_TAG, ANSWER)
    assert ('"signature";req;key="sig1"' in covered) == bound


@pytest.mark.parametrize("body", [BODY, None])
def test_we_verify_requests_the_other_library_made_to_our_profile(key: keys.PrivateKey, body: bytes | None) -> None:
    parts = http_message.REQUEST_PARTS if body is None else http_message.REQUEST_PARTS_WITH_BODY
    message = Message({"Content-Type": TYPE})
    if body is not None:
        message.headers["Content-Digest"] = http_message.content_digest(body)
    signer = peer.HTTPMessageSigner(signature_algorithm=PEER_ALGORITHMS[key.algorithm], key_resolver=Keys(key))
    signer.sign(
        message,
        key_id=key.key_id,
        created=dt.datetime.fromtimestamp(NOW, tz=dt.UTC),
        nonce=NONCE,
        label="sig1",
        tag=http_message.REQUEST_TAG,
        use_existing_digest=body is not None,
        covered_component_ids=re.findall(r'"([^"]+)"', parts),
    )
    headers = {name.lower(): value for name, value in message.headers.items()}
    assert verify(headers, body=body or b"") == http_message.VerifiedRequest(key.key_id, NONCE, NOW)


@given(
    st.sampled_from([SERVER, KEYS[Algorithm.P256]]),
    st.from_regex(r"[A-Z]{1,10}", fullmatch=True),
    st.from_regex(
        r"https://[a-z]{1,10}\.example/([A-Za-z0-9._~-]|%[0-9A-F]{2}){0,20}(\?[A-Za-z0-9=&+]{0,20})?", fullmatch=True
    ),
    st.binary(max_size=100),
    st.from_regex(r"[a-z]{1,8}/[a-z]{1,8}(; charset=[a-z0-9-]{1,8})?", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9_-]{16,64}", fullmatch=True),
)
def test_the_other_library_agrees_about_any_message(
    key: keys.PrivateKey, method: str, uri: str, body: bytes, content_type: str, nonce: str
) -> None:
    added = http_message.sign_request(method, uri, body, content_type, key, int(time.time()), nonce)
    message = Message(added | {"Content-Type": content_type}, method, uri)
    assert '"content-digest"' in peer_verifies(message, key, http_message.REQUEST_TAG, body)
    damaged = Message(message.headers | {"Content-Type": content_type + "x"}, method, uri)
    with pytest.raises(peer.InvalidSignature):
        peer_verifies(damaged, key, http_message.REQUEST_TAG, body)
