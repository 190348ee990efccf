"""Every list of the console as a file: what the page shows to this person, told whose it is, and an entry before it."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from openpyxl import load_workbook

from broker.core.catalog import catalog_from
from broker.core.objection import ObjectionState
from broker.core.people import ConsoleRole
from broker.core.sharing_table import COLUMNS, ended_row, table_rows
from broker.web.console import objections, orders
from tests.console.kit import House, Visitor, rows_in
from tests.console.test_cases import with_order
from tests.flow import catalogue, kit

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
OFFICER = f"source-department:unit={kit.DEPARTMENT}"


@pytest.fixture
def club(small: House) -> kit.Broker:
    """A house with a decided verification, and an open work order of the department."""
    return with_order(small)


def _object(house: House, broker: kit.Broker, number: str) -> None:
    """A clerk doubts what the licences' source said."""
    visitor = house.http(house.account(f"clerk:unit={kit.UNIT}"))
    form = {"material": "licence", "source": catalogue.LICENCES, "words": "张某的地址不对"}
    assert visitor.post(f"/console/verifications/{number}/objection", form).status_code == 303


def _taken(broker: kit.Broker) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in one.items() if name not in {"version", "kind", "at"}}
        for one in broker.entries("table_exported")
    ]


PATHS = {
    "/console/list/export": ("reader", "sharing-list"), "/console/coverage/export": ("reader", "coverage"),
    "/console/sources/export": ("reader", "sources"), "/console/grants/matrix/export": ("reader", "grants"),
    "/console/objections/export": ("operator", "objections"),
    "/console/orders/export": ("operator", "work-orders-open"),
    "/console/figures/export": ("reader", "figures-"), "/console/supply/export": ("reader", "supply-ledger"),
}  # fmt: skip


def test_every_file_says_what_it_is_and_is_an_entry_before_it_is_given(small: House, club: kit.Broker) -> None:
    _object(small, club, club.rows("SELECT id FROM verification WHERE state = 'decided'")[0].id)
    rows: list[list[str]] = []
    for path, (role, name) in PATHS.items():
        account = small.account(role, login=role)
        for lang, kind in (("en", "csv"), ("zh", "xlsx")):
            answer = small.http(account, lang).get(f"{path}/{kind}")
            assert answer.status_code == 200, path
            if kind == "csv":
                rows, about = rows_in(answer)
                assert about["Made for"] == role
                assert about.get("Edition of the sharing list", "2") == "2"
            else:
                sheets = load_workbook(io.BytesIO(answer.data)).worksheets
                assert len(rows) == sheets[0].max_row, "both kinds hold the same"
                assert [role] == [line[1].value for line in sheets[1].iter_rows() if line[0].value == "导出账号"]
            told = _taken(club)[-1]
            assert (told["by"], told["format"], told["rows"]) == (role, kind, len(rows) - 1), path
            assert told["table"].startswith(name)
            assert f'filename="{told["table"]}.{kind}"' in answer.headers["Content-Disposition"]
            assert kit.citizen(2) not in str(rows), "nothing about persons"
    club.execute("CREATE TRIGGER full_up BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'no room'); END")
    for path, (role, _) in PATHS.items():
        refused = small.http(small.account(role, login=role)).get(f"{path}/csv")
        assert refused.status_code == 500
        assert "Content-Disposition" not in refused.headers, "no entry, no file"
    club.execute("DROP TRIGGER full_up")


def test_the_sharing_list_is_given_in_the_columns_of_the_published_one(city: House, shipped_list: Any) -> None:
    catalog = catalog_from(shipped_list)
    with city.parts.store.read() as work:
        day = work.pulse().now.date()
    reader = city.http(city.role(ConsoleRole.READER))
    (heads, *rows), about = rows_in(reader.get("/console/list/export/csv"))
    assert heads == [column.zh for column in COLUMNS]
    assert [tuple(row) for row in rows] == list(table_rows(catalog, day)), "whole, it is the published list"
    assert about["内容"] == "共享清单"
    filtered, about = rows_in(reader.get("/console/list/export/csv?region=371083&state=missing&q=公司"))
    assert 1 < len(filtered) < len(rows)
    assert {row[0] for row in filtered[1:]} == {catalog.regions["371083"].name["zh"]}
    assert {tuple(row) for row in filtered[1:]} <= {tuple(row) for row in rows}
    assert (about["地区"], about["搜索"]) == (catalog.regions["371083"].name["zh"], "公司")
    english = rows_in(city.http(city.role(ConsoleRole.READER), "en").get("/console/list/export/csv"))[0]
    assert english[0] == [column.en for column in COLUMNS]
    assert len(english) == len(rows) + 1


def test_an_item_that_ended_has_one_row_where_it_is_asked_for(small: House) -> None:
    document = catalogue.document()
    document["items"][catalogue.SHOP]["effective"] = {"to": "2020-01-01", "reason": "某公告"}
    catalog = catalog_from(document)
    item = catalog.items[catalogue.SHOP]
    (place,) = item.places.values()
    row = dict(zip([column.en for column in COLUMNS], ended_row(item, place, catalog, "en"), strict=True))
    assert (row["State"], row["Basis"], row["Material"], row["Mode"]) == ("abolished", "某公告", "", "")
    assert row["Item"] == item.name["en"]
    assert rows_in(small.http(small.role(ConsoleRole.READER)).get("/console/list/export/csv?state=ended"))[0][1:] == []


