"""How a grant comes about (场景应用授权的申请): applied for → approved, trimmed or refused; renewed by applying again.

Pure rules: what may be applied for at all, who may decide, what "trimmed" means, and until which working day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from broker.core.authorise import IN_FORCE, Grant
from broker.core.case import Basis
from broker.core.catalog import Catalog, Form, Source
from broker.core.day import day_of
from broker.core.errors import CallerProblem
from broker.core.identifiers import is_credit_code
from broker.core.person import person
from broker.core.receipt import moment
from broker.core.working_days import Calendar, add_working_days

LONGEST_DAYS = 3 * 366  # a grant never outlives a change of staff, law and systems by much; renewal looks at it again


class ApplicationState(StrEnum):
    """What has become of an application; the grant it leads to has a state of its own."""

    APPLIED = "applied"
    APPROVED = "approved"
    TRIMMED = "trimmed"  # approved for less than was applied for
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Terms:
    """Within how many working days a source department decides, by how the source is shared."""

    unconditional: int = 1
    conditional: int = 10

    def days(self, sharing: str) -> int:
        """For a source's sharing type."""
        return self.unconditional if sharing == "unconditional" else self.conditional


@dataclass(frozen=True, slots=True)
class Scope:
    """What is applied for, or given: for which scenes or items, which fields in which forms, why, how much, how long.

    ``daily_calls`` is the expected volume; it becomes the grant's cap.
    """

    scenes: tuple[str, ...]
    items: tuple[str, ...]
    forms: tuple[Form, ...]
    fields: tuple[str, ...]
    bases: tuple[Basis, ...]
    legal_reference: str
    purpose: str
    daily_calls: int
    valid_from: datetime
    valid_to: datetime
    distinct_holders: int | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """A person and the department (by credit code) in whose name they act, as their system vouches."""

    by: str
    unit: str


@dataclass(frozen=True, slots=True)
class Application:
    """An application, who made it, who decided it, and what was given."""

    id: str
    state: ApplicationState
    client: str
    source: str
    asked: Scope
    applied: Actor
    applied_at: datetime
    owner: str  # the department that decides, by the list in force when it was made; "" where the list names none
    due_on: date
    due_certain: bool  # False where the holidays of that year were not known yet
    renews: str = ""
    decided: Actor | None = None
    decided_at: datetime | None = None
    reason: str = ""
    given: Scope | None = None
    reminded_on: date | None = None

    def overdue(self, today: date) -> bool:
        """Whether it should have been decided before today."""
        return self.state is ApplicationState.APPLIED and today > self.due_on


@dataclass(frozen=True, slots=True)
class Trim:
    """What of an application's scope is given; None: as it was applied for. Nothing can be added."""

    scenes: tuple[str, ...] | None = None
    items: tuple[str, ...] | None = None
    forms: tuple[Form, ...] | None = None
    fields: tuple[str, ...] | None = None
    daily_calls: int | None = None
    distinct_holders: int | None = None
    valid_to: datetime | None = None


def check_actor(actor: Actor) -> None:
    """Raises ``CallerProblem`` ``request.identifier`` where the department's credit code is wrong."""
    if not is_credit_code(actor.unit):
        raise CallerProblem("request.identifier", got="001", pointer="/unit")


def check_scope(catalog: Catalog, source: str, scope: Scope) -> None:
    """Whether this can be applied for and granted at all.

    Raises ``CallerProblem``: ``application.scope`` for what the list does not know or for a validity that is none,
    ``application.withheld`` for what the negative list keeps back.
    """
    known = catalog.sources.get(source)
    if known is None:
        raise CallerProblem("application.scope", got=source, pointer="/source")
    offered: Mapping[str, tuple[tuple[str, ...], Any]] = {
        "scenes": (scope.scenes, catalog.scenes),
        "items": (scope.items, catalog.items),
        "forms": (scope.forms, known.forms),
        "fields": (scope.fields, known.fields),
    }
    for name, (wanted, there) in offered.items():
        for position, one in enumerate(wanted):
            if one not in there:
                raise CallerProblem("application.scope", got=one, pointer=f"/{name}/{position}")
    _check_size(scope)
    kept_back = withheld(catalog, known, scope.fields, scope.items, scope.scenes)
    if kept_back:
        raise CallerProblem("application.withheld", got=kept_back)


