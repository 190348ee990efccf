"""Asking a source its harmless probe, and saying step by step what happened."""

from __future__ import annotations

import socket
import ssl
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
from broker.core.answer import Answer, Question, Reply, checked
from broker.core.catalog import Source, catalog_from
from broker.core.probe import ANSWERED, STEPS, failed_step, probe_question
from broker.core.probe import told as answer_told
from broker.core.working_days import Calendar
from broker.ports import Connection
from broker.store.catalog_file import read_catalog
from broker.transport.answers import load_answer_schemas
from broker.transport.https import HttpsTransport

CONNECT_SECONDS = 5.0
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mariadb": 3306}


class Failed(Exception):
    """A step failed; what is known of why, in both languages."""


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
    took_ms: int = 0

    def steps(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """Each step before the answer with what tries it; a step gives what is worth telling."""
        yield "list", self._listed
        yield "connection", self._connected
        yield "probe", self._probe
        if urlsplit(self.connection.endpoint).hostname:
            yield "dns", self._resolved
            yield "tcp", self._reached
        if self.connection.endpoint.startswith("https:"):
            yield "tls", self._shaken

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
        options = self.connection.options.get("probes", {}).get(self.name) or self.source.options.get("probe") or {}
        try:
            self.asked = probe_question(self.source, options, f"probe-{time.time_ns():x}")
        except (KeyError, TypeError, ValueError):
            raise Failed("number, id_type, name; form, related, expect") from None
        self.expected = options.get("expect")
        return f"{self.asked.form.value}{f', {self.expected}' if self.expected else ''}"

    def _resolved(self) -> str:
        try:
            addresses = socket.getaddrinfo(*self._place(), type=socket.SOCK_STREAM)
        except OSError as error:
            raise Failed(f"{self._place()[0]}: {type(error).__name__}") from error
        return ", ".join(sorted({str(address[4][0]) for address in addresses}))

    def _reached(self) -> str:
        try:
            with socket.create_connection(self._place(), CONNECT_SECONDS):
                return str(self._place()[1])
        except OSError as error:
            raise Failed(f"{self._place()[1]}: {type(error).__name__}") from error

    def _shaken(self) -> str:
        context = ssl.create_default_context()
        if self.settings.ca_file:
            context.load_verify_locations(self.settings.ca_file)
        host = self._place()[0]
        try:
            with (
                socket.create_connection(self._place(), CONNECT_SECONDS) as plain,
                context.wrap_socket(plain, server_hostname=host) as secured,
            ):
                until = (secured.getpeercert() or {}).get("notAfter", "")
                return f"{secured.version()}, {until}"
        except ssl.SSLCertVerificationError as error:
            raise Failed(error.verify_message) from error
        except OSError as error:
            raise Failed(type(error).__name__) from error

    def _place(self) -> tuple[str, int]:
        parts = urlsplit(self.connection.endpoint)
        return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)

    def fact(self, step: str, words: str) -> str:
        """What is worth telling of a step after the answer."""
        facts = {
            "answer": f"{self.took_ms} ms",
            "expected": words,
            "time": f"{self.took_ms} ≤ {self.source.budget_ms} ms",
        }
        return facts.get(step, "")

    def ask(self) -> str | None:
        """Ask the probe as a worker would; the step at which it failed."""
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
        self.answer = checked(self.asked, _answered(replies[0]), self.source, now)
        return failed_step(self.answer, self.expected, fits=self.fits)


def _answered(reply: Reply) -> Answer:
    if isinstance(reply, Answer):
        return reply
    raise click.ClickException("该数源稍后答复，探测到此为止 / this source answers later; the probe ends here")


@click.command("test")
@click.argument("name")
def source_test(name: str) -> None:
    """Ask a configured source its harmless probe, and say step by step what happened; exit 1 if a step fails."""
    probing = Probing(current_settings(), name)
    with told():
        for step, tried in probing.steps():
            try:
                found = tried()
            except Failed as failed:
                _failed(step, str(failed))
                sys.exit(1)
            _line("✓", step, found)
        failing = probing.ask()
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
