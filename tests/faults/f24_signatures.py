"""Signatures: each covered part dropped or altered, algorithms confused, keys in every state, twins of one document.

Against a running broker, in each of the three algorithms: every attack is sent over HTTP, must be refused, and must
leave no verification behind; the honest message beside it must be let in, so that a broker that refuses everything does
not pass. Then answers and receipts, as their reader verifies them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unicodedata import normalize

import orjson
from sqlalchemy import text

from broker.client import Answer, Road, pooled_road
from broker.core.envelope import Algorithm, Signer, Verifier, b64, unb64, unseal
from broker.core.errors import CallerProblem
from broker.core.receipt import RECEIPT_TYPE
from broker.flow import register
from broker.flow.parts import Parts
from broker.ports import Client, ClientKey
from broker.signing import http_message, keys
from broker.store.engine import Database
from tests.faults.figure import Figure, Scale, Tally
from tests.faults.town import town

DEMANDED = "every attack on each covered part, algorithm, key state and twin: 100 % refused, nothing stored"
PATH, JSON = "/v1/verifications", "application/json"
RECEIPT_FLIPS = 3_000
UNIT = "113704000042880080"


@dataclass(frozen=True)
class Target:
    """A broker to be attacked: how it is reached, and its inside, to register keys and to see what was stored."""

    url: str
    road: Road
    parts: Parts
    database: Database
    client: str
    request: Callable[[str], dict[str, Any]]  # a fresh, good request under this name

    def stored(self) -> int:
        """How many verifications there are."""
        with self.database.begin(write=False) as connection:
            return int(connection.execute(text("SELECT count(*) FROM verification")).scalar_one())


@dataclass(frozen=True)
class Message:
    """A request on its way; an attack changes it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def headed(self, **changes: str | None) -> Message:
        """With other headers; None drops one. Names are written with underscores."""
        told = {name.replace("_", "-").title(): value for name, value in changes.items()}
        return replace(self, headers={k: v for k, v in {**self.headers, **told}.items() if v is not None})


def run(scale: Scale) -> Figure:
    """Against a fleet."""
    with town() as place:
        office = place._office
        target = Target(
            place.url, pooled_road(4), office.parts, office.database, _registered(office.parts), place.request
        )
        _grants_as_of(target, "bench-fund")
        return attacked(target, scale)


def _registered(parts: Parts) -> str:
    register.register_client(parts, Client("attacker", "审批系统", UNIT, None, "active"))
    return "attacker"


def _grants_as_of(target: Target, other: str) -> None:
    """What another client may ask, this one may too: its honest messages must get through."""
    with target.parts.store.read() as work:
        grants = target.parts.policy(work, work.pulse()).grants_of[other]
    for grant in grants:
        register.register_grant(target.parts, replace(grant, id=f"a-{grant.id}", client=target.client))


def attacked(target: Target, scale: Scale) -> Figure:
    """All attacks on one broker."""
    honest, requests, receipts = Tally(), Tally(), Tally()
    for algorithm in Algorithm:
        signer = _enrolled(target, algorithm)
        other = _enrolled(target, next(one for one in Algorithm if one is not algorithm))
        for name, message in _attacks(target, signer, other):
            before = target.stored()
            answer = _sent(target, message)
            refused = 400 <= answer.status < 500 and target.stored() == before
            requests.note(f"{algorithm} {name}: {answer.status}", right=refused)
        honest.note(f"{algorithm}", right=_sent(target, _good(target, signer)).status in {200, 202})
        _states(target, algorithm, requests)
        _answers(target, signer, requests)
        _receipts(algorithm, scale.of(RECEIPT_FLIPS, at_least=30), receipts)
    measured = f"{requests} attacks on messages refused, {receipts} on receipts; {honest} honest messages let in"
    return Figure("F24", DEMANDED, measured, requests.clean and receipts.clean and honest.clean)


def _enrolled(target: Target, algorithm: Algorithm, **validity: Any) -> keys.PrivateKey:
    signer = keys.generate(algorithm)
    begin = datetime.now(UTC) - timedelta(days=1)
    key = ClientKey(
        target.client, signer.verifier(), **{"not_before": begin, "not_after": None, "revoked_at": None} | validity
    )
    register.register_key(target.parts, key, keys.public_pem(signer).decode("ascii"))
    return signer


def _sent(target: Target, message: Message) -> Answer:
    return target.road(message.method, target.url + message.path, message.headers, message.body, 30)


