"""The commands with which the sharing list is kept: coverage, diff, import, export."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import openpyxl
import pytest
import yaml
from click.testing import CliRunner, Result

from broker.cli import main
from broker.cli.catalog_exchange import LINKS
from tests.lists import asking, item, material, whole

ROOT = Path(__file__).parents[2]
CODE = "11370800MB28559184" + "3" + "370117002011"
LIBRARY = f"task_code,item_name,material_name,is_need,by_law\n{CODE},食品经营许可,营业执照,1,某法 第九条\n"


def type_(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["catalog", *map(str, words)], catch_exceptions=False)


def a_list() -> dict[str, Any]:
    materials = {"m-a": material("营业执照", asking("s-zero")), "m-b": material("健康证明")}
    return whole(
        materials, {"i-a": item("食品经营许可", 1, "enterprise-2.2", {"material": "m-a"}, {"material": "m-b"})}
    )


def kept(folder: Path, document: dict[str, Any], name: str = "list.yaml", links: str | None = "master: {}\n") -> Path:
    """A list with its front door, and the file of ties that it includes."""
    front = document | ({"include": [LINKS]} if links is not None else {})
    (folder / name).write_text("# by hand\n" + yaml.safe_dump(front, allow_unicode=True, sort_keys=False))
    if links is not None:
        (folder / "catalog").mkdir(exist_ok=True)
        (folder / LINKS).write_text(links)
    return folder / name


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return kept(tmp_path, a_list())


@pytest.fixture
def library(tmp_path: Path) -> Path:
    (tmp_path / "library.csv").write_text(LIBRARY)
    return tmp_path / "library.csv"


def imported(file: Path, library: Path, *words: str, version: str = "1") -> Result:
    return type_(
        "import", library, "--source-id", "lib", "--version", version, "--list", file, "--region", "370400", *words
    )


# ---- coverage


def test_the_coverage_of_the_shipped_list_is_told_in_every_form(tmp_path: Path) -> None:
    shown = type_("coverage", "--lang", "en").output
    assert "Which further source would free most" in shown
    values = json.loads(type_("coverage", "--by", "department", "--format", "json").output)
    assert values["by"] == "department"
    rows = list(csv.DictReader(io.StringIO(type_("coverage", "--by", "scene", "--format", "csv").output)))
    assert int(rows[-1]["materials"]) == values["total"]["materials"]
    assert type_("coverage", "--format", "svg", "-o", tmp_path / "picture.svg").output == ""
    ET.parse(tmp_path / "picture.svg")  # noqa: S314 - our own text
    assert type_("coverage", "--format", "csv", "-o", tmp_path / "figures.csv").exit_code == 0
    assert (tmp_path / "figures.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_a_region_that_the_list_has_not_is_refused(file: Path) -> None:
    assert "乳山市" not in type_("coverage", file, "--region", "370400").output
    refused = type_("coverage", file, "--region", "110000")
    assert refused.exit_code == 1
    assert "370400, 371083" in refused.output


@pytest.mark.parametrize("command", ["coverage", "diff", "export", "import"])
def test_a_list_with_errors_has_no_figures_and_goes_nowhere(tmp_path: Path, library: Path, command: str) -> None:
    document = a_list()
    document["items"]["i-a"]["materials"][0]["material"] = "nothing-like-it"
    broken = kept(tmp_path, document)
    words: dict[str, tuple[str | Path, ...]] = {
        "coverage": (broken,),
        "diff": (broken, broken),
        "export": (broken, "-o", tmp_path / "list.xlsx"),
        "import": (library, "--source-id", "lib", "--version", "1", "--list", broken, "--apply"),
    }
    refused = type_(command, *words[command])
    assert refused.exit_code == 1
    assert "list.yaml:" in refused.output, "the finding names file and line"
    assert not (tmp_path / "list.xlsx").exists()
    assert (tmp_path / LINKS).read_text() == "master: {}\n"


# ---- diff


def test_a_list_does_not_differ_from_itself() -> None:
    front = ROOT / "data_catalog.yaml"
    assert type_("diff", front).output == "没有差异 / no difference\n"
    assert json.loads(type_("diff", front, "--json").output) == {"changes": [], "patch": []}


def test_what_changed_is_told_in_either_language(tmp_path: Path, file: Path) -> None:
    document = a_list()
    document["items"]["i-a"]["regions"]["370400"]["seq"] = "9"
    other = kept(tmp_path, document, "other.yaml")
    assert type_("diff", file, other).output == "事项 食品经营许可 [i-a] 枣庄市：序号 1 → 9\n"
    assert "number 1 → 9" in type_("diff", file, other, "--lang", "en").output
    told = json.loads(type_("diff", file, other, "--json").output)
    assert told["patch"] == [{"op": "replace", "path": "/items/i-a/regions/370400/seq", "value": "9"}]
    assert [one["kind"] for one in told["changes"]] == ["renumbered"]


# ---- import


def test_an_import_tells_first_and_writes_only_when_told_to(file: Path, library: Path) -> None:
    before = file.read_bytes()
    told = imported(file, library)
    assert told.exit_code == 0
    assert "将写入 / to be written: 1\n  linked  食品经营许可 [i-a] 枣庄市：关联事项库 食品经营许可" in told.output
    assert "material-absent  食品经营许可 [i-a] 枣庄市：事项库没有材料 健康证明" in told.output
    assert (file.parent / LINKS).read_text() == "master: {}\n", "nothing is written without --apply"
    assert imported(file, library, "--apply").exit_code == 0
    assert yaml.safe_load((file.parent / LINKS).read_text()) == {
        "master": {
            "i-a": {
                "370400": {
                    "source": "lib", "id": CODE, "version": "1", "task_code": CODE, "name": "食品经营许可",
                    "materials": {"m-a": {"name": "营业执照", "is_need": True, "by_law": "某法 第九条"}},
                }
            }
        }
    }  # fmt: skip
    assert file.read_bytes() == before, "what was written by hand is never touched"
    assert "unknown" not in imported(file, library).output
    assert type_("check", file, "--quiet").exit_code == 0


def test_drift_is_told_after_the_library_moved_on(file: Path, library: Path) -> None:
    imported(file, library, "--apply")
    library.write_text(LIBRARY.replace("第九条", "第十条"))
    assert "version 1 is the same" not in imported(file, library, "--lang", "en", version="2").output
    told = json.loads(imported(file, library, "--json", version="2").output)
    assert [(one["kind"], one["written"]) for one in told["differences"]] == [
        ("retied", True), ("changed", True), ("material-absent", False),
    ]  # fmt: skip
    assert "same-version" in imported(file, library).output


def test_an_import_that_changes_nothing_says_so(file: Path, library: Path) -> None:
    document = a_list()
    del document["items"]["i-a"]["materials"][1]
    del document["materials"]["m-b"]
    kept(file.parent, document)
    imported(file, library, "--apply")
    assert imported(file, library).output == "与事项库一致 / nothing differs from the library\n"


def test_a_bad_row_is_named_and_nothing_is_written(file: Path, library: Path) -> None:
    library.write_text(LIBRARY + f"{CODE},食品经营许可,健康证明,maybe,\n")
    refused = imported(file, library, "--apply")
    assert refused.exit_code == 1
    assert refused.output.startswith("library.csv:3 error value is_need 的值“maybe”无法识别")
    assert json.loads(imported(file, library, "--json").output)["findings"][0]["place"] == "3"
    library.write_text("no,heads\n")
    assert "library.csv:1 error header" in imported(file, library, "--apply").output
    assert (file.parent / LINKS).read_text() == "master: {}\n"


@pytest.mark.parametrize("links", [None, "master: {i-a: {}}\n"])
def test_ties_are_kept_in_their_own_file_or_not_at_all(tmp_path: Path, library: Path, links: str | None) -> None:
    """A front door that does not include the file would not know of them; a section elsewhere would be a second one."""
    document = a_list() | ({"master": {}} if links else {})
    refused = imported(kept(tmp_path, document, links=None), library, "--apply")
    assert refused.exit_code == 1
    assert LINKS in refused.output
    assert not (tmp_path / LINKS).exists()


def test_an_id_that_the_grammar_refuses_is_not_written(file: Path, library: Path) -> None:
    refused = type_(
        "import", library, "--source-id", "Not An Id", "--version", "1", "--list", file, "--region", "370400", "--apply"
    )
    assert refused.exit_code == 1
    assert "未写入 / nothing was written" in refused.output
    assert (file.parent / LINKS).read_text() == "master: {}\n"


def test_a_library_of_thousands_is_told_in_a_screenful(file: Path, library: Path) -> None:
    library.write_text(LIBRARY + "".join(f"{CODE[:-3]}{number},事项{number},,,\n" for number in range(100, 200)))
    told = imported(file, library)
    assert "  unknown  ……另有 80 条，见 --json\n" in told.output
    assert len(told.output.splitlines()) < 30
    assert len(json.loads(imported(file, library, "--json").output)["differences"]) > 100


def test_the_shipped_list_is_ready_for_its_ties(tmp_path: Path) -> None:
    shutil.copy(ROOT / "data_catalog.yaml", tmp_path)
    shutil.copytree(ROOT / "catalog", tmp_path / "catalog")
    library = tmp_path / "library.json"
    library.write_text(json.dumps([{"task_code": CODE, "item_name": "公司设立登记"}]))
    assert imported(tmp_path / "data_catalog.yaml", library, "--apply").exit_code == 0
    assert "company-setup" in (tmp_path / LINKS).read_text()
    assert type_("check", tmp_path / "data_catalog.yaml", "--quiet").exit_code == 0
    assert "事项库关联" in type_("diff", ROOT / "data_catalog.yaml", tmp_path / "data_catalog.yaml").output


# ---- export


def test_the_shipped_list_is_handed_out_as_a_workbook_and_as_csv(tmp_path: Path) -> None:
    book, table = tmp_path / "list.xlsx", tmp_path / "list.csv"
    told = type_("export", "-o", book).output
    assert told == type_("export", "--format", "csv", "-o", table).output
    rows = int(told.split()[0])
    assert openpyxl.load_workbook(book).worksheets[0].max_row == rows + 2
    with table.open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.reader(file))) == rows + 2
    assert int(type_("export", "-o", book, "--region", "370400").output.split()[0]) < rows
    assert type_("export", "-o", book, "--region", "1").exit_code == 1
