"""Drafts and editions beside the straight way, as the console's pages have them, for whoever scripts them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TextIO

import click

from broker.bootstrap import Office
from broker.cli.catalog import checker
from broker.cli.editions import BY
from broker.cli.shared import current_settings, office, told
from broker.core.day import CHINA, day_of
from broker.core.diff import as_values, diff
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.findings import has_errors, render
from broker.core.list_rows import MINE, THEIRS, Conflict, RowKey
from broker.core.receipt import moment
from broker.flow import drafts as ways
from broker.flow import publish as editions
from broker.flow.parts import Parts
from broker.ports import Draft
from broker.ports.editions import Remark
from broker.store.catalog_file import read_row

_COMMENT = click.option("--comment", default="", help="Why, for the draft's thread.")
_WHY = click.option("--why", required=True, help="Why, as it is kept beside the edition.")
_LANG = click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True)


@click.command("show")
@click.argument("number")
@_LANG
def show(number: str, lang: str) -> None:
    """Tell how a draft stands: people, what the check finds, what it changes, what was said."""
    settings = current_settings()
    with told(), office(settings) as opened:
        found, body = _draft(opened, number)
        with opened.parts.store.read() as work:
            base = work.edition(found.base)[1] if found.base else b""
            today, remarks = day_of(work.pulse().now), work.remarks(number)
        document = json.loads(body)
        findings = checker(settings)(document)
        click.echo(f"{found.id} {found.state} base {found.base} revision {found.revision} {found.digest}")
        for line in render(findings, {}, lang):
            click.echo(line)
        if base and not has_errors(findings):
            for one in as_values(diff(json.loads(base), document, today))["changes"]:
                click.echo(f"{one['path']} {one['text'][lang]}")
        for said in remarks:
            click.echo(_line(said))


def _way(name: str, way: Callable[[Parts, str, str, str], Draft], told_as: str) -> click.Command:
    """A command that leads a draft another way."""

    @click.command(name, help=told_as)
    @click.argument("number")
    @BY
    @_COMMENT
    def command(number: str, by: str, comment: str) -> None:
        with told(), office(current_settings()) as opened:
            way(opened.parts, number, by, comment)

    return command


rework = _way("rework", ways.rework, "Take a returned draft up again; only by those who have worked on it.")
withdraw = _way(
    "withdraw", ways.withdraw, "Take a draft back that was handed in or approved; it needs its review anew."
)
discard = _way("discard", ways.discard, "Give a draft up; it stays to be read.")


@click.command("carry-on")
@click.argument("number")
@BY
@_COMMENT
def carry_on(number: str, by: str, comment: str) -> None:
    """Begin a draft with an earlier draft's list, its authors kept; prints the new number."""
    with told(), office(current_settings()) as opened:
        click.echo(ways.carry_on(opened.parts, number, by, comment).id)


@click.command("edit")
@click.argument("number")
@click.argument("row")
@click.argument("file", type=click.File("r", encoding="utf-8"), required=False)
@click.option("--remove", is_flag=True, help="Take the row out.")
@click.option("--revision", type=int, help="The draft's, as it was read; refused if it has changed. Default: as it is.")
@BY
def edit(number: str, row: str, file: TextIO | None, by: str, revision: int | None, *, remove: bool) -> None:
    """Put one ROW (section/key) of a draft as a YAML FILE has it (- for standard input), or take it out."""
    if (file is None) != remove:
        raise click.UsageError("either FILE or --remove")
    section, key = _row_key(row)
    value, findings = read_row(file.read()) if file else (None, ())
    with told(), office(current_settings()) as opened:
        if file and (findings or not isinstance(value, dict)):
            raise OperatorProblem("catalog.unreadable", got=row, expected="one row as YAML")
        seen = _draft(opened, number)[0].revision if revision is None else revision
        changed = editions.edit(opened.parts, number, by, seen, section, key, value)
        click.echo(f"revision {changed.revision} {changed.digest}")


