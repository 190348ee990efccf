"""The list by API beside the straight way: rows, other ways, remarks, a newer edition underneath, editions to come."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.test_web_editions import EDITOR, LIST, REVIEWER, Desk, changed, desk, ground, signer
from tests.unit.web_ground import Ground, check_answer, document_of

__all__ = ["desk", "ground", "signer"]  # fixtures

ITEM = "food-licence"
LATER = (datetime.now(UTC) + timedelta(days=30)).isoformat(timespec="seconds")


def renamed(zh: str) -> dict[str, Any]:
    """The item's row under another Chinese name."""
    row: dict[str, Any] = copy.deepcopy(LIST["items"][ITEM])
    row["name"]["zh"] = zh
    return row


def edition(desk: Desk, number: int, act: str, **body: Any) -> Any:
    """An act on an edition."""
    return desk.ground.send("POST", f"/v1/editions/{number}/{act}", body, signer=desk.signer)


def code(answer: Any) -> str | None:
    found = document_of(answer).get("code")
    return None if found is None else str(found)


def told(ground: Ground, kind: str) -> list[dict[str, Any]]:
    return [one for one in ground.entries() if one["kind"] == kind]


def test_a_draft_is_changed_row_by_row_and_every_answer_is_as_documented(desk: Desk) -> None:
    number = document_of(desk.draft(LIST))["id"]
    asked = {"by": EDITOR, "revision": 1, "section": "items", "key": ITEM, "row": renamed("食品许可")}
    answer = desk.act(number, "rows", **asked)
    check_answer("POST", "/v1/drafts/{number}/rows", answer)
    assert (document_of(answer)["revision"], document_of(answer)["editors"]) == (2, EDITOR)
    assert "食品许可" in desk.read(number)["changes"][0]["text"]["zh"]
    entry = told(desk.ground, "draft_edited")[-1]
    assert (entry["by"], entry["client"], entry["path"]) == (EDITOR, "lists", f"items/{ITEM}")
    assert code(desk.act(number, "rows", **asked)) == "draft.changed", "the same again is another's revision"
    assert code(desk.act(number, "rows", **asked | {"revision": 2, "key": "none", "row": None})) == "draft.row"
    assert code(desk.act(number, "rows", **asked | {"revision": 2, "row": "食品许可"})) == "request.schema"
    assert document_of(desk.act(number, "rows", **asked | {"revision": 2, "row": None}))["revision"] == 3


def test_a_returned_draft_goes_its_other_ways_and_only_its_authors_take_them(desk: Desk) -> None:
    number = document_of(desk.draft(changed()))["id"]
    desk.act(number, "submit", by=EDITOR, comment="请审")
    assert code(desk.act(number, "way", by=REVIEWER, way="withdraw")) == "draft.author"
    answer = desk.act(number, "way", by=EDITOR, way="withdraw", comment="还要改")
    check_answer("POST", "/v1/drafts/{number}/way", answer)
    assert document_of(answer)["state"] == "draft"
    assert code(desk.act(number, "way", by=EDITOR, way="rework")) == "edition.state"
    desk.act(number, "submit", by=EDITOR)
    desk.act(number, "review", by=REVIEWER, approve=False, comment="不行")
    assert document_of(desk.act(number, "way", by=EDITOR, way="rework"))["state"] == "draft"
    assert code(desk.act(number, "way", by=EDITOR, way="discard", comment="联系 13800000000")) == "draft.remark"
    assert document_of(desk.act(number, "way", by=EDITOR, way="discard"))["state"] == "discarded"
    assert [one["client"] for one in told(desk.ground, "draft_discarded")] == ["lists"]
    said = [(one["kind"], one["by"], one["text"]) for one in desk.read(number)["remarks"]]
    assert said[:2] == [("submitted", EDITOR, "请审"), ("draft_withdrawn", EDITOR, "还要改")]


def test_who_carries_a_draft_on_has_its_authors_with_it(desk: Desk) -> None:
    number = document_of(desk.draft(changed()))["id"]
    answer = desk.act(number, "continuation", by="另一编辑员", comment="接着改")
    check_answer("POST", "/v1/drafts/{number}/continuation", answer)
    made = document_of(answer)
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith(f"/v1/drafts/{made['id']}")
    desk.act(made["id"], "submit", by="另一编辑员")
    assert code(desk.act(made["id"], "review", by=EDITOR, approve=True)) == "edition.self-approval"


def test_a_remark_stands_in_the_draft_and_its_digest_in_the_entry(desk: Desk) -> None:
    number = document_of(desk.draft(changed()))["id"]
    answer = desk.act(number, "remarks", by=REVIEWER, text="英文名请再看", section="items", key=ITEM)
    check_answer("POST", "/v1/drafts/{number}/remarks", answer)
    (said,) = desk.read(number)["remarks"]
    assert (said["kind"], said["by"], said["text"], said["section"], said["key"]) == (
        "remark", REVIEWER, "英文名请再看", "items", ITEM,
    )  # fmt: skip
    assert "英文名" not in str(told(desk.ground, "draft_remarked"))
    for wrong in ({"text": ""}, {"text": "11010119900307109X"}, {"text": "好", "section": "items"}):
        assert code(desk.act(number, "remarks", **{"by": REVIEWER, **wrong})) in {"draft.remark", "request.schema"}
    assert len(desk.read(number)["remarks"]) == 1


