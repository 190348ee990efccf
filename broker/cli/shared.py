"""What every command needs: settings, an opened office, and problems told in two languages."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from broker.bootstrap import Office, open_office, read_witnessed
from broker.config import Settings, settings_from
from broker.core.cosignature import Seen, WitnessKey, witness_key
from broker.core.envelope import Algorithm, Verifier
from broker.core.errors import CallerProblem, OperatorProblem, Problem
from broker.core.own_key import KeyRole
from broker.core.problems import PROBLEMS
from broker.core.receipt import VerifiedReceipt, moment
from broker.flow.adopt import require_history
from broker.flow.own_keys import adopt_keys, adopt_source_keys
from broker.signing import keys
from broker.store.engine import driver_said
from broker.store.migrate import current, head

KEY_ID: Final = {"ignore_unknown_options": True, "help_option_names": ["--help"]}
"""How a command that takes a key's id is read: the id is Base64url, one of 64 begins with a hyphen, and an h in it asks
for no help."""


def current_settings() -> Settings:
    """The settings of the environment the command was typed in."""
    with told():
        return settings_from(os.environ)


@contextmanager
def office(settings: Settings, *, waking: bool = False) -> Iterator[Office]:
    """The wiring, closed again at the end; it wakes nobody, because commands admit nothing – unless they sweep."""
    opened = open_office(settings, wake=None if waking else _Silent())
    try:
        yield opened
    finally:
        opened.close()


class _Silent:
    """Commands admit nothing, so they wake nobody."""

    def wake(self, sources: object) -> None:
        """Do nothing."""


def require_schema(opened: Office) -> None:
    """Refuse to run a process over a database at another schema than this release's."""
    found, newest = current(opened.database), head()
    if found != newest:
        raise OperatorProblem("config.invalid", got=found or "no schema", expected=f"{newest}: run broker migrate")


def adopt(opened: Office) -> None:
    """Write into the register, and so into the log, which keys this process finds that are not there yet."""
    adopt_keys(opened.parts, opened.folder)
    adopt_source_keys(opened.parts)


def require_witnessed(opened: Office) -> None:
    """Refuse to continue a log that is behind, or another than, the one a witness has seen."""
    place = opened.settings.witness_checkpoint
    if place:
        require_seen(opened, place)
    elif opened.settings.witness_keys:
        raise OperatorProblem(
            "config.invalid", got="BROKER_WITNESS_KEYS", expected="BROKER_WITNESS_CHECKPOINT beside it"
        )


def require_seen(opened: Office, place: str) -> int:
    """The size of the log here, if it continues the checkpoint in that place, which a named witness has co-signed."""
    names = opened.settings.witness_keys
    try:
        witnesses = read_witnesses(Path(names)) if names else []
    except OSError as error:
        raise OperatorProblem("config.invalid", got="BROKER_WITNESS_KEYS", expected="a file") from error
    if names and not witnesses:
        raise OperatorProblem("config.invalid", got="BROKER_WITNESS_KEYS", expected="a verifier key on each line")
    log_keys = opened.parts.published(KeyRole.LOG, opened.log_keys)
    return require_history(opened.parts, read_witnessed(place), log_keys, witnesses)


@contextmanager
def told() -> Iterator[None]:
    """A problem as two lines on standard error, Chinese first, and exit status 1; a third is the database's own."""
    try:
        yield
    except Problem as problem:
        kind = PROBLEMS[problem.code]
        named = (("got", problem.got), ("expected", problem.expected))
        facts = " ".join(f"{name}={value}" for name, value in named if value)
        click.echo(f"{problem.code} {facts}\n{kind.zh}。{kind.next_zh}。\n{kind.en}. {kind.next_en}.", err=True)
        if said := driver_said(problem):
            click.echo(said, err=True)
        sys.exit(1)


def read_witnesses(file: Path | None) -> list[tuple[WitnessKey, Verifier]]:
    """The witnesses whose verifier keys stand in a file, one a line; none without a file."""
    lines = [] if file is None else file.read_text("utf-8").split("\n")
    found = [witness_key(line.strip()) for line in lines if line.strip()]
    return [(one, keys.public_key(Algorithm.ED25519, one.public)) for one in found]


def require_proof(found: VerifiedReceipt) -> VerifiedReceipt:
    """The receipt, where its place in the log was shown. Raises ``CallerProblem`` ``receipt.unproved``."""
    if found.position is None:
        raise CallerProblem("receipt.unproved")
    return found


def require_witnessed_receipt(found: VerifiedReceipt) -> VerifiedReceipt:
    """The receipt, where a named witness co-signed its checkpoint. Raises ``CallerProblem`` ``receipt.unwitnessed``."""
    if not require_proof(found).seen:
        raise CallerProblem("receipt.unwitnessed")
    return found


def seen_text(seen: Sequence[Seen]) -> str:
    """Who co-signed, in words."""
    if not seen:
        return "无已知见证方联署 / co-signed by no witness that was named"
    told_ = ", ".join(f"{one.witness} {moment(datetime.fromtimestamp(one.seconds, UTC))}" for one in seen)
    return f"见证方联署 / co-signed by {told_}"
