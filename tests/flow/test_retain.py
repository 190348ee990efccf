"""Retention: answers go, and everything that proves stays provable."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from broker.core import merkle
from broker.core.checkpoint import InclusionProof
from broker.core.errors import CallerProblem
from broker.core.receipt import Bundle, request_digest, verify_bundle
from broker.flow.collect import collect
from broker.flow.matters import request_salt
from broker.flow.prove import checkpoint_size, tile_reader
from broker.flow.retain import Erasure, erase_case, retain
from broker.flow.review import verify_log
from broker.signing.vault import CaseVault
from tests.flow import catalogue, kit
from tests.flow.kit import Broker, Crash

ERASURE = Erasure(kit.CLIENT, "case-1", "经办人", "本人要求删除")
FORTY_DAYS = 40 * 24 * 3600 * 1000


def grown_old(broker: Broker) -> None:
    """Let forty days pass for every case."""
    for table, *columns in (("verification", "admitted_at", "decided_at"), ("case_file", "opened_at", "closed_at")):
        changes = ", ".join(f"{one} = {one} - {FORTY_DAYS}" for one in columns)
        broker.execute(f"UPDATE {table} SET {changes}")  # noqa: S608 - names of ours


def kept(broker: Broker, number: str) -> list[bytes]:
    """What is kept, encrypted, of a verification: request, key, questions and answers."""
    (row,) = broker.rows(
        "SELECT request, wrapped_key FROM verification v JOIN case_file c ON c.id = v.case_id WHERE v.id = :id",
        id=number,
    )
    lookups = broker.rows("SELECT question, answer, memo FROM lookup WHERE verification_id = :id", id=number)
    return [bytes(one) for one in [*row, *(value for lookup in lookups for value in lookup)] if one]


def proved(broker: Broker, number: str) -> int | None:
    """The place of a verification's receipt, verified from what is published alone."""
    with broker.parts.store.read() as work:
        place, note = work.place_of(number, "decided"), work.latest_checkpoint()
        assert place is not None
        assert place[0] is not None
        assert note is not None
        path = merkle.inclusion_proof(place[0], checkpoint_size(note), tile_reader(work))
    receipt = broker.verification(number).receipt
    assert receipt is not None
    bundle = Bundle(receipt, place[1], InclusionProof(place[0], tuple(path), note).format())
    keys = {key.key_id: key for key in broker.office.receipt_keys}
    return verify_bundle(bundle, keys, broker.office.log_keys).position


def decided(broker: Broker, *numbers: int) -> list[str]:
    found = [broker.admit(number) for number in numbers]
    broker.work_off()
    return found


def test_what_expires_is_gone_and_receipt_and_log_still_verify(broker: Broker) -> None:
    (number,) = decided(broker, 1)
    grown_old(broker)
    assert retain(broker.parts) is False
    assert kept(broker, number) == []
    (told,) = broker.entries("shredded")
    assert (told["case"], told["verifications"], told["why"]) == ("case-1", 1, "expired")
    assert told["lookups"] == len(broker.rows("SELECT 1 FROM lookup"))
    broker.finish()
    assert proved(broker, number) is not None
    assert verify_log(broker.parts, broker.office.log_keys).size == len(broker.entries())


def test_what_is_young_or_undecided_stays(broker: Broker) -> None:
    (young,) = decided(broker, 1)
    waiting = broker.admit(2)
    assert retain(broker.parts) is False
    assert kept(broker, young)
    grown_old(broker)
    broker.execute("UPDATE case_file SET closed_at = opened_at")
    retain(broker.parts)
    assert kept(broker, waiting), "nobody has decided it yet"
    broker.finish()


def test_batches_follow_one_another_and_a_second_run_finds_nothing(broker: Broker) -> None:
    broker.parts.limits = replace(broker.parts.limits, shred_batch=2)
    decided(broker, 1, 2, 3)
    grown_old(broker)
    assert [retain(broker.parts) for _ in range(3)] == [True, False, False]
    assert len(broker.entries("shredded")) == 3


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_commit_lost_while_shredding_leaves_all_or_nothing(broker: Broker, fault: str) -> None:
    (number,) = decided(broker, 1)
    grown_old(broker)
    broker.store.fault = fault
    with pytest.raises(Crash):
        retain(broker.parts)
    assert bool(kept(broker, number)) == (fault == "before") == (not broker.entries("shredded"))
    retain(broker.parts)
    assert (kept(broker, number), len(broker.entries("shredded"))) == ([], 1)


