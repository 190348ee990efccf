"""The commands an administrator types, against a real database file."""

from __future__ import annotations

import json
from pathlib import Path
from socket import socket

import pytest
from click.testing import CliRunner, Result

from broker.cli import main
from broker.core.envelope import Algorithm
from broker.core.identifiers import credit_check_digit
from broker.signing import keys
from broker.store.engine import Database

UNIT = "11370400MB0000001" + credit_check_digit("11370400MB0000001")

SMALL_LIST = """
regions:
  "370400": {name: {zh: 枣庄市, en: Zaozhuang}, levels: [city]}
scenes:
  individual-1.1: {life_cycle: individual, number: "1.1", stage: {zh: 出生, en: Birth}, name: {zh: 出生, en: Birth}}
sources:
  some-source:
    name: {zh: 某数据, en: Some data}
    authority: {zh: 某局, en: Some office}
    level: city
    platform: some-platform
    connector: exchange
    service: null
    sharing: conditional
    forms: [query]
    fields: [holder_number]
    freshness_days: 30
    sensitivity: general
    budget_ms: 1000
    calls_per_second: 10
    state: proposed
materials:
  application-form:
    name: {zh: 申请表, en: Application form}
    kind: form
    basis: 行政许可法 第二十九条
    chain: [{mode: submission}]
items:
  some-item:
    name: {zh: 某事项, en: Some item}
    type: 公共服务
    life_cycle: individual
    basis: null
    regions:
      "370400": {seq: "1", scene: individual-1.1, level: city, lead: [市某局]}
    materials: [{material: application-form}]
"""


class Desk:
    """A deployment in a folder, and the commands typed there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = {
            "BROKER_DATABASE_URL": f"sqlite:///{folder / 'broker.db'}",
            "BROKER_KEYS_FOLDER": str(folder / "keys"),
            "BROKER_PLATFORMS_FILE": str(folder / "platforms.yaml"),
        }

    def type(self, *words: str, **settings: str) -> Result:
        """One command; its output is everything it printed."""
        return CliRunner().invoke(main, words, env=self.settings | settings, catch_exceptions=False)

    def entries(self) -> list[str]:
        """The kinds of all entries, oldest first."""
        database = Database(self.settings["BROKER_DATABASE_URL"])
        with database.begin(write=False) as connection:
            kinds = [row[0] for row in connection.exec_driver_sql("SELECT kind FROM entry ORDER BY id")]
        database.dispose()
        return kinds


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A deployment with keys and schema."""
    desk = Desk(tmp_path)
    assert desk.type("keys", "init").exit_code == 0
    assert desk.type("migrate").output.startswith("schema 0")
    return desk


def _public_key(folder: Path, algorithm: Algorithm) -> Path:
    path = folder / f"{algorithm.name}.pem"
    path.write_bytes(keys.public_pem(keys.generate(algorithm)))
    return path


def test_keys_are_made_once_and_never_touched_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    first = desk.type("keys", "init", "--algorithm", "SM2-SM3").output
    assert "receipt.pem" in first
    before = (tmp_path / "keys" / "receipt.pem").read_bytes()
    assert "已存在" in desk.type("keys", "init").output
    assert (tmp_path / "keys" / "receipt.pem").read_bytes() == before
    assert (tmp_path / "keys" / "receipt.pem").stat().st_mode & 0o077 == 0


def test_an_approval_system_its_keys_and_grants_are_registered_each_with_an_entry(desk: Desk) -> None:
    assert desk.type("client", "add", "sys", "--name", "审批系统", "--unit", UNIT).exit_code == 0
    added = [desk.type("client", "add-key", "sys", str(_public_key(desk.folder, one))) for one in Algorithm]
    assert [one.exit_code for one in added] == [0, 0, 0]
    assert desk.type("client", "revoke-key", added[0].output.strip()).exit_code == 0
    granted = desk.type(
        "grant", "add", "g1", "--client", "sys", "--source", "ps-identity", "--form", "verify", "--field", "name_match",
        "--item", "some-item", "--basis", "statutory_duty", "--legal-reference", "国令716 第七条",
    )  # fmt: skip
    assert granted.exit_code == 0
    for state in ("suspended", "in_force"):
        done, again = desk.type("grant", "set", "g1", state), desk.type("grant", "set", "g1", state)
        assert (done.exit_code, again.exit_code, done.output) == (0, 0, "")
        assert f"is {state} already, nothing was changed" in again.output
    assert desk.type("grant", "set", "g1", "revoked").exit_code == 0
    for state in ("in_force", "revoked"):
        final = desk.type("grant", "set", "g1", state)
        assert (final.exit_code, final.output.split()[0]) == (1, "application.grant-state")
    assert desk.entries() == [
        "client_registered", "key_registered", "key_registered", "key_registered", "key_revoked", "grant_registered",
        "grant_suspended", "grant_in_force", "grant_revoked",
    ]  # fmt: skip


