"""Passwords that others have used or lost, from a file that the deployment brings: it is asked, never sent anywhere.

Either one password a line, as lists of the commonest are given, or one SHA-1 digest a line, in ascending order, as
lists of the breached are given (Have I Been Pwned, with ``:count`` behind). The latter may have any length: it is
searched where it lies.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import BinaryIO

from broker.core.errors import OperatorProblem

LARGEST_PLAIN = 64 * 1024 * 1024  # read into memory; a longer list is given as digests
_DIGEST = re.compile(rb"[0-9A-Fa-f]{40}(:\d+)?\s*\Z")
_LINE = 128  # bytes within which a line of digests ends


class PasswordList:
    """One file; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Raises ``OperatorProblem`` ``config.invalid`` where the file cannot be such a list."""
        self._path = path
        try:
            with path.open("rb") as file:
                first = file.readline(4096)
                self._digests = _DIGEST.match(first) is not None
                self._plain = frozenset() if self._digests else _plain(path)
                ascends = not self._digests or _key(first) <= _key(_last_line(file))
        except (OSError, ValueError) as error:
            raise _unusable() from error
        if not first or not ascends:
            raise _unusable()

    def holds(self, password: str) -> bool:
        """Whether it is in the list; upper and lower case count only among digests."""
        if not self._digests:
            return password.casefold() in self._plain
        digest = hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest().upper()
        with self._path.open("rb") as file:
            return _found(file, digest.encode())


def _found(file: BinaryIO, digest: bytes) -> bool:
    """Halves the stretch in which the line can begin, until what is left is one line's length."""
    low, high = 0, _size(file)
    while high - low > _LINE:
        middle = (low + high) // 2
        line = _line_at(file, middle)
        if not line or _key(line) > digest:
            high = middle
        else:
            low = middle
    file.seek(max(0, low - _LINE))
    return any(_key(line) == digest for line in file.read(4 * _LINE).splitlines())


def _line_at(file: BinaryIO, place: int) -> bytes:
    """The first whole line that begins at this place or after it."""
    file.seek(place)
    if place:
        file.readline()
    return file.readline()


def _last_line(file: BinaryIO) -> bytes:
    file.seek(max(0, _size(file) - _LINE))
    return file.read().splitlines()[-1]


def _key(line: bytes) -> bytes:
    return line.strip()[:40].upper()


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _plain(path: Path) -> frozenset[str]:
    if path.stat().st_size > LARGEST_PLAIN:
        raise ValueError(path.name)
    return frozenset(line.strip().casefold() for line in path.read_text("utf-8").splitlines() if line.strip())


def _unusable() -> OperatorProblem:
    expected = "one password a line, or SHA-1 digests in ascending order"
    return OperatorProblem("config.invalid", got="BROKER_PASSWORDS_FILE", expected=expected)