def test_a_draft_is_brought_onto_a_newer_edition_and_a_row_that_both_changed_is_chosen(desk: Desk) -> None:
    number = document_of(desk.draft(changed("Mine")))["id"]
    assert code(desk.act(number, "rebase", by=EDITOR, revision=1)) == "draft.newest"
    desk.published(changed("Theirs"))
    answer = desk.act(number, "rebase", by=EDITOR, revision=1)
    check_answer("POST", "/v1/drafts/{number}/rebase", answer)
    view = document_of(answer)
    (conflict,) = view["conflicts"]
    assert (view["done"], view["draft"]["base"], conflict["section"], conflict["key"]) == (False, 1, "items", ITEM)
    assert (conflict["mine"]["name"]["en"], conflict["theirs"]["name"]["en"]) == ("Mine", "Theirs")
    chosen = [{"section": "items", "key": ITEM, "whose": "mine"}]
    view = document_of(desk.act(number, "rebase", by=EDITOR, revision=1, choices=chosen))
    assert (view["done"], view["draft"]["base"], view["draft"]["revision"]) == (True, 2, 2)
    assert "Mine" in desk.read(number)["changes"][0]["text"]["en"]
    assert told(desk.ground, "draft_rebased")[-1]["client"] == "lists"


def test_going_back_is_a_draft_of_an_earlier_edition(desk: Desk) -> None:
    desk.published(changed())
    answer = edition(desk, 1, "draft", by=EDITOR, comment="回到第一版")
    check_answer("POST", "/v1/editions/{number}/draft", answer)
    made = document_of(answer)
    assert (answer.status_code, made["base"]) == (201, 2)
    desk.act(made["id"], "submit", by=EDITOR)
    desk.act(made["id"], "review", by=REVIEWER, approve=True)
    back = document_of(desk.act(made["id"], "publish", by=REVIEWER))
    (first, *_, last) = document_of(desk.ground.http.get("/v1/editions"))["editions"]
    assert (back["number"], last["digest"]) == (3, first["digest"])
    assert code(edition(desk, 9, "draft", by=EDITOR)) == "edition.unknown"


def test_an_edition_to_come_is_moved_and_taken_back_and_one_in_force_is_not(desk: Desk) -> None:
    coming = desk.published(changed(), effective_at=LATER)
    day = (datetime.now(UTC) + timedelta(days=60)).isoformat(timespec="seconds")
    answer = edition(desk, coming["number"], "move", by=REVIEWER, reason="系统未就绪", effective_at=day)
    check_answer("POST", "/v1/editions/{number}/move", answer)
    moved = document_of(answer)
    assert (moved["number"], moved["digest"]) == (3, coming["digest"])
    assert moved["effective_at"] > coming["effective_at"]
    answer = edition(desk, 3, "withdrawal", by=REVIEWER, reason="有误")
    check_answer("POST", "/v1/editions/{number}/withdrawal", answer)
    assert document_of(answer)["number"] == 3
    assert [one["number"] for one in document_of(desk.ground.http.get("/v1/editions"))["editions"]] == [1]
    assert [one["client"] for one in told(desk.ground, "edition_withdrawn")] == ["lists", "lists"]
    assert code(edition(desk, 1, "withdrawal", by=REVIEWER, reason="有误")) == "edition.in-force"
    assert (
        code(edition(desk, 3, "withdrawal", by=REVIEWER, reason="有误")) == "edition.built-upon"
        or code(edition(desk, 3, "withdrawal", by=REVIEWER, reason="有误")) == "edition.unknown"
    )
    assert code(edition(desk, 1, "move", by=REVIEWER, reason="", effective_at=day)) == "draft.remark"


def test_what_is_no_number_is_no_edition(desk: Desk) -> None:
    bodies = {"draft": {}, "withdrawal": {"reason": "有误"}, "move": {"reason": "有误", "effective_at": LATER}}
    for act, body in bodies.items():
        for number in ("0", "01", "x", "9" * 40):
            path = f"/v1/editions/{number}/{act}"
            assert code(desk.ground.send("POST", path, {"by": EDITOR, **body}, signer=desk.signer)) == "edition.unknown"


def test_the_same_signed_act_twice_is_refused_and_done_once(desk: Desk) -> None:
    """Each act spends its nonce in its own transaction, a rebase that only tells conflicts too."""
    number = document_of(desk.draft(changed("Mine")))["id"]
    desk.published(changed("Theirs"))
    for path, body in (
        (f"/v1/drafts/{number}/remarks", {"by": EDITOR, "text": "好"}),
        (f"/v1/drafts/{number}/rebase", {"by": EDITOR, "revision": 1}),
        (f"/v1/drafts/{number}/continuation", {"by": EDITOR}),
        ("/v1/editions/1/draft", {"by": EDITOR}),
    ):
        before = desk.ground.rows()["nonce"]
        assert code(desk.ground.send("POST", path, body, signer=desk.signer)) is None
        assert desk.ground.rows()["nonce"] == before + 1, path
