"""The commands about figures, typed as an administrator types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli import main
from tests.flow import kit
from tests.flow.kit import Broker
from tests.flow.test_collect import report
from tests.flow.test_figures import decide, fold_all

pytestmark = pytest.mark.parametrize("store", ["sqlite"], indirect=True)


def typed(url: str, keys_folder: Path, *words: str) -> Result:
    environment = {"BROKER_DATABASE_URL": url, "BROKER_KEYS_FOLDER": str(keys_folder)}
    return CliRunner().invoke(main, words, env=environment, catch_exceptions=False)


def test_figures_are_shown_listed_and_verified(broker: Broker, prepared_url: str, keys_folder: Path) -> None:
    decide(broker, 2)
    fold_all(broker)
    report(broker, 7, {"material": "licence", "reason": "clerk_habit"}, {"material": "form"})
    head, row = typed(prepared_url, keys_folder, "figures", "show").output.splitlines()
    assert head.split()[:3] == ["materials", "exempt", "unused"]
    assert (row.split()[0], row.split()[1], row.split()[3]) == ("市监局", "8", "1")
    none = typed(prepared_url, keys_folder, "figures", "show", "--region", "999999", "--by", "month").output
    assert len(none.splitlines()) == 1
    (listed,) = typed(prepared_url, keys_folder, "figures", "papers").output.splitlines()
    assert listed.split()[1:] == [kit.CLIENT, "case-7", "open-shop", "licence", "live", "clerk_habit"]
    unfrozen = typed(prepared_url, keys_folder, "figures", "verify", "2026-01")
    assert (unfrozen.exit_code, "not frozen" in unfrozen.output) == (1, True)


def test_a_frozen_month_that_was_tampered_with_is_found(broker: Broker, prepared_url: str, keys_folder: Path) -> None:
    decide(broker, 1)
    fold_all(broker)
    month = broker.rows("SELECT max(day) AS day FROM figures_day")[0].day[:7]
    with broker.parts.store.write() as work:
        work.copy_month(month)
        work.commit()
    broker.execute("INSERT INTO figures_frozen VALUES (:month, 'ab', 0)", month=month)
    found = typed(prepared_url, keys_folder, "figures", "verify", month)
    assert (found.exit_code, f"{month}: ab, found " in found.output) == (1, True)
    digest = found.output.split()[-1]
    broker.execute("DROP TRIGGER figures_frozen_no_update")
    broker.execute("UPDATE figures_frozen SET digest = :digest", digest=digest)
    assert typed(prepared_url, keys_folder, "figures", "verify", month).output == f"{month} {digest}\n"
    broker.execute(
        "CREATE TRIGGER figures_frozen_no_update BEFORE UPDATE ON figures_frozen "
        "BEGIN SELECT RAISE(ABORT, 'figures_frozen is append only'); END"
    )
