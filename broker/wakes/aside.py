"""Wakes from a thread of their own, so that nobody who has just committed waits for a queue that hangs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from broker.log import fault
from broker.ports import Wake

CLOSE_S = 2.0  # a process that ends gives its last wakes so long; what is not sent by then the sweepers find

_log = logging.getLogger(__name__)


class WakeAside:
    """Implements ``ports.Wake`` by handing over to a thread that wakes through another.

    However long that takes, what waits is at most one name for each source: a wake says only "this source has work".
    """

    def __init__(self, wake: Wake) -> None:
        """The thread starts with the first wake, in whichever process that is."""
        self._wake = wake
        self._change = threading.Condition()
        self._waiting: dict[str, None] = {}  # in the order they came
        self._busy = False
        self._thread: threading.Thread | None = None

    def wake(self, sources: Sequence[str]) -> None:
        """Note the sources and return at once."""
        if not sources:
            return
        with self._change:
            self._waiting.update(dict.fromkeys(sources))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="wake", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def close(self) -> None:
        """Wait a moment for what is still to be sent; the thread ends with the process."""
        with self._change:
            self._change.wait_for(lambda: not self._waiting and not self._busy, CLOSE_S)

    def _run(self) -> None:
        while True:
            with self._change:
                self._busy = False
                self._change.notify_all()
                self._change.wait_for(lambda: self._waiting)
                sources, self._waiting, self._busy = list(self._waiting), {}, True
            try:
                self._wake.wake(sources)
            except Exception as error:  # noqa: BLE001 - the worker's edge: the sweepers find what was not woken
                fault(_log, "wake", error)
