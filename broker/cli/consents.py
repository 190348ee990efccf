"""Holders' consents (持证人授权) from the command line: what a case has asked for, and what became of it."""

from __future__ import annotations

import click

from broker.cli.shared import current_settings, office, told
from broker.core.receipt import moment
from broker.flow.consents import consents_of_case


@click.group("consent")
def consent_group() -> None:
    """Consents; the portal asks for them, or a source does so itself."""


@consent_group.command("list")
@click.argument("client")
@click.argument("case")
def consent_list(client: str, case: str) -> None:
    """One line for each consent of a system's case, the oldest first: id, state, until, who asks, sources."""
    with told(), office(current_settings()) as opened:
        for one in consents_of_case(opened.parts, client, case):
            asks = "portal" if one.lookup is None else "source"
            click.echo(f"{one.id} {one.state} {moment(one.until)} {asks} {','.join(one.sources)}")
