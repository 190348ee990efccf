"""Objections in the console: a clerk raises one, two people of the department handle it, others only watch."""

from __future__ import annotations

import pytest

from broker.core.receipt import receipt_digest
from tests.console.kit import PHONE, WIDE, Account, Browser, House, Watched, follow
from tests.console.test_cases import clerk, number_of, stock
from tests.flow import catalogue, kit

WORDS = "执照上月已换发，张某1 持新照"
AUTHORITY = "source-department:department=部门"


@pytest.fixture
def asked(small: House) -> kit.Broker:
    """The small house with one decided verification."""
    return stock(small)


def department(house: House, browser: Browser, lang: str) -> list[Watched]:
    """Two people of the source's department, each in their own browser."""
    return [browser.page(house.account(AUTHORITY), lang) for _ in range(2)]


def act(watched: Watched, path: str, what: str, words: str = "已调档核对") -> None:
    page = watched.go(path)
    page.fill("#words", words)
    follow(page, f"button[value={what}]")
    assert page.locator("main [role=alert]").count() == 0, page.inner_text("main")


@pytest.mark.parametrize(("lang", "size"), [("zh", WIDE), ("en", PHONE)])
def test_a_clerk_raises_an_objection_and_the_department_corrects_the_record(
    small: House, small_browser: Browser, asked: kit.Broker, lang: str, size: tuple[int, int]
) -> None:
    number = number_of(asked)
    mine = small_browser.page(clerk(small), lang, size)
    page = mine.go(f"/console/verifications/{number}")
    follow(page, "a[href*='material=licence']")
    mine.check()
    page.fill("#words", WORDS)
    page.click("main form .button")
    page.wait_for_url("**/console/objections/*")
    mine.check()
    path = "/console/objections/" + page.url.rsplit("/", 1)[1]
    one, other = department(small, small_browser, lang)
    one.go("/console/objections")
    assert one.page.locator(f"a[href='{path}']").count() == 1
    act(one, path, "accept")
    assert WORDS in one.page.inner_text("main")
    act(one, path, "find_wrong")
    one.go(path)
    follow(one.page, "button[value=correct]")
    assert one.page.locator("main [role=alert]").count() == 1, "whoever verified does not lift the mark"
    act(other, path, "correct")
    assert number in other.page.inner_text("main"), "the decisions that used it are listed"
    other.check()
    act(other, path, "close", "")
    mine.go(f"/console/verifications/{number}")
    mine.check()
    assert mine.page.locator("main .notice.warn").count() == 1
    raised = mine.page.inner_text(f"main a[href='{path}']")
    assert raised.startswith({"zh": "营业执照", "en": "Business licence"}[lang]), "by the material's name"
    asked.sequence_all()
    asked.check()


def test_a_sheet_says_that_what_it_rests_on_was_corrected_and_so_does_its_code(small: House, asked: kit.Broker) -> None:
    """Whoever inspects has the paper alone: neither it nor what its code leads to may stay silent."""
    number, mine = number_of(asked), small.http(clerk(small))
    sheet = f"/console/verifications/{number}/sheet"
    code = f"/verify/{number}/{receipt_digest(asked.verification(number).receipt or '')}"
    pages = ((mine, sheet), (mine, f"{sheet}?lang=en"), (small.http(None), code), (small.http(None), f"{code}?lang=en"))
    words = ("数据已更正", "was corrected since", "数据此后已更正", "was corrected since")

    def told() -> list[bool]:
        return [said in who.get(path).text for (who, path), said in zip(pages, words, strict=True)]

    form = {"material": "licence", "source": "licences", "words": WORDS}
    path = mine.post(f"/console/verifications/{number}/objection", form).headers["Location"]
    one, other = (small.http(small.account(AUTHORITY)) for _ in range(2))
    for who, what in ((one, "accept"), (one, "find_wrong")):
        assert who.post(path, {"act": what, "words": "已调档"}).status_code == 303
    assert told() == [False] * 4, "an objection alone changes no decision"
    waiting = "/console/cases?list=again"
    assert waiting not in mine.get("/console").text
    assert other.post(path, {"act": "correct", "words": "已更正"}).status_code == 303
    assert told() == [True] * 4
    assert waiting in mine.get("/console").text, "whoever must ask again is told so at once"
    assert number in mine.get(waiting).text
    assert number not in small.http(clerk(small, unit=kit.DEPARTMENT)).get(waiting).text
    asked.admit(1, request_id="r1-again")
    assert waiting not in mine.get("/console").text
    assert number not in mine.get(waiting).text, "it was asked again"


