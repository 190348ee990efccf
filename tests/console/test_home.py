"""Home: each role sees how much of its own work waits, with a link that leads there; who has none is told so."""

from __future__ import annotations

import re
from io import BytesIO

import pytest

from broker.flow import people
from tests.console.kit import PHONE, WIDE, Browser, House
from tests.console.test_cases import clerk, number_of, with_order
from tests.flow import kit

BY_NAME = "source-department:department=部门"


@pytest.fixture
def club(small: House) -> kit.Broker:
    """One decided verification, and one whose only open question is with a person of the department."""
    return with_order(small)


def waiting(house: House, *roles: str) -> dict[str, int]:
    """Where somebody with these roles is led, and how much waits there."""
    text = house.http(house.account(*roles)).get("/console").text
    found = re.findall(r'<a href="([^"]+)"><strong class="count">(\d+)</strong>', text)
    return {path: int(count) for path, count in found}


def test_every_role_sees_its_own_pending_work(small: House, club: kit.Broker) -> None:
    number = number_of(club)
    form = {"material": "licence", "source": "licences", "words": "执照已换发"}
    assert small.http(clerk(small)).post(f"/console/verifications/{number}/objection", form).status_code == 303
    for _ in range(8):
        with pytest.raises(Exception, match="access"):
            people.sign_in(small.parts, small.account("reader", login="locked").login, "wrong", "127.0.0.1")
    officer = waiting(small, f"source-department:unit={kit.DEPARTMENT}")
    assert officer == {"/console/orders": 1}
    assert waiting(small, BY_NAME)["/console/objections"] == 1
    operator = waiting(small, "operator")
    assert (operator["/console/orders"], operator["/console/accounts?state=locked"]) == (1, 1)
    assert waiting(small, f"clerk:unit={kit.UNIT}") == {"/console/cases?list=undecided": 1}
    assert waiting(small, f"clerk:unit={kit.DEPARTMENT}") == {}
    assert waiting(small, "reader") == {}
    club.execute("UPDATE work_order SET due_at = 1")
    shown = small.http(small.account(f"source-department:unit={kit.DEPARTMENT}")).get("/console").text
    assert "1 项逾期" in shown


@pytest.mark.parametrize(("lang", "size"), [("zh", WIDE), ("en", PHONE)])
def test_the_home_page_is_sound_with_work_and_without(
    small: House, small_browser: Browser, club: kit.Broker, lang: str, size: tuple[int, int]
) -> None:
    assert club.rows("SELECT id FROM work_order")
    busy, idle = (small_browser.page(small.account(role), lang, size) for role in ("operator", "reader"))
    for watched in (busy, idle):
        watched.go("/console")
        watched.check()
    assert (busy.page.locator(".empty").count(), idle.page.locator(".empty").count()) == (0, 1)


def test_a_department_known_by_name_answers_its_orders_like_one_known_by_code(small: House, club: kit.Broker) -> None:
    """The list gives the department no code: its name is enough, and another name is not."""
    order = club.rows("SELECT id, source FROM work_order")[0]
    named = small.http(small.account(f"source-department:department={authority_of(small, order.source)}"))
    other = small.http(small.account("source-department:department=市监局"))
    assert f"/console/orders/{order.id}" in named.get("/console/orders").text
    assert order.id not in other.get("/console/orders").text
    assert other.post(f"/console/orders/{order.id}", {"reply": "deny"}).status_code == 404
    assert named.post(f"/console/orders/{order.id}", {"reply": "deny"}).status_code == 303
    assert club.rows("SELECT reply FROM work_order")[0].reply == "deny"


def authority_of(house: House, source: str) -> str:
    with house.parts.store.read() as work:
        pulse = work.pulse()
        catalog = house.parts.edition_in_force(work, house.parts.policy(work, pulse), pulse.now).catalog
    return catalog.sources[source].authority["zh"]


def test_a_clerk_sees_the_own_bodys_cases_the_undecided_first(small: House, club: kit.Broker) -> None:
    mine, other = small.http(clerk(small)), small.http(clerk(small, kit.DEPARTMENT))
    assert "case-2" in mine.get("/console/cases").text
    assert "case-1" not in mine.get("/console/cases").text, "it is decided"
    assert "case-1" in mine.get("/console/cases?list=recent").text
    assert "case-2" not in other.get("/console/cases").text


def test_attached_evidence_is_read_again_by_the_department_and_by_nobody_else(small: House, club: kit.Broker) -> None:
    order = club.rows("SELECT id FROM work_order")[0].id
    officer = small.http(small.account(f"source-department:unit={kit.DEPARTMENT}"))
    path = f"/console/orders/{order}/evidence"
    assert officer.get(path).status_code == 404, "nothing is attached yet"
    attached = {"reply": "confirm", "evidence": (BytesIO(b"%PDF-1.7 seen"), "a.pdf")}
    assert officer.post(f"/console/orders/{order}", attached).status_code == 303
    answer = officer.get(path)
    assert (answer.data, answer.content_type) == (b"%PDF-1.7 seen", "application/pdf")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert len(club.entries("order_evidence_viewed")) == 1
    assert small.http(small.account(f"source-department:unit={kit.UNIT}")).get(path).status_code == 404
