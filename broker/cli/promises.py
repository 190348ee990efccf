"""Promises (告知承诺) from the command line: those that a person must check, and those that proved false."""

from __future__ import annotations

import click

from broker.cli.shared import current_settings, office, told
from broker.core.receipt import moment
from broker.flow.promises import promises_kept_back

_STATES = ("open", "kept", "broken", "by_hand")


@click.group("promise")
def promise_group() -> None:
    """Commitments on which decisions rest."""


@promise_group.command("list")
@click.option("--state", "states", type=click.Choice(_STATES), multiple=True, help="Default: by_hand and broken.")
def promise_list(states: tuple[str, ...]) -> None:
    """One line per promise, the oldest first: state, when it was made, system, case, material, verification."""
    with told(), office(current_settings()) as opened:
        for one in promises_kept_back(opened.parts, states or ("by_hand", "broken")):
            promise = one.promise
            when = moment(one.promised_at)
            click.echo(f"{promise.state} {when} {one.client} {one.case} {promise.material} {promise.verification}")
