"""Collected on paper (应用未用): what an approval system still took on paper, or asked to see in the original.

Z25: what data replaces need not be submitted. Z26 = R13: for what can be queried or verified by sharing, nobody may be
asked to bring in the original. So a report says why, wherever the receipt said exempt or a live source covers the
material, be it that the system never applied for the grant to ask it; a report without that reason is refused. What was
taken without such cover needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from broker.core.authorise import IN_FORCE, Grant, still_in_force
from broker.core.catalog import Catalog, Item, Material, Place, Replacement, RowState
from broker.core.errors import CallerProblem


class PaperReason(StrEnum):
    """Why a paper was taken all the same; ``PAPER_REASONS`` has both languages."""

    SYSTEM_NOT_CONNECTED = "system_not_connected"
    SOURCE_DOWN = "source_down"
    NO_RECORD = "no_record"
    DATA_WRONG = "data_wrong"  # then the record's owner should hear of it: an objection
    APPLICANT_PREFERRED = "applicant_preferred"
    LAW_DEMANDS_ORIGINAL = "law_demands_original"
    ARCHIVE_DEMANDS_PAPER = "archive_demands_paper"
    CLERK_HABIT = "clerk_habit"
    NO_GRANT = "no_grant"
    OTHER = "other"  # with a note


PAPER_REASONS: Final[Mapping[str, Mapping[str, str]]] = {
    PaperReason.SYSTEM_NOT_CONNECTED: {"zh": "审批系统未对接", "en": "the approval system is not connected"},
    PaperReason.SOURCE_DOWN: {"zh": "数源当时不可用", "en": "the source was down"},
    PaperReason.NO_RECORD: {"zh": "数源没有该记录", "en": "the source had no record"},
    PaperReason.DATA_WRONG: {"zh": "数据有误（请提出数据异议）", "en": "the data was wrong (raise an objection)"},
    PaperReason.APPLICANT_PREFERRED: {"zh": "申请人自愿提交纸质", "en": "the applicant preferred paper"},
    PaperReason.LAW_DEMANDS_ORIGINAL: {"zh": "法律法规要求核验原件", "en": "the law demands the original"},
    PaperReason.ARCHIVE_DEMANDS_PAPER: {"zh": "归档或检查要求纸质", "en": "the archive or an inspection demands paper"},
    PaperReason.CLERK_HABIT: {"zh": "窗口习惯收取", "en": "the counter asked for it by habit"},
    PaperReason.NO_GRANT: {"zh": "尚未取得数据授权", "en": "the system has no grant for it yet"},
    PaperReason.OTHER: {"zh": "其他（见说明）", "en": "other (see the note)"},
}


class Standing(StrEnum):
    """How a paper stands to the data; the first three are 应用未用. ``STANDINGS`` has both languages."""

    EXEMPT = "exempt"  # the case's receipt says that it need not be submitted
    LIVE = "live"  # nobody verified it, though a live source covers it
    UNGRANTED = "ungranted"  # a live source would cover it, had the system applied for a grant
    DECIDED = "decided"  # the case's receipt says that it is to be submitted, or replaced otherwise
    UNCOVERED = "uncovered"  # no live source covers it

    @property
    def unused(self) -> bool:
        """Whether data that could be had was not used."""
        return self in {Standing.EXEMPT, Standing.LIVE, Standing.UNGRANTED}


STANDINGS: Final[Mapping[str, Mapping[str, str]]] = {
    Standing.EXEMPT: {"zh": "凭证已免提交", "en": "exempt by the receipt"},
    Standing.LIVE: {"zh": "有可用数源但未核验", "en": "a live source was not asked"},
    Standing.UNGRANTED: {"zh": "可共享但未申请授权", "en": "sharable, grant not applied for"},
    Standing.DECIDED: {"zh": "凭证要求提交", "en": "asked for by the receipt"},
    Standing.UNCOVERED: {"zh": "没有可用数源", "en": "no live source"},
}


@dataclass(frozen=True, slots=True)
class Told:
    """One paper as the approval system tells it: taken, or – ``original`` – demanded to be seen in the original."""

    material: str
    original: bool
    reason: str
    note: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receipted:
    """What the case's latest receipt says of a material, and which verification's it is."""

    decision: str
    verification: str


@dataclass(frozen=True, slots=True)
class Judged:
    """How a paper stands, with the source or the verification that shows it."""

    standing: Standing
    source: str = ""
    verification: str = ""


@dataclass(frozen=True)
class Cover:
    """What covers materials here and now: the list, the system's grants, and which sources are live."""

    catalog: Catalog
    grants: Iterable[Grant]
    live: Callable[[str], bool]
    now: datetime

    def source_of(self, material: Material, item: Item, place: Place) -> str:
        """A live source that this system may ask for a material of this item; "" where there is none."""
        rows = self._live_rows(material)
        return next((row.source or "" for row in rows if self._permitted(row, item, place)), "")

    def sharable_of(self, material: Material, item: Item, place: Place) -> str:
        """A live source that this system could ask, had it applied for a grant; "" where there is none.

        Whose grant was suspended or revoked has applied: what others took from it is no excuse that it makes itself.
        """
        rows = self._live_rows(material)
        return next((row.source or "" for row in rows if not self._stopped(row, item, place)), "")

    def _live_rows(self, material: Material) -> list[Replacement]:
        return [row for row in material.chain if row.mode.asks_source and row.state is RowState.CONFIRMED
                and self._is_live(row.source or "")]  # fmt: skip

    def _is_live(self, key: str) -> bool:
        source = self.catalog.sources.get(key)
        return source is not None and source.state is RowState.CONFIRMED and self.live(key)

    def _permitted(self, row: Replacement, item: Item, place: Place) -> bool:
        return any(self._permits(grant, row, item, place) for grant in self.grants)

    def _stopped(self, row: Replacement, item: Item, place: Place) -> bool:
        return any(
            grant.source == row.source and (item.key in grant.items or place.scene in grant.scenes)
            and grant.state != IN_FORCE
            for grant in self.grants
        )  # fmt: skip

    def _permits(self, grant: Grant, row: Replacement, item: Item, place: Place) -> bool:
        in_scope = item.key in grant.items or place.scene in grant.scenes
        enough = row.form in grant.forms and set(row.fields) <= set(grant.fields)
        return grant.source == row.source and in_scope and enough and still_in_force(grant, self.now) is None


