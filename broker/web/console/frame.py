"""The frame around every page: who comes, whether they may, whether the form is ours, and how a refusal looks.

Deny by default: a route that no area has declared keeps the application from starting, and a request for a page
whose permission does not hold ends here, before the view.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, g, redirect, request, url_for
from flask import abort as stop
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wrappers import Response as AnyResponse

from broker.core.errors import CallerProblem, Problem
from broker.core.people import ConsoleRole
from broker.flow import people
from broker.web import errors
from broker.web.console import assets, page
from broker.web.console.area import MAX_FORM, ROOT, Area, Console, Page
from broker.web.console.visit import Visit, cookie_name, current_visit, form_cookie, local_path
from broker.web.console.words import begin_words, install_words

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",  # with none at all, a browser would send forms without their origin
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_SECRETS = {"password", "again", "current", "code", "holder_number"}  # never shown again
_POLLS = "job"  # the element that asks by itself how far long work has come
_STEPS = {"password": "access_choose", "enrol": "access_enrol", "second": "access_second"}


def assemble(app: Flask, console: Console, areas: Sequence[Area]) -> None:
    """Put the areas' pages into an application, behind the guard."""
    blueprint = Blueprint("console", __name__)
    pages = {one.name: one for area in areas for one in area.pages}
    if len(pages) != sum(len(area.pages) for area in areas):
        raise ValueError("two pages of the console have one name")
    for one in pages.values():
        blueprint.add_url_rule(one.rule, one.name, one.view, methods=[one.method], provide_automatic_options=False)
    blueprint.add_url_rule(f"{ROOT}/<path:rest>", "nowhere", _nowhere, methods=["GET"], provide_automatic_options=False)
    blueprint.add_url_rule(
        f"{ROOT}/static/<name>", "static", assets.static_file, methods=["GET"], provide_automatic_options=False
    )
    guard = _Guard(console, pages)
    blueprint.before_request(guard.admit)
    blueprint.after_request(_finish)
    blueprint.register_error_handler(Problem, page.refusal)
    blueprint.register_error_handler(HTTPException, _http_refusal)
    blueprint.register_error_handler(Exception, _last_resort)
    app.extensions["console"] = page.Frame(console, areas)
    install_words(app)
    app.register_blueprint(blueprint)
    _refuse_undeclared(app, pages)


def _refuse_undeclared(app: Flask, pages: Mapping[str, Page]) -> None:
    known = {f"console.{name}" for name in pages} | {"console.nowhere", "console.static"}
    found = {rule.endpoint for rule in app.url_map.iter_rules() if rule.rule.startswith(ROOT)}
    if found != known:
        raise ValueError(f"routes without a permission: {sorted(found ^ known)}")


