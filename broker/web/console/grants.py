"""Grants: apply for one, decide, renew, suspend, revoke, restore – and see who may see what.

The person and their body come from the account: a role limited to a body or a department speaks for it (ADR 0106).
Who may decide is the flow's business; the pages only show what it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from flask import Response, request
from flask_babel import gettext

from broker.core.authorise import IN_FORCE, REVOKED, SUSPENDED, Grant, still_in_force
from broker.core.case import Basis
from broker.core.catalog import Catalog, Form, Text
from broker.core.day import CHINA, day_of
from broker.core.errors import CallerProblem
from broker.core.grant_application import Actor, Application, ApplicationState, Scope, Trim
from broker.core.misuse import describe
from broker.core.people import ConsoleRole
from broker.flow import grants as steps
from broker.ports import Client, Policy
from broker.web.console.area import Area, Console, Nav, only
from broker.web.console.case_words import BASES, FORMS
from broker.web.console.choices import MOST, Choice, choice_of, fitting, meant, names_of
from broker.web.console.grant_words import APPLICATION_STATES, GRANT_STATES
from broker.web.console.page import said_of, shown, to
from broker.web.console.sheets import Table, exported
from broker.web.console.visit import visitor
from broker.web.console.words import mark, told

_SOURCE, _USING = ConsoleRole.SOURCE_DEPARTMENT, ConsoleRole.USING_DEPARTMENT
_SEES = only(ConsoleRole.OPERATOR, _SOURCE, _USING, ConsoleRole.AUDITOR)
_APPLIES = only(_SOURCE, _USING)
_OVERVIEW = only(*_SEES.roles, ConsoleRole.READER, ConsoleRole.LIST_EDITOR, ConsoleRole.LIST_APPROVER)
_DECIDES = only(ConsoleRole.OPERATOR, ConsoleRole.SOURCE_DEPARTMENT)
_SEES_ALL = (ConsoleRole.OPERATOR, ConsoleRole.AUDITOR)
_OVERSEES = (*_SEES_ALL, ConsoleRole.READER, ConsoleRole.LIST_EDITOR, ConsoleRole.LIST_APPROVER)
_QUESTIONS = ("client", "source", "field", "item", "material")
_PICKED = {"item": "matter", "material": "material"}  # questions that name one of hundreds, and of which
_LISTED = 500  # of decided applications; the log has them all
_LONG = {"legal_reference": 300, "purpose": 500, "reason": 1000}


def grants_area(console: Console) -> Area:
    """The pages of grants."""
    area, grants = Area("grants", Nav("index", "Grants")), _Grants(console)
    area.get("/grants", grants.index, _SEES)
    area.get("/grants/matrix", grants.matrix, _OVERVIEW)
    area.get("/grants/matrix/export/<kind>", grants.matrix_export, _OVERVIEW)
    area.get("/grants/apply", grants.apply, _APPLIES)
    area.post("/grants/apply", grants.applying, _APPLIES)
    area.get("/grants/applications/<number>", grants.application, _SEES)
    area.post("/grants/applications/<number>", grants.decide, _DECIDES)
    area.get("/grants/<number>", grants.grant, _SEES)
    area.post("/grants/<number>", grants.change, _DECIDES)
    return area


class _Now:
    """Everything that the pages show, as of one transaction."""

    def __init__(self, console: Console, *, listed: bool = False, application: str = "") -> None:
        """``listed``: with the applications; ``application``: with one of them, by its number or its grant's."""
        with console.parts.store.read() as work:
            pulse = work.pulse()
            self.now: datetime = pulse.now
            self.policy: Policy = console.parts.policy(work, pulse)
            edition = console.parts.edition_in_force(work, self.policy, pulse.now)
            self.edition, self.catalog = edition.number, edition.catalog
            self.applications: Sequence[Application] = work.applications(decided=_LISTED) if listed else ()
            grant = self.policy.grants.get(application)
            number = grant.application if grant else application
            self.application: Application | None = work.application(number) if number else None

    def owner(self, source: str) -> str:
        """Whose a source is, by the list in force."""
        return self.catalog.sources[source].unit if source in self.catalog.sources else ""

    def sees(self, client: str, source: str) -> bool:
        """Whether the visitor may see what is between a system and a source: theirs on either side, or everything."""
        if visitor().has(*_SEES_ALL):
            return True
        known = self.policy.clients.get(client)
        return self.owns(source) or (known is not None and known.unit in self.mine())

    def owns(self, source: str) -> bool:
        """Whether the visitor speaks for the department whose source it is."""
        known = self.catalog.sources.get(source)
        return known is not None and visitor().person.answers_for(known)

    def mine(self) -> frozenset[str]:
        """The bodies for whose systems the visitor speaks."""
        return visitor().person.bodies(_SOURCE, self.catalog) | visitor().person.bodies(_USING, self.catalog)

    def bodies(self) -> list[str]:
        """The bodies in whose name the visitor may act."""
        return sorted(self.mine().union(visitor().person.units(ConsoleRole.OPERATOR)))

    def clients(self) -> list[Client]:
        """The systems for which the visitor may apply: those of their own body."""
        mine = self.mine()
        return [one for one in self.policy.clients.values() if one.unit in mine and one.state == "active"]

    def names(self, of: str) -> Mapping[str, Text]:
        """What can be chosen, by key."""
        return names_of(self.catalog, of)

    def client_name(self, client: str) -> str:
        """What a system is called."""
        known = self.policy.clients.get(client)
        return client if known is None else known.name

    def source_name(self, source: str) -> str:
        """What a source is called by the list in force."""
        known = self.catalog.sources.get(source)
        return source if known is None else told(known.name)

    def state(self, grant: Grant) -> str:
        """How a grant stands now, in one word."""
        return (still_in_force(grant, self.now) or f"grant.{IN_FORCE}").removeprefix("grant.")


