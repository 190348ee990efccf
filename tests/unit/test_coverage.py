"""The figures of coverage add up, agree with what applicants are told, and rank sources by what they really free."""

from __future__ import annotations

import copy
import csv
import io
import json
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.catalog import Edition, catalog_from
from broker.core.cells import plain, safe, starts_formula, width
from broker.core.check import check
from broker.core.coverage import By, Coverage, Figures, Kind, State, Step, coverage, further_sources, lines
from broker.core.coverage_picture import as_svg
from broker.core.coverage_text import as_csv, as_values, table
from broker.core.findings import has_errors
from broker.core.guide import guide
from broker.store.catalog_file import read_catalog
from tests.lists import SOURCES, asking, checking, documents, item, material, promise, reusing, whole

DAY = date(2026, 1, 1)
ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "schemas/catalog.schema.json").read_text())
COUNTS = ("items", "not_in_force", "elsewhere", "materials", "exempt", "waiting", "missing", "own", "saved")
SVG = "{http://www.w3.org/2000/svg}"


def of(document: Any, by: By = By.REGION, region: str | None = None) -> Coverage:
    return coverage(catalog_from(document), DAY, by, region)


def exempt(document: Any) -> int:
    return of(document).total.exempt


def example() -> dict[str, Any]:
    """Six materials, one of each standing, required by two items of one scene in both regions."""
    materials = {
        "m-held": material("已确认", asking("s-zero")),
        "m-wait": material("拟议", asking("s-one", "proposed")),
        "m-unit": material("核查", checking("公安局", "proposed")),
        "m-none": material("无来源"),
        "m-form": material("申请表", kind="form"),
        "m-law": material("承诺", promise()),
    }
    needs = [{"material": key} for key in materials]
    both = ("370400", "371083")
    items = {
        "i-a": item("事项甲", 1, "enterprise-1.1", *needs, regions=both),
        "i-b": item("事项乙", 1, "enterprise-1.1", {"material": "m-wait"}, regions=both),
    }
    return whole(materials, items)


@settings(max_examples=100, deadline=None)
@given(documents())
def test_the_random_lists_of_these_tests_pass_the_check(document: dict[str, Any]) -> None:
    findings = check(document, SCHEMA)
    assert not has_errors(findings), [finding.message_en for finding in findings]


# ---- figures


def test_each_line_stands_where_its_chain_puts_it() -> None:
    total = of(example()).total
    assert (total.items, total.numbered, total.materials) == (4, 2, 14)
    assert total.confirmed == {"data_query": 2, "commitment": 2}
    assert total.proposed == {"data_query": 4, "department_check": 2}
    assert (total.missing, total.own) == (4, 2)
    assert (total.elsewhere, total.saved) == (2, 2), "Rushan decides nothing at the city's level"


def test_reuse_alone_exempts_nothing() -> None:
    document = whole(
        {"m-a": material("材料", reusing(SOURCES[0]))}, {"i-a": item("事项", 1, "enterprise-1.1", {"material": "m-a"})}
    )
    assert of(document).total.missing == 1


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, State.CONFIRMED),
        ({"effective": {"to": "2022-12-30"}}, State.MISSING),
        ({"level": "city"}, State.CONFIRMED),
        ({"level": "province"}, State.MISSING),
        ({"scene": "enterprise-2.1"}, State.MISSING),
    ],
)
def test_a_result_counts_where_its_issuer_is_handled_in_the_same_scene(change: dict[str, Any], state: State) -> None:
    issued = material("营业执照", {"mode": "scene_result", "item": "i-a"})
    items = {
        "i-a": item("设立", 1, "enterprise-1.1"),
        "i-b": item("刻章", 2, "enterprise-1.1", {"material": "m-a"}),
    }
    if "effective" in change:
        items["i-a"] |= change
    else:
        items["i-a"]["regions"]["370400"] |= change
    [line] = lines(catalog_from(whole({"m-a": issued}, items)), DAY)
    assert line.state is state


def test_what_is_no_longer_in_force_requires_nothing() -> None:
    document = example()
    document["items"]["i-a"]["effective"] = {"to": "2022-12-30"}
    document["items"]["i-b"]["materials"][0]["effective"] = {"from": "2030-01-01"}
    total = of(document).total
    assert (total.items, total.not_in_force, total.materials) == (4, 2, 0)


