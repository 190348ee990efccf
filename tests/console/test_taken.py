"""Paper taken, reported by a clerk from a case: the reason that Z26 demands, and what the case shows afterwards."""

from __future__ import annotations

import pytest

from tests.console.kit import PHONE, WIDE, Browser, House, follow
from tests.console.test_cases import clerk, number_of, stock
from tests.flow import catalogue, kit


@pytest.fixture
def asked(small: House) -> kit.Broker:
    """The small house with one decided verification."""
    return stock(small)


def test_a_clerk_reports_paper_from_the_case_and_says_why(
    small: House, small_browser: Browser, asked: kit.Broker
) -> None:
    watched = small_browser.page(clerk(small), "zh", WIDE)
    page = watched.go(f"/console/verifications/{number_of(asked)}")
    page.click(".crumbs a >> nth=1")
    page.wait_for_url("**/console/cases/*")
    watched.check()
    follow(page, "text=报告收取纸质材料")
    watched.check()
    assert "法定代表人（负责人）的身份证明" in page.inner_text("fieldset legend >> nth=0")
    page.check("input[name=taken][value=licence]")
    page.check("input[name=original][value=licence]")
    follow(page, "main form[method=post] .button")
    assert "须说明原因" in page.inner_text(".notice.bad[role=alert]")
    assert page.is_checked("input[name=original][value=licence]"), "what was marked stays"
    assert asked.rows("SELECT id FROM paper_report") == []
    assert asked.entries("refused")[-1]["code"] == "collected.reason"
    page.select_option("select[name='reason:licence']", "clerk_habit")
    page.fill("input[name='note:licence']", "窗口仍按旧指南")
    page.click("main form[method=post] .button")
    page.wait_for_url("**/console/cases/*")
    watched.check(refused=True)
    shown = page.inner_text("main")
    for words in ("凭证已免提交", "窗口习惯收取", "窗口仍按旧指南", "要求核验原件"):
        assert words in shown
    [kept] = asked.entries("collected")
    assert (kept["client"], kept["unit"], kept["originals"]) == (kit.CLIENT, kit.UNIT, ["licence"])
    assert "key" not in kept, "no system has signed it"
    narrow = small_browser.page(clerk(small), "en", PHONE)
    narrow.go(f"/console/verifications/{number_of(asked)}/paper")
    narrow.check()
    asked.sequence_all()
    asked.check()


def test_a_form_sent_twice_is_one_report_and_another_bodys_case_is_unknown(small: House, asked: kit.Broker) -> None:
    path, once = f"/console/verifications/{number_of(asked)}/paper", "0" * 32
    form = {"item": catalogue.SHOP, "once": once, "taken": "licence", "reason:licence": "clerk_habit"}
    mine = small.http(clerk(small))
    assert [mine.post(path, form).status_code for _ in range(2)] == [303, 303]
    assert len(asked.rows("SELECT id FROM paper_report")) == len(asked.entries("collected")) == 1
    for changed in ({"taken": ""}, {"reason:licence": "whim"}, {"reason:licence": "other"}, {"taken": "nothing"}):
        assert mine.post(path, {**form, "once": "1" * 32, **changed}).status_code == 422, changed
    elsewhere = small.http(clerk(small, kit.DEPARTMENT))
    assert (elsewhere.get(path).status_code, elsewhere.post(path, form).status_code) == (404, 404)
    assert len(asked.rows("SELECT id FROM paper_report")) == 1
    asked.check()
