"""Our own keys are replaced with overlap: published before they sign, and published for ever after."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.bootstrap import make_keys, open_office, prepare_key, rotate_key
from broker.core.envelope import Algorithm, seal, unseal
from broker.core.errors import OperatorProblem
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
