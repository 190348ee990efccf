"""A client in another language, made of public packages alone: it asks, and verifies what it is answered and given."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from broker.core.envelope import Algorithm
from broker.flow.register import register_grant
from broker.signing import keys
from broker.web.app import create_app, published_keys
from tests.interop.installed import node_client
from tests.unit.web_ground import PUBLIC_URL, Ground, enrol, lay_ground


@dataclass
class Node:
    """The client's process, and a line to it."""

    process: subprocess.Popen[str]

    def say(self, act: str, **told: Any) -> Any:
        """Let it do something, and hear what came of it."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        print(json.dumps({"act": act, **told}), file=stdin, flush=True)
        return json.loads(stdout.readline())

    def get(self, path: str) -> Any:
        """A signed request whose answer it has verified."""
        return self._sent(method="GET", path=path)

    def post(self, path: str, document: Any) -> Any:
        """The same with a body."""
        return self._sent(method="POST", path=path, document=document)

    def _sent(self, **told: Any) -> Any:
        answer = self.say("send", **told)
        assert "error" not in answer, answer["error"]
        return answer


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture(params=list(Algorithm), ids=str)
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """A broker that signs with this algorithm."""
    found = lay_ground(tmp_path)
    signer = keys.generate(request.param, "broker-2")
    found.parts.signer = signer
    found.surface = replace(found.surface, keys=[signer.verifier()])
    found.app = create_app(found.parts, found.surface)
    yield found
    found.database.dispose()


@pytest.fixture
def node(ground: Ground) -> Iterator[Node]:
    """The client, registered at the broker with a key it has made itself, of the broker's own algorithm."""
    with make_server("127.0.0.1", 0, ground.app, handler_class=_Quiet) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with subprocess.Popen(node_client(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            client, algorithm = Node(process), ground.parts.signer.algorithm
            begun = client.say(
                "begin", algorithm=algorithm, address=f"http://127.0.0.1:{server.server_port}", base=PUBLIC_URL,
                keyid="node-1", jwks=published_keys(ground.surface),
            )  # fmt: skip
            key = keys.from_jwk(begun["jwk"] | {"kid": "node-1"})
            assert key.algorithm is algorithm
            enrol(ground, "node", cast("keys.PrivateKey", _Registered(key)))
            for source in ("licences", "people"):
                granted = replace(ground.grant(f"node-{source}", source), client="node")
                register_grant(ground.parts, granted)
            yield client
            process.kill()
        server.shutdown()


class _Registered:
    """What registering a client's key needs of it: only the public half is here."""

    def __init__(self, key: keys.PublicKey) -> None:
        self.key_id, self.algorithm, self.public, self._key = key.key_id, key.algorithm, key.public, key

    def verifier(self) -> keys.PublicKey:
        return self._key


def test_a_client_of_public_packages_is_understood_and_understands(ground: Ground, node: Node) -> None:
    """It signs, we accept; we sign, it accepts – the answers, and the receipt with its payload as we read it."""
    submitted = node.post("/v1/verifications", ground.request())
    assert submitted["status"] == 202, submitted
    ground.settle_all()
    number = json.loads(submitted["text"])["id"]
    read = node.get(f"/v1/verifications/{number}")
    assert (read["status"], json.loads(read["text"])["state"]) == (200, "decided")
    token = node.get(f"/v1/verifications/{number}/receipt")["text"]
    says = node.say("receipt", token=token)
    assert says["verification"] == number
    salt = json.loads(read["text"])["request"]["salt"]
    sent = bytes.fromhex(salt) + submitted["body"].encode()
    assert says["request"]["digest"] == hashlib.sha256(sent).hexdigest(), "the receipt answers what it sent"
    middle = token.split(".")[1]
    assert says == json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


def test_it_believes_no_receipt_that_was_touched(ground: Ground, node: Node) -> None:
    number = json.loads(node.post("/v1/verifications", ground.request())["text"])["id"]
    ground.settle_all()
    head, payload, signature = node.get(f"/v1/verifications/{number}/receipt")["text"].split(".")
    other = payload[:20] + ("A" if payload[20] != "A" else "B") + payload[21:]
    assert "refused" in node.say("receipt", token=f"{head}.{other}.{signature}")
    assert "refused" in node.say("receipt", token=f"{head}.{payload}.{'A' * len(signature)}")


def test_a_refusal_is_signed_too(ground: Ground, node: Node) -> None:
    refused = node.get(f"/v1/verifications/{'0' * 32}")
    assert (refused["status"], json.loads(refused["text"])["code"]) == (404, "verification.unknown")


def test_it_finds_an_answer_that_another_key_has_signed(ground: Ground, node: Node) -> None:
    ground.parts.signer = keys.generate(ground.parts.signer.algorithm, "broker-2")
    with pytest.raises(AssertionError, match="signature"):
        node.get(f"/v1/verifications/{'0' * 32}")
