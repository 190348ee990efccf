"""An item library's export is read strictly, compared openly, and leaves nothing behind but the ties to it."""

from __future__ import annotations

import copy
import csv
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.catalog import Catalog, MasterLink, MasterMaterial, catalog_from
from broker.core.check import check
from broker.core.diff import Change
from broker.core.findings import ERROR, WARNING, has_errors
from broker.core.master import links_of, match, section, tied
from broker.core.master_compare import TIES, compare
from broker.core.master_entries import COLUMNS, RULES, Entry, Raw, column, entries_from, note
from broker.store import item_master
from broker.store.catalog_file import read_catalog
from broker.store.item_master import MasterFile, read_master, write_links
from tests.lists import asking, item, material, whole

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/catalog.schema.json").read_text())
DAY = date(2026, 1, 1)
CODE = "11370800MB28559184" + "3" + "370117002011"  # the one code that public code shows; its credit code is valid
OTHER = CODE[:-1] + "2"
ROW = {
    "task_code": CODE,
    "item_name": "食品经营许可",
    "material_name": "营业执照",
    "is_need": "1",
    "by_law": "某法 第九条",
}


def the_list(**more: Any) -> dict[str, Any]:
    """Two items in both regions; 身份证明 is required of two people."""
    materials = {
        "m-licence": material("营业执照", asking("s-zero")),
        "m-identity": material("身份证明", asking("s-one", "proposed")),
        "m-form": material("申请书", kind="form"),
    }
    both = ("370400", "371083")
    items = {
        "i-food": item(
            "食品经营许可", 1, "enterprise-2.2", {"material": "m-licence"}, {"material": "m-identity"},
            {"material": "m-identity", "holder": "spouse", "when": {"party": "spouse"}}, regions=both,
        ),
        "i-leaf": item("首次申请", 2, "enterprise-2.2", {"material": "m-form"}, regions=both) | {"row": "药品经营许可"},
    }  # fmt: skip
    return whole(materials, items) | more


def catalog(**more: Any) -> Catalog:
    return catalog_from(the_list(**more))


def entries(*rows: Mapping[str, str], region: str | None = "370400") -> tuple[list[Entry], list[tuple[str, str]]]:
    raw = [Raw(number, row) for number, row in enumerate(rows, 2)]
    found, findings = entries_from(raw, region, catalog())
    return found, [(finding.rule, finding.place) for finding in findings]


# ---- files


def write(folder: Path, kind: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """The rows as a file of a kind."""
    path = folder / f"library.{kind}"
    heads = list(dict.fromkeys(name for row in rows for name in row))
    lines = [heads, *([row.get(name, "") for name in heads] for row in rows)]
    if kind == "json":
        path.write_text(json.dumps(list(rows), ensure_ascii=False))
    elif kind == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(lines)
    else:
        book = openpyxl.Workbook()
        for line in lines:
            book.worksheets[0].append(line)
        book.save(path)
    return path


def cells(file: MasterFile) -> list[dict[str, str]]:
    assert file.findings == ()
    return [dict(row.cells) for row in file.rows]


def refused(file: MasterFile) -> tuple[str, str]:
    assert file.rows == ()
    [finding] = file.findings
    assert finding.severity == ERROR
    return finding.rule, finding.message_en


@pytest.mark.parametrize("kind", ["csv", "xlsx", "json"])
def test_the_same_rows_are_read_from_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    rows = [ROW, ROW | {"material_name": "身份证明", "is_nocommit": "0"}]
    assert cells(read_master(write(tmp_path, kind, rows))) == rows


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(sorted(COLUMNS)),
            st.text(
                st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=9
            ),
        ).map(lambda row: ROW | row),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(["csv", "json"]),
)
def test_any_text_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]], kind: str
) -> None:
    """Also what an export of ours would have made safe for a spreadsheet."""
    rows = [{name: text.strip().lstrip("'\ufeff") or "x" for name, text in row.items()} for row in rows]
    read = cells(read_master(write(tmp_path_factory.getbasetemp(), kind, rows)))
    assert read == rows


