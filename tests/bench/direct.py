"""(d) A plain client that asks the sources itself: threads with kept-alive ``http.client`` connections, no broker.

It does the same protocol work as the broker – working secret, signed headers, XML and JSON bodies, answers checked by
schema – through the same connectors, so that (d) differs from (b) by what a broker adds and by nothing else. Started as
``python -m tests.bench.direct`` with a :class:`Task` on standard input.
"""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from broker.bootstrap import read_platforms
from broker.connectors import AnswerOk, connectors
from broker.core.answer import Answer, Outcome, Question
from broker.core.catalog import Source
from broker.core.errors import SourceProblem
from broker.core.working_days import Calendar
from broker.ports import Connection, Connector, HttpRequest, HttpResponse
from broker.transport.answers import load_answer_schemas
from tests.bench.work_unit import REPOSITORY, Couple, document, questions, sharing_list

SECONDS = 10.0


@dataclass(frozen=True)
class Task:
    """What a direct client is told."""

    platforms: str
    couples: list[Couple]
    threads: int
    warm_seconds: float
    seconds: float


def no_decrypt(_pem: str, _ciphertext: bytes) -> bytes:
    """None of the sources asked here encrypts."""
    raise SourceProblem("source.ciphertext")


def exchange_connector(answer_ok: AnswerOk | None = None) -> Connector:
    """The connector of the sources asked, with our schema check unless another one is given."""
    check = answer_ok or load_answer_schemas(REPOSITORY / "schemas" / "sources")
    return connectors(check, no_decrypt, Calendar())["exchange"]


@dataclass
class Asker:
    """Asks one question after the other over connections of its own; one per thread."""

    connector: Connector
    platforms: Mapping[str, Connection]
    _kept: dict[str, HTTPConnection] = field(default_factory=dict)

    def ask(self, question: Question, source: Source) -> Answer:
        """The source's answer. Raises ``OSError`` for what the road does: nothing goes wrong in a benchmark."""
        conversation = self.connector.ask(question, source, self.platforms[source.platform], datetime.now(UTC))
        try:
            request = next(conversation)
            while True:
                request = conversation.send(self._exchange(request))
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    def _exchange(self, request: HttpRequest) -> HttpResponse:
        parts = urlsplit(request.url)
        connection = self._kept.get(parts.netloc)
        if connection is None:
            connection = self._kept[parts.netloc] = HTTPConnection(parts.netloc, timeout=SECONDS)
        connection.request(request.method, parts.path, request.body, dict(request.headers))
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return HttpResponse(response.status, headers, response.read())


class Direct:
    """Threads that ask the three questions of a verification again and again."""

    def __init__(self, task: Task) -> None:
        """Reads the sharing list and the connections."""
        self._task = task
        edition = sharing_list()
        self._sources = edition.catalog.sources
        self._connector = exchange_connector()
        self._platforms = read_platforms(Path(task.platforms))
        self._questions = [one for pair in task.couples for one in questions(edition, document(pair, "direct"))]
        self._counts = [0] * task.threads
        self._stop = threading.Event()
        self._failures: list[str] = []

    def run(self) -> dict[str, Any]:
        """Lookups per second inside the window."""
        threads = [threading.Thread(target=self._work, args=(slot,), daemon=True) for slot in range(self._task.threads)]
        for thread in threads:
            thread.start()
        time.sleep(self._task.warm_seconds)
        print(json.dumps({"event": "begin"}), flush=True)
        before, begun, cpu = sum(self._counts), time.perf_counter(), time.process_time()
        time.sleep(self._task.seconds)
        done, wall, cpu = sum(self._counts) - before, time.perf_counter() - begun, time.process_time() - cpu
        print(json.dumps({"event": "end"}), flush=True)
        self._stop.set()
        for thread in threads:
            thread.join(SECONDS)
        if self._failures:
            raise RuntimeError(self._failures[0])
        return {"event": "result", "completed": done, "wall": wall, "per_second": done / wall, "cpu": cpu}

    def _work(self, slot: int) -> None:
        asker = Asker(self._connector, self._platforms)
        while not self._stop.is_set():
            for asked in self._questions:
                fresh = replace(asked, lookup_id=secrets.token_hex(16))
                answer = asker.ask(fresh, self._sources[asked.source])
                if answer.outcome is not Outcome.HELD:
                    self._failures.append(f"{asked.source}: {answer.reason}")
                    return
                self._counts[slot] += 1


if __name__ == "__main__":
    print(json.dumps(Direct(Task(**json.loads(sys.stdin.read()))).run()), flush=True)
