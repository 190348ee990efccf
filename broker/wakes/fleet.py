"""The fleet's wake: Celery over Redis, one queue per source, a message that says only "this source has work".

Everything here may be lost, repeated or late without harm: the database knows what is due, and sweepers look there.
Hence no results, no retries, no eta; and a publish that does not succeed at once is treated as nothing.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

LOOK_UP_TASK = "broker.look_up"
COALESCE_MS = 2_000  # an unheard wake may be repeated after this long; a drain takes the key away first thing
_BUDGET_S = 1.0  # a stopped Redis otherwise holds a publisher for more than 30 s
_FITNESS = "fitness"  # how the lists begin through which a message is sent to oneself
_SILENCE_S = 2.0  # after a failed publish, how long Redis is not tried again: the sweepers carry on meanwhile

_log = logging.getLogger(__name__)


def queue_of(source: str) -> str:
    """The queue of a source."""
    return f"source.{source}"


def celery_app(redis_url: str) -> Celery:
    """The Celery application of the fleet, without its tasks."""
    app = Celery("broker", broker=redis_url)
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=False,  # a wake is a hint; acknowledging late on a connection that Redis has dropped ends Celery
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,  # it swallows what the host program prints
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        task_store_errors_even_if_ignored=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # however long Redis is away, the worker hears it when it is back
        broker_connection_timeout=_BUDGET_S,
        broker_transport_options={
            "socket_timeout": 5.0,
            "socket_connect_timeout": _BUDGET_S,
            "visibility_timeout": 60,
            "max_retries": 0,
        },
    )
    return app


class FleetWake:
    """Implements ``ports.Wake``: ``SET wake:S NX PX`` decides whether a message is needed at all.

    Whoever must not wait for Redis wakes through ``aside.WakeAside``.
    """

    def __init__(self, redis_url: str, app: Celery | None = None) -> None:
        """Nothing is connected yet."""
        self._app = app or celery_app(redis_url)
        self._redis: Any = Redis.from_url(redis_url, socket_timeout=_BUDGET_S, socket_connect_timeout=_BUDGET_S)
        self._quiet_until = 0.0

    def wake(self, sources: Sequence[str]) -> None:
        """Send what is needed; a Redis that does not answer is left alone for a while."""
        if not sources or time.monotonic() < self._quiet_until:
            return
        try:
            for source in self._unheard(sources):
                self._app.send_task(LOOK_UP_TASK, args=[source], queue=queue_of(source), retry=False)
        except (RedisError, OperationalError, OSError) as error:
            self._quiet_until = time.monotonic() + _SILENCE_S
            _log.warning("wake not sent: %s; the sweeper will find the work", type(error).__name__)

    def _unheard(self, sources: Sequence[str]) -> list[str]:
        pipeline = self._redis.pipeline(transaction=False)
        for source in sources:
            pipeline.set(f"wake:{source}", 1, nx=True, px=COALESCE_MS)
        return [source for source, new in zip(sources, pipeline.execute(), strict=True) if new]

    def answers(self) -> bool:
        """Whether a message comes back out of Redis at once; everything goes on without it, only slower to begin.

        Asking it is not enough: a replica, or a Redis whose memory is full, answers and takes no message.
        """
        queue, message = f"{_FITNESS}.{secrets.token_hex(8)}", secrets.token_bytes(8)  # ours alone
        try:
            there = self._redis.pipeline(transaction=False)
            there.lpush(queue, message)
            there.pexpire(queue, COALESCE_MS)  # should we not come to read it
            there.execute()
            return bool(self._redis.rpop(queue) == message)
        except RedisError:
            return False

    def heard(self, source: str) -> None:
        """First thing in a drain: from now on a further wake is a new message."""
        try:
            self._redis.delete(f"wake:{source}")
        except RedisError as error:
            _log.warning("wake key not deleted: %s; it expires by itself", type(error).__name__)
