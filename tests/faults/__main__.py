"""``python -m tests.faults [F10 F12 …]``: run campaigns, print their figures. See docs/campaigns.md."""

from __future__ import annotations

import signal
import sys
import time
from datetime import UTC, datetime
from types import FrameType

import click

from tests.faults.campaigns import Campaign, campaigns
from tests.faults.figure import Figure, Scale
from tests.faults.table import PAGE, Run, rewritten

SAMPLE = 0.01


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("numbers", nargs=-1)
@click.option("--scale", "share", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True,
              help="How much of each campaign to run.")  # fmt: skip
@click.option("--sample", is_flag=True, help=f"As --scale {SAMPLE}: shows that they run, not that all holds.")
@click.option(
    "--write-docs",
    "docs",
    is_flag=True,
    help="Write the figures just measured into docs/campaigns.md; a part takes no whole one's place.",
)
def main(numbers: tuple[str, ...], share: float, sample: bool, docs: bool) -> None:
    """Run the campaigns named, or all; the exit status is 1 unless every figure holds."""
    signal.signal(signal.SIGTERM, _interrupted)
    known = campaigns()
    unknown = [number for number in numbers if number.upper() not in known]
    if unknown:
        raise click.UsageError(f"no campaign {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = [known[number.upper()] for number in numbers] or list(known.values())
    titles = {one.id: (one.title, one.demanded) for one in known.values()}
    runs: list[Run] = []
    for one in chosen:
        runs.append(_measured(one, Scale(SAMPLE if sample else share)))
        if docs:  # at once: a night may end before its campaigns do
            PAGE.write_text(rewritten(PAGE.read_text("utf-8"), titles, runs[-1:]), "utf-8")
    failed = [run.figure.id for run in runs if not run.figure.holds]
    print(f"\n{len(runs) - len(failed)} of {len(runs)} figures hold", *(f"- not {one}" for one in failed))
    sys.exit(bool(failed))


def _measured(campaign: Campaign, scale: Scale) -> Run:
    """A campaign's figure, printed as soon as it is known; one that breaks off is a figure that does not hold."""
    print(f"\n{campaign.id} {campaign.title}\n  demanded: {campaign.demanded}", flush=True)
    begun = time.monotonic()
    try:
        figure = campaign.run(scale)
    except AssertionError as broken:  # an invariant; anything else is a fault of the campaign and ends the run
        figure = Figure(campaign.id, campaign.demanded, f"broke off: {broken}", holds=False)
    run = Run(figure, scale, time.monotonic() - begun, datetime.now(UTC).strftime("%Y-%m-%d"))
    holds = "holds" if figure.holds else "DOES NOT HOLD"
    print(f"  measured: {figure.measured}\n  {holds} ({run.seconds:.0f} s)", flush=True)
    return run


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM unwinds like ^C, so that every process is stopped."""
    sys.exit(143)


if __name__ == "__main__":
    main()
