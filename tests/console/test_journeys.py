"""Every role's main journey, end to end in the real browser: where each stands, and those that stand here.

A role of ``ConsoleRole`` without a journey fails. A journey begins where the person begins and ends where the work is
done, through the pages, with the entries that it must leave.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import pytest
from playwright.sync_api import Page

from broker.core.people import ConsoleRole
from broker.flow import publish as steps
from tests.console.kit import Browser, House, follow
from tests.console.test_drafts import drafted, rename, told_entries
from tests.flow import catalogue

JOURNEYS: Mapping[ConsoleRole, tuple[str, ...]] = {
    ConsoleRole.OPERATOR: (
        "test_accounts::test_an_operator_opens_an_account_and_limits_it",
        "test_sources::test_an_operator_watches_a_source_go_down_and_come_up",
        "test_figures::test_an_operator_reads_the_figures_filters_them_and_keeps_them_as_files",
    ),
    ConsoleRole.LIST_EDITOR: (
        "test_drafts::test_two_people_bring_a_change_into_force_with_the_keyboard_alone",
        "test_journeys::test_an_editor_with_a_limit_edits_their_own_rows_and_hands_them_in",
        "test_previews::test_a_preview_is_started_watched_left_and_read_with_the_keyboard_alone",
    ),
    ConsoleRole.LIST_APPROVER: ("test_drafts::test_two_people_bring_a_change_into_force_with_the_keyboard_alone",),
    ConsoleRole.SOURCE_DEPARTMENT: (
        "test_supply::test_a_departments_person_goes_from_home_through_ledger_order_and_objection",
        "test_orders::test_a_department_answers_an_order_with_remark_and_evidence",
        "test_objections::test_a_clerk_raises_an_objection_and_the_department_corrects_the_record",
        "test_figures::test_a_department_sees_its_own_ledger_and_no_other",
    ),
    ConsoleRole.USING_DEPARTMENT: ("test_grants::test_a_department_applies_and_another_decides_in_the_browser",),
    ConsoleRole.CLERK: (
        "test_objections::test_a_clerk_raises_an_objection_and_the_department_corrects_the_record",
        "test_taken::test_a_clerk_reports_paper_from_the_case_and_says_why",
    ),
    ConsoleRole.AUDITOR: (
        "test_cases::test_an_auditor_finds_a_case_and_reads_its_path",
        "test_audit::test_an_auditor_follows_a_flag_to_its_proof_and_is_seen_doing_so",
    ),
    ConsoleRole.READER: ("test_journeys::test_a_reader_reads_the_list_and_prints_a_guide_with_the_keyboard_alone",),
}
KEYBOARD_ALONE = {  # journeys in which no mouse is touched, by the role that makes them
    ConsoleRole.LIST_EDITOR: "test_drafts::test_two_people_bring_a_change_into_force_with_the_keyboard_alone",
    ConsoleRole.LIST_APPROVER: "test_drafts::test_two_people_bring_a_change_into_force_with_the_keyboard_alone",
    ConsoleRole.READER: "test_journeys::test_a_reader_reads_the_list_and_prints_a_guide_with_the_keyboard_alone",
}
_MOUSE = (".click(", '.check("', "follow(", ".select_option(")


def journey(name: str) -> Any:
    """The test itself."""
    module, _, test = name.partition("::")
    return getattr(importlib.import_module(f"tests.console.{module}"), test)


def test_every_role_has_its_journey_in_the_browser() -> None:
    assert set(JOURNEYS) == set(ConsoleRole)
    for role, names in JOURNEYS.items():
        assert names, role
        for name in names:
            assert {"browser", "small_browser"} & set(inspect.signature(journey(name)).parameters), name


def test_three_roles_journeys_need_no_mouse() -> None:
    assert len(KEYBOARD_ALONE) >= 3
    for role, name in KEYBOARD_ALONE.items():
        assert name in JOURNEYS[role]
        source = inspect.getsource(journey(name))
        assert "keyboard.press" in source or "entered(" in source, name
        assert not [one for one in _MOUSE if one in source], name


def entered(page: Page, selector: str) -> None:
    """Follow a link by the Enter key, and wait for the page that it leads to."""
    page.focus(selector)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_a_reader_reads_the_list_and_prints_a_guide_with_the_keyboard_alone(browser: Browser) -> None:
    """From home to the list, an item, its guide on paper; coverage and figures; and no further."""
    house = browser.house
    watched = browser.page(house.role(ConsoleRole.READER))
    page = watched.go("/console")
    entered(page, ".nav a[href='/console/list']")
    page.focus("#q")
    page.keyboard.type("公司设立")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=**")
    page.wait_for_selector("main table a[href$='/company-setup']")
    entered(page, "main table a[href$='/company-setup']")
    watched.quiet()
    entered(page, "main a[href^='/guide/370400/company-setup']")
    assert "公司设立" in page.inner_text("main")
    assert page.pdf()[:5] == b"%PDF-", "it prints"
    for path in ("/console/coverage", "/console/figures"):
        watched.go("/console")
        entered(page, f".nav a[href='{path}']")
        assert page.locator("main h1").count() == 1
    watched.quiet()
    nav = page.locator(".nav a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    assert not {"/console/drafts", "/console/cases", "/console/accounts", "/console/audit"} & set(nav)
    answer = page.goto(f"{house.url}/console/drafts")
    assert answer is not None
    assert answer.status == 403
    watched.check(refused=True)
    refused = [one for one in told_entries(house) if one["kind"] == "console_refused" and one.get("login") == "reader"]
    assert (refused[-1]["code"], refused[-1]["route"]) == ("console.role", "console.drafts_index")


@pytest.fixture
def parted(small: House) -> House:
    """The small list with its kiosk in another stage, led by another department."""
    document = catalogue.document()
    document["scenes"]["enterprise-2.1"]["stage"] = {"zh": "经营", "en": "Running"}
    document["items"][catalogue.KIOSK]["regions"][catalogue.REGION]["lead"] = ["城管局"]
    steps.publish(small.parts, document, None, "editor")
    return small


def test_an_editor_with_a_limit_edits_their_own_rows_and_hands_them_in(parted: House, small_browser: Browser) -> None:
    """Limited to a stage in the browser; to a department, the same rows are theirs and not theirs."""
    account = parted.account("list-editor:stage=开办", login="limited")
    watched = small_browser.page(account)
    page = watched.go("/console/drafts")
    page.fill("#comment", "本范围修改")
    follow(page, "form[action='/console/drafts'] button")
    number = page.url.rpartition("/")[2]
    watched.go(f"/console/list/items/{catalogue.SHOP}?draft={number}")
    follow(page, "main .actions a")
    page.fill("[name='f:name/zh']", "小店开办")
    follow(page, ".actions.sticky button.button:not(.second)")
    assert page.url.endswith("saved=1")
    watched.go(f"/console/list/items/{catalogue.KIOSK}?draft={number}")
    follow(page, "main .actions a")
    assert "开办" in page.inner_text(".notice.warn .tag"), "what this person is responsible for instead"
    assert page.locator("main form button:not(.visually-hidden):not([name=act])").count() == 0
    watched.check()
    visitor = parted.http(account)
    refused = visitor.post(
        f"/console/drafts/{number}/rows/items/{catalogue.KIOSK}", {"revision": 2, "f:name/zh": "越权改名"}
    )
    assert (refused.status_code, "不在您负责的" in refused.text, "越权改名" in refused.text) == (403, True, True)
    assert rename(visitor, number, "再改", revision=2).status_code == 303, "one's own still goes"
    other = parted.http(parted.account("list-editor:department=市监局", login="other"))
    row = f"/console/drafts/{number}/rows/items/"
    said = {key: "不在您负责的范围内" in other.get(row + key).text for key in (catalogue.SHOP, catalogue.KIOSK)}
    assert said == {catalogue.SHOP: False, catalogue.KIOSK: True}
    assert other.post(row + catalogue.KIOSK, {"revision": 3, "f:name/zh": "越权"}).status_code == 403
    shared = {"revision": 3, "f:name/zh": "共用材料"}
    assert visitor.post(f"/console/drafts/{number}/rows/materials/premises", shared).status_code == 403
    watched.go(f"/console/drafts/{number}")
    follow(page, "form[action$='/submit'] button")
    assert page.locator("h1 .tag").inner_text() == "待审核"
    draft, document = drafted(parted, number)
    assert (draft.state, draft.submitted_by, draft.revision) == ("submitted", "limited", 3)
    assert document["items"][catalogue.KIOSK]["name"]["zh"] == "开业"
