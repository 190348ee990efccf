"""Our own keys through their lives: registered, replaced with overlap, limited, revoked – and what verifies by then."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from broker.bootstrap import Office, make_keys, open_office
from broker.cli.shared import adopt
from broker.core import checkpoint
from broker.core.cosignature import WitnessKey, cosign
from broker.core.envelope import Algorithm, canonical, seal, unseal
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.own_key import KeyRole
from broker.core.receipt import RECEIPT_TYPE, Bundle, verify_bundle
from broker.flow import own_keys
from broker.flow.fitness import fitness
from broker.flow.prove import proved
from broker.flow.review import verify_log
from broker.ports import StoredVerification
from broker.ports.health import CredentialReference
from broker.signing import keys
from broker.signing.key_folder import NAMES, RECEIPT, Folder, open_key
from broker.store.engine import Database
from broker.store.migrate import migrate
from broker.web.app import Surface, create_app
from broker.web.console.audit import _proof
from broker.web.key_book import KeyBook
from tests.flow import kit

URL = "https://broker.example"
DAY = timedelta(days=1)
LOG_NAMES = NAMES[1:]


class House:
    """A database and a folder of keys, and the processes that are started over them one after another."""

    def __init__(self, url: str, folder: Path) -> None:
        self.settings = kit.settings(url, folder)
        self.folder = Folder(folder)
        self.offices: list[Office] = []

    def start(self) -> Office:
        """A process that is started now."""
        office = open_office(self.settings, wake=kit.Bells())
        adopt(office)
        self.offices.append(office)
        return office

    def rotate(self, name: str, overlap: timedelta = DAY) -> tuple[str, str]:
        """Prepare and rotate in one go, as after a theft."""
        parts = self.offices[-1].parts
        own_keys.prepare_key(parts, self.folder, name, None, None)
        return own_keys.rotate_key(parts, self.folder, name, overlap)

    def published(self) -> dict[str, dict[str, Any]]:
        """The key set by key id, as the process that was started first serves it."""
        first = self.offices[0]
        answer = (
            create_app(first.parts, Surface(URL, first.receipt_keys, first.log_keys))
            .test_client()
            .get("/.well-known/jwks.json")
        )
        return {one["kid"]: one for one in json.loads(answer.data)["keys"]}

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The entries of a kind."""
        with self.offices[-1].database.begin(write=False) as connection:
            bodies = connection.execute(text("SELECT body FROM entry ORDER BY id")).scalars().all()
        return [one for one in map(orjson.loads, bodies) if one["kind"] == kind]

    def let_pass(self, key_id: str, time: timedelta) -> None:
        """Move a key's time into the past, which is as good as waiting."""
        with self.offices[-1].database.begin(write=True) as connection:
            connection.execute(
                text(
                    "UPDATE own_key SET not_before = not_before - :ms, not_after = not_after - :ms WHERE key_id = :id"
                ),
                {"ms": int(time.total_seconds() * 1000), "id": key_id},
            )
            connection.execute(text("UPDATE policy SET version = version + 1"))
            connection.commit()


@pytest.fixture
def house(tmp_path: Path, sqlite_url: str) -> Iterator[House]:
    """A deployment that has just been set up."""
    make_keys(tmp_path / "keys", Algorithm.ED25519)
    database = Database(sqlite_url)
    migrate(database)
    database.dispose()
    made = House(sqlite_url, tmp_path / "keys")
    made.start()
    yield made
    for office in made.offices:
        office.close()


def test_the_first_start_registers_every_key_and_each_later_one_nothing(house: House) -> None:
    registered = house.told("own_key_registered")
    assert {(one["slot"], one["state"], one["role"]) for one in registered} == {
        ("receipt.pem", "active", "receipt"), ("log-ed25519.pem", "active", "log"), ("log-sm2.pem", "active", "log"),
    }  # fmt: skip
    assert {one["status"] for one in house.published().values()} == {"active"}
    house.start()
    assert house.told("own_key_registered") == registered


