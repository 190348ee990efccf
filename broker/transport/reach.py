"""The road to an endpoint, tried by its parts: the name, the port, the certificate. Nothing is asked there.

The steps are those of :mod:`broker.core.probe` before the answer; whoever shows them adds their words.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, TypeAlias
from urllib.parse import urlsplit

CONNECT_SECONDS: Final = 5.0
_PORTS: Final = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mariadb": 3306}
_Place: TypeAlias = tuple[str, int]


class Unreached(Exception):
    """A part of the road failed; what is known of why, in words of the machine."""


def parts_of(endpoint: str, ca_file: str | None) -> Iterator[tuple[str, Callable[[], str]]]:
    """Each step with what tries it; a step gives what is worth telling, or raises ``Unreached``.

    A database's TLS begins within its own protocol, so it shows in the answer; what is no place in a network, a file
    or a department's people, has no road.
    """
    parts = urlsplit(endpoint)
    if not parts.hostname:
        return
    scheme = parts.scheme.partition("+")[0]
    place = (parts.hostname, parts.port or _PORTS.get(scheme, 0))
    yield "dns", partial(_resolved, place)
    yield "tcp", partial(_reached, place)
    if scheme == "https":
        yield "tls", partial(_shaken, place, ca_file)


def _resolved(place: _Place) -> str:
    try:
        addresses = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unreached(f"{place[0]}: {type(error).__name__}") from error
    return ", ".join(sorted({str(address[4][0]) for address in addresses}))


def _reached(place: _Place) -> str:
    try:
        with socket.create_connection(place, CONNECT_SECONDS):
            return str(place[1])
    except OSError as error:
        raise Unreached(f"{place[1]}: {type(error).__name__}") from error


def _shaken(place: _Place, ca_file: str | None) -> str:
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    try:
        with (
            socket.create_connection(place, CONNECT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=place[0]) as secured,
        ):
            return f"{secured.version()}, {(secured.getpeercert() or {}).get('notAfter', '')}"
    except ssl.SSLCertVerificationError as error:
        raise Unreached(error.verify_message) from error
    except OSError as error:
        raise Unreached(type(error).__name__) from error
