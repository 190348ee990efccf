"""What the web server loads in each of its processes: the application, and in the embedded default also the workers."""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from pathlib import Path

from flask import Flask

from broker import log
from broker.bootstrap import open_office
from broker.config import settings_from
from broker.core.errors import Problem
from broker.flow.parts import Parts
from broker.housekeeping import Housekeeping
from broker.web.app import Surface, create_app

_FREE_THREADS = 8  # requests that wait for a decision may take all threads but these


def application() -> Flask:
    """A WSGI application for this process."""
    settings = settings_from(os.environ)
    log.set_up(settings.log_level)
    office = open_office(settings)
    preload(office.parts)
    if settings.embedded:
        Housekeeping(office.parts, settings.sweep_seconds).start()
    surface = Surface(
        public_url=settings.public_url,
        schemas_folder=Path(settings.schemas_folder),
        keys=office.receipt_keys,
        log_keys=office.log_keys,
        seats=max(1, settings.web_threads - _FREE_THREADS),
        provider=office.provider,
        queue=office.queue,
        proxies=settings.proxies,
    )
    return create_app(office.parts, surface)


def preload(parts: Parts) -> None:
    """Read the list in force before the first request does, and keep the garbage collector off what is loaded by now.

    The lists are some hundred thousand objects that live as long as the process; a full collection walks over all of
    them in the middle of whatever page makes many objects. A list published later is collected over as before.
    """
    with suppress(Problem), parts.store.read() as work:  # no list yet, or no database: the first request finds out
        pulse = work.pulse()
        parts.edition_in_force(work, parts.policy(work, pulse), pulse.now)
    gc.collect()
    gc.freeze()
