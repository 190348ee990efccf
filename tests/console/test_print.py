"""On paper: nothing is cut off, nothing stays folded, and no navigation is printed."""

from __future__ import annotations

from broker.core.people import ConsoleRole
from tests.console.kit import PHONE, Browser

LANDSCAPE = (1047, 700)  # what an A4 sheet lying down leaves between its margins, in CSS pixels
UPRIGHT = (688, 1000)
_CUT = """[...document.querySelectorAll('main *')].filter(one => one.scrollWidth > one.clientWidth + 1
  && getComputedStyle(one).overflowX !== 'visible' && !one.closest('.visually-hidden'))
  .map(one => one.outerHTML.slice(0, 120))"""
_FOLDED = """[...document.querySelectorAll('main details')].filter(one =>
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
