"""One shape for all that goes wrong: ``application/problem+json`` (RFC 9457), on every route and for every fault.

``schemas/problem.schema.json`` is its grammar. The answer and the log share an instance id; the log line holds code and
id only, because pointer, got and expected follow what a caller wrote.
"""

from __future__ import annotations

import logging
import traceback
import uuid

import orjson
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from broker.core.errors import Problem
from broker.core.problems import PROBLEMS, ProblemKind

PROBLEM_TYPE = "urn:exemption-broker:problem:"
MEDIA_TYPE = "application/problem+json"

_LOG = logging.getLogger(__name__)
BY_STATUS = {404: "route.unknown", 405: "route.method", 413: "body.too-large", 415: "body.media-type"}


def register(app: Flask) -> None:
    """Answer every problem, every HTTP error of the framework and every fault in the one shape."""
    app.register_error_handler(Problem, problem_response)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _last_resort)


def logged(problem: Problem) -> str:
    """Write a problem's line in the log; returns the instance id by which line and answer find each other."""
    kind = PROBLEMS[problem.code]
    instance = f"urn:uuid:{uuid.uuid4()}"
    _LOG.log(logging.WARNING if kind.status >= 500 else logging.INFO, "%s %s %s", kind.status, kind.code, instance)
    return instance


def problem_response(problem: Problem) -> Response:
    """The answer to a problem, and its line in the log."""
    kind, instance = PROBLEMS[problem.code], logged(problem)
    response = Response(
        orjson.dumps(problem_document(kind, problem, instance)), status=kind.status, content_type=MEDIA_TYPE
    )
    response.headers["Cache-Control"] = "no-store"
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(problem.retry_after)
    return response


def problem_document(kind: ProblemKind, problem: Problem, instance: str) -> dict[str, object]:
    """The document of a problem; what is empty is left out."""
    document: dict[str, object] = {
        "type": PROBLEM_TYPE + kind.code,
        "title": kind.en,
        "status": kind.status,
        "code": kind.code,
        "fault": kind.fault.value,
        "rule": f"docs/problems.md#{kind.code.replace('.', '')}",
        "detail": {"zh": kind.zh, "en": kind.en},
        "next": {"zh": kind.next_zh, "en": kind.next_en},
        "instance": instance,
    }
    hints = {"pointer": problem.pointer, "got": problem.got, "expected": problem.expected}
    document |= {name: value for name, value in hints.items() if value}
    if problem.retry_after is not None:
        document["retry_after"] = problem.retry_after
    return document


def _http_error(error: HTTPException) -> Response:
    """What the framework refuses: an unknown route or method, a body that broke off."""
    response = problem_response(Problem(BY_STATUS.get(error.code or 0, "request.unreadable")))
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _last_resort(fault: Exception) -> Response:
    """A fault of ours, as the caller may know it."""
    response = problem_response(Problem("broker.fault"))
    log_fault(fault)
    return response


def log_fault(fault: Exception) -> None:
    """The log gets a fault's class and where it came from, never its text, which may quote a request."""
    frames = traceback.extract_tb(fault.__traceback__)
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
    _LOG.error("fault %s at %s, answered as the line before", type(fault).__name__, places)
