"""The item guide tells everything once, in both languages, and nothing that is not on the list."""

from __future__ import annotations

import copy
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from broker.core.catalog import Edition, catalog_from
from broker.core.errors import CallerProblem
from broker.core.guide import guide
from broker.core.material_set import Outcome
from broker.store.catalog_file import read_catalog

ROOT = Path(__file__).parents[2]
DOCUMENT = read_catalog(ROOT / "data_catalog.yaml").document
TODAY = date(2026, 1, 1)
ZAOZHUANG, RUSHAN = "370400", "371083"


def edition(document: Any = DOCUMENT) -> Edition:
    return Edition(7, "0" * 64, catalog_from(document))


def of_item(key: str, region: str = ZAOZHUANG, today: date = TODAY) -> dict[str, Any]:
    return guide(edition(), region=region, item=key, scene=None, today=today)


def materials(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["key"]: entry for entry in told["materials"]}


def test_the_food_licence_tells_what_is_skipped_and_what_is_not() -> None:
    told = materials(of_item("food-business-licence"))
    assert {key: entry["outcome"] for key, entry in told.items()} == {
        "application-form": "submit",
        "business-licence": "skipped",
        "identity@legal_representative": "skipped",
        "layout-and-flow": "submit",
        "food-safety-rules": "submit",
        "staff-health-certificate": "submit",
    }
    licence = told["business-licence"]
    assert licence["text"]["zh"] == "免提交：由电子营业执照、企业登记信息共享取得；查不到时再请您提交"
    assert "Enterprise register" in licence["text"]["en"]
    assert [source["key"] for source in licence["sources"]] == ["ecert-business-licence", "samr-enterprise"]
    assert told["staff-health-certificate"]["basis"] == "食品安全法 第四十五条"
    assert told["identity@legal_representative"]["holder"]["zh"] == "法定代表人（负责人）"


def test_a_guide_is_plain_json() -> None:
    told = of_item("food-business-licence")
    assert json.loads(json.dumps(told)) == told


def test_a_material_of_the_spouse_says_on_what_it_depends() -> None:
    told = materials(of_item("fund-withdrawal-purchase"))
    assert told["marriage"]["condition"] == {"zh": "有配偶的", "en": "if there is a spouse"}
    assert told["identity"]["condition"] is None
    assert told["purchase-invoice"]["condition"]["zh"] == "购买新建商品房的"


def test_a_proposed_row_means_handing_in_for_now() -> None:
    entry = materials(of_item("compulsory-school-enrolment"))["household-register"]
    assert entry["outcome"] == "submit_for_now"
    assert "目前仍须提交" in entry["text"]["zh"]
    assert [source["state"] for source in entry["sources"]] == ["proposed"]


def test_a_commitment_and_a_check_between_departments_are_named() -> None:
    funds = materials(of_item("construction-permit"))["construction-funds"]
    assert funds["outcome"] == "commitment"
    assert "construction-funds/1" in funds["text"]["en"]
    record = materials(of_item("internet-cafe-licence"))["no-disqualifying-record@legal_representative"]
    assert record["outcome"] == "checked"
    assert "公安机关" in record["text"]["zh"]


def test_a_scene_asks_for_each_material_once() -> None:
    told = guide(edition(), region=RUSHAN, item=None, scene="enterprise-1.1", today=TODAY)
    keys = [entry["key"] for entry in told["materials"]]
    assert len(keys) == len(set(keys))
    identity = materials(told)["identity@legal_representative"]
    assert len(identity["items"]) == len(told["items"]) == 12
    assert told["scene"]["name"]["zh"] == "企业开办"


def test_what_an_earlier_item_issues_need_not_be_handed_in() -> None:
    told = guide(edition(), region=ZAOZHUANG, item=None, scene="enterprise-1.1", today=TODAY)
    assert materials(told)["new-business-licence"]["outcome"] == "issued_here"
    assert "公司设立登记" in materials(told)["new-business-licence"]["text"]["zh"]


def test_outside_its_scene_the_issued_paper_comes_from_the_register() -> None:
    assert materials(of_item("tax-matters"))["new-business-licence"]["outcome"] == "skipped"


