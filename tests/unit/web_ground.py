"""The ground web tests stand on: the real application over a real SQLite file, one small list, one client, no sockets.

Sources are never asked here: :func:`settle_all` gives every due lookup an answer through the flow's own steps.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema_rs
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from broker.client import Answer as HttpAnswer
from broker.client import Road
from broker.core.answer import Answer, Question, Reason
from broker.core.authorise import Grant
from broker.core.case import Basis
from broker.core.catalog import Form, Source
from broker.core.envelope import Algorithm
from broker.core.grammar import Grammar
from broker.core.problems import PROBLEMS
from broker.core.roles import Role
from broker.flow.look_up import look_up
from broker.flow.parts import Parts
from broker.flow.publish import publish
from broker.flow.register import register_client, register_grant, register_key
from broker.flow.sequence import sequence
from broker.ports import Client, ClientKey, Connection, Conversation
from broker.signing import http_message, keys
from broker.signing.vault import CaseVault
from broker.store import tables
from broker.store.engine import Database
from broker.store.migrate import migrate
from broker.store.work import SqlStore
from broker.web.app import Surface, create_app
from broker.web.openapi import openapi_document, read_schema
from broker.web.routes import ROUTES

PUBLIC_URL = "https://broker.example"
SCHEMAS = Path(__file__).parents[2] / "schemas"
JSON = "application/json"
CLERK = {"id": "op-7", "unit": "113704000042880080"}  # who closes cases
COMPANY = "91370400MA3C00009R"
PERSON = "11010119900307109X"
OTHER_PERSON = "110101199003071356"
START, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def _text(zh: str, en: str) -> dict[str, str]:
    return {"zh": zh, "en": en}


def _item(level: str, **more: Any) -> dict[str, Any]:
    place = {"seq": "1", "scene": "enterprise-1.1", "level": level, "lead": ["市行政审批局"]}
    item = {
        "name": _text("事项", "An item"),
        "type": "licence",
        "life_cycle": "enterprise",
        "materials": [
            {"material": "business-licence"},
            {"material": "identity", "holder": "legal_representative"},
            {"material": "form"},
        ],
        "regions": {"370400": place},
    }
    return item | more


def _source(key: str) -> dict[str, Any]:
    return {
        "name": _text(key, key),
        "authority": _text("市场监管", "Market regulation"),
        "level": "city",
        "platform": "platform",
        "connector": "fake",
        "sharing": "unconditional",
        "forms": ["query"],
        "fields": ["status"],
        "freshness_days": 30,
        "sensitivity": "general",
        "budget_ms": 1000,
        "calls_per_second": 100,
        "state": "confirmed",
    }


def _material(zh: str, en: str, source: str | None) -> dict[str, Any]:
    asked = {"mode": "data_query", "source": source, "form": "query", "fields": ["status"], "basis": "测试"}
    chain = [asked, {"mode": "submission"}] if source else [{"mode": "submission"}]
    return {"name": _text(zh, en), "kind": "certificate", "chain": chain}


CATALOG: dict[str, Any] = {
    "regions": {"370400": {"name": _text("枣庄市", "Zaozhuang"), "levels": ["city", "county"]}},
    "scenes": {
        "enterprise-1.1": {
            "life_cycle": "enterprise",
            "stage": _text("开办", "Start"),
            "name": _text("企业开办", "Opening a company"),
            "number": "1.1",
        }
    },
    "sources": {"licences": _source("licences"), "people": _source("people")},
    "materials": {
        "business-licence": _material("营业执照", "Business licence", "licences"),
        "identity": _material("身份证", "Identity card", "people"),
        "form": _material("申请表", "Application form", None),
    },
    "items": {
        "food-licence": _item("city"),
        "form-only": _item("city", materials=[{"material": "form"}], regions={
            "370400": {"seq": "2", "scene": "enterprise-1.2", "level": "city", "lead": []}}),
        "abolished": _item("city", effective={"to": "2021-01-01", "reason": "鲁政发〔2021〕1号"}, regions={
            "370400": {"seq": "3", "scene": "enterprise-1.2", "level": "city", "lead": []}}),
        "provincial": _item("province", regions={
            "370400": {"seq": "4", "scene": "enterprise-1.2", "level": "province", "lead": []}}),
    },
}  # fmt: skip


class FakeConnector:
    """Answers at once, without a request, as the test says."""

    def __init__(self) -> None:
        self.reason = Reason.VALID

    def ask(self, question: Question, source: Source, connection: Connection, now: datetime) -> Conversation:
        """A conversation of no request."""
        yield from ()
        fields = {"status": "ok"} if self.reason is Reason.VALID else {}
        return Answer(self.reason, fields, question.subject.number)


class FakeTransport:
    """Drives conversations that send nothing."""

    def converse(self, source: Source, conversations: Sequence[Conversation]) -> list[Answer]:
        """Each conversation's answer."""
        answers = []
        for one in conversations:
            try:
                next(one)
            except StopIteration as stop:
                answers.append(stop.value)
        return answers


