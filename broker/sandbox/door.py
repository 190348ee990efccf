"""A platform's front door: TLS in front of its web server, and everything that happens below HTTP.

Only a sandbox that was asked for doors has them: they cost a handshake and a copy, which no benchmark should measure.
A door does what its platform is told (``GET /_sandbox/door``): it closes, or shows another certificate. What the wire
should do instead of a response, the platform itself says in a header that never leaves the door.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

WIRE_HEADER: Final = b"x-sandbox-wire"
CA_FILE: Final = "ca.pem"
DRIP_SECONDS: Final = 1.0
LOOPBACK: Final = "127.0.0.1"
LOOK_SECONDS: Final = 0.05
_LONGEST: Final = 150.0  # a connection that does nothing; longer than the longest hang
_PIECE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def make_certificates(folder: Path) -> dict[str, Path]:
    """An authority (``ca.pem``) and, by behaviour, certificates with their keys; made anew at each start."""
    folder.mkdir(parents=True, exist_ok=True)
    ours, foreign = _authority("sandbox CA"), _authority("nobody's CA")
    (folder / CA_FILE).write_bytes(ours.certificate.public_bytes(serialization.Encoding.PEM))
    shown = {
        "ok": _leaf(ours, "localhost"),
        "tls_wrong_ca": _leaf(foreign, "localhost"),
        "tls_expired": _leaf(ours, "localhost", ended=timedelta(days=1)),
        "tls_wrong_name": _leaf(ours, "elsewhere.example"),
    }
    paths = {}
    for name, pem in shown.items():
        paths[name] = folder / f"door-{name}.pem"
        paths[name].touch(mode=0o600)
        paths[name].write_bytes(pem)
    return paths


def _authority(name: str) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    built = (
        _builder(name, name, key.public_key(), timedelta())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _Authority(key, built.sign(key, hashes.SHA256()))


def _leaf(authority: _Authority, host: str, ended: timedelta = timedelta()) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = str(authority.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    if host == "localhost":
        names.append(x509.IPAddress(ip_address(LOOPBACK)))
    signed = (
        _builder(host, issuer, key.public_key(), ended)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return signed.public_bytes(serialization.Encoding.PEM) + private


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey, ended: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    until = now - ended if ended else now + timedelta(days=30)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=40))
        .not_valid_after(until)
    )


class Door:
    """One platform's door: listens on one port, and passes requests on to another."""

    def __init__(self, port: int, inner: int, certificates: Mapping[str, Path], told: Callable[[], str]) -> None:
        """``told`` says how the door shall behave now; it is asked for each connection and each moment."""
        self._port, self._inner, self._told = port, inner, told
        self._contexts = {name: _context(path) for name, path in certificates.items()}
        self._stopped = threading.Event()
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._keep, name=f"door-{port}", daemon=True)

    def start(self) -> None:
        """Listen from now on, also before this returns."""
        self._listener = _listen(self._port)
        self._thread.start()

    def stop(self) -> None:
        """Take no more connections; those open end by themselves."""
        self._stopped.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._stopped.is_set():
            shown = self._told()
            if shown != "ok":
                self._hang_up()  # who is inside would not notice what becomes of the door
            if shown == "refuse":
                self._shut()
                self._stopped.wait(LOOK_SECONDS)
                continue
            if self._listener is None:
                self._listener = _listen(self._port)
            ready, _, _ = select.select([self._listener], [], [], LOOK_SECONDS)
            if ready:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection, shown), daemon=True).start()
        self._shut()
        self._hang_up()

    def _hang_up(self) -> None:
        for connection in self._open.copy():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _shut(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _serve(self, connection: socket.socket, shown: str) -> None:
        connection.settimeout(_LONGEST)
        with contextlib.suppress(OSError), connection:
            context = self._contexts.get(shown, self._contexts["ok"])
            if shown == "tls_slow":
                _shake_slowly(connection, context)
                return
            with context.wrap_socket(connection, server_side=True) as secured:
                self._open.add(secured)
                try:
                    while (request := _request(secured)) and self._answer(secured, request):
                        pass
                finally:
                    self._open.discard(secured)

    def _answer(self, caller: ssl.SSLSocket, request: bytes) -> bool:
        """Pass one request on and its response back; whether the connection is of further use."""
        with socket.create_connection((LOOPBACK, self._inner), timeout=_LONGEST) as server:
            server.sendall(request)
            head, rest = _head(server)
            wire = _field(head, WIRE_HEADER)
            if wire == b"reset":
                _reset(caller)
                return False
            length = _field(head, b"content-length")
            if not length:  # of unknown length: until the end, piece by piece
                caller.sendall(head + rest)
                while piece := server.recv(_PIECE):
                    caller.sendall(piece)
                return False
            if wire == b"drip_headers":
                _drip(caller, head)
                return False
            response = head + rest + _exactly(server, int(length) - len(rest))
            caller.sendall(response * 2 if wire == b"twice" else response)
            return True


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def _listen(port: int) -> socket.socket:
    ends = time.monotonic() + 5
    while True:
        try:
            return socket.create_server((LOOPBACK, port), backlog=128)
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(LOOK_SECONDS)


def _reset(connection: socket.socket) -> None:
    """End it with RST: what lies in the buffers is lost on both sides. Below TLS, which would say goodbye."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw = socket.socket(fileno=connection.detach())
    raw.close()


def _shake_slowly(connection: socket.socket, context: ssl.SSLContext) -> None:
    """Answer the caller's first words of TLS; whoever waits for all of it waits for an hour."""
    heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
    shaking = context.wrap_bio(heard, said, server_side=True)
    heard.write(connection.recv(_PIECE))
    with contextlib.suppress(ssl.SSLWantReadError):
        shaking.do_handshake()
    _drip(connection, said.read())


def _drip(connection: socket.socket, told: bytes) -> None:
    """One byte a second, until it is told or the caller has gone."""
    for position in range(len(told)):
        connection.sendall(told[position : position + 1])
        time.sleep(DRIP_SECONDS)


def _request(caller: ssl.SSLSocket) -> bytes:
    """One whole request; nothing where the caller has gone."""
    head, rest = _head(caller)
    length = int(_field(head, b"content-length") or b"0")
    return head + rest + _exactly(caller, length - len(rest)) if head else b""


def _head(connection: socket.socket) -> tuple[bytes, bytes]:
    """Everything to the empty line, and what came with it."""
    seen = b""
    while b"\r\n\r\n" not in seen:
        piece = connection.recv(_PIECE)
        if not piece:
            return b"", b""
        seen += piece
    head, _, rest = seen.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def _exactly(connection: socket.socket, wanted: int) -> bytes:
    seen = b""
    while len(seen) < wanted:
        piece = connection.recv(min(_PIECE, wanted - len(seen)))
        if not piece:
            raise ConnectionError
        seen += piece
    return seen


def _field(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().lower()
    return b""
