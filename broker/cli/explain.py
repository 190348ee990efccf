"""Explain one verification: why it was asked what it was asked, and decided as it was."""

from __future__ import annotations

import json
from typing import Any

import click

from broker.cli.shared import current_settings, office, told
from broker.core.explain import explanation_text, refusals_text
from broker.flow.explain import explain_as, refusals_as


@click.command("explain")
@click.argument("verification")
@click.option("--refused", is_flag=True, help="The argument is the id of a request that was refused.")
@click.option("--by", required=True, help="Who looks; the log keeps the name.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The whole explanation as JSON.")
def explain_command(verification: str, by: str, lang: str, *, refused: bool, as_json: bool) -> None:
    """Say why each lookup of a verification was permitted or not, and why each material was decided as it was.

    With --refused: why a request was refused, which has led to no verification.
    """
    found: Any
    with told(), office(current_settings()) as opened:
        found = refusals_as(opened.parts, verification, by) if refused else explain_as(opened.parts, verification, by)
    words = refusals_text if refused else explanation_text
    text = json.dumps(found, ensure_ascii=False, indent=2) if as_json else words(found, lang)
    click.echo(text.rstrip("\n"))
