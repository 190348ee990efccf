"""What each simulated authority holds about whom, in the authority's own words and field names.

``holdings(population)[source][number]`` is the list of records a service answers from; certificates carry beside their
face a ``state`` as the platform keeps it (5 and 11 valid, −4 expired, 12 and 13 restricted, −8 … −2 revoked).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from broker.core.identifiers import credit_check_digit
from broker.sandbox.population import Entry

Record: TypeAlias = dict[str, Any]
Holdings: TypeAlias = dict[str, dict[str, list[Record]]]

UPDATED: Final = "{now}"  # stands for the time of the answer, where a service tells how old its data are
NAMES: Final = "names"  # not a service: what services compare an asked name with

_LIFE: Final = {"alive": "0", "deceased": "1", "cancelled": "2", "locked": "3", "moved_out": "4"}
_LICENCE_STATE: Final = {"valid": 5, "revoked": -5, "expired": -4, "restricted": 12}


def holdings(population: Entry) -> Holdings:
    """Every record of every service."""
    found: Holdings = defaultdict(lambda: defaultdict(list))
    people = {person["number"]: person for person in population["persons"]}
    for person in people.values():
        found[NAMES][person["number"]].append({"name": person["name"]})
        for source, record in (*_of_person(person, people), *_certificates_of_person(person, people)):
            found[source][person["number"]].append(record)
    for company in population["companies"]:
        found[NAMES][company["number"]].append({"name": company["name"]})
        for source, record in (*_of_company(company), *_certificates_of_company(company)):
            found[source][company["number"]].append(record)
    return found


def type_code(source: str) -> str:
    """A certificate type code for a type whose own nobody published: its digits come from our name for it."""
    known = {
        "ecert-id-card": "11100000000013127D001",
        "ecert-real-estate-title": "11100000MB03271699001",
        "ecert-real-estate-registration": "11100000MB03271699022",
        "ecert-safety-officer": "11100000000013338W011",
    }
    digits = f"{int(hashlib.sha256(source.encode()).hexdigest(), 16) % 10**9:09d}"
    body = f"11370499{digits}"
    return known.get(source, f"{body}{credit_check_digit(body)}001")


def _of_person(person: Entry, people: dict[str, Entry]) -> Iterator[tuple[str, Record]]:
    number, name = person["number"], person["name"]
    life = _LIFE[person["life_status"]]
    base = {"GMSFHM": number, "XM": name, "XB": "1" if person["sex"] == "male" else "2", "SWBS": life}
    yield "ps-base", base | {"CSRQ": person["birth_date"].replace("-", "")}
    yield "ps-identity", base
    for event in person["marriage"]:
        yield "mca-marriage", _registration(person, people[event["with"]], event)
    if person["subsistence"]:
        yield "mca-subsistence", {"id_card": number, "dbzt": person["subsistence"], "djrq": "2025-01-10"}
    if person["cremated_on"]:
        yield "mca-cremation", {"id_card": number, "name": name, "hhrq": person["cremated_on"]}
    yield from _property(person)
    for contract in person["contracts"]:
        written = {"htbh": contract["contract_number"], "qlrmc": name, "idNo": number, "zl": contract["location"]}
        yield "hc-contract", written
    for tax in person["deed_taxes"]:
        yield "tx-deed-tax", {"nsrmc": name, "nsrsbh": number, "dzsphm": tax["voucher_number"], "jkrq": tax["paid_on"]}
    insured = {"cardId": number, "INSUREDSTATUS": person["insured"], "gxsj": UPDATED}
    yield "hs-insurance", insured
    yield "zj-insurance", insured | {"name": name, "RETIREDSTATUS": "1" if person["retired_on"] else "0"}
    yield "hf-front-deposit", _deposit(person)
    retired = "1" if person["retired_on"] else "0"
    record = {"cardId": number, "RETIREDSTATUS": retired, "RETIREDDATE": person["retired_on"], "gxsj": UPDATED}
    yield "hs-retirement", record
    if person["died_on"]:
        yield "nhc-death", {"idCardCode": number, "cxjg": "1", "deathDate": person["died_on"]}
    for birth in person["births"]:
        yield "nhc-birth", _birth(birth)


def _deposit(person: Entry) -> Record:
    """A row of the exchange table: CXZJHM is what it is looked up by, ZJHM whose account it tells of."""
    state = "3" if person["retired_on"] else "1"
    whose = {"CXZJHM": person["number"], "ZJHM": person["number"], "XM": person["name"]}
    account = {"DWMC": "样例1号商贸（模拟）有限公司", "JCZT": state, "JCYS": 36}
    return whose | account | {"GXSJ": UPDATED, "MM": "不予共享"}


def _registration(person: Entry, spouse: Entry, event: Entry) -> Record:
    man, woman = (person, spouse) if person["sex"] == "male" else (spouse, person)
    return {
        "ywlx": {"IA": "结婚登记", "IB": "离婚登记"}[event["kind"]],
        "ywlxdm": event["kind"],
        "djrq": event["on"],
        "name_man": man["name"],
        "cert_num_man": man["number"],
        "name_woman": woman["name"],
        "cert_num_woman": woman["number"],
    }


def _property(owner: Entry) -> Iterator[tuple[str, Record]]:
    number, name = owner["number"], owner["name"]
    for title in owner["titles"]:
        written = {"qlrmc": name, "qlrzjh": number, "bdcqzh": title["title_number"], "zl": title["location"]}
        yield "nr-title", written | {"gxsj": UPDATED}
    yield "nr-house-count", {"qlrmc": name, "qlrzjh": number, "fwts": len(owner["titles"]), "gxsj": UPDATED}


def _birth(birth: Entry) -> Record:
    return {
        "certNo": birth["certificate_number"],
        "motherName": birth["mother_name"],
        "fatherName": birth["father_name"],
        "birthDate": birth["birth_date"],
    }


def _of_company(company: Entry) -> Iterator[tuple[str, Record]]:
    registered = {
        "name": company["name"],
        "uniscid": company["number"],
        "regstateCn": company["state"],
        "lerep": company["legal_representative"]["name"],
        "dom": company["address"],
        "opfrom": company["valid_from"],
        "opto": company["valid_until"],
        "gxsj": UPDATED,
    }
    yield "samr-enterprise", registered
    yield "sdo-enterprise", registered
    yield "gd-business-licence", _licence(company)
    yield from _property(company)


def _licence(company: Entry) -> Record:
    """As the license-app family keeps one; the platform calls issued what has merely run out."""
    face = {"FDDBR": company["legal_representative"]["name"], "ZS": company["address"]}
    return {
        "license_code": company["number"],
        "name": "营业执照",
        "license_type": "CERTIFICATE",
        "license_type_name": "证照执照",
        "holder_name": company["name"],
        "holder_identity_type": "70",
        "holder_identity_num": company["number"],
        "issue_org_name": "模拟市市场监督管理局",
        "issue_date": company["valid_from"],
        "begin_date": company["valid_from"],
        "expiry_date": company["valid_until"],
        "license_status": "ABOLISHED" if company["licence"] == "revoked" else "ISSUED",
        "trust_level": "A",
        "data_fields": face,
    }


def certificate(
    source: str, holder: Entry, certificate_number: str, face: Record, state: int = 5, kind: str | None = None
) -> Record:
    """A certificate as the platform keeps it; ``kind`` is its type code, where that is not ours to give."""
    serial = hashlib.sha256(f"{source}{holder['number']}{certificate_number}".encode()).hexdigest()[:20].upper()
    return {
        "state": state,
        "face": {
            "cert_identifier": f"1.2.156.3005.2.{kind or type_code(source)}.11370499MB0000000X.{serial}.001.0",
            "holder": holder["name"],
            "holdercode": holder["number"],
            "certno": certificate_number,
            **face,
        },
    }


def _certificates_of_person(person: Entry, people: dict[str, Entry]) -> Iterator[tuple[str, Record]]:
    number = person["number"]
    card = {"csrq": person["birth_date"], "zz": person["address"], "qfjg": "模拟市公安局"}
    if person.get("id_cards", 1) > 1:  # an old one that the platform still calls valid
        old = {"zzyxqqsrq": "2004-05-01", "zzyxqjzrq": "2024-05-01"}
        yield "ecert-id-card", certificate("ecert-id-card", person, number, card | old)
    period = {"zzyxqqsrq": "2018-05-01", "zzyxqjzrq": "2038-05-01"}
    yield "ecert-id-card", certificate("ecert-id-card", person, number, card | period)
    household = {"hh": f"MN{number[-8:]}", "yhzgx": "户主", "zz": person["address"]}
    yield "ecert-household-register", certificate("ecert-household-register", person, number, household)
    for event in person["marriage"]:
        if event["kind"] == "IA":
            spouse = people[event["with"]]
            wed = {"poxm": spouse["name"], "pozjhm": spouse["number"], "djrq": event["on"]}
            state = 5 if person["marriage"][-1]["kind"] == "IA" else -5
            yield "ecert-marriage", certificate("ecert-marriage", person, f"J370499-{number[6:14]}", wed, state)
    yield from _certificates_of_owner(person)
    if person["safety_officer"]:
        officer = {"qymc": "样例3号建筑工程（模拟）有限公司", "lb": person["safety_officer"]}
        term = {"zzyxqqsrq": "2025-01-01", "zzyxqjzrq": "2027-12-31"}
        yield "ecert-safety-officer", certificate("ecert-safety-officer", person, "鲁建安B000001", officer | term)


def _certificates_of_owner(owner: Entry) -> Iterator[tuple[str, Record]]:
    for title in owner["titles"]:
        where = title["location"]
        yield (
            "ecert-real-estate-title",
            certificate("ecert-real-estate-title", owner, title["title_number"], {"zl": where}),
        )
        registered = title["title_number"].replace("不动产权", "不动产证明")
        face = {"zmqlhsx": "抵押权", "zl": where}
        yield (
            "ecert-real-estate-registration",
            certificate("ecert-real-estate-registration", owner, registered, face),
        )


def _certificates_of_company(company: Entry) -> Iterator[tuple[str, Record]]:
    term = {"zzyxqqsrq": company["valid_from"], "zzyxqjzrq": company["valid_until"]}
    head = {"fddbr": company["legal_representative"]["name"]}
    state = _LICENCE_STATE[company["licence"]]
    licence = head | {"zs": company["address"]} | term
    yield (
        "ecert-business-licence",
        certificate("ecert-business-licence", company, company["number"], licence, state),
    )
    yield from _certificates_of_owner(company)
    if company["food_licence"]:
        food = head | {"jycs": company["address"], "zzyxqqsrq": "2024-01-01", "zzyxqjzrq": "2028-12-31"}
        number = f"JY1370499{company['number'][-7:]}"
        yield "ecert-food-licence", certificate("ecert-food-licence", company, number, food)
