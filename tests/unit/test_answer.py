"""Answers: trimmed to what was granted, checked for person and age, and judged expectation by expectation."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from broker.core.answer import (
    Answer,
    Awaited,
    Matter,
    Outcome,
    Question,
    Reason,
    Waiting,
    answer_bytes,
    answer_digest,
    checked,
    data_time,
    judge,
    trimmed,
)
from broker.core.case import Operator
from broker.core.catalog import Expectation, Form
from broker.core.reasons import REASONS
from broker.flow.matters import answer_from
from tests.flow import catalogue, kit
from tests.flow.strategies import edition, party, plain_request

NOW = datetime(2026, 7, 1, 4, tzinfo=UTC)
TODAY = date(2026, 7, 1)
HOLDER = party("applicant", 1)
SPOUSE = party("spouse", 2)
REQUEST = plain_request(applicant=HOLDER, parties=(SPOUSE,))
SOURCE = edition(catalogue.document()).catalog.sources[catalogue.REGISTER]  # its data may be 30 days old
MATTER = Matter(
    "s", "case-1", "i", "开业", "营业执照", "370400", "statutory_duty", HOLDER, Operator("op1", "李某", kit.UNIT, "局")
)
QUESTION = Question("l1", "register", Form.QUERY, HOLDER, None, ("number", "name"), MATTER)

fields = st.dictionaries(st.sampled_from(["number", "name", "phone", "address"]), st.text(max_size=9))
moments = st.datetimes(datetime(2026, 5, 1), datetime(2026, 8, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
answers = st.builds(
    Answer,
    st.sampled_from(list(Reason)),
    fields,
    st.sampled_from(["", HOLDER.number, SPOUSE.number]),
    st.none() | moments,
    st.sampled_from(["", "200"]),
)


# --- what is kept -----------------------------------------------------------------------------------------------------


@given(answers)
def test_only_granted_fields_are_kept(answer: Answer) -> None:
    only = trimmed(QUESTION, answer)
    assert only.fields.keys() <= set(QUESTION.fields)
    assert replace(only, fields=answer.fields) == answer
    kept = checked(QUESTION, answer, SOURCE, NOW)
    assert kept.fields.keys() <= set(QUESTION.fields)
    assert all(answer.fields[name] == value for name, value in kept.fields.items())


@given(answers)
def test_nothing_is_kept_of_what_decides_nothing(answer: Answer) -> None:
    """An UNKNOWN, the source's or ours, keeps its reason and code and nothing about anybody."""
    kept = checked(QUESTION, answer, SOURCE, NOW)
    if kept.outcome is Outcome.UNKNOWN:
        assert (kept.fields, kept.holder_number, kept.as_of) == ({}, "", None)
        assert kept.source_code == answer.source_code


@given(answers)
def test_what_passes_the_check_is_about_the_right_person_and_fresh(answer: Answer) -> None:
    kept = checked(QUESTION, answer, SOURCE, NOW)
    if kept.outcome is not Outcome.UNKNOWN:
        assert kept.reason is answer.reason
        assert kept.holder_number in {"", HOLDER.number}
        assert kept.as_of is None or NOW - timedelta(days=30) <= kept.as_of <= NOW + timedelta(minutes=5)


@given(answers)
def test_the_check_never_turns_unknown_into_an_answer(answer: Answer) -> None:
    assume(answer.outcome is Outcome.UNKNOWN)
    assert checked(QUESTION, answer, SOURCE, NOW).reason is answer.reason


@pytest.mark.parametrize("reason", [Reason.VALID, Reason.REVOKED])
@pytest.mark.parametrize(
    ("change", "becomes"),
    [
        ({"holder_number": SPOUSE.number}, Reason.WRONG_PERSON),
        ({"as_of": NOW + timedelta(minutes=5, milliseconds=1)}, Reason.UNTRUSTED),
        ({"as_of": NOW - timedelta(days=30, milliseconds=1)}, Reason.STALE),
    ],
)
def test_a_wrong_person_the_future_and_the_past_are_unknown(
    reason: Reason, change: dict[str, object], becomes: Reason
) -> None:
    """For a denial as well: that somebody else's licence is revoked says nothing of the applicant's."""
    answer = replace(Answer(reason, {"name": "x"}, HOLDER.number, NOW, "200"), **change)  # type: ignore[arg-type]
    kept = checked(QUESTION, answer, SOURCE, NOW)
    assert kept == Answer(becomes, source_code="200")
    assert data_time(answer, kept) == (answer.as_of if becomes is Reason.STALE else None)


@pytest.mark.parametrize("as_of", [None, NOW, NOW + timedelta(minutes=5), NOW - timedelta(days=30)])
def test_the_limits_of_age_themselves_pass(as_of: datetime | None) -> None:
    assert checked(QUESTION, Answer(Reason.VALID, {}, HOLDER.number, as_of), SOURCE, NOW).reason is Reason.VALID


