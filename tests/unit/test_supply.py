"""The supply ledger: whose row it is, and how it stands on a day."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime, timedelta
from typing import Any

from broker.core.catalog import catalog_from
from broker.core.health import Day
from broker.core.supply import Ledger, Quality, Supply, ledgers
from tests.flow import catalogue

NOW = datetime(2026, 5, 20, 4, tzinfo=UTC)
TODAY = date(2026, 5, 20)


def found(document: Any, *days: Day) -> dict[str, Ledger]:
    return {
        one.department["zh"]: one for one in ledgers(catalog_from(document), days, {catalogue.LICENCES: 2}, TODAY, NOW)
    }


def day(source: str, ago: int, **counts: Any) -> Day:
    return Day(source, "2026-05-01", **counts, last_ok_at=NOW - timedelta(days=ago))


def states(ledger: Ledger) -> dict[Supply, int]:
    return {state: ledger.count(state) for state in Supply if ledger.count(state)}


def test_a_confirmed_row_is_connected_while_its_source_answers_and_silent_else() -> None:
    document = catalogue.document()
    assert states(found(document)["部门"]) == {Supply.SILENT: 4}
    heard = [day(catalogue.LICENCES, 6), day(catalogue.REGISTER, 8)]
    assert states(found(document, *heard)["部门"]) == {Supply.CONNECTED: 1, Supply.SILENT: 3}


def test_a_proposed_row_is_promised_until_its_date_and_overdue_the_day_after() -> None:
    for due, state in (("2026-05-20", Supply.PROMISED), ("2026-05-19", Supply.OVERDUE), (None, Supply.PROMISED)):
        document = catalogue.document()
        row = document["materials"]["identity"]["chain"][0]
        row |= {"state": "proposed", "owner": "公安局", **({"due": due} if due else {})}
        ledger = found(document)["公安局"]
        assert states(ledger) == {state: 1}
        assert ledger.undated == (due is None)
        assert (ledger.rows[0].material, ledger.rows[0].items) == ("identity", 2)


def test_what_needs_no_source_and_names_no_owner_is_owed_by_nobody() -> None:
    document = catalogue.document()
    document["materials"] = {"form": document["materials"]["form"]} | {
        "premises": copy.deepcopy(document["materials"]["premises"]) | {"chain": [{"mode": "submission"}]}
    }
    document["items"] = {}
    assert found(document) == {}


def test_the_most_overdue_department_comes_first_and_within_it_what_is_overdue() -> None:
    document = catalogue.document()
    owed = {"mode": "department_check", "state": "proposed", "unit": "民政局", "owner": "民政局", "basis": "法"}
    document["materials"]["form"]["chain"] = [owed | {"due": "2026-06-01"}, owed | {"due": "2026-01-01"}]
    order = ledgers(catalog_from(document), [], {}, TODAY, NOW)
    assert [one.department["zh"] for one in order] == ["民政局", "部门"]
    assert [row.state for row in order[0].rows] == [Supply.OVERDUE, Supply.PROMISED]


def test_quality_is_what_the_sources_of_a_department_answered_together() -> None:
    heard = [day(catalogue.LICENCES, 3, held=5, not_held=1), day(catalogue.REGISTER, 1, unknown=4, failed=2)]
    ledger = found(catalogue.document(), *heard)["部门"]
    assert ledger.quality == Quality(5, 1, 4, 2, NOW - timedelta(days=1), 2)
    assert ledger.quality.asked == 10
    assert ledger.sources[catalogue.POPULATION] == Quality()
