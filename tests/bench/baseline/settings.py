"""(c) The stack a Python team would write for this work, as a fair opponent for the broker.

Flask behind gunicorn, http-message-signatures, jsonschema, SQLAlchemy's ORM over PostgreSQL, a Celery chord of three
``requests`` lookups with a Redis result backend, and a last task that decides and signs the receipt. What was chosen,
and why this is not a straw man:

* gunicorn ``gthread``, 2 processes of 16 threads: one process per core, threads because requests wait.
* Celery prefork with concurrency 2 (one per core; 4 was no faster), early acknowledgement, default prefetch, no events,
  no gossip. A chord, because that is what Celery's manual offers for "when all three are done".
* Redis as broker and result backend; nonces with ``SET NX EX`` in Redis.
* PostgreSQL through the ORM with pooled connections; one transaction to accept, one per lookup, one to decide. Nothing
  is queried twice that was at hand.
* ``requests.Session`` per process with kept-alive connections; the sources' protocol is spoken by the broker's own
  connector code (headers, secrets, XML), since any team has to write that, so both sides pay the same for it.
* Schemas compiled once; keys loaded once; PyJWT's EdDSA for receipts (for SM2 the broker's own signer, since no common
  library has one, also plugged into http-message-signatures).
* The server waits for the chord's result and answers with the decision, which spares it the polling requests.

It does less than the broker, always to its own advantage: answers to callers are not signed, answers at rest are not
encrypted, audit rows are plain rows without a Merkle log, a worker that dies loses its task, nothing is swept up, a
fallback chain is not walked, and grants are checked once, when accepting.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PREFIX = "BASELINE_"
PROCESSES = 2
THREADS = 16
CONCURRENCY = 2


@dataclass(frozen=True)
class Settings:
    """Where everything is; from the environment."""

    database_url: str
    redis_url: str
    platforms: Path
    receipt_key: Path
    caller_key: Path
    public_url: str


def settings() -> Settings:
    """The settings of this process."""

    def told(name: str) -> str:
        return os.environ[PREFIX + name]

    return Settings(
        told("DATABASE_URL"),
        told("REDIS_URL"),
        Path(told("PLATFORMS")),
        Path(told("RECEIPT_KEY")),
        Path(told("CALLER_KEY")),
        told("PUBLIC_URL"),
    )
