"""Who asks: a system that signed what it sent. Every step that a signed request begins identifies it here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.core.errors import CallerProblem
from broker.ports import Client, Policy, Work

NONCE_KEPT = timedelta(minutes=2)  # twice the window in which a signature is fresh (± 30 s), so none outlives its nonce


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a request, and the nonce it carried."""

    client: Client
    key_id: str
    nonce: str


Identify = Callable[[Policy, datetime], Caller]  # verifies the signature; raises CallerProblem


def identified(work: Work, policy: Policy, identify: Identify, now: datetime) -> Caller:
    """Who signed, and the nonce spent in this transaction: what is not committed may be sent again as it is.

    Raises ``CallerProblem``: what ``identify`` raises, and ``signature.replayed``.
    """
    caller = identify(policy, now)
    if not work.spend_nonce(caller.key_id, caller.nonce, now + NONCE_KEPT):
        raise CallerProblem("signature.replayed")
    return caller
