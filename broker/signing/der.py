"""Just enough DER to turn an SM2 ciphertext from one order into the other: integers, octet strings, one sequence."""

from __future__ import annotations

from typing import Final

INTEGER: Final = 0x02
OCTETS: Final = 0x04
SEQUENCE: Final = 0x30


def element(tag: int, content: bytes) -> bytes:
    """Tag, shortest length, content."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def integer(magnitude: bytes) -> bytes:
    """A non-negative integer from its big-endian bytes."""
    shortest = magnitude.lstrip(b"\x00") or b"\x00"
    return element(INTEGER, b"\x00" + shortest if shortest[0] >= 0x80 else shortest)


def sequence(*elements: bytes) -> bytes:
    """The elements in a sequence."""
    return element(SEQUENCE, b"".join(elements))


def read_sequence(data: bytes, tags: tuple[int, ...]) -> list[bytes]:
    """The contents of a sequence of exactly these elements and nothing after it; ``ValueError`` otherwise."""
    body, end = _read(data, 0, SEQUENCE)
    contents, position = [], 0
    for tag in tags:
        content, position = _read(body, position, tag)
        contents.append(content)
    if end != len(data) or position != len(body):
        raise ValueError("trailing bytes")
    return contents


def _read(data: bytes, position: int, tag: int) -> tuple[bytes, int]:
    head = data[position : position + 2]
    if len(head) < 2 or head[0] != tag:
        raise ValueError("unexpected element")
    start, size = position + 2, head[1]
    if size >= 0x80:
        start, size = start + (size & 0x7F), int.from_bytes(data[start : start + (size & 0x7F)], "big")
    if start + size > len(data):
        raise ValueError("truncated element")
    return data[start : start + size], start + size