def test_without_its_entry_nothing_is_destroyed(broker: Broker) -> None:
    (number,) = decided(broker, 1)
    grown_old(broker)
    broker.store.refuse = lambda kind: kind == "shredded"
    before = broker.contents()
    for act in (lambda: retain(broker.parts), lambda: erase_case(broker.parts, ERASURE)):
        with pytest.raises(Crash):
            act()
    assert broker.contents() == before
    assert kept(broker, number)


def test_an_open_case_whose_answers_expired_goes_on_under_a_new_key(broker: Broker) -> None:
    (old,) = decided(broker, 1)
    grown_old(broker)
    retain(broker.parts)
    new = broker.admit(1, request_id="r1b")
    broker.work_off()
    assert broker.verification(new).state == "decided"
    assert kept(broker, new)
    forgotten = broker.refused(kit.request(1))
    assert (forgotten.code, forgotten.got) == ("request.forgotten", old)
    broker.finish()


def test_a_request_is_recognised_by_whoever_has_its_salt_until_that_is_destroyed(broker: Broker) -> None:
    """What stays for ever of a request must not confirm a guess at whose it was."""
    (number,) = decided(broker, 1)
    body = json.dumps(kit.request(1), ensure_ascii=False).encode()
    digest = broker.receipt(number)["request"]["digest"]
    salt = request_salt(broker.parts.vault, broker.verification(number))
    assert salt is not None
    assert digest == request_digest(bytes.fromhex(salt), body) != hashlib.sha256(body).hexdigest()
    assert broker.entries("admitted")[0]["request"] == digest
    erase_case(broker.parts, ERASURE)
    assert request_salt(broker.parts.vault, broker.verification(number)) is None
    assert broker.rows("SELECT request_salt FROM verification")[0].request_salt is None
    for again in (kit.request(1), kit.request(1, channel="web")):
        assert broker.refused(again).code == "request.forgotten", "the same or not: nobody can say"
    assert broker.verification(number).receipt
    broker.finish()


def test_the_right_to_deletion_is_for_good_and_told_with_its_reason(broker: Broker) -> None:
    (number, other) = decided(broker, 1, 2)
    gone = erase_case(broker.parts, ERASURE)
    assert gone.verifications == 1
    assert (kept(broker, number), bool(kept(broker, other))) == ([], True)
    (told,) = broker.entries("shredded")
    assert (told["why"], told["by"], told["reason"]) == ("erased", "经办人", "本人要求删除")
    assert broker.refused(kit.request(1, request_id="again")).code == "case.shredded"
    with pytest.raises(CallerProblem, match="case.shredded"):
        erase_case(broker.parts, ERASURE)
    broker.finish()
    assert proved(broker, number) is not None


def test_nothing_is_deleted_that_is_unknown_or_still_asked(broker: Broker) -> None:
    broker.admit(1)
    before = broker.contents()
    for erasure, code in (
        (ERASURE, "case.undecided"),
        (replace(ERASURE, case="case-9"), "case.unknown"),
        (replace(ERASURE, client=kit.OTHER_CLIENT), "case.unknown"),
    ):
        with pytest.raises(CallerProblem, match=code):
            erase_case(broker.parts, erasure)
    assert broker.contents() == before


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_admitting_and_shredding_at_once_loses_no_verification(broker: Broker) -> None:
    """Whoever is later sees what the earlier did: either the case is alive and stays, or it gets its new key."""
    others = [broker.another(), broker.another()]
    for number in range(6):
        decided(broker, number)
        grown_old(broker)
        with ThreadPoolExecutor(2) as pool:
            shredding = pool.submit(retain, others[0].parts)
            admitting = pool.submit(others[1].admit, number, request_id=f"again-{number}")
            shredding.result()
            new = admitting.result()
        broker.work_off()
        assert broker.verification(new).state == "decided"
    for one in others:
        one.office.close()


def test_the_days_are_a_setting(broker: Broker) -> None:
    (number,) = decided(broker, 1)
    broker.parts.limits = replace(broker.parts.limits, answer_days=50)
    grown_old(broker)
    retain(broker.parts)
    assert kept(broker, number), "forty days are below fifty"