@pytest.mark.parametrize("algorithm", [None, Algorithm.SM2])
def test_a_key_is_published_before_it_signs_and_after(house: House, algorithm: Algorithm | None) -> None:
    first = house.offices[0]
    old = first.parts.signer.key_id
    new = own_keys.prepare_key(first.parts, house.folder, RECEIPT, algorithm, 30 * DAY)
    with pytest.raises(OperatorProblem, match=r"register\.exists"):
        own_keys.prepare_key(first.parts, house.folder, RECEIPT, algorithm, None)
    told = house.published()
    assert (told[old]["status"], told[new]["status"]) == ("active", "coming")  # without any restart
    assert "not_before" in told[new]
    assert own_keys.rotate_key(first.parts, house.folder, RECEIPT, DAY) == (old, new)
    told = house.published()
    assert (told[old]["status"], told[new]["status"]) == ("retiring", "active")
    second = house.start()
    assert (first.parts.signer.key_id, second.parts.signer.key_id) == (old, new)
    book = KeyBook(second.parts, second.receipt_keys, second.log_keys).receipt()
    for office in (first, second):  # both sign within the overlap, and what they sign is taken
        assert unseal(seal(b"{}", office.parts.signer, "t"), book, "t") == b"{}"
        assert fitness(office.parts, {**book, **_log(second)}, lambda: True)["checks"]["sign"]["well"]
    house.let_pass(old, 2 * DAY)
    assert house.published()[old]["status"] == "retired"
    with pytest.raises(OperatorProblem, match=r"broker\.unfit"):
        fitness(first.parts, {**book, **_log(second)}, lambda: True)
    assert [one["before"] for one in house.told("own_key_rotated")] == [old]


def _log(office: Office) -> dict[str, Any]:
    return {one.key_id: one for one in office.parts.published(KeyRole.LOG, office.log_keys)}


def test_a_rotation_that_died_after_its_commit_is_finished_by_the_same_command(house: House) -> None:
    parts = house.offices[0].parts
    old = parts.signer.key_id
    new = own_keys.prepare_key(parts, house.folder, RECEIPT, None, None)

    class Dies(Folder):
        def change_over(self, name: str) -> None:
            raise KeyboardInterrupt(name)

    with pytest.raises(KeyboardInterrupt):
        own_keys.rotate_key(parts, Dies(house.folder.folder), RECEIPT, DAY)
    assert house.start().parts.signer.key_id == old  # which may sign for the overlap
    assert own_keys.rotate_key(parts, house.folder, RECEIPT, DAY) == (old, new)
    assert house.start().parts.signer.key_id == new
    assert len(house.told("own_key_rotated")) == 1


def test_a_preparation_that_died_before_its_commit_is_finished_by_the_same_command(house: House) -> None:
    made = house.folder.prepare(RECEIPT, None)
    parts = house.offices[0].parts
    assert own_keys.prepare_key(parts, house.folder, RECEIPT, None, None) == made.verifier.key_id
    assert len(house.told("own_key_prepared")) == 1


def test_nothing_is_rotated_that_was_not_prepared_or_was_revoked_before(house: House) -> None:
    parts = house.offices[0].parts
    with pytest.raises(OperatorProblem, match=r"key\.unusable"):
        own_keys.rotate_key(parts, house.folder, RECEIPT, DAY)
    stolen = own_keys.prepare_key(parts, house.folder, RECEIPT, None, None)
    own_keys.revoke_own_key(parts, stolen, "the machine was left open")
    with pytest.raises(OperatorProblem, match=r"key\.expired"):
        own_keys.rotate_key(parts, house.folder, RECEIPT, DAY)
    other = own_keys.prepare_key(parts, house.folder, RECEIPT, None, None)
    assert other != stolen
    assert own_keys.rotate_key(parts, house.folder, RECEIPT, DAY)[1] == other


def test_only_a_key_that_no_longer_signs_is_revoked_and_once(house: House) -> None:
    parts = house.offices[0].parts
    old, new = house.rotate(RECEIPT)
    for key_id, code in ((new, "key.in-use"), ("../receipt", "register.unknown")):
        with pytest.raises(OperatorProblem, match=code):
            own_keys.revoke_own_key(parts, key_id, "stolen")
    own_keys.revoke_own_key(parts, old, "stolen")
    with pytest.raises(OperatorProblem, match=r"register\.exists"):
        own_keys.revoke_own_key(parts, old, "again")
    told = house.published()
    assert (told[old]["status"], "revoked_at" in told[old], told[new]["status"]) == ("revoked", True, "active")
    assert "stolen" not in json.dumps(told)
    assert [(one["key"], one["reason"]) for one in house.told("own_key_revoked")] == [(old, "stolen")]


def test_an_end_may_come_sooner_and_never_later(house: House) -> None:
    parts = house.offices[0].parts
    key_id = parts.signer.key_id
    soon, later = (datetime.now(UTC) + days * DAY for days in (3, 9))
    own_keys.limit_key(parts, key_id, later)
    own_keys.limit_key(parts, key_id, soon)
    for until in (later, datetime.now(UTC) - DAY):
        with pytest.raises(OperatorProblem, match=r"key\.expired"):
            own_keys.limit_key(parts, key_id, until)
    assert house.published()[key_id]["not_after"].startswith(soon.date().isoformat())
    house.let_pass(key_id, 4 * DAY)
    assert house.published()[key_id]["status"] == "retired"
    assert len(house.told("own_key_limited")) == 2


