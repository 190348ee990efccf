"""``--profile web|worker``: the steps in this process, one after the other, under cProfile, over a real PostgreSQL.

Times are CPU time of this process, so that waiting for the database or a source does not count; what the database
itself spends, ``pg_stat_statements`` tells (see ``statements``). Conversations are driven in the calling thread,
because a profiler sees one thread only.
"""

from __future__ import annotations

import contextlib
import cProfile
import io
import pstats
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from broker.bootstrap import Office
from broker.core.answer import Reply
from broker.core.catalog import Source
from broker.core.envelope import Algorithm
from broker.flow.look_up import look_up
from broker.flow.sequence import sequence
from broker.ports import Conversation, Transport
from broker.signing import keys
from broker.web.app import Surface, create_app
from tests.bench.ours import Ours
from tests.bench.work_unit import Caller, Message, documents
from tests.bench.world import World

WARM = 64
SOURCES = ("ps-identity", "mca-marriage")


@dataclass(frozen=True)
class OneByOne:
    """Drives conversations through a transport in the calling thread."""

    transport: Transport

    def converse(self, source: Source, conversations: Sequence[Conversation]) -> list[Reply]:
        """Their answers, in order."""
        return [self.transport.converse(source, [one])[0] for one in conversations]


def profile(role: str, algorithm: Algorithm, verifications: int = 500, top: int = 45) -> None:
    """Print where a role's CPU time goes, per verification."""
    with World() as world:
        ours = Ours(world, "b", algorithm)
        with contextlib.closing(ours.office()) as office:
            office.parts.transport = OneByOne(office.parts.transport)
            submit = _submitter(world, ours, office)
            submit(WARM)
            _drain(office)
            spent = _spent_by(role, office, submit, verifications)
    _report(role, spent, verifications, top)


def _spent_by(role: str, office: Office, submit: Callable[[int], None], verifications: int) -> cProfile.Profile:
    profiler = cProfile.Profile(time.process_time)
    if role == "web":
        profiler.runcall(submit, verifications)
        return profiler
    submit(verifications)
    if role == "sweep":
        _drain(office, sequenced=False)
        profiler.runcall(sequence, office.parts)
    else:
        profiler.runcall(_drain, office, sequenced=False)
    return profiler


def _drain(office: Office, *, sequenced: bool = True) -> None:
    for source in SOURCES:
        while look_up(office.parts, source):
            pass
    while sequenced and sequence(office.parts):
        pass


def _submitter(world: World, ours: Ours, office: Office) -> Callable[[int], None]:
    """Submits so many verifications to the WSGI application in this process, which does not wait for decisions."""
    settings = office.settings
    surface = Surface(
        public_url=settings.public_url,
        schemas_folder=Path(settings.schemas_folder),
        keys=office.receipt_keys,
        log_keys=office.log_keys,
    )
    app = create_app(office.parts, surface)
    caller = Caller(ours.url, keys.load_private(world.caller_key(ours.algorithm).read_bytes()))
    numbers = documents(world.couples, "profile")

    def submit(count: int) -> None:
        for _ in range(count):
            status, body = call(app, caller.submit(next(numbers), wait=0))
            if status != 202:
                raise RuntimeError(f"{status} {body[:300].decode(errors='replace')}")

    return submit


def call(app: Callable[..., Any], message: Message) -> tuple[int, bytes]:
    """A message carried to a WSGI application by hand."""
    head, _, body = message.wire.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    environ |= {
        "REQUEST_METHOD": message.question.method,
        "PATH_INFO": urlsplit(message.question.target_uri).path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
    }
    raw: dict[str, Any] = {"wsgi.input": io.BytesIO(body), "wsgi.errors": io.StringIO(), "wsgi.url_scheme": "http"}
    status: list[int] = []
    answer = b"".join(app({**environ, **raw}, lambda line, *_: status.append(int(line.split()[0]))))
    return status[0], answer


def _report(role: str, profiler: cProfile.Profile, verifications: int, top: int) -> None:
    text = io.StringIO()
    stats = pstats.Stats(profiler, stream=text)
    total = sum(entry[2] for entry in stats.stats.values())  # type: ignore[attr-defined]  # typeshed leaves it out
    print(f"{role}: {1000 * total / verifications:.3f} ms CPU per verification under the profiler, n={verifications}")
    stats.strip_dirs().sort_stats("cumulative").print_stats(top)
    stats.sort_stats("tottime").print_stats(top)
    print(text.getvalue())
