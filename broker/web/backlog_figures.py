"""The backlog as metrics: labels are sources of the sharing list, and words of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

from broker.flow.backlog import Outstanding


class BacklogFigures:
    """A collector of what is still to be done."""

    def __init__(self, found: Outstanding) -> None:
        """``found`` may be some seconds old."""
        self._found = found

    def collect(self) -> Iterable[Metric]:
        """Every source of the list is told, also with nothing due, so that a missing sample means a missing broker."""
        backlog = self._found.backlog
        yield from self._due()
        yield _by("state", "broker_verifications_undecided", "Verifications without a decision.", backlog.verifications)
        yield _by("state", "broker_work_orders", "Work orders open, or ended overdue in 30 days.", backlog.orders)
        yield _by("state", "broker_promises", "Promises to be checked, by a source or by hand.", backlog.promises)
        yield GaugeMetricFamily("broker_consents_waiting", "Consents to be decided.", value=backlog.consents)
        limits = {name: limit for name, limit in self._found.calls_per_day.items() if limit is not None}
        yield _by("source", "broker_source_calls_per_day", "Calls that its owner allows a day.", limits)
        failed = GaugeMetricFamily(
            "broker_source_probe_failed", "1 for the step that the last probe found broken.", labels=["source", "step"]
        )
        for source, step in self._found.broken.items():
            failed.add_metric([source, step], 1)
        yield failed

    def _due(self) -> Iterable[Metric]:
        due = {one.source: one for one in self._found.backlog.due}
        every = sorted({*self._found.calls_per_day, *due})
        counts = {name: due[name].lookups if name in due else 0 for name in every}
        ages = {
            name: max(0.0, (self._found.now - due[name].oldest).total_seconds()) if name in due else 0 for name in every
        }
        yield _by("source", "broker_lookups_due", "Lookups to be asked now.", counts)
        yield _by("source", "broker_lookups_due_oldest_seconds", "How long the first of them has been due.", ages)


def _by(label: str, name: str, words: str, values: Mapping[str, float]) -> Metric:
    told = GaugeMetricFamily(name, words, labels=[label])
    for key, value in values.items():
        told.add_metric([key], value)
    return told