def _check_size(scope: Scope) -> None:
    for name, wanted in (("items", (*scope.scenes, *scope.items)), ("forms", scope.forms), ("fields", scope.fields),
                         ("bases", scope.bases)):  # fmt: skip
        if not wanted:
            raise CallerProblem("application.scope", expected="at least one", pointer=f"/{name}")
    if scope.valid_to <= scope.valid_from or (scope.valid_to - scope.valid_from).days > LONGEST_DAYS:
        raise CallerProblem("application.scope", expected=f"at most {LONGEST_DAYS} days", pointer="/valid_to")
    for name, cap in (("daily_calls", scope.daily_calls), ("distinct_holders", scope.distinct_holders)):
        if cap is not None and cap < 1:
            raise CallerProblem("application.scope", got=str(cap), pointer=f"/{name}")


def withheld(
    catalog: Catalog, source: Source, fields: Iterable[str], items: Iterable[str], scenes: Iterable[str]
) -> str | None:
    """What the negative list (不予共享) keeps back of this, or None.

    That is the whole source, one of its fields, or the source for one item – also where a scene brings the item along.
    """
    if source.sharing == "none":
        return source.key
    brought = {item for (_, scene), keys in catalog.scene_items.items() if scene in set(scenes) for item in keys}
    kept = source.withheld
    return next((one for one in kept.fields if one in set(fields)), None) or next(
        (one for one in kept.items if one in brought | set(items)), None
    )


def due_on(calendar: Calendar, applied_at: datetime, sharing: str, terms: Terms) -> tuple[date, bool]:
    """The last day for the decision, and whether every holiday until then was known."""
    day = day_of(applied_at)
    end = add_working_days(calendar, day, terms.days(sharing))
    return end, calendar.covers(day, end)


def check_renewal(application: Application, renewed: Grant | None) -> Grant:
    """What it renews. Raises ``CallerProblem`` ``application.renewal`` unless that is of the same system and source.

    An expired grant can be renewed; a revoked one is applied for anew, so that nobody overlooks why it was revoked, and
    a suspended one is restored first.
    """
    same = renewed is not None and (renewed.client, renewed.source) == (application.client, application.source)
    if renewed is None or not same or renewed.state != IN_FORCE:
        raise CallerProblem("application.renewal", got=application.renews, pointer="/renews")
    return renewed


def check_decider(application: Application, decider: Actor, reason: str) -> None:
    """Whether this person may decide it: another person, of another department, the one that owns the source.

    Raises ``CallerProblem``: ``application.state``, ``application.self-approval``, ``application.owner``,
    ``application.reason``.
    """
    if application.state is not ApplicationState.APPLIED:
        raise CallerProblem("application.state", got=application.state.value, expected=ApplicationState.APPLIED.value)
    if person(decider.by) == person(application.applied.by) or decider.unit == application.applied.unit:
        raise CallerProblem("application.self-approval")
    check_owner(application.owner, decider)
    check_reason(reason)


def check_owner(owner: str, actor: Actor) -> None:
    """Raises ``CallerProblem`` ``application.owner`` where the list names another department as the source's."""
    if owner and actor.unit != owner:
        raise CallerProblem("application.owner", got=actor.unit, expected=owner)


def check_reason(reason: str) -> None:
    """Raises ``CallerProblem`` ``application.reason`` where none is given."""
    if not reason.strip():
        raise CallerProblem("application.reason", pointer="/reason")


def refuse(application: Application, decider: Actor, reason: str, now: datetime) -> Application:
    """The application, refused; ``check_decider`` first."""
    return replace(application, state=ApplicationState.REFUSED, decided=decider, decided_at=now, reason=reason)


def approve(application: Application, decider: Actor, reason: str, trim: Trim, now: datetime) -> Application:
    """The application, approved for all or a part of what it asks; ``check_decider`` first.

    Raises ``CallerProblem`` ``application.widened`` where more is given than was asked.
    """
    given = trimmed(application.asked, trim)
    state = ApplicationState.APPROVED if given == application.asked else ApplicationState.TRIMMED
    return replace(application, state=state, decided=decider, decided_at=now, reason=reason, given=given)


