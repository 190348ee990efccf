"""Connections whose every read ends at one deadline, however slowly bytes trickle.

A socket's own time-out starts anew with each byte received, so a source that sends one byte per second could hold a
worker for ever, and during the response's head nobody could look at the clock. Here the deadline belongs to the
thread, which drives one conversation at a time, and each ``recv`` waits at most for what is left of it.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from typing import Any, Final

from urllib3.connection import HTTPConnection, HTTPSConnection

_BUFFER: Final = 16 * 1024  # one read for nearly every answer


class _Budget(threading.local):
    ends: float = 0.0  # on the monotonic clock; past until someone sets it


_budget: Final = _Budget()


def begin(seconds: float) -> None:
    """Give the work that this thread starts now so many seconds."""
    _budget.ends = time.monotonic() + seconds


def remaining() -> float:
    """The seconds left; ``TimeoutError`` when there are none."""
    left = _budget.ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Reader(io.RawIOBase):
    """What http.client reads a response from."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open after a "Connection: close" until we end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        super().close()
        self._raw.close()


class _Socket:
    """The connected socket (plain or TLS) with reads that know the deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock), _BUFFER)

    def sendall(self, data: Any) -> None:
        self._sock.settimeout(remaining())  # sendall's time-out is for the whole of it
        self._sock.sendall(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class DeadlineHTTPConnection(HTTPConnection):
    """A connection in the clear that keeps the deadline."""

    def connect(self) -> None:
        """Connect as usual, then read through the deadline."""
        super().connect()
        self.sock = _Socket(self.sock)


class DeadlineHTTPSConnection(HTTPSConnection):
    """A verified TLS connection that keeps the deadline."""

    def connect(self) -> None:
        """Connect and shake hands as usual, then read through the deadline."""
        super().connect()
        self.sock = _Socket(self.sock)
