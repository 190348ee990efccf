"""Our own HTTP/1.1 connection: what is never sent, what is reused, what is asked once more, and where reading ends."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from broker.core.answer import Answer, Reason
from broker.ports import Conversation, HttpRequest, Repeat
from broker.transport import deadline
from broker.transport.connection import MAX_BODY, Connection, HungUp, Malformed, Pool, connect, written
from broker.transport.https import HttpsTransport
from tests.asking import SOURCES

# A fake socket would only repeat what we believe of sockets: how a kept connection dies is the kernel's to say.
pytestmark = pytest.mark.real_network

LOOPBACK = "127.0.0.1"
SOURCE = replace(SOURCES["nr-title"], budget_ms=600)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

Turn = Callable[[socket.socket], None]


class Turns:
    """A server that takes one turn per connection, in order; a turn reads and writes as it likes, then hangs up."""

    def __init__(self, *turns: Callable[[Turns], Turn]) -> None:
        self.taken = 0
        self.requests: list[bytes] = []
        self._turns = [make(self) for make in turns]
        self._open: list[socket.socket] = []
        self._server = socket.create_server((LOOPBACK, 0))
        self._server.settimeout(0.05)
        self.port = self._server.getsockname()[1]
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Take no more connections and hang up on the open ones."""
        self._stopped.set()
        self._threads[0].join()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._server.close()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._server.accept()
                turn = self._turns[min(self.taken, len(self._turns) - 1)]
                self.taken += 1
                self._open.append(connection)
                thread = threading.Thread(target=self._take, args=(turn, connection))
                self._threads.append(thread)
                thread.start()

    def _take(self, turn: Turn, connection: socket.socket) -> None:
        connection.settimeout(3)
        with connection, contextlib.suppress(OSError):
            turn(connection)

    def read(self, connection: socket.socket) -> bytes:
        """One request, whole, noted; empty at the end."""
        seen = b""
        while b"\r\n\r\n" not in seen:
            piece = connection.recv(65536)
            if not piece:
                return b""
            seen += piece
        self.requests.append(seen)
        return seen


@contextlib.contextmanager
def served(*turns: Callable[[Turns], Turn]) -> Iterator[Turns]:
    server = Turns(*turns)
    try:
        yield server
    finally:
        server.close()


def answering(*responses: bytes) -> Callable[[Turns], Turn]:
    """Answer so many requests on one connection, then read one more and hang up without a byte."""

    def make(server: Turns) -> Turn:
        def turn(connection: socket.socket) -> None:
            for response in responses:
                if not server.read(connection):
                    return
                connection.sendall(response)
            server.read(connection)

        return turn

    return make


@pytest.fixture
def transport() -> Iterator[HttpsTransport]:
    found = HttpsTransport()
    yield found
    found.close()


def talk(port: int, headers: Mapping[str, str], body: bytes = b"", repeat: Repeat = Repeat.SAFE) -> Conversation:
    response = yield HttpRequest("POST", f"http://{LOOPBACK}:{port}/x", headers, body, repeat)
    return Answer(Reason.VALID, {"body": response.body.decode(), **response.headers}, source_code=str(response.status))


def ask(transport: HttpsTransport, port: int, **headers: str) -> Answer:
    return told(transport, talk(port, headers))


def told(transport: HttpsTransport, conversation: Conversation) -> Answer:
    reply = transport.converse(SOURCE, [conversation])[0]
    assert isinstance(reply, Answer)
    return reply


# ---- what is sent


