"""The individual life cycle, whole: every leaf row of both cities' tables is an item, and says what the table says."""

from __future__ import annotations

import csv
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from broker.core.catalog import Mode, RowState, catalog_from
from broker.store.catalog_file import read_catalog

ROOT = Path(__file__).parents[2]
SHIPPED = read_catalog(ROOT / "data_catalog.yaml").document
CATALOG = catalog_from(SHIPPED)
CITIES = {"370400": "zaozhuang", "371083": "rushan"}
LEVELS = {"370400": "city", "371083": "county"}
ITEMS = {key: item for key, item in SHIPPED["items"].items() if item["life_cycle"] == "individual"}
NOTHING_ASKED = {"college-admission-query": "考生凭考生号查询，不提交材料"}
DOUBTFUL = re.compile("may be|left blank|lead = |lead_guess filled from|misprint|scene_guess|level=")


def printed(region: str) -> list[dict[str, str]]:
    with (ROOT / f"tests/seeds/{CITIES[region]}-individual.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def is_repeated(row: dict[str, str]) -> bool:
    return "DUPLICATE" in (row["note"] or "")


ROWS = [(region, row) for region in CITIES for row in printed(region) if not is_repeated(row)]
NAMES = [f"{CITIES[region]}-{row['seq']}-{row['sub_item'] or row['item']}" for region, row in ROWS]


def number(row: dict[str, str]) -> str:
    corrected = re.search(r"corrected_seq=(\d+)", row["note"] or "")
    return corrected.group(1) if corrected else row["seq"]


def departments(cell: str | None) -> list[str]:
    return [name for name in re.split("[、 ]", cell or "") if name]


def leaf(item: dict[str, Any], place: dict[str, Any]) -> tuple[str, str, str]:
    """Number, row and sub-item of an item as the region prints them."""
    row = place.get("wording") or item.get("row") or item["name"]["zh"]
    return place["seq"], row, place.get("sub_wording") or (item["name"]["zh"] if "row" in item else "")


def place_of(region: str, row: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    told = (number(row), row["item"], row["sub_item"] or "")
    places = [(item, item["regions"][region]) for item in ITEMS.values() if region in item["regions"]]
    [found] = [(item, place) for item, place in places if leaf(item, place) == told]
    return found


@pytest.mark.parametrize(("region", "row"), ROWS, ids=NAMES)
def test_every_leaf_row_is_one_item(region: str, row: dict[str, str]) -> None:
    place_of(region, row)


@pytest.mark.parametrize("region", CITIES)
def test_no_item_stands_in_a_city_without_a_row(region: str) -> None:
    assert sum(region in item["regions"] for item in ITEMS.values()) == sum(city == region for city, _ in ROWS)


@pytest.mark.parametrize(
    ("region", "row"),
    [(region, row) for region, row in ROWS if not row["note"]],
    ids=[name for name, (_, row) in zip(NAMES, ROWS, strict=True) if not row["note"]],
)
def test_every_cell_of_a_row_without_a_note_agrees(region: str, row: dict[str, str]) -> None:
    item, place = place_of(region, row)
    scene = SHIPPED["scenes"][place["scene"]]
    assert (scene["number"], scene["name"]["zh"], scene["stage"]["zh"]) == (row["scene_no"], row["scene"], row["stage"])
    assert scene["number"].split(".")[0] == row["stage_no"]
    assert item["type"] == row["item_type"]
    assert place["lead"] == departments(row.get("city_lead", row.get("lead")))
    assert place.get("coop", []) == departments(row.get("city_coop", row.get("coop")))
    assert place["level"] == LEVELS[region]
    assert "note" not in place


@pytest.mark.parametrize("region", CITIES)
def test_a_doubtful_cell_keeps_its_note(region: str) -> None:
    """What a person must confirm is told to a person."""
    doubtful = [row for city, row in ROWS if city == region and DOUBTFUL.search(row["note"] or "")]
    assert [row["item"] for row in doubtful if not place_of(region, row)[1].get("note")] == []


def test_the_row_that_rushan_prints_twice_is_one_item() -> None:
    [repeated] = [row for row in printed("371083") if is_repeated(row)]
    [item] = [item for item in ITEMS.values() if item["name"]["zh"] == repeated["item"]]
    assert item["regions"]["371083"]["seq"] == "112"
    assert "重复" in item["regions"]["371083"]["note"]


@pytest.mark.parametrize("region", CITIES)
def test_a_hundred_numbered_items_and_more(region: str) -> None:
    numbers = {item["regions"][region]["seq"] for item in ITEMS.values() if region in item["regions"]}
    assert numbers == {str(one) for one in range(1, 116)}


def test_no_material_is_a_catch_all() -> None:
    names = [
        SHIPPED["materials"][need["material"]]["name"]["zh"] for item in ITEMS.values() for need in item["materials"]
    ]
    assert [name for name in names if re.search("其他|其它|等材料|相关材料|有关材料", name)] == []


def test_every_item_asks_for_more_than_forms_unless_nothing_is_asked() -> None:
    def kinds(item: dict[str, Any]) -> set[str]:
        return {SHIPPED["materials"][need["material"]]["kind"] for need in item["materials"]}

    assert {key for key, item in ITEMS.items() if not kinds(item) - {"form"}} == set(NOTHING_ASKED)


def test_only_documented_sources_confirm() -> None:
    """What nobody has documented, or has no answer schema, stays proposed."""
    described = {path.name.split(".")[0] for path in (ROOT / "schemas/sources").glob("*.answer.schema.json")}
    used = {need["material"] for item in ITEMS.values() for need in item["materials"]}
    rows = [row for key in used for row in CATALOG.materials[key].chain if row.mode.asks_source]
    assert {row.source for row in rows if row.state is RowState.CONFIRMED} <= described


def test_a_commitment_is_offered_only_where_a_text_says_so() -> None:
    used = {need["material"] for item in ITEMS.values() for need in item["materials"]}
    commitments = {
        key: row.basis for key in used for row in CATALOG.materials[key].chain if row.mode is Mode.COMMITMENT
    }
    assert set(commitments) == {
        "vehicle-loss-proof",
        "remote-work-proof",
        "remote-residence-proof",
        "remote-settlement-proof",
    }
    assert all("承诺" in basis for basis in commitments.values())


@pytest.mark.parametrize("key", ["registration-card-reassignment", "registration-card-adjustment"])
def test_the_registration_card_ended_with_2022(key: str) -> None:
    item = CATALOG.items[key]
    assert item.effective.covers(date(2022, 12, 31))
    assert not item.effective.covers(date(2023, 1, 1))
    assert "国办发〔2022〕13号" in item.abolished_by


@pytest.mark.parametrize(
    ("key", "material", "last"),
    [
        ("household-move-after-college", "registration-card", date(2022, 12, 31)),
        ("remote-care-emergency", "emergency-proof", date(2022, 12, 31)),
        ("early-retirement-eligibility", "work-capacity-conclusion", date(2024, 12, 31)),
        ("foreign-marriage-registration", "marriage-household-register", date(2025, 5, 9)),
        ("foreign-divorce-registration", "marriage-household-register", date(2025, 5, 9)),
    ],
)
def test_a_paper_that_the_law_dropped_is_asked_until_its_last_day(key: str, material: str, last: date) -> None:
    [need] = [one for one in CATALOG.items[key].requirements if one.material == material]
    assert need.effective.end == last
