"""Small samples of the fault campaigns, so that what breaks one is seen at once; `make faults` runs them whole."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from broker.client import BrokerClient
from broker.flow.sequence import sequence
from broker.signing import keys
from broker.web.app import create_app
from tests.faults import (
    f01_kill_sends,
    f02_lost_replies,
    f10_replay,
    f11_duplicates,
    f12_tampering,
    f23_authorisation,
    f24_signatures,
    f25_canaries,
)
from tests.faults.f24_signatures import Target
from tests.faults.figure import Figure, Scale, Tally
from tests.faults.one_path import PATHS
from tests.faults.points import prepared
from tests.faults.stand import stand
from tests.unit.web_ground import PUBLIC_URL, Ground, lay_ground

SAMPLE = Scale(0.001)


def holds(figure: Figure) -> None:
    assert figure.holds, figure.measured


def settled(ground: Ground) -> bool:
    ground.settle_all()
    return True


def rows(ground: Ground, query: str) -> list[Any]:
    with ground.database.begin(write=False) as connection:
        return list(connection.exec_driver_sql(query))


def test_what_dies_at_a_send_or_never_hears_an_answer_is_taken_up(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    """One point of each path and fault; `make faults` takes all."""
    with stand(postgres_url) as broker, prepared(lambda: nullcontext(broker), redis_url, tmp_path) as found:
        found.run(f01_kill_sends.FAULT, SAMPLE)
        found.run(f02_lost_replies.FAULT, SAMPLE)
        assert found.tally.clean, str(found)
        assert found.by_path == Counter(PATHS * 2)
        assert found.asked_most() <= 2


def test_a_message_sent_again_is_answered_as_before_or_refused(tmp_path: Path) -> None:
    ground = lay_ground(tmp_path)
    request = cache(lambda name: ground.request(request_id=name))

    def restarted() -> None:
        ground.app = create_app(ground.parts, ground.surface)

    published = keys.jwks(ground.surface.keys)
    client = BrokerClient(PUBLIC_URL, ground.signer, published, road=ground.road())
    target = f10_replay.Target(
        PUBLIC_URL, ground.road(), client, ground.signer, request, lambda query: rows(ground, query),
        lambda: settled(ground), (restarted,),
    )  # fmt: skip
    holds(f10_replay.replayed(target, SAMPLE))
    ground.database.dispose()


def test_a_message_delivered_five_times_is_one_finding() -> None:
    with stand() as broker:
        holds(f11_duplicates.duplicates(broker, SAMPLE))


def test_whatever_is_changed_in_the_log_is_found() -> None:
    holds(f12_tampering.tampered(SAMPLE))


def test_whatever_is_wrong_with_a_signature_is_refused(tmp_path: Path) -> None:
    ground = lay_ground(tmp_path)
    road, parts, database = ground.road(), ground.parts, ground.database
    target = Target(PUBLIC_URL, road, parts, database, "approval", lambda name: ground.request(request_id=name))
    holds(f24_signatures.attacked(target, SAMPLE))
    ground.database.dispose()


def test_every_route_has_its_row_and_every_cell_is_as_the_row_says() -> None:
    """A new route gets its row in tests/unit/test_roles.py or, when anyone may call it, in f23_authorisation.py."""
    holds(f23_authorisation.run(SAMPLE))


def test_no_planted_identity_is_found_where_it_must_not_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    ground, crowd, chance = lay_ground(tmp_path), f25_canaries.people(), random.Random(25)
    heard = f25_canaries.Heard(ground.road())
    client = BrokerClient(PUBLIC_URL, ground.signer, keys.jwks(ground.surface.keys), road=heard)
    site = f25_canaries.Site(
        PUBLIC_URL, heard, client, lambda name: ground.request(request_id=name), lambda query: rows(ground, query),
        ground.parts, lambda: iter([("log", caplog.text.encode())]),
    )  # fmt: skip
    for number in range(len(crowd)):
        client.submit(f25_canaries.planted(site, crowd)(f"canary-{number}"))
    f25_canaries.bad_requests(site, crowd, chance)
    ground.settle_all()
    while sequence(ground.parts):
        pass
    holds(f25_canaries.searched(site, crowd, Tally(), len(crowd)))
    ground.database.dispose()
