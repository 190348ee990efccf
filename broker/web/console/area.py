"""What an area of the console is: its pages, each with who is allowed in, and its place in the navigation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from flask import Response

from broker.core.envelope import Verifier
from broker.core.people import ConsoleRole
from broker.flow.parts import Parts
from broker.flow.publish import Check
from broker.ports.console import IdentityProvider
from broker.web.console.lists import Lists
from broker.web.key_book import KeyBook

ROOT = "/console"
MAX_FORM = 512 * 1024  # an item's row whole is below 100 KB

View = Callable[..., Response]


@dataclass(frozen=True)
class Console:
    """What the areas work with."""

    parts: Parts
    public_url: str  # without a slash at its end; the only origin forms are taken from
    check: Check  # of a sharing list
    provider: IdentityProvider | None = None
    keys: Sequence[Verifier] = ()  # those by which our receipts verify, historic ones included
    log_keys: Sequence[Verifier] = ()

    @cached_property
    def lists(self) -> Lists:
        """Editions and drafts as all areas read them: one memory, since a list is large."""
        return Lists(self.parts, self.check)

    @property
    def book(self) -> KeyBook:
        """The same keys as the register has them by now."""
        return KeyBook(self.parts, self.keys, self.log_keys)


@dataclass(frozen=True, slots=True)
class Allowed:
    """Who may come to a page: anybody, whoever is at one step of signing in, or whoever has one of these roles."""

    roles: frozenset[ConsoleRole] = frozenset()
    stage: str = "open"  # of the session; "" needs none

    def admits(self, roles: frozenset[ConsoleRole]) -> bool:
        """Whether somebody signed in with these roles may come in."""
        return bool(self.roles & roles)


def only(*roles: ConsoleRole) -> Allowed:
    """These roles; one of them is enough."""
    return Allowed(frozenset(roles))


def at(stage: str) -> Allowed:
    """Whoever has come to this step of signing in, whatever the roles."""
    return Allowed(stage=stage)


ANYBODY = Allowed(stage="")
EVERY_ROLE = only(*ConsoleRole)
LIST_KEEPERS = only(ConsoleRole.LIST_EDITOR, ConsoleRole.LIST_APPROVER)


@dataclass(frozen=True, slots=True)
class Page:
    """One route: path below the console's root, method, view, and who is allowed in."""

    rule: str
    method: str
    name: str
    view: View
    allowed: Allowed
    largest: int = MAX_FORM  # the form as it is sent, in bytes
    proof: bool = False  # who comes must have proved recently who they are
    progress: bool = False  # how far a job is, asked for again and again by the page that shows it: no view of anything


@dataclass(frozen=True, slots=True)
class Nav:
    """An entry of the navigation: the name of the area's page it leads to, and its words (English, translated)."""

    page: str
    words: str


@dataclass
class Area:
    """A part of the console under one name, which its endpoints and its templates' folder carry."""

    name: str
    nav: Nav | None = None
    pages: list[Page] = field(default_factory=list)

    def get(self, rule: str, view: View, allowed: Allowed, *, proof: bool = False, progress: bool = False) -> None:
        """A page that is read; it changes nothing."""
        name = f"{self.name}_{view.__name__}"
        self.pages.append(Page(f"{ROOT}{rule}", "GET", name, view, allowed, MAX_FORM, proof, progress))

    def post(self, rule: str, view: View, allowed: Allowed, largest: int = MAX_FORM, *, proof: bool = False) -> None:
        """A form that is sent; the frame has checked its token and origin before the view is called."""
        name = f"{self.name}_{view.__name__}"
        self.pages.append(Page(f"{ROOT}{rule}", "POST", name, view, allowed, largest, proof))

    def endpoint(self, name: str) -> str:
        """What ``url_for`` calls one of its pages."""
        return f"console.{self.name}_{name}"
