"""The enterprise life cycle is whole: every leaf of both cities' tables is an item, and says what the table says."""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

import pytest

from broker.core.catalog import Item, Mode, RowState, catalog_from
from broker.store.catalog_file import read_catalog

ROOT = Path(__file__).parents[2]
SHIPPED = read_catalog(ROOT / "data_catalog.yaml")
CATALOG = catalog_from(SHIPPED.document)
ITEMS = {key: item for key, item in CATALOG.items.items() if item.life_cycle == "enterprise"}

TABLES = {"370400": ("zaozhuang", 142), "371083": ("rushan", 143)}  # the leaves that each table prints
PRINTED = {"370400": ("city_lead", "city_coop"), "371083": ("lead", "coop")}

# The guide asks nothing but a form, and the reason.
FORM_ONLY = {
    "contribution-base-declaration": "a declaration; what the employees signed stays with the employer",
    "medical-contribution-assessment": "a declaration, assessed against the register of insured persons",
    "medical-wage-declaration": "a declaration; what the employees signed stays with the employer",
    "social-insurance-payment": "a payment against what was assessed",
    "tax-benefits": "judged by the taxpayer, who keeps the evidence",
    "investment-project-filing": "the company states the project's data (企业投资项目核准和备案管理条例 第十三条)",
    "environmental-impact-filing": "the company fills in the form online",
}


