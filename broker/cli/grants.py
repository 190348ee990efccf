"""Grants: a using department applies, the source department decides; what was given is suspended, revoked, restored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import click

from broker.cli.shared import current_settings, office, told
from broker.core.authorise import IN_FORCE, REVOKED, SUSPENDED
from broker.core.case import Basis
from broker.core.catalog import Form
from broker.core.day import CHINA, day_of
from broker.core.grant_application import Actor, Application, Scope, Trim
from broker.flow import grants as steps

_DAY = click.DateTime(["%Y-%m-%d"])


def _by(command: Callable[..., Any]) -> Callable[..., Any]:
    """The person who does it, and their department."""
    unit = click.option("--unit", required=True, help="Credit code of that person's department.")
    return click.option("--by", required=True, help="Who does it, as the audit log shall name them.")(unit(command))


def _until(day: datetime | None) -> datetime | None:
    """The end of a day in China."""
    return None if day is None else day.replace(tzinfo=CHINA) + timedelta(days=1)


@click.command("apply")
@_by
@click.option("--client", required=True, help="The system that shall be allowed to ask.")
@click.option("--source", required=True)
@click.option("--form", "forms", multiple=True, type=click.Choice([one.value for one in Form]), required=True)
@click.option("--field", "fields", multiple=True, required=True, help="A field that is needed.")
@click.option("--scene", "scenes", multiple=True)
@click.option("--item", "items", multiple=True)
@click.option("--basis", "bases", multiple=True, type=click.Choice([one.value for one in Basis]), required=True)
@click.option("--legal-reference", required=True, help="The law that makes it this department's duty.")
@click.option("--purpose", required=True, help="What the data is for.")
@click.option("--daily-calls", type=int, required=True, help="Expected calls per day; becomes the cap.")
@click.option("--distinct-holders", type=int, help="Persons that one operator needs to ask about per day.")
@click.option("--from", "valid_from", type=_DAY, required=True, help="The first day.")
@click.option("--to", "valid_to", type=_DAY, required=True, help="The last day.")
@click.option("--renews", default="", help="The grant that this continues.")
def grant_apply(  # noqa: PLR0913, PLR0917 - one parameter per option
    by: str,
    unit: str,
    client: str,
    source: str,
    forms: tuple[str, ...],
    fields: tuple[str, ...],
    scenes: tuple[str, ...],
    items: tuple[str, ...],
    bases: tuple[str, ...],
    legal_reference: str,
    purpose: str,
    daily_calls: int,
    distinct_holders: int | None,
    valid_from: datetime,
    valid_to: datetime,
    renews: str,
) -> None:
    """Apply to a source department for a grant; prints the application's id and the day until which it is decided."""
    scope = Scope(
        scenes=scenes, items=items, forms=tuple(map(Form, forms)), fields=fields, bases=tuple(map(Basis, bases)),
        legal_reference=legal_reference, purpose=purpose, daily_calls=daily_calls, distinct_holders=distinct_holders,
        valid_from=valid_from.replace(tzinfo=CHINA), valid_to=valid_to.replace(tzinfo=CHINA) + timedelta(days=1),
    )  # fmt: skip
    with told(), office(current_settings()) as opened:
        made = steps.apply(opened.parts, steps.Wish(client, source, scope, renews), Actor(by, unit))
        click.echo(f"{made.id} {made.due_on}{'' if made.due_certain else ' ?'}")


@click.command("approve")
@click.argument("application")
@_by
@click.option("--reason", required=True)
@click.option("--form", "forms", multiple=True, type=click.Choice([one.value for one in Form]))
@click.option("--field", "fields", multiple=True, help="Only these fields. Default: all that were asked for.")
@click.option("--scene", "scenes", multiple=True)
@click.option("--item", "items", multiple=True)
@click.option("--daily-calls", type=int)
@click.option("--distinct-holders", type=int)
@click.option("--to", "valid_to", type=_DAY, help="The last day.")
def grant_approve(  # noqa: PLR0913, PLR0917 - one parameter per option
    application: str,
    by: str,
    unit: str,
    reason: str,
    forms: tuple[str, ...],
    fields: tuple[str, ...],
    scenes: tuple[str, ...],
    items: tuple[str, ...],
    daily_calls: int | None,
    distinct_holders: int | None,
    valid_to: datetime | None,
) -> None:
    """Approve what another department's person applied for, whole or trimmed; the grant has the application's id."""
    trim = Trim(scenes or None, items or None, tuple(map(Form, forms)) or None, fields or None, daily_calls,
                distinct_holders, _until(valid_to))  # fmt: skip
    with told(), office(current_settings()) as opened:
        verdict = steps.Verdict(approve=True, reason=reason, trim=trim)
        click.echo(steps.decide(opened.parts, application, verdict, Actor(by, unit)).state.value)


@click.command("refuse")
@click.argument("application")
@_by
@click.option("--reason", required=True)
def grant_refuse(application: str, by: str, unit: str, reason: str) -> None:
    """Refuse an application, with the reason."""
    with told(), office(current_settings()) as opened:
        steps.decide(opened.parts, application, steps.Verdict(approve=False, reason=reason), Actor(by, unit))


def _withdrawing(name: str, state: str, text: str) -> click.Command:
    @click.command(name, help=text)
    @click.argument("grant")
    @_by
    @click.option("--reason", required=True)
    def command(grant: str, by: str, unit: str, reason: str) -> None:
        with told(), office(current_settings()) as opened:
            steps.withdraw(opened.parts, grant, state, reason, Actor(by, unit))

    return command


grant_suspend = _withdrawing("suspend", SUSPENDED, "Suspend a grant at once; lookups already queued are not asked.")
grant_revoke = _withdrawing("revoke", REVOKED, "Revoke a grant at once and for good; queued lookups are not asked.")
grant_restore = _withdrawing("restore", IN_FORCE, "Let a suspended grant be in force again.")


@click.command("applications")
@click.option("--overdue", is_flag=True, help="Only those that should have been decided before today.")
def grant_applications(*, overdue: bool) -> None:
    """The applications with state, people and deadline, the newest first."""
    with told(), office(current_settings()) as opened, opened.parts.store.read() as work:
        today = day_of(work.pulse().now)
        for one in work.applications(open_only=overdue):
            if one.overdue(today) or not overdue:
                click.echo(_line(one, late=one.overdue(today)))


@click.command("remind")
def grant_remind() -> None:
    """Remind source departments of what is due or overdue, as the housekeeping does by itself; prints the ids."""
    with told(), office(current_settings()) as opened:
        for number in steps.remind(opened.parts):
            click.echo(number)


def _line(one: Application, *, late: bool) -> str:
    people = f"{one.applied.by}@{one.applied.unit} {one.decided.by + '@' + one.decided.unit if one.decided else '-'}"
    due = f"{one.due_on}{'' if one.due_certain else '?'}{' 逾期/overdue' if late else ''}"
    return f"{one.id} {one.state.value} {one.client} {one.source} {people} {due} {one.reason}".rstrip()
