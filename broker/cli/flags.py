"""Flags of conspicuous conduct: list, show, clear."""

from __future__ import annotations

import click

from broker.cli.shared import current_settings, office, told
from broker.core.errors import CallerProblem
from broker.core.misuse import describe
from broker.core.receipt import moment
from broker.flow import watch
from broker.ports.grants import Flag


@click.group("flag")
def flag_group() -> None:
    """What was flagged in operators' conduct, for the audit review."""


@flag_group.command("list")
@click.option("--all", "cleared", is_flag=True, help="Those that were cleared, too.")
def flag_list(*, cleared: bool) -> None:
    """The flags that nobody has cleared yet, the newest first."""
    with told(), office(current_settings()) as opened, opened.parts.store.read() as work:
        for one in work.flags(open_only=not cleared):
            click.echo(f"{one.id} {one.state} {one.action.value} {one.rule.value} {one.operator} {_words(one)}")


@flag_group.command("show")
@click.argument("number")
def flag_show(number: str) -> None:
    """One flag with its evidence."""
    with told(), office(current_settings()) as opened, opened.parts.store.read() as work:
        one = next((one for one in work.flags() if one.id == number), None)
        if one is None:
            raise CallerProblem("misuse.unknown")
        click.echo(f"{one.rule.value} {one.action.value} {one.state} {moment(one.raised_at)}\n{one.operator}")
        click.echo("\n".join(describe(one.rule, one.evidence).values()))
        click.echo("\n".join(one.evidence.verifications))
        if one.cleared_at is not None:
            click.echo(f"{one.cleared_by} {moment(one.cleared_at)} {one.comment}")


@flag_group.command("clear")
@click.argument("number")
@click.option("--by", required=True, help="Who has looked at it; the log keeps the name.")
@click.option("--comment", required=True, help="What came of it.")
def flag_clear(number: str, by: str, comment: str) -> None:
    """Clear a flag; an operator whom it stopped may ask again."""
    with told(), office(current_settings()) as opened:
        watch.clear(opened.parts, number, by, comment)


def _words(one: Flag) -> str:
    return describe(one.rule, one.evidence)["zh"]