@pytest.mark.parametrize("start", ["-", "--"])
def test_a_key_whose_id_begins_like_an_option_is_a_key_all_the_same(desk: Desk, start: str) -> None:
    """One id of 64 begins with a hyphen; in the night of a theft nobody knows that it wants a ``--`` before it."""
    key = f"{start}LYoh3cExpHjvadYgJphlmty6Cv3nWegRLFiBH0Mx9k"
    lost, until = ("--reason", "丢失"), ("--until", "2030-01-01")
    for words in (("client", "revoke-key", key, *lost), ("keys", "revoke", key, *lost), ("keys", "limit", key, *until)):
        answer = desk.type(*words)
        assert (answer.exit_code, answer.output.split()[:2]) == (1, ["register.unknown", f"got={key}"]), words


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("client", "add", "sys", "--name", "又", "--unit", UNIT), "register.exists"),
        (("client", "revoke-key", "nobody"), "register.unknown"),
        (("grant", "set", "nothing", "revoked"), "register.unknown"),
    ],
)
def test_what_cannot_be_registered_is_refused_in_both_languages_and_leaves_no_entry(
    desk: Desk, words: tuple[str, ...], code: str
) -> None:
    desk.type("client", "add", "sys", "--name", "审批系统", "--unit", UNIT)
    before = desk.entries()
    refused = desk.type(*words)
    assert refused.exit_code == 1
    assert refused.output.startswith(code)
    assert len(refused.output.splitlines()) == 3
    assert desk.entries() == before


def test_a_broken_catalogue_is_not_published_and_the_edition_in_force_stays(desk: Desk) -> None:
    file = desk.folder / "list.yaml"
    file.write_text(SMALL_LIST.replace("material: application-form", "material: nothing-like-it"), "utf-8")
    refused = desk.type("catalog", "publish", str(file), "--by", "somebody")
    assert refused.exit_code == 1
    assert "catalog.broken" in refused.output
    assert "list.yaml:" in refused.output, "the finding names file and line"
    assert desk.entries() == []
    file.write_text(SMALL_LIST, "utf-8")
    assert desk.type("catalog", "publish", str(file), "--by", "somebody").output.startswith("edition 1 ")
    file.write_text(SMALL_LIST + "\nitems: {}", "utf-8")
    assert "catalog.unreadable" in desk.type("edition", "draft", str(file), "--by", "editor").output
    file.write_text(SMALL_LIST.replace("county", "city").replace("individual-1.1, level", "nowhere, level"), "utf-8")
    number = desk.type("edition", "draft", str(file), "--by", "editor").output.splitlines()[-1]
    assert "catalog.broken" in desk.type("edition", "submit", number, "--by", "editor").output
    assert desk.entries() == ["published", "drafted"]


def test_a_second_edition_needs_another_person(desk: Desk) -> None:
    file = desk.folder / "list.yaml"
    file.write_text(SMALL_LIST, "utf-8")
    desk.type("catalog", "publish", str(file), "--by", "editor")
    file.write_text(SMALL_LIST.replace("Some item", "Some better item"), "utf-8")
    assert "edition.needs-review" in desk.type("catalog", "publish", str(file), "--by", "editor").output
    number = desk.type("edition", "draft", str(file), "--by", "editor", "--comment", "better").output.strip()
    assert "edition.state" in desk.type("edition", "publish", number, "--by", "editor").output
    assert desk.type("edition", "submit", number, "--by", "colleague").exit_code == 0
    for person in ("editor", "colleague"):
        assert "edition.self-approval" in desk.type("edition", "approve", number, "--by", person).output
    assert desk.type("edition", "approve", number, "--by", "head").exit_code == 0
    assert desk.type("edition", "publish", number, "--by", "editor").output.startswith("edition 2 ")
    assert "published base 1 edition 2 editor colleague head better" in desk.type("edition", "list").output
    assert "edition.state" in desk.type("edition", "publish", number, "--by", "editor").output
    assert desk.entries() == ["published", "drafted", "submitted", "reviewed", "published"]