@dataclass(frozen=True)
class _Covering:
    """The grants that the visitor may see, what was asked of them, and those that cover it."""

    now: _Now
    every: Sequence[Grant]
    asked: Mapping[str, str]
    unclear: Mapping[str, Sequence[Choice]]  # what a question's words could mean
    standing: Sequence[Grant]
    revoked: Sequence[Grant]


class _Grants:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._parts = console.parts

    # --- reading

    def index(self) -> Response:
        """Applications, those that wait first, and grants."""
        now = _Now(self._console, listed=True)
        today = day_of(now.now)
        seen = [one for one in now.applications if now.sees(one.client, one.source)]
        waiting = sorted((one for one in seen if one.state is ApplicationState.APPLIED), key=lambda one: one.due_on)
        grants = [one for one in now.policy.grants.values() if now.sees(one.client, one.source)]
        return shown(
            "grants/index.html", waiting=waiting, overdue=[one.id for one in waiting if one.overdue(today)], now=now,
            decided=[one for one in seen if one.state is not ApplicationState.APPLIED],
            grants=sorted(grants, key=lambda one: (one.state != IN_FORCE, one.valid_to)), **_words(),
            can_apply=bool(now.clients()), has_body=bool(now.bodies()),
        )  # fmt: skip

    def matrix(self) -> Response:
        """System × source; and who may see what, by system, source and field, item or scene, material."""
        seen = self._covering()
        now, asked = seen.now, seen.asked
        cells: dict[tuple[str, str], list[Grant]] = {}
        for one in seen.standing:
            cells.setdefault((one.client, one.source), []).append(one)
        known = now.catalog.sources.get(asked["source"])
        return shown(
            "grants/matrix.html", now=now, cells=cells, asked=asked, is_asked=any(asked.values()), found=seen.standing,
            clients=sorted({one.client for one in seen.every}), sources=sorted({one.source for one in seen.every}),
            revoked=seen.revoked, fields=known.fields if known else (), opens=visitor().has(*_SEES.roles), **_words(),
            query={name: value for name, value in asked.items() if value}, unclear=seen.unclear,
            shown={name: request.args[name] if name in seen.unclear else choice_of(asked[name], now.names(of)).words
                   for name, of in _PICKED.items()},
        )  # fmt: skip

    def matrix_export(self, kind: str) -> Response:
        """The grants that the matrix shows, one in each line."""
        seen = self._covering()
        return exported(self._parts, _table(seen.now, seen.asked, [*seen.standing, *seen.revoked]), kind)

    def _covering(self) -> _Covering:
        """What the visitor may see of what was asked for."""
        now = _Now(self._console)
        overseeing = visitor().has(*_OVERSEES)
        every = [one for one in now.policy.grants.values() if overseeing or now.sees(one.client, one.source)]
        asked = {name: request.args.get(name, "").strip()[:200] for name in _QUESTIONS}
        unclear: dict[str, list[Choice]] = {}
        for name, of in _PICKED.items():
            asked[name], fits = meant(asked[name], now.names(of))
            unclear |= {name: fits} if fits else {}
        found = _covering(every, now.catalog, asked)
        revoked = [one for one in found if one.state == REVOKED]
        return _Covering(now, every, asked, unclear, [one for one in found if one.state != REVOKED], revoked)

    def application(self, number: str) -> Response:
        """One application, and the form to decide it."""
        return self._application_page(number, "", 200)

    def _application_page(self, number: str, wrong: str, status: int) -> Response:
        now = _Now(self._console, application=number)
        one = now.application
        if one is None or not now.sees(one.client, one.source):
            raise CallerProblem("application.unknown", got=number)
        owner = now.owner(one.source)
        as_owner = now.owns(one.source)
        as_centre = not owner and visitor().has(ConsoleRole.OPERATOR)
        return shown(
            "grants/application.html", status=status, one=one, now=now, wrong=wrong, owner=owner, **_words(),
            can_decide=one.state is ApplicationState.APPLIED and (as_owner or as_centre), has_body=bool(now.bodies()),
            overdue=one.overdue(day_of(now.now)), typed=request.form,
        )  # fmt: skip

    def grant(self, number: str) -> Response:
        """One grant, and what can be done with it."""
        return self._grant_page(number, "", 200)

    def _grant_page(self, number: str, wrong: str, status: int) -> Response:
        now = _Now(self._console, application=number)
        one = now.policy.grants.get(number)
        if one is None or not now.sees(one.client, one.source):
            raise CallerProblem("application.grant", got=number)
        mine = now.owns(one.source) or visitor().has(ConsoleRole.OPERATOR)
        with self._console.parts.store.read() as work:
            flags = [flag for flag in work.flags(open_only=True) if number in flag.evidence.grants]
        return shown(
            "grants/grant.html", status=status, one=one, now=now, wrong=wrong, can_change=mine, **_words(),
            suspended_by=[describe(flag.rule, flag.evidence) for flag in flags],
            can_renew=one.state != REVOKED and one.client in {client.id for client in now.clients()},
            came_from=now.application is not None, has_body=bool(now.bodies()),
        )  # fmt: skip

    # --- acting

    def apply(self) -> Response:
        """The form: first for which system and of which source, then what."""
        return self._apply_page("", 200)

    def _apply_page(self, wrong: str, status: int) -> Response:
        now = _Now(self._console)
        renewed = now.policy.grants.get(request.values.get("renews", ""))
        if renewed is not None and not now.sees(renewed.client, renewed.source):
            raise CallerProblem("application.grant", got=renewed.id)
        source = now.catalog.sources.get(renewed.source if renewed else request.values.get("source", ""))
        client = renewed.client if renewed else request.values.get("client", "")
        today, chosen = day_of(now.now), _chosen(renewed)
        find = request.values.get("find", "").strip()[:200]
        items, more = _offered(now, chosen["items"], find)
        return shown(
            "grants/apply.html", status=status, now=now, clients=now.clients(), client=client, source=source,
            renewed=renewed, wrong=wrong, typed=request.form, today=today, year=today + timedelta(days=365), **_words(),
            bases=list(Basis), chosen=chosen, find=find, items=items, more=more, most=MOST,
        )  # fmt: skip

    def applying(self) -> Response:
        """The form as sent."""
        form = request.form
        if form.get("act") == "find":
            return self._apply_page("", 200)
        now = _Now(self._console)
        client = next((one for one in now.clients() if one.id == form.get("client", "")), None)
        if client is None:
            raise CallerProblem("console.scope", got=form.get("client", ""))
        actor = Actor(visitor().login, client.unit)
        try:
            wish = steps.Wish(client.id, form.get("source", ""), _scope(), form.get("renews", ""))
            made = steps.apply(self._parts, wish, actor)
        except CallerProblem as problem:
            return self._apply_page(said_of(problem), 422)
        except ValueError:
            return self._apply_page(said_of(CallerProblem("application.scope")), 422)
        return to("grants_application", number=made.id)

    def decide(self, number: str) -> Response:
        """Approve, trim or refuse."""
        form = request.form
        verdict = steps.Verdict(form.get("verdict") == "approve", form.get("reason", "").strip()[: _LONG["reason"]])
        self._application_page(number, "", 200)  # whoever may not see it may not decide it
        try:
            if verdict.approve:
                verdict = replace(verdict, trim=_trim(self._asked(number)))
            steps.decide(self._parts, number, verdict, self._actor_on(number), vouched=_vouched())
        except CallerProblem as problem:
            return self._application_page(number, said_of(problem), 422)
        except ValueError:
            return self._application_page(number, said_of(CallerProblem("application.scope")), 422)
        return to("grants_application", number=number)

    def _actor_on(self, number: str) -> Actor:
        """Who acts on an application or a grant."""
        now = _Now(self._console, application=number)
        about = now.policy.grants.get(number) or now.application
        return _actor(now, about.source if about else "")

    def _asked(self, number: str) -> Scope:
        with self._parts.store.read() as work:
            found = work.application(number)
        if found is None:
            raise CallerProblem("application.unknown", got=number)
        return found.asked

    def change(self, number: str) -> Response:
        """Suspend, revoke or restore; effective at once."""
        state, reason = request.form.get("state", ""), request.form.get("reason", "").strip()[: _LONG["reason"]]
        self._grant_page(number, "", 200)  # whoever may not see it may not change it
        if state not in {SUSPENDED, REVOKED, IN_FORCE}:
            raise CallerProblem("request.parameter", got=state)
        try:
            steps.withdraw(self._parts, number, state, reason, self._actor_on(number), vouched=_vouched())
        except CallerProblem as problem:
            return self._grant_page(number, said_of(problem), 422)
        return to("grants_grant", number=number)