def test_keys_that_an_older_release_retired_and_revoked_are_registered_as_such(house: House) -> None:
    retired = house.folder.folder / "retired"
    retired.mkdir()
    one, other = (keys.generate(Algorithm.P256).verifier() for _ in range(2))
    for key in (one, other):
        (retired / f"{key.key_id}.pem").write_bytes(keys.public_pem(key))
    (retired / f"{other.key_id}.revoked.json").write_text('{"revoked_at": "2026-11-22T00:00:00.000+00:00"}')
    house.start()
    told = house.published()
    assert (told[one.key_id]["status"], told[other.key_id]["status"]) == ("retired", "revoked")
    assert told[other.key_id]["revoked_at"] == "2026-11-22T00:00:00.000Z"
    assert "not_after" not in told[one.key_id]  # nobody wrote down when: what it signed stays good


def test_which_credentials_of_sources_came_changed_and_went_stands_in_the_log(house: House) -> None:
    parts = house.offices[0].parts
    now = datetime.now(UTC)
    one, other = (CredentialReference("secret", "s.txt", now, mark) for mark in ("aaa", "bbb"))
    for references in ({"p": [one]}, {"p": [one]}, {"p": [other]}, {}):
        parts.references = references
        own_keys.adopt_source_keys(parts)
    told = {kind: house.told(f"source_key_{kind}") for kind in ("registered", "changed", "removed")}
    found = {kind: [(row["slot"], row.get("fingerprint")) for row in rows] for kind, rows in told.items()}
    assert found == {
        "registered": [("secret", "aaa")], "changed": [("secret", "bbb")], "removed": [("secret", None)],
    }  # fmt: skip


@dataclass
class City:
    """A broker with a decided verification in its log, whose keys are registered, and a copy of them in a folder."""

    broker: kit.Broker
    folder: Folder
    stored: StoredVerification

    def revoke(self, *names: str) -> kit.Broker:
        """Rotate these keys, revoke the old ones, and start anew."""
        for name in names:
            own_keys.prepare_key(self.broker.parts, self.folder, name, None, None)
            old, _ = own_keys.rotate_key(self.broker.parts, self.folder, name, DAY)
            own_keys.revoke_own_key(self.broker.parts, old, "stolen")
        office, parts = self.broker.office, self.broker.parts
        there = self.folder.folder
        self.broker.checker.log_keys = [*office.log_keys, *(open_key(there / name).verifier() for name in LOG_NAMES)]
        self.broker.checker.receipt_keys = [*office.receipt_keys, open_key(there / RECEIPT).verifier()]
        anew = replace(
            parts, signer=open_key(there / RECEIPT), log_signers=[open_key(there / name) for name in LOG_NAMES]
        )
        return replace(self.broker, office=replace(office, parts=anew))

    def book(self) -> KeyBook:
        """What is published."""
        return KeyBook(self.broker.parts, self.broker.office.receipt_keys, self.broker.office.log_keys)

    def bundle(self, broker: kit.Broker) -> Bundle:
        """The receipt with its proof, as it is fetched now."""
        with broker.parts.store.read() as work:
            return proved(broker.parts, work, self.stored.id, self.stored.state, self.stored.receipt or "")


@pytest.fixture
def city(broker: kit.Broker, keys_folder: Path, tmp_path: Path) -> City:
    """See there; the folder is this test's own."""
    shutil.copytree(keys_folder, tmp_path / "keys")
    folder = Folder(tmp_path / "keys")
    own_keys.adopt_keys(broker.parts, folder)
    number = broker.admit(1)
    broker.work_off()
    broker.sequence_all()
    return City(broker, folder, broker.verification(number))


