"""The web application: every route over one set of parts. ``create_app(parts, surface)`` is all there is to call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

from broker.config import ROOT
from broker.core.check import check
from broker.core.envelope import Verifier
from broker.core.errors import OperatorProblem
from broker.core.grammar import Grammar
from broker.flow.parts import Parts
from broker.flow.publish import Check
from broker.ports import StoredVerification
from broker.ports.console import IdentityProvider
from broker.web import errors
from broker.web.api import Api
from broker.web.audit import Audit
from broker.web.collected import Collected
from broker.web.consents import Consents
from broker.web.console import add_console
from broker.web.console.area import Console
from broker.web.drafting import Drafting
from broker.web.editions import Editions
from broker.web.flags import Flags
from broker.web.grants import Grants
from broker.web.guard import sign_answer
from broker.web.guide_pages import GuidePages
from broker.web.health import Health
from broker.web.key_book import KeyBook, key_set
from broker.web.log import Log
from broker.web.objections import Objections
from broker.web.openapi import docs_page, openapi_document, read_schema
from broker.web.orders import Orders
from broker.web.public import Public
from broker.web.subject import SubjectView
from broker.web.verify_pages import VerifyPages
from broker.web.waiting import WaitingRoom

_ONLY_HTTPS = "max-age=63072000; includeSubDomains"  # two years, from the last answer on


@dataclass(frozen=True)
class Surface:
    """What the web shows besides the parts: where it is reached, and its public keys."""

    public_url: str
    """The base URL callers sign, without a slash at its end; Host and forwarded headers are never believed."""
    keys: Sequence[Verifier]
    """Those of the parts' signer and its predecessors, so that old receipts still verify."""
    log_keys: Sequence[Verifier]
    """Those of the log's signers and their predecessors."""
    schemas_folder: Path = ROOT / "schemas"
    """Where the JSON Schemas lie."""
    seats: int = 24
    """How many requests may wait at a time; fewer than the server's threads, so that some are always free."""
    queue: Callable[[], bool] = field(default=lambda: True)
    """Whether the queue answers; always, where it is this process itself."""
    provider: IdentityProvider | None = None
    """Who vouches for people of the console, besides its own accounts."""
    proxies: int = 0
    """How many proxies of ours tell whence a request comes; whatever stands before what they add is not believed."""


def create_app(parts: Parts, surface: Surface) -> Flask:
    """The application; starts no thread and opens no connection before the first request."""
    app = Flask("broker", static_folder=None, template_folder="web/templates")
    app.url_map.merge_slashes = False  # one spelling of each path, the signed one, and never a redirect to it
    public_url = surface.public_url.rstrip("/")
    document = openapi_document(surface.schemas_folder, public_url)
    room = WaitingRoom(lambda numbers: _decided(parts, numbers), surface.seats)
    Api(parts, public_url, room, Grammar(read_schema(surface.schemas_folder, "outcome"))).add_to(app)
    Collected(parts, public_url, read_schema(surface.schemas_folder, "collected")).add_to(app)
    examine = list_check(surface)
    draft_schema = read_schema(surface.schemas_folder, "draft")
    Editions(parts, public_url, draft_schema, examine).add_to(app)
    Drafting(parts, public_url, draft_schema).add_to(app)
    Flags(parts, public_url, read_schema(surface.schemas_folder, "flag")).add_to(app)
    Grants(parts, public_url, read_schema(surface.schemas_folder, "application")).add_to(app)
    Log(parts).add_to(app)
    Audit(parts, public_url, read_schema(surface.schemas_folder, "audit")).add_to(app)
    SubjectView(parts, public_url, read_schema(surface.schemas_folder, "audit")).add_to(app)
    Consents(parts, public_url, read_schema(surface.schemas_folder, "consent")).add_to(app)
    Objections(parts, public_url, read_schema(surface.schemas_folder, "objection")).add_to(app)
    Orders(parts, public_url, read_schema(surface.schemas_folder, "order")).add_to(app)
    GuidePages(parts).add_to(app)
    book = KeyBook(parts, surface.keys, surface.log_keys)
    VerifyPages(parts, book).add_to(app)
    Public(parts, book.key_set, document, docs_page(document)).add_to(app)
    Health(parts, public_url, book, surface.queue).add_to(app)
    errors.register(app)
    add_console(app, Console(parts, public_url, examine, surface.provider, surface.keys, surface.log_keys))

    @app.after_request
    def _finish(response: Response) -> Response:
        response.headers["X-Content-Type-Options"] = "nosniff"
        if public_url.startswith("https:"):
            response.headers["Strict-Transport-Security"] = _ONLY_HTTPS
        try:
            sign_answer(request, response, public_url, parts.signer, int(time.time()))
        except OperatorProblem as problem:  # the token with our key is away: nobody can say so under our signature
            return errors.problem_response(problem)
        return response

    if surface.proxies:  # else every stranger who fails would be the proxy, and so would everybody else
        app.wsgi_app = ProxyFix(app.wsgi_app, surface.proxies, 0, 0, 0, 0)  # type: ignore[method-assign]
    return app


def published_keys(surface: Surface) -> dict[str, Any]:
    """The JWK set of the keys that this process holds, without what the register knows of them."""
    return key_set(surface.keys, surface.log_keys, {})


def list_check(surface: Surface) -> Check:
    """The check of a list against the grammar and the rules."""
    schema = read_schema(surface.schemas_folder, "catalog")
    return lambda document: check(document, schema)


def _decided(parts: Parts, numbers: Sequence[str]) -> Mapping[str, StoredVerification]:
    with parts.store.glance() as work:
        return work.decided_among(numbers)