def test_an_answer_goes_when_its_days_are_over_although_its_case_lives_on(broker: Broker) -> None:
    (old,) = decided(broker, 1)
    broker.execute(f"UPDATE lookup SET answered_at = answered_at - {FORTY_DAYS}")  # noqa: S608 - a number
    new = broker.admit(1, request_id="r1b")
    broker.work_off()
    waiting = broker.admit(2)
    assert retain(broker.parts) is False
    gone = broker.rows("SELECT question, answer, memo FROM lookup WHERE verification_id = :id", id=old)
    assert {(bytes(one.question), one.answer, one.memo) for one in gone} == {(b"", None, None)}
    asked = broker.rows("SELECT question, answer FROM lookup WHERE verification_id = :id", id=new)
    assert asked
    assert all(one.question and one.answer for one in asked), "its case lives on, and so does what is younger"
    assert kept(broker, waiting)
    (told,) = broker.entries("answers_shredded")
    assert (told["case"], told["verifications"], told["lookups"]) == ("case-1", 1, len(gone))
    retain(broker.parts)
    assert len(broker.entries("answers_shredded")) == 1
    broker.work_off()
    broker.finish()
    assert proved(broker, old) is not None


def test_without_their_entry_no_answers_are_destroyed(broker: Broker) -> None:
    decided(broker, 1)
    broker.execute(f"UPDATE lookup SET answered_at = answered_at - {FORTY_DAYS}")  # noqa: S608 - a number
    broker.store.refuse = lambda kind: kind == "answers_shredded"
    before = broker.contents()
    with pytest.raises(Crash):
        retain(broker.parts)
    assert broker.contents() == before


@pytest.mark.parametrize(
    "damaged",
    [
        "verification SET request = :garbage WHERE request_id = 'r1'",
        "lookup SET question = :garbage WHERE verification_id IN (SELECT id FROM verification WHERE request_id = 'r1')",
        "case_file SET wrapped_key = :garbage WHERE number = 'case-1'",
    ],
)
def test_what_cannot_be_read_does_not_hold_its_case_for_ever(broker: Broker, damaged: str) -> None:
    broker.admit(1)
    other = broker.admit(2)
    broker.execute(f"UPDATE {damaged}", garbage=bytes(60))
    grown_old(broker)
    broker.execute(f"UPDATE lookup SET ready_at = ready_at - {FORTY_DAYS}")  # noqa: S608 - a number
    retain(broker.parts)
    (told,) = broker.entries("shredded")
    assert (told["case"], told["why"]) == ("case-1", "unreadable")
    assert kept(broker, other), "late, but it can be read: it is still to be asked"
    with broker.parts.store.read() as work:
        assert work.expired_cases(work.pulse().now, 9) == []


def test_under_the_wrong_key_of_the_deployment_nothing_is_destroyed(broker: Broker) -> None:
    broker.admit(1)
    broker.admit(2)
    grown_old(broker)
    broker.execute(f"UPDATE lookup SET ready_at = ready_at - {FORTY_DAYS}")  # noqa: S608 - a number
    broker.parts.vault = CaseVault(bytes(32), bytes(32))
    before = broker.contents()
    retain(broker.parts)
    assert broker.contents() == before


def test_a_case_that_cannot_be_read_may_be_erased(broker: Broker) -> None:
    (number,) = [broker.admit(1)]
    broker.execute("UPDATE verification SET request = :garbage", garbage=bytes(60))
    assert erase_case(broker.parts, ERASURE).verifications == 1
    assert kept(broker, number) == []


def test_a_clerks_note_goes_with_its_case(broker: Broker) -> None:
    decided(broker, 1, 2)
    for number in (1, 2):
        document = {
            "request_id": f"c{number}", "case": {"number": f"case-{number}"}, "region": catalogue.REGION,
            "item": catalogue.SHOP, "operator": {"id": "op1", "unit": kit.UNIT},
            "materials": [{"material": "form", "reason": "other", "note": "张某坚持提交"}],
        }  # fmt: skip
        collect(broker.parts, document, b"as sent", kit.as_client())
    erase_case(broker.parts, ERASURE)
    query = "SELECT case_number, note, request_salt FROM paper JOIN paper_report ON id = report_id ORDER BY case_number"
    gone, stays = broker.rows(query)
    assert (bytes(gone.note), gone.request_salt) == (b"", None)
    assert (len(stays.note) > 0, stays.request_salt is not None) == (True, True)