@click.command("rebase")
@click.argument("number")
@BY
@click.option("--mine", multiple=True, help="A row (section/key) for which the draft's stands; may be repeated.")
@click.option("--theirs", multiple=True, help="A row for which the newest edition's stands; may be repeated.")
def rebase(number: str, by: str, mine: tuple[str, ...], theirs: tuple[str, ...]) -> None:
    """Bring a draft onto the newest edition; rows that both changed are told, end it with 1, and nothing is done."""
    choices = {_row_key(one): MINE for one in mine} | {_row_key(one): THEIRS for one in theirs}
    with told(), office(current_settings()) as opened:
        revision = _draft(opened, number)[0].revision
        merged = ways.rebase(opened.parts, number, by, revision, choices)
        _tell_conflicts(merged.conflicts)
        if not merged.conflicts:
            click.echo(f"base {_draft(opened, number)[0].base}")
    if merged.conflicts:
        raise SystemExit(1)


@click.command("remark")
@click.argument("number")
@click.argument("text")
@click.option("--row", default="", help="The row (section/key) it is about. Default: the draft as a whole.")
@BY
def remark(number: str, text: str, row: str, by: str) -> None:
    """Say something of a draft, or of one row in it."""
    about = _row_key(row) if row else ("", "")
    with told(), office(current_settings()) as opened:
        ways.remark(opened.parts, number, by, text, about)


@click.command("go-back")
@click.argument("edition", type=int)
@BY
@click.option("--comment", default="", help="Why, for the reviewer.")
def go_back(edition: int, by: str, comment: str) -> None:
    """Draft an earlier EDITION's list on the newest one, to be reviewed as any other; prints the draft's number."""
    with told(), office(current_settings()) as opened:
        click.echo(editions.go_back(opened.parts, edition, by, comment).id)


@click.command("take-back")
@click.argument("edition", type=int)
@BY
@_WHY
def take_back(edition: int, by: str, why: str) -> None:
    """Take the newest EDITION back before it takes effect."""
    with told(), office(current_settings()) as opened:
        editions.withdraw_edition(opened.parts, edition, by, why)


@click.command("move")
@click.argument("edition", type=int)
@BY
@_WHY
@click.option(
    "--effective", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), required=True, help="China's time."
)
def move(edition: int, by: str, why: str, effective: datetime) -> None:
    """Let the newest EDITION, not in effect yet, take effect on another day; it becomes the next number."""
    with told(), office(current_settings()) as opened:
        made = editions.move_edition(opened.parts, edition, by, effective.replace(tzinfo=CHINA), why)
        click.echo(f"edition {made.number} {made.digest}")


def _draft(opened: Office, number: str) -> tuple[Draft, bytes]:
    with opened.parts.store.read() as work:
        found = work.read_draft(number)
    if found is None:
        raise CallerProblem("edition.unknown", got=number)
    return found


def _row_key(text: str) -> RowKey:
    section, slash, key = text.partition("/")
    if not (section and slash and key):
        raise click.UsageError(f"{text}: a row is section/key, for example items/food-licence")
    return section, key


def _tell_conflicts(conflicts: Iterable[Conflict]) -> None:
    for one in conflicts:
        click.echo(f"{one.section}/{one.key}")
        for name, row in (("base", one.base), (MINE, one.mine), (THEIRS, one.theirs)):
            click.echo(f"  {name}: {_as_text(row)}")


def _as_text(row: Any) -> str:
    return "-" if row is None else json.dumps(row, ensure_ascii=False, sort_keys=True)


def _line(said: Remark) -> str:
    about = f" {said.section}/{said.key}" if said.key else ""
    return f"{moment(said.made_at)} {said.by} {said.kind}{about} {said.text}".rstrip()


COMMANDS = (show, rework, withdraw, discard, carry_on, edit, rebase, remark, go_back, take_back, move)
"""Those that join the group of editions."""
