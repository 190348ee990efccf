"""Which step a probe's answer failed: read off its reason, and told in both languages."""

from __future__ import annotations

import pytest

from broker.core.answer import Answer, Reason
from broker.core.errors import Fault
from broker.core.health import FAULTS, UNASKED
from broker.core.probe import ANSWERED, STEPS, advice, failed_step, told


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_fine_or_fails_at_a_step_after_the_answer(reason: Reason) -> None:
    step = failed_step(Answer(reason), None, fits=True)
    assert step is None or step in ANSWERED
    assert (step is None) == (reason not in FAULTS | UNASKED)


@pytest.mark.parametrize(
    ("fits", "code", "step"), [(False, "", "schema"), (True, "", "codes"), (None, "777", "codes"), (None, "", "answer")]
)
def test_what_is_malformed_is_told_apart(fits: bool | None, code: str, step: str) -> None:
    assert failed_step(Answer(Reason.MALFORMED, source_code=code), None, fits=fits) == step


def test_an_agreed_reason_is_the_only_right_one() -> None:
    assert failed_step(Answer(Reason.NOT_FOUND), "unknown.not-found", fits=None) is None
    assert failed_step(Answer(Reason.VALID), "unknown.not-found", fits=True) == "expected"
    assert failed_step(Answer(Reason.NOT_PERMITTED), "unknown.not-permitted", fits=None) is None


def test_every_step_has_words_a_next_step_and_somebody_whose_move_it_is() -> None:
    assert all(all((one.zh, one.en, one.next_zh, one.next_en)) for one in STEPS.values())
    assert {one.fault for one in STEPS.values()} == {Fault.OPERATOR, Fault.SOURCE}


def test_what_the_road_knows_of_why_says_who_must_act() -> None:
    assert advice("tls") == STEPS["tls"] == advice("tls", "something new")
    whose = {cause: advice("tls", cause).fault for cause in ("expired", "name", "issuer", "handshake")}
    assert whose == {"expired": Fault.SOURCE, "name": Fault.OPERATOR, "issuer": Fault.OPERATOR,
                     "handshake": Fault.SOURCE}  # fmt: skip
    assert [advice("tcp", cause).fault for cause in ("refused", "silent")] == [Fault.SOURCE, Fault.OPERATOR]


def test_what_is_told_of_an_answer_is_its_reason_and_how_many_fields_never_what_they_say() -> None:
    zh, en = told(Answer(Reason.VALID, {"name": "张某"}, "370499", source_code="0000"))
    assert "张某" not in zh + en
    assert (en, "0000" in zh) == ("held.valid [0000], 1 fields", True)