@settings(max_examples=150, deadline=None)
@given(documents(), st.sampled_from([By.REGION, By.LIFE_CYCLE, By.STAGE, By.SCENE]))
def test_the_groups_add_up_to_the_total(document: dict[str, Any], by: By) -> None:
    report = of(document, by)
    for name in COUNTS:
        assert sum(getattr(group.figures, name) for group in report.groups) == getattr(report.total, name), name
    if by is not By.STAGE and by is not By.SCENE:
        assert sum(group.figures.numbered for group in report.groups) == report.total.numbered


@settings(max_examples=150, deadline=None)
@given(documents(), st.sampled_from(list(By)))
def test_every_group_is_consistent_in_itself(document: dict[str, Any], by: By) -> None:
    for figures in (group.figures for group in of(document, by).groups):
        assert figures.exempt + figures.waiting + figures.missing == figures.materials
        assert figures.saved <= figures.exempt
        assert figures.own <= figures.missing
        assert figures.numbered <= figures.items
        assert max(figures.not_in_force, figures.elsewhere) <= figures.items


@settings(max_examples=50, deadline=None)
@given(documents())
def test_one_region_is_its_group_of_the_whole(document: dict[str, Any]) -> None:
    parts = {group.key: group.figures for group in of(document).groups}
    for region, figures in parts.items():
        alone = of(document, region=region)
        assert alone.total == figures
        assert {proof.region for proof in alone.proof} == {region}
        assert [group.key for group in alone.groups] == [region]


def test_an_item_that_two_departments_lead_counts_for_both() -> None:
    document = example()
    document["items"]["i-a"]["regions"]["370400"]["lead"] = ["市审批服务局", "市公安局"]
    document["items"]["i-b"]["regions"]["371083"]["lead"] = []
    groups = {group.key: group.figures.items for group in of(document, By.DEPARTMENT).groups}
    assert groups == {"市审批服务局": 3, "市公安局": 1, "": 1}


@settings(max_examples=100, deadline=None)
@given(documents())
def test_what_is_exempt_is_what_the_applicant_is_told(document: dict[str, Any]) -> None:
    """The guide and the coverage read the chains separately and must agree on every line."""
    edition = Edition(1, "", catalog_from(document))
    for line in lines(edition.catalog, DAY):
        told = guide(edition, region=line.place.region, item=line.item.key, scene=None, today=DAY)
        [entry] = [one for one in told["materials"] if one["key"] == line.requirement.key]
        free = entry["outcome"] in {"skipped", "issued_here", "checked", "commitment"}
        assert free == (line.state is State.CONFIRMED), entry


