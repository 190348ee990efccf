"""The commands about grants, explanations and flags, typed as an administrator types them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli import main
from broker.core.entry import entry
from broker.core.identifiers import credit_check_digit
from broker.core.misuse import Action, Evidence, RuleName
from broker.ports.grants import Flag
from tests.flow import catalogue, kit
from tests.flow.catalogue import POPULATION
from tests.flow.kit import Broker

pytestmark = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
OWNER = "11370400MB0000001" + credit_check_digit("11370400MB0000001")
Typed = Callable[..., Result]


@pytest.fixture
def typed(broker: Broker, prepared_url: str, keys_folder: Path) -> Typed:
    """Runs a command on the broker's database."""
    environment = {"BROKER_DATABASE_URL": prepared_url, "BROKER_KEYS_FOLDER": str(keys_folder)}

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, words, env=environment, catch_exceptions=False)

    return run


def applied(typed: Typed) -> str:
    """An application's id."""
    result = typed(
        "grant", "apply", "--by", "李某", "--unit", kit.UNIT, "--client", kit.CLIENT, "--source", POPULATION,
        "--form", "verify", "--field", "match", "--item", catalogue.SHOP, "--item", catalogue.KITCHEN,
        "--basis", "statutory_duty", "--legal-reference", "法", "--purpose", "核验", "--daily-calls", "9",
        "--from", "2026-01-01", "--to", "2028-06-30",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return result.output.split()[0]


def test_an_application_is_made_trimmed_suspended_restored_and_revoked(typed: Typed, broker: Broker) -> None:
    number = applied(typed)
    own = ("--by", "王某", "--unit", kit.UNIT, "--reason", "符合")
    assert "application.self-approval" in typed("grant", "approve", number, *own).output
    other = ("--by", "王某", "--unit", OWNER, "--reason", "符合")
    assert typed("grant", "approve", number, *other, "--item", catalogue.SHOP).output == "trimmed\n"
    for verb, state in (("suspend", "suspended"), ("restore", "in_force"), ("revoke", "revoked")):
        assert typed("grant", verb, number, *other).exit_code == 0
        assert broker.rows("SELECT state FROM access_grant WHERE id = :id", id=number)[0].state == state
    refused = typed("grant", "restore", number, *other)
    assert (refused.exit_code, "application.grant-state" in refused.output) == (1, True)


def test_what_is_overdue_is_listed_and_reminded_of(typed: Typed, broker: Broker) -> None:
    late, refused = applied(typed), applied(typed)
    assert typed("grant", "refuse", refused, "--by", "王某", "--unit", OWNER, "--reason", "非履职所需").exit_code == 0
    assert typed("grant", "applications", "--overdue").output == ""
    broker.execute("UPDATE grant_application SET due_on = '2026-01-05'")
    (line,) = typed("grant", "applications", "--overdue").output.splitlines()
    assert line.startswith(f"{late} applied {kit.CLIENT} {POPULATION} 李某@{kit.UNIT} - 2026-01-05")
    assert len(typed("grant", "applications").output.splitlines()) == 2
    assert typed("grant", "remind").exit_code == 0


def test_a_verification_is_explained_in_words_and_as_json(typed: Typed, broker: Broker) -> None:
    number = broker.admit(1)
    broker.finish()
    said = typed("explain", number, "--by", "审计员").output
    assert "授权覆盖本次查询" in said
    assert f"g-{POPULATION}" in said
    assert "a grant covers this lookup" in typed("explain", number, "--by", "审计员", "--lang", "en").output
    assert '"ended_by": 1' in typed("explain", number, "--by", "审计员", "--json").output
    assert "verification.unknown" in typed("explain", "0" * 32, "--by", "审计员").output
    assert [one["by"] for one in broker.entries("explained")] == ["审计员"] * 3


def test_a_flag_is_listed_shown_and_cleared(typed: Typed, broker: Broker) -> None:
    number = "f" * 32
    with broker.parts.store.write() as work:
        evidence = Evidence(6, ("a" * 32,), "case-1")
        moment = work.pulse().now
        work.add_flag(Flag(number, RuleName.SEQUENCE, "c", "c/u/op", Action.FLAG, "open", moment, evidence))
        work.record([entry("flagged", moment, flag=number)])
        work.commit()
    assert typed("flag", "list").output.startswith(f"{number} open flag sequence c/u/op 依次")
    assert "a" * 32 in typed("flag", "show", number).output
    assert typed("flag", "clear", number, "--by", "审计员", "--comment", "已核实").exit_code == 0
    assert typed("flag", "list").output == ""
    assert "已核实" in typed("flag", "show", number).output
    assert "misuse.cleared" in typed("flag", "clear", number, "--by", "审计员", "--comment", "已核实").output
