"""The plan of a scene or of several items: what is required together, and what fills the form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from broker.cli.catalog import checked
from broker.cli.shared import current_settings, office, told
from broker.config import Settings
from broker.core.catalog import Edition, catalog_from
from broker.core.cells import width
from broker.core.day import day_of
from broker.core.errors import OperatorProblem
from broker.core.findings import has_errors
from broker.core.guide import OUTCOMES
from broker.core.material_set import Outcome, Situation
from broker.core.scene_plan import fact_from, scene_plan
from broker.flow.publish import edition_digest

_HEADS: Mapping[str, Sequence[str]] = {
    "zh": ("材料", "谁的", "结果", "方式", "用于事项", "条件"),
    "en": ("material", "holder", "outcome", "by", "for items", "condition"),
}
_FIELDS: Mapping[str, Sequence[str]] = {
    "zh": ("自动填写", "谁的", "字段", "数源"),
    "en": ("filled in", "holder", "field", "sources"),
}
_LEFT_OUT: Mapping[str, str] = {"zh": "不在此办理", "en": "not handled here"}


@click.command("plan")
@click.option("--region", required=True, help="The administrative code: 370400, 371083.")
@click.option("--scene", help="A scene's key.")
@click.option("--item", "items", multiple=True, help="An item's key; may be repeated. The order does not matter.")
@click.option("--role", "roles", multiple=True, help="Whom the case knows; may be repeated. Default: tell conditions.")
@click.option("--applicant", type=click.Choice(["person", "organisation"]), help="What the applicant is.")
@click.option("--fact", "facts", multiple=True, help="name:value, a fact of the case; may be repeated.")
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A list that is not published. Default: the edition in force.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="As the API tells it.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True)
def plan_command(  # noqa: PLR0913 - one parameter per option
    region: str,
    scene: str | None,
    items: tuple[str, ...],
    roles: tuple[str, ...],
    applicant: str | None,
    facts: tuple[str, ...],
    file: Path | None,
    *,
    as_json: bool,
    lang: str,
) -> None:
    """What a scene, or several items, require together: every material once, and the fields that data fills in."""
    settings, now = current_settings(), datetime.now(UTC)
    with told():
        situation = Situation(frozenset(roles) if roles else None, applicant, dict(map(fact_from, facts)))
        edition = _of_file(settings, file) if file else _in_force(settings)
        told_plan = scene_plan(
            edition, region=region, items=items, scene=scene, today=day_of(now), situation=situation
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps(told_plan, ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(_table(told_plan, lang)))


def _of_file(settings: Settings, file: Path) -> Edition:
    """A list as edition 0; one with errors plans nothing."""
    read, findings = checked(settings, file)
    if has_errors(findings):
        raise OperatorProblem("catalog.broken", got=file.name)
    return Edition(0, edition_digest(read.document), catalog_from(read.document))


def _in_force(settings: Settings) -> Edition:
    with office(settings) as opened, opened.parts.store.read() as work:
        pulse = work.pulse()
        return opened.parts.edition_in_force(work, opened.parts.policy(work, pulse), pulse.now)


def _table(told_plan: Mapping[str, Any], lang: str) -> Iterator[str]:
    """Items, materials, fields, and what is handled elsewhere."""
    numbers = {one["key"]: str(number) for number, one in enumerate(told_plan["items"], 1)}
    yield from (f"{numbers[one['key']]}. {one['name'][lang]} ({one['key']})" for one in told_plan["items"])
    yield ""
    yield from _columns([_HEADS[lang], *(_material(one, numbers, lang) for one in told_plan["materials"])])
    if told_plan["fields"]:
        yield ""
        yield from _columns([_FIELDS[lang], *(_field(one, lang) for one in told_plan["fields"])])
    if told_plan["left_out"]:
        yield ""
        yield f"{_LEFT_OUT[lang]}:"
        yield from (f"- {one['name'][lang]}: {one['text'][lang]}" for one in told_plan["left_out"])


def _material(one: Mapping[str, Any], numbers: Mapping[str, str], lang: str) -> Sequence[str]:
    return (
        one["name"][lang],
        one["holder"][lang],
        OUTCOMES[Outcome(one["outcome"])][lang],
        ", ".join(mode[lang] for mode in one["modes"]),
        ",".join(numbers[key] for key in one["items"]),
        one["condition"][lang] if one["condition"] else "",
    )


def _field(one: Mapping[str, Any], lang: str) -> Sequence[str]:
    return one["name"][lang], one["holder"][lang], one["field"], ", ".join(source["key"] for source in one["sources"])


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows with every column as wide as its widest cell; a Chinese character counts as two."""
    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
