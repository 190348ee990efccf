"""Objections to data (数据异议) from the command line: what is open, and what is overdue."""

from __future__ import annotations

import click

from broker.cli.shared import current_settings, office, told
from broker.core.objection import Objection
from broker.core.receipt import moment
from broker.flow import objections as steps


@click.group("objection")
def objection_group() -> None:
    """Objections to what sources said; people raise and handle them in the console."""


@objection_group.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
def objection_list(*, everything: bool) -> None:
    """One line each, those due first come first: id, state, due, source, verification."""
    with told(), office(current_settings()) as opened:
        found = steps.list_objections(opened.parts)
        _lines([one for one in found if everything or one.ended_at is None])


@objection_group.command("overdue")
def objection_overdue() -> None:
    """Those whose next step should have come by now."""
    with told(), office(current_settings()) as opened:
        _lines(steps.overdue_objections(opened.parts))


def _lines(found: list[Objection]) -> None:
    for one in found:
        click.echo(f"{one.id} {one.state} {moment(one.due_at)} {one.source} {one.verification}")
