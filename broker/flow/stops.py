"""Stop a source by hand, and open it again: a decision of the policy, for every process from its next claim on.

While it is stopped its lookups end UNKNOWN, source stopped, and what checks a promise waits. What an operator asks by
hand – a connection test, a call of the platform – still goes: it shows whether the source can be opened again.
"""

from __future__ import annotations

from broker.core.entry import entry
from broker.core.errors import CallerProblem
from broker.core.gate import Stop, new_gate
from broker.flow.annotate import require_text
from broker.flow.parts import Parts


def stop_source(parts: Parts, source: str, by: str, reason: str) -> None:
    """Ask a source nothing more. Raises ``CallerProblem``: ``source.unknown``, ``source.why``, ``source.stopped``."""
    require_text(reason, "source.why")
    with parts.store.write() as work:
        pulse = work.pulse()
        listed = parts.edition_in_force(work, parts.policy(work, pulse), pulse.now).catalog.sources.get(source)
        if listed is None:
            raise CallerProblem("source.unknown", got=source)
        # Whoever claims its lookups holds this row until their commit: from here on nobody is on the way to asking.
        work.set_gate(work.gate(source) or new_gate(listed, pulse.now))
        stop = Stop(source, by, reason.strip(), work.pulse().now)
        if not work.add_stop(stop):
            raise CallerProblem("source.stopped", got=source)
        work.move_policy()
        work.record([entry("source_stopped", stop.at, source=source, by=by, why=stop.reason)])
        # Crash before this commit: it is asked as before. After it: every claim from now on sees the policy moved.
        work.commit()


def open_source(parts: Parts, source: str, by: str, reason: str) -> None:
    """Ask it again. Raises ``CallerProblem``: ``source.why``, ``source.open``."""
    require_text(reason, "source.why")
    with parts.store.write() as work:
        now = work.pulse().now
        if not work.lift_stop(source):
            raise CallerProblem("source.open", got=source)
        work.move_policy()
        work.record([entry("source_opened", now, source=source, by=by, why=reason.strip())])
        # Crash before this commit: it stays stopped. After it: it is asked from the next claim on.
        work.commit()
