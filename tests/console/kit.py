"""The console under test: the real application behind a real server, people of every role, and a real browser.

``House`` is the server with its database, ``House.http`` somebody signed in without a browser, ``Browser.page`` a page
of somebody signed in that watches for errors in the console, requests that leave the machine, and what axe finds.
"""

from __future__ import annotations

import csv
import io
import itertools
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp
import requests
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page
from sqlalchemy import event
from werkzeug.serving import BaseWSGIServer, make_server

from broker.bootstrap import Office, open_office
from broker.core.people import ConsoleRole, assignment_from
from broker.flow import people
from broker.flow.parts import Parts
from broker.flow.publish import publish
from broker.store.migrate import migrate
from broker.web.app import Surface, create_app
from tests.flow import kit

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--font-render-hinting=none",
)  # fmt: skip
WIDE, PHONE = (1280, 900), (390, 844)
NEVER = ("critical", "serious")  # what axe may not find on any page
AXE = Axe()  # holds the script, which is read once
# Fetched by itself, a page's style sheet serves rules about rotation and sound that are off, or find nothing here.
FINDINGS = {"resultTypes": ["violations"], "preload": False}
_numbers = itertools.count(1)


@dataclass
class Account:
    """Somebody who can sign in."""

    login: str
    password: str
    totp: pyotp.TOTP
    roles: tuple[str, ...]

    def code(self) -> str:
        """The code the authenticator shows now."""
        return self.totp.now()


@dataclass
class House:
    """The console's server and what stands behind it."""

    office: Office
    app: Flask
    url: str
    accounts: dict[str, Account] = field(default_factory=dict)

    @property
    def parts(self) -> Parts:
        """What the steps work with."""
        return self.office.parts

    def account(self, *roles: str, login: str = "") -> Account:
        """Somebody with these roles (``role`` or ``role:kind=value``), password and second factor set up.

        Who is there already is the same person, and must have been given the same roles.
        """
        login = login or f"{'-'.join(role.partition(':')[0] for role in roles) or 'nobody'}-{next(_numbers)}"
        known = self.accounts.get(login)
        if known is None:
            known = self.accounts[login] = _made(self.parts, login, roles)
        assert known.roles == roles, f"{login} has the roles {known.roles}"
        return known

    def role(self, role: ConsoleRole) -> Account:
        """The one person of this house who has this role and no other."""
        return self.account(role.value, login=role.value)

    def session(self, account: Account) -> str:
        """A fresh session of somebody, as the cookie's value, past every step of signing in."""
        with self.parts.store.write() as work:
            found = work.credentials(account.login)
            assert found is not None
            opened = people.open_session(work, found.person.id, "open", work.pulse().now)
            work.commit()
        return opened.secret

    def http(self, account: Account | None, lang: str = "zh") -> Visitor:
        """Somebody without a browser."""
        return Visitor(self, self.session(account) if account else "", lang)


