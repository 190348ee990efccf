"""Textbook and public samples, and the errors a check digit exists to find. No number here belongs to a person."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core import identifiers
from broker.core.identifiers import CertificateCheck

CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"

citizen_ids = st.builds(
    lambda region, born, order: f"{region}{born:%Y%m%d}{order:03}",
    st.integers(110_000, 990_000),
    st.dates(min_value=date(1800, 1, 1)),
    st.integers(0, 999),
).map(lambda first17: first17 + identifiers.citizen_check_digit(first17))

credit_codes = st.builds(
    lambda head, region, body: f"{head}{region:06}{body}",
    st.text(CREDIT_ALPHABET, min_size=2, max_size=2),
    st.integers(0, 999_999),
    st.text(CREDIT_ALPHABET, min_size=9, max_size=9),
).map(lambda first17: first17 + identifiers.credit_check_digit(first17))


# --- citizens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["11010519491231002X", "440524188001010014"])
def test_the_textbook_citizen_numbers_are_right(number: str) -> None:
    assert identifiers.is_citizen_id(number)
    assert identifiers.citizen_check_digit(number[:17]) == number[17]


@given(citizen_ids)
def test_a_number_with_its_own_check_digit_is_a_citizen_number(number: str) -> None:
    assert identifiers.is_citizen_id(number)


@given(citizen_ids, st.integers(0, 17), st.sampled_from("0123456789X"))
def test_every_single_wrong_character_of_a_citizen_number_is_found(number: str, place: int, other: str) -> None:
    if number[place] != other:
        assert not identifiers.is_citizen_id(number[:place] + other + number[place + 1 :])


@given(citizen_ids, st.integers(0, 16))
def test_two_swapped_neighbours_of_a_citizen_number_are_found(number: str, place: int) -> None:
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert identifiers.is_citizen_id(swapped) == (swapped == number)


@pytest.mark.parametrize(
    "first17",
    [
        "11010519490229001",  # 1949 was no leap year
        "11010519491331001",
        "11010519490431001",
        "11010500001231001",
        "11010517991231001",
        "01010519491231001",  # no region begins with 0
    ],
)
def test_a_right_check_digit_does_not_save_an_impossible_birthday_or_region(first17: str) -> None:
    assert not identifiers.is_citizen_id(first17 + identifiers.citizen_check_digit(first17))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "11010519491231002x",
        " 11010519491231002X",
        "11010519491231002X\n",
        "11010519491231002",
        "110105194912310021X",
        "110105491231002",  # the 15 digits of before 1999
        "１１０１０５１９４９１２３１００２X",
        "44052418800101001٤",
    ],
)
def test_other_spellings_of_a_citizen_number_are_refused(text: str) -> None:
    assert not identifiers.is_citizen_id(text)


@pytest.mark.parametrize("first17", ["", "1101051949123100", "1101051949123100X", "１" * 17, "²" * 17])
def test_a_citizen_check_digit_needs_17_digits_and_does_not_repeat_what_it_got(first17: str) -> None:
    with pytest.raises(ValueError, match=r"^17 digits are needed$"):
        identifiers.citizen_check_digit(first17)


# --- organisations ----------------------------------------------------------------------------------------------------

PUBLIC_BODIES = [  # the bodies that define certificate types, and two issuers of public samples
    "11100000000013127D",
    "11100000MB03271699",
    "11100000000013338W",
    "11100000000013661B",
    "11430000006122244L",
    "113700000045046442",
    "11370800MB28559184",
]


@pytest.mark.parametrize("code", PUBLIC_BODIES)
def test_the_codes_of_public_bodies_are_right(code: str) -> None:
    assert identifiers.is_credit_code(code)
    assert identifiers.credit_check_digit(code[:17]) == code[17]


@given(credit_codes, st.integers(0, 17), st.sampled_from(CREDIT_ALPHABET))
def test_every_single_wrong_character_of_a_credit_code_is_found(code: str, place: int, other: str) -> None:
    assert identifiers.is_credit_code(code[:place] + other + code[place + 1 :]) == (code[place] == other)


@given(credit_codes, st.integers(0, 17), st.sampled_from("IOSVZ"))
def test_the_five_unused_letters_are_refused(code: str, place: int, letter: str) -> None:
    assert not identifiers.is_credit_code(code[:place] + letter + code[place + 1 :])


@pytest.mark.parametrize(
    "text", ["", "11100000000013127d", "11100000000013127D\n", "11100000000013127", "11100000000013127DD"]
)
def test_other_spellings_of_a_credit_code_are_refused(text: str) -> None:
    assert not identifiers.is_credit_code(text)


def test_a_credit_code_has_six_digits_of_region() -> None:
    first17 = "11A0000000013127D"
    assert not identifiers.is_credit_code(first17 + identifiers.credit_check_digit(first17))


@pytest.mark.parametrize("first17", ["", "1110000000001312", "1110000000001312I", "1110000000001312d"])
def test_a_credit_check_digit_needs_17_characters_and_does_not_repeat_what_it_got(first17: str) -> None:
    with pytest.raises(ValueError, match=r"^17 characters without I, O, S, V and Z are needed$"):
        identifiers.credit_check_digit(first17)


# --- certificates and items -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "11100000000013127D001",
        "11100000MB03271699001",
        "11100000MB03271699022",
        "11100000000013338W011",
        "11100000000013338W032",
        "11100000000013661B006",
    ],
)
def test_the_certificate_types_in_use_are_right(code: str) -> None:
    assert identifiers.is_certificate_type(code)


@pytest.mark.parametrize(
    "code", ["", "11100000000013127E001", "11100000000013127D", "11100000000013127D01", "11100000000013127D00A"]
)
def test_a_certificate_type_is_a_credit_code_and_three_digits(code: str) -> None:
    assert not identifiers.is_certificate_type(code)


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("11100000000013338W011" + "11430000006122244L" + "20230000403" + "001", "U"),
        ("11100000000013127D001" + "113700000045046442" + "DEMO0000000000000001" + "001", "2"),
        ("A12425GABC1234002", "M"),  # the release identifier of the GRid standard's own example
        ("", "1"),
    ],
)
def test_mod_37_36_gives_the_published_check_characters(text: str, check: str) -> None:
    assert identifiers.mod37_36(text) == check


@given(st.text(identifiers._MOD36_ALPHABET, min_size=1, max_size=60), st.data())
def test_mod_37_36_finds_every_single_wrong_character(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(identifiers._MOD36_ALPHABET))
    changed = text[:place] + other + text[place + 1 :]
    assert (identifiers.mod37_36(changed) == identifiers.mod37_36(text)) == (changed == text)


@pytest.mark.parametrize("text", ["a", "1.2", "É", "１"])
def test_mod_37_36_takes_digits_and_capitals_only(text: str) -> None:
    with pytest.raises(ValueError, match=r"^only digits and capitals"):
        identifiers.mod37_36(text)


@pytest.mark.parametrize(
    ("check", "verdict"),
    [("U", CertificateCheck.WHOLE), ("1", CertificateCheck.MISMATCH), ("u", CertificateCheck.MALFORMED)],
)
def test_a_certificate_identifier_tells_how_its_check_was_computed(check: str, verdict: CertificateCheck) -> None:
    text = f"1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.{check}"
    assert identifiers.check_certificate_identifier(text) is verdict


def test_a_check_that_leaves_the_issuer_out_is_told_apart() -> None:
    check = identifiers.mod37_36("11100000000013127D001" + "DEMO0000000000000001" + "001")
    text = f"1.2.156.3005.2.11100000000013127D001.113700000045046442.DEMO0000000000000001.001.{check}"
    assert identifiers.check_certificate_identifier(text) is CertificateCheck.WITHOUT_ISSUER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.2.156.3005.3.11100000000013338W011.11430000006122244L.20230000403.001.U",
        "1.2.156.3005.2.11100000000013338W011.11430000006122244L..001.U",
        "1.2.156.3005.2.11100000000013338W011.11430000006122244L." + "1" * 33 + ".001.U",
        "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U\n",
        "1a2a156a3005a2a11100000000013338W011a11430000006122244La20230000403a001aU",
    ],
)
def test_a_certificate_identifier_of_another_form_is_malformed(text: str) -> None:
    assert identifiers.check_certificate_identifier(text) is CertificateCheck.MALFORMED


@pytest.mark.parametrize(
    ("code", "usual"),
    [
        ("11370800MB28559184" + "3" + "370117002011", True),
        ("11370800MB28559184" + "3" + "370117002011" + "01", True),
        ("11370800MB28559185" + "3" + "370117002011", False),
        ("11370800MB28559184" + "3" + "37011700201", False),
        ("11370800MB28559184" + "3" + "370117002011" + "1", False),
        ("GZXK00001001", False),
        ("", False),
    ],
)
def test_a_task_code_stands_behind_the_credit_code_of_its_body(code: str, usual: bool) -> None:
    assert identifiers.is_task_code(code) == usual


# --- holder types -----------------------------------------------------------------------------------------------------


def test_holder_types_have_their_names() -> None:
    assert identifiers.holder_type_name("111") == "公民身份号码"
    assert identifiers.holder_type_name("001") == "统一社会信用代码"
    assert identifiers.holder_type_name("000") is None
    assert len(identifiers.HOLDER_TYPES) == 18


@pytest.mark.parametrize(
    ("holder_type", "number", "possible"),
    [
        ("111", "11010519491231002X", True),
        ("111", "110105194912310021", False),
        ("111", "11100000000013127D", False),
        ("001", "11100000000013127D", True),
        ("001", "11010519491231002X", False),
        ("414", "E00000000", True),
        ("114", "军字第0000000号", True),
        ("999", "x", True),
        ("999", "x" * 32, True),
        ("999", "x" * 33, False),
        ("999", "", False),
        ("999", "a b", False),
        ("999", "a\u3000b", False),
        ("999", "a\tb", False),
        ("999", "a\x00b", False),
        ("999", "a\u200bb", False),
    ],
)
def test_a_number_is_judged_by_its_holder_type(holder_type: str, number: str, possible: bool) -> None:
    assert identifiers.is_identifier(holder_type, number) == possible


@given(st.sampled_from(sorted(identifiers.HOLDER_TYPES)), st.text(max_size=40))
def test_no_text_makes_a_judgement_raise(holder_type: str, text: str) -> None:
    for judge in (identifiers.is_certificate_type, identifiers.is_task_code, identifiers.check_certificate_identifier):
        judge(text)
    identifiers.is_identifier(holder_type, text)