def _good(target: Target, signer: keys.PrivateKey, document: Any = None) -> Message:
    body = document if isinstance(document, bytes) else orjson.dumps(document or _fresh(target))
    nonce = secrets.token_hex(16)
    headers = http_message.sign_request("POST", target.url + PATH, body, JSON, signer, int(time.time()), nonce)
    return Message("POST", PATH, headers | {"Content-Type": JSON}, body)


def _fresh(target: Target) -> dict[str, Any]:
    return target.request(f"f24-{secrets.token_hex(6)}")


# --- requests ---------------------------------------------------------------------------------------------------------


def _attacks(target: Target, signer: keys.PrivateKey, other: keys.PrivateKey) -> Iterator[tuple[str, Message]]:
    yield from _altered(target, signer)
    yield from _dropped(target, signer)
    yield from _confused(target, signer, other)
    yield from _twins(target, signer)


def _altered(target: Target, signer: keys.PrivateKey) -> Iterator[tuple[str, Message]]:
    """Each covered part, and each parameter, is another than the one signed."""
    good = _good(target, signer)
    stated, signature = good.headers["Signature-Input"], good.headers["Signature"]
    other_body = orjson.dumps(_fresh(target))
    yield "method", replace(good, method="PUT")
    yield "path", replace(good, path="/v1/cases/outcome")
    yield "query", replace(good, path=f"{PATH}?wait=1")
    yield "body", replace(good, body=other_body)
    yield (
        "body and digest",
        replace(good, body=other_body).headed(content_digest=http_message.content_digest(other_body)),
    )
    yield "body longer by a space", replace(good, body=good.body + b" ")
    yield "digest", good.headed(content_digest=http_message.content_digest(b"{}"))
    yield "digest of another kind", good.headed(content_digest=_digest_512(good.body))
    yield "content type", good.headed(content_type="application/json; charset=utf-8")
    yield "signature bit", good.headed(signature=_bit_of(signature))
    yield "signature of nothing", good.headed(signature=f"sig1=:{base64.b64encode(bytes(64)).decode()}:")
    for name, value in (
        ("created", str(int(time.time()) + 1)), ("nonce", f'"{secrets.token_hex(16)}"'), ("keyid", '"somebody"'),
        ("alg", '"none"'), ("tag", '"broker-response-v1"'),
    ):  # fmt: skip
        yield f"parameter {name}", good.headed(signature_input=re.sub(rf";{name}=[^;]+", f";{name}={value}", stated))


def _dropped(target: Target, signer: keys.PrivateKey) -> Iterator[tuple[str, Message]]:
    """Headers and parameters gone; and signatures properly made over fewer, more or reordered parts."""
    good = _good(target, signer)
    stated = good.headers["Signature-Input"]
    for name in ("Signature", "Signature-Input", "Content-Digest", "Content-Type"):
        yield f"no {name}", good.headed(**{name: None})
    for name in ("created", "nonce", "keyid", "alg", "tag"):
        yield (
            f"no {name}",
            _signed_over(good, target, signer, _PARTS, re.sub(rf";{name}=[^;]+", "", _parameters(stated))),
        )
    for size in range(len(_PARTS)):
        for parts in itertools.combinations(_PARTS, size):
            yield f"signed over {parts}", _signed_over(good, target, signer, parts, _parameters(stated))
    yield "signed in another order", _signed_over(good, target, signer, _PARTS[::-1], _parameters(stated))
    yield "a part twice", _signed_over(good, target, signer, (*_PARTS, "@method"), _parameters(stated))
    yield (
        "another label",
        good.headed(
            signature_input=stated.replace("sig1=", "sig2=", 1),
            signature=good.headers["Signature"].replace("sig1=", "sig2="),
        ),
    )


_PARTS = ("@method", "@target-uri", "content-digest", "content-type")


def _parameters(stated: str) -> str:
    return stated.partition(")")[2]


def _signed_over(good: Message, target: Target, signer: Signer, parts: tuple[str, ...], parameters: str) -> Message:
    """A proper RFC 9421 signature of the key's holder, over other parts than we require."""
    values = {
        "@method": good.method, "@target-uri": target.url + good.path,
        "content-digest": good.headers["Content-Digest"], "content-type": JSON,
    }  # fmt: skip
    quoted = " ".join(f'"{part}"' for part in parts)
    stated = f"({quoted}){parameters}"
    base = "".join(f'"{part}": {values[part]}\n' for part in parts) + f'"@signature-params": {stated}'
    made = base64.b64encode(signer.sign(base.encode())).decode()
    return good.headed(signature_input=f"sig1={stated}", signature=f"sig1=:{made}:")