def test_an_identifiers_letters_are_compared_without_case() -> None:
    holder = replace(HOLDER, number="11010519491231002X")
    answer = Answer(Reason.VALID, {}, "11010519491231002x")
    assert checked(replace(QUESTION, subject=holder), answer, SOURCE, NOW).reason is Reason.VALID


# --- bytes and digests ------------------------------------------------------------------------------------------------


@given(answers)
def test_an_answer_comes_back_from_its_bytes(answer: Answer) -> None:
    assume(all(value.isprintable() for value in answer.fields.values()))
    assert answer_from(answer_bytes(answer)) == answer


def test_a_digest_is_the_salted_hash_and_nothing_else() -> None:
    body = answer_bytes(Answer(Reason.VALID, {"name": "张某"}))
    assert answer_digest(b"s" * 16, body) == hashlib.sha256(b"s" * 16 + body).hexdigest()
    assert answer_digest(b"t" * 16, body) != answer_digest(b"s" * 16, body)
    assert json.loads(body)["reason"] == "held.valid"


# --- judging ----------------------------------------------------------------------------------------------------------


def judged(value: str | None, rule: Expectation) -> Reason:
    fields = {} if value is None else {rule.field: value}
    return judge(Answer(Reason.VALID, fields), (rule,), HOLDER, REQUEST, TODAY)


@pytest.mark.parametrize("reason", [one for one in Reason if one is not Reason.VALID])
def test_what_is_not_held_needs_no_expectations(reason: Reason) -> None:
    assert judge(Answer(reason), (Expectation("name", "present"),), HOLDER, REQUEST, TODAY) is reason


