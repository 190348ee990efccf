"""Work orders in the console: a person of the department reads the question and answers it, once."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.console.kit import PHONE, WIDE, Browser, House, follow
from tests.console.test_cases import with_order
from tests.flow import kit

_ABOUT_PEOPLE = ("entry", "entry_queue", "session", "person", "person_role", "attempt", "sign_in_origin")


@pytest.fixture
def club(small: House) -> kit.Broker:
    """One verification whose only open question is with a person of the department."""
    return with_order(small)


@pytest.mark.parametrize(("lang", "size"), [("zh", WIDE), ("en", PHONE)])
def test_a_department_answers_an_order_with_remark_and_evidence(
    small: House, small_browser: Browser, club: kit.Broker, lang: str, size: tuple[int, int], tmp_path: Any
) -> None:
    officer = small.account(f"source-department:unit={kit.DEPARTMENT}")
    watched = small_browser.page(officer, lang, size)
    page = watched.go("/console/orders")
    watched.check()
    follow(page, "table a")
    watched.check()
    about = page.inner_text("main")
    assert kit.citizen(2) in about, "whoever answers must know about whom"
    assert {"zh": "公民身份号码", "en": "Citizen identity number"}[lang] in about, "and not by the code of a type"
    paper = tmp_path / "依据.pdf"
    paper.write_bytes(b"%PDF-1.7 checked" + b"\0" * 800_000)
    page.check("#reply-confirm")
    page.fill("#remark", "经查无记录")
    page.set_input_files("#evidence", str(paper))
    page.click("main form .button")
    page.wait_for_url("**?done=1")
    watched.check()
    assert "经查无记录" in page.inner_text("main")
    [row] = club.rows("SELECT state, reply, answered_by, remark, evidence_digest FROM work_order")
    assert (row.state, row.reply, row.answered_by) == ("answered", "confirm", officer.login)
    assert "经查".encode() not in bytes(row.remark)
    assert row.evidence_digest
    assert [one["operator"] for one in club.entries("order_viewed")] == [officer.login] * 2
    assert "table" not in small.http(officer).get("/console/orders").text
    club.finish()


def test_nobody_else_reads_what_is_asked(small: House, club: kit.Broker) -> None:
    """Another department's person, one whose role names no body, and the centre's operator."""
    order = club.rows("SELECT id FROM work_order")[0].id
    before = club.contents(without=_ABOUT_PEOPLE)
    for role, status in (
        (f"source-department:unit={kit.UNIT}", 404), ("source-department", 404), ("operator", 403)
    ):  # fmt: skip
        visitor = small.http(small.account(role))
        listed = visitor.get("/console/orders")
        assert listed.status_code == 200
        assert (order in listed.text) == (role == "operator")
        assert f"/console/orders/{order}" not in listed.text
        assert visitor.get(f"/console/orders/{order}").status_code == status
        assert visitor.post(f"/console/orders/{order}", {"reply": "confirm"}).status_code == status
    assert club.contents(without=_ABOUT_PEOPLE) == before
    assert club.entries("order_viewed") == []


def test_an_answer_that_cannot_be_taken_says_why_and_keeps_what_was_typed(small: House, club: kit.Broker) -> None:
    order = club.rows("SELECT id FROM work_order")[0].id
    visitor = small.http(small.account(f"source-department:unit={kit.DEPARTMENT}"))
    refused = visitor.post(f"/console/orders/{order}", {"reply": "", "remark": "留着"})
    assert refused.status_code == 422
    assert "未选择答复" in refused.text
    assert "留着" in refused.text
    page = {"reply": "deny", "evidence": (io.BytesIO(b"<script>"), "looks-like.pdf")}
    assert visitor.post(f"/console/orders/{order}", page).status_code == 422, "its content says what it is"
    assert visitor.post(f"/console/orders/{order}", {"reply": "deny"}).status_code == 303
    again = visitor.post(f"/console/orders/{order}", {"reply": "confirm"})
    assert again.status_code == 422
    assert club.rows("SELECT reply FROM work_order")[0].reply == "deny"
