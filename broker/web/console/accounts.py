"""Accounts: who works here, in which roles and within which scope; the operator opens, limits, closes and unlocks them.

The steps are those of ``broker user``, under the operator's own login; a first password is shown once, on the page that
answers, and is kept nowhere. Nobody changes their own account, and whoever changes another's has proved
recently who they are.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, request

from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.people import (
    SCOPES_OF,
    Assignment,
    ConsoleRole,
    ScopeKind,
    assignment_from,
    departments_of,
    stages_of,
)
from broker.flow import people as steps
from broker.ports.console import Account
from broker.web.console.area import Area, Console, Nav, only
from broker.web.console.page import ROLES, SCOPES, said_of, shown, to
from broker.web.console.visit import visitor

_OPERATOR = only(ConsoleRole.OPERATOR)
_PER_PAGE = 100
_Refused = (CallerProblem, OperatorProblem)


def accounts_area(console: Console) -> Area:
    """The pages of accounts."""
    area, accounts = Area("accounts", Nav("index", "Accounts")), _Accounts(console)
    one = "/accounts/<login>"
    area.get("/accounts", accounts.index, _OPERATOR)
    area.post("/accounts", accounts.add, _OPERATOR, proof=True)
    area.get("/accounts/new", accounts.new, _OPERATOR, proof=True)
    area.get(one, accounts.account, _OPERATOR, proof=True)
    area.post(f"{one}/roles", accounts.roles, _OPERATOR, proof=True)
    area.post(f"{one}/state", accounts.state, _OPERATOR, proof=True)
    area.post(f"{one}/unlock", accounts.unlock, _OPERATOR, proof=True)
    area.post(f"{one}/password", accounts.password, _OPERATOR, proof=True)
    area.post(f"{one}/second-factor", accounts.second_factor, _OPERATOR, proof=True)
    return area


class _Accounts:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts
        self._providers = console.provider is not None

    # --- reading

    def index(self) -> Response:
        """Everybody, found by a part of login, name or body, by role and by state."""
        asked = {name: request.args.get(name, "").strip() for name in ("q", "role", "state")}
        found = [one for one in self._all() if _matches(one, asked)]
        page = max(1, request.args.get("page", 1, type=int))
        start = (page - 1) * _PER_PAGE
        return shown(
            "accounts/index.html", accounts=found[start : start + _PER_PAGE], count=len(found), asked=asked, page=page,
            further=len(found) > start + _PER_PAGE, roles=ROLES,
        )  # fmt: skip

    def account(self, login: str) -> Response:
        """One account, and what can be done with it."""
        return self._page(login, "", 200)

    def _page(self, login: str, wrong: str, status: int, *, password: str = "") -> Response:
        found = next((one for one in self._all() if one.person.login == login), None)
        if found is None:
            raise OperatorProblem("register.unknown", got=login)
        return shown(
            "accounts/account.html", status=status, one=found, wrong=wrong, password=password,
            typed=request.form if wrong else {},
            done=request.args.get("done", ""), mine=login == visitor().login, **self._choices(),
        )  # fmt: skip

    def new(self) -> Response:
        """The form of a new account."""
        return self._form("", 200)

    def _form(self, wrong: str, status: int) -> Response:
        return shown(
            "accounts/new.html", status=status, wrong=wrong, typed=request.form, providers=self._providers,
            **self._choices(),
        )  # fmt: skip

    # --- acting

    def add(self) -> Response:
        """The form as sent; the page that answers shows the first password, once."""
        form = request.form
        login, name, unit = (form.get(one, "").strip() for one in ("login", "name", "unit"))
        subject = form.get("subject", "").strip() if self._providers else ""
        try:
            if not name or not unit:
                raise CallerProblem("request.parameter", pointer="/name" if not name else "/unit")
            given = _added()
            password = steps.add_person(self._parts, login, name, unit, given, visitor().login, subject)
        except _Refused as problem:
            return self._form(said_of(problem), 422)
        return self._page(login, "", 200, password=password)

    def roles(self, login: str) -> Response:
        """Those that stay ticked, and the one that is added."""

        def change() -> None:
            kept = [assignment_from(one) for one in request.form.getlist("keep")]
            steps.assign(self._parts, login, [*kept, *_added()], visitor().login)

        return self._done(login, "roles", change)

    def state(self, login: str) -> Response:
        """Close an account, or open it again."""
        state = "disabled" if request.form.get("state") == "disabled" else "active"
        return self._done(login, state, lambda: steps.set_state(self._parts, login, state, visitor().login))

    def unlock(self, login: str) -> Response:
        """Let somebody sign in again at once."""
        return self._done(login, "unlocked", lambda: steps.unlock(self._parts, login, visitor().login))

    def second_factor(self, login: str) -> Response:
        """Let somebody enrol a second factor anew."""
        return self._done(login, "factor", lambda: steps.reset_second_factor(self._parts, login, visitor().login))

    def password(self, login: str) -> Response:
        """A new first password, shown once."""
        try:
            password = steps.reset_password(self._parts, login, visitor().login)
        except _Refused as problem:
            return self._refused(login, problem)
        return self._page(login, "", 200, password=password)

    def _done(self, login: str, done: str, step: Callable[[], None]) -> Response:
        try:
            step()
        except _Refused as problem:
            return self._refused(login, problem)
        return to("accounts_account", login=login, done=done)

    def _refused(self, login: str, problem: CallerProblem | OperatorProblem) -> Response:
        if problem.code == "register.unknown":
            raise problem
        return self._page(login, said_of(problem), 422)

    def _all(self) -> list[Account]:
        with self._parts.store.read() as work:
            return work.accounts(work.pulse().now)

    def _choices(self) -> dict[str, object]:
        with self._parts.store.read() as work:
            catalog = self._parts.catalog_in_force(work, work.pulse())
        return {
            "role_names": ROLES, "kind_names": SCOPES, "scopes_of": SCOPES_OF, "kinds": list(ScopeKind),
            "stages": sorted(stages_of(catalog)) if catalog else [],
            "departments": sorted(departments_of(catalog)) if catalog else [],
        }  # fmt: skip


def _added() -> list[Assignment]:
    """The role that the form adds, none where none is chosen. Raises ``OperatorProblem`` ``person.role``."""
    role, kind, value = (request.form.get(one, "").strip() for one in ("role", "kind", "value"))
    if not role:
        return []
    limited = kind not in {"", ScopeKind.EVERYTHING.value}
    return [assignment_from(f"{role}:{kind}={value}" if limited else role)]


def _matches(one: Account, asked: dict[str, str]) -> bool:
    person, sought = one.person, asked["q"].casefold()
    said = any(sought in text.casefold() for text in (person.login, person.name, person.unit))
    state = "locked" if person.state == "active" and (one.locked_until or one.waiting) else person.state
    of_role = not asked["role"] or asked["role"] in {role.value for role in person.roles}
    return said and of_role and asked["state"] in {"", state}
