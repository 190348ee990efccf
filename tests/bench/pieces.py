"""(e) The unavoidable pieces of one verification, each measured alone: CPU time of every process it needs.

The sum is what a broker cannot do without, at the best we know how: no framework, no queue, no waiting, no retries.
Divided into the two cores it gives the bound that (b) is compared with. Because sources and driver share the cores
with (b), the bound "on this machine" contains their CPU time too; the bound "sources elsewhere" does not.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import orjson
import psycopg

from broker.bootstrap import read_platforms
from broker.core.answer import Question
from broker.core.envelope import Algorithm, canonical, parse, seal
from broker.core.receipt import RECEIPT_TYPE
from broker.ports import HttpRequest, HttpResponse
from broker.signing import http_message, keys
from broker.signing.vault import KEY_BYTES, CaseVault
from tests.bench.direct import Asker, exchange_connector
from tests.bench.driver import exchange
from tests.bench.processes import Scales, python, start
from tests.bench.stack import Running
from tests.bench.work_unit import LOOKUPS, REPOSITORY, Caller, Message, document, questions, sharing_list
from tests.bench.world import World, free_port

ENTRIES = 8  # admitted, three asked, three answered, decided
BATCH = 16  # verifications that share the commits of asking, recording and sequencing
RECEIPT_BYTES = 2_400
ANSWER_BYTES = 4_000
REPEAT_SECONDS = 1.0


@dataclass(frozen=True)
class Piece:
    """One unavoidable piece, per verification."""

    name: str
    milliseconds: float
    contains: str
    elsewhere: bool = False
    """Whether it falls on another machine in real life: the sources and the approval system."""


def measure_pieces(world: World, algorithm: Algorithm) -> list[Piece]:
    """Every piece, one after the other."""
    return [
        *_crypto(algorithm),
        _serialisation(world),
        *_exchanges(world),
        *_rows(world),
        *_http_in(world),
    ]


def bound(pieces: list[Piece], cores: int, *, elsewhere: bool) -> float:
    """Verifications per second; ``elsewhere``: with sources and driver on machines of their own."""
    spent = sum(piece.milliseconds for piece in pieces if not (elsewhere and piece.elsewhere))
    return cores * 1000 / spent


def _cpu(step: Callable[[], object], seconds: float = REPEAT_SECONDS) -> float:
    """CPU milliseconds of this process for one step."""
    step()
    times, begun, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begun < seconds:
        step()
        times += 1
    return 1000 * (time.process_time() - cpu) / times


def _crypto(algorithm: Algorithm) -> Iterator[Piece]:
    signer = keys.generate(algorithm)
    verifier = signer.verifier()
    url, body = "http://127.0.0.1:8080/v1/verifications", os.urandom(900)
    now = int(time.time())

    def sign() -> dict[str, str]:
        return http_message.sign_request("POST", url, body, "application/json", signer, now, secrets.token_hex(16))

    headers = {name.lower(): value for name, value in sign().items()} | {"content-type": "application/json"}
    asked = http_message.Question("POST", url, headers["signature"])
    answer, receipt = os.urandom(ANSWER_BYTES), os.urandom(RECEIPT_BYTES)

    def verify() -> None:
        http_message.verify_request("POST", url, headers, body, lambda _: verifier, now)

    def answer_signed() -> None:
        http_message.sign_response(200, answer, "application/json", asked, signer, now)
        seal(receipt, signer, RECEIPT_TYPE)

    yield Piece("verify the request", _cpu(verify), f"RFC 9421 profile, one {algorithm.value} verification")
    yield Piece("sign answer and receipt", _cpu(answer_signed), f"two {algorithm.value} signatures")
    vault = CaseVault(os.urandom(KEY_BYTES), os.urandom(KEY_BYTES))
    key, _ = vault.new_case_key()
    sealed = [vault.encrypt(key, os.urandom(900), "x") for _ in range(1 + LOOKUPS)]

    def keep() -> None:
        vault.new_case_key()
        for one in sealed:
            vault.decrypt(key, vault.encrypt(key, one, "x"), "x")

    yield Piece("encrypt at rest", _cpu(keep), "AES-256-GCM of the request and three answers, there and back")


def _serialisation(world: World) -> Piece:
    """The request parsed and checked, the entries and the receipt written, the answer written."""
    schema = orjson.loads((REPOSITORY / "schemas" / "request.schema.json").read_bytes())
    validator = jsonschema_rs.Draft202012Validator(schema)
    body = orjson.dumps(document(world.couples[0], "pieces"))
    entry = {f"name{number}": "x" * 40 for number in range(12)}
    receipt = {f"name{number}": "x" * 60 for number in range(30)}

    def step() -> None:
        validator.is_valid(parse(body))
        for _ in range(ENTRIES):
            canonical(entry)
        canonical(receipt)
        orjson.dumps(receipt)

    return Piece("serialisation", _cpu(step), f"request parsed and checked; {ENTRIES} entries, receipt, answer written")


def _exchanges(world: World) -> Iterator[Piece]:
    """The protocol work without a socket, and three kept-alive exchanges with a socket of our own on real sources."""
    edition, connector = sharing_list(), exchange_connector()
    sources = edition.catalog.sources
    platforms = read_platforms(Path(world.sandbox.connections))
    asked = questions(edition, document(world.couples[0], "pieces"))
    recorder = Recorder(Asker(connector, platforms))
    for question in asked:
        recorder.record(question, sources[question.source])

    def converse() -> None:
        for question, response in recorder.answers:
            source = sources[question.source]
            conversation = connector.ask(question, source, platforms[source.platform], datetime.now(UTC))
            next(conversation)
            try:
                conversation.send(response)
            except StopIteration:
                continue
            raise AssertionError("a conversation of one exchange")

    yield Piece("source protocol", _cpu(converse), "three questions signed and written, three answers checked and read")
    yield from _roads(world, recorder.requests)


class Recorder:
    """Keeps what was sent to the sources and what came back."""

    def __init__(self, asker: Asker) -> None:
        """Asks through this one."""
        self._asker = asker
        self._exchange = asker._exchange  # listens between the two
        asker._exchange = self._kept  # type: ignore[method-assign]
        self._last: tuple[HttpRequest, HttpResponse] | None = None
        self.requests: list[HttpRequest] = []
        self.answers: list[tuple[Question, HttpResponse]] = []

    def _kept(self, request: HttpRequest) -> HttpResponse:
        response = self._exchange(request)
        self._last = (request, response)
        return response

    def record(self, question: Question, source: Any) -> None:
        """Ask once; the last exchange is the answer, whatever was fetched before it."""
        self._asker.ask(question, source)
        if self._last is None:
            raise AssertionError(question.source)
        self.requests.append(self._last[0])
        self.answers.append((question, self._last[1]))


def _roads(world: World, requests: list[HttpRequest]) -> Iterator[Piece]:
    wires = [_wire(request) for request in requests]
    scales, parts = Scales({"sources": world.trees["sources"]}), urlsplit(requests[0].url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=10) as sock:

        def converse() -> None:
            for wire in wires:
                exchange(sock, wire)

        converse()
        before, times, begun, cpu = scales.weigh(), 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - begun < 2 * REPEAT_SECONDS:
            converse()
            times += 1
        ours = 1000 * (time.process_time() - cpu) / times
        theirs = 1000 * (scales.weigh()["sources"].cpu - before["sources"].cpu) / times
    yield Piece("three exchanges", ours, "three kept-alive HTTP exchanges with the sources, a bare socket")
    yield Piece("the sources", theirs, "the simulated sources' own work on three lookups", elsewhere=True)


def _wire(request: HttpRequest) -> Message:
    parts = urlsplit(request.url)
    told = {"Host": parts.netloc, "Content-Length": str(len(request.body)), **request.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    wire = f"{request.method} {parts.path} HTTP/1.1\r\n{head}\r\n".encode() + request.body
    return Message(wire, http_message.Question(request.method, request.url, None), 0.0)


_SCHEMA = """
CREATE TABLE bench_case (id text PRIMARY KEY, number text UNIQUE, key bytea);
CREATE TABLE bench_nonce (nonce text PRIMARY KEY, expires bigint);
CREATE TABLE bench_verification (id text PRIMARY KEY, request_id text UNIQUE, state text, body bytea, receipt text);
CREATE TABLE bench_lookup (id text PRIMARY KEY, verification text, state text, question bytea, answer bytea);
CREATE TABLE bench_entry (id bigserial PRIMARY KEY, body bytea, place bigint);
"""


def _rows(world: World) -> Iterator[Piece]:
    """Rows and commits on a schema of the same shape without foreign keys, in as few statements as there can be.

    One commit admits each verification, one records BATCH of them: state, answers, receipts and entries.
    """
    url = world.database().replace("postgresql+psycopg://", "postgresql://", 1)
    scales = Scales({"postgres": world.trees["postgres"]})
    with psycopg.connect(url, prepare_threshold=0) as connection:
        connection.execute(_SCHEMA, prepare=False)
        connection.commit()
        _batch(connection)
        before, times, begun, cpu = scales.weigh(), 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - begun < 2 * REPEAT_SECONDS:
            _batch(connection)
            times += BATCH
        ours = 1000 * (time.process_time() - cpu) / times
        theirs = 1000 * (scales.weigh()["postgres"].cpu - before["postgres"].cpu) / times
    contains = f"14 rows, 3 of them updated, one commit each and one for {BATCH}"
    yield Piece("database, client side", ours, f"{contains}; psycopg, prepared, multi-row")
    yield Piece("database, server side", theirs, "the same, in PostgreSQL")


def _batch(connection: psycopg.Connection[Any]) -> None:
    admitted = []
    for _ in range(BATCH):
        number = secrets.token_hex(16)
        lookups = [secrets.token_hex(16) for _ in range(LOOKUPS)]
        connection.execute(
            "WITH a AS (INSERT INTO bench_nonce VALUES (%s, 0)), b AS (INSERT INTO bench_case VALUES (%s, %s, %s)), "
            "c AS (INSERT INTO bench_verification VALUES (%s, %s, 'admitted', %s, NULL)), "
            "d AS (INSERT INTO bench_entry (body) SELECT unnest(%s::bytea[])) "
            "INSERT INTO bench_lookup SELECT unnest(%s::text[]), %s, 'due', unnest(%s::bytea[]), NULL",
            (number, number, number, b"k" * 60, number, number, b"r" * 1000, [b"e" * 700] * 4, lookups, number,
             [b"q" * 900] * LOOKUPS),
        )  # fmt: skip
        connection.commit()
        admitted.append((number, lookups))
    numbers = [number for number, _ in admitted]
    every = [one for _, lookups in admitted for one in lookups]
    connection.execute(
        "UPDATE bench_lookup SET state = 'answered', answer = n.answer "
        "FROM unnest(%s::text[], %s::bytea[]) n(id, answer) WHERE bench_lookup.id = n.id",
        (every, [b"a" * 300] * len(every)),
    )
    connection.execute(
        "UPDATE bench_verification SET state = 'decided', receipt = n.receipt "
        "FROM unnest(%s::text[], %s::text[]) n(id, receipt) WHERE bench_verification.id = n.id",
        (numbers, ["r" * RECEIPT_BYTES] * BATCH),
    )
    connection.execute("INSERT INTO bench_entry (body) SELECT unnest(%s::bytea[])", ([b"e" * 500] * 4 * BATCH,))
    connection.commit()


def _http_in(world: World) -> Iterator[Piece]:
    """One request in and one answer of our size out, on the same server, by a bare WSGI function."""
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", world.folder / "bare.log"
    arguments = ("-m", "granian", "--interface", "wsgi", "--port", str(port), "--workers", "1", "--log-level", "error")
    running = Running(world)
    try:
        running.add(start("web", python(*arguments, "tests.bench.pieces:bare"), {"PYTHONPATH": str(REPOSITORY)}, log))
        running.wait_for(url)
        message = Caller(url, keys.generate(Algorithm.ED25519)).submit(document(world.couples[0], "pieces"))
        parts = urlsplit(url)
        scales = Scales({"web": [running.processes[0].popen.pid]})
        with socket.create_connection((parts.hostname or "", port), timeout=10) as sock:
            before, times, begun, cpu = scales.weigh(), 0, time.perf_counter(), time.process_time()
            while time.perf_counter() - begun < 2 * REPEAT_SECONDS:
                exchange(sock, message)
                times += 1
            ours = 1000 * (time.process_time() - cpu) / times
            theirs = 1000 * (scales.weigh()["web"].cpu - before["web"].cpu) / times
    finally:
        running.stop()
    yield Piece("one request in", theirs, "a bare WSGI function on granian")
    yield Piece("the approval system", ours, "one request out, its signature made elsewhere", elsewhere=True)


def bare(environ: Mapping[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
    """The WSGI function of :func:`_http_in`."""
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(ANSWER_BYTES))])
    return [b"x" * ANSWER_BYTES]
