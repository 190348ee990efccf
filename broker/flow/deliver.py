"""Deliver: tell the approval system by a signed callback that it is decided, or pending; retried with back-off."""

from __future__ import annotations

from datetime import timedelta

from broker.core.entry import entry
from broker.core.envelope import canonical
from broker.flow.parts import Parts
from broker.ports import Due, Policy

LEASE_MS = 150_000  # longer than a whole batch of listeners that do not answer
FIRST_RETRY = timedelta(seconds=2)  # doubling, so the last of 12 attempts is made after more than one hour
LONGEST_RETRY = timedelta(hours=1)
_NOTICES = {"promise": "material", "objection": "objection"}  # what a notice names, by its state
_SUCCESS = range(200, 300)


def deliver(parts: Parts) -> int:
    """Send one batch of due callbacks; returns how many there were."""
    with parts.store.write() as work:
        pulse = work.pulse()
        batch = work.claim_deliveries(parts.limits.deliver_batch, pulse.now, LEASE_MS)
        policy = parts.policy(work, pulse)
        # Crash before this commit: nothing was sent. After it: the lease runs out and it is sent (again), same id.
        work.commit()
    for due in batch:
        _send(parts, policy, due)
    return len(batch)


def _told(due: Due) -> dict[str, str]:
    """What the callback says: the new state with its receipt, or a notice about a promise or an objection."""
    state, _, subject = due.kind.partition(":")
    about = {"delivery": due.id, "verification": due.verification, "state": state}
    if not subject:
        return about | {"receipt": due.carries}
    return about | {_NOTICES[state]: subject, "notice": due.carries}


def _send(parts: Parts, policy: Policy, due: Due) -> None:
    url = policy.clients[due.client].callback_url
    body = canonical(_told(due))
    status = parts.post(url, body) if url else 0
    code = str(status) if status else "no-answer"
    with parts.store.write() as work:
        now = work.pulse().now
        if status in _SUCCESS:
            state, ready_at = "delivered", now
        else:
            given_up = due.fence >= parts.limits.delivery_attempts
            state = "given_up" if given_up else "due"
            ready_at = now + min(FIRST_RETRY * 2 ** (due.fence - 1), LONGEST_RETRY)
        if work.finish_delivery(due, state, code, ready_at):
            kind = "delivered" if state == "delivered" else "delivery_failed"
            facts = {"client": due.client, "delivery": due.id, "code": code, "attempt": due.fence}
            work.record([entry(kind, now, verification=due.verification, **facts)])
            # Crash before this commit: sent but not recorded; it is sent again with the same delivery id.
            work.commit()
