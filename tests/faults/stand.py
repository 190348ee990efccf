"""One broker in this process, prepared as the flow's tests prepare it: real flow, real store, scripted sources."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import event

from broker.bootstrap import make_keys, open_office
from broker.core.envelope import Algorithm
from broker.sandbox.servers import fresh_database, start_postgres
from tests.flow import catalogue, kit


@contextmanager
def stand(url: str = "") -> Iterator[kit.Broker]:
    """A broker on a database of its own; without ``url`` on a SQLite file whose commits do not wait for the disk."""
    with tempfile.TemporaryDirectory(prefix="broker-stand-") as name:
        folder = Path(name)
        make_keys(folder / "keys", Algorithm.ED25519)
        settings = kit.settings(url or f"sqlite:///{folder / 'broker.db'}", folder / "keys")
        office = open_office(settings, wake=kit.Bells())
        if not url:
            event.listen(office.database.engine, "connect", lambda one, _: one.execute("PRAGMA synchronous=OFF"))
        kit.prepare(office, catalogue.document())
        yield kit.wired(office)
        office.close()


@contextmanager
def stand_on_postgres() -> Iterator[kit.Broker]:
    """The same on a PostgreSQL of its own."""
    with start_postgres() as server, stand(fresh_database(server)) as broker:
        yield broker
