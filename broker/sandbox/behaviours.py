"""Everything a simulated source can be told to do, once: the name, where it happens, and what it is.

A behaviour of the *door* happens before a request can be read, so it concerns all sources of the platform; it needs a
sandbox with doors (:mod:`broker.sandbox.door`), and so do those of the *wire*, which no web server does by itself. The
*road* changes the HTTP response around an honest answer, the *answer* is the platform's own lie.
"""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import Enum, auto
from typing import Final

from broker.sandbox.door import DRIP_SECONDS
from broker.sandbox.platform import Reply

HUGE: Final = 100 * 1024 * 1024
HANG_SECONDS: Final = 120.0
AFTER_LEASE_SECONDS: Final = 35.0  # a worker's lease is 30 s
_PIECE: Final = 64 * 1024
_MEMBER: Final = 1024 * 1024
_TEXT: Final = "text/plain"
_THROTTLED: Final = "429 Too Many Requests"
_FIRST_TAG: Final = re.compile(rb"(<[A-Za-z:]+)")


class Place(Enum):
    """Where a behaviour happens."""

    DOOR = auto()  # before the request
    WIRE = auto()  # instead of the response, below HTTP
    ROAD = auto()  # around the answer
    ANSWER = auto()  # in the answer: the platform lies


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One thing a source can be told to do."""

    name: str
    place: Place
    what: str


_TABLE: Final = (
    Behaviour("ok", Place.ROAD, "behave"),
    Behaviour("refuse", Place.DOOR, "nobody listens"),
    Behaviour("tls_wrong_ca", Place.DOOR, "a certificate of an authority nobody knows"),
    Behaviour("tls_expired", Place.DOOR, "a certificate that has expired"),
    Behaviour("tls_wrong_name", Place.DOOR, "a certificate for another name"),
    Behaviour("tls_slow", Place.DOOR, "its part of the handshake one byte a second"),
    Behaviour("reset", Place.WIRE, "the request is read and the connection reset"),
    Behaviour("twice", Place.WIRE, "the answer is sent twice"),
    Behaviour("drip_headers", Place.WIRE, "one byte a second from the status line on"),
    Behaviour("slow", Place.ROAD, "answer, after delay_ms"),
    Behaviour("hang", Place.ROAD, "never so much as a header"),
    Behaviour("drip", Place.ROAD, "the body one byte a second"),
    Behaviour("after_lease", Place.ROAD, "answer after 35 s, when the worker's lease is over"),
    Behaviour("huge", Place.ROAD, "100 MB"),
    Behaviour("bomb", Place.ROAD, "100 MB in 100 KB of gzip"),
    Behaviour("redirect", Place.ROAD, "302 to somewhere else"),
    Behaviour("error500", Place.ROAD, "500"),
    Behaviour("error503", Place.ROAD, "503 with Retry-After: 1"),
    Behaviour("throttled", Place.ROAD, "429 without Retry-After"),
    Behaviour("throttled_after", Place.ROAD, "429 with Retry-After: 1, each time"),
    Behaviour("throttled_date", Place.ROAD, "429 with Retry-After as a date, a second later, each time"),
    Behaviour("throttled_long", Place.ROAD, "429 with Retry-After: 3600, far beyond any budget"),
    Behaviour("page", Place.ROAD, "an HTML page with status 200"),
    Behaviour("empty", Place.ROAD, "200 and nothing"),
    Behaviour("malformed", Place.ROAD, "the first half of the answer"),
    Behaviour("duplicate_keys", Place.ROAD, "a key (in XML: an attribute) occurs twice"),
    Behaviour("nan", Place.ROAD, "NaN (in XML: an entity nobody has defined) stands where a value should"),
    Behaviour("gbk", Place.ROAD, "the answer in GBK, called UTF-8"),
    Behaviour("replay", Place.ROAD, "the last answer to another question again"),
    Behaviour("schema", Place.ANSWER, "every field of a record is a list"),
    Behaviour("unsigned", Place.ANSWER, "what should be protected by a key (answer, working secret) is in the clear"),
    Behaviour("wrong_key", Place.ANSWER, "the same, protected by a key that is not the agreed one"),
    Behaviour("not_permitted", Place.ANSWER, "we may not ask for this"),
    Behaviour("wrong_person", Place.ANSWER, "somebody else's record"),
    Behaviour("ambiguous", Place.ANSWER, "the record twice, as if there were two"),
    Behaviour("stale", Place.ANSWER, "data of more than a year ago; certificates that ran out"),
    Behaviour("future", Place.ANSWER, "data of the day after tomorrow; certificates that begin then"),
    Behaviour("ended", Place.ANSWER, "what it holds holds no longer: revoked, cancelled, denied"),
    Behaviour("contradiction", Place.ANSWER, "what it knew a moment ago it does not know now, and so on"),
    Behaviour("undecided", Place.ANSWER, "asked for a consent, the holder has not answered yet"),
    Behaviour("refused", Place.ANSWER, "asked for a consent, the holder says no"),
    Behaviour("secret_expired", Place.ANSWER, "a working secret ends after sixteen calls, in the midst of a batch"),
)
BEHAVIOURS: Final[Mapping[str, Behaviour]] = {one.name: one for one in _TABLE}

Response = tuple[str, list[tuple[str, str]], Iterable[bytes]]
"""Status line, headers, and the pieces of the body."""


def on_the_road(name: str, reply: Reply) -> Response:
    """The response to send for an honest reply; behaviours of other places send it as it is."""
    return _ROADS.get(name, _honest)(reply)


def _honest(reply: Reply) -> Response:
    return _plain(reply.status, reply.content_type, reply.body)


def _plain(status: str, kind: str, body: bytes, *more: tuple[str, str]) -> Response:
    return status, [("Content-Type", kind), ("Content-Length", str(len(body))), *more], [body]


def _drip(reply: Reply) -> Response:
    def pieces() -> Iterator[bytes]:
        for position in range(len(reply.body)):
            yield reply.body[position : position + 1]
            time.sleep(DRIP_SECONDS)

    return reply.status, [("Content-Type", reply.content_type)], pieces()


def _huge(reply: Reply) -> Response:
    def pieces() -> Iterator[bytes]:
        for _ in range(HUGE // _PIECE):
            yield b" " * _PIECE
        yield reply.body

    return reply.status, [("Content-Type", reply.content_type)], pieces()


def _bomb(reply: Reply) -> Response:
    packed = gzip.compress(b" " * _MEMBER) * (HUGE // _MEMBER)  # members may follow each other; so it is made at once
    return _plain(reply.status, reply.content_type, packed, ("Content-Encoding", "gzip"))


def _throttled_date(_: Reply) -> Response:
    now = datetime.now(UTC).replace(microsecond=0)
    then = format_datetime(now + timedelta(seconds=1), usegmt=True)
    return _plain(_THROTTLED, _TEXT, b"", ("Date", format_datetime(now, usegmt=True)), ("Retry-After", then))


def _with(change: Callable[[bytes], bytes]) -> Callable[[Reply], Response]:
    return lambda reply: _plain(reply.status, reply.content_type, change(reply.body))


def _twice(body: bytes) -> bytes:
    if body.startswith(b"{"):
        return b'{"twice":1,"twice":2,' + body[1:]
    return _FIRST_TAG.sub(rb'\1 twice="1" twice="2"', body, count=1)


def _nan(body: bytes) -> bytes:
    if body.startswith(b"{"):
        return b'{"nan":NaN,' + body[1:]
    return b"<NAN>&nan;</NAN></".join(body.rsplit(b"</", 1))


def _gbk(body: bytes) -> bytes:
    """With something Chinese in it: a number alone is the same in both."""
    text = body.decode("utf-8", "replace")
    told = '{"备注":"无",' + text[1:] if text.startswith("{") else "<!--无--></".join(text.rsplit("</", 1))
    return told.encode("gbk", "replace")


_ROADS: Final[dict[str, Callable[[Reply], Response]]] = {
    "drip": _drip,
    "huge": _huge,
    "bomb": _bomb,
    "redirect": lambda _: _plain("302 Found", _TEXT, b"", ("Location", "http://127.0.0.1:9/elsewhere")),
    "error500": lambda _: _plain("500 Internal Server Error", _TEXT, b"error"),
    "error503": lambda _: _plain("503 Service Unavailable", _TEXT, b"", ("Retry-After", "1")),
    "throttled": lambda _: _plain(_THROTTLED, _TEXT, b""),
    "throttled_after": lambda _: _plain(_THROTTLED, _TEXT, b"", ("Retry-After", "1")),
    "throttled_date": _throttled_date,
    "throttled_long": lambda _: _plain(_THROTTLED, _TEXT, b"", ("Retry-After", "3600")),
    "page": lambda _: _plain("200 OK", "text/html; charset=utf-8", "<html>登录</html>".encode()),
    "empty": _with(lambda _: b""),
    "malformed": _with(lambda body: body[: len(body) // 2]),
    "duplicate_keys": _with(_twice),
    "nan": _with(_nan),
    "gbk": _with(_gbk),
}
