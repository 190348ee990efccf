"""Drives conversations over kept-alive connections; everything a road can do becomes a reasoned UNKNOWN.

Limits: the source's budget covers all requests of one conversation, reading included; a body has at most
:data:`MAX_BODY` bytes and no content encoding; redirects are not followed, requests are never repeated, proxies in
the environment are not looked at. A circuit breaker would stand in :meth:`HttpsTransport._drive`, before the first
request.
"""

from __future__ import annotations

import http.client
import logging
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Timeout, exceptions

from broker.core.answer import Answer, Reason
from broker.core.catalog import Source
from broker.log import fault
from broker.ports import Conversation, HttpRequest, HttpResponse
from broker.transport import deadline

CONCURRENCY: Final = 16  # conversations of one source at a time
KEPT_CONNECTIONS: Final = 160  # to one host, idle: a platform carries up to ten sources
MAX_BODY: Final = 1024 * 1024  # the largest answer of any source we know is 20 KiB; a file form would say otherwise
CONNECT_SECONDS: Final = 2.0  # a host on a government network answers within 0.1 s or not at all
CHUNK: Final = 64 * 1024
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "exemption-broker"}

log = logging.getLogger(__name__)


class _Road(Exception):
    """What happened on the way, in our words."""

    def __init__(self, reason: Reason, code: str = "") -> None:
        super().__init__(reason.value)
        self.answer = Answer(reason, source_code=code)


class _Pool(HTTPConnectionPool):
    ConnectionCls = deadline.DeadlineHTTPConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = deadline.DeadlineHTTPSConnection


class HttpsTransport:
    """Implements :class:`broker.ports.Transport`; one per process, shared by its threads, built after any fork."""

    def __init__(self, *, ca_file: str | None = None) -> None:
        """``ca_file`` adds certificate authorities to the system's, for networks with their own."""
        self._tls = ssl.create_default_context()
        if ca_file is not None:
            self._tls.load_verify_locations(ca_file)
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, str, int | None], HTTPConnectionPool] = {}
        self._executors: dict[str, ThreadPoolExecutor] = {}

    def converse(self, source: Source, conversations: Sequence[Conversation]) -> list[Answer]:
        """One answer per conversation, in their order; one alone is driven in the calling thread.

        More than :data:`CONCURRENCY` wait for each other, each with its whole budget from the moment it starts.
        """
        if len(conversations) == 1:
            return [self._drive(source, conversations[0])]
        executor = self._executor(source.key)
        return list(executor.map(lambda conversation: self._drive(source, conversation), conversations))

    def close(self) -> None:
        """Wait for running conversations, then close threads and connections."""
        with self._lock:
            executors, self._executors = self._executors, {}
            pools, self._pools = self._pools, {}
        for executor in executors.values():
            executor.shutdown()
        for pool in pools.values():
            pool.close()

    def _drive(self, source: Source, conversation: Conversation) -> Answer:
        deadline.begin(source.budget_ms / 1000)
        try:
            request = next(conversation)
            while True:
                request = conversation.send(self._exchange(request))
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        except _Road as road:
            return road.answer
        except Exception as error:  # noqa: BLE001 - one broken conversation must not lose the batch
            fault(log, "a conversation broke", error, source=source.key)
            return Answer(Reason.MALFORMED)
        finally:
            conversation.close()

    def _exchange(self, request: HttpRequest) -> HttpResponse:
        try:
            response = self._send(request)
        except (exceptions.HTTPError, OSError) as error:
            raise _Road(_reason(error)) from error
        try:
            _refuse(response)
            body = _read(response)
        except (exceptions.HTTPError, OSError) as error:
            response.close()  # never back to the pool: the rest of this answer may still be on its way
            raise _Road(_reason(error)) from error
        except _Road:
            response.close()
            raise
        response.release_conn()
        return HttpResponse(response.status, {name.lower(): value for name, value in response.headers.items()}, body)

    def _send(self, request: HttpRequest) -> BaseHTTPResponse:
        parts = urlsplit(request.url)
        left = deadline.remaining()
        return self._pool(parts.scheme, parts.hostname or "", parts.port).urlopen(
            request.method,
            f"{parts.path}?{parts.query}" if parts.query else parts.path or "/",
            body=request.body,
            headers={**_HEADERS, **request.headers},
            retries=False,
            redirect=False,
            timeout=Timeout(connect=min(left, CONNECT_SECONDS), read=left),
            preload_content=False,
            decode_content=False,
        )

    def _pool(self, scheme: str, host: str, port: int | None) -> HTTPConnectionPool:
        key = (scheme, host, port)
        pool = self._pools.get(key)
        if pool is None:
            with self._lock:
                pool = self._pools.setdefault(key, self._new_pool(scheme, host, port))
        return pool

    def _new_pool(self, scheme: str, host: str, port: int | None) -> HTTPConnectionPool:
        if scheme == "https":
            return _TlsPool(host, port, maxsize=KEPT_CONNECTIONS, ssl_context=self._tls)
        if scheme == "http":
            return _Pool(host, port, maxsize=KEPT_CONNECTIONS)
        raise _Road(Reason.NOT_CONFIGURED)

    def _executor(self, name: str) -> ThreadPoolExecutor:
        with self._lock:
            if name not in self._executors:
                self._executors[name] = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix=f"ask-{name}")
            return self._executors[name]


