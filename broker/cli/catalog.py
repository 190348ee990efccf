"""The sharing list: check, publish."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.cli.shared import current_settings, office, told
from broker.config import ROOT, Settings
from broker.core.check import check
from broker.core.errors import OperatorProblem
from broker.core.findings import ERROR, Finding, as_json, has_errors, render
from broker.flow.publish import publish
from broker.store.catalog_file import CatalogFile, read_catalog

_DEFAULT_LIST = str(ROOT / "data_catalog.yaml")


@click.group("catalog")
def catalog_group() -> None:
    """The sharing list (数据共享应用清单)."""


@catalog_group.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=_DEFAULT_LIST)
@click.option("--json", "json_lines", is_flag=True, help="Findings as JSON lines.")
@click.option("--quiet", is_flag=True, help="Errors only.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True)
def catalog_check(file: Path, *, json_lines: bool, quiet: bool, lang: str) -> None:
    """Check a catalogue file; exit 1 if it has errors."""
    read, findings = _checked(current_settings(), file)
    shown = [one for one in findings if one.severity == ERROR] if quiet else findings
    if json_lines:
        lines = [json.dumps(one, ensure_ascii=False) for one in as_json(shown, read.places)]
    else:
        lines = render(shown, read.places, lang)
    click.echo("\n".join(lines)) if lines else None
    sys.exit(1 if has_errors(findings) else 0)


@catalog_group.command("publish")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=_DEFAULT_LIST)
@click.option("--by", "publisher", required=True, help="Who publishes, as the audit log shall name them.")
@click.option("--effective", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="UTC. Default: now.")
def catalog_publish(file: Path, publisher: str, effective: datetime | None) -> None:
    """Publish a catalogue file as the next edition; a file with errors is refused and the old edition stays."""
    settings = current_settings()
    read, findings = _checked(settings, file)
    errors = [one for one in findings if one.severity == ERROR]
    for line in render(errors, read.places, "zh"):
        click.echo(line, err=True)
    with told(), office(settings) as opened:
        if errors:
            raise OperatorProblem("catalog.broken", got=f"{len(errors)}")
        moment = effective.replace(tzinfo=UTC) if effective else None
        edition = publish(opened.parts, read.document, moment, publisher)
        click.echo(f"edition {edition.number} {edition.digest}")


def _checked(settings: Settings, file: Path) -> tuple[CatalogFile, list[Finding]]:
    schema = json.loads((Path(settings.schemas_folder) / "catalog.schema.json").read_text("utf-8"))
    read = read_catalog(file)
    return read, list(read.findings) or check(read.document, schema)
