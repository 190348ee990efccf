"""What the simulated e-licence platform gives besides data: files, links that work once, and codes that people show.

A link and a file are told in the interface's description; what a 用证码 looks like and how long it holds is not, and is
ours here: five minutes, and one code shows one certificate.
"""

from __future__ import annotations

import hashlib
import io
import secrets
import zipfile
import zlib
from collections.abc import Callable
from html import escape
from typing import Final

from broker.sandbox.holdings import Record

LINK_SECONDS: Final = 600
CODE_SECONDS: Final = 300
_DAY_ZERO: Final = (2026, 1, 1, 0, 0, 0)
_PNG: Final = b"\x89PNG\r\n\x1a\n"


def certificate_file(record: Record, kind: str) -> bytes:
    """The certificate as a file, the same bytes at every time: an OFD package, or a picture of one pixel."""
    return _ofd(record) if kind == "ofd" else _png(record)


def _ofd(record: Record) -> bytes:
    face = "".join(f"<{name}>{escape(str(text))}</{name}>" for name, text in record["face"].items())
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(zipfile.ZipInfo("OFD.xml", _DAY_ZERO), f"<OFD>{face}</OFD>")
    return package.getvalue()


def _png(record: Record) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    header = (1).to_bytes(4) + (1).to_bytes(4) + bytes([8, 0, 0, 0, 0])
    told = b"cert\0" + str(record["face"]["cert_identifier"]).encode()
    pixel = zlib.compress(b"\0\0")
    return _PNG + chunk(b"IHDR", header) + chunk(b"tEXt", told) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


class Links:
    """Downloads that work once and end by themselves."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[str, bytes, str, float]] = {}

    def new(self, source: str, content: bytes, kind: str, ends: float) -> str:
        """The id of a link to this content."""
        number = secrets.token_hex(16)
        self._waiting[number] = (source, content, kind, ends)
        return number

    def spend(self, number: str, now: float) -> tuple[str, bytes, str] | None:
        """Source, content and type, once; None where the link is unknown, used or over."""
        source, content, kind, ends = self._waiting.pop(number, ("", b"", "", 0.0))
        return (source, content, kind) if now < ends else None


def use_code(certificate: str, at: float) -> str:
    """The 用证码 by which the holder shows this certificate (by its identifier) at this time."""
    window = int(at // CODE_SECONDS)
    return "ZZ" + hashlib.sha256(f"{certificate}:{window}".encode()).hexdigest()[:30].upper()


def shown_by(code: str, now: float, certificates: Callable[[], list[str]]) -> str:
    """Which certificate a code shows now, "" where none: codes of the window before are still taken."""
    for moment in (now, now - CODE_SECONDS):
        for certificate in certificates():
            if use_code(certificate, moment) == code:
                return certificate
    return ""
