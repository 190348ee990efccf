"""Access: signing in and out, the first password, the second factor, one's own account, the language.

A refused sign-in always says the same, whatever was wrong.
"""

from __future__ import annotations

import segno
from flask import Response, g, request, url_for
from markupsafe import Markup

from broker.core.errors import CallerProblem
from broker.flow import people, provided
from broker.flow.people import Opened
from broker.web.console.area import ANYBODY, EVERY_ROLE, ROOT, Area, Console, at
from broker.web.console.page import said_of, shown, to
from broker.web.console.visit import (
    cookie_name,
    current_visit,
    errand_cookie,
    form_cookie,
    keep,
    let_go,
    local_path,
    next_cookie,
    visitor,
    with_session,
)
from broker.web.console.words import LANGUAGES, language_cookie

_YEAR = 365 * 24 * 3600


def access_area(console: Console) -> Area:
    """The pages of signing in; the only ones that anybody may see."""
    area, access = Area("access"), _Access(console)
    area.get("/sign-in", access.sign_in, ANYBODY)
    area.post("/sign-in", access.signing_in, ANYBODY)
    area.get("/sign-in/provider", access.provider, ANYBODY)
    area.get("/sign-in/provider/back", access.back, ANYBODY)
    area.get("/password", access.choose, at("password"))
    area.post("/password", access.choosing, at("password"))
    area.get("/second-factor/new", access.enrol, at("enrol"))
    area.post("/second-factor/new", access.enrolling, at("enrol"))
    area.get("/second-factor", access.second, at("second"))
    area.post("/second-factor", access.confirming, at("second"))
    area.get("/account", access.account, EVERY_ROLE)
    area.post("/account/password", access.changing, EVERY_ROLE)
    area.post("/account/sessions", access.ending, EVERY_ROLE, proof=True)
    area.get("/prove", access.prove, EVERY_ROLE)
    area.post("/prove", access.proving, EVERY_ROLE)
    area.get("/sign-out/provider", access.leave, ANYBODY)
    area.post("/account/stay", access.stay, EVERY_ROLE)
    area.post("/sign-out", access.sign_out, ANYBODY)
    area.get("/language/<code>", access.language, ANYBODY)
    return area


