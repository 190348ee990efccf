"""Invented people, companies and certificates: the same for the same seed, and nobody's.

Numbers have right check digits but the area code 370499, which has never been assigned, and the names say what they
are. Named roles (``company_valid``, ``couple_married`` …) are what demonstrations and tests pick from.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final

from broker.core.identifiers import citizen_check_digit, credit_check_digit

AREA: Final = "370499"
PERSONS: Final = 240
COMPANIES: Final = 120

_STEMS: Final = "甲乙丙丁戊己庚辛壬癸"
_BRANCHES: Final = "子丑寅卯辰巳午未申酉戌亥"
_CREDIT_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_BORN: Final = {0: 1990, 1: 1992, 3: 1948, 4: 1947, 5: 1962, 6: 1959}  # those whose role needs an age
_TRADES: Final = ("商贸", "餐饮", "建筑工程", "物流", "科技", "药房")

Entry = dict[str, Any]


def populate(seed: int) -> Entry:
    """``{"seed", "persons": [...], "companies": [...], "roles": {name: entry}}``, ready for JSON."""
    chance = random.Random(seed)
    persons = [_person(chance, position) for position in range(PERSONS)]
    companies = [_company(chance, position, persons) for position in range(COMPANIES)]
    roles = dict(_person_roles(persons)) | dict(_company_roles(companies, persons))
    return {"seed": seed, "persons": persons, "companies": companies, "roles": roles}


def _person(chance: random.Random, position: int) -> Entry:
    born = date(_BORN.get(position, 1965), 1, 1) + timedelta(days=chance.randrange(30 * 365 if position > 11 else 365))
    sex = "male" if position % 2 == 0 else "female"
    sequence = (position // 2) * 2 + (1 if sex == "male" else 2)
    first = f"{AREA}{born:%Y%m%d}{sequence % 1000:03d}"
    return {
        "id_type": "111",
        "number": first + citizen_check_digit(first),
        "name": f"测试{_STEMS[position % 10]}{_BRANCHES[position % 12]}{_STEMS[position // 60]}",
        "sex": sex,
        "birth_date": born.isoformat(),
        "address": f"山东省模拟市样例区测试路{position + 1}号",
        "life_status": "alive",
        "marriage": [],  # registrations: {"with": number, "kind": IA | IB, "on": date}
        "titles": [],
        "contracts": [],
        "deed_taxes": [],
        "births": [],
        "insured": "1",
        "retired_on": "",
        "subsistence": "",
        "died_on": "",
        "cremated_on": "",
        "safety_officer": "",
    }


def _company(chance: random.Random, position: int, persons: list[Entry]) -> Entry:
    body = "91" + AREA + "".join(chance.choice(_CREDIT_ALPHABET) for _ in range(9))
    head = persons[(position * 2 + 40) % PERSONS]
    return {
        "id_type": "001",
        "number": body + credit_check_digit(body),
        "name": f"样例{position + 1}号{_TRADES[position % len(_TRADES)]}（模拟）有限公司",
        "legal_representative": {key: head[key] for key in ("id_type", "number", "name")},
        "address": f"山东省模拟市样例区企业路{position + 1}号",
        "licence": "valid",  # valid | revoked | expired | restricted
        "state": "存续",
        "valid_from": "2019-03-01",
        "valid_until": "2049-02-28",
        "titles": [_title(position + 5000)],
        "food_licence": position % len(_TRADES) == 1 or position == 0,
    }


def _title(number: int) -> Entry:
    return {
        "title_number": f"鲁（2021）模拟市不动产权第{number:07d}号",
        "location": f"山东省模拟市样例区不动产路{number}号",
    }


def _person_roles(persons: list[Entry]) -> Iterator[tuple[str, Entry]]:
    husband, wife, single, widow, dead, divorced, retired, poor, officer, owner, locked, renewed = persons[:12]
    _marry(husband, wife)
    _give_home(husband, 1)
    husband["births"] = wife["births"] = [_birth(wife, husband)]
    _bury(dead, widow)
    _divorce(divorced, retired)
    retired["retired_on"] = "2022-06-01"
    poor["subsistence"], poor["insured"] = "1", "2"
    officer["safety_officer"] = "B"
    owner["titles"] = [_title(2), _title(3)]
    locked["life_status"] = "locked"
    renewed["id_cards"] = 2
    yield "couple_married", {"husband": husband, "wife": wife}
    yield "person_single", single
    yield "person_widowed", widow
    yield "person_deceased", dead
    yield "person_divorced", divorced
    yield "person_retired", retired
    yield "person_on_subsistence", poor
    yield "person_safety_officer", officer
    yield "person_two_titles", owner
    yield "person_locked", locked
    yield "person_renewed_id_card", renewed
    yield "persons_for_bulk", {"from": 40, "to": PERSONS}  # positions in `persons`: alive, unmarried, all in order


def _marry(man: Entry, woman: Entry, on: str = "2018-05-20") -> None:
    man["marriage"] = [*man["marriage"], {"with": woman["number"], "kind": "IA", "on": on}]
    woman["marriage"] = [*woman["marriage"], {"with": man["number"], "kind": "IA", "on": on}]


def _divorce(one: Entry, other: Entry) -> None:
    """Both persons were married to each other once."""
    man, woman = (one, other) if one["sex"] == "male" else (other, one)
    _marry(man, woman, "2008-08-08")
    man["marriage"].append({"with": woman["number"], "kind": "IB", "on": "2019-09-09"})
    woman["marriage"].append({"with": man["number"], "kind": "IB", "on": "2019-09-09"})


def _give_home(person: Entry, number: int) -> None:
    title = _title(number)
    person["titles"] = [title]
    person["contracts"] = [{"contract_number": f"MN2021-{number:06d}", "location": title["location"]}]
    person["deed_taxes"] = [{"voucher_number": f"337{number:015d}", "paid_on": "2021-04-15"}]


def _birth(mother: Entry, father: Entry) -> Entry:
    return {
        "certificate_number": "X370000001",
        "mother_name": mother["name"],
        "father_name": father["name"],
        "birth_date": "2026-09-01",
    }


def _bury(dead: Entry, widow: Entry) -> None:
    man, woman = (dead, widow) if dead["sex"] == "male" else (widow, dead)
    _marry(man, woman, "1975-10-01")
    dead |= {"life_status": "deceased", "died_on": "2026-08-03", "cremated_on": "2026-08-05", "insured": "3"}


def _company_roles(companies: list[Entry], persons: list[Entry]) -> Iterator[tuple[str, Entry]]:
    valid, revoked, expired, restricted = companies[:4]
    head = persons[12]
    valid["legal_representative"] = {key: head[key] for key in ("id_type", "number", "name")}
    revoked |= {"licence": "revoked", "state": "吊销"}
    expired |= {"licence": "expired", "valid_from": "2004-03-01", "valid_until": "2024-02-29"}
    restricted["licence"] = "restricted"
    yield "company_valid", valid
    yield "company_revoked", revoked
    yield "company_expired", expired
    yield "company_restricted", restricted