def test_heads_may_be_those_of_the_exchange_or_chinese_in_any_case(tmp_path: Path) -> None:
    rows = [
        {"TASK_CODE": CODE, "事项名称": "食品经营许可", "MATERIAL_NAME": "营业执照", "ＩＳ_NEED": "1", "colour": "red"}
    ]
    assert cells(read_master(write(tmp_path, "xlsx", rows))) == [
        {"task_code": CODE, "item_name": "食品经营许可", "material_name": "营业执照", "is_need": "1"}
    ]
    assert column("no such column") is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_csv_may_be_in_the_encoding_that_excel_saves(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "library.csv"
    path.write_text(f"task_code,item_name\n{CODE},食品经营许可\n", encoding)
    assert cells(read_master(path)) == [{"task_code": CODE, "item_name": "食品经营许可"}]


def test_an_item_may_hold_its_materials_in_json(tmp_path: Path) -> None:
    entry = {
        "task_code": CODE,
        "item_name": "某",
        "materials": [{"material_name": "甲", "is_need": True}, {"material_name": "乙"}],
    }
    assert cells(read_master(write(tmp_path, "json", [entry]))) == [
        {"task_code": CODE, "item_name": "某", "material_name": "甲", "is_need": "1"},
        {"task_code": CODE, "item_name": "某", "material_name": "乙"},
    ]


def test_a_sheet_gives_dates_numbers_and_values_of_formulas_as_text(tmp_path: Path) -> None:
    path = write(tmp_path, "xlsx", [ROW | {"material_code": 1234.0, "is_need": True, "by_law": datetime(2025, 5, 10)}])  # noqa: DTZ001 - as openpyxl gives it
    assert cells(read_master(path))[0] | {} == ROW | {"material_code": "1234", "by_law": "2025-05-10T00:00:00"}


def test_blank_rows_are_passed_over_and_the_numbers_stay(tmp_path: Path) -> None:
    path = tmp_path / "library.csv"
    path.write_text(f"task_code,item_name\n\n,\n{CODE},某\n")
    assert [row.number for row in read_master(path).rows] == [4]


@pytest.mark.parametrize(
    ("name", "body", "rule", "words"),
    [
        ("a.txt", b"x", "unreadable", "not .csv, .xlsx or .json"),
        ("a.csv", b"", "header", "there is no task_code"),
        ("a.csv", b"task_code\n1\n", "header", "there is no item_name"),
        ("a.csv", b"task_code,item_name,TASK_CODE\n", "header", "task_code stands twice"),
        ("a.csv", b"task_code,item_name" + b",x" * 200 + b"\n", "too-large", "more than 200 columns"),
        ("a.csv", b'task_code,item_name\n1,"open\n', "unreadable", "unexpected end of data"),
        ("a.csv", b"task_code,item_name\n1," + b"x" * 5000, "too-large", "a cell of more than 4000 characters"),
        ("a.csv", b"\xff\xfe\xff\xff", "unreadable", "neither UTF-8 nor GB 18030"),
        ("a.json", b"{}", "unreadable", "a list of objects is needed"),
        ("a.json", b"[1]", "unreadable", "an object is needed"),
        ("a.json", b'[{"task_code": 1, "task_code": 2}]', "unreadable", "body.duplicate-key"),
        ("a.json", b'[{"task_code": 1, "TASK_CODE": 2}]', "unreadable", "must be one value, and stand once"),
        ("a.json", b'[{"task_code": [1]}]', "unreadable", "must be one value"),
        ("a.json", b'[{"materials": {}}]', "unreadable", "materials must be a list"),
        ("a.json", b'[{"materials": [1]}]', "unreadable", "materials must be a list"),
        ("a.json", b'[{"task_code": 1137080000000000000000}]', "unreadable", "has lost its digits"),
        ("a.json", b'[{"by_law": "' + b"x" * 5000 + b'"}]', "too-large", "a value of more than 4000"),
        ("a.json", b"[" * 100_000, "unreadable", "body.not-json"),
        ("a.xlsx", b"PK\x03\x04", "unreadable", "not a workbook"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "unreadable", "not a workbook"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_reason(
    tmp_path: Path, name: str, body: bytes, rule: str, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(body)
    got, said = refused(read_master(path))
    assert got == rule
    assert words in said


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refused(read_master(tmp_path / "nothing.csv"))[0] == "unreadable"


def test_a_file_beyond_its_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_master, "MAX_BYTES", 20)
    assert refused(read_master(write(tmp_path, "csv", [ROW])))[0] == "too-large"


@pytest.mark.parametrize("kind", ["csv", "xlsx", "json"])
def test_a_table_with_too_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    path = write(tmp_path, kind, [ROW, ROW, ROW])
    monkeypatch.setattr(item_master, "MAX_ROWS", 3)
    assert len(read_master(path).rows) == 3
    monkeypatch.setattr(item_master, "MAX_ROWS", 2)
    assert refused(read_master(path))[0] == "too-large"


def repacked(path: Path, part: str, body: bytes) -> None:
    """Put another body into one part of a workbook."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (parts | {part: body}).items():
            archive.writestr(name, text)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "xlsx", [ROW])
    repacked(path, "xl/media/bomb.bin", bytes(1024 * 1024))
    monkeypatch.setattr(item_master, "MAX_UNPACKED", 1024 * 1024)
    assert path.stat().st_size < 20_000
    assert refused(read_master(path))[0] == "too-large"


def test_a_zip_of_too_many_parts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "library.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(201):
            archive.writestr(f"{number}", b"")
    assert refused(read_master(path))[0] == "too-large"


BOMB = b'<!DOCTYPE x [<!ENTITY a "ha">' + b"".join(
    b'<!ENTITY %c "%s">' % (now, b"&%c;" % before * 10) for before, now in zip(b"abcdefgh", b"bcdefghi", strict=True)
) + b"]>"  # fmt: skip


@pytest.mark.parametrize(
    "part", ["xl/workbook.xml", "xl/styles.xml", "xl/worksheets/sheet1.xml", "[Content_Types].xml"]
)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a>",
        b"\x00\x01",
        BOMB + b"<x>&i;</x>",
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "http://entity.example/">]><x>&e;</x>',
        b"<worksheet/>",
    ],
)
def test_a_broken_or_hostile_part_is_refused(tmp_path: Path, part: str, body: bytes) -> None:
    path = write(tmp_path, "xlsx", [ROW])
    repacked(path, part, body)
    file = read_master(path)
    if (part, body) != ("xl/styles.xml", b"<worksheet/>"):  # without styles there still are cells
        assert file.rows == ()
        assert [finding.rule for finding in file.findings] in (["unreadable"], ["header"])


def test_a_bomb_among_the_shared_strings_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "xlsx", [ROW])
    with zipfile.ZipFile(path) as archive:
        types = archive.read("[Content_Types].xml").decode()
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    shared = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
    repacked(path, "xl/sharedStrings.xml", BOMB + b"<sst><si><t>&i;</t></si></sst>")
    repacked(path, "[Content_Types].xml", types.replace("</Types>", shared).encode())
    assert openpyxl.DEFUSEDXML
    assert refused(read_master(path))[0] == "unreadable"


def test_a_sheet_that_lies_about_its_cells_stays_within_the_limits(tmp_path: Path) -> None:
    path = write(tmp_path, "xlsx", [ROW])
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="A1:XFD1048576"/>'
        '<sheetData><row r="1"><c r="XFD1" t="inlineStr"><is><t>task_code</t></is></c></row>'
        '<row r="1048576"><c r="A1048576"><v>1e999</v></c></row></sheetData></worksheet>'
    )
    repacked(path, "xl/worksheets/sheet1.xml", sheet.encode())
    assert refused(read_master(path))[0] in {"header", "too-large", "unreadable"}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 4000), st.binary(min_size=1, max_size=4))
def test_a_damaged_workbook_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes) -> None:
    path = write(tmp_path_factory.getbasetemp(), "xlsx", [ROW])
    body = bytearray(path.read_bytes())
    body[at : at + len(noise)] = noise
    path.write_bytes(bytes(body))
    file = read_master(path)
    assert bool(file.rows) != bool(file.findings)


# ---- rows


def test_rows_of_one_item_are_joined() -> None:
    found, findings = entries(ROW, ROW | {"material_name": "身份证明"}, ROW | {"task_code": OTHER})
    assert findings == []
    assert [(entry.id, [paper.name for paper in entry.papers]) for entry in found] == [
        (CODE, ["营业执照", "身份证明"]),
        (OTHER, ["营业执照"]),
    ]


def test_the_handling_code_tells_items_apart_and_a_row_may_have_no_material() -> None:
    first = {"task_code": CODE, "ywcode": f"{CODE}01", "item_name": "甲"}
    found, findings = entries(first, first | {"ywcode": f"{CODE}02", "item_name": "乙", "cd_operation": "D"})
    assert findings == []
    assert [(entry.id, entry.withdrawn, entry.papers) for entry in found] == [
        (f"{CODE}01", False, ()),
        (f"{CODE}02", True, ()),
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"task_code": ""}, [("missing", "3")]),
        ({"item_name": ""}, [("missing", "3")]),
        ({"region_code": "999999"}, [("region", "3")]),
        ({"is_need": "2"}, [("value", "3")]),
        ({"is_nocommit": "maybe"}, [("value", "3")]),
        ({"cd_operation": "X"}, [("value", "3")]),
        ({"ywcode": "十"}, [("value", "3")]),
        ({"material_code": "a b"}, [("value", "3")]),
        ({"task_code": "1" * 65}, [("value", "3")]),
        ({"item_name": "长" * 501}, [("value", "3")]),
        ({"by_law": "长" * 2001}, [("value", "3")]),
        ({"task_code": "OLD-7"}, [("code", "3")]),
        ({"item_name": "另一名称"}, [("contradiction", "3"), ("twice", "3")]),
        ({"region_code": "371083"}, [("contradiction", "3"), ("twice", "3")]),
        ({"material_name": " 营业 执照"}, [("twice", "3")]),
    ],
)
def test_what_is_wrong_with_a_row_is_told_with_its_number(
    change: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    assert entries(ROW, ROW | change)[1] == expected


def test_without_a_region_or_rows_nothing_can_be_imported() -> None:
    assert entries(ROW, region=None)[1] == [("region", "2")]
    assert entries()[1] == [("empty", "")]


def test_a_text_over_several_lines_becomes_one() -> None:
    [entry] = entries(ROW | {"item_name": "食品\n经营\u200b许可 ", "by_law": "一\x85\x00二\u2028三"})[0]
    assert (entry.name, entry.papers[0].by_law) == ("食品 经营 许可", "一 二 三")


def test_every_rule_says_what_to_do_in_both_languages() -> None:
    for name, rule in RULES.items():
        assert all((rule.zh, rule.en, rule.mend_zh, rule.mend_en)), name
        assert rule.severity in {ERROR, WARNING}
        given_names = {"why": "x", "name": "x", "got": "x", "expected": "x", "first": "1", "code": "x"}
        assert note(name, 3, **given_names).place == "3"


# ---- matching


def differences(*rows: Mapping[str, str], version: str = "2", known: Catalog | None = None) -> list[Change]:
    known = known or catalog()
    found, findings = entries_from([Raw(number, row) for number, row in enumerate(rows, 2)], "370400", known)
    assert not has_errors(findings), findings
    return compare(match(found, known, "lib"), known, "lib", version, DAY)


def kinds(*rows: Mapping[str, str], version: str = "2", known: Catalog | None = None) -> list[str]:
    return [one.kind for one in differences(*rows, version=version, known=known)]


def after(*rows: Mapping[str, str], version: str = "1", known: Catalog | None = None) -> Catalog:
    """The list after the rows were imported and applied."""
    known = known or catalog()
    found, _ = entries_from([Raw(number, row) for number, row in enumerate(rows, 2)], "370400", known)
    links = section(tied(match(found, known, "lib"), known, "lib", version))
    document = the_list(master=json.loads(json.dumps(links)))
    assert not has_errors(check(document, SCHEMA)), [finding.message_en for finding in check(document, SCHEMA)]
    return catalog_from(document)


FULL = (ROW, ROW | {"material_name": "身份证明"})
LEAF = {"task_code": OTHER, "item_name": "药品经营许可（首次申请）", "material_name": "申请书"}


def test_an_item_is_found_by_name_in_its_region_and_nowhere_else() -> None:
    known = catalog()
    found, _ = entries(*FULL, LEAF)
    matched = match(found, known, "lib")
    assert {key: entry.id for key, entry in matched.pairs.items()} == {
        ("i-food", "370400"): CODE,
        ("i-leaf", "370400"): OTHER,
    }
    [link, leaf] = links_of(after(*FULL, LEAF)).values()
    assert link == MasterLink(
        "lib", CODE, "1", CODE, "食品经营许可",
        {
            key: MasterMaterial(name, None, True, "某法 第九条")
            for key, name in (("m-licence", "营业执照"), ("m-identity", "身份证明"), ("m-identity@spouse", "身份证明"))
        },
    )  # fmt: skip
    assert leaf.materials["m-form"] == MasterMaterial("申请书")


def test_a_tie_is_stronger_than_a_code_and_a_code_than_a_name() -> None:
    document = the_list()
    document["items"]["i-leaf"]["task_code"] = CODE
    by_code = match(entries(ROW)[0], catalog_from(document), "lib")
    assert list(by_code.pairs) == [("i-leaf", "370400")]
    by_tie = match(entries(ROW | {"item_name": "别的"})[0], after(ROW), "lib")
    assert list(by_tie.pairs) == [("i-food", "370400")]
    assert match(entries(ROW | {"item_name": "别的"})[0], after(ROW), "other-library").pairs == {}


def test_what_could_be_two_things_is_left_to_a_person() -> None:
    document = the_list()
    document["items"]["i-twin"] = copy.deepcopy(document["items"]["i-food"])
    assert kinds(ROW, known=catalog_from(document)) == ["unlinked", "unlinked", "unlinked", "ambiguous"]
    two = differences(ROW, ROW | {"task_code": OTHER})
    assert [one.kind for one in two] == ["unlinked", "unlinked", "ambiguous", "ambiguous"]
    assert two[-1].zh == f"枣庄市：事项库的 食品经营许可（{OTHER}）可能是 i-food；请在事项中写明 task_code"


def test_what_is_in_one_list_only_is_told() -> None:
    told = differences({"task_code": CODE, "item_name": "烟草专卖"})
    assert [one.kind for one in told] == ["unlinked", "unlinked", "unknown"]
    assert told[-1].en == f"枣庄市: the library's 烟草专卖 ({CODE}) is not in the list"


# ---- drift


def test_what_is_tied_to_this_very_version_does_not_differ() -> None:
    everything = (*FULL, LEAF)
    assert [kind for kind in kinds(*everything, version="1", known=after(*everything)) if kind != "name-differs"] == []


@pytest.mark.parametrize(
    ("rows", "version", "expected"),
    [
        (FULL, "2", ["retied"]),
        ([FULL[0] | {"by_law": "新法 第一条"}, FULL[1]], "2", ["retied", "changed"]),
        ([FULL[0] | {"by_law": "新法 第一条"}, FULL[1]], "1", ["same-version", "changed"]),
        ([FULL[0]], "2", ["retied", *["changed"] * 6, "material-absent", "material-absent"]),
        ([row | {"item_name": "食品经营（新）"} for row in FULL], "2", ["retied", "changed", "name-differs"]),
        ([row | {"cd_operation": "D"} for row in FULL], "2", ["retied", "withdrawn"]),
        ([*FULL, ROW | {"material_name": "健康证明"}], "2", ["retied", "material-unknown"]),
        ([FULL[0] | {"is_need": "否"}, FULL[1]], "2", ["retied", "changed", "need-differs"]),
        ([FULL[0] | {"is_nocommit": "0"}, FULL[1]], "2", ["retied", "exempt-here"]),
        ([FULL[0], FULL[1] | {"is_data_gx": "1", "data_lyoffice": "公安部"}], "2",
         ["retied", "exempt-there", "exempt-there"]),
    ],
)  # fmt: skip
def test_drift_is_told_as_what_it_is(rows: list[dict[str, str]], version: str, expected: list[str]) -> None:
    known = after(*FULL)
    assert [kind for kind in kinds(*rows, version=version, known=known) if kind != "unlinked"] == expected


def test_an_entry_that_is_missing_from_the_file_is_told_and_its_tie_stays() -> None:
    known = after(*FULL)
    assert "absent" in kinds(LEAF, known=known)
    assert links_of(after(LEAF, version="2", known=known)).keys() == {("i-food", "370400"), ("i-leaf", "370400")}


def test_a_withdrawn_item_is_marked_and_the_check_asks_for_its_end() -> None:
    known = after(*(row | {"cd_operation": "D"} for row in FULL))
    [link] = links_of(known).values()
    assert link.withdrawn
    document = the_list(master=section(links_of(known)))
    assert [one.rule for one in check(document, SCHEMA) if one.path[0] == "master"] == ["master-withdrawn"]
    document["items"]["i-food"]["effective"] = {"to": "2025-12-31", "reason": "某决定"}
    assert [one.rule for one in check(document, SCHEMA) if one.path[0] == "master"] == []


def test_there_is_no_second_master() -> None:
    known = after(*FULL)
    found, _ = entries(*FULL)
    matched = match(found, known, "another")
    told = compare(matched, known, "another", "9", DAY)
    assert [one.kind for one in told if one.kind != "unlinked"] == ["second-master"]
    assert tied(matched, known, "another", "9") == links_of(known)


def test_a_law_that_the_library_knows_is_offered() -> None:
    document = the_list()
    document["materials"]["m-licence"]["basis"] = None
    [told] = [one for one in differences(*FULL, known=catalog_from(document)) if one.kind == "basis-known"]
    assert told.zh == "食品经营许可 [i-food] 枣庄市：材料 营业执照 在清单中没有依据，事项库写的是 某法 第九条"


# Entries are tidied: one line, nothing that cannot be seen.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Zs"]), min_size=1).map(
    lambda text: f"{text} {text}"[:60].strip()
)
LINKS = st.dictionaries(
    st.tuples(st.sampled_from(["i-food", "i-leaf"]), st.sampled_from(["370400", "371083"])),
    st.builds(
        MasterLink,
        source=st.just("lib"),
        id=st.from_regex(r"[0-9A-Za-z_.-]{1,40}", fullmatch=True),
        version=TEXT,
        task_code=st.from_regex(r"[0-9A-Za-z_.-]{1,40}", fullmatch=True),
        name=TEXT,
        materials=st.dictionaries(
            st.sampled_from(["m-licence", "m-identity@spouse"]),
            st.builds(MasterMaterial, name=TEXT, code=st.none() | st.just("007"), needed=st.none() | st.booleans(),
                      by_law=st.none() | TEXT),
        ),
        handling_code=st.none() | st.sampled_from(["1e3", "0x10", "1_0", "2025-05-10", "null", "no", "0777", "1.0"]),
        withdrawn=st.booleans(),
    ),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(LINKS)
def test_the_ties_come_back_from_their_file_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, links: dict[tuple[str, str], MasterLink]
) -> None:
    path = tmp_path_factory.getbasetemp() / "links.yaml"
    write_links(path, section(links))
    read = read_catalog(path)
    assert read.findings == ()
    document = the_list(master=read.document["master"])
    assert not has_errors(check(document, SCHEMA))
    assert links_of(catalog_from(document)) == links


def test_the_file_of_ties_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "links.yaml"
    write_links(path, {})
    before = path.read_bytes()

    def fail(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_links(path, {"i-food": {}})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_only_ties_are_written() -> None:
    assert {"linked", "retied", "changed", "withdrawn"} == TIES