def test_what_was_filed_under_keys_revoked_since_verifies_with_proof_or_witness(city: City) -> None:
    witness = keys.generate(Algorithm.ED25519)
    named = [(WitnessKey("w", witness.public), witness.verifier())]
    filed, before = city.bundle(city.broker), int(datetime.now(UTC).timestamp()) - 60
    seen = replace(filed, proof=filed.proof + cosign(filed.proof.split("\n\n", 1)[1], "w", witness, before))
    anew = city.revoke(RECEIPT, *LOG_NAMES)
    with pytest.raises(OperatorProblem, match=r"key\.expired"):  # the process that was not started again
        city.broker.sequence_all()
    anew.sequence_all()
    known = city.book().receipt(), city.book().log()
    assert verify_bundle(city.bundle(anew), *known).position is not None
    for bundle in (filed, seen):  # the latter by a witness whom nobody named
        with pytest.raises(CallerProblem, match=r"log\.checkpoint-unsigned"):
            verify_bundle(bundle, *known)
    assert verify_bundle(seen, *known, named).position is not None
    with pytest.raises(CallerProblem, match=r"receipt\.key-revoked"):
        verify_bundle(replace(filed, entry=b"", proof=""), *known)
    assert verify_log(anew.parts, known[1]).size > 0


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_witnessed_checkpoint_of_revoked_keys_is_not_handed_out_any_more(city: City) -> None:
    witness, size = keys.generate(Algorithm.ED25519), city.broker.rows("SELECT MAX(size) AS s FROM log_checkpoint")[0].s
    note = city.bundle(city.broker).proof.split("\n\n", 1)[1]
    with city.broker.parts.store.write() as work:
        now = work.pulse().now
        work.add_cosignature(size, "w", cosign(note, "w", witness, int(now.timestamp())), now)
        work.commit()
    assert "— w " in city.bundle(city.broker).proof
    anew = city.revoke(*LOG_NAMES)
    anew.sequence_all()
    assert "— w " not in city.bundle(anew).proof
    assert verify_bundle(city.bundle(anew), city.book().receipt(), city.book().log()).position is not None


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_process_whose_key_was_revoked_signs_no_receipt_and_loses_none(city: City) -> None:
    anew = city.revoke(RECEIPT)
    number = city.broker.admit(2)
    with pytest.raises(OperatorProblem, match=r"key\.expired"):
        city.broker.work_off()
    assert city.broker.verification(number).receipt is None
    anew.expire_leases()
    anew.work_off()
    assert anew.verification(number).receipt is not None


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_a_key_signs_beyond_its_time_is_refused_although_nobody_revoked_it(city: City) -> None:
    signer = city.broker.parts.signer
    own_keys.prepare_key(city.broker.parts, city.folder, RECEIPT, None, None)
    assert own_keys.rotate_key(city.broker.parts, city.folder, RECEIPT, timedelta(0))[0] == signer.key_id
    said = {"verification": "0" * 32, "log": city.broker.parts.log_origin, "decided_at": "2126-01-01T00:00:00.000Z"}
    with pytest.raises(CallerProblem, match=r"receipt\.key-time"):
        verify_bundle(Bundle(seal(canonical(said), signer, RECEIPT_TYPE)), city.book().receipt(), city.book().log())
    assert verify_bundle(city.bundle(city.broker), city.book().receipt(), city.book().log()).position is not None


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_the_console_proves_entries_while_a_key_of_the_log_is_being_replaced(broker: kit.Broker) -> None:
    broker.admit(1)
    broker.sequence_all()
    coming = keys.generate(Algorithm.SM2).verifier()
    broker.parts.log_keys = [*broker.office.log_keys, coming]
    with broker.parts.store.read() as work:
        proof = _proof(broker.parts, work, 0, work.entries(0, 1)[0])
    assert proof is not None
    assert proof["holds"]


def test_a_checkpoint_by_a_key_that_is_revoked_counts_nothing_by_itself(house: House) -> None:
    old = house.offices[0].parts.log_signers
    for name in LOG_NAMES:
        own_keys.revoke_own_key(house.offices[0].parts, house.rotate(name)[0], "stolen")
    note = checkpoint.sign(checkpoint.Checkpoint("o", 1, bytes(32)), old)
    with pytest.raises(CallerProblem, match=r"log\.checkpoint-unsigned"):
        checkpoint.verify(note, "o", list(_log(house.offices[0]).values()), at_least=1)


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_processes_that_start_together_register_each_key_once(broker: kit.Broker, keys_folder: Path) -> None:
    reference = CredentialReference("secret", "secret", datetime.now(UTC), "0" * 64)
    broker.parts.references = {"platform": [reference]}
    together = threading.Barrier(4)

    def start(_: int) -> int:
        together.wait()
        return own_keys.adopt_keys(broker.parts, Folder(keys_folder)) + own_keys.adopt_source_keys(broker.parts)

    with ThreadPoolExecutor(4) as starting:
        counted = sorted(starting.map(start, range(4)))
    registered = len(broker.rows("SELECT key_id FROM own_key"))
    assert registered == len(broker.entries("own_key_registered"))
    assert sum(counted) == registered + len(broker.entries("source_key_registered"))
    assert len(broker.entries("source_key_registered")) == 1


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_a_key_is_replaced_once_however_often_it_is_typed(
    broker: kit.Broker, keys_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(keys_folder, tmp_path / "keys")
    folder = Folder(tmp_path / "keys")
    own_keys.prepare_key(broker.parts, folder, RECEIPT, None, None)
    other = broker.another()
    typed = threading.Thread(target=own_keys.rotate_key, args=(other.parts, folder, RECEIPT, DAY))

    broker.store.meanwhile("own_key_rotated", typed)
    own_keys.rotate_key(broker.parts, folder, RECEIPT, DAY)
    typed.join()
    assert len(broker.entries("own_key_rotated")) == 1
    states = [row.state for row in broker.rows("SELECT state FROM own_key WHERE name = :name", name=RECEIPT)]
    assert sorted(states) == ["active", "retired"]
