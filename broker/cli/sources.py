"""Asking a source its harmless probe, and saying step by step what happened."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from broker.bootstrap import read_platforms, sm2_decrypt
from broker.cli.shared import current_settings, told
from broker.config import Settings
from broker.connectors import connectors
from broker.core.answer import Answer, Question, Waiting, checked
from broker.core.catalog import Source, catalog_from
from broker.core.probe import ANSWERED, STEPS, agreed, failed_step, probe_question
from broker.core.probe import told as answer_told
from broker.core.working_days import Calendar
from broker.ports import Connection
from broker.store.catalog_file import read_catalog
from broker.transport.answers import load_answer_schemas
from broker.transport.https import HttpsTransport
from broker.transport.reach import Unreached, parts_of


class Failed(Unreached):
    """A step before the road failed; what is known of why."""


@dataclass
class Probing:
    """One source being probed; what each step finds is there for the next."""

    settings: Settings
    name: str
    source: Source = field(init=False)
    connection: Connection = field(init=False)
    asked: Question = field(init=False)
    expected: str | None = None
    fits: bool | None = None
    answer: Answer = field(init=False)
    later: Waiting | None = None
    took_ms: int = 0

    def steps(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """Each step before the answer with what tries it; a step gives what is worth telling."""
        yield "list", self._listed
        yield "connection", self._connected
        yield "probe", self._probe
        yield from parts_of(self.connection.endpoint, self.settings.ca_file or None)

    def _listed(self) -> str:
        document = read_catalog(Path(self.settings.catalog_file)).document
        nothing: dict[str, Any] = {"regions": {}, "materials": {}, "items": {}, "scenes": {}}
        sources = catalog_from(nothing | {"sources": document.get("sources", {})}).sources
        if self.name not in sources:
            raise Failed(self.name)
        self.source = sources[self.name]
        return f"{self.source.connector} {self.source.platform}"

    def _connected(self) -> str:
        found = read_platforms(Path(self.settings.platforms_file)).get(self.source.platform)
        if found is None:
            raise Failed(self.source.platform)
        self.connection = found
        return urlsplit(found.endpoint).netloc.rpartition("@")[2] or urlsplit(found.endpoint).scheme

    def _probe(self) -> str:
        options = agreed(self.source, self.connection.options)
        try:
            self.asked = probe_question(self.source, options, f"probe-{time.time_ns():x}")
        except (KeyError, TypeError, ValueError):
            raise Failed("number, id_type, name; form, related, expect") from None
        self.expected = options.get("expect")
        return f"{self.asked.form.value}{f', {self.expected}' if self.expected else ''}"

    def fact(self, step: str, words: str) -> str:
        """What is worth telling of a step after the answer."""
        facts = {
            "answer": f"{self.took_ms} ms",
            "expected": words,
            "time": f"{self.took_ms} ≤ {self.source.budget_ms} ms",
        }
        return facts.get(step, "")

    def ask(self) -> str | None:
        """Ask the probe as a worker would; the step at which it failed.

        Where the answer is to come later – a person's, a holder's – ``later`` says when at the latest, and that the
        question was taken is all that a probe can show: nobody is written to.
        """
        answer_ok = load_answer_schemas(Path(self.settings.schemas_folder) / "sources")

        def noted(source: str, document: object) -> bool:
            self.fits = answer_ok(source, document)
            return self.fits

        connector = connectors(noted, sm2_decrypt, Calendar())[self.source.connector]
        transport, now, began = (
            HttpsTransport(ca_file=self.settings.ca_file or None),
            datetime.now(UTC),
            time.monotonic(),
        )
        try:
            replies = transport.converse(self.source, [connector.ask(self.asked, self.source, self.connection, now)])
        finally:
            transport.close()
        self.took_ms = round((time.monotonic() - began) * 1000)
        if isinstance(replies[0], Waiting):
            self.later = replies[0]
            return None
        self.answer = checked(self.asked, replies[0], self.source, now)
        return failed_step(self.answer, self.expected, fits=self.fits)


@click.command("test")
@click.argument("name")
def source_test(name: str) -> None:
    """Ask a configured source its harmless probe, and say step by step what happened; exit 1 if a step fails."""
    probing = Probing(current_settings(), name)
    with told():
        for step, tried in probing.steps():
            try:
                found = tried()
            except Unreached as failed:
                _failed(step, str(failed))
                sys.exit(1)
            _line("✓", step, found)
        failing = probing.ask()
    if probing.later is not None:
        unit = f"{probing.later.order.unit}, " if probing.later.order else ""
        _line("✓", "answer", f"{unit}≤ {probing.later.until:%Y-%m-%d %H:%M}")
        _line("–", "expected", "稍后答复，探测到此为止 / it answers later; the probe ends here")
        return
    zh, en = answer_told(probing.answer)
    for step in ANSWERED:
        if step == failing:
            _failed(step, f"{zh} / {en}")
            sys.exit(1)
        if step == "schema" and probing.fits is None:
            _line("–", step, "没有数据 / no data came")  # a refusal, or nothing found: nothing to hold against a schema
        else:
            _line("✓", step, probing.fact(step, f"{zh} / {en}"))


def _line(mark: str, step: str, found: str) -> None:
    text = STEPS[step]
    click.echo(f"{mark} {text.zh} / {text.en}{f': {found}' if found else ''}")


def _failed(step: str, why: str) -> None:
    text = STEPS[step]
    _line("✗", step, why)
    click.echo(f"  下一步：{text.next_zh}。\n  Next: {text.next_en}.")
