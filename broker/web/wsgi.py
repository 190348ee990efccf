"""What the web server loads in each of its processes: the application, and in the embedded default also the workers."""

from __future__ import annotations

import os
from typing import Any

from broker import log
from broker.bootstrap import open_office
from broker.config import settings_from
from broker.housekeeping import Housekeeping
from broker.web.app import create_app, surface_of


def application() -> Any:
    """A WSGI application for this process."""
    settings = settings_from(os.environ)
    log.set_up(settings.log_level)
    office = open_office(settings)
    if settings.embedded:
        Housekeeping(office.parts, settings.sweep_seconds).start()
    return create_app(office.parts, surface_of(settings.public_url, office.receipt_keys, office.log_keys))
