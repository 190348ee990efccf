"""How a page is made: a template, the frame's own words around it, and refusals that name the next step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Response, current_app, render_template, request, url_for
from flask_babel import gettext
from markupsafe import Markup

from broker.core.errors import Problem
from broker.core.field_names import field_name
from broker.core.people import Assignment, ConsoleRole, ScopeKind
from broker.core.problems import PROBLEMS
from broker.flow import people
from broker.web import errors
from broker.web.console.area import Area, Console
from broker.web.console.assets import asset
from broker.web.console.expected import expected_words
from broker.web.console.visit import current_visit, form_token
from broker.web.console.words import clock, html_language, language, mark, told, when

ROLES = {
    ConsoleRole.OPERATOR: mark("Centre operator"),
    ConsoleRole.LIST_EDITOR: mark("List editor"),
    ConsoleRole.LIST_APPROVER: mark("List approver"),
    ConsoleRole.SOURCE_DEPARTMENT: mark("Source department"),
    ConsoleRole.USING_DEPARTMENT: mark("Using department"),
    ConsoleRole.CLERK: mark("Clerk"),
    ConsoleRole.AUDITOR: mark("Auditor"),
    ConsoleRole.READER: mark("Reader"),
}
SCOPES = {
    ScopeKind.EVERYTHING: "",
    ScopeKind.STAGE: mark("Stage"),
    ScopeKind.DEPARTMENT: mark("Department"),
    ScopeKind.UNIT: mark("Body"),
}
_MARGIN = timedelta(minutes=1)  # a session is noted as used at most so often: it may end so much earlier
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Frame:
    """What the frame around the pages knows: the areas, in the navigation's order."""

    console: Console
    areas: Sequence[Area]


def shown(template: str, *, status: int = 200, **values: Any) -> Response:
    """A page from ``templates/console/<template>``."""
    return Response(render_template(f"console/{template}", **_around(), **values), status, content_type=_HTML)


def to(endpoint: str, /, **values: Any) -> Response:
    """On to another page after a form was accepted, so that reloading does not send it again."""
    return Response("", 303, {"Location": url_for(f"console.{endpoint}", **values)})


def refusal(problem: Problem) -> Response:
    """A problem as a page: what happened, whose move it is, the next step, and the id under which the log has it."""
    kind, instance = PROBLEMS[problem.code], errors.logged(problem)
    said = {
        "code": kind.code,
        "what": kind.zh if language() == "zh" else kind.en,
        "next": kind.next_zh if language() == "zh" else kind.next_en,
        "got": problem.got,
        "expected": expected_words(problem.expected),
        "pointer": problem.pointer,
        "instance": instance,
    }
    response = shown("refusal.html", status=kind.status, problem=said)
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(problem.retry_after)
    return response


def said_of(problem: Problem) -> str:
    """A problem in one line, to stand in the form it is about."""
    kind = PROBLEMS[problem.code]
    expected = expected_words(problem.expected)
    facts = f" ({expected})" if expected else ""
    return f"{kind.zh}{facts}。{kind.next_zh}。" if language() == "zh" else f"{kind.en}{facts}. {kind.next_en}."


def role_words(one: Assignment) -> str:
    """A role and its scope, in words."""
    role = gettext(ROLES[one.role])
    return role if one.kind is ScopeKind.EVERYTHING else f"{role} · {gettext(SCOPES[one.kind])} {one.value}"


def _field_told(key: str) -> str:
    """A field of an answer, in plain words."""
    return told(field_name(key))


def _fields_told(keys: Iterable[str]) -> str:
    """Several of them, in one line."""
    return ("; " if language() == "en" else "、").join(map(_field_told, keys))


def _around() -> dict[str, Any]:
    frame: Frame = current_app.extensions["console"]
    visit = current_visit()
    is_open = visit is not None and visit.session.stage == "open"
    return {
        "visit": visit,
        "is_open": is_open,
        "nav": _nav(frame) if is_open else [],
        "lang": language(),
        "html_lang": html_language(),
        "here": request.full_path.rstrip("?") if request.method == "GET" else url_for("console.home_index"),
        "asset": asset,
        "told": told,
        "field_told": _field_told,
        "fields_told": _fields_told,
        "when": when,
        "clock": clock,
        "Role": ConsoleRole,
        "csrf_field": csrf_field,
        "role_words": role_words,
        "idle": int((people.IDLE - _MARGIN).total_seconds()),
        "partial": bool(request.headers.get("HX-Request")),
    }


def _nav(frame: Frame) -> list[dict[str, Any]]:
    """The entries that lead somewhere for this person."""
    visit = current_visit()
    roles = visit.person.roles if visit else frozenset()
    found = []
    for area in frame.areas:
        if area.nav is None:
            continue
        name = f"{area.name}_{area.nav.page}"
        allowed = next(one.allowed for one in area.pages if one.name == name)
        if allowed.admits(roles):
            current = (request.endpoint or "").startswith(f"console.{area.name}_")
            words = gettext(area.nav.words)
            found.append({"url": url_for(f"console.{name}"), "words": words, "current": current})
    return found


def csrf_field() -> Markup:
    """The hidden field every form carries."""
    visit = current_visit()
    token = visit.session.csrf if visit else form_token()
    return Markup('<input type="hidden" name="csrf" value="{}">').format(token)
