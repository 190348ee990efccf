"""Accounts in the console: the operator opens, limits, locks and unlocks them, and never their own."""

from __future__ import annotations

import json
import re

import pytest

from broker.core.errors import Problem
from broker.core.people import FREE_FAILURES, ConsoleRole, assignment_from
from broker.flow import people
from tests.console.kit import PHONE, WIDE, Browser, House, follow
from tests.console.test_access import rows, signed_in
from tests.flow import kit


def assignments(house: House, login: str) -> list[str]:
    with house.parts.store.read() as work:
        found = work.credentials(login)
        assert found is not None
        return sorted(map(str, found.person.assignments))


def told(house: House, kind: str) -> list[dict[str, object]]:
    bodies = rows(house, "SELECT body FROM entry ORDER BY id")
    return [one for (body,) in bodies if (one := json.loads(body))["kind"] == kind]  # type: ignore[arg-type]


@pytest.mark.parametrize(("lang", "size"), [("zh", WIDE), ("en", PHONE)])
def test_an_operator_opens_an_account_and_limits_it(
    small: House, small_browser: Browser, lang: str, size: tuple[int, int]
) -> None:
    watched = small_browser.page(small.account("operator", login="ops"), lang, size)
    page = watched.go("/console/accounts")
    watched.check()
    follow(page, "a[href$='/accounts/new']")
    watched.check()
    page.fill("#login", "liu")
    page.fill("#name", "刘某")
    page.fill("#unit", "市监局")
    page.select_option("#role", "list-editor")
    page.select_option("#kind", "stage")
    page.fill("#value", "没有的阶段")
    follow(page, "main form .button")
    assert page.locator("main [role=alert]").count() == 1, "the list knows no such stage"
    page.fill("#value", "开办")
    follow(page, "main form .button")
    password = page.inner_text("code.letters")
    watched.check(refused=True)
    assert assignments(small, "liu") == ["list-editor:stage=开办"]
    assert signed_in(small, "liu", password) == ""
    page.select_option("#role", "reader")
    follow(page, "main form .button >> nth=0")
    assert assignments(small, "liu") == ["list-editor:stage=开办", "reader"]
    page.uncheck("#keep-1")
    follow(page, "main form .button >> nth=0")
    assert assignments(small, "liu") == ["reader"]
    page.click("form[action$='/state'] button")
    page.wait_for_url("**done=disabled")
    watched.check(refused=True)
    assert [(one["login"], one["by"]) for one in told(small, "person_disabled")] == [("liu", "ops")]
    assert password not in str(rows(small, "SELECT body FROM entry"))


def test_what_is_reset_or_unlocked_on_the_page_is_as_by_the_command(small: House) -> None:
    operator, other = small.http(small.account("operator", login="ops")), small.account("reader", login="lost")
    for _ in range(FREE_FAILURES):
        signed_in(small, "lost", "wrong")
    assert "locked" in operator.get("/console/accounts?state=locked").text
    assert "lost" in operator.get("/console/accounts?state=locked").text
    assert signed_in(small, "lost", other.password) == "access.refused"
    assert operator.post("/console/accounts/lost/unlock").status_code == 303
    assert signed_in(small, "lost", other.password) == ""
    shown = operator.post("/console/accounts/lost/password").text
    password = re.findall(r'class="letters">([^<]+)<', shown)[0]
    assert signed_in(small, "lost", password) == ""
    assert signed_in(small, "lost", other.password) == "access.refused"
    assert operator.post("/console/accounts/lost/second-factor").status_code == 303
    with small.parts.store.read() as work:
        found = work.credentials("lost")
        assert found is not None
        assert (found.totp, found.must_change) == (b"", True)
    assert [len(told(small, kind)) for kind in ("person_unlocked", "password_reset", "second_factor_reset")] == [1] * 3


@pytest.mark.parametrize(("path", "form"), [
    ("roles", {"role": "list-approver"}), ("state", {"state": "disabled"}), ("unlock", {}), ("password", {}),
    ("second-factor", {}),
])  # fmt: skip
def test_nobody_changes_their_own_account(small: House, path: str, form: dict[str, str]) -> None:
    operator = small.account("operator", login="ops")
    before = rows(small, "SELECT login, password, state, totp_step FROM person")
    answer = small.http(operator).post(f"/console/accounts/ops/{path}", form)
    assert (answer.status_code, "不能更改自己的账号" in answer.text) == (422, True)
    assert rows(small, "SELECT login, password, state, totp_step FROM person") == before
    assert assignments(small, "ops") == ["operator"]


def test_an_auditor_gets_no_role_that_acts_and_the_refusal_changes_nothing(small: House) -> None:
    small.account("auditor", login="aud")
    visitor = small.http(small.account("operator"))
    answer = visitor.post("/console/accounts/aud/roles", {"keep": "auditor", "role": "operator"})
    assert (answer.status_code, "审计人员不得兼任" in answer.text) == (422, True)
    assert assignments(small, "aud") == ["auditor"]


@pytest.mark.parametrize(("text", "code"), [
    ("auditor:department=部门", "person.limit"), ("reader:stage=开办", "person.limit"),
    ("clerk:stage=开办", "person.limit"), ("list-editor:unit=11370400MB9999999L", "person.limit"),
    ("nobody", "person.role"), ("list-editor:stage=", "person.role"),
])  # fmt: skip
def test_a_limit_that_no_page_would_hold_is_refused(text: str, code: str) -> None:
    with pytest.raises(Problem, match=code):
        assignment_from(text)


@pytest.mark.parametrize("text", [
    "list-approver:stage=别的", "source-department:department=别的", f"clerk:unit={kit.UNIT[:-1]}1",
])  # fmt: skip
def test_a_scope_that_the_list_does_not_name_is_refused(small: House, text: str) -> None:
    small.account("reader", login="known")
    with pytest.raises(Problem, match="person.scope"):
        people.assign(small.parts, "known", [assignment_from(text)], "operator")
    assert assignments(small, "known") == ["reader"]


def test_every_role_of_the_page_can_be_given(small: House) -> None:
    visitor = small.http(small.account("operator"))
    for role in ConsoleRole:
        answer = visitor.post("/console/accounts", {"login": f"p-{role}", "name": "某", "unit": "某局", "role": role})
        assert answer.status_code == 200, role
        assert assignments(small, f"p-{role}") == [role.value]
