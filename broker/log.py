"""Log lines as JSON: when, level, logger, event, and facts that are names or numbers – never a person's data.

Exceptions are logged by class and place only: their texts may quote what somebody sent.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TextIO


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        return json.dumps(line, ensure_ascii=False)


def set_up(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send this process's log as JSON lines to standard error."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def fault(logger: logging.Logger, what: str, error: BaseException, **facts: str) -> None:
    """Log that something failed: the classes along the chain and the places, without any message text."""
    chain: list[str] = []
    current: BaseException | None = error
    while current is not None:
        chain.append(getattr(current, "code", None) or type(current).__name__)  # a problem's code says more
        current = current.__cause__
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in frames]
    logger.error(what, extra={"facts": {"error": chain, "places": places, **facts}})