def test_the_proof_counts_numbers_of_a_city_and_life_cycle_once() -> None:
    items = {
        f"i-{number}": item(f"事项{number}", number // 2 + 1, "individual-1.1", regions=("370400", "371083"))
        for number in range(199)
    }
    document = whole({"m-a": material("材料")}, items)
    proof = {(one.region, one.life_cycle): (one.numbered, one.met) for one in of(document).proof}
    assert proof == {
        ("370400", "enterprise"): (0, False),
        ("370400", "individual"): (100, True),
        ("371083", "enterprise"): (0, False),
        ("371083", "individual"): (100, True),
    }


def test_the_shipped_list_has_the_numbered_items_that_the_plans_promise() -> None:
    report = of(read_catalog(ROOT / "data_catalog.yaml").document)
    assert [(one.region, one.life_cycle) for one in report.proof if not one.met] == []
    assert len(report.proof) == 4


# ---- the ranking


def confirmed(document: dict[str, Any], step: Step) -> dict[str, Any]:
    """The list after the step was taken: every proposed row of the source or unit confirmed, or a new source found."""
    after = copy.deepcopy(document)
    for key, entry in after["materials"].items():
        if step.kind is Kind.NEW and key == step.key:
            entry["chain"].insert(0, asking("s-zero"))
        for row in entry["chain"]:
            if step.key == row.get("source" if step.kind is Kind.SOURCE else "unit"):
                row["state"] = "confirmed"
    return after


@settings(max_examples=100, deadline=None)
@given(documents())
def test_a_step_frees_what_taking_it_would_free(document: dict[str, Any]) -> None:
    before, reached = exempt(document), document
    for step in of(document).steps:
        assert exempt(confirmed(document, step)) - before == step.alone
        further = confirmed(reached, step)
        assert exempt(further) - exempt(reached) == step.adds
        reached = further


@settings(max_examples=100, deadline=None)
@given(documents())
def test_the_ranking_is_as_good_as_greed_can_be(document: dict[str, Any]) -> None:
    """The first step is the best there is; two are at least 1 - (1 - 1/2)² of the best two, by the known bound."""
    catalog = catalog_from(document)
    everything = further_sources(catalog, lines(catalog, DAY), limit=100)
    before = exempt(document)
    assert everything[:10] == of(document).steps
    if everything:
        assert everything[0].adds == everything[0].alone == max(step.alone for step in everything)
        assert [step.adds for step in everything] == sorted((step.adds for step in everything), reverse=True)
    if len(everything) > 1:
        pairs = combinations(everything, 2)
        best = max(exempt(confirmed(confirmed(document, one), other)) - before for one, other in pairs)
        assert everything[0].adds + everything[1].adds >= 0.75 * best


def test_greed_takes_what_adds_most_and_not_what_is_large() -> None:
    document = example()
    document["materials"]["m-unit"]["chain"].insert(0, asking("s-two", "proposed"))
    document["materials"]["m-wait"]["chain"].insert(0, asking("s-two", "proposed"))
    ranking = [(step.kind, step.key, step.adds, step.alone) for step in of(document).steps]
    assert ranking == [(Kind.SOURCE, "s-two", 6, 6), (Kind.NEW, "m-none", 2, 2)]


def test_nobody_is_told_to_find_a_source_for_what_the_applicant_writes() -> None:
    assert "m-form" not in {step.key for step in of(example()).steps}


# ---- how it is told


def test_the_table_is_aligned_and_tells_everything_in_both_languages() -> None:
    report, catalog = of(example()), catalog_from(example())
    zh, en = ("\n".join(table(report, catalog, language)) for language in ("zh", "en"))
    assert "乳山市 个人全生命周期：0 个编号事项，未达到 100 个" in zh
    assert "1. 确认数源 数源s-one [s-one]：再减 4 份（单独 4 份，1 种材料）" in zh
    assert "Rushan" not in zh
    assert "fewer than 100" in en
    assert len({width(line) for line in zh.splitlines()[:4]}) == 1
    assert table(of(whole({"m-a": material("材料")}, {})), catalog, "en")[-1].startswith("No further source")


def test_values_and_csv_say_the_same() -> None:
    report = of(example(), By.SCENE)
    values = as_values(report)
    assert json.loads(json.dumps(values)) == values
    rows = list(csv.DictReader(io.StringIO(as_csv(report))))
    assert [row["key"] for row in rows] == [*(group["key"] for group in values["groups"]), ""]
    assert int(rows[-1]["materials"]) == values["total"]["materials"] == 14
    assert int(rows[0]["confirmed_data_query"]) == values["groups"][0]["confirmed"]["data_query"]


@pytest.mark.parametrize("by", list(By))
def test_the_picture_is_xml_and_shows_every_group_and_number(by: By) -> None:
    document = example()
    document["scenes"]["enterprise-1.1"]["stage"] = document["scenes"]["enterprise-1.1"]["name"] = {
        "zh": '<script>"&\u0007' + "长" * 60, "en": "</svg>" + "x" * 90,
    }  # fmt: skip
    report = of(document, by)
    root = ET.fromstring(as_svg(report))  # noqa: S314 - our own text
    assert {element.tag for element in root.iter()} <= {
        f"{SVG}{name}" for name in ("svg", "title", "desc", "defs", "pattern", "rect", "text")
    }
    bars = [element for element in root.iter(f"{SVG}rect") if element.find(f"{SVG}title") is not None]
    told = [str(bar.findtext(f"{SVG}title")).rsplit(" ", 1)[1] for bar in bars]
    assert sum(map(int, told)) == sum(group.figures.materials for group in report.groups)
    assert all(float(bar.get("x", 0)) + float(bar.get("width", 0)) <= 931 for bar in bars)


def test_a_list_without_materials_has_a_picture() -> None:
    ET.fromstring(as_svg(of(whole({"m-a": material("材料")}, {}), By.STAGE)))  # noqa: S314 - our own text


def test_the_figures_of_nothing_are_nothing() -> None:
    total = of(whole({"m-a": material("材料")}, {})).total
    assert total == Figures(0, 0, 0, 0, 0, 0, {}, {}, 0, 0, 0)


# ---- cells


@given(st.text(alphabet="=+-@＝'\t\r\n 公a\u3000", max_size=8))
def test_a_cell_is_never_a_formula_and_loses_nothing(text: str) -> None:
    assert not starts_formula(safe(text))
    assert plain(safe(text)) == text


@pytest.mark.parametrize("text", ["=1+1", "+86", "-1", "@SUM(A1)", "＝1", "\t=1", " =1", "\r=1", "'=1", "\ufeff=1"])
def test_what_a_spreadsheet_would_reckon_gets_an_apostrophe(text: str) -> None:
    assert safe(text) == f"'{text}"
