"""Questions as the flow would ask them, over two roads to the same simulators: in memory, and over real sockets."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import yaml
from sqlalchemy import Engine, event

from broker.connectors import connectors
from broker.core.answer import Answer, Matter, Question, Reply, checked
from broker.core.case import Operator, Party
from broker.core.catalog import Form, Source, catalog_from
from broker.core.errors import SourceProblem
from broker.core.working_days import Calendar
from broker.ports import Connection, Connector, Conversation, HttpRequest, HttpResponse, TableQuery, TableRows
from broker.sandbox.front_database import FrontDatabase
from broker.sandbox.serving import Application, Levers, platform_from
from broker.sandbox.sources import FRONT, PLATFORMS, Sandbox
from broker.signing import keys
from broker.signing.sm2 import Sm2Signer
from broker.transport import deadline
from broker.transport.answers import described, load_answer_schemas
from broker.transport.https import HttpsTransport
from broker.transport.road import Road as RoadEnds
from broker.transport.tables import Tables

REPOSITORY = Path(__file__).parents[1]
SCHEMAS = REPOSITORY / "schemas" / "sources"
OPERATOR = Operator("op-0007", "测试经办", "11370499MB2811111A", "模拟市行政审批服务局")


def _sources() -> Mapping[str, Source]:
    files = sorted((REPOSITORY / "catalog").glob("sources*.yaml"))
    listed = {key: one for file in files for key, one in yaml.safe_load(file.read_text("utf-8"))["sources"].items()}
    nothing: dict[str, Any] = {}
    document = {"regions": nothing, "materials": nothing, "items": nothing, "scenes": nothing, "sources": listed}
    return catalog_from(document).sources


SOURCES = _sources()
ANSWER_OK = load_answer_schemas(SCHEMAS)

_keys: dict[str, Sm2Signer] = {}


def decrypt(pem: str, ciphertext: bytes) -> bytes:
    """What bootstrap injects."""
    if pem not in _keys:
        key = keys.load_private(pem.encode())
        assert isinstance(key, Sm2Signer)
        _keys[pem] = key
    return _keys[pem].decrypt(ciphertext)


def no_decrypt(pem: str, ciphertext: bytes) -> bytes:
    """A decryptor to which nothing was ever encrypted."""
    raise SourceProblem("source.ciphertext")


CONNECTORS: Mapping[str, Connector] = connectors(ANSWER_OK, decrypt, Calendar())
SILENT = frozenset({"work_order"})  # families that send nothing, to which a test holds them; nothing to simulate
SPEAKING = sorted(CONNECTORS.keys() - SILENT)
SIMULATED = sorted(key for key in described(SCHEMAS) if SOURCES[key].connector in SPEAKING)


def party(entry: Mapping[str, Any], role: str = "applicant") -> Party:
    """A party of a case out of the population."""
    return Party(role, entry["id_type"], entry["number"], entry["name"])


def question(
    source: str, form: Form, subject: Party, related: Party | None = None, lookup_id: str = "lk-0001"
) -> Question:
    """A question for every field the source has."""
    matter = Matter(
        system="模拟市审批系统",
        case_number="370499-2026-0001",
        item_code="11370499MB2811111A4370131002000",
        item_name="食品经营许可",
        material_name="营业执照",
        region="370400",
        basis="statutory_duty",
        applicant=subject,
        operator=OPERATOR,
    )
    return Question(lookup_id, source, form, subject, related, SOURCES[source].fields, matter)


def connections(sandbox: Sandbox) -> dict[str, Connection]:
    """The connection file with its credentials read."""
    document = yaml.safe_load(sandbox.connections.read_text(encoding="utf-8"))["platforms"]

    def credential(value: str | Mapping[str, str]) -> str:
        return value if isinstance(value, str) else (sandbox.folder / value["file"]).read_text().strip()

    return {
        name: Connection(
            name,
            entry["endpoint"],
            {key: credential(value) for key, value in entry["credentials"].items()},
            entry["options"],
        )
        for name, entry in document.items()
    }


class Road(Protocol):
    """One way to the simulators."""

    connections: dict[str, Connection]

    @property
    def roles(self) -> Mapping[str, Any]:
        """The named people and companies."""
        ...

    def behave(self, platform: str, behaviour: str) -> None:
        """Change how a platform treats all of its sources."""
        ...

    def send(self, source: Source, conversation: Conversation) -> Reply:
        """Drive one conversation to its end."""
        ...


def ask(road: Road, key: str, form: Form, subject: Party, related: Party | None = None, **hints: Any) -> Answer:
    """The answer as the flow would keep it: asked, checked and trimmed. ``hints`` are fields of the question."""
    now = datetime.now(UTC)
    asked = replace(question(key, form, subject, related), **hints)
    return checked(asked, answers_of([reply(road, asked, now)])[0], SOURCES[key], now)


def reply(road: Road, asked: Question, now: datetime) -> Reply:
    """What the connector makes of a question asked at this moment."""
    source = SOURCES[asked.source]
    connection = road.connections.get(source.platform) or Connection(source.platform, "http://127.0.0.1:9", {})
    return road.send(source, CONNECTORS[source.connector].ask(asked, source, connection, now))


class GuardedTables(Tables):
    """Tables whose SQLite connections have the reader's rights only."""

    def __init__(self, front: FrontDatabase) -> None:
        super().__init__()
        self._front = front

    def _new_engine(self, query: TableQuery) -> Engine:
        engine = super()._new_engine(query)
        event.listen(engine, "connect", lambda connection, _: self._front.guard(connection))
        return engine