@dataclass
class Visitor:
    """Asks the application in this process as a browser would, following nothing."""

    house: House
    secret: str
    lang: str

    def __post_init__(self) -> None:
        """A client of its own, with the session's cookie."""
        self.client = self.house.app.test_client()
        if self.secret:
            self.client.set_cookie("broker", self.secret, domain="127.0.0.1")
        self.client.set_cookie("broker-lang", self.lang, domain="127.0.0.1")

    @property
    def csrf(self) -> str:
        """The token of the session's forms."""
        found = people.visit(self.house.parts, self.secret)
        return found[0].csrf if found else ""

    def get(self, path: str, **more: Any) -> Any:
        """A page."""
        return self.client.get(path, base_url=self.house.url, **more)

    def post(self, path: str, form: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """A form of our own; ``csrf`` and ``origin`` may be given to lie."""
        token, origin = more.pop("csrf", self.csrf), more.pop("origin", self.house.url)
        headers = {"Origin": origin} if origin else {}
        return self.client.post(
            path, base_url=self.house.url, headers=headers, data={"csrf": token, **(form or {})}, **more
        )


def _made(parts: Parts, login: str, roles: tuple[str, ...]) -> Account:
    """Through the same steps as a person: first password, own password, second factor."""
    assignments = [assignment_from(one) for one in roles]
    first = people.add_person(parts, login, f"测试员{login}", "市大数据中心", assignments, "operator")
    mine = f"long enough {login[::-1]} words"
    opened = people.sign_in(parts, login, first, "127.0.0.1")
    opened = people.choose_password(parts, opened.secret, mine)
    secret, _ = people.enrolment(parts, opened.secret)
    totp = pyotp.TOTP(secret)
    previous = totp.at(int(time.time()) - people.STEP_SECONDS)  # so that the code shown now is still good
    people.confirm(parts, opened.secret, previous)
    return Account(login, mine, totp, roles)


@contextmanager
def house(
    folder: Path, keys: Path, document: Mapping[str, Any] | None, url: str = "", **surface: Any
) -> Iterator[House]:
    """A served console, over a new database with this list as edition 1, or over one that is there."""
    office = open_office(kit.settings(url or f"sqlite:///{folder / 'broker.db'}", keys), wake=kit.Bells())
    if office.database.is_sqlite:
        event.listen(office.database.engine, "connect", lambda one, _: one.execute("PRAGMA synchronous=OFF"))
    if document is not None:
        migrate(office.database)
        publish(office.parts, document, None, "editor")
    server = make_server("127.0.0.1", 0, _later, threaded=True)
    address = f"http://127.0.0.1:{server.server_port}"
    app = create_app(office.parts, Surface(address, office.receipt_keys, office.log_keys, **surface))
    server.app = app
    with _served(server):
        yield House(office, app, address)
    office.close()


@contextmanager
def _served(server: BaseWSGIServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _later(environ: Any, start: Any) -> Any:
    raise AssertionError("nobody asks before the address is known")


@dataclass
class Watched:
    """A page of the browser, and everything that must not have happened on it."""

    page: Page
    house: House
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Listen before anything is loaded."""
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.house.url, "data:", "about:")):
            self.foreign.append(request.url)

    def go(self, path: str) -> Page:
        """Open a page of the console; one that does not answer fails the test."""
        answer = self.page.goto(f"{self.house.url}{path}")
        assert answer is not None
        assert answer.status == 200, (path, answer.status)
        return self.page

    def check(self, *, refused: bool = False) -> None:
        """No grave finding of axe, no error, nothing from elsewhere, nothing that runs out of the window."""
        found = AXE.run(self.page, options=FINDINGS).response["violations"]
        grave = [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found if one["impact"] in NEVER]
        assert not grave, (self.page.url, grave)
        width = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, (self.page.url, f"{width} px wider than the window")
        assert self.page.evaluate("document.querySelectorAll('h1').length") == 1, self.page.url
        self.quiet(refused=refused)

    def quiet(self, *, refused: bool = False) -> None:
        """Nothing was reported and nothing left the machine; a refusal itself is reported by the browser."""
        told = [one for one in self.errors if not (refused and "status of 4" in one)]
        assert not told, told
        assert not self.foreign, self.foreign


@dataclass
class Browser:
    """One Chromium for all tests; a context of its own for each page."""

    chromium: Chromium
    house: House
    contexts: list[BrowserContext] = field(default_factory=list)

    def page(
        self, account: Account | None = None, lang: str = "zh", size: tuple[int, int] = WIDE, *, scripts: bool = True
    ) -> Watched:
        """A page of somebody signed in, or of nobody."""
        context = self.chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, java_script_enabled=scripts, reduced_motion="reduce"
        )
        self.contexts.append(context)
        kept: list[Any] = [{"name": "broker-lang", "value": lang, "url": self.house.url}]
        if account is not None:
            kept.append({"name": "broker", "value": self.house.session(account), "url": self.house.url})
        context.add_cookies(kept)
        page = context.new_page()
        page.set_default_timeout(15_000)
        return Watched(page, self.house)

    def close(self) -> None:
        """Close the pages of the test that is over."""
        for context in self.contexts:
            context.close()
        self.contexts.clear()


def rows_in(answer: Any) -> tuple[list[list[str]], dict[str, str]]:
    """A CSV file of the console: its heads and rows, and what it says of itself behind them."""
    text = answer if isinstance(answer, str) else answer.data.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    end = rows.index([])
    return rows[:end], dict(rows[end + 1 :])


def follow(page: Page, selector: str) -> None:
    """Click what leads to another page, and wait until that page is there; a click alone waits for nothing."""
    with page.expect_navigation():
        page.click(selector)


def reachable(url: str) -> bool:
    """Whether something answers there."""
    return requests.get(url, timeout=5, allow_redirects=False).status_code < 500
