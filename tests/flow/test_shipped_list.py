"""The shipped sharing list through the whole flow: every item and every scene, as it would be asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.bootstrap import open_office
from broker.core.catalog import Catalog
from broker.core.check import check
from broker.core.errors import Problem
from broker.core.findings import has_errors
from broker.ports import Connection
from broker.store.catalog_file import read_catalog
from tests.flow import catalogue, kit

ROOT = Path(__file__).parents[2]
DOCUMENT = read_catalog(ROOT / "data_catalog.yaml").document
NOT_HERE = {"request.item-not-in-force", "request.level"}  # abolished since, or decided elsewhere


@pytest.fixture(scope="module")
def shipped(keys_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[kit.Broker]:
    """A broker with the shipped list, every source connected and answering what is expected of it."""
    url = f"sqlite:///{tmp_path_factory.mktemp('shipped') / 'broker.db'}"
    office = open_office(kit.settings(url, keys_folder), wake=kit.Bells())
    kit.prepare(office, DOCUMENT)
    broker = kit.wired(office)
    broker.parts.connectors = dict.fromkeys(DOCUMENT["sources"][key]["connector"] for key in DOCUMENT["sources"])  # type: ignore[assignment]
    broker.parts.connectors = dict.fromkeys(broker.parts.connectors, broker.sources)
    platforms = {source["platform"] for source in DOCUMENT["sources"].values()}
    broker.parts.connections = {name: Connection(name, "", {}) for name in platforms}
    yield broker
    office.close()


def _catalog(broker: kit.Broker) -> Catalog:
    with broker.parts.store.read() as work:
        return broker.parts.edition(work, 1).catalog


def test_every_item_of_every_region_is_planned_asked_and_decided(shipped: kit.Broker) -> None:
    catalog, decided, refused = _catalog(shipped), [], []
    pairs = [(item.key, region) for item in catalog.items.values() for region in item.places]
    for number, (item, region) in enumerate(pairs):
        try:
            decided.append(shipped.submit(kit.whole_request(number, catalog, region, item=item)).verification.id)
        except Problem as problem:
            refused.append(problem.code)
    shipped.finish()
    assert set(refused) <= NOT_HERE
    assert len(decided) > 50
    kinds = {kind for number in decided for kind, _ in shipped.decisions(number).values()}
    assert kinds <= {"exempt", "fallback", "submit", "not_met"}


def test_every_scene_asks_each_source_about_each_person_once(shipped: kit.Broker) -> None:
    catalog = _catalog(shipped)
    shipped.sources.questions.clear()
    scenes, refused = sorted(catalog.scene_items), []
    for number, (region, scene) in enumerate(scenes, start=5000):
        try:
            shipped.submit(kit.whole_request(number, catalog, region, item=None, scene=scene))
        except Problem as problem:
            refused.append(problem.code)
    shipped.finish()
    assert set(refused) <= NOT_HERE
    asked = [
        (one.matter.case_number, one.source, one.form, one.subject.subject, one.related and one.related.subject)
        for one in shipped.sources.questions
    ]
    assert len(asked) == len(set(asked))
    assert len(asked) > len(scenes)


def test_the_small_list_of_these_tests_follows_the_same_rules_as_the_shipped_one() -> None:
    schema = json.loads((ROOT / "schemas" / "catalog.schema.json").read_text("utf-8"))
    for document in (catalogue.document(), catalogue.second_edition()):
        findings = check(document, schema)
        assert not has_errors(findings), findings
