"""Our own keys are replaced with overlap: published before they sign, and published for ever after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.bootstrap import make_keys, open_office, prepare_key, revoke_key, rotate_key
from broker.cli import main
from broker.core.envelope import Algorithm, Revoked, seal, unseal
from broker.core.errors import OperatorProblem
from broker.signing.keys import generate
from broker.web.app import Surface, published_keys
from broker.web.console.audit import _proof
from tests.flow import kit


@pytest.mark.parametrize("algorithm", [None, Algorithm.SM2])
def test_a_key_is_published_before_it_signs_and_after(
    tmp_path: Path, sqlite_url: str, algorithm: Algorithm | None
) -> None:
    make_keys(tmp_path / "keys", Algorithm.ED25519)

    def opened() -> tuple[str, set[str], str]:
        office = open_office(kit.settings(sqlite_url, tmp_path / "keys"), wake=kit.Bells())
        known = {one.key_id: one for one in office.receipt_keys}
        token = seal(b"{}", office.parts.signer, "t")
        for one in signed:
            assert unseal(one, known, "t") == b"{}"
        office.close()
        return office.parts.signer.key_id, set(known), token

    signed: list[str] = []
    first, published, token = opened()
    signed.append(token)
    assert published == {first}
    second = prepare_key(tmp_path / "keys", "receipt.pem", algorithm)
    with pytest.raises(OperatorProblem, match="register.exists"):
        prepare_key(tmp_path / "keys", "receipt.pem", algorithm)
    signer, published, token = opened()
    signed.append(token)
    assert (signer, published) == (first, {first, second})
    assert rotate_key(tmp_path / "keys", "receipt.pem") == (first, second)
    signer, published, token = opened()
    assert (signer, published) == (second, {first, second})
    with pytest.raises(OperatorProblem, match="key.unusable"):
        rotate_key(tmp_path / "keys", "receipt.pem")


def test_the_logs_keys_are_replaced_alike_and_old_checkpoints_stay_readable(tmp_path: Path, sqlite_url: str) -> None:
    make_keys(tmp_path / "keys", Algorithm.ED25519)
    prepare_key(tmp_path / "keys", "log-sm2.pem", None)
    old, new = rotate_key(tmp_path / "keys", "log-sm2.pem")
    office = open_office(kit.settings(sqlite_url, tmp_path / "keys"), wake=kit.Bells())
    assert {old, new} < {one.key_id for one in office.log_keys}
    assert new in {one.key_id for one in office.parts.log_signers}
    office.close()


def test_only_a_retired_key_is_revoked_once_and_is_published_as_such(tmp_path: Path, sqlite_url: str) -> None:
    folder, now = tmp_path / "keys", datetime(2026, 11, 22, tzinfo=UTC)
    make_keys(folder, Algorithm.ED25519)
    coming = prepare_key(folder, "receipt.pem", None)
    with pytest.raises(OperatorProblem, match=r"key\.in-use"):
        revoke_key(folder, coming, "stolen", now)
    old, new = rotate_key(folder, "receipt.pem")
    for key_id, code in ((new, "key.in-use"), ("../receipt", "register.unknown")):
        with pytest.raises(OperatorProblem, match=code):
            revoke_key(folder, key_id, "stolen", now)
    revoke_key(folder, old, "stolen", now)
    with pytest.raises(OperatorProblem, match="register.exists"):
        revoke_key(folder, old, "again", now + timedelta(days=1))
    office = open_office(kit.settings(sqlite_url, folder), wake=kit.Bells())
    published = published_keys(Surface("https://broker.example", office.receipt_keys, office.log_keys))["keys"]
    told = {one["kid"]: one.get("revoked_at") for one in published}
    assert (told[old], told[new]) == ("2026-11-22T00:00:00.000Z", None)
    assert {one.key_id for one in office.receipt_keys if isinstance(one, Revoked)} == {old}
    office.close()


def test_a_key_is_revoked_from_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    make_keys(folder, Algorithm.ED25519)
    prepare_key(folder, "receipt.pem", None)
    old, new = rotate_key(folder, "receipt.pem")
    settings = {"BROKER_KEYS_FOLDER": str(folder)}
    refused = CliRunner().invoke(main, ["keys", "revoke", "--reason", "stolen", "--", new], env=settings)
    assert (refused.exit_code, "key.in-use" in refused.output) == (1, True)
    done = CliRunner().invoke(main, ["keys", "revoke", "--reason", "stolen", "--", old], env=settings)
    assert (done.exit_code, old in done.output) == (0, True)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_the_console_proves_entries_while_a_key_of_the_log_is_being_replaced(broker: kit.Broker) -> None:
    broker.admit(1)
    broker.sequence_all()
    coming = generate(Algorithm.SM2).verifier()
    broker.parts.log_keys = [*broker.office.log_keys, coming]
    with broker.parts.store.read() as work:
        proof = _proof(broker.parts, work, 0, work.entries(0, 1)[0])
    assert proof is not None
    assert proof["holds"]
