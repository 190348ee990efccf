"""The sharing list: check, publish."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from broker.bootstrap import Office
from broker.cli.shared import current_settings, office, told
from broker.config import ROOT, Settings
from broker.core.check import check
from broker.core.errors import OperatorProblem
from broker.core.findings import ERROR, Finding, as_json, has_errors, render
from broker.flow.publish import Check, publish
from broker.store.catalog_file import CatalogFile, read_catalog

DEFAULT_LIST = str(ROOT / "data_catalog.yaml")


@click.group("catalog")
def catalog_group() -> None:
    """The sharing list (数据共享应用清单)."""


@catalog_group.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=DEFAULT_LIST)
@click.option("--json", "json_lines", is_flag=True, help="Findings as JSON lines.")
@click.option("--quiet", is_flag=True, help="Errors only.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True)
def catalog_check(file: Path, *, json_lines: bool, quiet: bool, lang: str) -> None:
    """Check a catalogue file; exit 1 if it has errors."""
    read, findings = checked(current_settings(), file)
    shown = [one for one in findings if one.severity == ERROR] if quiet else findings
    if json_lines:
        lines = [json.dumps(one, ensure_ascii=False) for one in as_json(shown, read.places)]
    else:
        lines = render(shown, read.places, lang)
    click.echo("\n".join(lines)) if lines else None
    sys.exit(1 if has_errors(findings) else 0)


@catalog_group.command("publish")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=DEFAULT_LIST)
@click.option("--by", "publisher", required=True, help="Who publishes, as the audit log shall name them.")
def catalog_publish(file: Path, publisher: str) -> None:
    """Publish the first edition of a new deployment, effective now; later ones are reviewed: `broker edition`."""
    settings = current_settings()
    read, findings = checked(settings, file)
    errors = [one for one in findings if one.severity == ERROR]
    for line in render(errors, read.places, "zh"):
        click.echo(line, err=True)
    with told(), office(settings) as opened:
        if errors:
            raise OperatorProblem("catalog.broken", got=f"{len(errors)}")
        if newest(opened):
            raise OperatorProblem("edition.needs-review", got=str(newest(opened)))
        edition = publish(opened.parts, read.document, None, publisher)
        click.echo(f"edition {edition.number} {edition.digest}")


def newest(opened: Office) -> int:
    """The number of the newest edition, 0 before the first."""
    with opened.parts.store.read() as work:
        return max((number for number, _ in opened.parts.policy(work, work.pulse()).editions), default=0)


def checker(settings: Settings) -> Check:
    """The check of a document against the grammar and the rules."""
    schema = json.loads((Path(settings.schemas_folder) / "catalog.schema.json").read_text("utf-8"))
    return lambda document: check(document, schema)


def checked(settings: Settings, file: Path) -> tuple[CatalogFile, list[Finding]]:
    """A file as read, and every finding: of the file, else of its content."""
    read = read_catalog(file)
    return read, list(read.findings) or checker(settings)(read.document)
