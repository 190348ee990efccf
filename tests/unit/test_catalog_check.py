"""Every rule of the check finds its example, a sound list passes, and what passes can be planned with."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.catalog import Catalog, catalog_from
from broker.core.check import check
from broker.core.findings import ERROR, RULES, Where, as_json, found, has_errors, render

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "schemas/catalog.schema.json").read_text())
GONE = object()
FOUND_IN_FILES = {"unreadable", "duplicate-key", "include", "too-large"}


def _text(word: str) -> dict[str, str]:
    return {"zh": word, "en": word}


def _source(**more: Any) -> dict[str, Any]:
    return {
        "name": _text("登记"),
        "authority": _text("机关"),
        "level": "province",
        "platform": "sd-certshare",
        "connector": "certshare",
        "service": "11100000000013127D001",
        "sharing": "conditional",
        "forms": ["query", "verify"],
        "fields": ["holder_number", "valid_until"],
        "freshness_days": 30,
        "sensitivity": "general",
        "budget_ms": 5000,
        "calls_per_second": 10,
        "options": {"fields": {"holder_number": "holdercode", "valid_until": "zzyxqjzrq"}},
        "state": "confirmed",
        "unit": "11370400MB2840001R",
        **more,
    }


def _item(name: str, seq: str, *materials: dict[str, Any], **more: Any) -> dict[str, Any]:
    place = {"seq": seq, "scene": "enterprise-1.1", "level": "city", "lead": ["市审批服务局"]}
    return {
        "name": _text(name),
        "type": "行政许可",
        "life_cycle": "enterprise",
        "basis": "某法 第一条",
        "regions": {"370400": place},
        "materials": list(materials),
        **more,
    }


def sound() -> dict[str, Any]:
    """A small list with which nothing is wrong."""
    query = {
        "mode": "certificate",
        "state": "confirmed",
        "source": "licences",
        "form": "query",
        "fields": ["holder_number", "valid_until"],
        "expect": [
            {"field": "holder_number", "op": "equals", "to": "holder.number"},
            {"field": "valid_until", "op": "not_expired"},
        ],
        "basis": "国务院令第716号 第十条",
    }
    paper = {"mode": "submission"}
    promise = {"mode": "commitment", "text": "funds/1", "basis": "国办发〔2020〕42号"}

    def material(name: str, *chain: dict[str, Any]) -> dict[str, Any]:
        return {"name": _text(name), "kind": "proof", "basis": "某法 第二条", "chain": list(chain)}

    document = {
        "regions": {"370400": {"name": _text("枣庄市"), "levels": ["city"]}},
        "scenes": {
            "enterprise-1.1": {
                "life_cycle": "enterprise",
                "stage": _text("企业开办"),
                "name": _text("企业开办"),
                "number": "1.1",
            },
            "individual-5.5": {
                "life_cycle": "individual",
                "stage": _text("置业"),
                "name": _text("公积金"),
                "number": "5.5",
            },
        },
        "sources": {"licences": _source()},
        "materials": {
            "licence": material("营业执照", query, paper),
            "new-licence": material("新营业执照", {"mode": "scene_result", "item": "setup"}, query, paper),
            "funds": material("资金证明", promise, paper),
            "form": material("申请书", paper),
        },
        "items": {
            "setup": _item("设立", "1", {"material": "form"}, {"material": "funds"}),
            "seal": _item(
                "公章",
                "2",
                {"material": "new-licence"},
                {"material": "licence", "holder": "parent", "effective": {"from": "2021-01-01"}},
                effective={"from": "2021-01-01", "to": "2029-12-31", "reason": "某法修正"},
            ),
        },
    }
    fresh: dict[str, Any] = json.loads(json.dumps(document))  # no part shared with another
    return fresh


def changed(*changes: tuple[str, Any]) -> dict[str, Any]:
    """The sound list with values put at, or removed from, paths like ``items/setup/type``."""
    document = sound()
    for path, value in changes:
        *above, last = path.split("/")
        place: Any = document
        for step in above:
            place = place[int(step)] if isinstance(place, list) else place[step]
        key: Any = int(last) if isinstance(place, list) else last
        if value is GONE:
            del place[key]
        else:
            place[key] = copy.deepcopy(value)
    return document


ROW = "materials/licence/chain/0"
PAPER = {"mode": "submission"}
CHECKED = {"mode": "department_check", "unit": "公安局", "basis": "某条例 第九条"}
LINK = {"source": "lib", "id": "c1", "version": "2", "task_code": "c1", "name": "某", "materials": {}}
EXAMPLES: list[tuple[str, list[tuple[str, Any]]]] = [
    ("schema", [("items/setup/colour", "red")]),
    ("schema", [("sources/licences/fields", [])]),
    ("reference", [("items/setup/materials/0/material", "nothing")]),
    ("reference", [("items/setup/regions/370400/scene", "enterprise-9.9")]),
    ("reference", [("items/setup/regions/371083", sound()["items"]["setup"]["regions"]["370400"])]),
    ("reference", [(f"{ROW}/source", "nothing")]),
    ("reference", [("materials/new-licence/chain/0/item", "nothing")]),
    ("reference", [("master", {"nothing": {"370400": LINK}})]),
    ("reference", [("master", {"setup": {"371083": LINK}})]),
    ("master-withdrawn", [("master", {"setup": {"370400": LINK | {"withdrawn": True}}})]),
    ("duplicate-item", [("items/seal/regions/370400/seq", "1")]),
    ("duplicate-requirement", [("items/setup/materials/1", {"material": "form"})]),
    ("life-cycle", [("items/setup/regions/370400/scene", "individual-5.5")]),
    ("lead-missing", [("items/setup/regions/370400/lead", [])]),
    ("unused-material", [("items/setup/materials/1", GONE)]),
    ("check-digit", [("sources/licences/service", "11100000000013128D001")]),
    ("check-digit", [("items/setup/task_code", "11370800MB28559185" + "3" + "370117002011")]),
    ("date", [("items/seal/effective/to", "2029-02-30")]),
    ("date", [("items/seal/materials/1/effective/from", "2021-13-01")]),
    ("date", [(f"{ROW}/due", "2029-02-30")]),
    ("dates-contradict", [("items/seal/effective/from", "2030-01-01")]),
    ("dates-outside", [("items/seal/materials/1/effective/from", "2030-01-01")]),
    ("end-unexplained", [("items/seal/effective/reason", GONE)]),
    ("catch-all", [("materials/form/name/zh", "法律、法规规定的其他材料")]),
    ("no-basis", [("materials/form/basis", None)]),
    ("row-incomplete", [(f"{ROW}/form", GONE)]),
    ("row-incomplete", [("materials/funds/chain/0/text", GONE)]),
    ("row-excess", [("materials/form/chain/0/source", "licences")]),
    ("mode-form", [(f"{ROW}/mode", "data_verify")]),
    ("row-excess", [(f"{ROW}/unit", "公安局")]),
    ("row-incomplete", [("materials/form/chain", [CHECKED | {"source": "licences"}, PAPER])]),
    ("mode-form", [("materials/form/chain", [CHECKED | {"source": "licences", "form": "query"}, PAPER])]),
    ("work-order", [("materials/form/chain", [CHECKED | {"source": "licences", "form": "verify"}, PAPER])]),
    ("work-order", [("sources/licences/connector", "work_order")]),
    ("work-order-days", [("sources/licences/connector", "work_order")]),
    ("form-not-offered", [("sources/licences/forms", ["verify"])]),
    ("field-not-offered", [(f"{ROW}/fields/1", "colour")]),
    ("field-not-asked", [(f"{ROW}/fields/1", GONE)]),
    ("field-unmapped", [("sources/licences/options/fields/valid_until", GONE)]),
    ("not-shared", [("sources/licences/sharing", "none")]),
    ("field-withheld", [("sources/licences/withheld", {"fields": ["valid_until"], "basis": "法"})]),
    ("wrong-person", [(f"{ROW}/expect/0", GONE)]),
    ("wrong-person", [(f"{ROW}/expect/0", {"field": "holder_number", "op": "present"})]),
    (
        "person-not-named",
        [("sources/licences/fields", ["valid_until"]), (f"{ROW}/expect/0", GONE), (f"{ROW}/form", "verify")],
    ),
    (
        "person-not-named",
        [
            ("sources/licences/fields", ["owner_name", "valid_until"]),
            (f"{ROW}/fields/0", "owner_name"),
            (f"{ROW}/expect/0", {"field": "owner_name", "op": "equals", "to": "holder.name"}),
        ],
    ),
    ("holder-missing", [("sources/licences/fields", ["valid_until"]), (f"{ROW}/expect/0", GONE)]),
    ("holder-missing", [("sources/licences/fields", ["valid_until"]), (f"{ROW}/state", "proposed")]),
    ("chain-open", [("materials/licence/chain/1", GONE)]),
    ("chain-open", [("materials/form/chain/0", CHECKED)]),
    ("chain-unreachable", [("materials/form/chain", [PAPER, CHECKED])]),
    ("chain-proposed", [(f"{ROW}/state", "proposed")]),
    ("confirmed-without-basis", [(f"{ROW}/basis", GONE)]),
    ("confirmed-without-basis", [("materials/funds/chain/0/basis", GONE)]),
    ("confirmed-on-proposed", [("sources/licences/state", "proposed")]),
    ("commitment-excluded", [("items/setup/no_commitment", "涉及人身健康")]),
    ("scene-result-late", [("items/setup/materials/0/material", "new-licence")]),
    (
        "scene-result-elsewhere",
        [("items/seal/regions/370400/scene", "individual-5.5"), ("items/seal/life_cycle", "individual")],
    ),
    ("service-unknown", [("sources/licences/service", None)]),
    ("source-without-unit", [("sources/licences/unit", GONE)]),
]


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_property_of_the_schema_is_explained() -> None:
    def unexplained(node: Any, path: str) -> list[str]:
        if not isinstance(node, dict):
            return []
        missing = [
            f"{path}.{name}"
            for name, entry in node.get("properties", {}).items()
            if isinstance(entry, dict) and not {"description", "$ref", "enum"} & set(entry)
        ]
        return missing + [one for key, entry in node.items() for one in unexplained(entry, f"{path}.{key}")]

    assert unexplained(SCHEMA, "") == []
    assert all("description" in definition for definition in SCHEMA["$defs"].values())


def test_a_sound_list_has_no_findings() -> None:
    assert check(sound(), SCHEMA) == []


def test_an_authority_without_a_code_is_told_of_once_whatever_number_of_sources_it_has() -> None:
    """Those of which nothing may be shared need nobody to decide; those that name their unit are in order."""
    document = sound()
    bare = {name: value for name, value in document["sources"]["licences"].items() if name != "unit"}
    other = bare | {"authority": _text("另一部门")}
    document["sources"] |= {"a": bare, "b": bare, "c": other, "d": other | {"sharing": "none"}}
    told = [one for one in check(document, SCHEMA) if one.rule == "source-without-unit"]
    assert [one.path for one in told] == [("sources", "a"), ("sources", "c")]
    assert ["2 sources" in told[0].message_en, "另一部门（1 个数源）" in told[1].message_zh] == [True, True]
    assert not has_errors(told)


@pytest.mark.parametrize(("rule", "changes"), EXAMPLES)
def test_a_rule_finds_its_example(rule: str, changes: list[tuple[str, Any]]) -> None:
    findings = check(changed(*changes), SCHEMA)
    assert rule in {finding.rule for finding in findings}, [finding.message_en for finding in findings]
    assert has_errors(findings) == any(RULES[finding.rule].severity == ERROR for finding in findings)


def test_every_rule_has_an_example() -> None:
    assert {rule for rule, _ in EXAMPLES} == set(RULES) - FOUND_IN_FILES


def test_a_finding_points_to_the_place_that_is_wrong() -> None:
    [finding] = check(changed((f"{ROW}/fields/1", GONE)), SCHEMA)
    assert finding.path == ("materials", "licence", "chain", 0, "expect", 1)
    assert "valid_until" in finding.message_en
    assert "valid_until" in finding.message_zh


def test_the_message_of_a_schema_finding_stays_short() -> None:
    """The validator quotes the instance, which may be the whole list."""
    findings = check(changed(("items/setup/materials", "x" * 10_000)), SCHEMA)
    assert all(len(finding.message_en) < 300 for finding in findings)


@pytest.mark.parametrize("document", [None, [], "text", {}, {"items": {}}, {"regions": None}])
def test_a_document_of_another_shape_is_a_schema_finding(document: Any) -> None:
    assert {finding.rule for finding in check(document, SCHEMA)} == {"schema"}


def test_the_lines_name_file_line_rule_message_and_mend() -> None:
    finding = found("no-basis", ("materials", "form", "basis"))
    places: dict[Where, str] = {("materials", "form"): "list.yaml:7"}
    assert render([finding], places) == [
        "list.yaml:7 warning no-basis No legal basis is given → Cite the law; without one, drop the material"
    ]
    assert render([finding], {}, "zh") == ["- warning no-basis 没有法律依据 → 请补充设定依据；确无依据的应取消该材料"]
    [plain] = as_json([finding], places)
    assert plain["pointer"] == "/materials/form/basis"
    assert plain["place"] == "list.yaml:7"
    assert json.loads(json.dumps(plain)) == plain


def test_each_rule_says_what_to_do_in_both_languages() -> None:
    for name, rule in RULES.items():
        assert all((rule.zh, rule.en, rule.mend_zh, rule.mend_en)), name
        assert rule.zh.isascii() is False, name
        assert rule.en.replace("“", "").replace("”", "").isascii(), name


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 100),
    st.sampled_from(["", "form", "licence", "nothing", "query", "verify", "submission", "commitment", "proposed"]),
    st.sampled_from(["2025-02-30", "2025-05-09", "holder.number", "enterprise-1.1", "370400", "equals", "city"]),
    st.just([]),
    st.just({}),
)


@st.composite
def mutations(draw: st.DrawFn) -> dict[str, Any]:
    """The sound list after a few values were replaced, removed, or moved elsewhere."""
    document = sound()
    for _ in range(draw(st.integers(1, 3))):
        place: Any = document
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            deeper = place[key]
            if isinstance(deeper, dict | list) and deeper and draw(st.integers(0, 5)):
                place = deeper
                continue
            if draw(st.booleans()):
                del place[key]
            else:
                place[key] = draw(VALUES)
            break
    return document


@settings(max_examples=300, deadline=None)
@given(mutations())
def test_a_mutated_list_is_found_wrong_or_still_plans(document: dict[str, Any]) -> None:
    """Whatever the check lets pass, the core can read: no error of ours behind a green check."""
    findings = check(document, SCHEMA)
    render(findings, {})
    if not has_errors(findings):
        catalog = catalog_from(document)
        assert isinstance(catalog, Catalog)
        for item in catalog.items.values():
            assert all(requirement.material in catalog.materials for requirement in item.requirements)
            assert all(place.region in catalog.regions for place in item.places.values())


def test_the_document_lists_every_rule_and_no_other() -> None:
    text = (ROOT / "docs/sharing-list.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| (error|warning) \|", text, re.MULTILINE)
    assert rows == [(name, rule.severity) for name, rule in RULES.items()]
