"""What a road can do to a conversation, over real sockets: each ends with its reason, and soon enough."""

from __future__ import annotations

import contextlib
import gzip
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker.core.answer import Answer, Reason
from broker.core.gate import Breaker
from broker.ports import Conversation, HttpRequest, HttpResponse, Repeat
from broker.transport.connection import MAX_BODY
from broker.transport.https import BRIEFLY, CONCURRENCY, REPEAT_SECONDS, HttpsTransport
from broker.transport.roads import FAILURES, SourceRoads
from tests.asking import SOURCES, answers_of

BUDGET = 0.6
SOURCE = replace(SOURCES["nr-title"], budget_ms=int(BUDGET * 1000))
LOOPBACK = "127.0.0.1"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

Script = Callable[[socket.socket], None]


class Scripted:
    """A server that does one thing with every request, on as many connections as are opened."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests = 0
        self.connections = 0
        self._stopped = threading.Event()
        self._server = socket.create_server((LOOPBACK, 0))
        self._server.settimeout(0.05)
        self.port = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._open: list[socket.socket] = []
        self._threads[0].start()

    def close(self) -> None:
        """Take no more connections, let what is being sent be sent, and wait for nobody's next request."""
        self._stopped.set()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        for thread in self._threads:
            thread.join()
        self._server.close()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._server.accept()
                self.connections += 1
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        with connection, contextlib.suppress(OSError):
            while not self._stopped.is_set() and self._read(connection):
                self.requests += 1
                self.script(connection)

    def _read(self, connection: socket.socket) -> bool:
        """One request with an empty body."""
        seen = b""
        while b"\r\n\r\n" not in seen:
            piece = connection.recv(65536)
            if not piece:
                return False
            seen += piece
        return True