@dataclass
class MemoryRoad:
    """No sockets: the simulators' WSGI applications are called in place, and the front-end table is an SQLite file."""

    roles: Mapping[str, Any]
    connections: dict[str, Connection]
    applications: dict[str, Application]
    levers: dict[str, Levers]
    front: FrontDatabase
    tables: Tables
    sent: list[HttpRequest] = field(default_factory=list)
    queries: list[TableQuery] = field(default_factory=list)

    def behave(self, platform: str, behaviour: str) -> None:
        """Pull the platform's lever."""
        if platform == FRONT:
            self.tables.close()  # so that the guard sees the next statement prepared
            self.front.behave(behaviour)
            return
        self.levers[platform].set({"behaviour": behaviour})

    def send(self, source: Source, conversation: Conversation) -> Reply:
        """Carry requests and responses by hand."""
        deadline.begin(source.budget_ms / 1000)
        response: HttpResponse | TableRows | None = None
        while True:
            try:
                request = next(conversation) if response is None else conversation.send(response)
                response = self._carried(source.platform, request)
            except StopIteration as end:
                reply: Reply = end.value
                return reply
            except RoadEnds as road:
                return road.answer

    def _carried(self, platform: str, request: HttpRequest | TableQuery) -> HttpResponse | TableRows:
        if isinstance(request, TableQuery):
            self.queries.append(request)
            return self.tables.read(request)
        return self.exchange(platform, request)

    def exchange(self, platform: str, request: HttpRequest) -> HttpResponse:
        """One request to one platform."""
        self.sent.append(request)
        environ: dict[str, Any] = {
            f"HTTP_{name.upper().replace('-', '_')}": text for name, text in request.headers.items()
        }
        target = urlsplit(request.url)
        environ |= {"REQUEST_METHOD": request.method, "PATH_INFO": target.path, "QUERY_STRING": target.query}
        environ |= {"wsgi.input": io.BytesIO(request.body)}
        status: list[int] = []
        body = b"".join(self.applications[platform](environ, lambda line, _: status.append(int(line.split()[0]))))
        return HttpResponse(status[0], {}, body)


def memory_road(folder: Path) -> MemoryRoad:
    """All simulators in this process, fresh."""
    Sandbox(folder, ports=dict.fromkeys(PLATFORMS, 9)).write_files()
    return memory_road_from(folder)


def memory_road_from(folder: Path) -> MemoryRoad:
    """The same from files that stand there already."""
    sandbox = Sandbox(folder, ports=dict.fromkeys(PLATFORMS, 9))
    document = yaml.safe_load(sandbox.connections.read_text(encoding="utf-8"))["platforms"]
    levers = {name: Levers() for name in PLATFORMS}
    applications = {name: Application(platform_from(document[name], folder), levers[name]) for name in PLATFORMS}
    tables = GuardedTables(sandbox.front)
    return MemoryRoad(sandbox.population["roles"], connections(sandbox), applications, levers, sandbox.front, tables)


@dataclass
class SocketRoad:
    """The real transport to the simulators' own processes."""

    sandbox: Sandbox
    transport: HttpsTransport
    connections: dict[str, Connection]

    @property
    def roles(self) -> Mapping[str, Any]:
        """The named people and companies."""
        roles: Mapping[str, Any] = self.sandbox.population["roles"]
        return roles

    def behave(self, platform: str, behaviour: str) -> None:
        """Tell the platform's process."""
        self.sandbox.behave(platform, behaviour)

    def send(self, source: Source, conversation: Conversation) -> Reply:
        """Let the real transport drive it."""
        return self.transport.converse(source, [conversation])[0]


def answers_of(replies: Sequence[Reply]) -> list[Answer]:
    """The same replies, none of which may be that the answer comes later."""
    answers = [one for one in replies if isinstance(one, Answer)]
    assert len(answers) == len(replies)
    return answers


def with_changes(connection: Connection, credentials: Mapping[str, str], options: Mapping[str, Any]) -> Connection:
    """The same platform, with some credentials and options replaced; other credentials begin without its session."""
    if not credentials and not options:
        return connection
    return replace(
        connection,
        credentials={**connection.credentials, **credentials},
        options={**connection.options, **options},
        session={} if credentials else connection.session,
    )
