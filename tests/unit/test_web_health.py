"""How the broker tells how it and its sources are: to people, to probes, to Prometheus – and never about a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from broker.core.answer import Reason
from broker.core.envelope import Algorithm
from broker.core.gate import Breaker
from broker.core.health import Probed
from broker.core.own_key import KeyRole, KeyState, OwnKey
from broker.flow.stops import open_source, stop_source
from broker.ports.health import Travelled
from broker.signing import keys
from broker.web.app import create_app
from tests.unit.web_ground import CATALOG, COMPANY, PERSON, Ground, document_of, lay_ground


@dataclass
class Roads:
    """Implements ``ports.Roads`` as told, and remembers what was followed."""

    told: Travelled = field(default_factory=Travelled)

    def heard(self, source: str, took_ms: int, *, sound: bool, calls: int = 1, pause_s: float = 0.0) -> None:
        """Nobody tells us."""

    def follow(self, source: str, breaker: Breaker) -> None:
        """Not needed here."""

    def travelled(self, source: str) -> Travelled:
        """As told."""
        return self.told


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = lay_ground(tmp_path)
    ground.parts.roads = Roads(Travelled((20, 700), Breaker.CLOSED))
    yield ground
    ground.database.dispose()


def sources(ground: Ground) -> dict[str, dict[str, Any]]:
    return {one["source"]: one for one in document_of(ground.send("GET", "/v1/sources"))["sources"]}


def samples(ground: Ground) -> dict[tuple[str, ...], float]:
    """Every sample of the sources' metrics, by name and labels."""
    text = ground.http.get("/metrics").text
    return {
        (
            sample.name,
            *(sample.labels[one] for one in ("source", "outcome", "le", "state", "step") if one in sample.labels),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("broker_")
    }


def test_before_anything_was_asked_every_source_is_listed_as_unasked(ground: Ground) -> None:
    assert {key: one["state"] for key, one in sources(ground).items()} == dict.fromkeys(CATALOG["sources"], "unasked")


def test_after_lookups_each_source_has_its_counts_and_durations(ground: Ground) -> None:
    ground.decided()
    told = sources(ground)["licences"]
    assert (told["state"], told["today"]["held"], told["today"]["calls"]) == ("ok", 1, 1)
    assert told["duration_ms"] == {"min": 20, "avg": 360.0, "max": 700, "p95": 700}
    assert told["last_fail_at"] is None
    assert datetime.now(UTC) - datetime.fromisoformat(told["last_ok_at"]) < timedelta(minutes=1)


def test_a_fault_and_an_open_breaker_show(ground: Ground) -> None:
    ground.parts.roads = Roads(Travelled((9,), Breaker.OPEN))
    ground.connector.reason = Reason.LATE
    ground.decided()
    told = sources(ground)["licences"]
    assert (told["state"], told["breaker"]["state"], told["last_failure"]) == ("away", "open", "unknown.late")
    assert told["breaker"]["until"] is not None
    health = document_of(ground.http.get("/v1/health"))
    assert (health["status"], health["broken"], health["checks"]["source"]["well"]) == ("degraded", ["source"], False)
    assert health["broken_sources"] == dict.fromkeys(CATALOG["sources"], "unknown.late")
    assert samples(ground)["broker_source_breaker_open", "licences"] == 1.0


def test_what_was_yesterday_is_not_counted_today_but_still_known(ground: Ground) -> None:
    ground.decided()
    with ground.database.begin(write=True) as connection:
        connection.exec_driver_sql("UPDATE source_health SET day = date(day, '-1 day')")
        connection.commit()
    told = sources(ground)["licences"]
    assert (told["today"]["held"], told["state"]) == (0, "ok")
    assert told["last_ok_at"] is not None
    assert ("broker_source_lookups_total", "licences", "held") not in samples(ground)


def test_the_metrics_say_the_same_and_count_each_bucket_with_the_smaller_ones(ground: Ground) -> None:
    ground.decided()
    told = samples(ground)
    assert told["broker_source_lookups_total", "licences", "held"] == 1
    assert told["broker_source_faults_total", "licences"] == 0
    assert told["broker_source_calls_total", "licences"] == sources(ground)["licences"]["today"]["calls"] == 1
    bucket = "broker_source_duration_seconds_bucket"
    assert [told[bucket, "licences", bound] for bound in ("0.01", "0.025", "0.5", "1.0", "+Inf")] == [0, 1, 1, 2, 2]
    assert told["broker_source_duration_seconds_count", "licences"] == 2
    assert told["broker_source_duration_seconds_sum", "licences"] == pytest.approx(0.72)
    assert "process_resident_memory_bytes" in ground.http.get("/metrics").text


def test_a_stopped_source_says_so_everywhere_until_it_is_open(ground: Ground) -> None:
    ground.decided()
    stop_source(ground.parts, "licences", "operator", "数源升级")
    told = sources(ground)["licences"]
    assert (told["state"], told["stopped"]["reason"]) == ("stopped", "数源升级")
    since = datetime.fromisoformat(told["stopped"]["since"]).timestamp()
    assert samples(ground)["broker_source_stopped_since_timestamp_seconds", "licences"] == since
    open_source(ground.parts, "licences", "operator", "已修复")
    assert (sources(ground)["licences"]["state"], sources(ground)["licences"]["stopped"]) == ("ok", None)
    assert ("broker_source_stopped_since_timestamp_seconds", "licences") not in samples(ground)


def test_no_person_stands_in_what_anybody_may_read(ground: Ground) -> None:
    ground.decided()
    for path in ("/metrics", "/v1/health"):
        text = ground.http.get(path).text
        assert COMPANY not in text
        assert PERSON not in text


def test_the_labels_are_the_lists_sources_and_nothing_a_caller_wrote(ground: Ground) -> None:
    ground.decided()
    others = {"broker_verifications_undecided", "broker_work_orders", "broker_promises", "broker_consents_waiting"}
    assert {labels[1] for labels in samples(ground) if labels[0] not in others} == set(CATALOG["sources"])
    assert {labels[1:] for labels in samples(ground) if labels[0] in others} == {
        (), ("admitted",), ("pending",), ("open",), ("overdue",), ("by_hand",)
    }  # fmt: skip


def test_what_is_still_to_be_done_is_counted(ground: Ground) -> None:
    number = document_of(ground.submit(ground.request()))["id"]
    with ground.database.begin(write=True) as connection:
        connection.exec_driver_sql("UPDATE lookup SET ready_at = ready_at - 60000 WHERE source = 'people'")
        for state in ("by_hand", "kept"):
            connection.exec_driver_sql(
                "INSERT INTO promise (id, verification_id, material, text, state, promised_at) "
                "VALUES (?, ?, 'm', 't', ?, 0)",
                (state, number, state),
            )
        connection.commit()
    told = samples(ground)
    assert [told["broker_lookups_due", one] for one in ("licences", "people")] == [1, 1]
    assert told["broker_lookups_due_oldest_seconds", "people"] >= 60
    assert told["broker_lookups_due_oldest_seconds", "licences"] < 60
    assert told["broker_verifications_undecided", "admitted"] == 1
    assert [told["broker_promises", one] for one in ("open", "by_hand")] == [0, 1]
    assert [told["broker_work_orders", one] for one in ("open", "overdue")] == [0, 0]
    assert told["broker_consents_waiting",] == 0
    ground.decided()
    assert samples(ground)["broker_verifications_undecided", "admitted"] == 1  # counted at most every few seconds


def test_a_healthy_broker_says_what_it_has_tried(ground: Ground) -> None:
    before = ground.rows()["nonce"]
    health = document_of(ground.http.get("/v1/health"))
    assert (health["status"], health["broken"]) == ("ok", [])
    assert {name: one["well"] for name, one in health["checks"].items()} == dict.fromkeys(
        ("sign", "write", "queue", "source"), True
    )
    assert ground.rows()["nonce"] == before + 1


def test_the_examination_is_made_at_most_once_a_second(ground: Ground) -> None:
    before = ground.rows()["nonce"]
    assert len({ground.http.get("/v1/health").text for _ in range(5)}) == 1
    assert ground.rows()["nonce"] == before + 1


def test_a_queue_that_does_not_answer_is_named_and_stops_nobody(ground: Ground) -> None:
    app = create_app(ground.parts, replace(ground.surface, queue=lambda: False))
    health = document_of(app.test_client().get("/v1/health"))
    assert (health["status"], health["broken"], health["checks"]["queue"]["well"]) == ("degraded", ["queue"], False)


def test_the_step_that_a_probe_has_found_broken_is_named(ground: Ground) -> None:
    with ground.parts.store.write() as work:
        now = work.pulse().now
        work.claim_probe("people", now, now)
        assert work.keep_probe(Probed("people", now, now, "auth"), now)
        work.commit()
    health = document_of(ground.http.get("/v1/health"))
    assert (health["broken"], health["broken_sources"]) == (["source"], {"people": "auth"})
    assert sources(ground)["people"]["probe"]["failed"] == "auth"


def test_a_key_that_is_not_the_published_one_cannot_admit(ground: Ground) -> None:
    other = keys.generate(Algorithm.ED25519, ground.parts.signer.key_id)
    app = create_app(ground.parts, replace(ground.surface, keys=[other.verifier()], queue=lambda: False))
    answer = app.test_client().get("/v1/health")
    assert (answer.status_code, document_of(answer)["code"]) == (503, "broker.unfit")
    assert document_of(answer)["got"] == "sign queue"
    assert "Retry-After" not in answer.headers  # nobody mends a key by waiting


def test_a_database_that_cannot_be_written_cannot_admit(ground: Ground) -> None:
    with ground.database.begin(write=True) as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON nonce BEGIN SELECT RAISE(IGNORE); END"  # writes nothing, says nothing
        )
        connection.commit()
    answer = ground.http.get("/v1/health")
    assert (answer.status_code, document_of(answer)["got"]) == (503, "write")


def test_the_end_of_a_key_that_signs_is_told_before_it_comes(ground: Ground) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)
    other = keys.generate(Algorithm.ED25519, "next")
    own = OwnKey(
        keys.load_public(keys.public_pem(other), "next"), KeyRole.RECEIPT, "receipt", KeyState.COMING, None, until
    )
    name = "broker_own_key_ends_timestamp_seconds"
    assert own.ends(until - timedelta(days=1)) == until
    assert own.ends(until) is None
    assert replace(own, revoked_at=until).ends(until - timedelta(days=1)) is None
    with ground.parts.store.write() as work:
        work.add_own_key(own, keys.public_pem(other).decode(), work.pulse().now)
        work.move_policy()
        work.commit()
    families = {one.name: one for one in text_string_to_metric_families(ground.http.get("/metrics").text)}
    assert [(one.labels["role"], one.value) for one in families[name].samples] == [("receipt", until.timestamp())]
