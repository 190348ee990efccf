"""HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530): one fixed profile, strict and fast.

A request is signed over its method and target URI and, when it has a body, the body's digest and type. An answer is
signed over its status, digest and type and over the request it answers: method, target URI and, when the request was
signed, that signature. So an answer cannot be moved to another question, nor to a repetition of the same one.

    Signature-Input: sig1=("@method" "@target-uri" "content-digest" "content-type");created=…;nonce="…";\
keyid="…";alg="…";tag="broker-request-v1"

Exactly this list of parts, in this order; exactly these parameters, in any order; one signature, labelled sig1; no
optional spaces. The general grammar allows far more, and every freedom is a place where two implementations differ.
The profile is a subset: any conforming RFC 9421 library verifies our messages and can be told to make such messages.

Left outside: whether the nonce was seen before (the database knows), and whether the key's holder may ask at all.
Header mappings have lower-case names; when a name came twice its values are joined with a comma, as WSGI does, and
the grammar then refuses the twins.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from broker.core.envelope import Algorithm, Signer, Verifier
from broker.core.errors import CallerProblem
from broker.core.own_key import timely
from broker.signing.keys import KEY_ID

MAX_SKEW: Final = 30  # seconds: clocks of servers with NTP differ by less than one; the rest is the network's. It is
# also how long a nonce must be remembered on either side.
MAX_FIELD: Final = 1024  # our own Signature-Input is 300 characters; an honest one needs no more than twice that

REQUEST_TAG: Final = "broker-request-v1"
RESPONSE_TAG: Final = "broker-response-v1"

ALGORITHM_NAMES: Final[Mapping[Algorithm, str]] = {
    Algorithm.ED25519: "ed25519",
    Algorithm.P256: "ecdsa-p256-sha256",
    Algorithm.SM2: "sm2-sm3",  # private: RFC 9421 has no SM2 in its registry
}

REQUEST_PARTS: Final = '"@method" "@target-uri"'
REQUEST_PARTS_WITH_BODY: Final = '"@method" "@target-uri" "content-digest" "content-type"'
RESPONSE_PARTS: Final = '"@status" "content-digest" "content-type" "@method";req "@target-uri";req'
RESPONSE_PARTS_BOUND: Final = RESPONSE_PARTS + ' "signature";req;key="sig1"'

_NUMBER: Final = r";(created)=(0|[1-9][0-9]{0,14})"
_STRING: Final = r';(nonce|keyid|alg|tag)="([ !#-+\--:<-\[\]-~]*)"'  # printable ASCII without quote, comma, ; and \
_INPUT: Final = re.compile(rf"sig1=\(([^()]*)\)((?:{_NUMBER}|{_STRING})+)")
_PARAMETER: Final = re.compile(f"{_NUMBER}|{_STRING}")
_SIGNATURE: Final = re.compile(r"sig1=:([A-Za-z0-9+/]{1,342}={0,2}):")
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")

_REQUEST_PARAMETERS: Final = frozenset(("created", "nonce", "keyid", "alg", "tag"))
_RESPONSE_PARAMETERS: Final = frozenset(("created", "keyid", "alg", "tag"))


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """Who signed a request, when, and the nonce that must not come again."""

    key_id: str
    nonce: str
    created: int


@dataclass(frozen=True, slots=True)
class VerifiedResponse:
    """Who signed an answer, and when."""

    key_id: str
    created: int


class Question(NamedTuple):
    """The request an answer answers."""

    method: str
    target_uri: str
    signature: str | None
    """Its Signature header, as sent or received; none when it was not signed (the public endpoints)."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a message says about its own signature: parsed, not yet believed."""

    parts: str
    parameters: Mapping[str, str]
    raw: str  # everything after "sig1=", the value of @signature-params
    signature: bytes


def sign_request(
    method: str, target_uri: str, body: bytes | None, content_type: str, signer: Signer, created: int, nonce: str
) -> dict[str, str]:
    """The headers to add to a request; ``body`` is none, and ``content_type`` ignored, when it has no body.

    Raises ``CallerProblem`` ``signature.nonce``, or ``signature.malformed`` for what cannot stand in a header.
    """
    if _NONCE.fullmatch(nonce) is None:
        raise CallerProblem("signature.nonce", expected=_NONCE.pattern)
    parameters = f';created={created};nonce="{nonce}"{_identity(signer)};tag="{REQUEST_TAG}"'
    if body is None:
        return _signed(_request_base(method, target_uri), f"({REQUEST_PARTS}){parameters}", signer)
    digest = content_digest(body)
    base = _request_base(method, target_uri) + _content_base(digest, content_type)
    return _signed(base, f"({REQUEST_PARTS_WITH_BODY}){parameters}", signer) | {"Content-Digest": digest}


