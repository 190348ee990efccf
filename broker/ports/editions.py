"""The unit of work's part for the history of the list: what was said of a draft, and what each edition changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from broker.core.list_rows import RowChange


@dataclass(frozen=True, slots=True)
class Remark:
    """What somebody said of a draft, or of one row in it."""

    id: str
    draft: str
    kind: str  # remark | submitted | approved | rejected | draft_withdrawn | draft_reworked | … | rebased | continued
    section: str  # "" for the draft as a whole; "drafts" where ``key`` names another draft
    key: str
    by: str
    text: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Story:
    """An edition and how it came about; without a draft where it was published without review."""

    number: int
    digest: str
    effective_at: datetime
    published_at: datetime
    published_by: str
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    why: str | None  # of the withdrawal
    draft: str | None
    comment: str | None
    drafted_by: str | None
    editors: str | None
    submitted_by: str | None
    reviewed_by: str | None


@dataclass(frozen=True, slots=True)
class RowStory:
    """What an edition did to one row."""

    kind: str  # added | changed | removed
    edition: Story


class EditionWork(Protocol):
    """One transaction's methods for the history of the list."""

    def add_remark(self, remark: Remark) -> None:
        """Keep what was said."""
        ...

    def remarks(self, draft: str) -> list[Remark]:
        """Everything that was said of a draft, in order."""
        ...

    def add_origin(self, edition: int, draft: str) -> None:
        """Note which draft an edition was made from."""
        ...

    def add_row_changes(self, edition: int, changes: Iterable[RowChange]) -> None:
        """Note which rows an edition changed; in the transaction that publishes it."""
        ...

    def row_history(self, section: str, key: str, offset: int, limit: int) -> list[RowStory]:
        """The editions in which a row became another, the newest first."""
        ...

    def stories(self, number: int | None = None) -> list[Story]:
        """Every edition, or one, with how it came about; the newest first."""
        ...

    def withdraw_edition(self, number: int, by: str, why: str, now: datetime) -> bool:
        """Take an edition back before it takes effect; False where that was done already."""
        ...

    def bodies(self, numbers: Sequence[int]) -> Mapping[int, tuple[str, bytes]]:
        """Digest and published bytes of several editions."""
        ...