def _covering(grants: Iterable[Grant], catalog: Catalog, asked: Mapping[str, str]) -> list[Grant]:
    """The grants that a question is about: of a system, a source, a field, an item or scene, a material."""
    item, material = asked["item"], catalog.materials.get(asked["material"])
    scenes = {scene for (_, scene), keys in catalog.scene_items.items() if item in keys}
    behind = None if material is None else {step.source for step in material.chain if step.source}
    return [
        one for one in grants
        if asked["client"] in {"", one.client} and asked["source"] in {"", one.source}
        and (not asked["field"] or asked["field"] in one.fields)
        and (not item or item in {*one.items, *one.scenes} or scenes & set(one.scenes))
        and (behind is None or one.source in behind)
    ]  # fmt: skip


_QUESTION_WORDS: Mapping[str, str] = {
    "client": mark("System"), "source": mark("Source"), "field": mark("Field"), "item": mark("Item or scene"),
    "material": mark("Material"),
}  # fmt: skip


def _table(now: _Now, asked: Mapping[str, str], grants: Sequence[Grant]) -> Table:
    """What the matrix tells of each grant, and nothing more."""
    heads = [gettext("System"), gettext("Name of the system"), gettext("Source"), gettext("Name of the source"),
             gettext("Fields"), gettext("Basis"), gettext("Valid until"), gettext("State"),
             gettext("Grant")]  # fmt: skip
    rows = [
        (one.client, now.client_name(one.client), one.source, now.source_name(one.source), ", ".join(one.fields),
         one.legal_reference, _last_day(one.valid_to), told(GRANT_STATES[now.state(one)]), one.id)
        for one in sorted(grants, key=lambda one: (one.state == REVOKED, one.client, one.source, one.id))
    ]  # fmt: skip
    about = [(gettext(words), asked[name]) for name, words in _QUESTION_WORDS.items() if asked[name]]
    return Table("grants", gettext("Who may see what"), heads, rows, about, now.edition, asked)


