"""Signing in: two factors, lock-out, sessions, forms – in the browser and against every way around them."""

from __future__ import annotations

import re
import time

import pyotp
import pytest
from flask import request
from playwright.sync_api import Page
from sqlalchemy import text

from broker.core.errors import Problem
from broker.core.people import FREE_FAILURES, LONGEST_PASSWORD, Assignment, ConsoleRole
from broker.flow import people
from broker.web.app import Surface, create_app
from tests.console.kit import PHONE, WIDE, Browser, House, Visitor, follow


def rows(house: House, statement: str) -> list[tuple[object, ...]]:
    with house.office.database.begin(write=False) as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def kinds(house: House) -> list[str]:
    return [str(row[0]) for row in rows(house, "SELECT kind FROM entry ORDER BY id")]


def typed(page: Page, *values: str) -> None:
    """Fill in fields one after another and send the form, by keys alone."""
    for place, value in enumerate(values):
        if place:
            page.keyboard.press("Tab")
        page.keyboard.type(value)
    page.keyboard.press("Enter")


def test_somebody_new_signs_in_with_the_keyboard_alone(browser: Browser) -> None:
    """First password, own password, second factor, home; then out, and in again with both factors."""
    house = browser.house
    first = people.add_person(house.parts, "newcomer", "新人", "市大数据中心", [], "operator")
    watched = browser.page()
    page = watched.go("/console")
    assert page.url.startswith(f"{house.url}/console/sign-in")
    watched.check()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip", "the first thing reached skips to the content"
    page.focus("#login")
    typed(page, "newcomer", first)
    page.wait_for_url("**/console/password")
    watched.check()
    page.focus("#password")
    typed(page, "correct staple horses", "correct staple horses")
    page.wait_for_url("**/second-factor/new")
    watched.check()
    secret = page.inner_text("code.letters").replace(" ", "")
    assert page.locator(".qr-box svg").count() == 1
    page.focus("#code")
    typed(page, pyotp.TOTP(secret).at(int(time.time()) - people.STEP_SECONDS))
    page.wait_for_url("**/console")
    watched.check(refused=True)


@pytest.mark.parametrize(("lang", "size"), [("zh", WIDE), ("en", PHONE)])
def test_the_pages_around_signing_in_are_sound(browser: Browser, lang: str, size: tuple[int, int]) -> None:
    person = browser.house.role(ConsoleRole.READER)
    watched = browser.page(lang=lang, size=size)
    watched.go("/console/sign-in")
    watched.check()
    watched = browser.page(person, lang, size)
    for path in ("/console", "/console/account"):
        page = watched.go(path)
        assert page.get_attribute("html", "lang") == ("en" if lang == "en" else "zh-CN")
        watched.check()


def test_the_language_is_switched_and_stays(browser: Browser) -> None:
    watched = browser.page(browser.house.role(ConsoleRole.READER))
    page = watched.go("/console/account")
    follow(page, "text=English")
    assert page.inner_text("h1") == "My account"
    watched.go("/console")
    follow(page, "text=中文")
    assert "首页" in page.inner_text("nav")
    watched.quiet()


def test_signing_in_works_without_scripts(browser: Browser) -> None:
    account = browser.house.account("reader")
    page = browser.page(scripts=False).go("/console/account")
    page.fill("#login", account.login)
    page.fill("#password", account.password)
    follow(page, "main button")
    page.fill("#code", account.code())
    follow(page, "main button")
    assert page.url.endswith("/console/account")
    follow(page, "header button")
    assert "/sign-in" in page.url
    assert browser.house.http(None).get("/console").status_code == 303


def signed_in(house: House, login: str, password: str, address: str = "127.0.0.1") -> str:
    """The code of the problem somebody meets, "" where there is none."""
    try:
        people.sign_in(house.parts, login, password, address)
    except Problem as problem:
        return problem.code
    return ""


def test_an_account_is_closed_for_longer_and_longer_and_says_nothing_else(small: House) -> None:
    account = small.account("reader")
    for _ in range(FREE_FAILURES):
        assert signed_in(small, account.login, "wrong") == "access.refused"
    assert signed_in(small, account.login, account.password) == "access.refused", "closed, and no sign of why"
    closed = "SELECT failures FROM sign_in_origin WHERE locked_until IS NOT NULL"
    assert rows(small, closed) == [(FREE_FAILURES,)]
    assert kinds(small)[-FREE_FAILURES - 1 :] == ["sign_in_refused"] * (FREE_FAILURES + 1)
    people.unlock(small.parts, account.login, "operator")
    assert signed_in(small, account.login, account.password) == ""


