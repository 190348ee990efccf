"""What every command needs: settings, an opened office, and problems told in two languages."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from broker.bootstrap import Office, open_office
from broker.config import Settings, settings_from
from broker.core.errors import OperatorProblem, Problem
from broker.core.problems import PROBLEMS
from broker.store.migrate import current, head


def current_settings() -> Settings:
    """The settings of the environment the command was typed in."""
    with told():
        return settings_from(os.environ)


@contextmanager
def office(settings: Settings) -> Iterator[Office]:
    """The wiring, closed again at the end; it wakes nobody, because commands admit nothing."""
    opened = open_office(settings, wake=_Silent())
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


@contextmanager
def told() -> Iterator[None]:
    """A problem as two lines on standard error, Chinese first, and exit status 1."""
    try:
        yield
    except Problem as problem:
        kind = PROBLEMS[problem.code]
        named = (("got", problem.got), ("expected", problem.expected))
        facts = " ".join(f"{name}={value}" for name, value in named if value)
        click.echo(f"{problem.code} {facts}\n{kind.zh}。{kind.next_zh}。\n{kind.en}. {kind.next_en}.", err=True)
        sys.exit(1)
