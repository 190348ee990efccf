"""Figures: print them for a month, list what was taken on paper, verify a frozen month."""

from __future__ import annotations

import sys
from datetime import timedelta

import click

from broker.cli.shared import current_settings, office, told
from broker.core.cells import aligned
from broker.core.collected import Standing
from broker.core.day import day_of
from broker.core.figures import RATES, Figures, GroupBy, frozen_digest, month_of
from broker.flow.figures import told_by

_HEAD = ("", "materials", "exempt", "unused", *(name.removesuffix("_rate") for name in RATES))
_LISTED = 500


@click.group("figures")
def figures_group() -> None:
    """What verifications and reports of paper add up to; docs/figures.md defines every rate."""


@figures_group.command("show")
@click.option("--month", help="As 2026-03; this month without it.")
@click.option("--region", default="", help="Only this region.")
@click.option("--by", type=click.Choice([one.value for one in GroupBy]), default="department", show_default=True)
def figures_show(month: str | None, region: str, by: str) -> None:
    """The figures of a month."""
    with told(), office(current_settings()) as opened, opened.parts.store.read() as work:
        chosen = [month or month_of(day_of(work.pulse().now))]
        groups = told_by(work, GroupBy(by), {"region": region} if region else {}, chosen)
    rows = [(name, *_cells(figures)) for name, figures in groups.items()]
    click.echo("\n".join(aligned([_HEAD, *rows])))


@figures_group.command("papers")
@click.option("--days", default=30, show_default=True, help="How many days back.")
def figures_papers(days: int) -> None:
    """What was taken on paper although data serves (应用未用), the newest first; no notes."""
    with told(), office(current_settings()) as opened, opened.parts.store.read() as work:
        today = day_of(work.pulse().now)
        for report in work.reports({}, (today - timedelta(days=days)).isoformat(), today.isoformat(), _LISTED):
            for one in (paper for paper in report.papers if Standing(paper.standing).unused):
                facts = (report.day, report.client, report.case, report.item, one.material, one.standing, one.reason)
                click.echo(" ".join(facts))


@figures_group.command("verify")
@click.argument("month")
def figures_verify(month: str) -> None:
    """Compute a frozen month's digest again; compare it with the entry figures_frozen of the log."""
    with told(), office(current_settings()) as opened, opened.parts.store.read() as work:
        known = {one.month: one.digest for one in work.frozen()}
        found = frozen_digest(month, *work.frozen_lines(month))
    if known.get(month) != found:
        click.echo(f"{month}: {known.get(month, 'not frozen')}, found {found}", err=True)
        sys.exit(1)
    click.echo(f"{month} {found}")


def _cells(figures: Figures) -> tuple[str | int, ...]:
    rates = (getattr(figures, name) for name in RATES)
    return (figures.materials, figures.exempt, figures.unused, *("–" if one is None else f"{one:.1%}" for one in rates))