def _actor(now: _Now, source: str) -> Actor:
    """The visitor and the body they act for: the source's own department where they speak for it.

    Raises ``console.scope`` where the account names none.
    """
    mine = now.bodies()
    if now.owner(source) in mine:
        return Actor(visitor().login, now.owner(source))
    chosen = request.form.get("unit", "") or (mine[0] if mine else "")
    if chosen not in mine:
        raise CallerProblem("console.scope", got=chosen)
    return Actor(visitor().login, chosen)


def _vouched() -> steps.Vouched:
    return steps.Vouched(visitor().has(ConsoleRole.OPERATOR), visitor().person.departments(_SOURCE))


def _scope() -> Scope:
    """What the form applies for. Raises ``ValueError`` for what is no date, number, form or basis."""
    form = request.form
    holders = form.get("distinct_holders", "").strip()
    return Scope(
        scenes=tuple(form.getlist("scenes")),
        items=tuple(form.getlist("items")),
        forms=tuple(map(Form, form.getlist("forms"))),
        fields=tuple(form.getlist("fields")),
        bases=tuple(map(Basis, form.getlist("bases"))),
        legal_reference=_text("legal_reference"),
        purpose=_text("purpose"),
        daily_calls=int(form.get("daily_calls", "")),
        valid_from=_day("valid_from"),
        valid_to=_day("valid_to") + timedelta(days=1),
        distinct_holders=int(holders) if holders else None,
    )


