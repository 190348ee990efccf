"""The commands that stop a source and open it again, typed as an operator types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli import main
from tests.flow.catalogue import LICENCES
from tests.flow.kit import Broker

pytestmark = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
WHO = ("--operator", "op7", "--reason", "数源升级")


def test_a_source_is_stopped_listed_and_opened_again(broker: Broker, prepared_url: str, keys_folder: Path) -> None:
    environment = {"BROKER_DATABASE_URL": prepared_url, "BROKER_KEYS_FOLDER": str(keys_folder)}

    def typed(*words: str) -> Result:
        return CliRunner().invoke(main, ["source", *words], env=environment, catch_exceptions=False)

    assert typed("stop", LICENCES, *WHO).exit_code == 0
    listed = typed("stopped").output.split()
    assert (listed[0], listed[2:]) == (LICENCES, ["op7:", "数源升级"])
    again = typed("stop", LICENCES, *WHO)
    assert (again.exit_code, "source.stopped" in again.output) == (1, True)
    assert typed("open", LICENCES, *WHO).exit_code == 0
    assert typed("stopped").output == ""
    assert "source.unknown" in typed("stop", "nobody", *WHO).output
    assert [one["by"] for one in broker.entries("source_stopped", "source_opened")] == ["op7", "op7"]
    broker.check()
