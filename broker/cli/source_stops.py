"""Stopping a source by hand, and opening it again."""

from __future__ import annotations

import click

from broker.cli.shared import current_settings, office, told
from broker.core.receipt import moment
from broker.flow.stops import open_source, stop_source

_operator = click.option("--operator", required=True, help="Staff number of who does it; it stands in the audit log.")
_reason = click.option("--reason", required=True, help="Why; it stands in the audit log, and everybody here sees it.")


@click.command("stop")
@click.argument("name")
@_operator
@_reason
def source_stop(name: str, operator: str, reason: str) -> None:
    """Ask a source nothing more, in all processes at once; its lookups end unknown.source-stopped."""
    with told(), office(current_settings()) as opened:
        stop_source(opened.parts, name, operator, reason)
    click.echo(f"{name} 已停用 / stopped")


@click.command("open")
@click.argument("name")
@_operator
@_reason
def source_open(name: str, operator: str, reason: str) -> None:
    """Ask a source again that was stopped."""
    with told(), office(current_settings()) as opened:
        open_source(opened.parts, name, operator, reason)
    click.echo(f"{name} 已恢复 / open again")


@click.command("stopped")
def source_stopped() -> None:
    """The sources that are stopped: since when, by whom, and why."""
    with told(), office(current_settings()) as opened, opened.parts.store.read() as work:
        for one in work.stops().values():
            click.echo(f"{one.source} {moment(one.at)} {one.by}: {one.reason}")
