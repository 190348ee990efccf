"""Kept-alive HTTP/1.1 connections, as little of them as sources need: one request, one response, one deadline.

The request is one ``send``. The response is parsed by llhttp (through httptools) in its strict mode, within
:data:`MAX_HEAD` and :data:`MAX_BODY`. A connection is kept only if its response ended where it said it would, with
nothing behind it, and the server wants it kept. Before it is used again it must be silent: readable means that the
server has closed it, or speaks unasked.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeAlias

import httptools

from broker.transport.deadline import remaining

MAX_BODY: Final = 1024 * 1024  # the largest answer of any source we know is 20 KiB; a file form would say otherwise
MAX_HEAD: Final = 32 * 1024
MAX_FIELDS: Final = 100  # headers of a response; http.client's limit too
CONNECT_SECONDS: Final = 2.0  # a host on a government network answers within 0.1 s or not at all
RESOLVING: Final = 64  # threads that wait for the resolver at most: it knows no deadline of ours
_resolving: Final = threading.BoundedSemaphore(RESOLVING)
_Address: TypeAlias = tuple[Any, Any, int, str, Any]  # as getaddrinfo gives them
_PIECE: Final = 16 * 1024  # one read for nearly every answer; a whole TLS record, so that none is left half read

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_VISIBLE: Final = re.compile(r"[!-~]+")
_METHODS: Final = frozenset({"GET", "POST"})  # to HEAD and CONNECT a response means something else
_OURS: Final = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"}
)


class Unreachable(Exception):
    """No connection came about."""


class HungUp(ConnectionError):
    """The connection ended before the first byte of a response."""


class Malformed(Exception):
    """What arrived is no response, or none that we read to its end."""


def written(method: str, target: str, host: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The request as it is sent. ``ValueError`` for what would be read as something else than was meant.

    No message carries what was refused: it may be a credential or a person's.
    """
    if method not in _METHODS or not _VISIBLE.fullmatch(target) or not _VISIBLE.fullmatch(host):
        raise ValueError("the request line cannot be sent")
    lines = [f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive\r\nAccept-Encoding: identity\r\n"]
    for name, value in headers.items():
        if name.lower() in _OURS or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError("a header cannot be sent")
        lines.append(f"{name}: {value}\r\n")
    lines.append(f"Content-Length: {len(body)}\r\n\r\n" if body or method != "GET" else "\r\n")
    try:
        return "".join(lines).encode("latin-1") + body
    except UnicodeEncodeError:
        raise ValueError("a header cannot be sent") from None


class _Response:
    """What the parser reports of one response. It never raises into the parser; :meth:`feed` looks afterwards."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.head_read = False
        self.ended = False
        self.kept = False  # whether nothing speaks against another request after this one
        self.broken: Exception | None = None
        self.received = 0
        self._start = b""
        self._fields = self._field_bytes = self._size = 0
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Parse another piece; what is wrong with it stands in ``broken``, for the head before may be good."""
        self.received += len(data)
        if len(self._start) < 7:
            self._start += data[:7]
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.kept = False
            if not self.ended:
                self.broken = error
        if not b"HTTP/1.".startswith(self._start[:7]):  # llhttp also knows RTSP and HTTP/2.0
            self.broken, self.head_read = Malformed("version"), False
        elif max(self._field_bytes, 0 if self.head_read else self.received) > MAX_HEAD or self._fields > MAX_FIELDS:
            self.broken = Malformed("head")
        elif self._size > MAX_BODY or self.received > MAX_HEAD + 2 * MAX_BODY:  # or chunks that are mostly framing
            self.broken = Malformed("body")

    def end_of_stream(self) -> None:
        """The server sends no more: the end of a body that announced none, and of nothing else."""
        if not self.received:
            raise HungUp
        if self.head_read and not {"content-length", "transfer-encoding"} & self.headers.keys():
            self.ended, self.kept = True, False
        else:
            self.broken = Malformed("truncated")

    def on_message_begin(self) -> None:
        if self.ended:  # another response, unasked
            self.kept = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        self._field_bytes += len(name) + len(value) + 4
        if not self.head_read:  # a trailer is counted and not believed
            key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        if self.ended:
            return
        status = self._parser.get_status_code()
        if status < 200:  # 100 and the like: the response is still to come, within the same limits
            self.headers.clear()
        else:
            self.status, self.head_read = status, True

    def on_body(self, piece: bytes) -> None:
        if not self.ended:
            self._size += len(piece)
            self.pieces.append(piece)

    def on_message_complete(self) -> None:
        if self.head_read and not self.ended:
            self.ended = True
            self.kept = self._parser.should_keep_alive()


class Connection:
    """A connected socket, plain or TLS, and the response being read from it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._readable = select.poll()  # select() knows no descriptor above 1023
        self._readable.register(sock, select.POLLIN)
        self._response = _Response()
        self.reused = False

    def ask(self, request: bytes) -> tuple[int, Mapping[str, str]]:
        """Send a request; status and headers (lower-case names) of its response."""
        response = self._response = _Response()
        try:
            self._send(request)
            self._read_until(lambda: response.head_read)
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            if response.received:
                raise
            raise HungUp from error
        return response.status, response.headers

    def body(self) -> bytes:
        """The rest of the response."""
        response = self._response
        self._read_until(lambda: response.ended)
        if response.broken is not None:  # too large, and ended in the same piece
            raise Malformed from response.broken
        return response.pieces[0] if len(response.pieces) == 1 else b"".join(response.pieces)

    def may_be_kept(self) -> bool:
        """Whether the response has ended well and nothing speaks against another request."""
        return self._response.ended and self._response.kept and self._response.broken is None

    def silent(self) -> bool:
        """False where the server has closed an idle connection, or sent what nobody asked for."""
        return not self._readable.poll(0)

    def close(self) -> None:
        """Hang up."""
        self._sock.close()

    def _send(self, request: bytes) -> None:
        unsent = memoryview(request)
        with contextlib.suppress(BrokenPipeError):  # a server may refuse before it has read everything
            while unsent:
                self._sock.settimeout(remaining())
                unsent = unsent[self._sock.send(unsent) :]

    def _read_until(self, enough: Callable[[], bool]) -> None:
        response = self._response
        while not enough():
            if response.broken is not None:
                raise Malformed from response.broken
            self._sock.settimeout(remaining())
            piece = self._sock.recv(_PIECE)
            if piece:
                response.feed(piece)
            else:
                response.end_of_stream()


def connect(host: str, port: int, tls: ssl.SSLContext | None) -> Connection:
    """A new connection, verified where there is ``tls``; a handshake that takes too long is a ``TimeoutError``."""
    remaining()  # a budget that is spent before is the conversation's lateness, not the host's
    sock = _connected(host, port)
    if tls is None:
        return Connection(sock)
    try:
        sock.settimeout(min(remaining(), CONNECT_SECONDS))  # for the whole handshake
        return Connection(tls.wrap_socket(sock, server_hostname=host))
    except BaseException:
        sock.close()
        raise


def _connected(host: str, port: int) -> socket.socket:
    """The first of the host's addresses that answers."""
    addresses = _addresses(host, port)
    last: OSError | None = None
    for family, kind, protocol, _, address in addresses:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(min(remaining(), CONNECT_SECONDS))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise Unreachable from last


def _addresses(host: str, port: int) -> Sequence[_Address]:
    """Where a host is. The resolver knows no deadline but its own, so it is asked in a thread that is left behind."""
    with contextlib.suppress(OSError, UnicodeError):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    told: SimpleQueue[Sequence[_Address] | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            told.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            told.put(error)
        finally:
            _resolving.release()

    if not _resolving.acquire(timeout=remaining()):
        raise TimeoutError  # so many are waiting for the resolver that it will not answer us either
    threading.Thread(target=ask, name=f"resolve-{host}", daemon=True).start()
    try:
        found = told.get(timeout=remaining())
    except Empty:
        raise TimeoutError from None
    if isinstance(found, Exception):
        raise Unreachable from found
    return found


class Pool:
    """Idle connections to one place; the last one given back is the first one taken, so that the others may age."""

    def __init__(self, new: Callable[[], Connection], most: int) -> None:
        """``new`` makes a connection; ``most`` are kept idle."""
        self.new = new
        self._most = most
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False

    def take(self) -> Connection:
        """An idle connection that is still open, else a new one."""
        while (connection := self._pop()) is not None:
            if connection.silent():
                connection.reused = True
                return connection
            connection.close()
        return self.new()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection that may be kept, or close it."""
        if connection.may_be_kept():
            with self._lock:
                if not self._closed and len(self._idle) < self._most:
                    self._idle.append(connection)
                    return
        connection.close()

    def close(self) -> None:
        """Close what is idle, and from now on what is given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _pop(self) -> Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None