def _confused(target: Target, signer: keys.PrivateKey, other: keys.PrivateKey) -> Iterator[tuple[str, Message]]:
    """The message tells another algorithm or key than the one that signed it."""
    good = _good(target, signer)
    stated = _parameters(good.headers["Signature-Input"])
    for alg in {*http_message.ALGORITHM_NAMES.values(), "none", "hmac-sha256", "rsa-v1_5-sha256"} - {
        http_message.ALGORITHM_NAMES[signer.algorithm]
    }:
        yield f"alg {alg}", _signed_over(good, target, signer, _PARTS, re.sub(r';alg="[^"]+"', f';alg="{alg}"', stated))
    yield "signed by another key", _signed_over(good, target, other, _PARTS, stated)
    for alg in ("hmac-sha256", http_message.ALGORITHM_NAMES[signer.algorithm]):
        named = re.sub(r';alg="[^"]+"', f';alg="{alg}"', stated)
        yield f"HMAC with the public key as {alg}", _signed_over(good, target, _Hmac(signer), _PARTS, named)


class _Hmac:
    """Signs with the public key as a shared secret."""

    def __init__(self, signer: keys.PrivateKey) -> None:
        self.key_id, self.algorithm, self.public = signer.key_id, signer.algorithm, signer.public

    def sign(self, message: bytes) -> bytes:
        return hmac.new(self.public, message, hashlib.sha512).digest()


def _twins(target: Target, signer: keys.PrivateKey) -> Iterator[tuple[str, Message]]:
    """Two spellings of one document: the signature of the one is not the other's, and doubtful JSON is no JSON."""
    document = _fresh(target)
    plain = orjson.dumps(document)
    spelt = orjson.dumps(document | {"operator": document["operator"] | {"name": "René"}})
    for name, signed, sent in (
        ("sorted keys", plain, orjson.dumps(document, option=orjson.OPT_SORT_KEYS)),
        ("white space", plain, orjson.dumps(document, option=orjson.OPT_INDENT_2)),
        ("escaped", plain, plain.replace(b"case", b"\\u0063ase", 1)),
        ("two forms of é", spelt, normalize("NFD", spelt.decode()).encode()),
        ("1 and 1.0", _with(plain, b'"version":1'), _with(plain, b'"version":1.0')),
    ):
        yield f"twin: {name}", replace(_good(target, signer, signed), body=sent)
    for name, body in (
        ("duplicate key", _with(plain, b'"region":"370400"')), ("NaN", _with(plain, b'"version":NaN')),
        ("half a character", _with(plain, b'"version":"\\ud800"')), ("not UTF-8", _with(plain, b'"note":"\xff"')),
        ("a second document behind", plain + plain), ("a byte order mark", b"\xef\xbb\xbf" + plain),
        ("a float for an integer", _with(plain, b'"version":1.0')),
    ):  # fmt: skip
        yield f"signed, but {name}", _good(target, signer, body)


def _with(plain: bytes, member: bytes) -> bytes:
    return plain[:-1] + b"," + member + b"}"


def _states(target: Target, algorithm: Algorithm, tally: Tally) -> None:
    """Keys that are not, not yet, no longer, or not any more to be used."""
    now = datetime.now(UTC)
    unknown = keys.generate(algorithm)
    states = {
        "expired": {"not_after": now - timedelta(seconds=1)},
        "not yet": {"not_before": now + timedelta(minutes=1)},
    }
    signers = {name: _enrolled(target, algorithm, **state) for name, state in states.items()}
    signers |= {"unknown": unknown, "revoked": _enrolled(target, algorithm)}
    tally.note(
        "a key is refused before it is revoked", right=_sent(target, _good(target, signers["revoked"])).status < 300
    )
    register.revoke_key(target.parts, signers["revoked"].key_id)
    for name, signer in signers.items():
        before = target.stored()
        answer = _sent(target, _good(target, signer))
        code = orjson.loads(answer.body).get("code")
        right = (answer.status, code) == (401, "signature.unknown-key") and target.stored() == before
        tally.note(f"{algorithm} key {name}: {answer.status} {code}", right=right)


def _digest_512(body: bytes) -> str:
    return f"sha-512=:{base64.b64encode(hashlib.sha512(body).digest()).decode()}:"


