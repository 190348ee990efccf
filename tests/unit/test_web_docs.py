"""docs/api.md is true: its worked example verifies, to the byte, and it names every route."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from broker.core.errors import CallerProblem
from broker.signing import http_message, keys
from broker.web.routes import ROUTES

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
REQUEST, ANSWER = re.findall(r"```http\n(.*?)\n```", PAGE, re.DOTALL)
TARGET = "https://broker.example/v1/cases/outcome"
RFC_KEY = {"kty": "OKP", "crv": "Ed25519", "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}  # RFC 9421, B.1.4
KEYS = {name: keys.from_jwk({**RFC_KEY, "kid": name}) for name in ("example-key", "broker-example")}


def _read(message: str) -> tuple[dict[str, str], bytes]:
    head, _, body = message.partition("\n\n")
    return {
        name.lower(): value for name, value in (line.split(": ", 1) for line in head.split("\n")[1:])
    }, body.encode()


def test_the_request_of_the_example_verifies() -> None:
    headers, body = _read(REQUEST)
    verified = http_message.verify_request("POST", TARGET, headers, body, KEYS.get, 1793000010)
    assert (verified.key_id, verified.created) == ("example-key", 1793000000)
    with pytest.raises(CallerProblem, match="signature.stale"):
        http_message.verify_request("POST", TARGET, headers, body, KEYS.get, 1793000031)


def test_the_signed_text_of_the_example_is_what_the_key_signed() -> None:
    text = re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)[0]
    signature = http_message._signature_bytes(_read(REQUEST)[0]["signature"])
    assert KEYS["example-key"].verify(text.encode(), signature)


def test_the_answer_of_the_example_is_bound_to_its_request() -> None:
    headers, body = _read(ANSWER)
    question = http_message.Question("POST", TARGET, _read(REQUEST)[0]["signature"])
    assert http_message.verify_response(200, headers, body, question, KEYS.get, 1793000002).key_id == "broker-example"


def test_every_route_is_named() -> None:
    for route in ROUTES:
        assert route.path.replace("{number}", "{id}").rpartition("/")[2].partition("{")[0] in PAGE
