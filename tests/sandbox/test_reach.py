"""The road to an endpoint, tried by its parts: the real adapter and the fake keep one contract."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.ports.reach import Reach
from broker.sandbox.door import CA_FILE, make_certificates
from broker.transport.reach import RoadParts
from tests.reach import ScriptedReach

NOWHERE = f"{'a' * 64}.example"  # no name at all, so that nobody need be asked for it
SHOWN = {"tls_expired": "expired", "tls_wrong_name": "name", "tls_wrong_ca": "issuer", "plain": "handshake"}


class Listener:
    """Accepts, speaks TLS where it has a certificate, and keeps every byte that it is told."""

    def __init__(self, certificate: Path | None) -> None:
        self.heard = b""
        self._context = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._keep)
        self._thread.start()

    def _keep(self) -> None:
        while True:
            try:
                caller, _ = self._server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), caller:
                caller.settimeout(5)
                if self._context is None:
                    caller.recv(1)  # the beginning of a handshake, which nobody answers
                    continue
                with self._context.wrap_socket(caller, server_side=True) as secured:
                    self.heard += secured.recv(100)

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Listener], Path]]:
    """A listener for each certificate that may be shown, and one that speaks no TLS; the authority that we believe."""
    folder = tmp_path_factory.mktemp("doors")
    made = {name: Listener(path) for name, path in make_certificates(folder).items()} | {"plain": Listener(None)}
    yield made, folder / CA_FILE
    for one in made.values():
        one.close()


@pytest.fixture(params=["real", "fake"])
def reach(request: pytest.FixtureRequest, places: tuple[dict[str, Listener], Path]) -> Reach:
    """Both keep what the tests below say."""
    if request.param == "real":
        return RoadParts(str(places[1]))
    return ScriptedReach({(NOWHERE, "dns"): "unknown", ("127.0.0.1", "tcp"): "refused"})


@pytest.fixture
def url(places: tuple[dict[str, Listener], Path]) -> str:
    """Where somebody listens."""
    return f"localhost:{places[0]['ok'].port}"


def outcome(reach: Reach, endpoint: str) -> list[tuple[str, str]]:
    return [(one.step, one.cause) for one in reach.tried(endpoint)]


@pytest.mark.parametrize("endpoint", ["", "sqlite:///a.db", "people"])
def test_what_is_no_place_in_a_network_has_no_road(reach: Reach, endpoint: str) -> None:
    assert outcome(reach, endpoint) == []


def test_each_part_is_told_in_order_and_a_certificate_only_where_there_is_one(reach: Reach, url: str) -> None:
    assert outcome(reach, f"https://{url}/api") == [("dns", ""), ("tcp", ""), ("tls", "")]
    assert outcome(reach, f"http://{url}/api") == [("dns", ""), ("tcp", "")]
    assert outcome(reach, f"postgresql+psycopg://reader@{url}/x") == [("dns", ""), ("tcp", "")]
    assert all(one.found for one in reach.tried(f"https://{url}"))


def test_the_first_part_that_fails_is_the_last_and_says_why(reach: Reach) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert outcome(reach, f"https://{NOWHERE}/") == [("dns", "unknown")]
    assert outcome(reach, f"https://127.0.0.1:{port}/") == [("dns", ""), ("tcp", "refused")]


@pytest.mark.parametrize(("shown", "cause"), SHOWN.items())
def test_a_certificate_says_what_is_wrong_with_it(
    places: tuple[dict[str, Listener], Path], shown: str, cause: str
) -> None:
    """As with the fake: name and port hold, and the handshake ends it."""
    listeners, ca_file = places
    told = outcome(RoadParts(str(ca_file)), f"https://localhost:{listeners[shown].port}")
    assert told == [("dns", ""), ("tcp", ""), ("tls", cause)]
    assert told == outcome(ScriptedReach({("localhost", "tls"): cause}), "https://localhost")


def test_nothing_is_asked_and_nothing_of_an_account_is_told(places: tuple[dict[str, Listener], Path]) -> None:
    listeners, ca_file = places
    for _ in range(2):
        told = list(RoadParts(str(ca_file)).tried(f"https://reader:geheim@localhost:{listeners['ok'].port}/api?key=1"))
        assert not [one for one in told if "geheim" in one.found or "reader" in one.found or "key" in one.found]
    assert listeners["ok"].heard == b""
