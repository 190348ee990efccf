"""What falls back to what without a source, on chains that can be counted by hand."""

from __future__ import annotations

from broker.core.catalog import Mode, catalog_from
from broker.core.health import Day
from broker.core.outage import Demand, demand, impact
from tests.flow import catalogue


def test_the_next_confirmed_step_that_does_not_ask_the_source_comes_instead() -> None:
    catalog = catalog_from(catalogue.document())
    (licence,) = impact(catalog, catalogue.LICENCES)
    assert licence.instead is not None
    assert (licence.step, licence.instead.source, licence.burdens) == (1, catalogue.REGISTER, False)
    assert licence.items == (catalogue.SHOP, catalogue.KITCHEN)
    (identity,) = impact(catalog, catalogue.POPULATION)
    assert identity.burdens
    found = {one.material.key: one for one in impact(catalog, catalogue.REGISTER)}
    assert {key: one.step for key, one in found.items()} == {"licence": 2, "premises": 1}
    assert found["licence"].burdens
    promise = found["premises"].instead
    assert promise is not None
    assert promise.mode is Mode.COMMITMENT


def test_a_proposed_row_neither_burdens_nor_helps() -> None:
    document = catalogue.document()
    document["materials"]["licence"]["chain"][1]["state"] = "proposed"
    (licence,) = impact(catalog_from(document), catalogue.LICENCES)
    assert licence.burdens, "the register's row would not be asked"
    assert [one.material.key for one in impact(catalog_from(document), catalogue.REGISTER)] == ["premises"]
    assert impact(catalog_from(document), "nobody") == []


def test_the_demand_is_counted_from_the_first_day_on_which_anybody_asked() -> None:
    days = [Day("s", f"2026-05-{day:02}", verifications=count) for day, count in enumerate((0, 4, 0, 7), 1)]
    found = demand(days)
    assert found == Demand(3, 11, 7)
    assert found is not None
    assert found.average == 3.7
    assert demand(days[:1]) is None
