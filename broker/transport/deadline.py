"""One deadline for all that a thread does for one conversation, however slowly bytes trickle.

A socket's own time-out starts anew with each byte received, so a source that sends one byte per second could hold a
worker for ever. Here the deadline belongs to the thread, which drives one conversation at a time, and each connect,
send and receive waits at most for what is left of it.
"""

from __future__ import annotations

import threading
import time
from typing import Final


class _Budget(threading.local):
    ends: float = 0.0  # on the monotonic clock; past until someone sets it


_budget: Final = _Budget()


def begin(seconds: float) -> None:
    """Give the work that this thread starts now so many seconds."""
    _budget.ends = time.monotonic() + seconds


def remaining() -> float:
    """The seconds left; ``TimeoutError`` when there are none."""
    left = _budget.ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
