"""Work orders (部门间核查) from the command line: for a department without a system of its own, and for its desk."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from broker.cli.shared import current_settings, office, told
from broker.core.receipt import moment
from broker.core.work_order import OrderReply
from broker.flow import orders as steps
from broker.flow.orders import MAX_EVIDENCE, Evidence, Person, Said
from broker.ports.orders import WorkOrder

_MEDIA = {".pdf": "application/pdf", ".ofd": "application/ofd", ".jpg": "image/jpeg", ".png": "image/png"}
_UNIT = click.option("--unit", required=True, help="Credit code of the body that answers.")
_BY = click.option("--by", required=True, help="Staff number of the person; the log keeps it.")


@click.group("order")
def order_group() -> None:
    """Work orders that people of the source departments answer."""


@order_group.command("list")
@click.option("--unit", help="Credit code of one body. Default: all.")
@click.option("--all", "everything", is_flag=True, help="The ended ones too.")
def order_list(unit: str | None, everything: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """One line per open order, those due first come first: id, state, due, unit, source."""
    with told(), office(current_settings()) as opened:
        _lines(steps.list_orders(opened.parts, unit, everything=everything))


@order_group.command("overdue")
def order_overdue() -> None:
    """Every order that nobody answered in time."""
    with told(), office(current_settings()) as opened:
        _lines(steps.overdue_orders(opened.parts))


@order_group.command("show")
@click.argument("number")
@_UNIT
@_BY
def order_show(number: str, unit: str, by: str) -> None:
    """What an order asks, for a person of the body that answers; that it was read is an entry."""
    with told(), office(current_settings()) as opened:
        shown = steps.show_order(opened.parts, number, unit, by)
    _lines([shown.order])
    document = {"question": shown.question, "remark": shown.remark}
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode("utf-8"))


@order_group.command("answer")
@click.argument("number")
@click.argument("reply", type=click.Choice([one.value for one in OrderReply]))
@_UNIT
@_BY
@click.option("--remark", default="", help="In their words, for the record.")
@click.option("--evidence", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A PDF, OFD or image.")
def order_answer(number: str, reply: str, unit: str, by: str, remark: str, evidence: Path | None) -> None:
    """Answer an order: once, and before it is overdue."""
    said = Said(Person(by, unit), OrderReply(reply), remark, None if evidence is None else _evidence(evidence))
    with told(), office(current_settings()) as opened:
        _lines([steps.answer_order(opened.parts, number, said)])


def _evidence(path: Path) -> Evidence:
    media_type = _MEDIA.get(path.suffix.lower())
    if media_type is None or path.stat().st_size > MAX_EVIDENCE:
        raise click.ClickException("须为不超过 1 MB 的 PDF、OFD 或图片 / a PDF, OFD or image of at most 1 MB")
    return Evidence(media_type, path.read_bytes())


def _lines(orders: list[WorkOrder]) -> None:
    for one in orders:
        click.echo(f"{one.id} {one.state} {moment(one.due_at)} {one.unit} {one.source}")