def _refuse(response: BaseHTTPResponse) -> None:
    """End the conversation for what no connector needs to see."""
    status, headers = response.status, response.headers
    if status == 429:
        raise _Road(Reason.THROTTLED, "429")
    if status >= 500:
        raise _Road(Reason.SOURCE_DOWN, str(status))
    if 300 <= status < 400:
        raise _Road(Reason.MALFORMED, str(status))
    if headers.get("Content-Encoding", "identity") != "identity" or _is_page(headers):
        raise _Road(Reason.MALFORMED, str(status))
    if int(response.length_remaining or 0) > MAX_BODY:
        raise _Road(Reason.MALFORMED, str(status))


def _is_page(headers: Mapping[str, str]) -> bool:
    """A log-in or error page of some device in between."""
    return headers.get("Content-Type", "").lower().startswith("text/html")


def _read(response: BaseHTTPResponse) -> bytes:
    """The whole body below the cap; the deadline interrupts every read."""
    body = response.read(CHUNK, decode_content=False)
    if len(body) < CHUNK and response.length_remaining == 0:
        return body
    pieces, size = [body], len(body)
    while piece := response.read(CHUNK, decode_content=False):
        size += len(piece)
        if size > MAX_BODY:
            raise _Road(Reason.MALFORMED, str(response.status))
        pieces.append(piece)
    return b"".join(pieces)


def _reason(error: Exception) -> Reason:
    """The reason for a failure on the way; urllib3 wraps the first cause, at times more than once."""
    if isinstance(error, exceptions.ConnectTimeoutError):
        return Reason.SOURCE_DOWN
    kinds = [type(cause) for cause in _causes(error)]
    return next((reason for broken, reason in _REASONS if any(issubclass(kind, broken) for kind in kinds)), _OTHERWISE)


_REASONS: Final[tuple[tuple[tuple[type[BaseException], ...], Reason], ...]] = (  # the first that fits
    ((ssl.SSLCertVerificationError,), Reason.UNTRUSTED),
    ((exceptions.ReadTimeoutError, TimeoutError), Reason.LATE),
    ((ConnectionError,), Reason.SOURCE_DOWN),  # also a server that hangs up before the status line
    ((exceptions.IncompleteRead, exceptions.InvalidHeader, http.client.HTTPException), Reason.MALFORMED),
)
_OTHERWISE: Final = Reason.SOURCE_DOWN


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it carries or was raised from."""
    yield error
    for inner in (*error.args, error.__cause__):
        if isinstance(inner, BaseException):
            yield from _causes(inner)