class _Access:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts
        self._provider = console.provider
        self._back_url = f"{console.public_url}{ROOT}/sign-in/provider/back"

    # --- the first factor

    def sign_in(self) -> Response:
        """The form."""
        visit = current_visit()
        if visit is not None and visit.session.stage == "open":
            return to("home_index")
        response = self._sign_in_page("", "", 200)
        keep(response, next_cookie(), local_path(request.args.get("next", ROOT)))
        return response

    def signing_in(self) -> Response:
        """The form as sent."""
        login, password = request.form.get("login", "").strip().lower(), request.form.get("password", "")
        try:
            opened = people.sign_in(self._parts, login, password, request.remote_addr or "")
        except CallerProblem as problem:
            status = 429 if problem.code == "access.too-many" else 401
            return self._sign_in_page(said_of(problem), login, status)
        response = _forward(opened)
        let_go(response, form_cookie())
        return response

    def _sign_in_page(self, wrong: str, login: str, status: int) -> Response:
        label = self._provider.label if self._provider else ""
        out = bool(label) and request.args.get("out") == "1"
        return shown("access/sign_in.html", status=status, wrong=wrong, login=login, provider=label, out=out)

    def leave(self) -> Response:
        """Off to the identity provider once more, to be signed out there as well."""
        url = self._provider.leave(f"{self._back_url.removesuffix('/provider/back')}") if self._provider else ""
        return Response("", 303, {"Location": url}) if url else to("access_sign_in")

    # --- the identity provider

    def provider(self) -> Response:
        """Off to the identity provider; what comes back must match what is remembered here."""
        if self._provider is None:
            raise CallerProblem("page.unknown")
        people.count_attempt(self._parts, f"errand:{request.remote_addr}", people.TRIES_PER_ADDRESS)
        url, memory = self._provider.begin(self._back_url, again=current_visit() is not None)
        response = Response("", 303, {"Location": url})
        keep(response, errand_cookie(), people.begin_errand(self._parts, memory))
        return response

    def back(self) -> Response:
        """Back from the identity provider."""
        if self._provider is None:
            raise CallerProblem("page.unknown")
        memory = people.finish_errand(self._parts, request.cookies.get(errand_cookie(), ""))
        identity = self._provider.finish(self._back_url, memory, request.full_path)
        opened = provided.sign_in_as(self._parts, identity)
        before = current_visit()
        if before is not None:  # who came to prove again who they are
            people.sign_out(self._parts, before.secret, before.login)
        response = _forward(opened)
        let_go(response, errand_cookie())
        return response

    # --- the first password

    def choose(self) -> Response:
        """The form for a password of one's own."""
        return shown("access/password.html", wrong="")

    def choosing(self) -> Response:
        """The form as sent."""
        try:
            return _forward(people.choose_password(self._parts, visitor().secret, _twice()))
        except CallerProblem as problem:
            return shown("access/password.html", status=422, wrong=said_of(problem))

    # --- the second factor

    def enrol(self) -> Response:
        """The secret as a QR code and in letters; shown until it is confirmed once."""
        return self._enrol_page("", 200)

    def enrolling(self) -> Response:
        """The first code."""
        try:
            return self._confirmed()
        except CallerProblem as problem:
            return self._enrol_page(said_of(problem), 401)

    def _enrol_page(self, wrong: str, status: int) -> Response:
        secret, address = people.enrolment(self._parts, visitor().secret)
        drawn = segno.make(address, error="m").svg_inline(scale=5, border=4, dark="#000", light="#fff", svgclass="qr")
        letters = " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
        return shown("access/enrol.html", status=status, qr=Markup(drawn), letters=letters, wrong=wrong)  # noqa: S704 - segno's own

    def second(self) -> Response:
        """The form for the code."""
        return shown("access/second.html", wrong="")

    def confirming(self) -> Response:
        """The code as sent."""
        try:
            return self._confirmed()
        except CallerProblem as problem:
            return shown("access/second.html", status=401, wrong=said_of(problem))

    def _confirmed(self) -> Response:
        return _forward(
            people.confirm(self._parts, visitor().secret, request.form.get("code", ""), request.remote_addr or "")
        )

    # --- one's own account

    def account(self) -> Response:
        """Who I am here, and the form to change the password."""
        return self._account_page("", 200)

    def _account_page(self, wrong: str, status: int) -> Response:
        visit = visitor()
        return shown(
            "access/account.html", status=status, wrong=wrong, done="" if wrong else request.args.get("done", ""),
            sessions=people.open_sessions(self._parts, visit.person.id), own=visit.session.digest,
            local=people.is_local(self._parts, visit.login),
        )  # fmt: skip

    def ending(self) -> Response:
        """End another session of one's own, or all others."""
        people.end_own_sessions(self._parts, visitor().secret, request.form.get("session", ""))
        return to("access_account", done="ended")

    def prove(self) -> Response:
        """The form that asks once more who this is; then one goes on where one was."""
        response = self._prove_page("", 200)
        keep(response, next_cookie(), local_path(request.args.get("next", ROOT)))
        return response

    def proving(self) -> Response:
        """The code as sent."""
        try:
            return _forward(people.prove_again(self._parts, visitor().secret, request.form.get("code", "")))
        except CallerProblem as problem:
            return self._prove_page(said_of(problem), 401)

    def _prove_page(self, wrong: str, status: int) -> Response:
        label = self._provider.label if self._provider else ""
        local = people.is_local(self._parts, visitor().login)
        return shown("access/prove.html", status=status, wrong=wrong, provider="" if local else label)

    def changing(self) -> Response:
        """The form as sent; every other session of this person ends."""
        try:
            current = request.form.get("current", "")
            opened = people.change_password(self._parts, visitor().secret, current, _twice())
        except CallerProblem as problem:
            return self._account_page(said_of(problem), 422)
        return with_session(to("access_account", done=1), opened)

    def stay(self) -> Response:
        """Somebody is still there: the guard has noted it already."""
        return Response("", 204)

    def sign_out(self) -> Response:
        """The session ends here and in the database."""
        visit = current_visit()
        if visit is not None:
            people.sign_out(self._parts, visit.secret, visit.login)
        response = to("access_sign_in", out=1) if self._provider else to("access_sign_in")
        let_go(response, cookie_name())
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    def language(self, code: str) -> Response:
        """Chinese or English, remembered in a cookie that says nothing else."""
        if code not in LANGUAGES:
            raise CallerProblem("page.unknown")
        response = Response("", 303, {"Location": local_path(request.args.get("next", ROOT))})
        response.set_cookie(
            language_cookie(), code, secure=g.cookie_secure, httponly=True, samesite="Lax", path="/", max_age=_YEAR
        )
        return response


def _forward(opened: Opened) -> Response:
    """To the next step of signing in, or to where one wanted to go at first."""
    stage = opened.session.stage
    if stage == "open":
        response = Response("", 303, {"Location": local_path(request.cookies.get(next_cookie(), ROOT))})
        let_go(response, next_cookie())
    else:
        step = {"password": "access_choose", "enrol": "access_enrol", "second": "access_second"}[stage]
        response = Response("", 303, {"Location": url_for(f"console.{step}")})
    return with_session(response, opened)


def _twice() -> str:
    """The new password, typed twice alike."""
    first, again = request.form.get("password", ""), request.form.get("again", "")
    if first != again:
        raise CallerProblem("person.password", expected="twice the same")
    return first
