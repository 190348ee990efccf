"""The front desk: requests that arrive while one batch is being admitted are admitted together as the next one.

At rest a batch is one request and nothing waits. Under load the cost of a transaction is shared by all who came
meanwhile, in the thread of whoever is next: there is no thread of its own, no timer, and no delay that was not there.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from broker.core.errors import Problem
from broker.flow.admit import Admitted, Submission

LARGEST = 32  # a batch's transaction stays far below the time after which a statement is given up

AdmitAll = Callable[[Sequence[Submission]], Sequence[Admitted | Problem]]


@dataclass(eq=False)
class _Place:
    submission: Submission
    outcome: Admitted | Exception | None = None


class FrontDesk:
    """One per process; shared by its threads."""

    def __init__(self, admit_all: AdmitAll) -> None:
        """``admit_all`` is the flow's step, in one transaction."""
        self._admit_all = admit_all
        self.waiting: deque[_Place] = deque()
        self._turn = threading.Lock()

    def admit(self, submission: Submission) -> Admitted:
        """As ``flow.admit``: what became of this one. Raises its ``Problem``, or the fault that hit it."""
        place = _Place(submission)
        self.waiting.append(place)
        while place.outcome is None:
            with self._turn:
                if place.outcome is None:
                    self._serve([self.waiting.popleft() for _ in range(min(LARGEST, len(self.waiting)))])
        if isinstance(place.outcome, Exception):
            raise place.outcome
        return place.outcome

    def _serve(self, batch: Sequence[_Place]) -> None:
        try:
            outcomes = self._admit_all([place.submission for place in batch])
        except Problem as problem:  # of the whole transaction: the database is away, say
            outcomes = [problem] * len(batch)
        except Exception as error:  # noqa: BLE001 - handed to the thread it belongs to, once it is known which
            if len(batch) == 1:
                batch[0].outcome = error
                return
            for place in batch:  # nothing was changed; one of them is the cause, and must not fail the others
                self._serve([place])
            return
        for place, outcome in zip(batch, outcomes, strict=True):
            place.outcome = outcome
