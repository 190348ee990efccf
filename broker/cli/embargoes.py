"""Embargoes (暂不公开) from the command line: what hides, what waits for approval, and an end before the time.

Nothing is approved here: whoever types could write any name, and an approval needs a person who is known.
"""

from __future__ import annotations

import getpass

import click

from broker.cli.shared import current_settings, office, told
from broker.core.receipt import moment
from broker.flow.subject import lift_embargo, list_embargoes
from broker.ports.proof import Embargo

_MOST = 10_000


@click.group("embargo")
def embargo_group() -> None:
    """Embargoes on the subject's view; the centre's systems ask for them, people approve them in the console."""


@embargo_group.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
def embargo_list(*, everything: bool) -> None:
    """One line each, the newest first: id, waiting or approved, until, what is hidden, who asked, who approved."""
    with told(), office(current_settings()) as opened:
        for one in list_embargoes(opened.parts, _MOST, everything=everything):
            click.echo(_line(one))


@embargo_group.command("lift")
@click.argument("number")
@click.option("--by", default=getpass.getuser, show_default="the system's user", help="Who does it; for the log.")
@click.option("--reason", required=True, help="Why; for the log, and naming nobody.")
def embargo_lift(number: str, by: str, reason: str) -> None:
    """End an embargo before its time, approved or not."""
    with told(), office(current_settings()) as opened:
        click.echo(_line(lift_embargo(opened.parts, number, by, reason)))


def _line(one: Embargo) -> str:
    hidden = f"subject:{one.subject}" if one.subject else f"case:{one.client}/{one.case}"
    state = "approved" if one.approved_by else "waiting"
    return f"{one.id} {state} {moment(one.until)} {hidden} {one.requested_by} {one.approved_by or '-'}"
