"""What the web server loads in each of its processes: the application, and in the embedded default also the workers."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask

from broker import log
from broker.bootstrap import open_office
from broker.config import settings_from
from broker.housekeeping import Housekeeping
from broker.web.app import Surface, create_app

_FREE_THREADS = 8  # requests that wait for a decision may take all threads but these


def application() -> Flask:
    """A WSGI application for this process."""
    settings = settings_from(os.environ)
    log.set_up(settings.log_level)
    office = open_office(settings)
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
