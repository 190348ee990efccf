"""What a campaign is told, and what it gives back: how much of it to run, and one figure."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of a campaign to run: 1 is what is demanded, the sample of the normal suite a hundredth or less."""

    share: float = 1.0

    def of(self, whole: int, *, at_least: int = 1) -> int:
        """So much of a whole number; never more than the whole, and never so few that nothing is shown."""
        return min(whole, max(at_least, math.ceil(whole * self.share)))

    @property
    def whole(self) -> bool:
        """Whether it is what is demanded."""
        return self.share >= 1


@dataclass(frozen=True, slots=True)
class Figure:
    """What a campaign demanded, what it measured, and whether that is enough.

    ``measured`` names how much was run, so that a sample cannot pass for the whole.
    """

    id: str
    demanded: str
    measured: str
    holds: bool


@dataclass
class Tally:
    """Counts what was tried and keeps the first few that went wrong, in words that hold no person's data."""

    tried: int = 0
    wrong: int = 0
    told: tuple[str, ...] = ()

    def note(self, what: str, *, right: bool) -> None:
        """One trial."""
        self.tried += 1
        if not right:
            self.wrong += 1
            self.told = (*self.told, what)[:5]

    @property
    def clean(self) -> bool:
        """Whether there was a trial and all went right."""
        return self.tried > 0 and self.wrong == 0

    def __str__(self) -> str:
        """So many of so many, and what the first wrong ones were."""
        right = f"{self.tried - self.wrong:,} of {self.tried:,}"
        return right if not self.told else f"{right}; wrong: {'; '.join(self.told)}"
