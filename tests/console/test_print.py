"""On paper: nothing is cut off, nothing stays folded, and no navigation is printed."""

from __future__ import annotations

from broker.core.misuse import Action, RuleName
from broker.core.people import ConsoleRole
from tests.console.kit import PHONE, Browser
from tests.console.test_audit import flagged, placed, said, worked

LANDSCAPE = (1047, 700)  # what an A4 sheet lying down leaves between its margins, in CSS pixels
UPRIGHT = (688, 1000)
_CUT = """[...document.querySelectorAll('main *')].filter(one => one.scrollWidth > one.clientWidth + 1
  && getComputedStyle(one).overflowX !== 'visible' && !one.closest('.visually-hidden'))
  .map(one => one.outerHTML.slice(0, 120))"""
_FOLDED = """[...document.querySelectorAll('main details')].filter(one => one.checkVisibility() &&
  [...one.children].some(part => part.tagName !== 'SUMMARY' && !part.checkVisibility({contentVisibilityAuto: true})))
  .length"""
_BEYOND = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


PAGES = {
    "/console/coverage": LANDSCAPE,
    "/console/supply": UPRIGHT,
    "/console/list/items/company-setup": UPRIGHT,
    "/console/sources/dr-credit-record": UPRIGHT,
}


def test_all_of_a_page_is_on_its_paper(browser: Browser) -> None:
    watched = browser.page(browser.house.role(ConsoleRole.READER))
    watched.page.emulate_media(media="print")
    for path, (width, height) in PAGES.items():
        watched.page.set_viewport_size({"width": width, "height": height})
        page = watched.go(path)
        assert page.evaluate(_CUT) == [], path
        assert page.evaluate(_BEYOND) <= 0, path
        assert page.evaluate(_FOLDED) == 0, path
        assert not page.locator(".nav").is_visible()


def test_sheet_and_audit_pages_are_printed_whole_and_no_form_with_them(small_browser: Browser) -> None:
    house = small_browser.house
    worked(house)
    number = said(house, "decided")[0]["verification"]
    flag = flagged(house, RuleName.SEQUENCE, Action.STOP)
    placed(house)
    watched = small_browser.page(house.role(ConsoleRole.AUDITOR))
    audit = {"?kind=decided": LANDSCAPE, "/entries/3": UPRIGHT, "/person": UPRIGHT, f"/flags/{flag}": UPRIGHT,
             "/log": UPRIGHT}  # fmt: skip
    sheet = f"/console/verifications/{number}/sheet"
    pages = {f"/console/audit{path}": size for path, size in audit.items()} | {f"{sheet}?lang=en": UPRIGHT}
    page = watched.page
    page.emulate_media(media="print")
    for path, (width, height) in pages.items():
        page.set_viewport_size({"width": width, "height": height})
        watched.go(path)
        assert page.evaluate(_CUT) == [], path
        assert page.evaluate(_BEYOND) <= 0, path
        assert page.evaluate(_FOLDED) == 0, path
        assert not page.locator("main textarea:visible, main button:visible").count(), path
    code = page.locator(".sheet .qr").bounding_box()
    assert code
    assert code["width"] == code["height"], "a code that is squeezed is read by nobody"
    assert page.locator("thead .on-paper").is_visible(), "every page says whose sheet it is"
    watched.go("/console/audit?kind=decided")
    assert "条目类型：作出决定" in page.inner_text("main"), "paper says by which filter"
    assert page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") == 1, "the heading has no page of its own"


def test_a_telephone_reads_the_matrix_department_by_department_and_is_told_that_the_strip_goes_on(
    browser: Browser,
) -> None:
    watched = browser.page(browser.house.role(ConsoleRole.READER), size=PHONE)
    page = watched.go("/console/coverage")
    hidden = page.locator("td.blank").first
    assert not hidden.is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.nav'), '::after').opacity") == "1"
    page.evaluate("document.querySelector('.nav ul').scrollLeft = 9999")
    page.wait_for_function("getComputedStyle(document.querySelector('.nav'), '::after').opacity === '0'")
