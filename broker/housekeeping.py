"""What runs beside the requests: sequence the log, deliver callbacks, sweep for due work, fold figures, forget nonces.

One loop per duty, each a thread; in the embedded default they live in the web process, in the fleet in ``broker
sweep``. Any number may run at once: every duty claims its work in the database.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from broker.core.errors import Problem
from broker.flow import log_check, preview, source_test
from broker.flow.alive import alive
from broker.flow.bodies import BATCH as NAMED
from broker.flow.bodies import name_bodies
from broker.flow.consents import expire_consents
from broker.flow.deliver import deliver
from broker.flow.figures import keep_figures
from broker.flow.grants import remind
from broker.flow.objections import remind_objections
from broker.flow.orders import remind_orders
from broker.flow.parts import Parts
from broker.flow.probe import probe
from broker.flow.retain import retain
from broker.flow.sequence import sequence
from broker.flow.sweep import sweep, tidy
from broker.flow.watch import BATCH as WATCHED
from broker.flow.watch import watch
from broker.log import fault

SEQUENCE_SECONDS = 0.25  # how long an entry waits for its place at most, when the log is idle
DELIVER_SECONDS = 0.5
FIGURES_SECONDS = 30.0
PREVIEW_SECONDS = 1.0
PROBE_SECONDS = 60.0
RETAIN_SECONDS = 86_400.0
TIDY_SECONDS = 60.0
WATCH_SECONDS = 60.0
REMIND_SECONDS = 3600.0  # of applications that are due; each at most once a day

_log = logging.getLogger(__name__)


class Housekeeping:
    """The duties' threads."""

    def __init__(self, parts: Parts, sweep_seconds: float) -> None:
        """Nothing runs before ``start``."""
        self._stop = threading.Event()
        duties: Sequence[tuple[str, Callable[[], object], float]] = (
            ("sequence", lambda: sequence(parts) >= parts.limits.sequence_batch, SEQUENCE_SECONDS),
            ("alive", lambda: alive(parts) and None, TIDY_SECONDS),
            ("deliver", lambda: deliver(parts), DELIVER_SECONDS),
            ("sweep", lambda: sweep(parts) and None, sweep_seconds),
            ("preview", lambda: preview.work_off(parts), PREVIEW_SECONDS),
            ("log check", lambda: log_check.work_off(parts), PREVIEW_SECONDS),
            ("source test", lambda: source_test.work_off(parts), PREVIEW_SECONDS),
            ("probe", lambda: probe(parts), PROBE_SECONDS),
            ("retain", lambda: retain(parts), RETAIN_SECONDS),
            ("tidy", lambda: tidy(parts), TIDY_SECONDS),
            ("consents", lambda: expire_consents(parts) and None, TIDY_SECONDS),
            ("orders", lambda: remind_orders(parts) and None, TIDY_SECONDS),
            ("objections", lambda: remind_objections(parts) and None, TIDY_SECONDS),
            ("watch", lambda: watch(parts) >= WATCHED, WATCH_SECONDS),
            ("figures", lambda: keep_figures(parts), FIGURES_SECONDS),
            ("remind", lambda: remind(parts) and None, REMIND_SECONDS),
            ("bodies", lambda: name_bodies(parts) >= NAMED, TIDY_SECONDS),
        )
        self._threads = [
            threading.Thread(target=self._run, args=duty, name=f"duty-{duty[0]}", daemon=True) for duty in duties
        ]

    def start(self) -> None:
        """Start the duties."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each duty finish the transaction it is in."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def stop_soon(self) -> None:
        """Ask the duties to end; safe in a signal handler."""
        self._stop.set()

    def wait(self) -> None:
        """Until ``stop`` is called from elsewhere."""
        self._stop.wait()

    def _run(self, name: str, duty: Callable[[], object], pause: float) -> None:
        while not self._stop.is_set():
            try:
                more = duty()
            except Exception as error:  # noqa: BLE001 - the worker's edge: the next round reads the state anew
                if not (isinstance(error, Problem) and error.code == "store.away"):
                    fault(_log, name, error)
                more = None
            if not more:
                self._stop.wait(pause)
