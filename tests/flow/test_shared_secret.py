"""A platform's working secret is one for all processes: fetched by one, used by all, renewed before it ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from broker.bootstrap import read_client_key
from broker.core.answer import Reason
from broker.core.catalog import Form
from broker.ports.sessions import WorkingSecret
from broker.sandbox.servers import Postgres, fresh_database
from broker.signing.vault import CaseVault
from broker.store import sessions
from broker.store.engine import Database
from broker.store.migrate import migrate
from broker.store.sessions import SharedSession
from broker.store.work import SqlStore
from tests.asking import MemoryRoad, ask, memory_road, party

LIFE = timedelta(minutes=30)
AHEAD = timedelta(minutes=5)


@dataclass
class Deployment:
    """One database, and as many processes on it as a test wants."""

    database: Database
    vault: CaseVault
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    statements: list[str] = field(default_factory=list)

    def process(self, vault: CaseVault | None = None) -> SharedSession:
        """A process's session with the platform."""
        store = SqlStore(self.database, read_client_key)
        return SharedSession("gj-exchange", store, vault or self.vault, lambda: self.now)

    def secret(self, value: bytes = b"secret-1") -> WorkingSecret:
        """A secret as the gateway gives it out now."""
        return WorkingSecret(value, self.now + LIFE, self.now + LIFE - AHEAD)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('shared') / 'broker.db'}"
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        url = fresh_database(server)
    opened = Database(url)
    migrate(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def deployment(database: Database) -> Iterator[Deployment]:
    with database.begin(write=True) as connection:
        connection.execute(text("DELETE FROM platform_session"))
        connection.commit()
    made = Deployment(database, CaseVault(os.urandom(32), os.urandom(32)))

    def heard(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        made.statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", heard)
    yield made
    event.remove(database.engine, "before_cursor_execute", heard)


def test_what_one_process_fetches_every_process_uses(deployment: Deployment) -> None:
    first, second = deployment.process(), deployment.process()
    assert first.get("secret") is None
    first["secret"] = deployment.secret()
    assert second.get("secret") == first.get("secret") == deployment.secret()


BATCH = 20  # longer than a secret that ends in the midst of a batch


def refused_in_mid_batch(road: MemoryRoad, session: MutableMapping[str, Any]) -> tuple[set[Reason], int]:
    """What a batch of threads without any secret is answered while its secret ends, and how often one was fetched."""
    road.connections["gj-exchange"] = replace(road.connections["gj-exchange"], session=session)
    honest = road.applications["gj-exchange"]

    def slow(environ: dict[str, Any], start: Any) -> Any:
        time.sleep(0.01)  # so that the batch is under way together
        return honest(environ, start)

    road.applications["gj-exchange"] = slow  # type: ignore[assignment]  # as much of one as the road calls
    road.behave("gj-exchange", "secret_expired")
    single = party(road.roles["person_single"])
    with ThreadPoolExecutor(BATCH) as threads:
        asked = [threads.submit(ask, road, "ps-identity", Form.VERIFY, single) for _ in range(BATCH)]
        reasons = {one.result().reason for one in asked}
    return reasons, sum(one.url.endswith("refreshappsecret") for one in road.sent)


def test_a_cold_batch_whose_secret_ends_settles_on_one_fetched_secret(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is fetched to begin with and one after it has ended, and every other process uses that."""
    monkeypatch.setattr(sessions, "PATIENCE_S", 60.0)  # a busy machine is no reason to fetch a third
    monkeypatch.setattr(sessions, "LEASE_MS", 60_000)
    session = deployment.process()
    assert refused_in_mid_batch(memory_road(tmp_path), session) == ({Reason.VALID}, 2)
    assert deployment.process().get("secret") == session.get("secret") is not None


def test_a_cold_batch_of_a_process_by_itself_is_answered_as_well(tmp_path: Path) -> None:
    """Each fetches its own there, so that several end at once; the last attempt is with none of those."""
    reasons, fetched = refused_in_mid_batch(memory_road(tmp_path), {})
    assert reasons == {Reason.VALID}
    assert fetched > 1


def test_a_refused_secret_is_not_taken_up_again_while_the_database_does_not_know(deployment: Deployment) -> None:
    process, other = deployment.process(), deployment.process()
    process["secret"] = deployment.secret()
    with deployment.database.begin(write=True) as connection:
        kept = connection.execute(text("SELECT value FROM platform_session")).scalar_one()
    process["refused"] = deployment.secret()
    with deployment.database.begin(write=True) as connection:  # as if the refusal had not been written yet
        connection.execute(text("UPDATE platform_session SET value = :kept"), {"kept": kept})
        connection.commit()
    assert process.get("secret") is None
    assert other.get("secret") == deployment.secret(), "who was not refused finds out by itself"


def test_a_secret_at_hand_costs_no_statement(deployment: Deployment) -> None:
    process = deployment.process()
    process["secret"] = deployment.secret()
    deployment.statements.clear()
    assert all(process.get("secret") == deployment.secret() for _ in range(100))
    assert deployment.statements == []


def test_one_process_renews_it_and_the_others_go_on_with_the_old_one(deployment: Deployment) -> None:
    processes = [deployment.process() for _ in range(4)]
    old = deployment.secret()
    processes[0]["secret"] = old
    assert [one.get("secret") for one in processes] == [old] * 4
    deployment.now += LIFE - AHEAD
    assert [one.get("secret") for one in processes] == [None, old, old, old]
    new = processes[0]["secret"] = deployment.secret(b"secret-2")
    assert deployment.process().get("secret") == new
    deployment.now += AHEAD
    assert [one.get("secret") for one in processes] == [new] * 4


def test_while_another_renews_nobody_asks_the_database_again_and_again(deployment: Deployment) -> None:
    first, second = deployment.process(), deployment.process()
    first["secret"] = deployment.secret()
    assert second.get("secret") is not None
    deployment.now += LIFE - AHEAD
    assert first.get("secret") is None
    assert second.get("secret") is not None
    deployment.statements.clear()
    assert all(second.get("secret") is not None for _ in range(50))
    assert len(deployment.statements) < 20


def test_a_renewal_that_never_came_is_done_by_another(deployment: Deployment) -> None:
    """The process that held the lease has died."""
    first, second = deployment.process(), deployment.process()
    first["secret"] = deployment.secret()
    assert second.get("secret") is not None
    deployment.now += LIFE - AHEAD
    assert first.get("secret") is None
    with deployment.database.begin(write=True) as connection:
        connection.execute(text("UPDATE platform_session SET lease_ends_at = 0"))
        connection.commit()
    assert deployment.process().get("secret") is None


def test_of_many_who_have_none_one_fetches_and_the_others_wait_for_it(deployment: Deployment) -> None:
    processes = [deployment.process() for _ in range(2)]
    fetched: list[int] = []
    together = threading.Barrier(12)

    def asker(number: int) -> WorkingSecret:
        session = processes[number % 2]
        together.wait()
        held: WorkingSecret | None = session.get("secret")
        if held is None:
            fetched.append(number)
            time.sleep(0.05)  # a gateway takes its time
            held = session["secret"] = deployment.secret()
        return held

    with ThreadPoolExecutor(12) as pool:
        used = list(pool.map(asker, range(12)))
    assert len(fetched) == 1
    assert used == [deployment.secret()] * 12


def test_a_refused_secret_is_used_by_nobody_any_more(deployment: Deployment) -> None:
    first, second = deployment.process(), deployment.process()
    first["secret"] = deployment.secret()
    held = second.get("secret")
    second["refused"] = held
    assert second.get("secret") is None
    second["secret"] = deployment.secret(b"secret-2")
    third = deployment.process()
    assert third.get("secret") == deployment.secret(b"secret-2")


def test_a_late_refusal_of_the_old_one_leaves_the_new_one(deployment: Deployment) -> None:
    first, second = deployment.process(), deployment.process()
    old = first["secret"] = deployment.secret()
    assert second.get("secret") == old
    first["secret"] = deployment.secret(b"secret-2")
    second["refused"] = old
    assert second.get("secret") == deployment.secret(b"secret-2")
    assert first.get("secret") == deployment.secret(b"secret-2")


def test_it_is_kept_encrypted_and_another_deployments_key_does_not_open_it(deployment: Deployment) -> None:
    deployment.process()["secret"] = deployment.secret(b"top-secret")
    with deployment.database.begin(write=False) as connection:
        value = connection.execute(text("SELECT value FROM platform_session")).scalar_one()
    assert b"top-secret" not in bytes(value)
    assert b"top-secret".hex().encode() not in bytes(value)
    stranger = deployment.process(CaseVault(os.urandom(32), os.urandom(32)))
    assert stranger.get("secret") is None  # it may fetch one of its own


def test_without_a_database_a_process_still_works_with_its_own(tmp_path: Path) -> None:
    """The answers cannot be recorded either then; but the fault shows there, as ``store.away``."""
    database = Database(f"sqlite:///{tmp_path / 'nothing-here' / 'broker.db'}")
    deployment = Deployment(database, CaseVault(os.urandom(32), os.urandom(32)))
    process = deployment.process()
    assert process.get("secret") is None
    process["secret"] = deployment.secret()
    assert process.get("secret") == deployment.secret()
    database.dispose()


def test_what_is_no_secret_stays_in_the_process(deployment: Deployment) -> None:
    process = deployment.process()
    process["token"] = "t"
    assert (process["token"], list(process), "token" in deployment.process()) == ("t", ["token"], False)
    del process["token"]
    assert len(process) == 0
    process["secret"] = deployment.secret()
    del process["secret"]
    assert process.get("secret") == deployment.secret()


def test_waiting_for_another_ends(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PATIENCE_S", 0.0)
    assert deployment.process().get("secret") is None
    assert deployment.process().get("secret") is None  # the lease is another's, but nothing comes


def test_nobody_waits_for_another_longer_than_the_conversation_lasts(deployment: Deployment) -> None:
    first = deployment.process()
    with pytest.raises(KeyError):
        first["secret"]  # fetching, and never back
    store = SqlStore(deployment.database, read_client_key)
    left = iter([0.05])
    second = SharedSession("gj-exchange", store, deployment.vault, lambda: deployment.now, lambda: next(left))
    with pytest.raises(KeyError):
        second["secret"]  # to fetch it itself, for which the conversation has no time either
    second._looking.acquire()
    left = iter([0.01])
    with pytest.raises(TimeoutError):
        second["secret"]
