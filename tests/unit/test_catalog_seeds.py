"""The shipped list: without errors, and in every cell the same as the two cities' tables (tests/seeds)."""

from __future__ import annotations

import csv
import json
import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from broker.core.catalog import Catalog, Form, Level, Mode, RowState, catalog_from
from broker.core.check import check
from broker.core.findings import render
from broker.store.catalog_file import read_catalog

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "schemas/catalog.schema.json").read_text())
SHIPPED = read_catalog(ROOT / "data_catalog.yaml")
CITIES = {"370400": "zaozhuang", "371083": "rushan"}
MARKS = {"威海市级事项": "city", "省级事项": "province"}

PLACES = [(key, region) for key, item in SHIPPED.document["items"].items() for region in item["regions"]]


@cache
def table(region: str, life_cycle: str) -> tuple[dict[str, str], ...]:
    """The rows of one table; a row the transcription marks as printed twice is left out."""
    with (ROOT / f"tests/seeds/{CITIES[region]}-{life_cycle}.tsv").open() as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return tuple(row for row in rows if "DUPLICATE" not in (row["note"] or ""))


@cache
def catalog() -> Catalog:
    return catalog_from(SHIPPED.document)


def number(row: dict[str, str]) -> str:
    """As it is to be read where the print drifts."""
    corrected = re.search(r"corrected_seq=(\d+)", row["note"] or "")
    return corrected.group(1) if corrected else row["seq"]


def departments(cell: str | None) -> list[str]:
    return [name for name in re.split("[、 ]", cell or "") if name]


def rows_of(key: str, region: str) -> list[dict[str, str]]:
    """The rows of the table with this item's number, scene and wording in the region."""
    item = SHIPPED.document["items"][key]
    place = item["regions"][region]
    leaf = place.get("sub_wording") or (item["name"]["zh"] if "row" in item else "")
    name = place.get("wording") or item.get("row") or item["name"]["zh"]
    leaf = "" if name == place.get("wording") == leaf else leaf  # here the sub-item is printed as a row of its own
    return [
        row
        for row in table(region, item["life_cycle"])
        if (number(row), row["item"], row["sub_item"]) == (place["seq"], name, leaf)
    ]


def test_the_shipped_list_has_no_errors() -> None:
    assert [finding.message_en for finding in SHIPPED.findings] == []
    errors = [finding for finding in check(SHIPPED.document, SCHEMA) if finding.severity == "error"]
    assert render(errors, SHIPPED.places) == []


def test_the_warnings_of_the_shipped_list_are_the_known_gaps() -> None:
    findings = check(SHIPPED.document, SCHEMA)
    known = {"service-unknown", "source-without-unit", "no-basis", "chain-proposed", "lead-missing", "person-not-named"}
    assert {finding.rule for finding in findings} == known
    authorities = {source["authority"]["zh"] for source in SHIPPED.document["sources"].values()}
    assert sum(finding.rule == "source-without-unit" for finding in findings) == len(authorities)


@pytest.mark.parametrize(("key", "region"), PLACES)
def test_every_cell_agrees_with_the_plan(key: str, region: str) -> None:
    item = SHIPPED.document["items"][key]
    place = item["regions"][region]
    [row] = rows_of(key, region)
    scene = SHIPPED.document["scenes"][place["scene"]]
    assert place["scene"] == f"{item['life_cycle']}-{row['scene_no']}"
    assert (scene["stage"]["zh"], scene["name"]["zh"]) == (row["stage"], row["scene"])
    assert row["item_type"] in {item["type"], ""}  # Rushan's print leaves some cells out
    assert place["lead"] == departments(row.get("city_lead", row.get("lead")))
    assert place.get("coop", []) == departments(row.get("city_coop", row.get("coop")))


@pytest.mark.parametrize(("key", "region"), PLACES)
def test_the_level_is_the_one_the_plan_marks(key: str, region: str) -> None:
    place = SHIPPED.document["items"][key]["regions"][region]
    [row] = rows_of(key, region)
    mark = re.search(r"level=(\S+?事项)", row["note"] or "")
    assert place["level"] == (MARKS[mark.group(1)] if mark else {"370400": "city", "371083": "county"}[region])
    assert mark is None or mark.group(1) in place["note"]


def test_every_scene_of_the_plans_is_listed() -> None:
    told = {
        f"{life_cycle}-{row['scene_no']}"
        for region in CITIES
        for life_cycle in ("enterprise", "individual")
        for row in table(region, life_cycle)
    }
    assert set(SHIPPED.document["scenes"]) == told


