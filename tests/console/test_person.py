"""Who has a person's number finds the entries about them, with a reason that all who audit see; no number is kept."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from broker.core.case import Party
from broker.core.roles import Role
from broker.flow import register
from broker.flow.annotate import LONGEST
from broker.flow.subject import Wish, accesses, approve_embargo, request_embargo
from broker.ports import Client
from tests.console.kit import PHONE, Browser, House, Visitor, follow
from tests.console.test_access import age
from tests.console.test_audit import placed, places, said, worked
from tests.flow import kit

PATH = "/console/audit/person"
REASON = "函〔2026〕3号，核查窗口查询记录"


@pytest.fixture
def reviewed(small: House) -> House:
    worked(small)
    return small


@pytest.fixture
def auditor(reviewed: House) -> Visitor:
    return reviewed.http(reviewed.account("auditor", login="auditor"))


def form(number: str, **other: str) -> dict[str, str]:
    """What somebody types."""
    return {"id_type": "111", "holder_number": number, "reason": REASON} | other


def everything(house: House) -> str:
    """All that the database holds, as text."""
    with house.office.database.begin(write=False) as connection:
        tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
        return "".join(repr(connection.exec_driver_sql(f"SELECT * FROM {name}").all()) for name in tables)  # noqa: S608


def test_the_entries_about_a_number_are_found_and_the_number_is_kept_nowhere(
    reviewed: House, auditor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    number = kit.citizen(1)
    pseudonym = reviewed.parts.vault.pseudonym(f"111:{number}")
    found = f"/console/audit?subject={pseudonym}"
    for typed in (number, f" {number[:6]} {number[6:]} "):
        answer = auditor.post(PATH, form(typed))
        assert (answer.status_code, answer.headers["Location"]) == (303, found)
        assert number not in str(answer.headers)
    page = auditor.get(found)
    with reviewed.parts.store.read() as work:
        bodies = [json.loads(work.entries(place, place + 1)[0]) for place in places(page.text)]
    assert {"asked", "admitted"} <= {one["kind"] for one in bodies}
    assert all(pseudonym in {one["subject"], *one.get("related", ())} for one in bodies)
    for text in (everything(reviewed), caplog.text, page.text, auditor.get(PATH).text):
        assert number not in text
    told = said(reviewed, "person_sought")
    assert len(told) == 2
    assert told[0] | {"at": ""} == {
        "version": 1, "kind": "person_sought", "at": "", "login": "auditor", "subject": pseudonym, "id_type": "111",
        "why": REASON,
    }  # fmt: skip


def test_every_auditor_sees_who_looked_up_whom_and_why(reviewed: House, auditor: Visitor) -> None:
    assert "尚无按号码查找的记录" in auditor.get(PATH).text
    auditor.post(PATH, {"id_type": "001", "holder_number": kit.company(1).lower(), "reason": REASON})
    placed(reviewed)
    pseudonym = reviewed.parts.vault.pseudonym(f"001:{kit.company(1)}")
    colleague = reviewed.http(reviewed.account("auditor", login="colleague"))
    text = colleague.get(PATH).text
    assert all(words in text for words in (REASON, pseudonym, "login=auditor"))
    for query in ({"kind": "person_sought"}, {"login": "auditor", "kind": "person_sought"}, {"subject": pseudonym}):
        assert "按号码查找当事人</td>" in colleague.get("/console/audit", query_string=query).text, query


def test_without_a_reason_or_with_a_wrong_number_there_is_neither_entry_nor_pseudonym(
    reviewed: House, auditor: Visitor
) -> None:
    for lie in (
        {"reason": ""}, {"reason": "  "}, {"reason": f"核对 {kit.citizen(1)}"}, {"reason": "长" * (LONGEST + 1)},
        {"holder_number": kit.citizen(1)[:-1]}, {"holder_number": ""}, {"id_type": "001"}, {"id_type": "no"},
        {"id_type": "414", "holder_number": "E12345678", "reason": "护照 E12345678"},
    ):  # fmt: skip
        answer = auditor.post(PATH, form(kit.citizen(1)) | lie)
        assert (answer.status_code, "Location" in answer.headers) == (422, False), lie
        shown = re.search(r'<input id="holder_number"[^>]*>', answer.text)
        assert shown, lie
        assert "value" not in shown[0], "a number is not shown again"
    assert not said(reviewed, "person_sought")
    assert kit.citizen(1) not in everything(reviewed)


def test_only_an_auditor_with_a_recent_proof_and_a_form_of_ours_may(reviewed: House, auditor: Visitor) -> None:
    number = kit.citizen(1)
    operator = reviewed.http(reviewed.account("operator"))
    assert operator.post(PATH, form(number)).status_code == 403
    stale = auditor.post(PATH, form(number), csrf="x")
    assert (stale.status_code, number in stale.text) == (403, False), "no form comes again with the number in it"
    age(reviewed)
    for answer in (auditor.get(PATH), auditor.post(PATH, form(number))):
        assert answer.headers["Location"].startswith("/console/prove")
        assert number not in answer.headers["Location"]
    assert not said(reviewed, "person_sought")


def test_a_number_is_no_filter_and_no_entry_repeats_it(reviewed: House, auditor: Visitor) -> None:
    number = kit.citizen(1)
    for query in ({"subject": number}, {"case": number}, {"operator": number}, {"verification": "case-1"}):
        answer = auditor.get("/console/audit", query_string=query)
        assert (answer.status_code, "按号码查找" in answer.text) == (422, True), query
        assert f'value="{number}"' not in answer.text
    assert auditor.post("/console/audit/export", {"subject": number, "reason": "检查"}).status_code == 422
    assert number not in everything(reviewed)


def test_an_embargo_hides_from_the_person_and_not_from_the_auditor(reviewed: House, auditor: Visitor) -> None:
    parts, holder = reviewed.parts, Party("", "111", kit.citizen(1), "")
    register.register_client(parts, Client("portal", "门户", kit.UNIT, None, "active", (Role.PORTAL,)))
    assert accesses(parts, holder, kit.as_client("portal"))["accesses"]
    with parts.store.read() as work:
        until = work.pulse().now + timedelta(days=1)
    wish = request_embargo(parts, Wish("甲", "调查", until, holder), kit.as_client())
    approve_embargo(parts, wish.id, "乙", kit.as_client("portal"))
    assert not accesses(parts, holder, kit.as_client("portal"))["accesses"]
    found = auditor.post(PATH, form(holder.number)).headers["Location"]
    assert "向数源发出查询</td>" in auditor.get(found).text


def test_an_auditor_looks_somebody_up_in_the_browser(browser: Browser) -> None:
    house = browser.house
    watched = browser.page(house.account("auditor", login="seeker"), size=PHONE)
    page = watched.go(PATH)
    watched.check()
    page.fill("#holder_number", kit.citizen(7))
    page.fill("#reason", REASON)
    follow(page, "main form .button")
    assert page.url.endswith(f"/console/audit?subject={house.parts.vault.pseudonym(f'111:{kit.citizen(7)}')}")
    assert kit.citizen(7) not in page.content()
    watched.check()
    placed(house)
    watched.go(PATH)
    page.wait_for_selector(f"td:has-text('{REASON}')")
    watched.check()
