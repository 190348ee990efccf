"""The audit log as anyone sees it: checkpoint, tiles and proofs agree, and entries are not shown."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.core import checkpoint, merkle
from broker.core.entry import entry
from broker.flow.sequence import sequence
from tests.unit.web_ground import Ground, check_answer, document_of, later, lay_ground

ORIGIN = "broker.example/log"


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = lay_ground(tmp_path)
    yield ground
    ground.database.dispose()


def _grow(ground: Ground, count: int) -> checkpoint.Checkpoint:
    with ground.parts.store.write() as work:
        work.record([entry("tested", later(), number=number) for number in range(count)])
        work.commit()
    while sequence(ground.parts):
        pass
    answer = ground.http.get("/log/checkpoint")
    assert (answer.mimetype, answer.headers["Cache-Control"]) == ("text/plain", "public, max-age=2")
    return checkpoint.verify(answer.text, ORIGIN, ground.surface.log_keys)


def test_an_empty_log_has_no_checkpoint_yet(ground: Ground) -> None:
    answer = ground.http.get("/log/checkpoint")
    check_answer("GET", "/log/checkpoint", answer)
    assert document_of(answer)["code"] == "log.not-yet"


def test_the_tiles_served_make_the_root_that_is_signed(ground: Ground) -> None:
    head = _grow(ground, 700)

    def read(level: int, index: int) -> bytes:
        count = min(256, (head.size >> 8 * level) - 256 * index)
        answer = ground.http.get(f"/log/{merkle.tile_path(level, index, count)}")
        assert answer.status_code == 200
        assert ("immutable" in answer.headers["Cache-Control"]) == (count == 256)
        assert len(answer.data) == 32 * count
        return bytes(answer.data)

    assert merkle.root(head.size, read) == head.root


def test_a_partial_tile_stays_what_it_was_after_the_log_has_grown(ground: Ground) -> None:
    first = _grow(ground, 10)
    path = f"/log/{merkle.tile_path(0, 0, first.size)}"
    before = ground.http.get(path).data
    _grow(ground, 400)
    assert ground.http.get(path).data == before


def test_a_consistency_proof_holds_between_two_checkpoints(ground: Ground) -> None:
    old, new = _grow(ground, 10), _grow(ground, 300)
    path = f"/log/proof/consistency?old={old.size}&new={new.size}"
    answer = ground.http.get(path)
    check_answer("GET", path, answer)
    hashes = [base64.b64decode(one) for one in document_of(answer)["hashes"]]
    assert merkle.verify_consistency(old.size, old.root, new.size, new.root, hashes)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/log/tile/0/001", "log.not-yet"),
        ("/log/tile/0/000.p/255", "log.not-yet"),
        ("/log/tile/0/000", "log.not-yet"),
        ("/log/tile/0/0", "log.tile-path"),
        ("/log/tile/0/000.p/0", "log.tile-path"),
        ("/log/tile/0/000.p/256", "log.tile-path"),
        ("/log/tile/0/../../checkpoint", "log.tile-path"),
        ("/log/tile/entries/000", "signature.missing"),
        ("/log/tile/entries/000.p/5", "signature.missing"),
        ("/log/proof/consistency?old=1&new=100000", "log.not-yet"),
        ("/log/proof/consistency?old=5&new=1", "log.not-yet"),
        ("/log/proof/consistency?old=-1&new=1", "request.parameter"),
        ("/log/proof/consistency?old=1", "request.parameter"),
        ("/log/proof/consistency?old=1&new=1e3", "request.parameter"),
    ],
)
def test_what_the_log_does_not_hold_or_does_not_show_is_refused(ground: Ground, path: str, code: str) -> None:
    _grow(ground, 5)
    answer = ground.http.get(path)
    check_answer("GET", path, answer)
    assert document_of(answer)["code"] == code
