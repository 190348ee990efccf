"""A callback over a real socket: signed, believed only by its signature, sent again until it is taken."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from broker.bootstrap import open_office
from broker.client import callback_from
from broker.core.errors import CallerProblem
from broker.signing import keys
from tests.flow import kit


class Receiver(HTTPServer):
    """An approval system's side: answers with the next status of its list, and keeps what came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses = [503, 200]
        self.came: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        """Where callbacks go."""
        return f"http://127.0.0.1:{self.server_port}/callback"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.statuses.pop(0))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that fails once and then takes what comes."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_callback_is_signed_by_a_published_key_and_an_altered_one_is_not_believed(
    receiver: Receiver, tmp_path: Path, keys_folder: Path
) -> None:
    office = open_office(kit.settings(f"sqlite:///{tmp_path / 'broker.db'}", keys_folder), wake=kit.Bells())
    body = b'{"delivery":"d1","state":"decided"}'
    assert [office.parts.post(receiver.url, body) for _ in range(2)] == [503, 200]
    headers, received = receiver.came[1]
    published = keys.jwks(office.receipt_keys)
    assert callback_from(receiver.url, headers, received, published)["delivery"] == "d1"
    with pytest.raises(CallerProblem) as caught:
        callback_from(receiver.url, headers, received.replace(b"d1", b"d2"), published)
    assert caught.value.code == "signature.digest"
    with pytest.raises(CallerProblem) as caught:
        callback_from(receiver.url + "/elsewhere", headers, received, published)
    assert caught.value.code == "signature.invalid"
    office.close()


def test_where_nobody_answers_the_callback_is_not_taken(tmp_path: Path, keys_folder: Path) -> None:
    office = open_office(kit.settings(f"sqlite:///{tmp_path / 'broker.db'}", keys_folder), wake=kit.Bells())
    assert office.parts.post("http://127.0.0.1:1/callback", b"{}") == 0
    office.close()
