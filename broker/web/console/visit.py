"""Who is looking at the page: session, person, cookies – and the entry that says what was looked at."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from flask import Response, g, request

from broker.core.people import ConsoleRole, Person
from broker.flow import people
from broker.flow.parts import Parts
from broker.flow.people import Opened
from broker.ports.console import Session
from broker.web.console.area import ROOT


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody with a session, at whatever step of signing in."""

    person: Person
    session: Session
    secret: str = field(repr=False)

    @property
    def login(self) -> str:
        """The name under which the log knows the person."""
        return self.person.login

    def has(self, *roles: ConsoleRole) -> bool:
        """Whether the person has one of these roles; templates ask this before they show a button."""
        return bool(self.person.roles & set(roles))


def current_visit() -> Visit | None:
    """The visit of this request, None where nobody is signed in."""
    visit: Visit | None = g.get("visit")
    return visit


def visitor() -> Visit:
    """The visit of this request, on a page that needs one."""
    visit = current_visit()
    if visit is None:
        raise AssertionError("the guard lets nobody in without a session")
    return visit


def viewed(parts: Parts, subject: str, **facts: Any) -> None:
    """Write the entry that this person reads this subject. It comes first: without it, nothing is shown."""
    people.note(parts, "viewed", login=visitor().login, subject=subject, **facts)


def cookie_name() -> str:
    """Under https a name that browsers take only with Secure, for this host and the whole site."""
    return "__Host-broker" if g.cookie_secure else "broker"


def form_cookie() -> str:
    """The cookie of forms before anybody is signed in."""
    return "__Host-broker-form" if g.cookie_secure else "broker-form"


def errand_cookie() -> str:
    """The cookie of a browser on its way to the identity provider."""
    return "__Host-broker-errand" if g.cookie_secure else "broker-errand"


def form_token() -> str:
    """The token of a form before anybody is signed in: the same in a cookie and in the form."""
    known = request.cookies.get(form_cookie(), "")
    if known:
        return known
    if "form_token" not in g:
        g.form_token = secrets.token_urlsafe(32)
    return str(g.form_token)


def next_cookie() -> str:
    """The cookie that says where somebody wanted to go; only a path of the console is ever followed."""
    return "__Host-broker-next" if g.cookie_secure else "broker-next"


def keep(response: Response, name: str, value: str) -> None:
    """Set a cookie that scripts cannot read; it ends with the browser, and its session earlier."""
    response.set_cookie(name, value, secure=g.cookie_secure, httponly=True, samesite="Lax", path="/")


def let_go(response: Response, name: str) -> None:
    """Remove a cookie."""
    response.delete_cookie(name, secure=g.cookie_secure, httponly=True, samesite="Lax", path="/")


def with_session(response: Response, opened: Opened) -> Response:
    """Hand out the session's new secret."""
    keep(response, cookie_name(), opened.secret)
    return response


def local_path(path: str) -> str:
    """A path of the console, or its home page where somebody wants to be led elsewhere."""
    parts = urlsplit(path)
    inside = path == ROOT or path.startswith((f"{ROOT}/", f"{ROOT}?"))
    plain = path.isprintable() and "\\" not in path
    return path if inside and plain and not parts.scheme and not parts.netloc else ROOT
