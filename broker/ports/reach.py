"""The port to the road itself: whether an endpoint can be reached, part by part, with nothing asked there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Tried:
    """A part of the road – ``dns``, ``tcp``, ``tls`` – that was tried, and what is worth telling of it."""

    step: str
    found: str
    cause: str = ""  # why it failed, in one word of ``core.probe``'s; "" where it holds


class Reach(Protocol):
    """Tries the road to an endpoint."""

    def tried(self, endpoint: str) -> Iterator[Tried]:
        """Each part in order, ending with the first that failed; nothing where there is no road."""
        ...


class Roadless:
    """Implements ``Reach`` where nothing has a road: a source that is no place in a network."""

    def tried(self, endpoint: str) -> Iterator[Tried]:  # noqa: ARG002 - the same of every endpoint
        """Nothing."""
        return iter(())