@pytest.mark.parametrize("op", ["present", "equals", "in", "not_expired"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_field_that_did_not_come_means_we_do_not_know(op: str, value: str | None) -> None:
    assert judged(value, Expectation("x", op, ("a",))) is Reason.MALFORMED


SAME = [
    (HOLDER.name, "holder.name"),
    (f" {HOLDER.name} ", "holder.name"),
    (HOLDER.number.lower(), "holder.number"),
    (SPOUSE.name, "spouse.name"),
    (SPOUSE.number, "spouse.number"),
    (HOLDER.name, "applicant.name"),
    (HOLDER.name[0] + " \u3000" + HOLDER.name[1:], "holder.name"),
    (HOLDER.number.translate({ord("0") + n: ord("０") + n for n in range(10)}), "holder.number"),
]


@pytest.mark.parametrize(("value", "to"), SAME)
def test_a_field_is_compared_with_the_person_it_is_about(value: str, to: str) -> None:
    assert judged(value, Expectation("x", "equals", to=to)) is Reason.VALID


def test_another_value_is_a_mismatch_and_nobody_to_compare_with_is_insufficient() -> None:
    assert judged(SPOUSE.number, Expectation("x", "equals", to="holder.number")) is Reason.MISMATCH
    assert judged(SPOUSE.name, Expectation("x", "equals", to="child.name")) is Reason.INSUFFICIENT
    assert judged("注销", Expectation("x", "in", ("正常", "存续"))) is Reason.MISMATCH
    assert judged("存续", Expectation("x", "in", ("正常", "存续"))) is Reason.VALID


def test_a_name_written_otherwise_is_a_doubt_and_never_a_refusal() -> None:
    """Unless something else is known to be otherwise: then that is the reason, wherever it stands."""
    name, number = Expectation("a", "equals", to="holder.name"), Expectation("b", "equals", to="holder.number")
    until = Expectation("c", "not_expired")

    def reason(**fields: str) -> Reason:
        told = {"a": HOLDER.name, "b": HOLDER.number, "c": "长期"} | fields
        return judge(Answer(Reason.VALID, told), (name, number, until), HOLDER, REQUEST, TODAY)

    assert reason() is Reason.VALID
    assert reason(a="吕某") is Reason.NAME_DIFFERS
    assert reason(a="吕某", b=SPOUSE.number) is Reason.MISMATCH
    assert reason(a="吕某", c="2020-01-01") is Reason.EXPIRED
    assert Reason.NAME_DIFFERS.outcome is Outcome.UNKNOWN


def test_the_first_expectation_that_does_not_hold_is_the_reason() -> None:
    rules = (Expectation("a", "present"), Expectation("b", "in", ("1",)), Expectation("c", "not_expired"))
    answer = Answer(Reason.VALID, {"a": "x", "b": "2", "c": "20200101"})
    assert judge(answer, rules, HOLDER, REQUEST, TODAY) is Reason.MISMATCH
    assert judge(replace(answer, fields={**answer.fields, "b": "1"}), rules, HOLDER, REQUEST, TODAY) is Reason.EXPIRED


# --- days -------------------------------------------------------------------------------------------------------------

UNTIL = Expectation("until", "not_expired")
STYLES = [
    "%Y%m%d",
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y年%m月%d日",
    "%Y%m%d235959",
    "%Y-%m-%d 00:00:00",
    "%Y-%m-%dT08:00:00Z",
]


@given(st.dates(date(1950, 1, 1), date(2100, 1, 1)), st.sampled_from(STYLES))
@example(TODAY, "%Y%m%d")
@example(TODAY - timedelta(days=1), "%Y%m%d")
def test_a_licence_holds_up_to_and_on_its_last_day(last: date, style: str) -> None:
    assert judged(last.strftime(style), UNTIL) is (Reason.VALID if last >= TODAY else Reason.EXPIRED)


@given(
    st.dates(date(1950, 1, 1), date(2100, 1, 1)), st.sampled_from(["{}-{}-{}", "{}年{}月{}日", "{}/{}/{}", "{}.{}.{}"])
)
def test_days_and_months_of_one_digit_are_read_by_their_separators(last: date, style: str) -> None:
    """2026年1月11日 is in January, not the first of November."""
    printed = style.format(last.year, last.month, last.day)
    assert judged(printed, UNTIL) is (Reason.VALID if last >= TODAY else Reason.EXPIRED)


@pytest.mark.parametrize("printed", ["长期", "长期有效", "99991231", "9999-12-31"])
def test_a_licence_without_an_end_does_not_expire(printed: str) -> None:
    assert judged(f" {printed} ", UNTIL) is Reason.VALID


@pytest.mark.parametrize(
    "printed",
    [
        "2026111",  # 11 January or 1 November
        "2020.01.01-2030.01.01",  # a period: which of the two?
        "20200101-20300101",
        "2026-02-30",
        "2026-13-01",
        "20261301",
        "1767139200000",  # milliseconds since 1970
        "20260101123",
        "260701",
        "2026-01.01",
        "明年",
        "２０２７-01-01",
        "-",
    ],
)
def test_what_cannot_be_read_in_one_way_is_malformed_and_never_a_verdict(printed: str) -> None:
    assert judged(printed, UNTIL) is Reason.MALFORMED


@given(st.text(max_size=20))
def test_no_text_breaks_the_reading_of_a_day(printed: str) -> None:
    assert judged(printed, UNTIL) in {Reason.VALID, Reason.EXPIRED, Reason.MALFORMED}


# --- the table of reasons ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_belongs_to_an_outcome_and_has_its_words(reason: Reason) -> None:
    assert reason.value.startswith(f"{reason.outcome.value}.")
    words = REASONS[reason.value]
    assert words.zh
    assert words.en
    assert (reason is Reason.VALID) or (words.next_zh and words.next_en)


LASTING = {
    Reason.NOT_FOUND,
    Reason.AMBIGUOUS,
    Reason.NO_EARLIER,
    Reason.INSUFFICIENT,
    Reason.NAME_DIFFERS,
    Reason.STALE,
    Reason.NOT_PERMITTED,
    Reason.CATALOGUE_DRIFT,
    Reason.SOURCE_REFUSED_QUESTION,
    Reason.PROPOSED,
    Reason.NOT_CONFIGURED,
    Reason.CANNOT_SAY,
    Reason.CONSENT_REFUSED,
    Reason.CONSENT_REVOKED,
    Reason.CONSENT_EXPIRED,
    Reason.OBJECTED,
    Reason.OVERDUE,
}  # what a person, the list, the data or our own set-up says stays said, however often the source is asked again


@pytest.mark.parametrize("reason", list(Reason))
def test_only_where_the_road_or_the_source_is_at_fault_may_asking_again_help(reason: Reason) -> None:
    assert reason.passes == (reason.outcome is Outcome.UNKNOWN and reason not in LASTING)


@pytest.mark.parametrize("awaited", list(Awaited))
def test_what_is_awaited_is_no_outcome_and_has_its_words(awaited: Awaited) -> None:
    """Whoever takes it for a reason cannot: it belongs to none of the three outcomes."""
    with pytest.raises(ValueError, match="is not a valid Reason"):
        Reason(awaited)
    words = REASONS[awaited]
    assert all([words.zh, words.en, words.next_zh, words.next_en])


# --- what a question carries ------------------------------------------------------------------------------------------


def test_the_reason_of_use_names_item_case_and_material_within_what_the_platform_takes() -> None:
    assert MATTER.reason == "办理开业（办件case-1）核验营业执照"
    assert replace(MATTER, material_name="照" * 300).reason == f"办理开业（办件case-1）核验{'照' * 184}"


def test_nothing_about_a_person_shows_in_a_repr() -> None:
    answer = Answer(Reason.VALID, {"name": HOLDER.name}, HOLDER.number)
    shown = repr(
        [
            replace(QUESTION, related=SPOUSE, token="用证码-1", memo="memo-1", certificates=("cert-1",)),
            Waiting(Awaited.CONSENT, NOW, NOW, "memo-1"),
            answer,
        ]
    )
    hidden = [HOLDER.name, HOLDER.number, SPOUSE.name, SPOUSE.number, "李某", "用证码-1", "memo-1", "cert-1"]
    assert not [one for one in hidden if one in shown]
