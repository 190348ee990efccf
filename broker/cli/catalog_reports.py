"""What the sharing list reaches, and what became different between two of them."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import click

from broker.cli.catalog import DEFAULT_LIST, checked
from broker.cli.shared import current_settings
from broker.core import diff
from broker.core.catalog import Catalog, catalog_from
from broker.core.coverage import By, Coverage, coverage
from broker.core.coverage_picture import as_svg
from broker.core.coverage_text import as_csv, as_values, table
from broker.core.day import day_of
from broker.core.diff import Document
from broker.core.findings import ERROR, render

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUT = click.Path(dir_okay=False, writable=True, path_type=Path)
LANGUAGE = click.Choice(["zh", "en"])


def sound(file: Path) -> Document:
    """A file's document; one with errors ends the command, because its figures would be nonsense."""
    read, findings = checked(current_settings(), file)
    errors = [one for one in findings if one.severity == ERROR]
    if errors:
        click.echo("\n".join(render(errors, read.places, "zh")), err=True)
        raise click.ClickException(f"{file.name}：请先按检查结果修改 / mend the list first")
    return read.document


def today() -> date:
    """The day in China."""
    return day_of(datetime.now(UTC))


def region_of(catalog: Catalog, code: str | None) -> str | None:
    """A region that the list has, or None for all. Raises where it has it not."""
    if code is not None and code not in catalog.regions:
        raise click.ClickException(f"清单没有地区 {code} / the list has no region {code}: {', '.join(catalog.regions)}")
    return code


@click.command("coverage")
@click.argument("file", type=FILE, default=DEFAULT_LIST)
@click.option("--region", help="One region only, by its code.")
@click.option("--by", type=click.Choice([one.value for one in By]),
              help="What the figures are told apart by.  [default: region; in a picture stage]")  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv", "svg"]), default="table", show_default=True
)
@click.option("--lang", type=LANGUAGE, default="zh", show_default=True)
@click.option("-o", "--output", type=OUT, help="Write to a file instead of standard output.")
def catalog_coverage(file: Path, region: str | None, by: str | None, form: str, lang: str, output: Path | None) -> None:
    """Count items and materials, what of them is exempt, and which further source would exempt most."""
    catalog = catalog_from(sound(file))
    how = By(by) if by else By.STAGE if form == "svg" else By.REGION
    report = coverage(catalog, today(), how, region_of(catalog, region))
    text = _told(report, catalog, form, lang)
    if output is None:
        sys.stdout.write(text)
    else:
        # Excel takes CSV for its own ancient encoding unless a byte order mark says otherwise.
        output.write_text(text, "utf-8-sig" if form == "csv" else "utf-8", newline="")


def _told(report: Coverage, catalog: Catalog, form: str, language: str) -> str:
    if form == "json":
        return json.dumps(as_values(report), ensure_ascii=False, indent=2) + "\n"
    if form == "csv":
        return as_csv(report)
    return as_svg(report) if form == "svg" else "\n".join(table(report, catalog, language)) + "\n"


@click.command("diff")
@click.argument("before", type=FILE)
@click.argument("after", type=FILE, default=DEFAULT_LIST)
@click.option("--json", "as_json", is_flag=True, help="Lines and patch as one JSON document.")
@click.option("--lang", type=LANGUAGE, default="zh", show_default=True)
def catalog_diff(before: Path, after: Path, *, as_json: bool, lang: str) -> None:
    """Tell what became different from BEFORE to AFTER: items, materials, sources, exemptions, fields."""
    difference = diff.diff(sound(before), sound(after), today())
    if as_json:
        click.echo(json.dumps(diff.as_values(difference), ensure_ascii=False, indent=2))
    elif difference.changes:
        click.echo("\n".join(one.zh if lang == "zh" else one.en for one in difference.changes))
    else:
        click.echo("没有差异 / no difference")