@cache
def table(region: str) -> tuple[dict[str, str], ...]:
    with (ROOT / f"tests/seeds/{TABLES[region][0]}-enterprise.tsv").open() as file:
        return tuple(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


ROWS = [(region, position) for region in TABLES for position in range(TABLES[region][1])]


def printed(item: Item, region: str) -> tuple[str, str]:
    """The row and the sub-item, as this region prints them."""
    place, name = item.places[region], item.name["zh"]
    row = place.wording or item.row or name
    leaf = place.sub_wording or (name if item.row else "")
    return row, "" if row == leaf == place.wording else leaf


def item_of(region: str, row: dict[str, str]) -> Item:
    """The one item that prints this row; in this life cycle no two leaves of a region are called alike."""
    name = (row["item"], row["sub_item"])
    [found] = [item for item in ITEMS.values() if region in item.places and printed(item, region) == name]
    return found


def departments(cell: str) -> tuple[str, ...]:
    return tuple(name for name in re.split("[、 ]", cell or "") if name)


def number(row: dict[str, str]) -> str:
    corrected = re.search(r"corrected_seq=(\d+)", row["note"] or "")
    return corrected.group(1) if corrected else row["seq"]


@pytest.mark.parametrize("region", TABLES)
def test_every_leaf_of_the_table_is_one_item(region: str) -> None:
    leaves = [item_of(region, row).key for row in table(region)]
    assert len(leaves) == len(set(leaves)) == TABLES[region][1]
    assert set(leaves) == {key for key, item in ITEMS.items() if region in item.places}


@pytest.mark.parametrize(("region", "position"), ROWS)
def test_every_cell_of_the_row_agrees(region: str, position: int) -> None:
    """What a row's note corrects is compared as corrected; a row without one, as it is printed."""
    row = table(region)[position]
    item = item_of(region, row)
    place = item.places[region]
    scene = CATALOG.scenes[place.scene]
    lead, coop = PRINTED[region]
    assert place.sequence == number(row)
    assert (scene.number, scene.name["zh"], scene.stage["zh"]) == (row["scene_no"], row["scene"], row["stage"])
    assert item.type == (row["item_type"] or item.type)
    assert (place.lead, place.cooperating) == (departments(row[lead]), departments(row[coop]))
    if not row["note"]:
        assert place.sequence == row["seq"]
        assert not place.note


@pytest.mark.parametrize("region", TABLES)
def test_the_items_stand_in_the_order_of_the_table(region: str) -> None:
    told = [item_of(region, row).key for row in table(region)]
    assert [key for key, item in ITEMS.items() if region in item.places] == told


@pytest.mark.parametrize("region", TABLES)
def test_more_than_a_hundred_numbered_items_are_covered(region: str) -> None:
    assert len({item.places[region].sequence for item in ITEMS.values() if region in item.places}) >= 100


GUESSED = "scene_guess|lead_guess=|level=|type_not_printed|merged_cell_guess|identical to the item name"


@pytest.mark.parametrize(("region", "position"), ROWS)
def test_a_guess_is_told_to_who_must_confirm_it(region: str, position: int) -> None:
    """Where the transcription had to guess a cell of the row, the place's note says how it is read."""
    row = table(region)[position]
    if re.search(GUESSED, row["note"] or ""):
        assert item_of(region, row).places[region].note


@pytest.mark.parametrize("key", ITEMS)
def test_an_item_asks_for_more_than_a_form(key: str) -> None:
    kinds = {CATALOG.materials[need.material].kind for need in ITEMS[key].requirements}
    assert kinds
    assert (kinds == {"form"}) == (key in FORM_ONLY)


def used() -> set[str]:
    return {need.material for item in ITEMS.values() for need in item.requirements}


def test_no_material_is_a_catch_all() -> None:
    vague = re.compile("其[他它].{0,6}(材料|资料|文件|证明)|有关材料|相关材料|规定的.{0,4}材料")
    assert [key for key in used() if vague.search(CATALOG.materials[key].name["zh"])] == []


def test_no_two_materials_are_called_alike() -> None:
    names = [material.name["zh"] for material in CATALOG.materials.values()]
    assert sorted(names) == sorted(set(names))


def test_where_the_law_excludes_commitments_none_is_offered() -> None:
    excluded = [key for key in ITEMS if "no_commitment" in SHIPPED.document["items"][key]]
    assert {"construction-safety-licence", "food-production-licence", "fire-acceptance"} <= set(excluded)
    offered = {key for key, one in CATALOG.materials.items() if any(row.mode is Mode.COMMITMENT for row in one.chain)}
    assert not any(need.material in offered for key in excluded for need in ITEMS[key].requirements)


def test_what_an_item_of_the_list_issues_is_not_handed_in_blindly() -> None:
    """A permit that the list itself issues is replaced by its e-certificate, or by what the scene issued."""
    issued = {
        "eia-approval",
        "fire-inspection-certificate",
        "fire-opinion",
        "fire-design-approval",
        "fire-acceptance-opinion",
        "land-preexamination",
        "land-use-planning-permit",
        "planning-permit",
        "new-planning-permit",
        "planning-verification",
        "new-planning-verification",
        "completion-proof",
        "new-completion-filing",
        "civil-defence-approval",
        "project-approval",
        "examined-drawings",
        "medical-setup-approval",
        "medical-institution-licence-copy",
        "tax-clearance",
        "deregistration-proof",
        "changed-business-licence",
    }
    assert issued <= used()
    assert all(CATALOG.materials[key].chain[0].mode is not Mode.SUBMISSION for key in issued)


def test_a_source_that_nobody_has_connected_confirms_nothing() -> None:
    described = {path.name.partition(".")[0] for path in (ROOT / "schemas/sources").glob("*.answer.schema.json")}
    rows = [row for key in used() for row in CATALOG.materials[key].chain if row.source and row.mode.asks_source]
    assert all(row.source in described for row in rows if row.state is RowState.CONFIRMED)


def test_vehicles_of_companies_need_what_vehicles_of_persons_need() -> None:
    """The same article in both life cycles; a company shows its licence where a person shows a card."""
    who = {"business-licence", "identity"}
    for kind in ("registration", "change", "transfer", "deregistration"):
        company, person = (CATALOG.items[f"{prefix}vehicle-{kind}"].requirements for prefix in ("company-", ""))
        assert {need.material for need in company} - who == {need.material for need in person} - who
