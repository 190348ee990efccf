"""Drives conversations over kept-alive connections; everything a road can do becomes a reasoned UNKNOWN.

What a conversation yields decides its road: HTTP, here, or a department's table, in :mod:`broker.transport.tables`.
Limits: the source's budget covers all requests of one conversation, reading included; a body has at most
:data:`MAX_BODY` bytes and no content encoding; redirects are not followed, proxies in the environment are not looked
at.

A request is repeated at most once, within the budget, and only where nothing was answered or the source itself asks for
it: nobody listened, the connection ended before the first byte, or 503 or 429 came with a Retry-After that fits. Once
it was sent, only one that its connector calls safe is: a question changes nothing at its source and carries its id; of
two working secrets the later is kept. What has an effect there, and was sent and not answered, ends EFFECT_UNKNOWN.
"""

from __future__ import annotations

import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from broker.core.answer import Answer, Reason, Reply
from broker.core.catalog import Source
from broker.log import fault
from broker.ports import Conversation, HttpRequest, HttpResponse, Repeat, TableQuery, TableRows
from broker.ports.health import Roads
from broker.transport import deadline
from broker.transport.connection import MAX_BODY, Connection, HungUp, Malformed, Pool, Unreachable, connect, written
from broker.transport.road import Road
from broker.transport.tables import Tables

CONCURRENCY: Final = 32  # conversations of one source at a time
KEPT_CONNECTIONS: Final = 160  # to one host, idle: a platform carries up to ten sources
_HEADERS: Final = {"User-Agent": "exemption-broker"}
_PORTS: Final = {"http": 80, "https": 443}
BRIEFLY: Final = 1.0  # the pause after a refusal for being too fast that names no time: limits are per second
REPEAT_SECONDS: Final = (0.05, 0.2)  # before a request is repeated: a moment of chance, so that a crowd spreads
_CHANCE: Final = random.SystemRandom()
_Place: TypeAlias = tuple[str, str, int]  # scheme, host, port

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Trip:
    """What one conversation has done on its road."""

    begun: bool = False  # somebody was on the way, whether or not a connection came about
    calls: int = 0  # requests that went out, repeated ones included
    pause: float = 0.0  # seconds for which the source wants to be left alone


class HttpsTransport:
    """Implements :class:`broker.ports.Transport`; one per process, shared by its threads, built after any fork."""

    def __init__(self, *, ca_file: str | None = None, roads: Roads | None = None) -> None:
        """``ca_file`` adds certificate authorities to the system's, for networks with their own.

        ``roads`` is told how each conversation went.
        """
        self._roads = roads
        self._tls = ssl.create_default_context()
        self._tls.hostname_checks_common_name = False  # a name is believed in subjectAltName only
        self._tls.set_alpn_protocols(["http/1.1"])
        if ca_file is not None:
            self._tls.load_verify_locations(ca_file)
        self._lock = threading.Lock()
        self._pools: dict[_Place, Pool] = {}
        self._executors: dict[str, ThreadPoolExecutor] = {}
        self._tables = Tables(self._tls, ca_file)

    def converse(self, source: Source, conversations: Sequence[Conversation]) -> list[Reply]:
        """One reply per conversation, in their order; one alone is driven in the calling thread.

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
        self._tables.close()

    def _drive(self, source: Source, conversation: Conversation) -> Reply:
        began, sound, trip = time.monotonic(), True, _Trip()
        deadline.begin(source.budget_ms / 1000)
        try:
            request = next(conversation)
            while True:
                request = conversation.send(self._exchange(request, trip))
        except StopIteration as end:
            reply: Reply = end.value
            if isinstance(reply, Answer):
                sound = reply.reason is not Reason.SOURCE_DOWN  # it answered that it cannot: as good as no answer
                trip.pause = BRIEFLY if reply.reason is Reason.THROTTLED else 0.0
            return reply
        except Road as road:
            sound, trip.pause = road.sound, road.pause
            return road.answer
        except TimeoutError:  # a connector waited for a secret that others were fetching
            return Answer(Reason.LATE)
        except Exception as error:  # noqa: BLE001 - one broken conversation must not lose the batch
            fault(log, "a conversation broke", error, source=source.key)
            return Answer(Reason.MALFORMED)
        finally:
            conversation.close()
            if self._roads is not None and trip.begun:  # who sent nothing has learnt nothing of the road
                took_ms = round((time.monotonic() - began) * 1000)
                self._roads.heard(source.key, took_ms, sound=sound, calls=trip.calls, pause_s=trip.pause)

    def _exchange(self, request: HttpRequest | TableQuery, trip: _Trip) -> HttpResponse | TableRows:
        """The response, on the road that the request's kind takes."""
        table, taken = isinstance(request, TableQuery), True
        try:
            return self._tables.read(request) if isinstance(request, TableQuery) else self._sent(request, trip)
        except Road as road:
            taken = road.taken
            raise
        finally:
            trip.begun = trip.begun or taken
            trip.calls += table and taken

    def _sent(self, request: HttpRequest, trip: _Trip) -> HttpResponse:
        place, host, target = _place(request.url)
        raw = written(request.method, target, host, {**_HEADERS, **request.headers}, request.body)
        pool = self._pool(place)
        _wait(request.after)
        safe = request.repeat is Repeat.SAFE
        try:
            try:
                return self._once(
                    pool, pool.take if safe else pool.new, raw, trip
                )  # a kept one may have died meanwhile
            except Road as road:
                if (road.sent and not safe) or road.again is None or not _fits(road.again):
                    raise
                time.sleep(road.again)
            return self._once(pool, pool.new, raw, trip)
        except Road as road:
            if request.repeat is Repeat.EFFECT and road.silent:
                raise Road(Reason.EFFECT_UNKNOWN, road.answer.source_code, pause=road.pause) from road
            raise

    def _once(self, pool: Pool, taken: Callable[[], Connection], raw: bytes, trip: _Trip) -> HttpResponse:
        try:
            deadline.remaining()
            connection = taken()
        except (OSError, Unreachable) as error:
            nobody = isinstance(error, Unreachable) and isinstance(error.__cause__, ConnectionError)
            raise Road(_reason(error), again=_moment() if nobody else None, sent=False) from error
        trip.calls += 1
        try:
            try:
                status, headers = connection.ask(raw)
                _refuse(status, headers)
                body = connection.body()
            except HungUp as end:  # a kept connection may have died on the way to us: then at once
                raise Road(Reason.SOURCE_DOWN, again=0.0 if connection.reused else _moment()) from end
            finally:
                pool.give_back(connection)  # which closes it unless everything was read
        except (OSError, Malformed) as error:
            raise Road(_reason(error)) from error
        return HttpResponse(status, headers, body)

    def _pool(self, place: _Place) -> Pool:
        pool = self._pools.get(place)
        if pool is None:
            with self._lock:
                pool = self._pools.setdefault(place, self._new_pool(place))
        return pool

    def _new_pool(self, place: _Place) -> Pool:
        scheme, host, port = place
        if scheme not in _PORTS:
            raise Road(Reason.NOT_CONFIGURED)
        tls = self._tls if scheme == "https" else None
        return Pool(lambda: connect(host, port, tls), KEPT_CONNECTIONS)

    def _executor(self, name: str) -> ThreadPoolExecutor:
        with self._lock:
            if name not in self._executors:
                self._executors[name] = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix=f"ask-{name}")
            return self._executors[name]


