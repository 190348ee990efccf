"""The sharing list to and from others: the item library it is tied to, and the table that departments work with."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from broker.cli.catalog import DEFAULT_LIST, checked, checker
from broker.cli.catalog_reports import FILE, LANGUAGE, OUT, region_of, sound, today
from broker.cli.shared import current_settings
from broker.core.catalog import catalog_from
from broker.core.diff import Change
from broker.core.findings import ERROR, Finding, as_json, has_errors, render
from broker.core.master import match, section, tied
from broker.core.master_compare import TIES, compare
from broker.core.master_entries import entries_from
from broker.core.patch import pointer
from broker.core.sharing_table import table_rows
from broker.store.catalog_file import CatalogFile
from broker.store.item_master import read_master, write_links
from broker.store.sharing_table_file import write_csv, write_xlsx

LINKS = "catalog/master-links.yaml"  # beside the front door, which must include it
MAX_SHOWN = 20  # lines of one kind; a library knows thousands of items that are not in the list


@click.command("import")
@click.argument("master", type=FILE)
@click.option("--source-id", required=True, help="What we call the item library: lower-case words, hyphens.")
@click.option("--version", required=True, help="The library's version, or the day of its export.")
@click.option("--list", "file", type=FILE, default=DEFAULT_LIST, show_default="the shipped list")
@click.option("--region", help="Whose library it is, where the rows have no column region_code.")
@click.option("--apply", "write", is_flag=True, help=f"Write the ties to {LINKS}; nothing else is ever written.")
@click.option("--json", "as_values", is_flag=True, help="Findings and differences as one JSON document.")
@click.option("--lang", type=LANGUAGE, default="zh", show_default=True)
def catalog_import(  # noqa: PLR0913 - one parameter per option
    master: Path,
    source_id: str,
    version: str,
    file: Path,
    region: str | None,
    *,
    write: bool,
    as_values: bool,
    lang: str,
) -> None:
    """Tie items to the entries of an item library (CSV, XLSX, JSON), and tell where the two disagree.

    Without --apply it only tells. The library stays the only master: its codes, names and versions are kept beside
    the list, and nothing of the list itself is changed.
    """
    catalog = catalog_from(sound(file))
    read = read_master(master)
    entries, findings = (
        entries_from(read.rows, region_of(catalog, region), catalog) if not read.findings else ([], list(read.findings))
    )
    if has_errors(findings):
        _show(findings, (), master, lang, as_values=as_values)
        sys.exit(1)
    matched = match(entries, catalog, source_id)
    changes = compare(matched, catalog, source_id, version, today())
    _show(findings, changes, master, lang, as_values=as_values)
    if write:
        _write(file, section(tied(matched, catalog, source_id, version)))


@click.command("export")
@click.argument("file", type=FILE, default=DEFAULT_LIST)
@click.option("--format", "form", type=click.Choice(["xlsx", "csv"]), default="xlsx", show_default=True)
@click.option("-o", "--output", type=OUT, required=True, help="The file to write; an older one is replaced.")
@click.option("--region", help="One region only, by its code.")
def catalog_export(file: Path, form: str, output: Path, region: str | None) -> None:
    """Write the sharing list as it applies today (数据共享应用清单) as a table for departments."""
    catalog = catalog_from(sound(file))
    rows = list(table_rows(catalog, today(), region_of(catalog, region)))
    (write_csv if form == "csv" else write_xlsx)(output, rows)
    click.echo(f"{len(rows)} 行 / rows", err=True)


def _write(file: Path, links: Mapping[str, Any]) -> None:
    """Write the ties, if the list then still passes its check."""
    settings = current_settings()
    read, _ = checked(settings, file)
    if not _included(read):
        raise click.ClickException(
            f"请在 {file.name} 的 include 中加入 / add to its include: {LINKS}，内容 / holding: master: {{}}"
        )
    errors = [one for one in checker(settings)({**read.document, "master": links}) if one.severity == ERROR]
    if errors:
        click.echo("\n".join(render(errors, {}, "zh")), err=True)
        raise click.ClickException("未写入 / nothing was written")
    write_links(file.parent / LINKS, links)
    click.echo(f"已写入 / written: {LINKS}", err=True)


def _included(read: CatalogFile) -> bool:
    """Whether the section is there, and nowhere but in its own file."""
    places = [place for path, place in read.places.items() if path[:1] == ("master",)]
    return bool(places) and all(place.startswith(f"{LINKS}:") for place in places)


def _show(findings: list[Finding], changes: Iterable[Change], master: Path, language: str, *, as_values: bool) -> None:
    changes = list(changes)
    if as_values:
        told = {"findings": as_json(findings, {}), "differences": [_values(one) for one in changes]}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    for line in render(findings, {}, language):
        click.echo(f"{master.name}:{line}", err=True)
    ties = [one for one in changes if one.kind in TIES]
    others = [one for one in changes if one.kind not in TIES]
    for head, found in (("将写入 / to be written", ties), ("由人决定 / for a person to decide", others)):
        if found:
            click.echo(f"{head}: {len(found)}")
            click.echo("\n".join(_lines(found, language)))
    if not changes and not findings:
        click.echo("与事项库一致 / nothing differs from the library")


def _lines(changes: list[Change], language: str) -> Iterable[str]:
    """One line each, and no more of one kind than a reader can use."""
    for kind in dict.fromkeys(one.kind for one in changes):
        same = [one for one in changes if one.kind == kind]
        yield from (f"  {kind}  {one.zh if language == 'zh' else one.en}" for one in same[:MAX_SHOWN])
        if len(same) > MAX_SHOWN:
            more = len(same) - MAX_SHOWN
            yield f"  {kind}  " + (f"……另有 {more} 条，见 --json" if language == "zh" else f"… and {more} more: --json")


def _values(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "written": change.kind in TIES,
        "path": pointer(change.path),
        "text": {"zh": change.zh, "en": change.en},
        "items": list(change.items),
    }
