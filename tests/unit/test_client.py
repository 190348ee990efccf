"""The approval system's side: it believes only what the broker signed for the very request it sent."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from broker.client import (
    Answer,
    BrokerClient,
    NotTheBroker,
    Refused,
    Road,
    callback_from,
    keys_for,
    pooled_road,
    requests_road,
    verify_offline,
)
from broker.core.envelope import Algorithm, Signer
from broker.core.errors import CallerProblem
from broker.signing import http_message, keys
from broker.web.app import published_keys
from tests.unit.web_ground import CLERK, JSON, PUBLIC_URL, Ground, enrol, lay_ground


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = lay_ground(tmp_path)
    yield ground
    ground.database.dispose()


def _client(ground: Ground, road: Road | None = None) -> BrokerClient:
    return BrokerClient(PUBLIC_URL, ground.signer, published_keys(ground.surface), road=road or ground.road())


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_client_goes_the_whole_way_with_every_kind_of_key(ground: Ground, algorithm: Algorithm) -> None:
    signer = keys.generate(algorithm, "client-key")
    enrol(ground, "other", signer)
    client = BrokerClient(PUBLIC_URL, signer, road=ground.road())
    with pytest.raises(Refused) as refused:  # known, verified, answered – and without a grant
        client.submit(ground.request())
    assert (refused.value.code, refused.value.status) == ("grant.none", 403)
    assert refused.value.problem["next"]["en"] == "Apply to the source department for a grant"


def test_submit_read_receipt_bundle_and_close(ground: Ground) -> None:
    client = _client(ground)
    view = client.submit(ground.request())
    assert client.read(view["id"], wait=0)["state"] == "admitted"
    ground.settle_all()
    assert client.read(view["id"])["receipt"] == client.receipt(view["id"])
    with pytest.raises(Refused, match="log.not-yet"):
        client.bundle(view["id"])
    ground.sequenced()
    verified = verify_offline(client.bundle(view["id"]), client.jwks())
    assert verified.payload["verification"] == view["id"]
    assert set(client.proof(view["id"])) == {"entry", "proof"}
    assert client.close_case(view["case"]["number"], "approved", CLERK)["state"] == "closed"
    assert client.guide("370400", item="food-licence")["counts"]["materials"] == 3


def test_a_bundle_may_be_waited_for_until_the_log_has_it(ground: Ground) -> None:
    client = _client(ground)
    view = ground.decided()
    worker = threading.Timer(0.1, ground.sequenced)
    worker.start()
    assert json.loads(client.bundle(view["id"], patience=5))["proof"]
    worker.join()


def test_the_key_set_is_fetched_once_where_none_is_given(ground: Ground) -> None:
    urls: list[str] = []
    inner = ground.road()

    def road(method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float) -> Answer:
        urls.append(url)
        return inner(method, url, headers, body, seconds)

    client = BrokerClient(PUBLIC_URL, ground.signer, road=road)
    client.submit(ground.request())
    client.submit(ground.request())
    assert urls.count(f"{PUBLIC_URL}/.well-known/jwks.json") == 1


# --- what is not to be believed --------------------------------------------------------------------------------------

Tamper = Callable[[Answer], Answer]
TAMPERINGS: dict[str, Tamper] = {
    "another status": lambda a: a._replace(status=200),
    "another body": lambda a: a._replace(body=a.body.replace(b"admitted", b"decided")),
    "no signature": lambda a: a._replace(headers={k: v for k, v in a.headers.items() if k != "signature"}),
    "another media type": lambda a: a._replace(headers={**a.headers, "content-type": "text/html"}),
    "a proxy's page": lambda _: Answer(502, {"content-type": "text/html"}, b"<h1>Bad gateway</h1>"),
}


@pytest.mark.parametrize("tamper", TAMPERINGS.values(), ids=TAMPERINGS)
def test_an_answer_that_was_altered_on_the_road_is_not_the_broker_s(ground: Ground, tamper: Tamper) -> None:
    inner = ground.road()

    def road(method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float) -> Answer:
        return tamper(inner(method, url, headers, body, seconds))

    with pytest.raises(NotTheBroker):
        _client(ground, road).submit(ground.request())


def test_the_answer_to_another_request_is_not_believed(ground: Ground) -> None:
    inner = ground.road()
    kept: list[Answer] = []

    def road(method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float) -> Answer:
        kept.append(inner(method, url, headers, body, seconds))
        return kept[0]

    client, document = _client(ground, road), ground.request()
    client.submit(document)
    with pytest.raises(NotTheBroker, match="signature.invalid"):
        client.submit(document)  # even to the same document: the signature it was bound to is another


def test_a_log_key_signs_no_answers(ground: Ground) -> None:
    document = published_keys(ground.surface)
    for one in document["keys"]:
        one["roles"] = ["log"]
    with pytest.raises(NotTheBroker, match="signature.unknown-key"):
        BrokerClient(PUBLIC_URL, ground.signer, document, road=ground.road()).submit(ground.request())


def test_a_public_answer_that_is_no_json_object_is_not_the_broker_s(ground: Ground) -> None:
    client = _client(ground, lambda *_: Answer(200, {}, b"[]"))
    with pytest.raises(NotTheBroker):
        client.guide("370400", item="x")


def test_a_key_without_roles_may_play_any(ground: Ground) -> None:
    plain = keys.jwks([ground.signer])
    assert list(keys_for(plain, "receipt")) == list(keys_for(plain, "log")) == ["k1"]


def test_a_forged_receipt_does_not_verify_offline(ground: Ground) -> None:
    view = ground.decided()
    head, payload, signature = view["receipt"].split(".")
    forged = f"{head}.{payload[:-2]}AA.{signature}".encode()
    with pytest.raises(CallerProblem, match="envelope"):
        verify_offline(forged, published_keys(ground.surface))


# --- callbacks -------------------------------------------------------------------------------------------------------


def test_a_callback_is_believed_only_from_the_broker_and_for_this_address(ground: Ground) -> None:
    url, body = "https://approval.example/told", b'{"delivery":"d1","state":"decided"}'
    jwks = published_keys(ground.surface)

    def told(signer: Signer, to: str = url) -> dict[str, str]:
        headers = http_message.sign_request("POST", to, body, JSON, signer, int(time.time()), "n" * 32)
        return {name.lower(): value for name, value in headers.items()} | {"content-type": JSON}

    assert callback_from(url, told(ground.parts.signer), body, jwks)["delivery"] == "d1"
    with pytest.raises(CallerProblem, match="signature.unknown-key"):
        callback_from(url, told(ground.signer), body, jwks)
    with pytest.raises(CallerProblem, match="signature.invalid"):
        callback_from(url, told(ground.parts.signer, "https://other.example/told"), body, jwks)
    with pytest.raises(CallerProblem, match="signature.digest"):
        callback_from(url, told(ground.parts.signer), body + b" ", jwks)


# --- the real roads --------------------------------------------------------------------------------------------------


class _Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it was sent; redirects where told to."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(302 if self.path == "/elsewhere" else 409)
        self.send_header("Location", "/nowhere")
        self.send_header("X-Seen", self.headers["X-Mine"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.real_network  # the two roads are nothing but their sockets
@pytest.mark.parametrize("make", [requests_road, pooled_road])
def test_a_road_carries_bytes_and_headers_and_follows_no_redirect(make: Callable[[], Road]) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base, road = f"http://127.0.0.1:{server.server_port}", make()
        for path, status in (("/", 409), ("/elsewhere", 302)):
            answer = road("POST", base + path, {"X-Mine": "7"}, b"\x00\xff", 5)
            assert (answer.status, answer.headers["x-seen"], answer.body) == (status, "7", b"\x00\xff")
        server.shutdown()
