"""The vault: what is encrypted opens under its own key and context only; pseudonyms are keyed."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import BrokerProblem, OperatorProblem
from broker.signing.vault import KEY_BYTES, CaseVault

WRAPPING, PSEUDONYMS = bytes(range(32)), bytes(range(32, 64))
VAULT = CaseVault(WRAPPING, PSEUDONYMS)
KEY, WRAPPED = VAULT.new_case_key()
OTHER, _ = VAULT.new_case_key()
contexts = st.text(max_size=40)


@given(st.binary(max_size=200), contexts)
def test_what_is_encrypted_comes_back_under_the_same_key_and_context(plain: bytes, context: str) -> None:
    assert VAULT.decrypt(KEY, VAULT.encrypt(KEY, plain, context), context) == plain


@given(st.binary(max_size=200), contexts, contexts)
def test_one_rows_ciphertext_is_not_anothers(plain: bytes, context: str, other: str) -> None:
    """A question or an answer moved to another row does not open there."""
    if context != other:
        with pytest.raises(BrokerProblem, match="key.unusable"):
            VAULT.decrypt(KEY, VAULT.encrypt(KEY, plain, context), other)


@given(st.binary(min_size=1, max_size=60), st.integers(0, 10**6), st.integers(1, 255))
def test_a_ciphertext_with_any_byte_changed_does_not_open(plain: bytes, place: int, change: int) -> None:
    cipher = bytearray(VAULT.encrypt(KEY, plain, "row"))
    cipher[place % len(cipher)] ^= change
    with pytest.raises(BrokerProblem, match="key.unusable"):
        VAULT.decrypt(KEY, bytes(cipher), "row")


@given(st.binary(max_size=60))
def test_no_bytes_break_the_decryption(data: bytes) -> None:
    with pytest.raises(BrokerProblem, match="key.unusable"):
        VAULT.decrypt(KEY, data, "row")
    with pytest.raises(BrokerProblem, match="key.unusable"):
        VAULT.unwrap(data)


def test_another_cases_key_does_not_open_it() -> None:
    with pytest.raises(BrokerProblem, match="key.unusable"):
        VAULT.decrypt(OTHER, VAULT.encrypt(KEY, b"plain", "row"), "row")


def test_a_case_key_is_new_each_time_and_stored_only_wrapped() -> None:
    made = [VAULT.new_case_key() for _ in range(20)]
    assert len({key for key, _ in made}) == len({wrapped for _, wrapped in made}) == 20
    assert all(len(key) == KEY_BYTES and key not in wrapped for key, wrapped in made)
    assert VAULT.unwrap(WRAPPED) == KEY


def test_a_key_wrapped_by_another_deployment_does_not_open() -> None:
    elsewhere = CaseVault(os.urandom(32), PSEUDONYMS)
    with pytest.raises(BrokerProblem, match="key.unusable"):
        elsewhere.unwrap(WRAPPED)


def test_a_wrapped_key_is_not_taken_for_a_ciphertext_of_the_same_key() -> None:
    with pytest.raises(BrokerProblem, match="key.unusable"):
        VAULT.unwrap(VAULT.encrypt(WRAPPING, KEY, "row"))


def test_the_same_plaintext_never_looks_the_same() -> None:
    assert len({VAULT.encrypt(KEY, b"plain", "row") for _ in range(50)}) == 50


@given(st.text(max_size=30), st.text(max_size=30))
def test_equal_subjects_and_only_they_have_equal_pseudonyms(one: str, other: str) -> None:
    assert (VAULT.pseudonym(one) == VAULT.pseudonym(other)) == (one == other)
    assert len(VAULT.pseudonym(one)) == 32
    assert int(VAULT.pseudonym(one), 16) >= 0


def test_pseudonyms_cannot_be_had_without_the_key() -> None:
    subject = "111:11010519491231002X"
    assert CaseVault(WRAPPING, os.urandom(32)).pseudonym(subject) != VAULT.pseudonym(subject)
    assert CaseVault(os.urandom(32), PSEUDONYMS).pseudonym(subject) == VAULT.pseudonym(subject)


@pytest.mark.parametrize(("wrapping", "pseudonyms"), [(31, 32), (32, 33), (0, 32), (32, 16)])
def test_keys_of_another_size_are_not_taken(wrapping: int, pseudonyms: int) -> None:
    with pytest.raises(OperatorProblem, match="key.unusable"):
        CaseVault(b"k" * wrapping, b"p" * pseudonyms)


def test_a_vault_does_not_show_its_keys() -> None:
    assert repr(VAULT) == "CaseVault()"
