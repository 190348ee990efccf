"""Numbers of people, organisations, certificates and items: their forms and check digits.

A number is looked at, never shown: no error, log line or ``repr`` that comes from here contains one.
What cannot be known from the number alone (that it was ever issued, that a birthday is not to come) is left outside.
"""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum

PERSON = "111"
ORGANISATION = "001"

HOLDER_TYPES = {  # GB/T 36903, as every platform we have seen uses it
    "001": "统一社会信用代码",
    "099": "其他法人或其他组织有效证件代码",
    "111": "公民身份号码",
    "114": "军官证",
    "115": "武警警官证",
    "118": "解放军士兵证",
    "119": "武警士兵证",
    "120": "解放军文职干部证",
    "122": "武警文职干部证",
    "411": "外交护照",
    "412": "公务护照",
    "413": "公务普通护照",
    "414": "普通护照",
    "511": "台湾居民来往大陆通行证",
    "516": "港澳居民来往内地通行证",
    "551": "港澳居民居住证",  # on one list only, as the next
    "552": "台湾居民居住证",
    "999": "其他自然人有效证件代码",
}
MAX_NUMBER = 32  # the longest of any other holder type, with room for its words (军字第…号)

_CITIZEN = re.compile(r"[1-9][0-9]{16}[0-9X]")
_CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CITIZEN_CHECKS = "10X98765432"
FIRST_BIRTH_YEAR = 1800  # before anyone a register can hold; such a year is a slip of the pen

_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # without I O S V Z
_CREDIT = re.compile(rf"[{_CREDIT_ALPHABET}]{{2}}[0-9]{{6}}[{_CREDIT_ALPHABET}]{{10}}")
_CREDIT_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_CREDIT_SIZE = 18

_MOD36_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CERTIFICATE_TYPE = re.compile(r".{18}[0-9]{3}")
_CERTIFICATE = re.compile(
    r"1\.2\.156\.3005\.2\.([0-9A-Z]{21})\.([0-9A-Z]{18})\.([0-9A-Z]{1,32})\.([0-9A-Z]{3})\.([0-9A-Z])"
)
_TASK = re.compile(r"[0-9A-Z]{31}(?:[0-9A-Z]{2})?")


class CertificateCheck(StrEnum):
    """What the check character of a certificate identifier says; only ``MALFORMED`` is a reason to refuse."""

    WHOLE = "whole"
    """It covers type, issuer, serial and version, as the access guides prescribe."""
    WITHOUT_ISSUER = "without-issuer"
    """It covers all but the issuer, as a platform's own samples do."""
    MISMATCH = "mismatch"
    """It fits neither way: warn, and go on."""
    MALFORMED = "malformed"
    """It is not ``1.2.156.3005.2.<type>.<issuer>.<serial>.<version>.<check>``."""


def is_citizen_id(text: str) -> bool:
    """A citizen identity number (GB 11643): a real date of birth, the right check digit, its X upper-case."""
    return (
        _CITIZEN.fullmatch(text) is not None
        and _is_birth_date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
        and citizen_check_digit(text[:17]) == text[17]
    )


def citizen_check_digit(first17: str) -> str:
    """The eighteenth character of a citizen number (ISO 7064 MOD 11-2); ``ValueError`` unless given 17 digits."""
    if len(first17) != len(_CITIZEN_WEIGHTS) or not (first17.isascii() and first17.isdigit()):
        raise ValueError("17 digits are needed")
    total = sum(int(digit) * weight for digit, weight in zip(first17, _CITIZEN_WEIGHTS, strict=True))
    return _CITIZEN_CHECKS[total % 11]


def is_credit_code(text: str) -> bool:
    """A unified social credit code (GB 32100): its alphabet, six digits of region, the right check character."""
    return _CREDIT.fullmatch(text) is not None and credit_check_digit(text[:17]) == text[17]


def credit_check_digit(first17: str) -> str:
    """The eighteenth character of a credit code; ``ValueError`` unless given 17 characters of its alphabet."""
    if len(first17) != len(_CREDIT_WEIGHTS) or not set(first17) <= set(_CREDIT_ALPHABET):
        raise ValueError("17 characters without I, O, S, V and Z are needed")
    values = map(_CREDIT_ALPHABET.index, first17)
    return _CREDIT_ALPHABET[-sum(value * weight for value, weight in zip(values, _CREDIT_WEIGHTS, strict=True)) % 31]


def is_certificate_type(text: str) -> bool:
    """A certificate type code: the credit code of the body that defines the type, and three digits."""
    return _CERTIFICATE_TYPE.fullmatch(text) is not None and is_credit_code(text[:_CREDIT_SIZE])


def check_certificate_identifier(text: str) -> CertificateCheck:
    """Which way the check character of a certificate identifier (GB/T 36904) was computed, if in either."""
    match = _CERTIFICATE.fullmatch(text)
    if match is None:
        return CertificateCheck.MALFORMED
    kind, issuer, serial, version, check = match.groups()
    if mod37_36(kind + issuer + serial + version) == check:
        return CertificateCheck.WHOLE
    without_issuer = mod37_36(kind + serial + version) == check
    return CertificateCheck.WITHOUT_ISSUER if without_issuer else CertificateCheck.MISMATCH


def certificate_type_of(identifier: str) -> str:
    """The certificate type code inside a certificate identifier, "" where it is none."""
    match = _CERTIFICATE.fullmatch(identifier)
    return match[1] if match else ""


def mod37_36(text: str) -> str:
    """The ISO 7064 MOD 37,36 check character; ``ValueError`` for anything but digits and capitals."""
    if not set(text) <= set(_MOD36_ALPHABET):
        raise ValueError("only digits and capitals have a check character")
    product = 36
    for character in text:
        product = ((product + _MOD36_ALPHABET.index(character)) % 36 or 36) * 2 % 37
    return _MOD36_ALPHABET[(37 - product) % 36]


def is_task_code(text: str) -> bool:
    """Whether an item code has the usual form: 31 characters (33 with its handling item) behind a credit code.

    Older local schemes differ, so a warning is all that ``False`` is good for.
    """
    return _TASK.fullmatch(text) is not None and is_credit_code(text[:_CREDIT_SIZE])


def holder_type_name(code: str) -> str | None:
    """The Chinese name of a holder type (持证主体代码类型), or None for a code we do not know."""
    return HOLDER_TYPES.get(code)


def is_identifier(holder_type: str, number: str) -> bool:
    """Whether the number may be of this holder type; all but 111 and 001 take any 1 to 32 visible characters."""
    if holder_type == PERSON:
        return is_citizen_id(number)
    if holder_type == ORGANISATION:
        return is_credit_code(number)
    return 1 <= len(number) <= MAX_NUMBER and number.isprintable() and " " not in number


def _is_birth_date(year: int, month: int, day: int) -> bool:
    try:
        return date(year, month, day).year >= FIRST_BIRTH_YEAR
    except ValueError:
        return False
