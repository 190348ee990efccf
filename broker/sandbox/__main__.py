"""``python -m broker.sandbox --folder DIR``: start every simulated platform and wait for Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from broker.sandbox.behaviours import BEHAVIOURS
from broker.sandbox.serving import serve
from broker.sandbox.sources import LOOPBACK, PLATFORMS, Sandbox, behave


@click.group(invoke_without_command=True)
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where files go.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another population.")
@click.option("--ports", type=int, nargs=len(PLATFORMS), help=f"Instead of free ones: {', '.join(PLATFORMS)}.")
@click.option("--platform", type=click.Choice(PLATFORMS), help="Serve only this one, from files already in the folder.")
@click.option("--port", type=int, default=0, hidden=True)
@click.option(
    "--host", default=LOOPBACK, show_default=True, help="Name for the connection file; any other: listen everywhere."
)
@click.option("--doors", is_flag=True, help="TLS in front, so that sources can also misbehave below HTTP.")
def main(
    *,
    folder: Path,
    seed: int,
    ports: tuple[int, ...] | None,
    platform: str | None,
    port: int,
    host: str,
    doors: bool,
) -> None:
    """Simulate the authoritative platforms."""
    context = click.get_current_context()
    context.obj = folder
    if context.invoked_subcommand is not None:
        return
    if platform is not None:
        serve(folder.absolute(), platform, port, LOOPBACK if host == LOOPBACK else "0.0.0.0")  # noqa: S104 - in a container
        return
    chosen = dict(zip(PLATFORMS, ports, strict=True)) if ports else None
    with Sandbox(folder, seed, chosen, host, doors=doors) as sandbox:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        for name in PLATFORMS:
            click.echo(f"{name} {sandbox.url(name)}")
        click.echo(f"ready {sandbox.connections}")
        try:
            signal.pause()
        except KeyboardInterrupt:
            click.echo("stopping")


def _listed() -> str:
    return "\n\n".join(f"{one.name}: {one.what}" for one in BEHAVIOURS.values())


@main.command("behave", help=f"Tell a source of the sandbox in this folder how to behave.\n\n{_listed()}")
@click.argument("source")
@click.argument("behaviour", type=click.Choice(sorted(BEHAVIOURS)))
@click.option("--delay-ms", type=click.IntRange(0, 120_000), default=0, help="Wait before each answer.")
@click.pass_obj
def behave_command(folder: Path, source: str, behaviour: str, delay_ms: int) -> None:
    """Use the lever of a running sandbox."""
    try:
        behave(folder, source, behaviour, delay_ms)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{source} {behaviour}: {BEHAVIOURS[behaviour].what}")


if __name__ == "__main__":
    main()
