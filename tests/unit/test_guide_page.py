"""The guide as pages: everything the guide tells, readable by anybody, and nothing that a page must not do."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from werkzeug.test import TestResponse

from broker.store.catalog_file import read_catalog
from broker.web.guide_pages import _runs
from broker.web.guide_words import WORDS
from broker.web.openapi import openapi_document
from tests.unit.web_ground import CATALOG, Ground, check_answer, document_of, lay_ground

ROOT = Path(__file__).parents[2]
DOCUMENT = read_catalog(ROOT / "data_catalog.yaml").document
CSS = (ROOT / "broker" / "web" / "templates" / "guide.css").read_text("utf-8")
COMPONENTS = openapi_document(ROOT / "schemas", "https://broker.example")["components"]
VOID = {"meta", "link", "br", "hr", "img", "input"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FOOD, SCENE = "/guide/370400/food-business-licence", "/guide/370400/enterprise-1.1"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The shipped list in force."""
    ground = lay_ground(tmp_path_factory.mktemp("guide"), granted=False, document=DOCUMENT)
    yield ground
    ground.database.dispose()


@dataclass
class Page(HTMLParser):
    """A page as a reader of its structure sees it; an element left open or closed twice fails."""

    source: str
    open: list[str] = field(default_factory=list)
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    headings: list[int] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        assert len(dict(attrs)) == len(attrs), "no attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        """It must be the one that was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the words."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """All words, spaces joined."""
        return " ".join(" ".join(self.words).split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such element."""
        return [attrs for name, attrs in self.elements if name == tag]


def page_of(ground: Ground, path: str) -> Page:
    answer = ground.http.get(path, headers=BROWSER)
    assert (answer.status_code, answer.mimetype) == (200, "text/html"), (path, answer.data)
    check_answer("GET", path.partition("?")[0], answer)
    return Page(answer.text)


def keys_of(region: str) -> list[str]:
    """Every item of a region that is in force, and every scene that has one."""
    items = {
        key: item for key, item in DOCUMENT["items"].items()
        if region in item["regions"] and "to" not in item.get("effective", {})
    }  # fmt: skip
    return [*items, *dict.fromkeys(item["regions"][region]["scene"] for item in items.values())]


# --- structure, on every page there is -------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("region", sorted(DOCUMENT["regions"]))
def test_every_page_is_whole_and_told_in_one_language_with_headings_in_order(
    ground: Ground, region: str, lang: str
) -> None:
    for key in keys_of(region):
        page = page_of(ground, f"/guide/{region}/{key}?lang={lang}")
        assert page.of("html") == [{"lang": WORDS[lang]["language"]}]
        assert page.headings.count(1) == 1
        assert page.headings[0] == 1
        assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
        assert all(one.get("scope") in {"col", "row"} for one in page.of("th"))
        ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
        assert len(ids) == len(set(ids))
        named = {attrs["aria-labelledby"] for _, attrs in page.elements if "aria-labelledby" in attrs}
        assert named <= set(ids)
        assert not re.search(r"None|\{\w*\}|Undefined", page.text), key


@pytest.mark.parametrize("path", ["/guide", "/guide?lang=en", FOOD, f"{SCENE}?lang=en"])
def test_a_page_runs_nothing_and_loads_nothing_but_our_style_sheet(ground: Ground, path: str) -> None:
    answer = ground.http.get(path)
    page = Page(answer.text)
    assert not page.of("script") + page.of("style") + page.of("iframe") + page.of("form") + page.of("img")
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on") or name == "style"]
    assert len(page.of("link")) == 1
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "public, max-age=60"


def test_the_style_sheet_is_ours_and_may_be_kept_for_ever_under_its_version(ground: Ground) -> None:
    sheet = page_of(ground, FOOD).of("link")[0]["href"] or ""
    assert re.fullmatch(r"\.\./style\.css\?v=[0-9a-f]{12}", sheet)
    answer = ground.http.get("/guide/style.css")
    check_answer("GET", "/guide/style.css", answer)
    assert answer.text == CSS
    assert "immutable" in answer.headers["Cache-Control"]
    assert not re.search(r"@import|url\(|expression", CSS)


