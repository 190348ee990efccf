"""There is one error shape: RFC 9457 with code, fault, rule and next step in two languages – on every path to one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from broker.core.errors import BrokerProblem, Problem
from broker.core.grammar import Grammar
from broker.core.problems import PROBLEMS
from broker.store.work import SqlWork
from broker.web.app import create_app
from broker.web.editions import MAX_LIST
from broker.web.errors import problem_document
from broker.web.guard import MAX_BODY
from broker.web.openapi import read_schema
from broker.web.orders import MAX_ANSWER
from broker.web.routes import ROUTES, Route
from tests.unit.web_ground import PERSON, SCHEMAS, Ground, check_answer, document_of, lay_ground

SHAPE = Grammar(read_schema(SCHEMAS, "problem"))


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = lay_ground(tmp_path)
    yield ground
    ground.database.dispose()


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One for all the tests that change nothing."""
    ground = lay_ground(tmp_path_factory.mktemp("standing"))
    yield ground
    ground.database.dispose()


def _shaped(answer: TestResponse) -> dict[str, object]:
    document = document_of(answer)
    SHAPE.check(document)
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert document["status"] == answer.status_code
    return document


def _concrete(path: str) -> str:
    return (
        path.replace("{number}", "0" * 32).replace("{digest}", "0" * 64).replace("{path}", "0/000")
        .replace("{region}", "370400").replace("{key}", "food-licence")
    )  # fmt: skip


@pytest.mark.parametrize("path", sorted({_concrete(route.path) for route in ROUTES}))
def test_a_method_that_a_route_does_not_take_is_refused_in_the_one_shape(standing: Ground, path: str) -> None:
    for method in ("DELETE", "PUT", "PATCH", "OPTIONS", "TRACE"):
        answer = standing.http.open(path, method=method)
        assert _shaped(answer)["code"] == "route.method"
        assert answer.headers["Allow"]


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/verifications/", "//v1/items", "/v1/verifications/a/b", "/log/tile", "/../etc", "/%00", "/V1"],
)
def test_an_unknown_route_is_refused_in_the_one_shape(standing: Ground, path: str) -> None:
    assert _shaped(standing.http.get(path))["code"] == "route.unknown"


_LARGER = {"draft": MAX_LIST, "edit_row": MAX_LIST, "rebase_draft": MAX_LIST, "answer_order": MAX_ANSWER}


@pytest.mark.parametrize("route", [one for one in ROUTES if one.signed], ids=lambda one: one.name)
def test_every_signed_route_refuses_the_unsigned_and_what_is_too_large(standing: Ground, route: Route) -> None:
    method, path = route.method, _concrete(route.path)
    before = standing.rows()
    unsigned = standing.http.open(path, method=method, content_type="application/json", data=b"{}")
    assert _shaped(unsigned)["code"] == "signature.missing"
    size = _LARGER.get(route.name, MAX_BODY)
    large = standing.http.open(path, method=method, content_type="application/json", data=b" " * (size + 1))
    assert _shaped(large)["code"] == "body.too-large"
    for answer in (unsigned, large):
        check_answer(method, path, answer)
    assert standing.rows() == before


class _Away:
    """A store whose database cannot be reached."""

    def write(self) -> AbstractContextManager[SqlWork]:
        raise BrokerProblem("store.away", retry_after=2)

    read = glance = write


NEEDS_STORE = [one for one in ROUTES if "store.away" in one.problems]
QUERY = {
    "guide": "?region=370400&item=food-licence",
    "plan": "?region=370400&item=food-licence",
    "items": "?region=370400",
    "consistency": "?old=0&new=0",
}


@pytest.mark.parametrize("route", NEEDS_STORE, ids=lambda one: one.name)
def test_a_database_that_is_away_is_told_with_the_time_to_come_back(
    standing: Ground, monkeypatch: pytest.MonkeyPatch, route: Route
) -> None:
    monkeypatch.setattr(standing.parts, "store", _Away())
    path = _concrete(route.path) + QUERY.get(route.name, "")
    answer = standing.send(route.method, path, {} if route.method == "POST" else None)
    code = "broker.unfit" if route.name == "fitness" else "store.away"  # the examination names the part that is broken
    assert (_shaped(answer)["code"], answer.headers["Retry-After"]) == (code, "2")


PAGES = [one for one in NEEDS_STORE if any(media == "text/html" for _, media, _ in one.answers.values())]


@pytest.mark.parametrize("route", PAGES, ids=lambda one: one.name)
def test_a_page_that_cannot_be_shown_says_when_to_come_back(ground: Ground, route: Route) -> None:
    """As a page, and in the header that a browser or whatever stands before it reads."""
    ground.parts.store = _Away()
    answer = ground.http.get(_concrete(route.path), headers={"Accept": "text/html"})
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert "store.away" in answer.text
    assert answer.headers["Retry-After"] == "2"


def test_a_fault_of_ours_tells_nobody_what_the_request_said(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: object) -> None:
        raise RuntimeError(f"about {PERSON}")

    ground.parts.check_request = broken
    with caplog.at_level(logging.DEBUG):
        answer = ground.submit()
    problem = _shaped(answer)
    assert (answer.status_code, problem["code"]) == (500, "broker.fault")
    assert PERSON not in answer.text + caplog.text
    assert "RuntimeError" in caplog.text
    assert "test_web_errors.py" in caplog.text
    assert str(problem["instance"]) in caplog.text


def test_log_and_answer_share_an_instance_and_the_log_holds_nothing_else_of_the_request(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    document = ground.request(colour=PERSON)
    with caplog.at_level(logging.DEBUG):
        problem = _shaped(ground.submit(document))
    assert caplog.messages == [f"422 request.schema {problem['instance']}"]
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", str(problem["instance"]))


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_code_makes_a_document_of_the_shape(code: str) -> None:
    problem = Problem(code, got="name", expected="other", pointer="/item", retry_after=3)
    SHAPE.check(problem_document(PROBLEMS[code], problem, "urn:uuid:00000000-0000-4000-8000-000000000000"))


def test_two_applications_share_nothing(ground: Ground) -> None:
    assert create_app(ground.parts, ground.surface) is not ground.app
