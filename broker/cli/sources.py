"""Asking a source its harmless probe, and saying step by step what happened."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from broker.bootstrap import noting_connectors, read_platforms
from broker.cli.shared import current_settings, told
from broker.config import Settings
from broker.core.answer import Reply
from broker.core.catalog import Source, catalog_from
from broker.core.errors import FAULT_WORDS
from broker.core.probe import STEPS, advice
from broker.core.working_days import Calendar
from broker.flow.source_steps import Mark, Step, Tested, steps
from broker.ports import Conversation
from broker.store.catalog_file import read_catalog
from broker.transport.answers import load_answer_schemas
from broker.transport.https import HttpsTransport
from broker.transport.reach import RoadParts

_MARKS = {Mark.HOLDS: "✓", Mark.FAILS: "✗", Mark.UNSHOWN: "–"}


@click.command("test")
@click.argument("name")
def source_test(name: str) -> None:
    """Ask a configured source its harmless probe, and say step by step what happened; exit 1 if a step fails."""
    with told():
        for step in steps(_tested(current_settings(), name)):
            _show(step)
            if step.mark is Mark.FAILS:
                sys.exit(1)


def _tested(settings: Settings, name: str) -> Tested:
    """What is tested, out of the files alone: neither a database nor an edition is needed."""
    document = read_catalog(Path(settings.catalog_file)).document
    nothing: dict[str, Any] = {"regions": {}, "materials": {}, "items": {}, "scenes": {}}
    source = catalog_from(nothing | {"sources": document.get("sources", {})}).sources.get(name)
    connection = None if source is None else read_platforms(Path(settings.platforms_file)).get(source.platform)
    said: list[bool] = []
    answer_ok = load_answer_schemas(Path(settings.schemas_folder) / "sources")
    connectors = noting_connectors(answer_ok, Calendar())(said.append)
    ca_file = settings.ca_file or None

    def ask(asked: Source, conversation: Conversation) -> Reply:
        transport = HttpsTransport(ca_file=ca_file)
        try:
            return transport.converse(asked, [conversation])[0]
        finally:
            transport.close()

    return Tested(
        name, source, None if source is None or connection is None else (connectors[source.connector], connection),
        RoadParts(ca_file), ask, f"probe-{time.time_ns():x}", datetime.now(UTC), lambda: said[-1] if said else None,
    )  # fmt: skip


def _show(step: Step) -> None:
    text, found = STEPS[step.name], step.found
    words = found["zh"] if found["zh"] == found["en"] else f"{found['zh']} / {found['en']}"
    click.echo(f"{_MARKS[step.mark]} {text.zh} / {text.en}{f': {words}' if words else ''}")
    if step.mark is Mark.FAILS:
        todo = advice(step.name, step.cause)
        whose = FAULT_WORDS[todo.fault]
        click.echo(f"  责任方：{whose['zh']}。Whose move it is: {whose['en']}.")
        click.echo(f"  下一步：{todo.next_zh}。\n  Next: {todo.next_en}.")