def test_a_request_is_its_line_its_headers_and_its_body() -> None:
    assert written("POST", "/x?y=1", "host:81", {"X-Request-Id": "lk-1"}, b"{}") == (
        b"POST /x?y=1 HTTP/1.1\r\nHost: host:81\r\nConnection: keep-alive\r\nAccept-Encoding: identity\r\n"
        b"X-Request-Id: lk-1\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert b"Content-Length: 0\r\n\r\n" in written("POST", "/", "host", {}, b"")
    assert b"Content-Length" not in written("GET", "/", "host", {}, b"")


BAD_HEADERS = {
    "line-in-value": {"X": "a\r\nEvil: b"},
    "cr-in-value": {"X": "a\rb"},
    "lf-in-value": {"X": "a\nb"},
    "lf-at-the-end": {"X": "a\n"},
    "nul-in-value": {"X": "a\0"},
    "line-in-name": {"X: a\r\nEvil": "b"},
    "lf-after-name": {"X\n": "b"},
    "colon-in-name": {"X:": "b"},
    "empty-name": {"": "b"},
    "beyond-latin-1": {"X": "张"},
    "length": {"content-length": "0"},
    "framing": {"Transfer-Encoding": "chunked"},
    "host": {"HOST": "elsewhere"},
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_a_header_that_could_be_read_as_another_is_never_sent(
    transport: HttpsTransport, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    with served(answering(OK)) as server, caplog.at_level(logging.DEBUG, "broker"):
        assert ask(transport, server.port, **BAD_HEADERS[name]).reason is Reason.MALFORMED
        assert (server.taken, server.requests) == (0, [])
    assert "Evil" not in str([record.__dict__ for record in caplog.records]), "a header's text was logged"


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: b", "/a\n", "/张", "/\x7f"])
def test_a_url_that_could_be_read_as_more_is_never_sent(transport: HttpsTransport, path: str) -> None:
    def conversation(port: int) -> Conversation:
        yield HttpRequest("POST", f"http://{LOOPBACK}:{port}{path}")
        return Answer(Reason.VALID)

    with served(answering(OK)) as server:
        assert told(transport, conversation(server.port)).reason is Reason.MALFORMED
        assert server.taken == 0


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "get", "POST /y HTTP/1.1\r\nX:"])
def test_methods_whose_responses_are_read_otherwise_are_not_sent(method: str) -> None:
    with pytest.raises(ValueError, match="request line"):
        written(method, "/", "host", {}, b"")


# ---- what is reused


def pair() -> tuple[Connection, socket.socket]:
    ours, theirs = socket.socketpair()
    return Connection(ours), theirs


def used(connection: Connection, theirs: socket.socket, response: bytes = OK) -> Connection:
    deadline.begin(1)
    theirs.sendall(response)
    connection.ask(b"GET / HTTP/1.1\r\n\r\n")
    connection.body()
    return connection


def test_the_connection_given_back_last_is_taken_first_and_no_more_are_kept_than_asked_for() -> None:
    pairs = [pair() for _ in range(3)]
    pool = Pool(lambda: pytest.fail("a connection was made"), most=2)
    for connection, theirs in pairs:
        pool.give_back(used(connection, theirs))
    theirs_of = {id(connection): theirs for connection, theirs in pairs}
    assert [theirs_of[id(pool.take())] for _ in range(2)] == [pairs[1][1], pairs[0][1]]
    pairs[2][1].settimeout(1)
    assert pairs[2][1].recv(100).startswith(b"GET")
    assert pairs[2][1].recv(100) == b"", "the third was kept"
    pool.close()
    pool.give_back(pairs[0][0])
    for connection, theirs in pairs:
        connection.close()
        theirs.close()


@pytest.mark.parametrize("unasked", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n"])
def test_a_kept_connection_that_is_closed_or_speaks_unasked_is_replaced_before_use(unasked: bytes) -> None:
    connection, theirs = pair()
    fresh, other = pair()
    pool = Pool(lambda: fresh, most=2)
    pool.give_back(used(connection, theirs))
    theirs.sendall(unasked)
    if not unasked:
        theirs.close()
    assert pool.take() is fresh
    for each in (fresh, theirs, other):
        each.close()


@pytest.mark.parametrize(
    "response",
    [
        OK + b"garbage",
        OK + b"H",
        OK + OK,
        OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        b"HTTP/1.1 204 None\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_what_stands_behind_a_response_drops_the_connection_and_not_the_response(
    transport: HttpsTransport, response: bytes
) -> None:
    with served(answering(response), answering(OK)) as server:
        first = ask(transport, server.port)
        assert (first.reason, first.fields["body"]) == (Reason.VALID, "" if b"204" in response else "{}")
        assert ask(transport, server.port).fields["body"] == "{}"
        assert (server.taken, len(server.requests)) == (2, 2)


def test_a_resolver_that_does_not_answer_ends_with_the_budget(
    transport: HttpsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows no deadline of ours: here it answers only once the conversation is over."""
    over, real = threading.Event(), socket.getaddrinfo

    def hanging(host: str, *arguments: Any, **options: Any) -> Any:
        if host == "slow.example" and "flags" not in options:
            over.wait(10)
            host = LOOPBACK
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    try:
        conversation = asking(HttpRequest("POST", "http://slow.example/x", repeat=Repeat.SAFE))
        assert told(transport, conversation).reason is Reason.LATE
        assert not over.is_set()
    finally:
        over.set()


def asking(request: HttpRequest) -> Conversation:
    """A conversation of one request that is content with any answer."""
    yield request
    return Answer(Reason.VALID)


def test_a_connector_that_waited_too_long_for_others_is_late(transport: HttpsTransport) -> None:
    def waiting() -> Conversation:
        yield from ()
        raise TimeoutError

    assert told(transport, waiting()).reason is Reason.LATE


# ---- what is asked once more


def test_a_reused_connection_that_dies_before_a_byte_is_replaced_once(transport: HttpsTransport) -> None:
    with served(answering(OK), answering(OK)) as server:
        assert ask(transport, server.port).reason is Reason.VALID
        assert ask(transport, server.port).reason is Reason.VALID
        assert (server.taken, len(server.requests)) == (2, 3)
        assert server.requests[1] == server.requests[2]


def test_it_is_asked_once_more_and_not_twice(transport: HttpsTransport) -> None:
    with served(answering(OK), answering()) as server:
        assert ask(transport, server.port).reason is Reason.VALID
        assert ask(transport, server.port).reason is Reason.SOURCE_DOWN
        assert (server.taken, len(server.requests)) == (2, 3)


def test_a_fresh_connection_that_dies_is_replaced_once_too(transport: HttpsTransport) -> None:
    with served(answering(), answering(OK)) as server:
        assert ask(transport, server.port).reason is Reason.VALID
        assert (server.taken, len(server.requests)) == (2, 2)


@pytest.mark.parametrize(
    ("repeat", "reason"), [(Repeat.ONCE, Reason.SOURCE_DOWN), (Repeat.EFFECT, Reason.EFFECT_UNKNOWN)]
)
def test_what_may_be_done_only_once_is_sent_once(transport: HttpsTransport, repeat: Repeat, reason: Reason) -> None:
    """And of what has an effect, nobody says that it was not done."""
    with served(answering(OK, OK), answering(OK), answering()) as server:
        assert ask(transport, server.port).reason is Reason.VALID
        assert told(transport, talk(server.port, {}, repeat=repeat)).reason is Reason.VALID
        assert server.taken == 2, "not over a connection that was kept: it may have died meanwhile"
        transport.close()
        assert told(transport, talk(server.port, {}, repeat=repeat)).reason is reason
        assert (server.taken, len(server.requests)) == (3, 3)


@pytest.mark.parametrize("repeat", list(Repeat))
def test_where_nobody_listened_nothing_was_done(transport: HttpsTransport, repeat: Repeat) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    assert told(transport, talk(port, {}, repeat=repeat)).reason is Reason.SOURCE_DOWN


def test_what_has_an_effect_and_is_not_answered_in_time_may_have_been_done(transport: HttpsTransport) -> None:
    def silent(server: Turns) -> Turn:
        def turn(connection: socket.socket) -> None:
            server.read(connection)
            server.read(connection)

        return turn

    with served(silent) as server:
        assert told(transport, talk(server.port, {}, repeat=Repeat.EFFECT)).reason is Reason.EFFECT_UNKNOWN


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 200 OK\r\n", OK[:-1], b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_after_a_byte_of_a_response_nothing_is_asked_again(transport: HttpsTransport, begun: bytes) -> None:
    def half(server: Turns) -> Turn:
        def turn(connection: socket.socket) -> None:
            server.read(connection)
            connection.sendall(OK)
            server.read(connection)
            connection.sendall(begun)

        return turn

    with served(half, answering(OK)) as server:
        assert ask(transport, server.port).reason is Reason.VALID
        assert ask(transport, server.port).reason is Reason.MALFORMED
        assert (server.taken, len(server.requests)) == (1, 2)


def test_a_reused_connection_that_is_late_is_not_asked_again(transport: HttpsTransport) -> None:
    def silent(server: Turns) -> Turn:
        def turn(connection: socket.socket) -> None:
            server.read(connection)
            connection.sendall(OK)
            server.read(connection)
            connection.recv(1)

        return turn

    with served(silent, answering(OK)) as server:
        assert ask(transport, server.port).reason is Reason.VALID
        assert ask(transport, server.port).reason is Reason.LATE
        assert (server.taken, len(server.requests)) == (1, 2)


# ---- the deadline


def test_a_connect_that_nobody_answers_ends_with_the_budget(transport: HttpsTransport) -> None:
    """A full backlog drops what knocks next."""
    with socket.create_server((LOOPBACK, 0), backlog=0) as server, contextlib.ExitStack() as knocking:
        for _ in range(4):
            knock = knocking.enter_context(socket.socket())
            knock.setblocking(False)
            knock.connect_ex(server.getsockname())
        started = time.monotonic()
        assert ask(transport, server.getsockname()[1]).reason is Reason.SOURCE_DOWN
        assert 0.5 < time.monotonic() - started < 1.0


def test_a_handshake_that_drips_ends_with_the_budget() -> None:
    def dripping(_: Turns) -> Turn:
        def turn(connection: socket.socket) -> None:
            for byte in b"\x16\x03\x03\x10\x00" + bytes(20):
                connection.sendall(bytes([byte]))
                time.sleep(0.1)

        return turn

    with served(dripping) as server:
        deadline.begin(0.4)
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            connect(LOOPBACK, server.port, ssl.create_default_context())
        assert 0.3 < time.monotonic() - started < 0.8


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"])
def test_a_response_that_drips_ends_with_the_budget(transport: HttpsTransport, before: bytes) -> None:
    def dripping(server: Turns) -> Turn:
        def turn(connection: socket.socket) -> None:
            server.read(connection)
            connection.sendall(before)
            for byte in b"HTTP/1.1 200 OK\r\n" * 2:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)

        return turn

    with served(dripping) as server:
        started = time.monotonic()
        assert ask(transport, server.port).reason is Reason.LATE
        assert time.monotonic() - started < 1.0


def test_a_request_that_nobody_reads_ends_with_the_budget(transport: HttpsTransport) -> None:
    with served(lambda _: lambda _connection: time.sleep(1.2)) as server:
        started = time.monotonic()
        answer = told(transport, talk(server.port, {}, bytes(16 * MAX_BODY)))
        assert answer.reason is Reason.LATE
        assert time.monotonic() - started < 1.0


# ---- what is read


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: head\r\n\r\n" + framed + b"0\r\n" + trailers + b"\r\n"


def test_chunks_are_joined_and_trailers_are_not_believed(transport: HttpsTransport) -> None:
    response = chunked(b'{"a"', b":1}", trailers=b"X: trailer\r\nContent-Type: text/html\r\n")
    with served(answering(response, response)) as server:
        for _ in range(2):
            answer = ask(transport, server.port)
            assert (answer.fields["body"], answer.fields["x"]) == ('{"a":1}', "head")
            assert "content-type" not in answer.fields
        assert server.taken == 1


def test_interim_responses_are_passed_over(transport: HttpsTransport) -> None:
    response = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK
    with served(answering(response, response)) as server:
        for _ in range(2):
            answer = ask(transport, server.port)
            assert answer.source_code == "200"
            assert "link" not in answer.fields
        assert server.taken == 1


@pytest.mark.parametrize(
    "response",
    [
        b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 2000,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 33000 + b"\r\nContent-Length: 2\r\n\r\n{}",
        chunked(b"{}", trailers=b"X: " + b"y" * 33000 + b"\r\n"),
        chunked(bytes(MAX_BODY), b" "),
    ],
)
def test_what_is_not_plainly_a_response_is_malformed(transport: HttpsTransport, response: bytes) -> None:
    with served(answering(response, OK)) as server:
        for _ in range(2):
            assert ask(transport, server.port).reason is Reason.MALFORMED
        assert server.taken == 2, "the connection was kept"


def test_a_head_is_refused_before_what_is_wrong_with_its_body(transport: HttpsTransport) -> None:
    with served(answering(b"HTTP/1.1 429 Slow\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")) as server:
        assert ask(transport, server.port).reason is Reason.THROTTLED


def test_every_split_of_a_response_reads_the_same() -> None:
    response = b"HTTP/1.1 100 Continue\r\n\r\n" + chunked(b"{", b"}", trailers=b"T: t\r\n")
    for cut in range(1, len(response)):
        connection, theirs = pair()
        theirs.sendall(response[:cut])
        threading.Timer(0.001, theirs.sendall, [response[cut:]]).start()
        deadline.begin(1)
        status, headers = connection.ask(b"GET / HTTP/1.1\r\n\r\n")
        assert (status, headers["x"], connection.body(), connection.may_be_kept()) == (200, "head", b"{}", True)
        connection.close()
        theirs.close()


@pytest.mark.parametrize(("sent", "error"), [(b"", HungUp), (b"HTTP/1.1 2", Malformed)])
def test_an_end_before_the_first_byte_is_told_from_one_within_a_response(sent: bytes, error: type[Exception]) -> None:
    connection, theirs = pair()
    theirs.sendall(sent)
    theirs.shutdown(socket.SHUT_WR)
    deadline.begin(1)
    with pytest.raises(error):
        connection.ask(b"GET / HTTP/1.1\r\n\r\n")
    connection.close()
    theirs.close()
