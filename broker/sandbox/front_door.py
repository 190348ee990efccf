"""The door of a front-end database: a TCP relay in front of the server that can misbehave below SQL.

What :mod:`broker.sandbox.door` is for HTTP. It knows of the two protocols only how they begin. For PostgreSQL it also
ends TLS, for which the server behind may not have been built; MariaDB's does so itself.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from broker.sandbox.door import LOOK_SECONDS, LOOPBACK

BEHAVIOURS: Final = frozenset(
    {"ok", "refuse", "silent", "reset", "speechless", "drip", "page", "error503", "tls_wrong_ca", "tls_expired"}
    | {"tls_wrong_name"}
)
"""``silent`` greets nobody; ``speechless`` falls silent, and ``reset`` ends, when the next word of a client comes."""
_SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)
_GSS_REQUEST: Final = struct.pack("!ii", 8, 80877104)
_PAGE: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"
_TLS_DATA: Final = b"\x17"  # what MariaDB's clients say once TLS stands, which is not ended here
_PIECE: Final = 64 * 1024


class FrontDoor:
    """Listens on a port of its own and relays to the server's; ``behaviour`` may change at any time."""

    def __init__(self, inner: int, *, postgres: bool, certificates: Mapping[str, Path] | None = None) -> None:
        """``certificates``, by behaviour, are shown to a PostgreSQL client that asks for TLS."""
        self.behaviour = "ok"
        self._inner, self._postgres = inner, postgres
        self._contexts = {name: _context(path) for name, path in (certificates or {}).items()}
        self._listener = socket.create_server((LOOPBACK, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._listening = True
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="front-door", daemon=True)
        self._thread.start()

    def behave(self, behaviour: str) -> None:
        """From the next connection or query on; ValueError for what no door knows."""
        if behaviour not in BEHAVIOURS:
            raise ValueError(f"a door refuses {behaviour}: {sorted(BEHAVIOURS)}")
        self.behaviour = behaviour
        ends = time.monotonic() + 5
        while self._listening is (behaviour == "refuse") and time.monotonic() < ends:
            time.sleep(LOOK_SECONDS / 5)

    def close(self) -> None:
        """Take no more connections; those open end by themselves."""
        self._stopped.set()
        self._thread.join()

    def _keep(self) -> None:
        listener: socket.socket | None = self._listener
        while not self._stopped.is_set():
            if self.behaviour == "refuse":
                self._shut(listener)
                listener = None
                self._stopped.wait(LOOK_SECONDS)
                continue
            if listener is None:
                listener = socket.create_server((LOOPBACK, self.port), backlog=64)
                self._listening = True
            ready, _, _ = select.select([listener], [], [], LOOK_SECONDS)
            if ready:
                caller, _ = listener.accept()
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()
        self._shut(listener)

    def _shut(self, listener: socket.socket | None) -> None:
        if listener is not None:
            listener.close()
        self._listening = False

    def _serve(self, caller: socket.socket) -> None:
        with contextlib.suppress(OSError), caller:
            if self.behaviour == "silent":
                self._wait(caller)
                return
            if self.behaviour == "page":
                caller.sendall(_PAGE)
                return
            if self.behaviour == "error503":
                with self._secured(caller) as line:
                    self._starting(line)
                return
            with self._secured(caller) as line, socket.create_connection((LOOPBACK, self._inner), 5) as server:
                self._relay(line, server)

    def _secured(self, caller: socket.socket) -> socket.socket:
        """The line after PostgreSQL's question for TLS, where a certificate is to be shown."""
        context = self._contexts.get(self.behaviour) or self._contexts.get("ok")
        if not self._postgres or context is None:
            return caller
        while caller.recv(8, socket.MSG_PEEK) == _GSS_REQUEST:
            caller.recv(8)
            caller.sendall(b"N")
        if caller.recv(8, socket.MSG_PEEK) != _SSL_REQUEST:
            return caller
        caller.recv(8)
        caller.sendall(b"S")
        return context.wrap_socket(caller, server_side=True)

    def _relay(self, caller: socket.socket, server: socket.socket) -> None:
        while not self._stopped.is_set():
            waiting = isinstance(caller, ssl.SSLSocket) and caller.pending()
            ready = [caller] if waiting else select.select([caller, server], [], [], LOOK_SECONDS)[0]
            for line in ready:
                piece = line.recv(_PIECE)
                if not piece:
                    return
                if line is server:
                    self._told(caller, piece)
                elif not self._asked(caller, server, piece):
                    return

    def _asked(self, caller: socket.socket, server: socket.socket, piece: bytes) -> bool:
        """Pass on what was said; False when this was the end of the connection."""
        word = self._postgres or piece.startswith(_TLS_DATA)
        if word and self.behaviour == "reset":
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if word and self.behaviour == "speechless":
            self._wait(caller)
            return False
        server.sendall(piece)
        return True

    def _told(self, caller: socket.socket, piece: bytes) -> None:
        if self.behaviour != "drip":
            caller.sendall(piece)
            return
        for position in range(len(piece)):
            caller.sendall(piece[position : position + 1])
            if self._stopped.wait(LOOK_SECONDS):
                return

    def _starting(self, caller: socket.socket) -> None:
        """What a server says that is not ready yet, or any more."""
        if not self._postgres:
            told = b"\xff" + struct.pack("<H", 1053) + b"Server shutdown in progress"
            caller.sendall(struct.pack("<I", len(told))[:3] + b"\0" + told)
            return
        caller.recv(_PIECE)
        told = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
        caller.sendall(b"E" + struct.pack("!i", len(told) + 4) + told)

    def _wait(self, caller: socket.socket) -> None:
        """Say nothing until the caller has gone, or this door closes."""
        while not self._stopped.is_set():
            if select.select([caller], [], [], LOOK_SECONDS)[0] and not caller.recv(_PIECE):
                return


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