def test_a_stranger_closes_nobodys_way_in_but_their_own(small: House) -> None:
    """Failures from outside delay whoever comes from there; the person signs in from where they always did."""
    account = small.account("reader")
    opened = people.sign_in(small.parts, account.login, account.password, "10.0.0.7")
    people.confirm(small.parts, opened.secret, account.code(), "10.0.0.7")
    for stranger in range(people.TRIES_FROM_STRANGERS + FREE_FAILURES):
        signed_in(small, account.login, "wrong", f"203.0.113.{stranger % 7}")
    assert signed_in(small, account.login, "wrong", "203.0.113.99") == "access.too-many", "and not from anywhere else"
    assert signed_in(small, account.login, account.password, "10.0.0.7") == ""


def test_a_login_may_be_tried_only_so_often_whatever_the_outcome(small: House) -> None:
    told = {signed_in(small, "nobody-at-all", "wrong") for _ in range(people.TRIES_PER_LOGIN + 2)}
    assert told == {"access.refused", "access.too-many"}
    assert "nobody-at-all" not in str(rows(small, "SELECT body FROM entry")), "what was typed may be a password"


def test_a_code_counts_once_and_wrong_codes_close_the_account(small: House) -> None:
    account = small.account("reader")
    opened = people.sign_in(small.parts, account.login, account.password, "127.0.0.1")
    code = account.code()
    people.confirm(small.parts, opened.secret, code)
    with pytest.raises(Problem, match="access.over"):
        people.confirm(small.parts, opened.secret, code)  # that session's secret is worth nothing any more
    opened = people.sign_in(small.parts, account.login, account.password, "127.0.0.1")
    for _ in range(FREE_FAILURES + 1):
        with pytest.raises(Problem, match="access.refused"):
            people.confirm(small.parts, opened.secret, code)
    assert rows(small, "SELECT count(*) FROM person WHERE locked_until IS NOT NULL") == [(1,)]


def cookie(visitor: Visitor) -> str:
    found = visitor.client.get_cookie("broker", domain="127.0.0.1")
    assert found is not None
    return found.value


def test_a_session_changes_its_secret_at_every_step_and_is_stored_as_a_digest(small: House) -> None:
    """Fixation: a cookie planted before is not what is signed in afterwards."""
    account = small.account("reader")
    visitor = small.http(None)
    visitor.client.set_cookie("broker", "planted-by-somebody", domain="127.0.0.1")
    token = re.findall(r'name="csrf" value="([^"]+)"', visitor.get("/console/sign-in").text)[0]
    answer = visitor.post("/console/sign-in", {"login": account.login, "password": account.password}, csrf=token)
    assert answer.status_code == 303
    first = cookie(visitor)
    assert first != "planted-by-somebody"
    visitor.secret = first
    answer = visitor.post("/console/second-factor", {"code": account.code()})
    assert answer.status_code == 303
    second = cookie(visitor)
    assert second not in {first, "planted-by-somebody"}
    stored = str(rows(small, "SELECT * FROM session"))
    assert first not in stored
    assert second not in stored
    assert people.digest_of(second) in stored
    cookies = "; ".join(answer.headers.getlist("Set-Cookie"))
    assert "HttpOnly" in cookies
    assert "SameSite=Lax" in cookies


def test_a_half_signed_in_session_reaches_nothing_but_its_next_step(small: House) -> None:
    account = small.account("operator")
    opened = people.sign_in(small.parts, account.login, account.password, "127.0.0.1")
    visitor = small.http(None)
    visitor.client.set_cookie("broker", opened.secret, domain="127.0.0.1")
    for path in ("/console", "/console/account", "/console/second-factor/new", "/console/password"):
        assert visitor.get(path).headers["Location"] == "/console/second-factor"


@pytest.mark.parametrize("column", ["expires_at", "seen_at"])
def test_a_session_ends_when_its_time_is_over_or_nobody_uses_it(small: House, column: str) -> None:
    visitor = small.http(small.account("reader"))
    assert visitor.get("/console").status_code == 200
    with small.office.database.begin(write=True) as connection:
        connection.execute(text(f"UPDATE session SET {column} = 0"))  # noqa: S608 - two names of ours
        connection.commit()
    assert visitor.get("/console").headers["Location"].startswith("/console/sign-in")