class Woken:
    """Remembers whom it was to wake, and does not."""

    def __init__(self) -> None:
        self.sources: list[str] = []

    def wake(self, sources: Sequence[str]) -> None:
        """Note them."""
        self.sources.extend(sources)


@dataclass
class Ground:
    """The broker under test and one registered approval system."""

    parts: Parts
    app: Flask
    database: Database
    connector: FakeConnector
    surface: Surface
    signer: keys.PrivateKey
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def http(self) -> FlaskClient:
        """A fresh test client."""
        return self.app.test_client()

    def request(self, **changes: Any) -> dict[str, Any]:
        """A good request, each with its own id and case; ``None`` removes a field."""
        number = next(self.numbers)
        document: dict[str, Any] = {
            "request_id": f"req-{number}",
            "item": "food-licence",
            "region": "370400",
            "case": {"number": f"case-{number}"},
            "channel": "window",
            "applicant": {"id_type": "001", "number": COMPANY, "name": "某某食品有限公司"},
            "parties": [{"role": "legal_representative", "id_type": "111", "number": PERSON, "name": "张某"}],
            "operator": {"id": "op-7", "name": "李某", "unit": "113704000042880080", "unit_name": "市行政审批局"},
            "basis": {"kind": "statutory_duty", "reference": "食品安全法"},
        }
        document |= changes
        return {name: value for name, value in document.items() if value is not None}

    def send(
        self,
        method: str,
        path: str,
        document: Any = None,
        *,
        body: bytes | None = None,
        signer: keys.PrivateKey | None = None,
        skew: int = 0,
        nonce: str | None = None,
        target: str | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> TestResponse:
        """One signed request and its answer, which must keep to the OpenAPI document; a header of None is dropped."""
        if body is None and document is not None:
            body = json.dumps(document, ensure_ascii=False).encode()
        signed: dict[str, str | None] = dict(
            http_message.sign_request(
                method, target or PUBLIC_URL + path, body, JSON, signer or self.signer, int(time.time()) + skew,
                nonce or secrets.token_hex(16),
            )
        )  # fmt: skip
        if body is not None:
            signed["Content-Type"] = JSON
        signed |= headers or {}
        kept = {name: value for name, value in signed.items() if value is not None}
        answer = self.http.open(path, method=method, data=body, headers=kept)
        check_answer(method, path, answer)
        return answer

    def submit(self, document: Any = None, **how: Any) -> TestResponse:
        """Submit a verification."""
        return self.send("POST", "/v1/verifications", document or self.request(), **how)

    def settle_all(self) -> None:
        """Answer every due lookup by the flow's own step."""
        for source in CATALOG["sources"]:
            while look_up(self.parts, source):
                pass

    def decided(self, **changes: Any) -> dict[str, Any]:
        """A verification that is decided, as its client sees it."""
        number = document_of(self.submit(self.request(**changes)))["id"]
        self.settle_all()
        return document_of(self.send("GET", f"/v1/verifications/{number}"))

    def sequenced(self, **changes: Any) -> dict[str, Any]:
        """A verification that is decided and in the log."""
        view = self.decided(**changes)
        while sequence(self.parts):
            pass
        return view

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        with self.database.begin(write=False) as connection:
            return {
                name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for name, table in tables.metadata.tables.items()
            }

    def entries(self) -> list[dict[str, Any]]:
        """Every audit entry, oldest first."""
        with self.database.begin(write=False) as connection:
            bodies = connection.execute(select(tables.entry.c.body).order_by(tables.entry.c.id)).scalars()
            return [json.loads(body) for body in bodies]

    def grant(self, number: str, source: str, **changes: Any) -> Grant:
        """A grant of the small list for the one client."""
        grant = Grant(
            number, "approval", source, (Form.QUERY,), ("status",), (Basis.STATUTORY_DUTY,), "测试", START, END,
            items=("food-licence", "abolished", "provincial"), scenes=("enterprise-1.1",),
        )  # fmt: skip
        return replace(grant, **changes)

    def road(self) -> Road:
        """Carries a client's requests into the application, without a socket."""

        def send(method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float) -> HttpAnswer:
            path = url.removeprefix(PUBLIC_URL)
            answer = self.http.open(path, method=method, data=body, headers=dict(headers))
            check_answer(method, path, answer)
            return HttpAnswer(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.data)

        return send


def lay_ground(folder: Path, *, granted: bool = True, document: Mapping[str, Any] = CATALOG) -> Ground:
    """A broker with a small list published, one client registered and, if so wished, its grants."""
    (folder / "broker.db").write_bytes(_migrated())
    database = Database(f"sqlite:///{folder / 'broker.db'}")
    connector = FakeConnector()
    signer = keys.generate(Algorithm.ED25519, "broker-1")
    log_signers = [keys.generate(Algorithm.ED25519, "log-1")]
    parts = Parts(
        store=SqlStore(database, lambda pem, key_id: keys.load_public(pem.encode(), key_id)),
        wake=Woken(),
        transport=FakeTransport(),
        connectors={"fake": connector, "exchange": connector},
        connections={"platform": Connection("platform", "https://platform.example", {})},
        vault=CaseVault(bytes(32), bytes(range(32))),
        signer=signer,
        log_signers=log_signers,
        issuer="broker.example",
        log_origin="broker.example/log",
        check_request=Grammar(read_schema(SCHEMAS, "request")).check,
        post=lambda _url, _body: 200,
    )
    surface = Surface(PUBLIC_URL, [signer.verifier()], [one.verifier() for one in log_signers], SCHEMAS)
    client_key = keys.generate(Algorithm.ED25519, "k1")
    ground = Ground(parts, create_app(parts, surface), database, connector, surface, client_key)
    publish(parts, copy.deepcopy(dict(document)), START, "tester")
    enrol(ground, "approval", ground.signer)
    if granted:
        for source in CATALOG["sources"]:
            register_grant(parts, ground.grant(f"grant-{source}", source))
    return ground


@cache
def _migrated() -> bytes:
    """An empty database of the newest schema: its file is made once a process and copied."""
    with TemporaryDirectory() as name:
        path = Path(name) / "empty.db"
        database = Database(f"sqlite:///{path}")
        migrate(database)
        database.dispose()  # the last connection folds the write-ahead log into the file
        return path.read_bytes()


def enrol(
    ground: Ground,
    client: str,
    signer: keys.PrivateKey,
    *,
    state: str = "active",
    roles: Sequence[str] = (Role.APPROVAL,),
    **key: Any,
) -> None:
    """Register a client and one key of it."""
    register_client(ground.parts, Client(client, "审批系统", "113704000042880080", None, state, tuple(roles)))
    validity = {"not_before": START, "not_after": None, "revoked_at": None} | key
    register_key(
        ground.parts, ClientKey(client, signer.verifier(), **validity), keys.public_pem(signer).decode()
    )  # fmt: skip


# --- every answer keeps to the document ------------------------------------------------------------------------------

_DOCUMENT = openapi_document(SCHEMAS, PUBLIC_URL)


_REFUSED = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/problem"}}}


@cache
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**json.loads(schema), "components": _DOCUMENT["components"]})


