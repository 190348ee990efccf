"""Embargoes: a person who did not ask for one approves it, any operator lifts it, and no page says on whom it is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from broker.core.case import Party
from broker.core.roles import Role
from broker.flow import register
from broker.flow.subject import Wish, accesses, request_embargo
from broker.ports import Client
from tests.console.kit import PHONE, Browser, House, follow
from tests.console.test_cases import stock
from tests.flow import kit

WHY = "案件调查"


@pytest.fixture
def broker(small: House) -> kit.Broker:
    """A decided verification, the portal, and the centre's only system."""
    made = stock(small)
    for name, role in (("portal", Role.PORTAL), ("centre", Role.CENTRE)):
        register.register_client(small.parts, Client(name, name, kit.UNIT, None, "active", (role,)))
    made.sequence_all()
    return made


def asked(broker: kit.Broker, by: str = "李某", **what: str) -> str:
    """The id of an embargo that the centre's system has asked for, by default on the person of the case."""
    with broker.parts.store.read() as work:
        until = work.pulse().now + timedelta(days=30)
    holder = None if what else Party("", "111", kit.citizen(1), "")
    return request_embargo(broker.parts, Wish(by, WHY, until, holder, **what), kit.as_client("centre")).id


def seen(broker: kit.Broker) -> int:
    """How many accesses the person is shown."""
    found = accesses(broker.parts, Party("", "111", kit.citizen(1), ""), kit.as_client("portal"))
    return len(found["accesses"])


def test_a_person_approves_what_the_only_system_asked_for_and_another_lifts_it(
    small: House, broker: kit.Broker
) -> None:
    number, before = asked(broker), seen(broker)
    one, other = (small.http(small.account("operator", login=name)) for name in ("chen", "wang"))
    page = f"/console/embargoes/{number}"
    assert before > 0
    assert '<a href="/console/embargoes"><strong class="count">1</strong>' in one.get("/console").text
    assert one.post(f"{page}/approval").headers["Location"] == f"{page}?done=approved"
    assert seen(broker) == 0
    assert one.post(f"{page}/approval").status_code == 422
    assert other.post(f"{page}/lifting", {"reason": ""}).status_code == 422
    assert other.post(f"{page}/lifting", {"reason": f"查完 {kit.citizen(1)}"}).status_code == 422
    assert seen(broker) == 0
    assert other.post(f"{page}/lifting", {"reason": "查完"}).status_code == 303
    assert seen(broker) == before
    (approved,), (lifted,) = broker.entries("embargo_approved"), broker.entries("embargo_lifted")
    assert (approved["by"], approved["embargo"], "client" in approved) == ("chen", number, False)
    assert (lifted["by"], lifted["why"]) == ("wang", "查完")
    assert number not in one.get("/console/embargoes").text
    assert number in one.get("/console/embargoes?state=all").text
    broker.check()


@pytest.mark.parametrize("by", ["chen", "C h e n", "测试员chen", "测试员 ｃhen"])
def test_who_asked_for_it_under_login_or_name_does_not_approve_it(small: House, broker: kit.Broker, by: str) -> None:
    number, before = asked(broker, by), seen(broker)
    visitor = small.http(small.account("operator", login="chen"))
    answer = visitor.post(f"/console/embargoes/{number}/approval")
    assert (answer.status_code, "须由另一人批准" in answer.text) == (422, True)
    assert f"/console/embargoes/{number}/approval" not in answer.text, "and is offered no button"
    assert (seen(broker), broker.entries("embargo_approved")) == (before, [])


def test_the_pages_name_nobody_and_each_view_of_one_is_an_entry(small: House, broker: kit.Broker) -> None:
    numbers = [asked(broker), asked(broker, client=kit.CLIENT, case="case-1")]
    visitor = small.http(small.account("operator", login="chen"))
    pages = [
        visitor.get(path).text for path in ("/console/embargoes", *(f"/console/embargoes/{one}" for one in numbers))
    ]
    for text in pages:
        assert kit.citizen(1) not in text
        assert "张某" not in text
    assert "case-1" in pages[2]
    assert [one.get("embargo") for one in broker.entries("viewed")] == [None, *numbers]
    assert visitor.get(f"/console/embargoes/{'0' * 32}").status_code == 404
    auditor = small.http(small.account("auditor", login="auditor"))
    text = auditor.get(f"/console/embargoes/{numbers[0]}").text
    assert (WHY in text, "/approval" in text, "/lifting" in text) == (True, False, False)


def test_the_pages_are_sound_and_lead_through_it(small: House, small_browser: Browser, broker: kit.Broker) -> None:
    watched = small_browser.page(small.account("operator", login="chen"), "en", PHONE)
    page = watched.go("/console/embargoes")
    watched.check()
    asked(broker)
    asked(broker, client=kit.CLIENT, case="case-1")
    watched.go("/console/embargoes")
    watched.check()
    follow(page, "tbody a")
    watched.check()
    follow(page, "form[action$=approval] button")
    assert page.locator(".notice.good").count() == 1
    watched.check()
    page.fill("#reason", "查完")
    follow(page, "form[action$=lifting] button")
    assert page.locator("form[action$=lifting]").count() == 0
    watched.check()
