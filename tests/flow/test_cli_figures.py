"""The commands about figures, typed as an administrator types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli import main
from broker.flow.figures import freeze
from tests.flow import kit
from tests.flow.checker import BrokenInvariant
from tests.flow.kit import Broker
from tests.flow.test_collect import report
from tests.flow.test_figures import decide, fold_all, later

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
    later(broker)
    month = freeze(broker.parts)
    assert month is not None
    digest = broker.entries("figures_frozen")[0]["digest"]
    assert typed(prepared_url, keys_folder, "figures", "verify", month).output == f"{month} {digest}\n"
    broker.checker.check()
    (trigger,) = broker.rows("SELECT sql FROM sqlite_master WHERE name = 'figures_month_no_update'")
    broker.execute("DROP TRIGGER figures_month_no_update")
    broker.execute("UPDATE figures_month SET count = count + 1")
    found = typed(prepared_url, keys_folder, "figures", "verify", month)
    assert (found.exit_code, f"{month}: {digest}, found " in found.output) == (1, True)
    with pytest.raises(BrokenInvariant, match="frozen month"):
        broker.checker.check()
    broker.execute("UPDATE figures_month SET count = count - 1")
    broker.execute(trigger.sql)
