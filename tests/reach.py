"""A road as a test says it is: implements ``ports.reach.Reach`` without a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from broker.ports.reach import Tried


@dataclass
class ScriptedReach:
    """Every part holds, but for those said to fail: ``broken`` has the cause by host and step."""

    broken: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def tried(self, endpoint: str) -> Iterator[Tried]:
        """Name and port of what has a host, and the certificate where it is https; the first that is broken ends it."""
        host = urlsplit(endpoint).hostname
        secured = endpoint.startswith("https:")
        for step in ("dns", "tcp", "tls")[: 0 if host is None else 3 if secured else 2]:
            cause = self.broken.get((host or "", step), "")
            yield Tried(step, f"{step} {cause}".strip(), cause)
            if cause:
                return
