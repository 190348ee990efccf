"""A certificate's file (OFD or PNG): sent at once, or behind a link that works once and for ten minutes.

Source option ``file`` {``type``: "ofd" or "png", ``way``: "download" or "link"}. The fields it gives: ``file``
(Base64), ``file_type`` (media type) and ``file_digest`` (SHA-256 of the file's bytes, hex).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Generator
from typing import Any, Final
from urllib.parse import urlsplit

from broker.connectors.certshare_call import Platform
from broker.connectors.reading import Record, at, body_of, settle, text_of
from broker.core.answer import Question, Reason
from broker.core.catalog import Source
from broker.ports import HttpRequest, HttpResponse

MAX_FILE: Final = 512 * 1024  # encoded and encrypted it must still pass the transport, and be kept with the answer
LINK_SECONDS: Final = 600
_KINDS: Final = {"ofd": ("application/ofd", b"PK\x03\x04"), "png": ("image/png", b"\x89PNG\r\n\x1a\n")}
_PATH: Final = "/zzgxpt/download"
_LINK: Final = re.compile(r"id=[0-9a-fA-F]{32}")
_GONE: Final = frozenset({404, 410})


def file_fields(
    platform: Platform, record: Record, question: Question, source: Source, cause: dict[str, str] | str
) -> Generator[HttpRequest, HttpResponse, dict[str, str]]:
    """The certificate's file as answer fields: only those asked for, and nothing but what its type says it is."""
    wanted = source.options.get("file", {})
    kind = wanted.get("type", "ofd")
    if kind not in _KINDS:
        settle(Reason.NOT_CONFIGURED)
    identifier = text_of(at(record, "cert_identifier")) or settle(Reason.MALFORMED)
    if wanted.get("way", "download") == "link":
        content = yield from _behind_link(platform, identifier, kind, cause)
    else:
        content = yield from _downloaded(platform, identifier, kind, question)
    media_type, magic = _KINDS[kind]
    if not content.startswith(magic) or len(content) > MAX_FILE:
        settle(Reason.MALFORMED)
    found = {
        "file": base64.b64encode(content).decode(),
        "file_type": media_type,
        "file_digest": hashlib.sha256(content).hexdigest(),
    }
    return {name: value for name, value in found.items() if name in question.fields}


def _downloaded(
    platform: Platform, identifier: str, kind: str, question: Question
) -> Generator[HttpRequest, HttpResponse, bytes]:
    asked = {"fileType": kind, "certificateIdentifier": identifier, "certificateCopyCause": question.matter.reason}
    content = yield from platform.call("downloadFile", asked)
    return unencoded(content)


def unencoded(content: object) -> bytes:
    """The bytes behind Base64; MALFORMED for anything else."""
    try:
        return base64.b64decode(content if isinstance(content, str) else "", validate=True)
    except (binascii.Error, ValueError):
        settle(Reason.MALFORMED)


def _behind_link(
    platform: Platform, identifier: str, kind: str, cause: dict[str, str] | str
) -> Generator[HttpRequest, HttpResponse, bytes]:
    """The link is spent by one download; whoever was faster than we leaves us without the file, and we say so."""
    links = yield from platform.call("downloadUrl", {"certIdentifier": identifier, "useCause": cause})
    response = yield HttpRequest("GET", _link(links, identifier, kind, platform))
    if response.status in _GONE:
        settle(Reason.LATE, str(response.status))
    return body_of(response)


def _link(links: Any, identifier: str, kind: str, platform: Platform) -> str:
    """The one link of this type. It must lead to the platform itself: nobody sends us elsewhere in its name."""
    entries = links if isinstance(links, list) else [links]
    ours = [one for one in entries if (text_of(at(one, "contentType")) or "").lower() == kind]
    if len(ours) != 1 or at(ours[0], "certIdentifier") != identifier:
        settle(Reason.MALFORMED)
    url = text_of(at(ours[0], "content")) or ""
    options, parts = platform.connection.options, urlsplit(url)
    home = urlsplit(options.get("download_origin") or platform.connection.endpoint)
    safe = parts.path.endswith(_PATH) and _LINK.fullmatch(parts.query) is not None and not parts.fragment
    if (parts.scheme, parts.netloc) != (home.scheme, home.netloc) or not safe:
        settle(Reason.UNTRUSTED)
    return url
