"""``python -m broker.sandbox --folder DIR``: start every simulated platform and wait for Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from broker.sandbox.serving import serve
from broker.sandbox.sources import LOOPBACK, PLATFORMS, Sandbox


@click.command()
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where files go.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another population.")
@click.option("--ports", type=int, nargs=len(PLATFORMS), help=f"Instead of free ones: {', '.join(PLATFORMS)}.")
@click.option("--platform", type=click.Choice(PLATFORMS), help="Serve only this one, from files already in the folder.")
@click.option("--port", type=int, default=0, hidden=True)
@click.option(
    "--host", default=LOOPBACK, show_default=True, help="Name for the connection file; any other: listen everywhere."
)
def main(folder: Path, seed: int, ports: tuple[int, ...] | None, platform: str | None, port: int, host: str) -> None:
    """Simulate the authoritative platforms."""
    if platform is not None:
        serve(folder.absolute(), platform, port, LOOPBACK if host == LOOPBACK else "0.0.0.0")  # noqa: S104 - in a container
        return
    chosen = dict(zip(PLATFORMS, ports, strict=True)) if ports else None
    with Sandbox(folder, seed, chosen, host) as sandbox:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        for name in PLATFORMS:
            click.echo(f"{name} {sandbox.url(name)}")
        click.echo(f"ready {sandbox.connections}")
        try:
            signal.pause()
        except KeyboardInterrupt:
            click.echo("stopping")


if __name__ == "__main__":
    main()