def test_disabling_a_person_or_changing_the_password_ends_sessions_at_once(small: House) -> None:
    account = small.account("reader")
    one, other = small.http(account), small.http(account)
    form = {"current": account.password, "password": "quite another phrase", "again": "quite another phrase"}
    answer = one.post("/console/account/password", form)
    assert answer.headers["Location"] == "/console/account?done=1"
    assert other.get("/console").status_code == 303
    assert one.get("/console").status_code == 200, "under its new secret"
    people.set_state(small.parts, account.login, "disabled", "operator")
    assert one.get("/console").status_code == 303
    assert signed_in(small, account.login, "quite another phrase") == "access.refused"


def test_a_weak_password_is_refused_and_nothing_changes(small: House) -> None:
    account = small.account("reader", login="reader-of-lists")
    before = rows(small, "SELECT password FROM person")
    visitor = small.http(account)
    small.parts.known_password = {"correct horse battery staple"}.__contains__
    weak = ("short", "a" * 40, "Password1234567", "x" * 129, "reader-of-lists-1", "correct horse battery staple")
    for password in weak:
        form = {"current": account.password, "password": password, "again": password}
        assert visitor.post("/console/account/password", form).status_code == 422, password
    assert rows(small, "SELECT password FROM person") == before


def test_a_form_from_elsewhere_is_refused_and_changes_nothing(small: House) -> None:
    account = small.account("reader")
    visitor = small.http(account)
    before = rows(small, "SELECT password FROM person")
    form = {"current": account.password, "password": "quite another phrase", "again": "quite another phrase"}
    lies = [{"csrf": ""}, {"csrf": "guessed"}, {"csrf": small.http(account).csrf}]
    lies += [{"origin": one} for one in ("https://evil.example", "", "null", small.url + ".evil.example")]
    for lie in lies:
        answer = visitor.post("/console/account/password", form, **lie)
        assert (answer.status_code, kinds(small)[-1]) == (403, "console_refused"), lie
    assert rows(small, "SELECT password FROM person") == before


def test_every_answer_carries_the_headers_that_keep_it_at_home(small: House) -> None:
    for path in ("/console/sign-in", "/console", "/console/nowhere", "/console/static/console.css"):
        headers = small.http(None).get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
            assert part in policy
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "no-store" in headers["Cache-Control"] or path.endswith(".css")


@pytest.mark.parametrize(
    "where", ["https://evil.example", "//evil.example", "/\\evil.example", "/v1/items", "/console/\r\nX: y"]
)
def test_nobody_is_led_out_of_the_console_after_signing_in(small: House, where: str) -> None:
    answer = small.http(None).get("/console/language/en", query_string={"next": where})
    assert answer.headers["Location"] == "/console"


def test_an_auditor_cannot_also_act(small: House) -> None:
    for roles in (["auditor", "operator"], ["auditor", "list-editor"], ["auditor", "source-department"]):
        with pytest.raises(Problem, match="person.separation"):
            people.add_person(small.parts, "both", "某", "某", [*map(Assignment, map(ConsoleRole, roles))], "op")
    assert small.account("auditor", "reader").login


def age(house: House) -> None:
    """Let every session be as old as no proof may be."""
    with house.office.database.begin(write=True) as connection:
        old = int(2 * people.RECENT.total_seconds() * 1000)
        connection.execute(text(f"UPDATE session SET created_at = created_at - {old}"))  # noqa: S608 - a number of ours
        connection.commit()


def test_what_is_sensitive_asks_again_who_it_is_and_a_refused_form_changes_nothing(small: House) -> None:
    operator, other = small.account("operator"), small.account("reader")
    visitor = small.http(operator)
    path = f"/console/accounts/{other.login}"
    assert visitor.get(path).status_code == 200
    age(small)
    ends = rows(small, "SELECT expires_at FROM session")
    assert visitor.get("/console/accounts").status_code == 200, "looking at the list asks nothing"
    assert visitor.get(path).headers["Location"] == f"/console/prove?next={path}"
    assert visitor.post(f"{path}/second-factor").headers["Location"].startswith("/console/prove")
    assert "second_factor_reset" not in kinds(small)
    visitor.get(f"/console/prove?next={path}")
    before = cookie(visitor)
    assert visitor.post("/console/prove", {"code": "000000"}).status_code == 401
    answer = visitor.post("/console/prove", {"code": operator.code()})
    assert answer.headers["Location"] == path
    assert cookie(visitor) != before, "a proof gives the session a new secret"
    assert rows(small, "SELECT expires_at FROM session") == ends, "and no longer life"
    visitor.secret = cookie(visitor)
    assert visitor.get(path).status_code == 200
    assert visitor.post(f"{path}/second-factor").status_code == 303
    assert kinds(small)[-2:] == ["proved_again", "second_factor_reset"]