def verify_request(
    method: str,
    target_uri: str,
    headers: Mapping[str, str],
    body: bytes,
    find_key: Callable[[str], Verifier | None],
    now: int,
) -> VerifiedRequest:
    """Who sent this request; ``target_uri`` must be what the client was told to call, not what a Host header says.

    To be shown, in this order; nothing but the key id is used before (7) has succeeded:

    (1) there is a signature: ``signature.missing``;
    (2) it is one, in our grammar, made for requests: ``signature.malformed`` (without a nonce: ``signature.nonce``);
    (3) it covers exactly the required parts: ``signature.components``;
    (4) its key is known: ``signature.unknown-key``;
    (5) it names that key's algorithm and no other: ``signature.algorithm``;
    (6) Content-Digest is that of the bytes received: ``signature.digest``;
    (7) the key made it over these very values: ``signature.invalid``;
    (8) its nonce has our form: ``signature.nonce``;
    (9) it was made within MAX_SKEW of now: ``signature.stale``, ``signature.future``; and in the key's time, where that
        is known: ``signature.unknown-key``.
    """
    claim = _claim(headers, REQUEST_TAG, _REQUEST_PARAMETERS)  # (1) (2)
    with_body = claim.parts == REQUEST_PARTS_WITH_BODY
    if not with_body and (body or claim.parts != REQUEST_PARTS):  # (3)
        raise CallerProblem("signature.components", expected=REQUEST_PARTS_WITH_BODY if body else REQUEST_PARTS)
    key = _key(claim, find_key)  # (4) (5)
    base = _request_base(method, target_uri)
    if with_body:
        base += _content_base(_checked_digest(headers, body), headers.get("content-type"))  # (6)
    _check_signature(claim, base, key)  # (7)
    nonce = claim.parameters["nonce"]
    if _NONCE.fullmatch(nonce) is None:  # (8)
        raise CallerProblem("signature.nonce", expected=_NONCE.pattern)
    return VerifiedRequest(key.key_id, nonce, _fresh(claim, now, key))  # (9)


def sign_response(
    status: int, body: bytes, content_type: str, question: Question, signer: Signer, created: int
) -> dict[str, str]:
    """The headers to add to the answer to a question; an empty body is digested like any other.

    When the question's signature is missing, or is not one of ours (the answer may be the refusal of just that), the
    answer is bound to method and target only; who sent a proper signature will not accept such an answer.
    """
    bound = _bound(question)
    digest = content_digest(body)
    base = _response_base(status, _content_base(digest, content_type), question, bound)
    parts = RESPONSE_PARTS_BOUND if bound else RESPONSE_PARTS
    parameters = f';created={created}{_identity(signer)};tag="{RESPONSE_TAG}"'
    return _signed(base, f"({parts}){parameters}", signer) | {"Content-Digest": digest}


def verify_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    question: Question,
    find_key: Callable[[str], Verifier | None],
    now: int,
) -> VerifiedResponse:
    """Who gave this answer to *this* question.

    The proof is that of :func:`verify_request`, with the same codes, less the nonce (8): the request's own signature
    takes its place, so that an answer given to any other request is refused.
    """
    claim = _claim(headers, RESPONSE_TAG, _RESPONSE_PARAMETERS)  # (1) (2)
    bound = _bound(question)
    expected = RESPONSE_PARTS_BOUND if bound else RESPONSE_PARTS
    if claim.parts != expected:  # (3)
        raise CallerProblem("signature.components", expected=expected)
    key = _key(claim, find_key)  # (4) (5)
    content = _content_base(_checked_digest(headers, body), headers.get("content-type"))  # (6)
    _check_signature(claim, _response_base(status, content, question, bound), key)  # (7)
    return VerifiedResponse(key.key_id, _fresh(claim, now, key))  # (9)


def content_digest(body: bytes) -> str:
    """The Content-Digest of a body: SHA-256, the one digest of our profile."""
    return f"sha-256=:{_b64(hashlib.sha256(body).digest())}:"


def _identity(signer: Signer) -> str:
    return f';keyid="{signer.key_id}";alg="{ALGORITHM_NAMES[signer.algorithm]}"'


def _request_base(method: str, target_uri: str) -> str:
    return f'"@method": {_line(method)}\n"@target-uri": {_line(target_uri)}\n'


