"""Editions: a list is drafted, submitted, approved by another person, and published with a date.

What a draft may go through besides stands in ``broker.cli.drafts``, in the same group.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from broker.cli.catalog import DEFAULT_LIST, checked, checker
from broker.cli.shared import current_settings, office, told
from broker.core.day import CHINA
from broker.core.errors import OperatorProblem
from broker.core.findings import ERROR, has_errors, render
from broker.flow import publish as editions

BY = click.option("--by", required=True, help="Who does it, as the audit log shall name them.")


@click.group("edition")
def edition_group() -> None:
    """Editions of the sharing list: draft, change, submit, approve or reject, publish, go back."""


@edition_group.command("draft")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=DEFAULT_LIST)
@BY
@click.option("--comment", default="", help="What changes and why, for the reviewer.")
def draft(file: Path, by: str, comment: str) -> None:
    """Keep a readable file as a draft; prints its number, and on standard error what must be mended before review."""
    settings = current_settings()
    read, findings = checked(settings, file)
    for line in render([one for one in findings if one.severity == ERROR], read.places, "zh"):
        click.echo(line, err=True)
    with told(), office(settings) as opened:
        if has_errors(read.findings):  # what was read is not what the file says
            raise OperatorProblem("catalog.unreadable", got=file.name)
        click.echo(editions.draft(opened.parts, read.document, by, comment).id)


@edition_group.command("submit")
@click.argument("number")
@BY
@click.option("--comment", default="", help="A note for who reviews it.")
def submit(number: str, by: str, comment: str) -> None:
    """Hand a draft in for review; one with errors is refused."""
    settings = current_settings()
    with told(), office(settings) as opened:
        editions.submit(opened.parts, number, by, checker(settings), note=comment)


@edition_group.command("approve")
@click.argument("number")
@BY
@click.option("--comment", default="")
def approve(number: str, by: str, comment: str) -> None:
    """Approve what another person drafted and submitted."""
    with told(), office(current_settings()) as opened:
        editions.review(opened.parts, number, by, approve=True, comment=comment)


@edition_group.command("reject")
@click.argument("number")
@BY
@click.option("--comment", required=True, help="Why.")
def reject(number: str, by: str, comment: str) -> None:
    """Reject what another person drafted and submitted, with the reason."""
    with told(), office(current_settings()) as opened:
        editions.review(opened.parts, number, by, approve=False, comment=comment)


@edition_group.command("publish")
@click.argument("number")
@BY
@click.option("--effective", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="China's time. Default: now.")
def publish(number: str, by: str, effective: datetime | None) -> None:
    """Make an approved draft the next edition; verifications in flight keep theirs."""
    moment = effective.replace(tzinfo=CHINA) if effective else None
    with told(), office(current_settings()) as opened:
        edition = editions.publish_draft(opened.parts, number, by, moment)
        click.echo(f"edition {edition.number} {edition.digest}")


@edition_group.command("list")
def list_drafts() -> None:
    """The drafts with their states and people, the newest first."""
    with told(), office(current_settings()) as opened, opened.parts.store.read() as work:
        for one in work.drafts():
            people = " ".join(name or "-" for name in (one.drafted_by, one.submitted_by, one.reviewed_by))
            edition = f" edition {one.edition}" if one.edition else ""
            click.echo(f"{one.id} {one.state} base {one.base}{edition} {people} {one.comment}".rstrip())