def test_a_material_of_somebody_else_than_the_applicant_is_told_with_whose_it_is(
    small: House, asked: kit.Broker
) -> None:
    number, mine = number_of(asked), small.http(clerk(small))
    form = {"material": "identity@legal_representative", "source": catalogue.POPULATION, "words": WORDS}
    path = mine.post(f"/console/verifications/{number}/objection", form).headers["Location"]
    for page in (path, "/console/objections", f"/console/verifications/{number}"):
        assert "法定代表人（负责人）的身份证明" in mine.get(page).text, page


def sight(house: House, account: Account, path: str) -> tuple[int, bool, bool]:
    """How the page answers, and whether it shows the words and a next step."""
    answer = house.http(account).get(path)
    return answer.status_code, WORDS in answer.text, 'name="act"' in answer.text


def test_everybody_sees_what_concerns_them_and_no_more(small: House, asked: kit.Broker) -> None:
    number, owner = number_of(asked), clerk(small)
    form = {"material": "licence", "source": "licences", "words": WORDS}
    raised = small.http(owner).post(f"/console/verifications/{number}/objection", form)
    path = raised.headers["Location"]
    seen = {
        "department": (small.account(AUTHORITY), (200, True, True)),
        "own clerk": (owner, (200, True, False)),
        "auditor": (small.account("auditor"), (200, False, False)),
        "operator, in the stead of a department without a code": (small.account("operator"), (200, True, True)),
        "another department": (small.account("source-department:department=市监局"), (404, False, False)),
        "without a department": (small.account("source-department"), (404, False, False)),
        "another body's clerk": (clerk(small, kit.DEPARTMENT), (404, False, False)),
    }
    assert {who: sight(small, account, path) for who, (account, _) in seen.items()} == {
        who: expected for who, (_, expected) in seen.items()
    }
    said = small.http(seen["department"][0]).get(path).text
    assert all(words in said for words in ("统一社会信用代码", "<dt>状态</dt>")), "codes are nobody's words"
    names = {who: "公司甲1" in small.http(account).get(path).text for who, (account, _) in seen.items()}
    assert [who for who, named in names.items() if named] == [
        "department", "operator, in the stead of a department without a code",
    ], "about whom it is, only who handles it is told"  # fmt: skip
    opened = [one for one in asked.entries("objection_viewed") if one.get("opened")]
    assert {one["operator"] if "operator" in one else one["by"] for one in opened} == {
        seen["department"][0].login, seen["operator, in the stead of a department without a code"][0].login,
    }  # fmt: skip
    stranger = small.http(seen["another department"][0])
    assert stranger.post(path, {"act": "accept"}).status_code == 404
    assert path not in stranger.get("/console/objections").text
    elsewhere = small.http(seen["another body's clerk"][0])
    assert elsewhere.post(f"/console/verifications/{number}/objection", form).status_code == 404
    assert asked.rows("SELECT state FROM objection")[0].state == "raised"
    again = small.http(owner).post(f"/console/verifications/{number}/objection", form)
    assert again.status_code == 422
    assert "已有未办结的异议" in again.text
    asked.execute("UPDATE objection SET due_at = 1")
    assert "逾期" in small.http(owner).get("/console/objections?late=1").text
