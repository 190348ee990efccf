"""A prepared broker for each test, over SQLite and over PostgreSQL; each is held against the invariants afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from broker.bootstrap import Office, make_keys, open_office
from broker.core.envelope import Algorithm
from broker.sandbox.servers import Postgres, fresh_database
from tests.flow import catalogue, kit, simulation
from tests.flow.checker import Checker

STORES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys of all test brokers, made once."""
    folder = tmp_path_factory.mktemp("keys")
    make_keys(folder, Algorithm.ED25519)
    return folder


def _prepared(url: str, keys_folder: Path) -> None:
    office = open_office(kit.settings(url, keys_folder), wake=kit.Bells())
    kit.prepare(office, catalogue.document())
    office.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory, keys_folder: Path) -> Path:
    """A migrated SQLite file with the small list published, to be copied."""
    path = tmp_path_factory.mktemp("template") / "broker.db"
    _prepared(f"sqlite:///{path}", keys_folder)
    return path


@pytest.fixture(scope="session")
def postgres_prepared(postgres_server: Postgres, keys_folder: Path) -> Iterator[str]:
    """A PostgreSQL database in the same state, with a copy of every table's rows beside it."""
    url = fresh_database(postgres_server)
    _prepared(url, keys_folder)
    with psycopg.connect(_libpq(url)) as connection:
        connection.execute("CREATE SCHEMA prepared")
        for table in Checker.TABLES:
            name = sql.Identifier(table)
            connection.execute(sql.SQL("CREATE TABLE prepared.{} AS TABLE public.{}").format(name, name))
    yield url
    if postgres_server._process is not None:  # ours, and over: what it holds need not be written to disk first
        os.kill(postgres_server.pid, signal.SIGQUIT)


def _libpq(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _restore(url: str) -> None:
    """Put the prepared rows back: 50 times quicker than a database for each test. Triggers sleep meanwhile."""
    with psycopg.connect(_libpq(url)) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in Checker.TABLES:
            name = sql.Identifier(table)
            connection.execute(sql.SQL("DELETE FROM public.{}").format(name))
            connection.execute(sql.SQL("INSERT INTO public.{} SELECT * FROM prepared.{}").format(name, name))
        connection.execute("SELECT setval('entry_id_seq', (SELECT max(id) FROM entry))")


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    """Which store the test runs over."""
    return str(request.param)


@pytest.fixture(scope="session")
def base_office(keys_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The keys, schemas and connectors that all test brokers share."""
    url = f"sqlite:///{tmp_path_factory.mktemp('base') / 'none.db'}"
    office = open_office(kit.settings(url, keys_folder), wake=kit.Bells())
    yield office
    office.close()


@pytest.fixture(scope="session")
def places(base_office: Office) -> Iterator[dict[str, kit.Place]]:
    """Where the brokers of the tests stand, one after another, by store."""
    found: dict[str, kit.Place] = {}
    yield found
    for place in found.values():
        place.close()


@pytest.fixture
def place(
    store: str, request: pytest.FixtureRequest, places: dict[str, kit.Place], base_office: Office,
    tmp_path_factory: pytest.TempPathFactory,
) -> kit.Place:  # fmt: skip
    """A database of this test alone, migrated, the small list published, a client and its grants registered."""
    assert store in STORES, store
    if store == "postgresql":
        url: str = request.getfixturevalue("postgres_prepared")
        place = places.setdefault(store, kit.Place(base_office, url))
        place.close()
        _restore(url)
        return place
    if store not in places:
        places[store] = kit.Place(base_office, f"sqlite:///{tmp_path_factory.mktemp('place') / 'broker.db'}")
    places[store].put(request.getfixturevalue("sqlite_template"))
    return places[store]


@pytest.fixture
def prepared_url(place: kit.Place) -> str:
    """The address of this test's database."""
    return place.url


@pytest.fixture
def empty_url(store: str, request: pytest.FixtureRequest) -> str:
    """A database without any schema."""
    return str(request.getfixturevalue("sqlite_url" if store == "sqlite" else "postgres_url"))


@pytest.fixture
def open_broker(keys_folder: Path) -> Iterator[kit.OpenBroker]:
    """Opens brokers on a database, and closes them afterwards."""
    with ExitStack() as stack:

        def opened(url: str, **changes: object) -> kit.Broker:
            office = open_office(kit.settings(url, keys_folder, **changes), wake=kit.Bells())
            stack.callback(office.close)
            return kit.wired(office)

        yield opened


@pytest.fixture
def broker(place: kit.Place) -> Iterator[kit.Broker]:
    """A prepared broker with scripted sources; whatever the test did to it, the invariants hold afterwards."""
    broker = place.broker()
    yield broker
    broker.check()


@pytest.fixture(scope="session")
def quick_brokers(
    base_office: Office, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], kit.Broker]]:
    """Prepared brokers on SQLite by the hundred, never synced to disk; two may be in use at a time."""
    with simulation.brokers(base_office, sqlite_template, tmp_path_factory.mktemp("quick")) as quick:
        yield quick


@pytest.fixture(scope="session")
def stormy_brokers(base_office: Office, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], kit.Broker]]:
    """The same, prepared for simulations."""
    folder = tmp_path_factory.mktemp("stormy")
    with simulation.brokers(base_office, simulation.template(base_office, folder), folder) as quick:
        yield quick
