"""Objections to data (数据异议): from being raised to being closed, with working days for every step.

    raised ──accept──▶ accepted ──find_right──▶ found_right ──unmark──▶ unmarked ──close──▶ closed
       │               (marked)  └─find_wrong─▶ found_wrong ──correct─▶ corrected ─close──▶ closed
       └──refuse──▶ refused

From ``accepted`` until the mark is lifted the record is marked: what its source says about these persons neither
exempts nor refuses. Whoever verified does not lift the mark, and whoever raised it does neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import StrEnum

from broker.core.day import CHINA, day_of
from broker.core.errors import CallerProblem
from broker.core.person import person
from broker.core.working_days import Calendar, add_working_days


class ObjectionState(StrEnum):
    """What has become of an objection."""

    RAISED = "raised"
    ACCEPTED = "accepted"  # the record is marked from here on …
    FOUND_RIGHT = "found_right"
    FOUND_WRONG = "found_wrong"  # … to here
    UNMARKED = "unmarked"
    CORRECTED = "corrected"
    CLOSED = "closed"
    REFUSED = "refused"


class ObjectionAct(StrEnum):
    """What a person of the source department does about it."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    FIND_RIGHT = "find_right"
    FIND_WRONG = "find_wrong"
    UNMARK = "unmark"
    CORRECT = "correct"
    CLOSE = "close"


_State, _Act = ObjectionState, ObjectionAct
MARKED = frozenset({_State.ACCEPTED, _State.FOUND_RIGHT, _State.FOUND_WRONG})
OVER = frozenset({_State.CLOSED, _State.REFUSED})
_NEXT: Mapping[tuple[ObjectionState, ObjectionAct], ObjectionState] = {
    (_State.RAISED, _Act.ACCEPT): _State.ACCEPTED,
    (_State.RAISED, _Act.REFUSE): _State.REFUSED,
    (_State.ACCEPTED, _Act.FIND_RIGHT): _State.FOUND_RIGHT,
    (_State.ACCEPTED, _Act.FIND_WRONG): _State.FOUND_WRONG,
    (_State.FOUND_RIGHT, _Act.UNMARK): _State.UNMARKED,
    (_State.FOUND_WRONG, _Act.CORRECT): _State.CORRECTED,
    (_State.UNMARKED, _Act.CLOSE): _State.CLOSED,
    (_State.CORRECTED, _Act.CLOSE): _State.CLOSED,
}
LIFTS = frozenset({_Act.UNMARK, _Act.CORRECT})
_NEEDS_WORDS = frozenset({_Act.REFUSE, _Act.FIND_RIGHT, _Act.FIND_WRONG})

ACCEPT_DAYS = 2  # working days to accept or refuse
CORRECT_DAYS = 5  # from acceptance to correction, as 无锡 holds its issuers to
CLOSE_DAYS = 2


@dataclass(frozen=True, slots=True)
class Objection:
    """An objection to what one source says about one person or two, as it stands; its words are kept apart."""

    id: str
    verification: str
    client: str
    case: str
    material: str
    source: str
    about: str  # keyed pseudonym
    owner: str  # credit code of the source's department; "": the centre in its stead
    raised_by: str
    raised_unit: str
    raised_at: datetime
    state: ObjectionState
    due_at: datetime  # the end of the last working day for the next act
    accepted_by: str = ""
    accepted_at: datetime | None = None
    verified_by: str = ""
    verified_at: datetime | None = None
    lifted_by: str = ""
    lifted_at: datetime | None = None
    corrected_at: datetime | None = None  # evidence from before is not used again
    ended_by: str = ""
    ended_at: datetime | None = None
    reminded_at: datetime | None = None

    @property
    def marked(self) -> bool:
        """Whether the record is marked."""
        return self.state in MARKED

    def overdue(self, now: datetime) -> bool:
        """Whether the next act should have come by now."""
        return self.state not in OVER and now >= self.due_at


def possible(objection: Objection) -> tuple[ObjectionAct, ...]:
    """What can be done about it as it stands."""
    return tuple(act for state, act in _NEXT if state is objection.state)


def due(calendar: Calendar, now: datetime, days: int) -> datetime:
    """The end of the last of so many working days after today, in China."""
    last = add_working_days(calendar, day_of(now), days)
    return datetime.combine(last + timedelta(days=1), time(), CHINA)


def acted(objection: Objection, act: ObjectionAct, by: str, words: str, calendar: Calendar, now: datetime) -> Objection:
    """The objection after an act.

    Raises ``CallerProblem``: ``objection.state``; ``objection.words`` where the act must be explained;
    ``objection.same-person`` where somebody else must do it.
    """
    state = _NEXT.get((objection.state, act))
    if state is None:
        raise CallerProblem("objection.state", got=objection.state.value)
    if act in _NEEDS_WORDS and not words.strip():
        raise CallerProblem("objection.words", pointer="/words")
    barred = {person(objection.raised_by)} | ({person(objection.verified_by)} if act in LIFTS else set())
    if person(by) in barred:
        raise CallerProblem("objection.same-person", got=by)
    moved = replace(objection, state=state, reminded_at=None)
    if act is _Act.ACCEPT:
        return replace(moved, accepted_by=by, accepted_at=now, due_at=due(calendar, now, CORRECT_DAYS))
    if act in {_Act.FIND_RIGHT, _Act.FIND_WRONG}:
        return replace(moved, verified_by=by, verified_at=now)
    if act in LIFTS:
        corrected_at = now if act is _Act.CORRECT else None
        until = due(calendar, now, CLOSE_DAYS)
        return replace(moved, lifted_by=by, lifted_at=now, corrected_at=corrected_at, due_at=until)
    return replace(moved, ended_by=by, ended_at=now)