def test_a_draft_is_given_as_the_draft_that_it_is(city: House) -> None:
    editor = city.http(city.role(ConsoleRole.LIST_EDITOR), "en")
    draft = editor.post("/console/drafts", {"comment": "对照用"}).headers["Location"].rsplit("/", 1)[1]
    _, about = rows_in(editor.get(f"/console/list/export/csv?draft={draft}&q=公司"))
    assert about["Draft"] == f"对照用 {draft}"


def test_a_department_is_given_its_own_orders_and_objections_alone(small: House, club: kit.Broker) -> None:
    _object(small, club, club.rows("SELECT id FROM verification WHERE state = 'decided'")[0].id)
    mine = small.http(small.account(OFFICER), "en")
    (heads, order), about = rows_in(mine.get("/console/orders/export/csv"))
    told = dict(zip(heads, order, strict=True))
    assert (told["Asked about"], told["State"], told["Body"]) == ("a person", "open", kit.DEPARTMENT)
    assert about["State"] == "Open"
    page = mine.get("/console/orders").text
    assert 'data-label="Asked about">a person<' in page
    with small.parts.store.write() as work:
        [one] = work.objections(0)
        work.change_objection(replace(one, owner=kit.DEPARTMENT, raised_unit=""))
        work.commit()
    whose = {OFFICER: [2, 2], f"source-department:unit={kit.UNIT}": [1, 1], "operator": [2, 2]}
    for role, counts in whose.items():
        visitor = small.http(small.account(role))
        assert [
            len(rows_in(visitor.get(f"/console/{one}/export/csv"))[0]) for one in ("orders", "objections")
        ] == counts


def test_the_matrix_gives_what_was_asked_for(small: House, club: kit.Broker) -> None:
    reader = small.http(small.role(ConsoleRole.READER), "en")
    rows, about = rows_in(reader.get(f"/console/grants/matrix/export/csv?source={catalogue.LICENCES}"))
    assert {row[2] for row in rows[1:]} == {catalogue.LICENCES}
    assert about["Source"] == catalogue.LICENCES
    nobody = small.http(small.account(f"using-department:unit={kit.DEPARTMENT}"))
    assert len(rows_in(nobody.get("/console/grants/matrix/export/csv"))[0]) == 1


@pytest.fixture
def many(small: House, club: kit.Broker) -> Visitor:
    """An operator before thirty objections: every third is over, every fourth of the others is overdue."""
    _object(small, club, club.rows("SELECT id FROM verification WHERE state = 'decided'")[0].id)
    with small.parts.store.write() as work:
        now = work.pulse().now
        [one] = work.objections(0)
        for number in range(30):
            over, late = number % 3 == 0, number % 4 == 0
            moment = now + timedelta(seconds=number) * (1 if over else 60) - timedelta(days=late)
            state = ObjectionState.CLOSED if over else ObjectionState.RAISED
            made = replace(one, id=f"{number:032d}", case=f"case-n{number:02}", state=state, due_at=moment)
            work.add_objection(replace(made, ended_at=moment) if over else made, b"")
        work.change_objection(replace(one, case="case-n30", state=ObjectionState.REFUSED, ended_at=EPOCH))
        work.commit()
    return small.http(small.account("operator", login="operator"), "en")


def test_objections_come_page_by_page_what_stands_first(many: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those due first, then those over, the latest first; each once, whichever way the pages cut them."""
    standing = [number for number in range(30) if number % 3]
    due = sorted(standing, key=lambda number: (number % 4 != 0, number))
    over = sorted(set(range(30)) - set(standing), key=lambda number: (number % 4 == 0, -number))
    wanted = [f"case-n{number:02}" for number in [*due, *over, 30]]
    rows, _ = rows_in(many.get("/console/objections/export/csv"))
    assert [row[1] for row in rows[1:]] == wanted
    for size in (7, 10, 20):
        monkeypatch.setattr(objections, "_PER_PAGE", size)
        seen: list[str] = []
        for page in range(1, 31 // size + 2):
            answer = many.get(f"/console/objections?page={page}").text
            seen += [f"case-n{rest[:2]}" for rest in answer.split("case-n")[1:]]
            assert ("Next page" in answer) == (page * size < 31)
        assert seen == wanted, size
    late, about = rows_in(many.get("/console/objections/export/csv?late=1"))
    assert {row[6] for row in late[1:]} == {"yes"}
    assert len(late) == 1 + sum(number % 4 == 0 for number in standing)
    assert about["Filter"] == "Only the overdue ones"


def test_a_file_that_would_be_too_long_says_that_it_is_cut(many: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objections, "MOST_ROWS", 5)
    monkeypatch.setattr(orders, "MOST_ROWS", 5)
    rows, about = rows_in(many.get("/console/objections/export/csv"))
    assert len(rows) == 6
    assert "5 rows" in about["Not complete"]
    assert "Not complete" not in rows_in(many.get("/console/orders/export/csv"))[1]