def test_of_two_drafts_on_one_edition_only_the_first_is_published(desk: Desk) -> None:
    file = desk.folder / "list.yaml"
    numbers = []
    for name in ("one", "two"):
        file.write_text(SMALL_LIST.replace("Some item", name), "utf-8")
        numbers.append(desk.type("edition", "draft", str(file), "--by", "editor").output.strip())
        desk.type("edition", "submit", numbers[-1], "--by", "editor")
        desk.type("edition", "approve", numbers[-1], "--by", "head")
    assert desk.type("edition", "publish", numbers[0], "--by", "editor").output.startswith("edition 1 ")
    assert "edition.outdated" in desk.type("edition", "publish", numbers[1], "--by", "editor").output


def test_a_rejected_draft_is_not_published(desk: Desk) -> None:
    file = desk.folder / "list.yaml"
    file.write_text(SMALL_LIST, "utf-8")
    number = desk.type("edition", "draft", str(file), "--by", "editor").output.strip()
    desk.type("edition", "submit", number, "--by", "editor")
    assert desk.type("edition", "reject", number, "--by", "head", "--comment", "not yet").exit_code == 0
    assert "edition.state" in desk.type("edition", "publish", number, "--by", "head").output
    assert "edition.unknown" in desk.type("edition", "submit", "nothing", "--by", "editor").output


def test_the_shipped_list_passes_its_check() -> None:
    result = CliRunner().invoke(main, ["catalog", "check", "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    assert all(json.loads(line)["severity"] == "warning" for line in result.output.splitlines())


def test_a_wrong_credit_code_is_refused(desk: Desk) -> None:
    refused = desk.type("client", "add", "sys", "--name", "审批系统", "--unit", "11370400MB00000011")
    assert refused.exit_code == 1
    assert "校验不通过" in refused.output


def test_an_unknown_setting_refuses_to_start(desk: Desk) -> None:
    refused = desk.type("log", "verify", BROKER_DATABSE_URL="sqlite:///elsewhere")
    assert refused.exit_code == 1
    assert "BROKER_DATABSE_URL" in refused.output


def test_serving_without_the_schema_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.type("keys", "init")
    refused = desk.type("serve")
    assert refused.exit_code == 1
    assert "broker migrate" in refused.output


def test_serving_people_over_a_network_without_https_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_PUBLIC_URL", "http://broker.example")
    refused = desk.type("serve")
    assert refused.exit_code == 1
    assert "BROKER_PUBLIC_URL" in refused.output


def test_the_log_is_verified_and_a_forged_receipt_is_not(desk: Desk) -> None:
    assert desk.type("log", "verify").output.startswith("0 entries")
    jwks, receipt = desk.folder / "jwks.json", desk.folder / "receipt.jws"
    jwks.write_text(json.dumps(keys.jwks([keys.generate(Algorithm.SM2)])))
    receipt.write_text("eyJhbGciOiJub25lIn0.e30.")
    refused = desk.type("receipt", "verify", str(receipt), "--keys", str(jwks))
    assert refused.exit_code == 1
    assert refused.output.startswith("envelope.")


def test_a_database_that_cannot_be_reached_is_told_with_the_drivers_reason(tmp_path: Path) -> None:
    """Whoever typed a wrong role, host or folder must not guess which; a password is in no reason."""
    desk = Desk(tmp_path)
    with socket() as free:
        free.bind(("127.0.0.1", 0))  # nobody listens
        port = free.getsockname()[1]
        url = f"postgresql+psycopg://app:not-told@127.0.0.1:{port}/broker"
        refused = desk.type("migrate", BROKER_DATABASE_URL=url)
    assert refused.exit_code == 1
    assert "store.away" in refused.output
    assert f"port {port} failed" in refused.output
    assert "not-told" not in refused.output
    missing = desk.type("migrate", BROKER_DATABASE_URL=f"sqlite:///{tmp_path / 'nowhere' / 'broker.db'}")
    assert (missing.exit_code, missing.output.splitlines()[-1]) == (1, "unable to open database file")