def _trim(asked: Scope) -> Trim:
    """What the decider leaves; what is as it was asked is no trim."""
    form = request.form
    given: dict[str, Any] = {}
    for name, of in (("scenes", str), ("items", str), ("fields", str), ("forms", Form)):
        before: Iterable[Any] = getattr(asked, name)
        left = tuple(one for one in before if one in set(map(of, form.getlist(name))))
        if left != tuple(before):
            given[name] = left
    holders = form.get("distinct_holders", "").strip()
    if holders and int(holders) != asked.distinct_holders:
        given["distinct_holders"] = int(holders)
    calls, until = int(form.get("daily_calls", "")), _day("valid_to") + timedelta(days=1)
    if calls != asked.daily_calls:
        given["daily_calls"] = calls
    if until.date() != asked.valid_to.astimezone(CHINA).date():
        given["valid_to"] = until
    return Trim(**given)


def _text(name: str) -> str:
    said = request.form.get(name, "").strip()[: _LONG[name]]
    if not said:
        raise CallerProblem("application.scope", pointer=f"/{name}", expected=name)
    return said


def _day(name: str) -> datetime:
    return datetime.combine(date.fromisoformat(request.form.get(name, "")), time(), CHINA)


def _chosen(renewed: Grant | None) -> dict[str, set[str]]:
    """What is ticked: as it was sent, or as the grant that is renewed has it."""
    names = ("scenes", "items", "forms", "fields", "bases")
    if request.form or "find" in request.args or renewed is None:
        return {name: set(request.values.getlist(name)) for name in names}
    return {name: set(map(str, getattr(renewed, name))) for name in names}


def _offered(now: _Now, chosen: set[str], find: str) -> tuple[list[tuple[Choice, bool]], bool]:
    """The items that are chosen, then those that fit what was searched for; and whether more of them would fit."""
    names = now.names("item")
    ticked = [(choice_of(key, names), True) for key in names if key in chosen]
    fits = fitting(find, {key: name for key, name in names.items() if key not in chosen}, MOST + 1) if find else []
    return [*ticked, *((one, False) for one in fits[:MOST])], len(fits) > MOST


def _last_day(moment: datetime) -> str:
    """The last day before a moment, as people in China write it."""
    return (moment - timedelta(milliseconds=1)).astimezone(CHINA).strftime("%Y-%m-%d")


def _words() -> dict[str, Any]:
    return {"bases_words": BASES, "forms_words": FORMS, "application_states": APPLICATION_STATES, "last_day": _last_day,
            "grant_states": GRANT_STATES, "longest": _LONG}  # fmt: skip