def _luminance(colour: str) -> float:
    hexes = colour[1:] if len(colour) == 7 else "".join(letter * 2 for letter in colour[1:])
    parts = [int(hexes[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_every_text_colour_stands_out_seven_to_one_from_every_background() -> None:
    """WCAG 2.2, 1.4.6 (AAA), for text of any size."""
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6});", CSS))
    backgrounds = [colours["paper"], colours["tint"], "#fff6ee"]
    for name in ("ink", "soft", "link", "bring", "sign", "nothing"):
        for background in backgrounds:
            light, dark = sorted((_luminance(colours[name]), _luminance(background)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 7, (name, background)


def test_it_prints_on_a4_without_what_only_a_screen_needs() -> None:
    printed = CSS.partition("@media print")[2]
    assert "size: A4" in CSS
    assert ".skip, .switch, .path, form { display: none; }" in printed
    assert "break-inside: avoid" in printed
    assert "thead { display: table-header-group; }" in printed


# --- content ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize(("path", "query"), [(FOOD, "item=food-business-licence"), (SCENE, "scene=enterprise-1.1")])
def test_the_page_tells_everything_that_the_guide_tells(ground: Ground, path: str, query: str, lang: str) -> None:
    told = document_of(ground.http.get(f"/v1/guide?region=370400&{query}"))
    page = page_of(ground, f"{path}?lang={lang}")
    rows = [str(attrs["id"]) for attrs in page.of("tr") if "id" in attrs]
    assert sorted(rows) == sorted(one["key"].replace("@", "-of-") for one in told["materials"])
    for one in told["materials"]:
        assert one["name"][lang] in page.text
        assert one["text"][lang] in page.text
        if one["condition"]:
            assert one["condition"][lang] in page.text
        if one["basis"]:
            assert one["basis"] in page.text
    for item in told["items"]:
        assert item["name"][lang] in page.text
    assert str(told["edition"]) in page.text
    assert told["date"] in page.text


def test_what_to_bring_comes_before_what_nobody_has_to_bring(ground: Ground) -> None:
    text = page_of(ground, FOOD).text
    assert text.index("从业人员健康证明") < text.index("法定代表人（负责人）的")
    assert text.index("请您准备 4") < text.index("不用交 2")
    assert "这些内容会自动填好" in text


def test_a_scene_says_for_which_items_by_their_numbers(ground: Ground) -> None:
    assert "第 7–12 项" in page_of(ground, SCENE).text
    assert _runs([1, 2, 4, 5, 6, 9]) == ["1", "2", "4–6", "9"]


def test_an_item_that_is_decided_elsewhere_says_so_first(ground: Ground) -> None:
    text = page_of(ground, "/guide/371083/lawyer-practice-licence").text
    assert "本地不予受理 ：威海市级事项" in text
    assert text.index("本地不予受理") < text.index("事项类型")


def test_words_that_exist_in_chinese_only_are_marked_as_chinese_on_an_english_page(ground: Ground) -> None:
    page = page_of(ground, f"{FOOD}?lang=en")
    assert {"lang": "zh-CN"} in page.of("span")
    assert "市审批服务局" in page.text


def test_text_of_the_list_is_never_markup(tmp_path: Path) -> None:
    document = copy.deepcopy(CATALOG)
    attack = "<script>alert('1')</script>&\""
    document["items"]["food-licence"]["name"] = {"zh": attack, "en": attack}
    document["materials"]["form"]["name"] = {"zh": attack, "en": attack}
    document["regions"]["370400"]["name"] = {"zh": attack, "en": attack}
    ground = lay_ground(tmp_path, granted=False, document=document)
    for path in ("/guide", "/guide/370400/food-licence", "/guide/370400/enterprise-1.1", "/guide?lang=en"):
        page = Page(ground.http.get(path).text)
        assert not page.of("script")
        assert attack in page.text
    ground.database.dispose()


# --- the index -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_index_leads_to_every_item_in_force_and_every_scene_of_every_region(ground: Ground, lang: str) -> None:
    ask = "?lang=en" if lang == "en" else ""
    page = page_of(ground, f"/guide{ask}")
    links = {one["href"] for one in page.of("a")}
    for region in DOCUMENT["regions"]:
        assert {f"guide/{region}/{key}{ask}" for key in keys_of(region)} <= links
    assert "guide/370400/foreign-trade-filing" not in links
    assert WORDS[lang]["gone"] in page.text
    assert page.headings[:4] == [1, 2, 3, 4]


def test_every_link_of_a_page_leads_somewhere(ground: Ground) -> None:
    for path in ("/guide", SCENE, f"{FOOD}?lang=en"):
        page = page_of(ground, path)
        ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
        for one in {str(link["href"]) for link in page.of("a")}:
            if one.startswith("#"):
                assert one[1:] in ids
            else:
                resolved = _resolved(path.partition("?")[0], one.partition("#")[0])
                assert ground.http.get(resolved).status_code == 200, (path, one)


def _resolved(path: str, link: str) -> str:
    if link.startswith("?"):
        return path + link
    folder = path.rpartition("/")[0].split("/")
    target, _, query = link.partition("?")
    for part in target.split("/"):
        folder = folder[:-1] if part == ".." else [*folder, part]
    return "/".join(folder) + (f"?{query}" if query else "")


# --- refusals --------------------------------------------------------------------------------------------------------

REFUSED = {
    "an abolished item": ("/guide/370400/foreign-trade-filing", 409, "request.item-not-in-force"),
    "an unknown item": ("/guide/370400/nothing", 422, "request.item"),
    "an unknown region": ("/guide/110000/tax-matters", 422, "request.region"),
    "a number for a key": ("/guide/370400/11010119900307109X", 422, "request.parameter"),
    "a word for a region": ("/guide/zaozhuang/tax-matters", 422, "request.parameter"),
    "another language": ("/guide?lang=fr", 422, "request.parameter"),
}


def _told(answer: TestResponse, path: str) -> TestResponse:
    check_answer("GET", path.partition("?")[0], answer)
    return answer


@pytest.mark.parametrize(("path", "status", "code"), REFUSED.values(), ids=REFUSED)
def test_a_browser_is_refused_by_a_page_and_a_program_by_the_one_shape(
    ground: Ground, path: str, status: int, code: str
) -> None:
    shown = _told(ground.http.get(path, headers=BROWSER), path)
    assert (shown.status_code, shown.mimetype, shown.headers["Cache-Control"]) == (status, "text/html", "no-store")
    page = Page(shown.text)
    assert code in page.text
    assert page.headings == [1]
    assert "11010119900307109X" not in shown.text
    plain = _told(ground.http.get(path), path)
    assert (plain.status_code, document_of(plain)["code"]) == (status, code)


def test_an_abolished_item_says_by_which_law_it_went(ground: Ground) -> None:
    page = Page(ground.http.get("/guide/370400/foreign-trade-filing", headers=BROWSER).text)
    assert "该事项现已不再办理" in page.text
    assert "2022年12月30日" in page.text


# --- the JSON is as its schema says ----------------------------------------------------------------------------------


@pytest.mark.parametrize("region", sorted(DOCUMENT["regions"]))
def test_guide_and_list_follow_their_schemas(ground: Ground, region: str) -> None:
    def shape(name: str) -> Any:
        return jsonschema_rs.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": COMPONENTS})

    shape("items").validate(document_of(ground.http.get(f"/v1/items?region={region}")))
    for key in keys_of(region):
        what = "scene" if key in DOCUMENT["scenes"] else "item"
        shape("guide").validate(document_of(ground.http.get(f"/v1/guide?region={region}&{what}={key}")))


def test_both_languages_have_the_same_words() -> None:
    zh, en = WORDS["zh"], WORDS["en"]
    assert set(zh) == set(en)
    for name, word in zh.items():
        if isinstance(word, dict) and name != "types":
            assert set(word) == set(en[name])
    kinds = {item["type"] for item in DOCUMENT["items"].values()}
    assert kinds <= set(en["types"])