class _Guard:
    """Stands before every page of the console."""

    def __init__(self, console: Console, pages: Mapping[str, Page]) -> None:
        self._console = console
        self._pages = pages

    def admit(self) -> AnyResponse | None:
        """(1) the session, (2) the form, (3) the permission, (4) a recent proof of it; None lets it through.

        What is asked or typed is text that a database keeps, before an entry repeats it.
        """
        g.cookie_secure = self._console.public_url.startswith("https:")
        begin_words()
        found = self._pages.get((request.endpoint or "").partition(".")[2])
        request.max_content_length = MAX_FORM if found is None else found.largest
        g.visit = None
        if found is None:
            return None  # the style sheet, and addresses that lead nowhere: nothing to protect
        g.visit = self._visit()  # (1)
        if g.visit is None or not found.allowed.admits(g.visit.person.roles):
            request.max_content_length = MAX_FORM  # nobody fills our disk who may not come in
        if request.method == "POST":
            refused = self._require_form(found)  # (2)
            if refused is not None:
                return refused
        _require_text()
        return self._permitted(found) or self._proved(found)  # (3), (4)

    def _visit(self) -> Visit | None:
        secret = request.cookies.get(cookie_name(), "")
        polls = request.headers.get("HX-Trigger") == _POLLS  # a page that only looks on keeps no session open
        found = people.visit(self._console.parts, secret, used=not polls) if secret else None
        return None if found is None else Visit(found[1], found[0], secret)

    def _permitted(self, found: Page) -> AnyResponse | None:
        allowed = found.allowed
        if not allowed.stage:
            return None
        visit = current_visit()
        if visit is None:
            return _sent_to_sign_in()
        if visit.session.stage != allowed.stage:
            if visit.session.stage == "open":
                return redirect(url_for("console.home_index"), 303)
            return redirect(url_for(f"console.{_STEPS[visit.session.stage]}"), 303)
        if allowed.stage == "open" and not allowed.admits(visit.person.roles):
            people.note(
                self._console.parts, "console_refused", login=visit.login, route=request.endpoint, code="console.role"
            )
            raise CallerProblem("console.role")
        if visit.has(ConsoleRole.AUDITOR) and not found.progress:  # who audits is audited: no page without its entry
            opened = "/".join(map(str, (request.view_args or {}).values()))
            people.note(self._console.parts, "viewed", login=visit.login, subject=request.endpoint, key=opened)
        return None

    def _proved(self, found: Page) -> AnyResponse | None:
        """To the page of proof where the last is too old; who opened a form in time has as long again to send it."""
        visit = current_visit()
        within = people.RECENT if found.method == "GET" else 2 * people.RECENT
        if not found.proof or visit is None or people.is_recent(self._console.parts, visit.session, within):
            return None
        came_from = request.full_path.rstrip("?") if found.method == "GET" else _path_of(request.referrer or "")
        return redirect(url_for("console.access_prove", next=local_path(came_from)), 303)

    def _require_form(self, found: Page) -> AnyResponse | None:
        """A form comes from our own origin and carries the session's token, or the cookie's before there is one.

        One of ours under another token – its session has ended since – does nothing, and is shown again to be sent.
        """
        visit = current_visit()
        expected = visit.session.csrf if visit else request.cookies.get(form_cookie(), "")
        given = request.form.get("csrf", "") or request.headers.get("X-CSRF-Token", "")
        ours = request.headers.get("Origin", "") == self._console.public_url
        if not (ours and expected and hmac.compare_digest(expected.encode(), given.encode())):
            login = visit.login if visit else None
            people.note(
                self._console.parts, "console_refused", login=login, route=request.endpoint, code="console.form"
            )
            if ours and found.allowed.stage == "open" and not _SECRETS & set(request.form):
                return _again(visit)
            raise CallerProblem("console.form")
        return None


def _require_text() -> None:
    """Raises ``CallerProblem`` ``request.parameter`` for U+0000, which no database keeps as text."""
    told = (request.view_args or {}).values(), *request.args.listvalues(), *request.form.listvalues()
    if any("\0" in str(one) for several in told for one in several):
        raise CallerProblem("request.parameter", expected="text without U+0000")


def _path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _again(visit: Visit | None) -> Response:
    """What was typed, to be looked at and sent once more, under the token of a session that lasts."""
    typed = [(name, value) for name, value in request.form.items(multi=True) if name != "csrf"]
    return page.shown(
        "again.html", status=403, typed=typed, files=list(request.files), action=request.full_path.rstrip("?"),
        signed_in=visit is not None and visit.session.stage == "open",
    )  # fmt: skip


def _sent_to_sign_in() -> AnyResponse:
    """To the sign-in page and back to where one wanted to go; a form must be filled in again."""
    back = local_path(request.full_path.rstrip("?")) if request.method == "GET" else ROOT
    to = url_for("console.access_sign_in", next=back)
    if request.headers.get("HX-Request"):
        return Response("", 204, {"HX-Redirect": to})
    return redirect(to, 303)


def _nowhere(rest: str) -> Response:
    """An address below the console that is no page."""
    return stop(404, rest)


def _finish(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    token = g.pop("form_token", None)
    if token is not None:
        response.set_cookie(
            form_cookie(), token, secure=g.cookie_secure, httponly=True, samesite="Lax", path="/", max_age=3600
        )
    return response


def _http_refusal(error: HTTPException) -> Response:
    code = (
        "page.unknown" if isinstance(error, NotFound) else errors.BY_STATUS.get(error.code or 0, "request.unreadable")
    )
    return page.refusal(CallerProblem(code))


def _last_resort(fault: Exception) -> Response:
    response = page.refusal(Problem("broker.fault"))
    errors.log_fault(fault)
    return response
