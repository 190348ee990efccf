"""Grants in the browser: a department applies, another decides, trims, suspends – under the flow's own rules."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.core.grant_application import ApplicationState
from broker.core.identifiers import credit_check_digit
from broker.flow import register
from broker.flow.publish import publish
from broker.ports import Client
from tests.console.kit import PHONE, WIDE, Browser, House, Visitor, follow
from tests.flow import catalogue, kit
from tests.flow.catalogue import POPULATION

OWNER = "11370400MB0000001" + credit_check_digit("11370400MB0000001")
XSS = "<script>alert(1)</script>"


@pytest.fixture
def owned(small: House) -> House:
    """A using department with a system, and a source whose department the list names."""
    document = catalogue.document()
    document["sources"][POPULATION] |= {"unit": OWNER, "sharing": "conditional"}
    publish(small.parts, document, None, "editor")
    register.register_client(small.parts, Client(kit.CLIENT, "审批系统", kit.UNIT, None, "active"))
    return small


def form(**changes: Any) -> dict[str, Any]:
    """An application as the form sends it."""
    today = datetime.now(UTC).date()
    sent = {
        "client": kit.CLIENT, "source": POPULATION, "fields": ["match"], "forms": ["verify"],
        "bases": ["statutory_duty"], "items": [catalogue.SHOP, catalogue.KITCHEN], "purpose": f"核验身份{XSS}",
        "legal_reference": "行政许可法第三十四条", "daily_calls": "100", "valid_from": str(today),
        "valid_to": str(today + timedelta(days=90)),
    }  # fmt: skip
    return sent | changes


def using(house: House, login: str = "using") -> Visitor:
    return of_body(house, kit.UNIT, login)


def owner(house: House, login: str = "owner") -> Visitor:
    return of_body(house, OWNER, login)


def of_body(house: House, unit: str, login: str) -> Visitor:
    """Somebody who speaks for a body."""
    return house.http(house.accounts.get(login) or house.account(f"source-department:unit={unit}", login=login))


def applied(house: House) -> str:
    """The number of an application that waits."""
    answer = using(house).post("/console/grants/apply", form())
    assert answer.status_code == 303, re.findall(r'role="alert">(.*?)</div>', answer.text, re.DOTALL)
    return str(answer.headers["Location"].rsplit("/", 1)[1])


def state(house: House, number: str) -> str:
    with house.parts.store.read() as work:
        return next(one.state.value for one in work.applications() if one.id == number)


def left(**changes: Any) -> dict[str, Any]:
    """A decision that leaves everything as it was asked."""
    return form(verdict="approve", reason="符合职责") | changes


def test_a_department_applies_and_another_decides_in_the_browser(small_browser: Browser, owned: House) -> None:
    watched = small_browser.page(owned.account(f"using-department:unit={kit.UNIT}", login="using"))
    page = watched.go("/console/grants")
    watched.check()
    follow(page, "text=申请授权")
    page.select_option("#source", POPULATION)
    watched.check()
    page.click("main button")
    page.wait_for_url("**source=population**")
    for box in ("#fields-match", "#forms-verify", "#bases-statutory_duty"):
        page.check(box)
    for key in (catalogue.SHOP, catalogue.KITCHEN):
        page.fill("#find", key)
        page.check(f"#items-{key}")
    for name, value in (("purpose", "核验身份"), ("legal_reference", "法第一条"), ("daily_calls", "50")):
        page.fill(f"#{name}", value)
    assert page.is_checked(f"#items-{catalogue.SHOP}"), "what was ticked stays so while one searches on"
    watched.check()
    follow(page, "main button >> text=提交申请")
    watched.check()
    number = page.url.rsplit("/", 1)[1]
    assert page.locator("button[value=approve]").count() == 0, "nobody decides what they applied for"
    other = small_browser.page(owned.account(f"source-department:unit={OWNER}", login="owner"), "en", PHONE)
    page = other.go(f"/console/grants/applications/{number}")
    other.check()
    page.uncheck(f"#items-{catalogue.KITCHEN}")
    page.fill("#reason", "厨房事项无需核验")
    page.click("button[value=approve]")
    page.wait_for_selector("text=What is given")
    other.check()
    assert state(owned, number) == ApplicationState.TRIMMED
    page = other.go(f"/console/grants/{number}")
    page.fill("#reason", "核查中")
    page.click("button[value=suspended]")
    page.wait_for_selector("text=Restore")
    other.check()
    with owned.parts.store.read() as work:
        grant = owned.parts.policy(work, work.pulse()).grants[number]
    assert (grant.state, grant.items) == ("suspended", (catalogue.SHOP,))


def test_the_same_person_or_the_same_body_may_not_decide(owned: House) -> None:
    number = applied(owned)
    both = owned.http(owned.account(
        f"source-department:unit={kit.UNIT}", f"source-department:unit={OWNER}", login="both"
    ))  # fmt: skip
    mine = both.post("/console/grants/apply", form()).headers["Location"].rsplit("/", 1)[1]
    path = f"/console/grants/applications/{mine}"
    refusals: tuple[tuple[Visitor, str, dict[str, Any], str], ...] = (
        (both, path, {"unit": OWNER}, "不同部门的不同人员"),
        (using(owned, "colleague"), f"/console/grants/applications/{number}", {}, "不同部门的不同人员"),
        (owned.http(owned.account(f"operator:unit={kit.DEPARTMENT}", login="centre")), path, {}, "不是此数源"),
    )
    for visitor, where, more, words in refusals:
        answer = visitor.post(where, left(**more))
        assert (answer.status_code, words in answer.text) == (422, True), more
    assert {state(owned, number), state(owned, mine)} == {"applied"}


def test_only_the_centre_decides_for_a_source_that_nobody_owns(owned: House) -> None:
    sent = form(source=catalogue.REGISTER, fields=["name"], forms=["query"])
    number = using(owned).post("/console/grants/apply", sent).headers["Location"].rsplit("/", 1)[1]
    path = f"/console/grants/applications/{number}"
    decided = left(fields=["name"], forms=["query"])
    assert owner(owned).post(path, decided).status_code == 404, "it does not concern them, so they do not see it"
    assert using(owned, "colleague").post(path, decided).status_code == 422
    centre = owned.http(owned.account(f"operator:unit={kit.DEPARTMENT}", login="centre"))
    assert centre.post(path, decided).status_code == 303
    assert state(owned, number) == "approved"
    for body in ({"state": "revoked", "reason": ""}, {"state": "applied", "reason": "x"}):
        assert centre.post(f"/console/grants/{number}", body).status_code == 422
    assert centre.post(f"/console/grants/{number}", {"state": "revoked", "reason": "过宽"}).status_code == 303


def test_an_account_without_a_body_acts_for_nobody(owned: House) -> None:
    number = applied(owned)
    nobody = owned.http(owned.account("source-department", login="unlimited"))
    assert nobody.post("/console/grants/apply", form()).status_code == 403
    assert nobody.get(f"/console/grants/applications/{number}").status_code == 404
    centre = owned.http(owned.account("operator", login="bare"))
    assert "未对应单位" in centre.get("/console/grants").text
    assert centre.post(f"/console/grants/applications/{number}", left()).status_code == 422


def test_what_cannot_be_applied_for_is_told_and_what_was_typed_stays(owned: House) -> None:
    visitor = using(owned)
    wrongs: list[dict[str, Any]] = [
        {"fields": []}, {"daily_calls": "0"}, {"daily_calls": "many"}, {"valid_to": "2020-01-01"}, {"purpose": " "},
        {"forms": ["telepathy"]}, {"fields": ["salary"]},
    ]  # fmt: skip
    for wrong in wrongs:
        answer = visitor.post("/console/grants/apply", form(**wrong))
        assert (answer.status_code, "第三十四条" in answer.text) == (422, True), wrong
    assert visitor.post("/console/grants/apply", form(client="other")).status_code == 403
    with owned.parts.store.read() as work:
        assert not work.applications()


def test_nothing_can_be_added_and_a_decision_needs_its_reason(owned: House) -> None:
    number = applied(owned)
    visitor = owner(owned)
    path = f"/console/grants/applications/{number}"
    wrongs: list[dict[str, Any]] = [{"reason": " "}, {"daily_calls": "101"}, {"valid_to": "2099-01-01"}, {"items": []}]
    for wrong in wrongs:
        assert visitor.post(path, left(**wrong)).status_code == 422, wrong
    assert state(owned, number) == "applied"
    assert visitor.post(path, left(verdict="refuse")).status_code == 303
    assert visitor.post(path, left()).status_code == 422, "it is decided"


def test_who_may_see_a_field_is_told_and_nothing_typed_is_markup(owned: House) -> None:
    number = applied(owned)
    owner(owned).post(f"/console/grants/applications/{number}", left())
    for path in ("", "/matrix?source=population&field=match", f"/{number}", f"/applications/{number}",
                 f"/apply?renews={number}"):  # fmt: skip
        visitor = using(owned)
        text = visitor.get(f"/console/grants{path}").text
        assert kit.CLIENT in text, path
        assert XSS not in text, path
    assert (
        "没有授权涉及"
        in owned.http(owned.account("auditor")).get("/console/grants/matrix?source=population&field=name").text
    )


@pytest.mark.parametrize(("lang", "size"), [("zh", WIDE), ("en", PHONE)])
def test_the_pages_of_grants_are_sound(small_browser: Browser, owned: House, lang: str, size: tuple[int, int]) -> None:
    number = applied(owned)
    owner(owned).post(f"/console/grants/applications/{number}", left())
    applied(owned)
    watched = small_browser.page(owned.account("operator"), lang, size)
    for path in ("", "/matrix?source=population&field=match", f"/{number}", f"/applications/{number}"):
        watched.go(f"/console/grants{path}")
        watched.check()
