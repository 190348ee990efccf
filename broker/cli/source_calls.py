"""Calls of a source's platform itself: its field dictionary, its check of a file, corrections and applications."""

from __future__ import annotations

import base64
from pathlib import Path

import click

from broker.bootstrap import management
from broker.cli.shared import current_settings, office, told
from broker.flow.manage import Order, manage

_CALLS = ("field_dictionary", "verify_file", "correct_catalogue", "apply_for_resource")


@click.group("source")
def source_group() -> None:
    """Sources and their platforms."""


@source_group.command("call")
@click.argument("source")
@click.argument("call", type=click.Choice(_CALLS))
@click.option("--operator", required=True, help="Staff number of who calls; it stands in the audit log.")
@click.option("--reason", required=True, help="Why; it stands in the audit log, and the platform may be told it.")
@click.option("--argument", "arguments", multiple=True, metavar="NAME=VALUE", help="For the platform; may be repeated.")
@click.option("--file", "content", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="What verify_file is about.")  # fmt: skip
def source_call(
    source: str, call: str, operator: str, reason: str, arguments: tuple[str, ...], content: Path | None
) -> None:
    """Call a source's platform outside any case; prints what came back."""
    named = dict(text.split("=", 1) for text in arguments if "=" in text)
    if len(named) != len(arguments):
        raise click.ClickException("参数须为 NAME=VALUE，且不得重复 / arguments are NAME=VALUE, each once")
    if content is not None:
        named["content"] = base64.b64encode(content.read_bytes()).decode()
    with told(), office(current_settings()) as opened:
        answer = manage(opened.parts, management(), Order(source, call, operator, reason, named))
    click.echo(f"{answer.reason.value} {answer.source_code}".strip())
    for name, value in answer.fields.items():
        click.echo(f"{name}: {value}")
