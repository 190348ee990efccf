"""The table for departments holds every line of the list, and a spreadsheet takes none of it for a formula."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
from hypothesis import given, settings

from broker.core.catalog import Mode, RowState, catalog_from
from broker.core.cells import plain
from broker.core.coverage import lines
from broker.core.sharing_table import COLUMNS, NO_SOURCE, table_rows
from broker.store.catalog_file import read_catalog
from broker.store.sharing_table_file import TITLE, write_csv, write_xlsx
from tests.lists import asking, checking, documents, item, material, promise, whole

ROOT = Path(__file__).parents[2]
DAY = date(2026, 1, 1)
NASTY = (
    '=HYPERLINK("http://example.com")',
    "+86 631",
    "-1",
    "@SUM(A1)",
    "＝1+1",
    "'=1",
    "a\u0007b\n二\t三",
    '"引号",逗号',
)


def rows(document: Any, region: str | None = None) -> list[dict[str, str]]:
    heads = [column.zh for column in COLUMNS]
    return [dict(zip(heads, row, strict=True)) for row in table_rows(catalog_from(document), DAY, region)]


def example() -> dict[str, Any]:
    asked = asking("s-zero", "confirmed", "valid_until") | {"owner": "市大数据局", "due": "2026-06-30"}
    materials = {
        "m-a": material("材料甲", asked, checking("公安局", "proposed")),
        "m-b": material("申请表", kind="form"),
        "m-c": material("承诺书", {"mode": "scene_result", "item": "i-a"}, promise("proposed")),
    }
    party = {"material": "m-a", "holder": "spouse", "when": {"party": "spouse"}}
    items = {
        "i-a": item("首次申请", 7, "enterprise-2.1", party, regions=("370400", "371083")) | {"row": "某许可"},
        "i-b": item("某事项", 8, "enterprise-2.1", {"material": "m-b", "needed": False}, {"material": "m-c"}),
    }
    items["i-a"]["regions"]["371083"] |= {"wording": "某许可证", "sub_wording": "初次申请"}
    return whole(materials, items)


def test_a_row_says_everything_of_one_way_in_words() -> None:
    first, second, *_ = rows(example())
    assert first == {
        "地区": "枣庄市",
        "生命周期": "企业全生命周期",
        "阶段": "阶段2",
        "场景": "2.1 场景2.1",
        "序号": "7",
        "事项": "某许可",
        "业务办理项": "首次申请",
        "材料": "材料甲",
        "持有人": "配偶",
        "是否必需": "必需：有配偶的",
        "数据需求（字段）": "证件号码（统一社会信用代码）、有效期止",
        "提供单位": "省某厅",
        "数据资源": "数源s-zero",
        "层级": "省级",
        "共享方式": "数据查询",
        "形式": "查询",
        "共享类型": "有条件共享",
        "更新频率/时效": "30 日以内",
        "责任单位": "市大数据局",
        "状态": "已确认",
        "依据": "某法 第三条",
        "完成时限": "2026-06-30",
    }
    assert (second["提供单位"], second["状态"], second["责任单位"], second["完成时限"]) == (
        "公安局",
        "拟议",
        "市审批服务局",
        "",
    )


def test_a_region_has_its_own_wording_and_comes_after_the_one_before() -> None:
    found = rows(example())
    assert [row["地区"] for row in found] == ["枣庄市"] * 5 + ["乳山市"] * 2
    assert (found[-1]["事项"], found[-1]["业务办理项"]) == ("某许可证", "初次申请")
    assert rows(example(), "371083") == found[-2:]


def test_a_sub_item_that_a_region_prints_as_a_row_has_no_sub_item_there() -> None:
    document = example()
    document["items"]["i-a"]["regions"]["371083"] |= {"wording": "首次申请"}
    del document["items"]["i-a"]["regions"]["371083"]["sub_wording"]
    assert {(row["事项"], row["业务办理项"]) for row in rows(document, "371083")} == {("首次申请", "")}


def test_what_nothing_replaces_is_marked_and_what_is_issued_or_promised_is_named() -> None:
    *_, form, issued, promised, _, _ = rows(example())
    assert (form["材料"], form["状态"], form["是否必需"], form["依据"]) == (
        "申请表",
        NO_SOURCE,
        "非必需",
        "某法 第二条",
    )
    assert (form["业务办理项"], form["共享方式"]) == ("", "")
    assert (issued["共享方式"], issued["数据资源"]) == ("联办结果", "首次申请")
    assert (promised["共享方式"], promised["数据资源"], promised["状态"]) == ("告知承诺", "告知承诺书 some/1", "拟议")


def test_what_is_not_in_force_is_not_in_the_table() -> None:
    document = example()
    document["items"]["i-b"]["effective"] = {"to": "2025-12-31", "reason": "已取消"}
    assert {row["序号"] for row in rows(document)} == {"7"}


@settings(max_examples=60, deadline=None)
@given(documents())
def test_every_line_of_the_list_has_its_rows_and_no_other(document: dict[str, Any]) -> None:
    catalog = catalog_from(document)
    expected: dict[str, int] = {"已确认": 0, "拟议": 0, NO_SOURCE: 0}
    for line in lines(catalog, DAY):
        ways = [row for row in line.material.chain if row.mode is not Mode.SUBMISSION]
        for way in ways:
            expected["已确认" if way.state is RowState.CONFIRMED else "拟议"] += 1
        expected[NO_SOURCE] += not ways
    states = [row["状态"] for row in rows(document)]
    assert {state: states.count(state) for state in expected} == expected


def test_the_csv_comes_back_as_it_was_and_holds_no_formula(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    given_rows = [(text, *[""] * (len(COLUMNS) - 1)) for text in NASTY]
    write_csv(path, given_rows)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        zh, en, *read = csv.reader(file)
    assert (zh[0], en[0]) == ("地区", "Region")
    assert [plain(row[0]) for row in read] == list(NASTY)
    assert not any(row[0].startswith(tuple("=+-@＝")) for row in read)


def test_the_workbook_holds_text_only_and_keeps_its_heads_in_sight(tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    write_xlsx(path, [(text, *["x" * 40_000] * (len(COLUMNS) - 1)) for text in NASTY])
    [sheet] = openpyxl.load_workbook(path).worksheets
    assert sheet.title == TITLE
    assert sheet.freeze_panes == "A3"
    assert sheet.auto_filter.ref == "A2:V10"
    assert [cell.value for cell in sheet[1]] == [column.zh for column in COLUMNS]
    assert [cell.value for cell in sheet[2]] == [column.en for column in COLUMNS]
    cells = [sheet.cell(row, 1) for row in range(3, 11)]
    assert {cell.data_type for cell in cells} == {"s"}
    assert [cell.value for cell in cells] == [text.replace("\u0007", "") for text in NASTY]
    assert [bool(cell.quotePrefix) for cell in cells] == [True, True, True, True, True, False, False, False]
    assert sheet.column_dimensions["F"].width == 30


def test_a_table_without_rows_is_a_table(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "list.xlsx", [])
    assert openpyxl.load_workbook(tmp_path / "list.xlsx").worksheets[0].auto_filter.ref == "A2:V2"


def test_the_shipped_list_makes_a_table_in_which_nothing_is_left_out() -> None:
    catalog = catalog_from(read_catalog(ROOT / "data_catalog.yaml").document)
    found = list(table_rows(catalog, DAY))
    assert len(found) >= sum(1 for _ in lines(catalog, DAY))
    assert all(row[place] for row in found for place in (0, 1, 2, 3, 4, 5, 7, 8, 9, 19))