def sending(*pieces: bytes, pause: float = 0.0, close: bool = False) -> Script:
    """Send these pieces with pauses between them, and hang up if asked to."""

    def script(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        if close:
            connection.shutdown(socket.SHUT_RDWR)

    return script


def whole(body: bytes = b"{}", head: bytes = OK) -> bytes:
    """A well-formed response."""
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.fixture
def transport() -> Iterator[HttpsTransport]:
    found = HttpsTransport()
    yield found
    found.close()


@contextlib.contextmanager
def scripted(script: Script) -> Iterator[Scripted]:
    server = Scripted(script)
    try:
        yield server
    finally:
        server.close()


def talk(port: int, requests: int = 1, scheme: str = "http") -> Conversation:
    """A conversation of so many requests that is content with any answer."""
    request = HttpRequest("POST", f"{scheme}://{LOOPBACK}:{port}/x", {"X-Request-Id": "lk-1"}, repeat=Repeat.SAFE)
    for _ in range(requests - 1):
        yield request
    response = yield request
    return Answer(Reason.VALID, {"body": response.body.decode()}, source_code=str(response.status))


def timed(transport: HttpsTransport, conversation: Conversation) -> Answer:
    """The answer, which must come within the budget and a second."""
    started = time.monotonic()
    [answer] = answers_of(transport.converse(SOURCE, [conversation]))
    assert time.monotonic() - started < BUDGET + 1.0
    return answer


ROADS: dict[str, tuple[Script, Reason]] = {
    "hang": (sending(pause=2.0), Reason.LATE),
    "hang-in-head": (sending(b"HTTP/1.1 200 OK\r\n", pause=2.0), Reason.LATE),
    "drip-in-head": (sending(*(bytes([byte]) for byte in whole()[:20]), pause=0.1), Reason.LATE),
    "drip-in-body": (
        sending(OK + b"Content-Length: 30\r\n\r\n", *[b" "] * 20, pause=0.1),
        Reason.LATE,
    ),
    "drip-in-chunks": (
        sending(OK + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * 20, pause=0.1),
        Reason.LATE,
    ),
    "huge-announced": (sending(OK + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1)), Reason.MALFORMED),
    "huge-in-chunks": (
        sending(OK + b"Transfer-Encoding: chunked\r\n\r\n", *[b"40000\r\n" + b" " * 0x40000 + b"\r\n"] * 5),
        Reason.MALFORMED,
    ),
    "huge-until-close": (sending(OK + b"\r\n", b" " * (MAX_BODY + 1), close=True), Reason.MALFORMED),
    "endless-head": (sending(OK + b"X: y\r\n" * 300 + b"\r\n"), Reason.MALFORMED),
    "long-header": (sending(OK + b"X: " + b"y" * 100_000 + b"\r\n\r\n"), Reason.MALFORMED),
    "redirect": (sending(whole(head=b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n")), Reason.MALFORMED),
    "error-500": (sending(whole(head=b"HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\n")), Reason.SOURCE_DOWN),
    "error-503": (sending(whole(head=b"HTTP/1.1 503 Oops\r\nRetry-After: 1\r\n")), Reason.SOURCE_DOWN),
    "throttled": (sending(whole(head=b"HTTP/1.1 429 Slow\r\nRetry-After: 1\r\n")), Reason.THROTTLED),
    "truncated": (sending(OK + b"Content-Length: 30\r\n\r\n{", close=True), Reason.MALFORMED),
    "truncated-chunk": (
        sending(OK + b"Transfer-Encoding: chunked\r\n\r\n1e\r\n{", close=True),
        Reason.MALFORMED,
    ),
    "bad-chunk": (sending(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), Reason.MALFORMED),
    "bad-length": (sending(OK + b"Content-Length: 3, 4\r\n\r\n{}"), Reason.MALFORMED),
    "page": (sending(whole(b"<html>", b"HTTP/1.1 200 OK\r\nContent-Type: Text/HTML\r\n")), Reason.MALFORMED),
    "gzip": (sending(whole(gzip.compress(b"{}"), OK + b"Content-Encoding: gzip\r\n")), Reason.MALFORMED),
    "no-http": (sending(b"220 smtp.example ESMTP\r\n", close=True), Reason.MALFORMED),
    "hang-up": (sending(close=True), Reason.SOURCE_DOWN),
}


@pytest.mark.parametrize("name", ROADS)
def test_each_road_has_its_reason(transport: HttpsTransport, name: str) -> None:
    """Twice, for what one answer leaves on the connection must not reach the next."""
    script, reason = ROADS[name]
    with scripted(script) as server:
        for _ in range(2):
            assert timed(transport, talk(server.port)).reason is reason
        asked = 4 if name == "hang-up" else 2  # what nobody has answered is asked once more
        assert server.requests == asked, "a request was repeated or swallowed"


def first(script: Script, then: Script) -> Script:
    """Do one thing with the first request and another with all that follow."""
    scripts = iter([script])

    def turn(connection: socket.socket) -> None:
        next(scripts, then)(connection)

    return turn


SOON = b"\r\nRetry-After: 0\r\n"


@pytest.mark.parametrize(
    ("script", "reason", "requests"),
    [
        (sending(close=True), Reason.VALID, 2),
        (sending(whole(head=b"HTTP/1.1 503 Oops" + SOON)), Reason.VALID, 2),
        (sending(whole(head=b"HTTP/1.1 429 Slow" + SOON)), Reason.VALID, 2),
        (sending(whole(head=b"HTTP/1.1 429 Slow\r\nRetry-After: 1\r\n")), Reason.THROTTLED, 1),
        (sending(whole(head=b"HTTP/1.1 429 Slow\r\nRetry-After: soon\r\n")), Reason.THROTTLED, 1),
        (sending(whole(head=b"HTTP/1.1 429 Slow\r\n")), Reason.THROTTLED, 1),
        (sending(whole(head=b"HTTP/1.1 503 Oops\r\n")), Reason.SOURCE_DOWN, 1),
        (sending(whole(head=b"HTTP/1.1 500 Oops" + SOON)), Reason.SOURCE_DOWN, 1),
        (sending(OK + b"Content-Length: 30\r\n\r\n{", close=True), Reason.MALFORMED, 1),
    ],
)
def test_only_what_nobody_answered_or_the_source_asks_for_is_repeated_once(
    transport: HttpsTransport, script: Script, reason: Reason, requests: int
) -> None:
    with scripted(first(script, sending(whole()))) as server:
        assert timed(transport, talk(server.port)).reason is reason
        assert server.requests == requests


def test_a_request_is_repeated_no_more_than_once(transport: HttpsTransport) -> None:
    with scripted(sending(whole(head=b"HTTP/1.1 503 Oops" + SOON))) as server:
        assert timed(transport, talk(server.port)).reason is Reason.SOURCE_DOWN
        assert server.requests == 2


def test_where_nobody_listens_we_look_once_more(transport: HttpsTransport) -> None:
    """A source that is being restarted: its port is closed, and open again a moment later."""
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    began = time.monotonic()
    assert timed(transport, talk(port)).reason is Reason.SOURCE_DOWN
    assert time.monotonic() - began >= REPEAT_SECONDS[0]


def test_the_roads_are_told_of_each_conversation_whatever_the_source_says() -> None:
    roads = SourceRoads()
    transport = HttpsTransport(roads=roads)
    good, broken = sending(whole()), sending(whole(head=b"HTTP/1.1 500 Oops\r\n"))
    try:
        with scripted(good) as server:
            timed(transport, talk(server.port))
            server.script = broken
            for _ in range(FAILURES - 1):
                timed(transport, talk(server.port))
            assert roads.travelled(SOURCE.key).breaker is Breaker.CLOSED
            timed(transport, talk(server.port))
            travelled = roads.travelled(SOURCE.key)
            assert (travelled.breaker, len(travelled.durations_ms)) == (Breaker.OPEN, 1)
            roads.follow(SOURCE.key, Breaker.HALF_OPEN)
            server.script = good
            timed(transport, talk(server.port))
            assert roads.travelled(SOURCE.key).breaker is Breaker.CLOSED
    finally:
        transport.close()


def test_what_a_source_cannot_do_is_a_failure_of_its_road_and_a_pause_must_fit() -> None:
    """Whoever answers "exception" is no better than who does not answer; and nobody waits beyond the budget."""
    roads = SourceRoads()
    transport = HttpsTransport(roads=roads)
    try:
        with scripted(sending(whole())) as server:
            for _ in range(FAILURES):
                assert timed(transport, excepting(server.port, 0.01)).reason is Reason.SOURCE_DOWN
            travelled = roads.travelled(SOURCE.key)
            assert (travelled.breaker, travelled.calls) == (Breaker.OPEN, 2 * FAILURES)
            assert timed(transport, excepting(server.port, BUDGET)).reason is Reason.SOURCE_DOWN
            assert roads.travelled(SOURCE.key).calls == 1
    finally:
        transport.close()


def excepting(port: int, pause: float) -> Generator[HttpRequest, HttpResponse, Answer]:
    """A conversation whose source asks for patience, and then says that it cannot."""
    request = HttpRequest("POST", f"http://{LOOPBACK}:{port}/x", repeat=Repeat.SAFE)
    yield request
    yield replace(request, after=pause)
    return Answer(Reason.SOURCE_DOWN, source_code="99")


DATED = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"


@pytest.mark.parametrize(
    ("head", "pause"),
    [
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 120\r\n", 120.0),
        (b"HTTP/1.1 503 Oops\r\nRetry-After: 30\r\n", 30.0),
        (b"HTTP/1.1 429 Slow\r\n" + DATED + b"Retry-After: Sun, 06 Nov 1994 08:51:37 GMT\r\n", 120.0),
        (b"HTTP/1.1 429 Slow\r\nRetry-After: Sun, 06 Nov 1994 08:51:37 GMT\r\n", BRIEFLY),
        (b"HTTP/1.1 429 Slow\r\nRetry-After: soon\r\n", BRIEFLY),
        (b"HTTP/1.1 429 Slow\r\n", BRIEFLY),
        (b"HTTP/1.1 503 Oops\r\n", 0.0),
        (OK, 0.0),
    ],
)
def test_the_roads_are_told_for_how_long_a_source_wants_to_be_left_alone(head: bytes, pause: float) -> None:
    roads = SourceRoads()
    transport = HttpsTransport(roads=roads)
    try:
        with scripted(sending(whole(head=head))) as server:
            timed(transport, talk(server.port))
            assert roads.travelled(SOURCE.key).pause_s == pause
            assert roads.travelled(SOURCE.key).pause_s == 0.0
    finally:
        transport.close()


def test_the_roads_are_told_how_many_requests_went_out() -> None:
    """Repeated ones too; a connection that did not come about sends none."""
    roads = SourceRoads()
    transport = HttpsTransport(roads=roads)
    try:
        with scripted(first(sending(close=True), sending(whole()))) as server:
            timed(transport, talk(server.port, requests=3))
            port = server.port
        assert roads.travelled(SOURCE.key).calls == 4
        timed(transport, talk(port))
        travelled = roads.travelled(SOURCE.key)
        assert (travelled.calls, len(travelled.durations_ms)) == (0, 1)
    finally:
        transport.close()


def test_who_sent_nothing_says_nothing_of_the_road() -> None:
    """Neither that it holds, nor how long it is: an open breaker stays open until somebody was really there."""
    roads = SourceRoads()
    transport = HttpsTransport(roads=roads)
    try:
        roads.follow(SOURCE.key, Breaker.HALF_OPEN)
        assert timed(transport, silent()).reason is Reason.INSUFFICIENT
        assert timed(transport, talk(80, scheme="ftp")).reason is Reason.NOT_CONFIGURED
        travelled = roads.travelled(SOURCE.key)
        assert (travelled.breaker, list(travelled.durations_ms)) == (Breaker.HALF_OPEN, [])
    finally:
        transport.close()


def silent() -> Generator[HttpRequest, HttpResponse, Answer]:
    """A conversation that has nothing to send."""
    yield from ()
    return Answer(Reason.INSUFFICIENT)


def test_a_good_answer_arrives_whole_and_its_connection_is_kept(transport: HttpsTransport) -> None:
    body = b"x" * (MAX_BODY - 1)
    with scripted(sending(whole(body))) as server:
        for _ in range(3):
            answer = timed(transport, talk(server.port, requests=2))
            assert answer.fields["body"] == body.decode()
        assert (server.requests, server.connections) == (6, 1)


@pytest.mark.parametrize(
    "head", [OK + b"Connection: close\r\nContent-Length: 7\r\n\r\n", OK + b"\r\n", b"HTTP/1.0 200 OK\r\n\r\n"]
)
def test_an_answer_that_ends_with_its_connection_arrives_whole(transport: HttpsTransport, head: bytes) -> None:
    with scripted(sending(head, b'{"a":', b"1}", pause=0.02, close=True)) as server:
        for _ in range(2):
            assert timed(transport, talk(server.port)).fields["body"] == '{"a":1}'
        assert server.connections == 2


@pytest.mark.parametrize("status", [200, 204, 400, 401, 404])
def test_the_connector_sees_every_other_status(transport: HttpsTransport, status: int) -> None:
    head = b"HTTP/1.1 %d X\r\n" % status
    with scripted(sending(head + b"\r\n" if status == 204 else whole(b"", head))) as server:
        assert timed(transport, talk(server.port)).source_code == str(status)


def test_the_budget_is_for_the_whole_conversation(transport: HttpsTransport) -> None:
    """Each single request would be within it."""
    with scripted(sending(b"", whole(), pause=BUDGET / 4)) as server:
        assert timed(transport, talk(server.port, requests=9)).reason is Reason.LATE


def test_nobody_there_is_down(transport: HttpsTransport) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    assert timed(transport, talk(port)).reason is Reason.SOURCE_DOWN
    assert timed(transport, talk(port, scheme="ftp")).reason is Reason.NOT_CONFIGURED


def test_a_connection_the_server_closed_while_idle_is_replaced(transport: HttpsTransport) -> None:
    script = sending(whole(), close=True)
    with scripted(script) as server:
        for _ in range(3):
            assert timed(transport, talk(server.port)).reason is Reason.VALID
            time.sleep(0.02)
        assert server.connections == 3


def test_a_batch_is_asked_at_the_same_time_and_answered_in_order(transport: HttpsTransport) -> None:
    with scripted(sending(b"", whole(), pause=BUDGET / 4)) as server:
        started = time.monotonic()
        answers = answers_of(transport.converse(SOURCE, [numbered(server.port, one) for one in range(CONCURRENCY)]))
        assert time.monotonic() - started < 3 * BUDGET
    assert [answer.source_code for answer in answers] == [str(number) for number in range(CONCURRENCY)]


def numbered(port: int, number: int) -> Conversation:
    """A conversation that can be told from its neighbours."""
    yield HttpRequest("POST", f"http://{LOOPBACK}:{port}/x", repeat=Repeat.SAFE)
    return Answer(Reason.VALID, source_code=str(number))


def test_a_connector_that_breaks_costs_its_own_answer_only(
    transport: HttpsTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """And nothing of what it held in its hands is logged."""
    with scripted(sending(whole())) as server, caplog.at_level(logging.DEBUG, "broker"):
        talks = [numbered(server.port, 1), broken(server.port), numbered(server.port, 3)]
        answers = answers_of(transport.converse(SOURCE, talks))
    assert [answer.reason for answer in answers] == [Reason.VALID, Reason.MALFORMED, Reason.VALID]
    assert len(caplog.records) == 1
    assert "370499" not in str(caplog.records[0].__dict__)


def broken(port: int) -> Generator[HttpRequest, HttpResponse, Answer]:
    """A connector with a fault."""
    yield HttpRequest("POST", f"http://{LOOPBACK}:{port}/x", repeat=Repeat.SAFE)
    raise KeyError("370499199003100014")


def test_no_proxy_of_the_environment_is_asked(transport: HttpsTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with scripted(sending(whole())) as server:
        assert timed(transport, talk(server.port)).reason is Reason.VALID


# ---- TLS


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one PEM file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    here = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM) + private)
    return path


class ScriptedTls(Scripted):
    """The same behind TLS."""

    def __init__(self, script: Script, certificate: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        super().__init__(script)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            super()._serve(self._context.wrap_socket(connection, server_side=True))
        connection.close()


def talk_tls(port: int) -> Conversation:
    """One request to the name in the certificate."""
    yield HttpRequest("POST", f"https://localhost:{port}/x", repeat=Repeat.SAFE)
    return Answer(Reason.VALID)


@pytest.mark.parametrize(
    ("script", "reason"),
    [(sending(whole()), Reason.VALID), (ROADS["drip-in-head"][0], Reason.LATE), (sending(pause=2.0), Reason.LATE)],
)
def test_a_known_authority_is_trusted_and_kept_to_the_deadline(
    certificate: Path, script: Script, reason: Reason
) -> None:
    transport = HttpsTransport(ca_file=str(certificate))
    server = ScriptedTls(script, certificate)
    try:
        for _ in range(2):
            assert timed(transport, talk_tls(server.port)).reason is reason
    finally:
        server.close()
        transport.close()


def test_a_verified_connection_is_kept(certificate: Path) -> None:
    """What TLS itself sends after the handshake, such as tickets, is not taken for a server that speaks unasked."""
    transport = HttpsTransport(ca_file=str(certificate))
    server = ScriptedTls(sending(whole()), certificate)
    try:
        for _ in range(3):
            assert timed(transport, talk_tls(server.port)).reason is Reason.VALID
        assert (server.requests, server.connections) == (3, 1)
    finally:
        transport.close()
        server.close()


def test_an_unknown_authority_and_a_wrong_name_are_not_trusted(transport: HttpsTransport, certificate: Path) -> None:
    server = ScriptedTls(sending(whole()), certificate)
    knowing = HttpsTransport(ca_file=str(certificate))
    try:
        assert timed(transport, talk_tls(server.port)).reason is Reason.UNTRUSTED
        assert timed(knowing, talk(server.port, scheme="https")).reason is Reason.UNTRUSTED
    finally:
        server.close()
        knowing.close()
    assert server.requests == 0, "something was asked before the far end was known"


def test_a_server_without_tls_is_down(transport: HttpsTransport) -> None:
    with scripted(sending(whole())) as server:
        assert timed(transport, talk_tls(server.port)).reason in {Reason.SOURCE_DOWN, Reason.LATE}
