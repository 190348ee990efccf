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
from typing import Any

import click
import requests

from broker.cli.shared import require_proof, told
from broker.core import checkpoint
from broker.core.checkpoint import Checkpoint
from broker.core.errors import CallerProblem
from broker.core.log_export import BEGINNING, is_export, verify_export
from broker.core.receipt import bundle_from, verify_bundle
from broker.signing import keys
from broker.witness import Alarm, Send, Witness, make_witness

_SECONDS = (5, 30)  # to connect, to answer
ALARM_STATUS, UNKNOWN_STATUS = 3, 4
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
@click.option(
    "--silence",
    type=float,
    default=10.0,
    show_default=True,
    help="Minutes in which the log does not grow until an alarm.",
)
@click.option("--hook", help="A command that is run at each new alarm, with its kind and detail behind it.")
def witness_run(folder: Path, *, once: bool, every: float, silence: float, hook: str | None) -> None:
    """Look at the log again and again; each alarm is a line on standard error, the hook, and the state."""
    with told():
        witness = Witness(folder, _road())
        before, refused = witness.state.alarm, 0
        while True:
            alarm = witness.look(datetime.now(UTC), silence)
            if alarm is not None and alarm != before:
                _sound(alarm, hook)
            before = alarm
            refused = _told_refused(witness.state.refused, refused)
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


@witness_group.command("check")
@_FOLDER
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def witness_check(folder: Path, file: Path) -> None:
    """Whether FILE is of the log that this witness watches; asks for a proof.

    FILE is a receipt with its log proof, or an export of the log (JSON Lines or CSV).
    """
    with told():
        witness = Witness(folder, _road())
        head = _head_of(file, witness.config)
        known = witness.knows(head)
    text, status = _CHECKED[known]
    click.echo(f"{text} ({head.size} entries)", err=known is not True)
    sys.exit(status)


def _head_of(file: Path, config: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint under which everything in a receipt's bundle or an export is proved. Raises ``CallerProblem``."""
    log_keys = list(keys.from_jwks(config["jwks"], "log").values())
    with file.open("rb") as opened:
        if is_export(opened.read(BEGINNING)):
            opened.seek(0)
            found = verify_export(opened, log_keys)
            if found.log != config["origin"]:
                raise CallerProblem("log.origin", got=found.log, expected=config["origin"])
            return Checkpoint(found.log, found.size, found.root)
    bundle = bundle_from(file.read_bytes())
    require_proof(verify_bundle(bundle, keys.from_jwks(config["jwks"], "receipt"), log_keys))
    return checkpoint.verify(checkpoint.parse_proof(bundle.proof).checkpoint, config["origin"], log_keys)


_CHECKED = {
    True: ("有效，其日志与见证方所见一致 / valid, and of the log that was witnessed", 0),
    False: ("分叉：不在见证方所见的日志中，请保存该文件 / a fork: not of the log that was witnessed; keep the file",
            ALARM_STATUS),
    None: ("无法判断：见证方尚未见到该处，或未取得证明 / cannot be told: not seen so far yet, or no proof was given",
           UNKNOWN_STATUS),
}  # fmt: skip


@witness_group.command("trust")
@_FOLDER
@click.option("--keys", "key_set", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
              help="The broker's new key set, received from its operator, not fetched.")  # fmt: skip
def witness_trust(folder: Path, key_set: Path) -> None:
    """Watch by another key set, after the log's keys were replaced; it must verify the last checkpoint seen."""
    with told():
        Witness(folder, _road()).trust(json.loads(key_set.read_bytes()))


@witness_group.command("status")
@_FOLDER
def witness_status(folder: Path) -> None:
    """What was seen last, and the alarm that stands; ends with 3 if one does."""
    with told():
        witness = Witness(folder, _road())
        state, last = witness.state, witness.latest()
    click.echo(f"{witness.key.text()}\n最近增长 / last grown {state.grown_at}, {last[0].size if last else 0} entries")
    click.echo(f"已交联署 / line handed in {state.handed}{_refusal(state.refused)}")
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


def _refusal(status: int) -> str:
    return f", 被拒 / refused {status}" if status else ""


def _told_refused(status: int, before: int) -> int:
    """One line when the broker begins to refuse ours: kept and served by us it still is, in receipts it is not."""
    if status and status != before:
        line = {"at": datetime.now(UTC).isoformat(), "level": "WARNING", "event": "line-refused", "status": status}
        click.echo(json.dumps(line), err=True)
    return status


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
