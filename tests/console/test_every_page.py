"""Every page of the console in a browser, in both languages: sound for axe, silent, and all of it from this machine."""

from __future__ import annotations

from tests.console.kit import Browser, Watched
from tests.console.test_speed import PAGES, filled, login_of

FILES = {"cases_bundle", "orders_evidence"} | {name for name in PAGES if name.endswith("_export")}
WITHIN = {"audit_progress", "choices_options"}  # what pages ask for by themselves, and no pages
REDIRECTS = {"access_prove"}  # to where one came from, for whoever has just proved it: not a page of this visit


def test_every_page_is_sound_in_both_languages(small_browser: Browser) -> None:
    house = small_browser.house
    _, values = filled(house)
    watched: dict[str, Watched] = {}
    wrong: dict[tuple[str, str], str] = {}
    for name, (role, path) in PAGES.items():
        if name in FILES | WITHIN | REDIRECTS:
            continue
        if role not in watched:
            watched[role] = small_browser.page(house.account(role, login=login_of(role)))
        wrong |= {(name, lang): told for lang in ("zh", "en") if (told := _told(watched[role], lang, path, values))}
    assert wrong == {}


def _told(watched: Watched, lang: str, path: str, values: dict[str, object]) -> str:
    """What is wrong with a page in a language, "" where nothing is."""
    watched.page.context.add_cookies([{"name": "broker-lang", "value": lang, "url": watched.house.url}])
    watched.errors.clear()
    watched.foreign.clear()
    page = watched.go(f"/console{path.format(**values)}")
    if page.get_attribute("html", "lang") != {"zh": "zh-CN", "en": "en"}[lang]:
        return f"in the language {page.get_attribute('html', 'lang')}"
    try:
        watched.check()
    except AssertionError as found:
        return str(found).splitlines()[0]
    return ""
