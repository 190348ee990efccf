"""What a file may say of groups, and what claims mean under it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from broker.bootstrap import read_group_rules
from broker.cli import main
from broker.core.errors import OperatorProblem
from broker.core.provided import group_rules_from, told_of

PLAIN: dict[str, Any] = {"groups": {"editors": "list-editor:stage=企业开办", "both": ["clerk", "reader"]}}


def test_a_claim_is_found_by_its_name_or_by_the_way_down_to_it() -> None:
    claims = {"https://idp.example/roles": ["both"], "realm": {"roles": ["editors"]}}
    by_name = group_rules_from(PLAIN | {"claim": "https://idp.example/roles"})
    assert list(map(str, told_of(by_name, claims).assignments)) == ["clerk", "reader"]
    by_way = group_rules_from(PLAIN | {"claim": "realm.roles"})
    assert list(map(str, told_of(by_way, claims).assignments)) == ["list-editor:stage=企业开办"]
    assert told_of(by_way, {"realm": ["roles"]}).assignments == ()


def test_nobody_signs_in_under_the_name_by_which_the_log_knows_the_provider() -> None:
    rules = group_rules_from(PLAIN | {"login": "login", "unit": "org"})
    assert told_of(rules, {"login": "Provider2"}).login == "provider2"
    with pytest.raises(OperatorProblem, match=r"access\.claims"):
        told_of(rules, {"login": "Provider"})


def test_no_spelling_of_a_person_stands_in_a_repr() -> None:
    rules = group_rules_from(PLAIN | {"name": "name"})
    assert "王五" not in repr(told_of(rules, {"groups": ["both"], "name": "王五"}))


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "groups: {}", "claim: groups", "groups: {a: king}", "groups: {a: 'reader:stage=企业开办'}",
        "groups: {a: reader}\nhours: 0", "groups: {a: reader}\nhours: soon", "groups: {a: reader}\nmaster: maybe",
        "groups: {a: reader}\nlogin: sub", "groups: {a: reader}\nclaims: groups", "groups: {1: reader}", "groups: [",
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_meant_keeps_the_broker_from_starting(tmp_path: Path, text: str) -> None:
    (tmp_path / "groups.yaml").write_text(text, "utf-8")
    with pytest.raises(OperatorProblem, match=r"config\.invalid"):
        read_group_rules(str(tmp_path / "groups.yaml"))


def test_a_file_is_read_as_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "groups.yaml").write_text("groups:\n  a: reader\nmaster: true\nhours: 1.5\nscopes: groups\n", "utf-8")
    rules = read_group_rules(str(tmp_path / "groups.yaml"))
    assert rules is not None
    assert (rules.master, rules.lasts, rules.scopes, rules.claim) == (
        True,
        timedelta(minutes=90),
        ("groups",),
        "groups",
    )
    assert read_group_rules("") is None
    with pytest.raises(OperatorProblem, match=r"config\.invalid"):
        read_group_rules(str(tmp_path / "missing.yaml"))


def test_the_command_tells_the_groups_and_the_scopes_that_the_list_cannot_hold(tmp_path: Path) -> None:
    (tmp_path / "groups.yaml").write_text(
        "groups:\n  甲: reader\n  乙: ['list-editor:stage=没有的阶段', clerk]\n", "utf-8"
    )
    settings = {
        "BROKER_DATABASE_URL": f"sqlite:///{tmp_path / 'broker.db'}", "BROKER_KEYS_FOLDER": str(tmp_path / "keys"),
        "BROKER_PLATFORMS_FILE": str(tmp_path / "platforms.yaml"),
    }  # fmt: skip

    def typed(*words: str, **more: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(main, words, env=settings | more, catch_exceptions=False)
        return done.exit_code, done.stdout, done.stderr

    assert typed("keys", "init")[0] == typed("migrate")[0] == 0
    code, out, err = typed("user", "groups", BROKER_OIDC_GROUPS_FILE=str(tmp_path / "groups.yaml"))
    assert (code, out.splitlines()) == (0, ["甲: reader", "乙: list-editor:stage=没有的阶段 clerk"])
    assert "没有的阶段" in err
    assert err.count("\n") == 1
    assert typed("user", "groups")[0] == 1
