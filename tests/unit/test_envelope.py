"""The envelope: strict JSON in, one spelling of base64url, and a JWS of which nothing is believed before it holds.

The words of each refusal are looked at too: they are what a caller has to go by.
"""

from __future__ import annotations

import json

import pytest

from broker.core.envelope import MAX_DEPTH, Algorithm, b64, canonical, parse, seal, unb64, unseal
from broker.core.errors import CallerProblem
from broker.signing import keys

SIGNER = keys.generate(Algorithm.ED25519, "k")
KEYS = {"k": SIGNER.verifier()}
PAYLOAD = b'{"a":1}'


def refusal(body: bytes | str, **how: int) -> tuple[str, str | None, str | None]:
    with pytest.raises(CallerProblem) as caught:
        parse(body if isinstance(body, bytes) else body.encode(), **how)
    return caught.value.code, caught.value.got or None, caught.value.expected or None


def nested(levels: int, kind: str) -> str:
    opening, closing = ("[", "]") if kind == "list" else ('{"a":', "}")
    return opening * levels + "1" + closing * levels


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_a_document_is_parsed() -> None:
    assert parse('{"名":["é",1,true,null],"x":{"y":"😀"}}'.encode()) == {"名": ["é", 1, True, None], "x": {"y": "😀"}}


def test_a_document_may_be_as_long_as_the_limit_and_no_longer() -> None:
    assert parse(b"[1]", limit=3) == [1]
    assert refusal("[12]", limit=3) == ("body.too-large", "4", "at most 3 bytes")


@pytest.mark.parametrize("body", [b"", b"{", b"{} {}", b"[1,]", b"\xff", b"\xef\xbb\xbf{}", b"'a'"])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    assert refusal(body) == ("body.not-json", None, None)


@pytest.mark.parametrize("body", ['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '[{"b":{"a":1,"a":2}}]'])
def test_a_key_stands_once(body: str) -> None:
    assert refusal(body) == ("body.duplicate-key", None, None)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_numbers_are_finite(word: str) -> None:
    assert refusal(f"[{word}]") == ("body.not-finite", None, None)


def test_half_a_character_is_none_and_a_whole_one_may_be_spelt_in_halves() -> None:
    assert refusal('["\\ud83d"]') == ("body.not-json", None, "whole characters")
    assert refusal('{"\\ude00":1}') == ("body.not-json", None, "whole characters")
    assert parse(b'["\\ud83d\\ude00"]') == ["😀"]


@pytest.mark.parametrize("body", ['["a\\u0000"]', '{"a\\u0000":1}', '{"a":[{"b":"\\u0000"}]}'])
def test_a_text_with_nul_is_refused_since_no_database_keeps_it(body: str) -> None:
    assert refusal(body) == ("body.not-json", None, "text without U+0000")
    assert parse(rb'["\\u0000"]') == [r"\u0000"]  # six characters, all of which it may have


@pytest.mark.parametrize("kind", ["list", "object"])
def test_depth_is_bounded(kind: str) -> None:
    assert parse(nested(MAX_DEPTH, kind).encode())
    assert refusal(nested(MAX_DEPTH + 1, kind)) == ("body.not-json", None, f"at most {MAX_DEPTH} levels")
    assert parse(f"[{nested(MAX_DEPTH - 1, kind)},1]".encode())
    assert refusal(f"[1,{nested(MAX_DEPTH, kind)}]")[0] == "body.not-json"
    assert refusal(nested(40_000, kind)) == ("body.not-json", None, None)


def test_one_document_has_one_canonical_form() -> None:
    assert canonical({"b": 1, "a": {"d": [1, 2], "c": "é"}}) == '{"a":{"c":"é","d":[1,2]},"b":1}'.encode()


# --- base64url --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 2, b"\xfb\xff\xbf", bytes(range(256)), b"X", b"XX=XX"])
def test_bytes_come_back(data: bytes) -> None:
    assert unb64(b64(data)) == data
    assert not set("+/=") & set(b64(data))


def test_a_last_letter_that_padding_might_be_taken_for_stays() -> None:
    """The letter X is no padding."""
    ends_with_x = next(data for data in (bytes([n, m]) + b"\x05" for n in range(9) for m in (0x17, 0x57, 0xD7, 0x97)))
    assert unb64(b64(ends_with_x)) == ends_with_x
    assert b64(b"\x00\x00\x17") == "AAAX"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A", "base64url"), ("AAAAA", "base64url"), ("A A", "base64url"), ("AA+A", "base64url"), ("AA/A", "base64url"),
        ("é", "base64url"), ("AA=", "base64url"), ("AB", "canonical base64url"), ("AAB", "canonical base64url"),
    ],
)  # fmt: skip
def test_another_spelling_is_none(text: str, expected: str) -> None:
    with pytest.raises(CallerProblem) as caught:
        unb64(text)
    assert caught.value.code == "envelope.malformed"
    assert caught.value.expected in {expected, "canonical base64url", "base64url"}
    if expected.startswith("canonical"):
        assert caught.value.expected == expected