@pytest.mark.parametrize("region", CITIES)
def test_the_scene_of_starting_a_company_is_complete(region: str) -> None:
    """Every leaf of scene 1.1, in the plan's order."""
    told = [row["sub_item"] or row["item"] for row in table(region, "enterprise") if row["scene_no"] == "1.1"]
    assert [catalog().items[key].name["zh"] for key in catalog().scene_items[region, "enterprise-1.1"]] == told


@pytest.mark.parametrize("region", CITIES)
@pytest.mark.parametrize("life_cycle", ["enterprise", "individual"])
def test_the_items_stand_in_the_order_of_the_plan(region: str, life_cycle: str) -> None:
    items = [item for item in catalog().items.values() if item.life_cycle == life_cycle and region in item.places]
    numbers = [int(item.places[region].sequence) for item in items]
    assert numbers == sorted(numbers)


def test_both_life_cycles_and_both_cities_are_covered() -> None:
    for region in CITIES:
        for life_cycle in ("enterprise", "individual"):
            here = [one for one in catalog().items.values() if region in one.places and one.life_cycle == life_cycle]
            assert len(here) >= 20


def test_rushan_shows_items_that_weihai_and_the_province_decide() -> None:
    levels = {one.places["371083"].level for one in catalog().items.values() if "371083" in one.places}
    assert levels == {Level.COUNTY, Level.CITY, Level.PROVINCE}
    assert catalog().regions["371083"].levels == (Level.COUNTY,)


def test_the_foreign_trade_filing_ended_with_its_law() -> None:
    item = catalog().items["foreign-trade-filing"]
    assert item.effective.covers(date(2022, 12, 29))
    assert not item.effective.covers(date(2022, 12, 30))
    assert "2022年12月30日" in item.abolished_by


@pytest.mark.parametrize("key", ["marriage-registration", "divorce-registration"])
def test_the_household_register_for_marriage_ended_on_10_may_2025(key: str) -> None:
    registers = [one for one in catalog().items[key].requirements if one.material == "marriage-household-register"]
    assert len(registers) == 2
    assert all(one.effective.covers(date(2025, 5, 9)) for one in registers)
    assert not any(one.effective.covers(date(2025, 5, 10)) for one in registers)


def confirmed(material: str) -> list[tuple[str, Form | None]]:
    chain = catalog().materials[material].chain
    return [(row.source or row.mode, row.form) for row in chain if row.state is RowState.CONFIRMED]


def test_the_main_cases_are_confirmed() -> None:
    """What the food licence, the fund withdrawal and the company need is asked of confirmed rows, in this order."""
    assert confirmed("identity") == [("ps-identity", Form.VERIFY)] * 2 + [(Mode.SUBMISSION, None)]  # anew, then reused
    assert confirmed("business-licence")[:2] == [
        ("ecert-business-licence", Form.QUERY),
        ("samr-enterprise", Form.QUERY),
    ]
    assert confirmed("new-business-licence")[:2] == [
        (Mode.SCENE_RESULT, None),
        ("ecert-business-licence", Form.QUERY),
    ]
    assert confirmed("marriage")[0] == ("mca-marriage", Form.VERIFY)
    assert [source for source, _ in confirmed("title-or-contract")[:3]] == [
        "nr-title",
        "ecert-real-estate-title",
        "hc-contract",
    ]
    assert confirmed("premises-title")[0] == ("ecert-real-estate-title", Form.QUERY)


def test_every_mode_is_in_use() -> None:
    used = {row.mode for material in catalog().materials.values() for row in material.chain}
    assert used == set(Mode)


def test_only_published_codes_are_given() -> None:
    """Codes that public callers use; every other source waits for its deployment."""
    given = {key: source.service for key, source in catalog().sources.items() if source.service is not None}
    assert given == {
        "ps-identity": "s_1200000900000_2109",
        "ps-base": "s_1200000900000_2108",
        "ecert-id-card": "11100000000013127D001",
        "ecert-real-estate-title": "11100000MB03271699001",
        "ecert-real-estate-registration": "11100000MB03271699022",
        "ecert-safety-officer": "11100000000013338W011",
        "ecert-special-operator": "11100000000013338W032",
    }


def test_confirmed_rows_cite_a_law_or_a_documented_interface() -> None:
    def vague(row: Any) -> bool:
        return row.mode.asks_source and not re.search("国务院令|documented connector|法 第", row.basis)

    rows = [row for material in catalog().materials.values() for row in material.chain]
    assert not any(vague(row) for row in rows if row.state is RowState.CONFIRMED)
