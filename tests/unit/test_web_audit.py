"""The audit log for those who may read it: entry bundles and exports, each reading an entry itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from broker.core import checkpoint, merkle
from broker.core.entry import entry
from broker.core.envelope import Algorithm
from broker.core.log_export import verify_export
from broker.core.roles import Role
from broker.flow.sequence import sequence
from broker.signing import keys
from tests.unit.web_ground import PERSON, Ground, document_of, enrol, later, lay_ground

CENTRE = keys.generate(Algorithm.ED25519, "centre")
ASKED = {"by": "审计员", "reason": "年度检查"}


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A broker with one verification in its log, and the centre registered."""
    ground = lay_ground(tmp_path)
    enrol(ground, "centre", CENTRE, roles=[Role.CENTRE])
    ground.sequenced()
    yield ground
    ground.database.dispose()


def get(ground: Ground, path: str) -> TestResponse:
    return ground.send("GET", path, signer=CENTRE)


def export(ground: Ground, **said: Any) -> TestResponse:
    return ground.send("POST", "/v1/log/exports", ASKED | said, signer=CENTRE)


def test_a_bundle_holds_the_entries_whose_hashes_the_tile_holds(ground: Ground) -> None:
    size = len(ground.entries())
    answer = get(ground, f"/log/{merkle.tile_path(merkle.ENTRIES, 0, size)}")
    assert answer.headers["Cache-Control"] == "private, max-age=60"
    hashes = ground.http.get(f"/log/{merkle.tile_path(0, 0, size)}").data
    assert b"".join(map(merkle.leaf_hash, checkpoint.unpack_entries(answer.data))) == hashes
    assert ground.entries()[-1] | {"at": ""} == {
        "version": 1, "kind": "entries_read", "at": "", "client": "centre", "key": "centre", "first": 0, "count": size,
    }  # fmt: skip


def test_a_full_bundle_may_be_kept_for_ever_by_who_may_read_it(ground: Ground) -> None:
    with ground.parts.store.write() as work:
        work.record([entry("tested", later(), number=number) for number in range(300)])
        work.commit()
    while sequence(ground.parts):
        pass
    answer = get(ground, "/log/tile/entries/000")
    assert len(checkpoint.unpack_entries(answer.data)) == 256
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("path", "code"),
    [("000", "log.not-yet"), ("001.p/3", "log.not-yet"), ("0", "log.tile-path"), ("000.p/256", "log.tile-path")],
)
def test_a_bundle_that_is_not_there_is_refused_and_the_refusal_is_an_entry(
    ground: Ground, path: str, code: str
) -> None:
    assert document_of(get(ground, f"/log/tile/entries/{path}"))["code"] == code
    assert (ground.entries()[-1]["kind"], ground.entries()[-1]["code"]) == ("refused", code)


@pytest.mark.parametrize(("form", "media_type"), [("jsonl", "application/jsonl"), ("csv", "text/csv")])
def test_an_export_verifies_with_the_published_keys_and_is_an_entry(ground: Ground, form: str, media_type: str) -> None:
    size = len(ground.entries())
    answer = export(ground, format=form)
    assert answer.mimetype == media_type
    found = verify_export(answer.data.splitlines(keepends=True), ground.surface.log_keys)
    assert (found.entries, found.whole) == (size, True)
    assert ground.entries()[-1]["kind"] == "exported"
    assert ground.entries()[-1]["client"] == "centre"


def test_the_centre_searches_by_person_and_the_log_keeps_the_pseudonym(ground: Ground) -> None:
    answer = export(ground, subject={"id_type": "111", "number": PERSON}, kind="asked")
    assert answer.text.count('"position"') == 1
    told = ground.entries()[-1]
    assert told["filter"] == {"kind": "asked", "subject": ground.parts.vault.pseudonym(f"111:{PERSON}")}
    assert PERSON not in str(told)
    sought = ground.entries()[-2]
    assert (sought["kind"], sought["client"], sought["by"], sought["why"], sought["subject"]) == (
        "person_sought", "centre", ASKED["by"], ASKED["reason"], told["filter"]["subject"],
    )  # fmt: skip
    assert PERSON not in str(sought)


def test_the_centre_searches_by_all_that_the_console_searches_by(ground: Ground) -> None:
    first = next(one for one in ground.entries() if one["kind"] == "admitted")
    facts = {name: first[name] for name in ("verification", "region", "item", "unit", "operator", "client")}
    assert '"kind\\":\\"admitted' in export(ground, **facts).text
    assert export(ground, material="no-such-material", source="x", outcome="y", login="z").text.count('"position"') == 0
    assert ground.entries()[-1]["filter"] == {
        "material": "no-such-material", "source": "x", "outcome": "y", "login": "z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"subject": {"id_type": "111", "number": "110101199003071090"}}, "request.identifier"),
        ({"since": "2026-02-30T00:00:00Z"}, "request.schema"),
        ({"since": "yesterday"}, "request.schema"),
        ({"reason": ""}, "request.schema"),
        ({"reason": f"核对 {PERSON}"}, "sought.reason"),
        ({"subject": {"id_type": "414", "number": "E1234567"}, "reason": "护照 E1234567"}, "sought.reason"),
        ({"more": 1}, "request.schema"),
    ],
)
def test_what_is_asked_wrongly_is_refused(ground: Ground, said: dict[str, Any], code: str) -> None:
    assert document_of(export(ground, **said))["code"] == code
    assert "exported" not in {one["kind"] for one in ground.entries()}


def test_the_centre_has_a_case_deleted_and_its_receipt_stays(ground: Ground) -> None:
    view = ground.sequenced()
    said = {"client": "approval", "case": view["case"], "by": "审计员", "reason": "本人要求删除"}
    answer = document_of(ground.send("POST", "/v1/cases/erasure", said, signer=CENTRE))
    assert answer == {"case": view["case"], "verifications": 1, "lookups": 2}
    assert ground.send("GET", f"/v1/verifications/{view['id']}/bundle").status_code == 200
    again = document_of(ground.send("POST", "/v1/cases/erasure", said, signer=CENTRE))
    assert again["code"] == "case.shredded"
    assert document_of(ground.submit(ground.request(case=view["case"])))["code"] == "case.shredded"