# --- JWS --------------------------------------------------------------------------------------------------------------


def token(header: object, payload: bytes = PAYLOAD) -> str:
    """A token that our key has signed, whatever its header says."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    parts = f"{b64(head)}.{b64(payload)}"
    return f"{parts}.{b64(SIGNER.sign(parts.encode()))}"


GOOD = {"alg": "EdDSA", "kid": "k", "typ": "t"}


def test_what_was_sealed_is_unsealed() -> None:
    assert unseal(seal(PAYLOAD, SIGNER, "t"), KEYS, "t") == PAYLOAD
    assert unseal(token(GOOD), KEYS, "t") == PAYLOAD


@pytest.mark.parametrize(
    ("said", "code", "expected"),
    [
        ("a.b", "envelope.malformed", "three parts"),
        ("a.b.c.d", "envelope.malformed", "three parts"),
        (token([]), "envelope.malformed", "a header of strings"),
        (token(["alg", "kid", "typ"]), "envelope.malformed", "a header of strings"),
        (token(GOOD | {"kid": 1}), "envelope.malformed", "a header of strings"),
        (token(GOOD | {"crit": ["b64"]}), "envelope.malformed", "a header of strings"),
        (token({"alg": "EdDSA", "typ": "t"}), "envelope.unknown-key", None),
        (token(GOOD | {"kid": "other"}), "envelope.unknown-key", None),
        (token({"kid": "k", "typ": "t"}), "envelope.algorithm", "EdDSA"),
        (token(GOOD | {"alg": "ES256"}), "envelope.algorithm", "EdDSA"),
        (token({"alg": "EdDSA", "kid": "k"}), "envelope.type", "t"),
        (token(GOOD | {"typ": "u"}), "envelope.type", "t"),
        (token(GOOD | {"jku": "x"}), "envelope.malformed", "alg, kid, typ and nothing else"),
        (token(GOOD)[:-6] + "AAAAAA", "envelope.signature", None),
        (token(GOOD, b"x").rpartition(".")[0] + "." + token(GOOD).rpartition(".")[2], "envelope.signature", None),
        (token(b"{"), "body.not-json", None),
        (token(b'{"alg":"EdDSA","alg":"EdDSA","kid":"k","typ":"t"}'), "body.duplicate-key", None),
    ],
    ids=range(17),
)
def test_what_does_not_hold_is_refused_by_name(said: str, code: str, expected: str | None) -> None:
    with pytest.raises(CallerProblem) as caught:
        unseal(said, KEYS, "t")
    assert (caught.value.code, caught.value.expected or None) == (code, expected)


def test_an_empty_key_id_names_no_key() -> None:
    with pytest.raises(CallerProblem, match=r"envelope.unknown-key"):
        unseal(token({"alg": "EdDSA", "typ": "t"}), {"XXXX": SIGNER.verifier()}, "t")