def _bit_of(signature: str) -> str:
    raw = bytearray(base64.b64decode(signature.removeprefix("sig1=:").removesuffix(":")))
    raw[7] ^= 16
    return f"sig1=:{base64.b64encode(raw).decode()}:"


# --- answers and receipts ---------------------------------------------------------------------------------------------


def _answers(target: Target, signer: keys.PrivateKey, tally: Tally) -> None:
    """An answer whose covered parts are altered is not believed."""
    message = _good(target, signer)
    answer = _sent(target, message)
    question = http_message.Question("POST", target.url + PATH, message.headers["Signature"])
    ours = target.parts.signer
    own = keys.public_key(ours.algorithm, ours.public, ours.key_id)

    def believed(told: Answer, asked: http_message.Question = question, key: Verifier | None = own) -> bool:
        try:
            http_message.verify_response(told.status, told.headers, told.body, asked, lambda _: key, int(time.time()))
        except CallerProblem:
            return False
        return True

    again = _good(target, signer).headers["Signature"]
    tally.note("our own answer is not believed", right=believed(answer))
    for name, told in {
        "status": answer._replace(status=299),
        "body": answer._replace(body=answer.body + b" "),
        "content type": answer._replace(headers={**answer.headers, "content-type": "text/plain"}),
        "digest": answer._replace(headers={**answer.headers, "content-digest": http_message.content_digest(b"")}),
        "signature": answer._replace(headers={**answer.headers, "signature": _bit_of(answer.headers["signature"])}),
        "no signature": answer._replace(headers={**answer.headers, "signature": ""}),
    }.items():
        tally.note(f"answer with another {name} believed", right=not believed(told))
    for name, asked in {
        "method": question._replace(method="GET"), "target": question._replace(target_uri=f"{target.url}/other"),
        "request": question._replace(signature=again), "unsigned request": question._replace(signature=None),
    }.items():  # fmt: skip
        tally.note(f"answer to another {name} believed", right=not believed(answer, asked))
    tally.note(
        "answer by another key believed", right=not believed(answer, key=keys.generate(own.algorithm).verifier())
    )
    tally.note("answer by no key believed", right=not believed(answer, key=None))


def _receipts(algorithm: Algorithm, flips: int, tally: Tally) -> None:
    """A JWS of ours: any bit, the algorithm, the header, the spelling."""
    signer, other = keys.generate(algorithm, "k"), keys.generate(algorithm, "k")
    header = {"alg": algorithm.value, "kid": "k", "typ": RECEIPT_TYPE}
    payload = orjson.dumps({"verification": secrets.token_hex(16), "at": time.time_ns()})

    def made(changes: Mapping[str, Any], sign: Callable[[bytes], bytes] = signer.sign) -> str:
        told = {name: value for name, value in {**header, **changes}.items() if value is not None}
        parts = f"{b64(orjson.dumps(told))}.{b64(payload)}"
        return f"{parts}.{b64(sign(parts.encode()))}"

    def believed(token: str) -> bool:
        try:
            return unseal(token, {"k": signer.verifier()}, RECEIPT_TYPE) == payload
        except CallerProblem:
            return False

    good = made({})
    tally.note("our own receipt is not believed", right=believed(good))
    for number in range(flips):
        at, bit = number * 7919 % len(good), number % 7
        token = good[:at] + chr(ord(good[at]) ^ 1 << bit) + good[at + 1 :]
        tally.note(f"{algorithm} receipt with character {at} changed", right=not believed(token))
    head, middle, tail = good.split(".")
    hmac_sign = _Hmac(signer).sign
    forged = [
        *(made({"alg": alg}) for alg in ("none", "None", "", "HS256", "RS256", *(set(Algorithm) - {algorithm}))),
        *(made({"alg": alg}, hmac_sign) for alg in ("HS256", "HS512", algorithm.value)),
        *(made({name: None}) for name in header),
        *(made({name: "x"}) for name in ("jku", "x5u", "b64", "crit", "jwk", "cty", "zip")),
        made({"kid": "other"}), made({"typ": "JWT"}), made({}, other.sign), made({}, lambda _: b""),
        made({}, lambda _: bytes(64)),
        f"{head}.{middle}.", f"{head}.{middle}", f"{head}..{tail}", f"{good}.", f"{good}=", f"{head}.{middle}.{tail}A",
        f"{head}.{b64(unb64(middle).replace(b':', b': ', 1))}.{tail}",
    ]  # fmt: skip
    for number, token in enumerate(forged):
        tally.note(f"{algorithm} forged receipt {number} believed", right=not believed(token))
