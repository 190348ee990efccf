"""A session that ends: what was typed is shown again, nothing is done by itself, and looking on keeps none open."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask import g
from sqlalchemy import text

from broker.flow import people
from broker.web.console.expected import expected_words
from broker.web.console.words import begin_words
from tests.console.kit import PHONE, WIDE, Browser, House, follow
from tests.console.test_access import kinds, rows


def age(house: House, minutes: int) -> None:
    """Let so much time go by since every session was used."""
    with house.office.database.begin(write=True) as connection:
        connection.execute(text("UPDATE session SET seen_at = seen_at - :ms"), {"ms": minutes * 60_000})
        connection.commit()


def drafts(house: House) -> list[tuple[object, ...]]:
    return rows(house, "SELECT comment FROM draft")


@pytest.mark.parametrize(("lang", "size"), [("zh", WIDE), ("en", PHONE)])
def test_what_was_typed_survives_the_end_of_the_session(
    small: House, small_browser: Browser, lang: str, size: tuple[int, int]
) -> None:
    words = "调整材料清单 <b>x</b>\n第二行"
    editor = small.account("list-editor")
    watched = small_browser.page(editor, lang, size)
    page = watched.go("/console/drafts")
    page.evaluate(
        """words => { const form = document.querySelector("form[action='/console/drafts']");
        const typed = document.createElement("textarea"); typed.name = "comment"; typed.value = words;
        form.querySelectorAll("[name=comment]").forEach(one => one.remove()); form.append(typed); }""",
        words,
    )
    age(small, 31)
    page.evaluate("document.querySelector(\"form[action='/console/drafts']\").submit()")
    page.wait_for_selector("a[target=_blank]")
    watched.check(refused=True)
    assert page.input_value("textarea").replace("\r", "") == words
    assert drafts(small) == []
    signed_in = small.session(editor)  # in another window
    page.context.add_cookies([{"name": "broker", "value": signed_in, "url": small.url}])
    follow(page, "main form .button")
    page.wait_for_selector("main form")
    assert drafts(small) == [], "another session's form does nothing until it is looked at"
    page.click("main form .button")
    page.wait_for_url("**/console/drafts/*")
    assert len(drafts(small)) == 1


def test_only_a_form_of_our_own_is_shown_again_and_a_password_never(small: House) -> None:
    visitor = small.http(small.account("list-editor"))
    secret = visitor.csrf
    for lie in ({"origin": "https://evil.example"}, {"origin": ""}):
        answer = visitor.post("/console/drafts", {"comment": "留着这句话"}, csrf="x", **lie)
        assert (answer.status_code, "留着这句话" in answer.text) == (403, False)
    answer = visitor.post("/console/drafts", {"comment": "留着这句话"}, csrf="x")
    assert (answer.status_code, "留着这句话" in answer.text, secret in answer.text) == (403, True, True)
    answer = visitor.post("/console/account/password", {"current": "my old secret", "password": "n"}, csrf="x")
    assert (answer.status_code, "my old secret" in answer.text) == (403, False)
    assert kinds(small)[-4:] == ["console_refused"] * 4
    assert drafts(small) == []


def seen_at(house: House) -> Any:
    return rows(house, "SELECT max(seen_at) FROM session")[0][0]


def test_looking_on_by_itself_keeps_no_session_open_and_writes_no_view(small: House) -> None:
    visitor = small.http(small.account("auditor"))
    age(small, 5)
    before, entries = seen_at(small), len(kinds(small))
    for _ in range(3):
        assert visitor.get("/console/audit/log/progress", headers={"HX-Trigger": "job"}).status_code == 200
    assert (seen_at(small), len(kinds(small))) == (before, entries)
    assert visitor.get("/console/audit/log", headers={"HX-Trigger": "job"}).status_code == 200
    assert seen_at(small) == before
    last = json.loads(rows(small, "SELECT body FROM entry ORDER BY id DESC LIMIT 1")[0][0])  # type: ignore[arg-type]
    assert (last["kind"], last["subject"]) == ("viewed", "console.audit_log"), "whatever a header says"
    age(small, 26)
    assert visitor.get("/console/audit/log/progress", headers={"HX-Trigger": "job"}).status_code == 303


def test_whoever_is_warned_stays_signed_in_if_they_ask_for_it(small: House, small_browser: Browser) -> None:
    watched = small_browser.page(small.account("reader"))
    page = watched.page
    page.clock.install()
    watched.go("/console/account")
    assert page.locator("#session-ends").is_hidden()
    page.clock.fast_forward((int(people.IDLE.total_seconds()) - 200) * 1000)
    page.clock.run_for(15_000)
    assert page.locator("#session-ends").is_visible()
    watched.check()
    age(small, 27)
    page.click("#session-ends button")
    page.wait_for_function("document.getElementById('session-ends').hidden")
    assert small.http(None).get("/console").status_code == 303
    age(small, 5)
    watched.go("/console/account")
    watched.quiet()


def test_a_session_that_ends_clears_every_window_without_the_server_and_keeps_what_was_typed(
    small: House, small_browser: Browser
) -> None:
    """By time, in a window that nobody uses; at once, where somebody signs out in another."""
    editor = small.account("list-editor")
    watched = small_browser.page(editor)
    page, other = watched.page, watched.page.context.new_page()
    other.goto(f"{small.url}/console/list")
    assert other.locator("main table").count() == 1
    page.clock.install()
    watched.go("/console/drafts")
    page.fill("#comment", "还没有提交")
    page.context.set_offline(True)
    page.clock.fast_forward(int(people.IDLE.total_seconds()) * 1000)
    page.clock.run_for(15_000)
    assert page.locator("main h1").count() == 0
    assert page.input_value("#comment") == "还没有提交"
    assert page.locator("[data-after]").is_visible()
    page.context.set_offline(False)
    assert other.locator("main table").count() == 1, "the other window's time has not come"
    third = page.context.new_page()
    third.goto(f"{small.url}/console/account")
    third.click(".top-tools form button")
    other.wait_for_selector("[data-cleared]:visible")
    assert other.inner_text("main") == ""
    assert other.locator("[data-cleared] a").get_attribute("href") == "/console/sign-in?next=/console/list"
    assert small.http(None).get("/console").status_code == 303


def test_a_chinese_page_names_what_was_expected_without_english_words(small: House) -> None:
    account = small.account("reader")
    form = {"current": account.password, "password": "short", "again": "other"}
    told = small.http(account).post("/console/account/password", form).text
    alert = re.findall(r'role="alert"><p>(.*?)</p>', told, re.DOTALL)[0]
    assert "两次填写须一致" in alert
    assert not re.search("[A-Za-z]{3}", alert)
    with small.app.test_request_context():
        g.cookie_secure = False
        begin_words()
        assert expected_words("at most 2000 characters") == "字符数不超过 2000"
        assert expected_words("in_force or suspended") == "in_force 或 suspended"
        assert expected_words("12 to 128 characters, not a well-known one") == ""