def test_a_condition_that_one_item_does_not_make_is_none() -> None:
    """Two items of one scene; the second asks for the same material always."""
    document = copy.deepcopy(DOCUMENT)
    document["items"]["tax-matters"]["materials"].append({"material": "delegation-letter"})
    told = guide(edition(document), region=ZAOZHUANG, item=None, scene="enterprise-1.1", today=TODAY)
    assert materials(told)["delegation-letter"]["condition"] is None


def test_a_role_and_a_fact_that_nobody_named_stand_for_themselves() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["items"]["tax-matters"]["materials"] = [
        {"material": "identity", "holder": "tax_agent", "when": {"applicant": "organisation"}},
        {"material": "photo", "when": {"fact": "snow", "is": True}},
        {"material": "photo", "holder": "tax_agent", "when": {"applicant": "person"}},
    ]
    told = materials(guide(edition(document), region=ZAOZHUANG, item="tax-matters", scene=None, today=TODAY))
    assert told["identity@tax_agent"]["holder"]["en"] == "tax agent"
    assert told["identity@tax_agent"]["condition"]["en"] == "if the applicant is an organisation"
    assert told["photo"]["condition"]["zh"] == "snow = True"
    assert told["photo@tax_agent"]["condition"]["zh"] == "申请人为个人的"


def test_the_household_register_is_told_until_the_day_the_law_dropped_it() -> None:
    key = "marriage-household-register"
    assert key in materials(of_item("marriage-registration", today=date(2025, 5, 9)))
    assert key not in materials(of_item("marriage-registration", today=date(2025, 5, 10)))


def test_an_item_of_another_level_is_shown_and_marked() -> None:
    told = of_item("lawyer-practice-licence", RUSHAN)
    assert told["items"][0]["decided_here"] is False
    assert told["items"][0]["decided_elsewhere"]["zh"].startswith("威海市级事项")
    assert of_item("lawyer-practice-licence")["items"][0]["decided_elsewhere"] is None


def test_an_abolished_item_is_refused_with_the_law() -> None:
    with pytest.raises(CallerProblem) as caught:
        of_item("foreign-trade-filing")
    assert caught.value.code == "request.item-not-in-force"
    assert "2022年12月30日" in caught.value.expected
    assert of_item("foreign-trade-filing", today=date(2022, 12, 29))["items"]


def test_a_scene_goes_on_without_an_abolished_item_and_says_so() -> None:
    told = guide(edition(), region=ZAOZHUANG, item=None, scene="enterprise-2.2", today=TODAY)
    assert "foreign-trade-filing" not in [entry["key"] for entry in told["items"]]
    assert [entry["key"] for entry in told["not_in_force"]] == ["foreign-trade-filing"]


@pytest.mark.parametrize(
    ("region", "item", "scene", "code"),
    [
        ("999999", "tax-matters", None, "request.region"),
        (ZAOZHUANG, "nothing", None, "request.item"),
        (ZAOZHUANG, None, "enterprise-9.9", "request.scene"),
        (ZAOZHUANG, None, None, "request.scope"),
        (ZAOZHUANG, "tax-matters", "enterprise-1.1", "request.scope"),
    ],
)
def test_what_is_not_on_the_list_is_refused(region: str, item: str | None, scene: str | None, code: str) -> None:
    with pytest.raises(CallerProblem) as caught:
        guide(edition(), region=region, item=item, scene=scene, today=TODAY)
    assert caught.value.code == code


@pytest.mark.parametrize("region", [ZAOZHUANG, RUSHAN])
def test_every_item_of_the_shipped_list_can_be_told(region: str) -> None:
    catalog = edition().catalog
    for item in catalog.items.values():
        if region in item.places and item.effective.covers(TODAY):
            told = of_item(item.key, region)
            assert told["counts"]["materials"] == sum(told["counts"][outcome.value] for outcome in Outcome)
            for entry in told["materials"]:
                assert "{" not in entry["text"]["zh"] + entry["text"]["en"]
                assert entry["outcome"] != "skipped" or entry["sources"]
