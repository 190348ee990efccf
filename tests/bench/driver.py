"""The load: one process, one thread, many kept-alive connections, each sending its next request when answered.

Started as ``python -m tests.bench.driver`` with a :class:`Task` on standard input (JSON); it prints one JSON line when
its window begins, one when it ends, and its result. Requests are signed beforehand, so that the approval system's own
work, which belongs on another machine, takes as little as possible of this one.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from broker.core.envelope import Verifier, unb64
from broker.signing import http_message, keys
from tests.bench.work_unit import FRESH_SECONDS, MATERIALS, Caller, Couple, Message, documents

SAMPLE_EVERY = 20  # each twentieth answer is kept, and verified after the window
AGAIN_SECONDS = 0.02  # after an answer that was not decided yet
ANSWER_SECONDS = 60.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_DECIDED = re.compile(rb'"state": ?"decided"')
_ID = re.compile(rb'"id": ?"([0-9a-f-]+)"')


@dataclass(frozen=True)
class Task:
    """What the driver is told."""

    url: str
    key: str
    """File of the caller's private key."""
    couples: list[Couple]
    connections: int
    warm_seconds: float
    seconds: float
    stock: int
    """How many requests are signed beforehand."""
    label: str
    answer_keys: dict[str, Any] | None = None
    """The key set by which answers are signed, None where the server does not sign them."""
    receipt_keys: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as received."""

    status: int
    head: bytes = field(repr=False)
    body: bytes = field(repr=False)


@dataclass
class Line:
    """One connection and the request on its way."""

    sock: socket.socket
    message: Message
    submitted_at: float
    buffer: bytearray = field(default_factory=bytearray)

    def send(self, message: Message) -> None:
        """Put a request on its way; it fits into the socket's buffer."""
        self.message = message
        self.buffer.clear()
        self.sock.sendall(message.wire)

    def receive(self) -> Response | None:
        """What came, once it is whole. Raises ``ConnectionError`` where the server hung up."""
        data = self.sock.recv(262_144)
        if not data:
            raise ConnectionError("the server closed a connection")
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = _LENGTH.search(self.buffer, 0, end + 2)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self.buffer) < whole:
            return None
        return Response(int(self.buffer[9:12]), bytes(self.buffer[:end]), bytes(self.buffer[end + 4 : whole]))


def exchange(sock: socket.socket, message: Message) -> Response:
    """One request and its answer, waited for."""
    line = Line(sock, message, 0.0)
    line.send(message)
    while (response := line.receive()) is None:
        pass
    return response


@dataclass
class Tally:
    """What is counted inside the window."""

    latencies: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    undecided: int = 0
    samples: list[tuple[Message, Response, float]] = field(default_factory=list)


