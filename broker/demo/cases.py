"""The cases of the demonstration, each with what must come out: that is what ``make run ONCE=1`` answers for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.demo.city import unit

REGION = "370400"

Document = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One request, and the decision of each material it must bring – or the problem code it must be refused with."""

    title: Mapping[str, str]
    document: Document
    decisions: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)  # only where the reason is the point of the case
    refused: str = ""
    down: Sequence[str] = ()  # platforms taken away for this case
    asked_once: Sequence[str] = ()  # sources that must have been asked exactly once for it
    checked: Sequence[str] = ()  # materials that wait for an officer of the police, who confirms


def cases(population: Mapping[str, Any]) -> list[Case]:
    """The cases over a simulated population; they come in this order, and none needs another."""
    roles = population["roles"]
    company, revoked = roles["company_valid"], roles["company_revoked"]
    husband, wife = roles["couple_married"]["husband"], roles["couple_married"]["wife"]
    return [
        Case(
            {"zh": "食品经营许可：企业申请", "en": "Food business licence, for a company"},
            _food("demo-food", company),
            {
                "application-form": "submit", "business-licence": "exempt", "identity@legal_representative": "exempt",
                "layout-and-flow": "submit", "food-safety-rules": "submit", "staff-health-certificate": "submit",
            },
        ),
        Case(
            {"zh": "购买自住住房提取住房公积金：夫妻共同办理", "en": "Housing fund withdrawal to buy a home, a couple"},
            _fund("demo-fund", husband, wife),
            {
                "identity": "exempt", "identity@spouse": "exempt", "marriage": "exempt", "title-or-contract": "exempt",
                "deed-tax-receipt": "exempt",
            },
        ),
        Case(
            {"zh": "企业开办场景：全部事项一次办理", "en": "Starting a company: all items of the scene in one request"},
            _scene("demo-scene", husband),
            {
                "application-form": "submit", "identity@legal_representative": "exempt",
                "premises-title@property_owner": "exempt", "articles-of-association": "submit",
                "appointment-documents": "submit", "new-business-licence": "fallback",
            },
            asked_once=("ps-identity", "ecert-real-estate-title"),
        ),
        Case(
            {"zh": "食品经营许可：营业执照已被吊销", "en": "Food business licence, the business licence revoked"},
            _food("demo-revoked", revoked),
            {"business-licence": "not_met", "identity@legal_representative": "exempt"},
            {"business-licence": "not_held.revoked"},
        ),
        Case(
            {"zh": "食品经营许可：电子证照平台不可用，改由登记数据核验",
             "en": "Food business licence while the e-licence platform is down: the register's data takes its place"},
            _food("demo-down", company),
            {"business-licence": "exempt", "identity@legal_representative": "exempt"},
            down=("sd-certshare",),
        ),
        Case(
            {"zh": "提取住房公积金：国家交换平台不可用，身份复用此前核验，婚姻材料由申请人提交",
             "en": "Housing fund withdrawal, the national exchange down: identity reused, marriage submitted"},
            _fund("demo-down-2", husband, wife),
            {"identity": "exempt", "identity@spouse": "exempt", "marriage": "submit", "title-or-contract": "exempt",
             "deed-tax-receipt": "exempt"},
            down=("gj-exchange",),
        ),
        Case(
            {"zh": "网吧经营许可：无违法犯罪记录由公安民警核查，先出初步凭证，答复后出最终凭证",
             "en": "Internet café licence: an officer checks the record; a preliminary receipt, then a final one"},
            _cafe("demo-cafe", company),
            {
                "application-form": "submit", "business-licence": "exempt", "identity@legal_representative": "exempt",
                "no-disqualifying-record@legal_representative": "exempt",
            },
            checked=("no-disqualifying-record@legal_representative",),
        ),
        Case(
            {"zh": "烟草专卖零售许可：没有授权", "en": "Tobacco retail licence, which no grant covers"},
            _food("demo-ungranted", company) | {"item": "tobacco-retail-licence"},
            refused="grant.none",
        ),
    ]  # fmt: skip


def _request(name: str, applicant: Mapping[str, Any], **more: Any) -> Document:
    return {
        "request_id": name,
        "region": REGION,
        "case": {"number": f"ZZ20261121-{name}"},
        "channel": "window",
        "applicant": _party(applicant),
        "operator": {"id": "ck-0312", "name": "演示窗口人员", "unit": unit(), "unit_name": "枣庄市审批服务局（演示）"},
        "basis": {"kind": "statutory_duty", "reference": "国务院令第716号 第七条"},
        **more,
    }


def _food(name: str, company: Mapping[str, Any]) -> Document:
    head = _party(company["legal_representative"], role="legal_representative")
    return _request(name, company, item="food-business-licence", parties=[head])


def _cafe(name: str, company: Mapping[str, Any]) -> Document:
    head = company["legal_representative"]
    parties = [_party(head, role=role) for role in ("legal_representative", "property_owner")]
    return _request(name, company, item="internet-cafe-licence", parties=parties)


def _fund(name: str, husband: Mapping[str, Any], wife: Mapping[str, Any]) -> Document:
    spouse = _party(wife, role="spouse")
    return _request(name, husband, item="fund-withdrawal-purchase", parties=[spouse], facts={"new_house": False})


def _scene(name: str, founder: Mapping[str, Any]) -> Document:
    parties = [_party(founder, role=role) for role in ("legal_representative", "property_owner")]
    facts = {"setup_kind": "company", "prior_approval": False, "by_agent": False}
    return _request(name, founder, scene="enterprise-1.1", parties=parties, facts=facts)


def _party(person: Mapping[str, Any], **more: str) -> dict[str, str]:
    return {"id_type": person["id_type"], "number": person["number"], "name": person["name"], **more}