@lru_cache(maxsize=128)  # as many as urlsplit keeps
def _place(url: str) -> tuple[_Place, str, str]:
    """Where a URL points: the pool's key, the Host header, and the request's target."""
    if not url.isascii() or not url.isprintable() or " " in url:  # urlsplit would silently drop line breaks
        raise ValueError("the URL cannot be sent")
    parts = urlsplit(url)
    host, usual = parts.hostname or "", _PORTS.get(parts.scheme, 0)
    port = usual if parts.port is None else parts.port
    named = f"[{host}]" if ":" in host else host
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return (parts.scheme, host, port), named if port == usual else f"{named}:{port}", target


def _refuse(status: int, headers: Mapping[str, str]) -> None:
    """End the conversation for what no connector needs to see."""
    told = _asked_for(headers) if status in {429, 503} else None
    again = None if told is None else told + _moment()
    if status == 429:
        raise Road(Reason.THROTTLED, "429", again, pause=BRIEFLY if told is None else told)
    if status >= 500:
        raise Road(Reason.SOURCE_DOWN, str(status), again, pause=told or 0.0)
    if 300 <= status < 400:
        raise Road(Reason.MALFORMED, str(status))
    encoded = headers.get("content-encoding", "identity") != "identity"
    if encoded or headers.get("transfer-encoding", "chunked").lower() != "chunked" or _is_page(headers):
        raise Road(Reason.MALFORMED, str(status))
    if int(headers.get("content-length", "0")) > MAX_BODY:  # digits: the parser has looked
        raise Road(Reason.MALFORMED, str(status))


def _asked_for(headers: Mapping[str, str]) -> float | None:
    """After how many seconds the source itself wants to be asked again; a date counts from the answer's own ``Date``.

    Without that, a date tells nothing: whose clock would it be?
    """
    told = headers.get("retry-after", "")
    if told.isascii() and told.isdigit() and len(told) < 10:
        return float(told)
    try:
        then, now = parsedate_to_datetime(told), parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (then - now).total_seconds())
    except (TypeError, ValueError):  # no date, or one with a zone and one without
        return None


def _moment() -> float:
    return _CHANCE.uniform(*REPEAT_SECONDS)


def _fits(pause: float) -> bool:
    """Whether a pause leaves the repeated request at least as much time as it took itself."""
    return pause * 2 <= deadline.remaining()


def _wait(seconds: float) -> None:
    """What a connector wants to wait, and up to a half more by chance, so that a crowd spreads."""
    if seconds:
        pause = _CHANCE.uniform(seconds, seconds * 1.5)
        if not _fits(pause):
            raise Road(Reason.SOURCE_DOWN, sent=False)
        time.sleep(pause)


def _is_page(headers: Mapping[str, str]) -> bool:
    """A log-in or error page of some device in between."""
    return headers.get("content-type", "").lower().startswith("text/html")


def _reason(error: Exception) -> Reason:
    """The reason for a failure on the way."""
    return next((reason for broken, reason in _REASONS if isinstance(error, broken)), Reason.SOURCE_DOWN)


_REASONS: Final[tuple[tuple[type[Exception], Reason], ...]] = (  # the first that fits; a connection's end is none
    (ssl.SSLCertVerificationError, Reason.UNTRUSTED),
    (TimeoutError, Reason.LATE),
    (Malformed, Reason.MALFORMED),
)