class Driver:
    """Runs one task."""

    def __init__(self, task: Task) -> None:
        """Signs the stock and connects."""
        self._task = task
        self._caller = Caller(task.url, keys.load_private(Path(task.key).read_bytes()))
        self._documents = documents(task.couples, task.label)
        self._stock: deque[Message] = deque(self._fresh() for _ in range(task.stock))
        self._selector = selectors.DefaultSelector()
        self._later: deque[tuple[float, Line, Message]] = deque()
        self._tally = Tally()
        self._window = (0.0, 0.0)

    def run(self) -> dict[str, Any]:
        """Warm up, measure, verify the samples; returns the result."""
        for _ in range(self._task.connections):
            self._connect()
        begin = time.perf_counter() + self._task.warm_seconds
        self._window = (begin, begin + self._task.seconds)
        self._serve_until(begin)
        _say({"event": "begin"})
        cpu, wall = time.process_time(), time.perf_counter()
        self._serve_until(self._window[1])
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        _say({"event": "end"})
        return self._result(cpu, wall)

    def _fresh(self) -> Message:
        return self._caller.submit(next(self._documents))

    def _next(self) -> Message:
        while self._stock:
            message = self._stock.popleft()
            if time.time() - message.signed_at < FRESH_SECONDS:
                return message
        return self._fresh()

    def _connect(self) -> None:
        parts = urlsplit(self._task.url)
        sock = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=ANSWER_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = Line(sock, self._next(), time.perf_counter())
        self._selector.register(sock, selectors.EVENT_READ, line)
        line.send(line.message)

    def _serve_until(self, deadline: float) -> None:
        while (now := time.perf_counter()) < deadline:
            self._resume(now)
            patience = min(deadline - now, AGAIN_SECONDS if self._later else ANSWER_SECONDS)
            for key, _ in self._selector.select(patience):
                self._hear(key.data)

    def _resume(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            _, line, message = self._later.popleft()
            line.send(message)

    def _hear(self, line: Line) -> None:
        response = line.receive()
        if response is None:
            return
        now = time.perf_counter()
        if response.status in (200, 202) and not _DECIDED.search(response.body):
            self._ask_again(line, response, now)
            return
        if self._window[0] <= now < self._window[1]:
            self._count(line, response, now)
        line.submitted_at = now
        line.send(self._next())

    def _ask_again(self, line: Line, response: Response, now: float) -> None:
        self._tally.undecided += 1
        found = _ID.search(response.body)
        if found is None:
            raise ValueError(f"an answer without id: {response.status}")
        self._later.append((now + AGAIN_SECONDS, line, self._caller.read(found[1].decode())))

    def _count(self, line: Line, response: Response, now: float) -> None:
        if response.status != 200:
            self._tally.refused.append(f"{response.status} {response.body[:300].decode(errors='replace')}")
            return
        self._tally.latencies.append(now - line.submitted_at)
        if len(self._tally.latencies) % SAMPLE_EVERY == 1:
            self._tally.samples.append((line.message, response, time.time()))

    def _result(self, cpu: float, wall: float) -> dict[str, Any]:
        tally = self._tally
        if tally.refused or not tally.latencies:
            raise RuntimeError(f"{len(tally.latencies)} decided, {len(tally.refused)} refused: {tally.refused[:3]}")
        answers = keys.from_jwks(self._task.answer_keys) if self._task.answer_keys is not None else None
        receipts = keys.from_jwks(self._task.receipt_keys)
        for message, response, received_at in tally.samples:
            check(message, response, received_at, answers, receipts)
        ordered = sorted(tally.latencies)
        return {
            "event": "result",
            "completed": len(ordered),
            "wall": wall,
            "per_second": len(ordered) / wall,
            "p50_ms": 1000 * ordered[len(ordered) // 2],
            "p95_ms": 1000 * ordered[int(len(ordered) * 0.95)],
            "undecided": tally.undecided,
            "verified_samples": len(tally.samples),
            "cpu": cpu,
        }


def check(
    message: Message,
    response: Response,
    received_at: float,
    answers: Mapping[str, Verifier] | None,
    receipts: Mapping[str, Verifier],
) -> None:
    """Refuse a result that only looks right: the answer's signature, the receipt's, and three materials exempt."""
    if answers is not None:
        headers = {name.lower(): value for name, value in _headers(response.head)}
        http_message.verify_response(
            response.status, headers, response.body, message.question, answers.get, int(received_at)
        )
    header, payload, signature = orjson.loads(response.body)["receipt"].split(".")
    verifier = receipts[orjson.loads(unb64(header))["kid"]]
    if not verifier.verify(f"{header}.{payload}".encode(), unb64(signature)):
        raise ValueError("a receipt's signature does not hold")
    decided = {one["material"]: one["decision"] for one in orjson.loads(unb64(payload))["materials"]}
    if decided != dict.fromkeys(MATERIALS, "exempt"):
        raise ValueError(f"not what the sources hold: {decided}")


def _headers(head: bytes) -> Iterator[tuple[str, str]]:
    for text in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = text.partition(":")
        yield name.strip(), value.strip()


def _say(line: Mapping[str, Any]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    told = json.loads(sys.stdin.read())
    _say(Driver(Task(**told)).run())