def check_answer(method: str, path: str, answer: TestResponse) -> None:
    """Status, media type, body and problem code are those the OpenAPI document promises for the route."""
    responses = _operation(method, path.partition("?")[0])
    if responses is None:
        assert answer.status_code in {404, 405, 413}, (method, path, answer.status_code)
        content = _REFUSED
    else:
        assert str(answer.status_code) in responses, (method, path, answer.status_code, answer.data)
        content = responses[str(answer.status_code)]["content"]
        codes = responses[str(answer.status_code)].get("x-problem-codes")
        told = codes is None or answer.mimetype == "text/html" or document_of(answer)["code"] in codes
        assert told, (method, path, answer.data)
    assert answer.mimetype in content, (method, path, answer.mimetype)
    if answer.mimetype.endswith("json"):
        schema = json.dumps(content[answer.mimetype]["schema"])
        assert [str(one.message) for one in _validator(schema).iter_errors(document_of(answer))] == []
    if answer.mimetype == "application/problem+json":
        assert PROBLEMS[document_of(answer)["code"]].status == answer.status_code


def _operation(method: str, path: str) -> Mapping[str, Any] | None:
    for route in ROUTES:
        form = re.sub(r"\{\w+\}", ".+" if route.name in {"tile", "entries"} else "[^/]+", route.path)
        if route.method == method and re.fullmatch(form, path):
            responses: Mapping[str, Any] = _DOCUMENT["paths"][route.path][method.lower()]["responses"]
            return responses
    return None


def document_of(answer: TestResponse) -> dict[str, Any]:
    """The JSON object of an answer, whatever its media type."""
    document: dict[str, Any] = json.loads(answer.data)
    return document


def later(**span: int) -> datetime:
    """A moment from now."""
    return datetime.now(UTC) + timedelta(**span)