def judge(told: Told, item: Item, place: Place, cover: Cover, receipted: Receipted | None) -> Judged:
    """How one paper stands. Raises ``CallerProblem``: ``request.material``; ``collected.reason`` where it must say why.

    The receipt comes first: what it decided, it decided with the sources as they were then.
    """
    required = {one.key: one.material for one in item.requirements}
    if told.material not in required:
        raise CallerProblem("request.material", got=told.material, pointer="/materials")
    if receipted is not None:
        standing = Standing.EXEMPT if receipted.decision == "exempt" else Standing.DECIDED
        judged = Judged(standing, verification=receipted.verification)
    else:
        judged = _covered(cover.catalog.materials[required[told.material]], item, place, cover)
    if judged.standing.unused and not told.reason:
        raise CallerProblem(
            "collected.reason", got=told.material, expected=" | ".join(PaperReason), pointer="/materials"
        )
    return judged


def _covered(material: Material, item: Item, place: Place, cover: Cover) -> Judged:
    """How a paper stands that no receipt speaks of."""
    if source := cover.source_of(material, item, place):
        return Judged(Standing.LIVE, source)
    if source := cover.sharable_of(material, item, place):
        return Judged(Standing.UNGRANTED, source)
    return Judged(Standing.UNCOVERED)


def papers_from(materials: Iterable[Mapping[str, Any]]) -> list[Told]:
    """The papers of a schema-valid report. Raises ``CallerProblem`` ``collected.twice``."""
    told = [
        Told(one["material"], bool(one.get("original", False)), one.get("reason", ""), one.get("note", ""))
        for one in materials
    ]
    twice = {one.material for one in told if sum(one.material == other.material for other in told) > 1}
    if twice:
        raise CallerProblem("collected.twice", got=min(twice), pointer="/materials")
    return told
