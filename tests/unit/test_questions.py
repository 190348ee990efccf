"""A question is read as it was kept, by this release or by one that knew fewer fields."""

from __future__ import annotations

import json
from dataclasses import replace

from broker.core.answer import Matter, Question
from broker.core.case import Operator, Party
from broker.core.catalog import Form
from broker.flow.questions import question_bytes, question_from

PERSON = Party("applicant", "111", "370499196601100010", "测试甲子甲")
SPOUSE = Party("spouse", "111", "370499198507130028", "测试乙丑甲")
MATTER = Matter(
    "系统", "C-1", "item", "事项", "材料", "370400", "statutory_duty", PERSON,
    Operator("op", "经办", "11370499MB2811111A", "局"), "法",
)  # fmt: skip
ASKED = Question("l1", "s", Form.VERIFY, PERSON, SPOUSE, ("name",), MATTER, token="shown", certificates=("1.2.156.x",))


def test_what_was_kept_is_read_again() -> None:
    assert question_from("l1", question_bytes(ASKED)) == ASKED
    alone = replace(ASKED, related=None)
    assert question_from("l1", question_bytes(alone)) == alone


def test_a_question_of_the_first_release_is_read_with_what_it_did_not_know_at_its_default() -> None:
    """Kept before there were holders' tokens, named certificates and the rows' legal basis, asked after an upgrade."""
    document = json.loads(question_bytes(ASKED))
    del document["token"], document["certificates"], document["matter"]["legal_basis"]
    expected = replace(ASKED, token="", certificates=(), matter=replace(MATTER, legal_basis=""))
    assert question_from("l1", json.dumps(document).encode()) == expected
