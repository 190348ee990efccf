"""A list of passwords nobody may choose: found wherever it stands, in plain and by digest, and never more than it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from broker.core.errors import OperatorProblem
from broker.store.password_list import PasswordList


def digest(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("count", [1, 2, 3, 50, 3_000])
def test_every_digest_of_a_list_is_found_and_no_other(tmp_path: Path, count: int, end: str) -> None:
    known = [f"wachtwoord {number}" for number in range(count)]
    lines = sorted(f"{digest(one)}:{number}" for number, one in enumerate(known))
    (tmp_path / "list").write_text(end.join(lines) + end, "ascii", newline="")
    found = PasswordList(tmp_path / "list")
    assert all(map(found.holds, known))
    assert not any(found.holds(f"other {number}") for number in range(count))
    assert not found.holds(known[0].upper())


def test_a_plain_list_is_found_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("correct horse battery\n密码密码密码密码密码密码\n\n", "utf-8")
    found = PasswordList(tmp_path / "list")
    assert found.holds("Correct Horse Battery")
    assert found.holds("密码密码密码密码密码密码")
    assert not found.holds("")
    assert not found.holds("correct horse")


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\n", f"{digest('b')}\n{'0' * 40}\n".encode()])
def test_what_is_no_list_is_refused_at_the_start(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "list").write_bytes(body)
    with pytest.raises(OperatorProblem, match=r"config\.invalid"):
        PasswordList(tmp_path / "list")
    with pytest.raises(OperatorProblem, match=r"config\.invalid"):
        PasswordList(tmp_path / "missing")
