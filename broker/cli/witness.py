"""The witness of the centre: a program of its own, which needs none of the broker's settings and not its database."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
import requests

from broker.cli.shared import told
from broker.witness import Alarm, Send, Witness, make_witness

_SECONDS = (5, 30)  # to connect, to answer
ALARM_STATUS = 3
_FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@click.group("witness")
def witness_group() -> None:
    """The centre's witness: checks the log from outside, co-signs it, keeps it, and sounds the alarm."""


@witness_group.command("init")
@_FOLDER
@click.option("--name", required=True, help="The witness's name in its lines: centre.example/witness.")
@click.option("--url", required=True, help="The address, as BROKER_PUBLIC_URL has it.")
@click.option("--origin", required=True, help="The log's name, as BROKER_LOG_ORIGIN has it.")
@click.option("--keys", "key_set", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
              help="The broker's key set, received from its operator, not fetched.")  # fmt: skip
def witness_init(folder: Path, name: str, url: str, origin: str, key_set: Path) -> None:
    """Make a witness in FOLDER; prints its verifier key, to be published. Its witness.pub.pem is to be registered."""
    with told():
        made = make_witness(folder, name, url, origin, json.loads(key_set.read_bytes()), datetime.now(UTC))
    click.echo(made.text())


@witness_group.command("run")
@_FOLDER
@click.option("--once", is_flag=True, help="One look, and end; 3 if an alarm stands.")
@click.option("--every", type=float, default=60.0, show_default=True, help="Seconds between two looks.")
@click.option("--silence", type=float, default=10.0, show_default=True, help="Minutes without the log until an alarm.")
@click.option("--hook", help="A command that is run at each new alarm, with its kind and detail behind it.")
def witness_run(folder: Path, *, once: bool, every: float, silence: float, hook: str | None) -> None:
    """Look at the log again and again; each alarm is a line on standard error, the hook, and the state."""
    with told():
        witness = Witness(folder, _road())
        before = witness.state.alarm
        while True:
            alarm = witness.look(datetime.now(UTC), silence)
            if alarm is not None and alarm != before:
                _sound(alarm, hook)
            before = alarm
            if once:
                sys.exit(ALARM_STATUS if alarm else 0)
            time.sleep(every)


@witness_group.command("audit")
@_FOLDER
@click.option("--hook", help="A command that is run at an alarm, with its kind and detail behind it.")
def witness_audit(folder: Path, hook: str | None) -> None:
    """Read every entry of the last checkpoint and hold it against its root: nightly, say. Needs the role witness."""
    with told():
        alarm = Witness(folder, _road()).audit(datetime.now(UTC))
        if alarm is not None:
            _sound(alarm, hook)
            sys.exit(ALARM_STATUS)


@witness_group.command("status")
@_FOLDER
def witness_status(folder: Path) -> None:
    """What was seen last, and the alarm that stands; ends with 3 if one does."""
    with told():
        witness = Witness(folder, _road())
        state, last = witness.state, witness.latest()
    click.echo(f"{witness.key.text()}\n最近 / last look {state.seen_at}, {last[0].size if last else 0} entries")
    if last:
        click.echo(last[1], nl=False)
    if state.alarm:
        click.echo(f"警报 / alarm {state.alarm.kind}: {state.alarm.detail} ({state.alarm.at})", err=True)
        sys.exit(ALARM_STATUS)


@witness_group.command("clear")
@_FOLDER
def witness_clear(folder: Path) -> None:
    """Take an alarm back after a person has looked into it; the next look compares with the same checkpoint again."""
    with told():
        Witness(folder, _road()).clear()


def _sound(alarm: Alarm, hook: str | None) -> None:
    line = {"at": alarm.at, "level": "ERROR", "event": "alarm", "kind": alarm.kind, "detail": alarm.detail}
    click.echo(json.dumps(line), err=True)
    if hook:
        subprocess.run([*shlex.split(hook), alarm.kind, alarm.detail], check=False, timeout=60)  # noqa: S603 - the operator's own


def _road() -> Send:
    session = requests.Session()
    session.trust_env = False

    def send(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        try:
            answer = session.request(
                method, url, headers=dict(headers), data=body, timeout=_SECONDS, allow_redirects=False
            )
        except requests.RequestException:
            return 0, b""
        return answer.status_code, answer.content

    return send