def _content_base(digest: str, content_type: str | None) -> str:
    if not content_type:
        raise CallerProblem("signature.components", expected="a Content-Type")
    return f'"content-digest": {digest}\n"content-type": {_line(content_type)}\n'


def _bound(question: Question) -> str | None:
    match = _SIGNATURE.fullmatch(question.signature or "")
    return match[1] if match else None


def _response_base(status: int, content: str, question: Question, bound: str | None) -> str:
    asked = f'"@method";req: {_line(question.method)}\n"@target-uri";req: {_line(question.target_uri)}\n'
    signed = "" if bound is None else f'"signature";req;key="sig1": :{bound}:\n'
    return f'"@status": {status}\n{content}{asked}{signed}'


def _line(value: str) -> str:
    """The value, if it is one line of visible ASCII: a line break in it could pose as another signed part."""
    if not value or not value.isascii() or not value.isprintable() or value[0] == " " or value[-1] == " ":
        raise CallerProblem("signature.malformed", expected="method, target and content type in visible ASCII")
    return value


def _signed(base: str, parameters: str, signer: Signer) -> dict[str, str]:
    signature = signer.sign(f'{base}"@signature-params": {parameters}'.encode("ascii"))
    return {"Signature-Input": f"sig1={parameters}", "Signature": f"sig1=:{_b64(signature)}:"}


def _claim(headers: Mapping[str, str], tag: str, names: frozenset[str]) -> _Claim:
    stated, signature = headers.get("signature-input"), headers.get("signature")
    if not stated or not signature:  # (1)
        raise CallerProblem("signature.missing", expected="Signature-Input and Signature")
    match = _INPUT.fullmatch(stated) if len(stated) <= MAX_FIELD else None  # (2)
    if match is None:
        raise CallerProblem("signature.malformed", expected="one Signature-Input, labelled sig1")
    found = _PARAMETER.findall(match[2])  # each is (number's name, number, string's name, string), one pair empty
    parameters = {name or other: number or text for name, number, other, text in found}
    if names - parameters.keys() == {"nonce"} and parameters["tag"] == tag:
        raise CallerProblem("signature.nonce", expected=_NONCE.pattern)
    if len(found) != len(names) or parameters.keys() != names or parameters["tag"] != tag:
        raise CallerProblem("signature.malformed", expected=f"{', '.join(sorted(names))} once each, tag {tag}")
    if KEY_ID.fullmatch(parameters["keyid"]) is None:
        raise CallerProblem("signature.malformed", expected=f"a keyid {KEY_ID.pattern}")
    return _Claim(match[1], parameters, stated[len("sig1=") :], _signature_bytes(signature))


def _signature_bytes(field: str) -> bytes:
    match = _SIGNATURE.fullmatch(field)
    if match is None:
        raise CallerProblem("signature.malformed", expected="one Signature, labelled sig1")
    try:
        data = binascii.a2b_base64(match[1], strict_mode=True)
    except binascii.Error as error:
        raise CallerProblem("signature.malformed", expected="base64") from error
    if _b64(data) != match[1]:  # bits beyond the last byte: a second spelling of the same signature
        raise CallerProblem("signature.malformed", expected="canonical base64")
    return data


def _key(claim: _Claim, find_key: Callable[[str], Verifier | None]) -> Verifier:
    key = find_key(claim.parameters["keyid"])
    if key is None:  # (4)
        raise CallerProblem("signature.unknown-key")
    if claim.parameters["alg"] != ALGORITHM_NAMES[key.algorithm]:  # (5)
        raise CallerProblem("signature.algorithm", expected=ALGORITHM_NAMES[key.algorithm])
    return key


def _checked_digest(headers: Mapping[str, str], body: bytes) -> str:
    digest = content_digest(body)
    if headers.get("content-digest") != digest:  # (6)
        raise CallerProblem("signature.digest", expected="Content-Digest: sha-256=:…: of the body, nothing else")
    return digest


def _check_signature(claim: _Claim, base: str, key: Verifier) -> None:
    if not key.verify(f'{base}"@signature-params": {claim.raw}'.encode("ascii"), claim.signature):
        raise CallerProblem("signature.invalid")


def _fresh(claim: _Claim, now: int, key: Verifier) -> int:
    created = int(claim.parameters["created"])
    if created < now - MAX_SKEW:
        raise CallerProblem("signature.stale", expected=f"at most {MAX_SKEW} s old")
    if created > now + MAX_SKEW:
        raise CallerProblem("signature.future", expected=f"at most {MAX_SKEW} s ahead")
    if not timely(key, datetime.fromtimestamp(created, UTC).isoformat()):
        raise CallerProblem("signature.unknown-key")
    return created


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
