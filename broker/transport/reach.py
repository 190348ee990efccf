"""The road to an endpoint, tried by its parts: the name, the port, the certificate. Nothing is asked there.

A part that fails ends it: what comes after could only fail for the same reason.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from broker.ports.reach import Tried

CONNECT_SECONDS: Final = 5.0
_PORTS: Final = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mariadb": 3306}
_EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 10, 62, 64  # X509_V_ERR_…, what OpenSSL says of a certificate
_CAUSES: Final = {_EXPIRED: "expired", _OTHER_NAME: "name", _OTHER_ADDRESS: "name"}
_Place: TypeAlias = tuple[str, int]


class RoadParts:
    """Implements :class:`broker.ports.reach.Reach` with sockets of its own."""

    def __init__(self, ca_file: str | None = None) -> None:
        """``ca_file`` holds further authorities that are believed, as for the sources' connections."""
        self._ca_file = ca_file

    def tried(self, endpoint: str) -> Iterator[Tried]:
        """Each part in order, ending with the first that failed.

        A database's TLS begins within its own protocol, so it shows in the answer; what is no place in a network, a
        file or a department's people, has no road.
        """
        for part in self._parts(endpoint):
            tried = part()
            yield tried
            if tried.cause:
                return

    def _parts(self, endpoint: str) -> Iterator[Callable[[], Tried]]:
        parts = urlsplit(endpoint)
        if not parts.hostname:
            return
        scheme = parts.scheme.partition("+")[0]
        place = (parts.hostname, parts.port or _PORTS.get(scheme, 0))
        yield partial(_resolved, place)
        yield partial(_reached, place)
        if scheme == "https":
            yield partial(_shaken, place, self._ca_file)


def _resolved(place: _Place) -> Tried:
    try:
        addresses = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # no such name, or none that could be one
        return Tried("dns", f"{place[0]}: {type(error).__name__}", "unknown")
    return Tried("dns", ", ".join(sorted({str(address[4][0]) for address in addresses})))


def _reached(place: _Place) -> Tried:
    try:
        with socket.create_connection(place, CONNECT_SECONDS):
            return Tried("tcp", str(place[1]))
    except OSError as error:
        cause = "refused" if isinstance(error, ConnectionRefusedError) else "silent"
        return Tried("tcp", f"{place[1]}: {type(error).__name__}", cause)


def _shaken(place: _Place, ca_file: str | None) -> Tried:
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    try:
        with (
            socket.create_connection(place, CONNECT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=place[0]) as secured,
        ):
            return Tried("tls", f"{secured.version()}, {(secured.getpeercert() or {}).get('notAfter', '')}")
    except ssl.SSLCertVerificationError as error:
        return Tried("tls", error.verify_message, _CAUSES.get(error.verify_code, "issuer"))
    except OSError as error:
        return Tried("tls", type(error).__name__, "handshake")
