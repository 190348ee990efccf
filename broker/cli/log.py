"""The audit log: verify it, take entries out of it with their proofs, and verify what was taken out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.cli.shared import current_settings, office, read_witnesses, require_seen, seen_text, told
from broker.core.log_export import Filter, as_csv, as_json_lines, verify_export
from broker.core.own_key import KeyRole
from broker.flow.export import Wanted, export_log
from broker.flow.review import verify_log
from broker.signing import keys

_FORMATS = {"jsonl": as_json_lines, "csv": as_csv}
_DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.group("log")
def log_group() -> None:
    """The audit log."""


@log_group.command("verify")
def log_verify() -> None:
    """Recompute the whole log from its entries and compare with tiles and the signed checkpoint."""
    with told(), office(current_settings()) as opened:
        report = verify_log(opened.parts, opened.parts.published(KeyRole.LOG, opened.log_keys))
        click.echo(f"{report.size} entries, root {report.root.hex()}, {report.unsequenced} waiting for their place")


@log_group.command("export")
@click.argument("file", type=click.Path(dir_okay=False, exists=False, path_type=Path))
@click.option("--by", required=True, help="Who takes it; the log keeps the name.")
@click.option("--reason", required=True, help="Why; the log keeps it.")
@click.option("--from", "since", type=_DAY, help="From this day or moment on, UTC.")
@click.option("--to", "until", type=_DAY, help="Before this day or moment, UTC.")
@click.option("--kind", help="Entries of this kind: asked, decided, exported …")
@click.option("--client", help="Entries that name this system.")
@click.option("--case", help="Entries that name this case.")
@click.option("--operator", help="Entries that name this staff number.")
@click.option("--subject", help="Entries that name this pseudonym.")
@click.option("--login", help="Entries of what this login did, or of what was done to its account.")
@click.option("--unit", help="Entries that name this body, by its credit code.")
@click.option("--verification", help="A verification's entries.")
@click.option("--region", help="Entries that name this region.")
@click.option("--item", help="Entries that name this item or scene, by its key in the list.")
@click.option("--material", help="Entries that name this material, by its key in the list.")
@click.option("--source", help="Entries that name this source.")
@click.option("--outcome", help="Entries with this reason, outcome or code.")
@click.option("--format", "form", type=click.Choice(sorted(_FORMATS)), default="jsonl", show_default=True)
def log_export(
    file: Path, by: str, reason: str, since: datetime | None, until: datetime | None, form: str, **facts: str | None
) -> None:
    """Write entries with their places, the checkpoint and the proofs to FILE; without a filter, the whole log.

    The export is an entry itself, with its filter, and stands in the log before FILE is written.
    """
    start, end = (one.replace(tzinfo=UTC) if one else None for one in (since, until))
    asked = Wanted(Filter(start, end, **facts), by, reason)
    with told(), office(current_settings()) as opened, file.open("xb") as out:
        head, lines = export_log(opened.parts, asked)
        out.writelines(_FORMATS[form](head, lines))
    click.echo(f"{file}: {head.log}, checkpoint of {head.size} entries")


@log_group.command("verify-export")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--keys", "key_set", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
              help="The published key set (/.well-known/jwks.json), saved as a file.")  # fmt: skip
@click.option("--witness-keys", "names", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The witnesses' verifier keys, one a line, as they publish them.")  # fmt: skip
def log_verify_export(file: Path, key_set: Path, names: Path | None) -> None:
    """Verify an export offline: every entry against the signed checkpoint, with nothing but the published keys."""
    with told(), file.open("rb") as lines:
        log_keys = list(keys.from_jwks(json.loads(key_set.read_text("utf-8")), "log").values())
        found = verify_export(lines, log_keys, read_witnesses(names))
    words = "整个日志，无遗漏 / the whole log, nothing missing" if found.whole else "部分条目 / some of its entries"
    click.echo(f"{found.entries} of {found.size} entries of {found.log}, root {found.root.hex()}: {words}")
    click.echo(seen_text(found.seen))


@log_group.command("adopt-check")
@click.argument("note")
def log_adopt_check(note: str) -> None:
    """Hold the log here against a checkpoint that a witness kept (a file or URL), before it is continued."""
    with told(), office(current_settings()) as opened:
        size = require_seen(opened, note)
    click.echo(f"日志延续见证方所见 / the log continues what was witnessed: {size} entries")
