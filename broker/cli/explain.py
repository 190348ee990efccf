"""Explain one verification: why it was asked what it was asked, and decided as it was."""

from __future__ import annotations

import json

import click

from broker.cli.shared import current_settings, office, told
from broker.core.explain import explanation_text
from broker.flow.explain import explain_as


@click.command("explain")
@click.argument("verification")
@click.option("--by", required=True, help="Who looks; the log keeps the name.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The whole explanation as JSON.")
def explain_command(verification: str, by: str, lang: str, *, as_json: bool) -> None:
    """Say why each lookup of a verification was permitted or not, and why each material was decided as it was."""
    with told(), office(current_settings()) as opened:
        found = explain_as(opened.parts, verification, by)
    text = json.dumps(found, ensure_ascii=False, indent=2) if as_json else explanation_text(found, lang)
    click.echo(text.rstrip("\n"))