def trimmed(asked: Scope, trim: Trim) -> Scope:
    """The scope with what was trimmed; raises ``application.widened`` where that is not less or equal."""
    chosen = {name: value for name, value in _as_values(trim).items() if value is not None}
    given = replace(asked, **chosen)
    for name in ("scenes", "items", "forms", "fields"):
        if not set(getattr(given, name)) <= set(getattr(asked, name)):
            raise CallerProblem("application.widened", pointer=f"/{name}")
    wider_holders = asked.distinct_holders is not None and (given.distinct_holders or 0) > asked.distinct_holders
    if given.daily_calls > asked.daily_calls or wider_holders:
        raise CallerProblem("application.widened", pointer="/daily_calls")
    if given.valid_to > asked.valid_to:
        raise CallerProblem("application.widened", pointer="/valid_to")
    return given


def _as_values(trim: Trim) -> dict[str, Any]:
    return {name: getattr(trim, name) for name in trim.__slots__}


def after(application: Application, renewed: Grant) -> Application:
    """An approved renewal, which begins when what it renews ends: two at once would have the caps of both.

    Raises ``CallerProblem`` ``application.renewal`` where it would end before it begins.
    """
    given = application.given
    if given is None or given.valid_to <= renewed.valid_to:
        raise CallerProblem("application.renewal", got=application.renews, pointer="/valid_to")
    begins = max(given.valid_from, renewed.valid_to)
    return replace(application, given=replace(given, valid_from=begins))


def renewals_of(grant: str, applications: Iterable[Application]) -> list[str]:
    """The grants that renew this one, and those that renew them, in that order."""
    known = [(one.renews, one.id) for one in applications if one.renews and one.given is not None]
    found = [grant]
    for one in found:  # grows while it is read
        found += [renewal for renewed, renewal in known if renewed == one and renewal not in found]
    return found[1:]


def grant_of(application: Application) -> Grant:
    """The grant that an approved application becomes, under the application's id."""
    given = application.given
    if given is None:
        raise TypeError(application.state)  # only what is approved becomes a grant
    return Grant(
        id=application.id, client=application.client, source=application.source, forms=given.forms,
        fields=given.fields, bases=given.bases, legal_reference=given.legal_reference, valid_from=given.valid_from,
        valid_to=given.valid_to, scenes=given.scenes, items=given.items, daily_calls=given.daily_calls,
        distinct_holders=given.distinct_holders, purpose=given.purpose, application=application.id,
    )  # fmt: skip


def taken_away(application: Application) -> dict[str, Any]:
    """What was asked and not given, for the log and the applicant."""
    if application.given is None or application.given == application.asked:
        return {}
    asked, given = asdict(application.asked), asdict(application.given)
    less: dict[str, Any] = {}
    for name, value in asked.items():
        if isinstance(value, tuple):
            gone = [str(one) for one in value if one not in given[name]]
            if gone:
                less[name] = gone
        elif value != given[name]:
            less[name] = f"{value} > {given[name]}"
    return less


def needs_reminder(application: Application, calendar: Calendar, today: date) -> bool:
    """Once a working day, from the last but one working day before the deadline on, until it is decided."""
    if application.state is not ApplicationState.APPLIED or application.reminded_on == today:
        return False
    return calendar.is_working_day(today) and add_working_days(calendar, today, 1) >= application.due_on


def scope_values(scope: Scope) -> dict[str, Any]:
    """The scope as JSON has it."""
    times = {"valid_from": scope.valid_from, "valid_to": scope.valid_to}
    return asdict(scope) | {name: moment(when.astimezone(UTC)) for name, when in times.items()}


def scope_from(values: Mapping[str, Any]) -> Scope:
    """The scope that ``scope_values`` told."""
    return Scope(
        scenes=tuple(values["scenes"]),
        items=tuple(values["items"]),
        forms=tuple(map(Form, values["forms"])),
        fields=tuple(values["fields"]),
        bases=tuple(map(Basis, values["bases"])),
        legal_reference=values["legal_reference"],
        purpose=values["purpose"],
        daily_calls=values["daily_calls"],
        distinct_holders=values["distinct_holders"],
        valid_from=datetime.fromisoformat(values["valid_from"]),
        valid_to=datetime.fromisoformat(values["valid_to"]),
    )
