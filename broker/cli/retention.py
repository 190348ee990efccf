"""Retention: destroy what has expired, and what somebody has the right to have deleted."""

from __future__ import annotations

import click

from broker.cli.shared import current_settings, office, told
from broker.flow.retain import Erasure, erase_case, retain


@click.group("retention")
def retention_group() -> None:
    """How long what is kept: answers for days, entries and receipts for years."""


@retention_group.command("run")
def retention_run() -> None:
    """Destroy requests, questions and answers of cases older than BROKER_ANSWER_DAYS; `broker sweep` does it daily."""
    with told(), office(current_settings()) as opened:
        while retain(opened.parts):
            pass


@retention_group.command("erase")
@click.option("--client", required=True, help="The approval system whose case it is.")
@click.option("--case", required=True, help="The case's number.")
@click.option("--by", required=True, help="Who does it; the log keeps the name.")
@click.option("--reason", required=True, help="Why; the log keeps it. No names and numbers of persons.")
def retention_erase(client: str, case: str, by: str, reason: str) -> None:
    """Destroy a case's requests, questions and answers now, for good; receipts and entries stay and still verify."""
    with told(), office(current_settings()) as opened:
        gone = erase_case(opened.parts, Erasure(client, case, by, reason))
    click.echo(f"{gone.verifications} verifications, {gone.lookups} lookups")
