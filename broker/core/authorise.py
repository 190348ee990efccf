"""Who may ask what: default deny. A grant is system × scene/item × source × fields × form × basis × validity × cap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

from broker.core.case import Basis, Request
from broker.core.catalog import Form, Source
from broker.core.person import person
from broker.core.plan import PlannedLookup

IN_FORCE, SUSPENDED, REVOKED = "in_force", "suspended", "revoked"


@dataclass(frozen=True, slots=True)
class Grant:
    """A source department's permission (场景应用授权); revocable at once."""

    id: str
    client: str
    source: str
    forms: tuple[Form, ...]
    fields: tuple[str, ...]
    bases: tuple[Basis, ...]
    legal_reference: str
    valid_from: datetime
    valid_to: datetime
    scenes: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    daily_calls: int | None = None
    distinct_holders: int | None = None  # of one operator on one day
    state: str = IN_FORCE
    purpose: str = ""
    suspended_by: str = ""  # the department's code, centre, or operator; "" unless it is suspended
    application: str = ""  # how it came about; "" where an administrator registered it

    def covers(self, lookup: PlannedLookup, request: Request) -> bool:
        """Whether it speaks of this source and of the scene, or of every item, that needs the lookup."""
        in_scope = request.scene in self.scenes if request.scene else False
        return self.source == lookup.source and (in_scope or set(lookup.items) <= set(self.items))


@dataclass(frozen=True, slots=True)
class Permit:
    """That a lookup may be sent, and under which grant."""

    grant: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """That it may not, and the rule that says so (a problem code)."""

    rule: str


# From the most to the least telling: of several grants that all refuse, the caller hears the nearest miss.
_TELLING = ("grant.exhausted", "grant.holders-exhausted", "grant.fields", "grant.form", "grant.basis",
            "grant.suspended", "grant.revoked", "grant.not-yet", "grant.expired", "grant.none")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Used:
    """What has been used of the caps today: calls by grant id, and whom this operator has asked about by grant id."""

    calls: Mapping[str, int]
    holders: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    pseudonym: Callable[[str], str] = str

    def exhausts(self, grant: Grant, subjects: Iterable[str]) -> str | None:
        """The cap that a further call about these subjects would exceed, as a rule."""
        if grant.daily_calls is not None and self.calls.get(grant.id, 0) >= grant.daily_calls:
            return "grant.exhausted"
        known = self.holders.get(grant.id, frozenset())
        fresh = set() if grant.distinct_holders is None else set(map(self.pseudonym, subjects)) - known
        full = grant.distinct_holders is not None and len(known) + len(fresh) > grant.distinct_holders
        return "grant.holders-exhausted" if fresh and full else None


def asker(client: str, unit: str, number: str) -> str:
    """The one spelling under which an operator is told from others: a staff number is its body's and system's own.

    ``A001``, ``a001`` and the full-width form of either are one person, since whoever types it chooses the form.
    """
    return f"{client}/{unit}/{person(number)}"


def authorise(
    grants: Iterable[Grant], lookup: PlannedLookup, request: Request, now: datetime, used: Used
) -> Permit | Refusal:
    """The first grant that permits the lookup, else the nearest miss."""
    misses = {"grant.none"}
    for grant in grants:
        if not grant.covers(lookup, request):
            continue
        miss = _miss(grant, lookup, request, now, used)
        if miss is None:
            return Permit(grant.id)
        misses.add(miss)
    return Refusal(next(rule for rule in _TELLING if rule in misses))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a lookup the negative list looks at."""

    fields: tuple[str, ...]
    items: tuple[str, ...]


def kept_back(source: Source, lookup: PlannedLookup | Wanted) -> bool:
    """Whether the negative list of the edition in force keeps back what is asked, whatever older grants say."""
    kept = source.withheld
    return source.sharing == "none" or not (
        set(kept.fields).isdisjoint(lookup.fields) and set(kept.items).isdisjoint(lookup.items)
    )


def still_in_force(grant: Grant | None, now: datetime) -> str | None:
    """The rule that stops a lookup already queued under a grant, or None; asked again just before each question."""
    if grant is None:
        return "grant.none"
    if grant.state != IN_FORCE:
        return f"grant.{grant.state}"
    if now >= grant.valid_to:
        return "grant.expired"
    return "grant.not-yet" if now < grant.valid_from else None


def _miss(grant: Grant, lookup: PlannedLookup, request: Request, now: datetime, used: Used) -> str | None:
    rule = still_in_force(grant, now)
    if rule is not None:
        return rule
    if request.basis not in grant.bases:
        return "grant.basis"
    if lookup.form not in grant.forms:
        return "grant.form"
    if not set(lookup.fields) <= set(grant.fields):
        return "grant.fields"
    persons = (lookup.subject, lookup.related)
    return used.exhausts(grant, [one.subject for one in persons if one is not None])