def test_people_see_their_own_sessions_and_end_them(small: House) -> None:
    account, stranger = small.account("reader"), small.http(small.account("reader"))
    one = small.http(account)
    people.end_own_sessions(small.parts, one.secret)  # that of setting up the account
    two, three = (small.http(account) for _ in range(2))
    page = one.get("/console/account").text
    listed = re.findall(r'name="session" value="([^"]+)"', page)
    assert sorted(listed) == sorted(people.digest_of(other.secret) for other in (two, three))
    one.post("/console/account/sessions", {"session": people.digest_of(two.secret)})
    one.post("/console/account/sessions", {"session": people.digest_of(stranger.secret)})
    assert [each.get("/console").status_code for each in (one, two, three, stranger)] == [200, 303, 200, 200]
    one.post("/console/account/sessions")
    assert [each.get("/console").status_code for each in (one, three, stranger)] == [200, 303, 200]
    age(small)
    assert one.post("/console/account/sessions").headers["Location"].startswith("/console/prove")


def test_under_https_browsers_are_told_to_come_by_nothing_else(small: House) -> None:
    surface = Surface("https://broker.example", small.office.receipt_keys, small.office.log_keys)
    client = create_app(small.parts, surface).test_client()
    for path in ("/console/sign-in", "/v1/healthz", "/nowhere", "/console/static/console.css"):
        assert "max-age=63072000; includeSubDomains" in client.get(path).headers["Strict-Transport-Security"]
        assert "Strict-Transport-Security" not in small.http(None).get(path).headers
    fresh = create_app(small.parts, surface).test_client()
    cookies = fresh.get("/console/sign-in").headers.getlist("Set-Cookie")
    cookies += fresh.get("/console/language/en").headers.getlist("Set-Cookie")
    assert len(cookies) == 3
    for one in cookies:
        assert one.startswith("__Host-broker-")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in one.split(";")}


@pytest.mark.parametrize(("proxies", "seen"), [(0, "127.0.0.1"), (1, "203.0.113.9"), (2, "198.51.100.7")])
def test_where_somebody_comes_from_is_what_our_own_proxies_say(small: House, proxies: int, seen: str) -> None:
    surface = Surface(small.url, small.office.receipt_keys, small.office.log_keys, proxies=proxies)
    app = create_app(small.parts, surface)
    found: list[str | None] = []
    app.before_request(lambda: found.append(request.remote_addr))
    forged = {"X-Forwarded-For": "10.0.0.1, 198.51.100.7, 203.0.113.9", "X-Forwarded-Host": "evil.example"}
    answer = app.test_client().get("/console", headers=forged)
    assert found == [seen]
    assert "evil.example" not in answer.headers["Location"]


def test_a_password_is_kept_as_argon2id_of_the_recommended_cost(small: House) -> None:
    small.account("reader")
    kept = str(rows(small, "SELECT password FROM person"))
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in kept


def test_a_long_password_of_any_characters_is_taken_and_compared_as_it_was_typed(small: House) -> None:
    account = small.account("reader")
    longest = "8§éäñ1" * 21 + "xy"
    assert len(longest) == LONGEST_PASSWORD
    for number, new in enumerate(("  lower case and spaces only  ", "海阔凭鱼跃天高任鸟飞不亦快哉", longest)):
        form = {"current": account.password, "password": new, "again": new}
        assert small.http(account).post("/console/account/password", form).status_code == 303, new
        address = f"10.0.0.{number}"
        assert signed_in(small, account.login, new[:-1], address) == "access.refused", "nothing is cut"
        assert signed_in(small, account.login, f"{new} ", address) == "access.refused", "nor trimmed"
        assert signed_in(small, account.login, new, address) == ""
        account.password = new
