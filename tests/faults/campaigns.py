"""Finds the campaigns: every module ``fN_name.py`` of this folder, with ``DEMANDED`` and ``run(scale)``."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from tests.faults.figure import Figure, Scale

_MODULE = re.compile(r"(f[0-9]+)(?:_[a-z0-9_]+)?")


class _Module(Protocol):
    __doc__: str | None
    DEMANDED: str

    def run(self, scale: Scale) -> Figure: ...


@dataclass(frozen=True)
class Campaign:
    """One campaign: its id as in the list of campaigns, its title, what it demands."""

    id: str
    module: _Module

    @property
    def title(self) -> str:
        """What stands before the colon in the first line of its module."""
        return (self.module.__doc__ or "").partition("\n")[0].partition(":")[0].rstrip(".")

    @property
    def demanded(self) -> str:
        """The figure it must show."""
        return self.module.DEMANDED

    def run(self, scale: Scale) -> Figure:
        """Run it."""
        return self.module.run(scale)


def campaigns() -> dict[str, Campaign]:
    """Every campaign by id, in the order of the numbers."""
    found = {}
    for path in Path(__file__).parent.glob("f*.py"):
        match = _MODULE.fullmatch(path.stem)
        if match:
            number = f"F{int(match[1][1:])}"
            found[number] = Campaign(number, cast("_Module", importlib.import_module(f"tests.faults.{path.stem}")))
    return dict(sorted(found.items(), key=lambda one: int(one[0][1:])))
