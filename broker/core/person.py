"""When two names mean one person: whoever did one step of a matter may not approve it under another spelling."""

from __future__ import annotations

import unicodedata


def person(name: str) -> str:
    """The one spelling under which a person is told from others: ``李 某`` is ``李某``, full-width is half-width."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
