"""The fleet's worker: Celery brings wakes, ``look_up`` does the work, a look at the database makes up for lost ones."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import click
from celery import Celery
from celery.worker import state

from broker import log
from broker.bootstrap import Office, open_office
from broker.config import Settings, settings_from
from broker.core.errors import OperatorProblem, Problem
from broker.log import fault
from broker.store.migrate import current, head
from broker.wakes.aside import WakeAside
from broker.wakes.fleet import LOOK_UP_TASK, FleetWake, celery_app, queue_of

_MARGIN = 64
"""Threads beyond one per source, so that messages are heard while every source is being worked on – those too that a
later edition adds: a source holds one thread however long it hangs (``Drain``), and threads are made when needed."""

_AGAIN_S = 1.0  # before a worker that ended by itself begins anew

_log = logging.getLogger(__name__)


def run_worker(settings: Settings, sources: Sequence[str], name: str) -> bool:
    """Work on these sources (none: all of the edition in force) until SIGTERM or Ctrl-C.

    Returns False where it ended without either: Celery may stumble over a connection that Redis has just dropped, and
    then ends in good order, as if it had been told to.
    """
    app = celery_app(settings.redis_url)
    wake = FleetWake(settings.redis_url, app)
    office = open_office(settings, wake=WakeAside(wake))  # what follows an answer must not wait for Redis either
    if current(office.database) != head():
        raise OperatorProblem("config.invalid", got=current(office.database), expected=f"{head()}: run broker migrate")
    followed = list(sources) or known_sources(office)
    _tasks(app, office, wake)
    stop = threading.Event()
    follow = (lambda: None) if sources else (lambda: _follow(app, office, followed))
    watcher = threading.Thread(target=_watch, args=(office, followed, follow, stop), name="watch", daemon=True)
    watcher.start()  # at once: should Redis be away, the worker works all the same
    app.worker_main([
        "worker", "--pool=threads", f"--concurrency={max(len(followed), 1) + _MARGIN}",
        "--queues=" + ",".join(queue_of(source) for source in followed), f"--hostname={name}@%h",
        "--without-gossip", "--without-mingle", "--without-heartbeat", f"--loglevel={settings.log_level}",
    ])  # fmt: skip
    stop.set()
    office.close()
    return state.should_stop is not None or state.should_terminate is not None


def known_sources(office: Office) -> list[str]:
    """The sources of the edition in force, none before the first is published."""
    with office.parts.store.read() as work:
        catalog = office.parts.catalog_in_force(work, work.pulse())
        return sorted(catalog.sources) if catalog else []


def _tasks(app: Celery, office: Office, wake: FleetWake) -> None:
    @app.task(name=LOOK_UP_TASK)
    def look_up(source: str) -> None:
        wake.heard(source)
        office.drain.run(source)


def _watch(office: Office, followed: Sequence[str], follow: Callable[[], None], stop: threading.Event) -> None:
    """Every few seconds: drain what is due here, should messages be lost or Redis be away, and follow new sources."""
    while not stop.wait(office.settings.sweep_seconds * 2):
        try:
            follow()
            with office.parts.store.read() as work:
                due = [source for source in work.due_sources(work.pulse().now) if source in followed]
            for source in due:
                threading.Thread(target=office.drain.run, args=(source,), name=f"due-{source}", daemon=True).start()
        except Exception as error:  # noqa: BLE001 - the worker's edge: the next look makes up for this one
            fault(_log, "watch", error)


def _follow(app: Any, office: Office, followed: list[str]) -> None:
    for source in known_sources(office):
        if source not in followed:
            followed.append(source)
            app.control.add_consumer(queue_of(source), reply=False)


@click.command()
@click.option("--source", "sources", multiple=True)
@click.option("--name", default="worker")
def main(sources: tuple[str, ...], name: str) -> None:
    """Run a worker in this process; `broker work` is how people start it."""
    try:
        settings = settings_from(os.environ)
        log.set_up(settings.log_level)
        asked = run_worker(settings, sources, name)
    except Problem as problem:
        raise click.ClickException(f"{problem.code} {problem.got} {problem.expected}") from problem
    if not asked:
        _log.error("the worker ended by itself and begins anew")
        time.sleep(_AGAIN_S)
        # What it had claimed is asked again when the leases run out, as after any death.
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - our own command line


if __name__ == "__main__":
    main()
