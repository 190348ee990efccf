"""A small sharing list for the flow's tests: two items in one scene, three sources, chains of every length."""

from __future__ import annotations

import copy
from typing import Any

LICENCES, REGISTER, POPULATION = "licences", "register", "population"
REGION, SCENE = "370400", "enterprise-1.1"
SHOP, KITCHEN, KIOSK = "open-shop", "open-kitchen", "open-kiosk"  # the kiosk is not in the scene


def _source(connector: str, service: str, form: str, fields: list[str]) -> dict[str, Any]:
    return {
        "name": {"zh": "数源", "en": "A source"},
        "authority": {"zh": "部门", "en": "An authority"},
        "level": "city",
        "platform": f"{connector}-platform",
        "connector": connector,
        "service": service,
        "sharing": "unconditional",
        "forms": [form],
        "fields": fields,
        "freshness_days": 30,
        "sensitivity": "general",
        "budget_ms": 2000,
        "calls_per_second": 10_000,  # nobody waits, unless a test says so
        "state": "confirmed",
        "options": {"holder": "number"} if form == "query" else {},
    }


_HOLDER = {"field": "number", "op": "equals", "to": "holder.number"}
_PAPER = {"mode": "submission"}

_MATERIALS: dict[str, Any] = {
    "licence": {  # certificate, then data, then paper
        "name": {"zh": "营业执照", "en": "Business licence"},
        "kind": "certificate",
        "basis": "法",
        "chain": [
            {
                "mode": "certificate",
                "source": LICENCES,
                "form": "query",
                "fields": ["number", "name", "status", "valid_to"],
                "expect": [
                    _HOLDER,
                    {"field": "status", "op": "in", "values": ["正常", "存续"]},
                    {"field": "valid_to", "op": "not_expired"},
                ],
                "basis": "接口",
            },
            {
                "mode": "data_query",
                "source": REGISTER,
                "form": "query",
                "fields": ["number", "name"],
                "expect": [_HOLDER, {"field": "name", "op": "equals", "to": "holder.name"}],
                "basis": "接口",
            },
            _PAPER,
        ],
    },
    "premises": {  # data, then a commitment
        "name": {"zh": "场所证明", "en": "Proof of premises"},
        "kind": "proof",
        "basis": "法",
        "chain": [
            {
                "mode": "data_query",
                "source": REGISTER,
                "form": "query",
                "fields": ["number", "address"],
                "expect": [_HOLDER, {"field": "address", "op": "present"}],
                "basis": "接口",
            },
            {"mode": "commitment", "text": "premises/2", "basis": "法"},
        ],
    },
    "identity": {  # one source, then paper
        "name": {"zh": "身份证明", "en": "Proof of identity"},
        "kind": "certificate",
        "basis": "法",
        "chain": [
            {
                "mode": "data_verify",
                "source": POPULATION,
                "form": "verify",
                "fields": ["match"],
                "expect": [{"field": "match", "op": "in", "values": ["一致"]}],
                "basis": "接口",
            },
            _PAPER,
        ],
    },
    "form": {  # nobody has it
        "name": {"zh": "申请表", "en": "Application form"},
        "kind": "form",
        "basis": "法",
        "chain": [_PAPER],
    },
}


def _item(scene: str, sequence: str, *materials: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": {"zh": "开业", "en": "Opening"},
        "type": "行政许可",
        "basis": "法",
        "life_cycle": "enterprise",
        "materials": list(materials),
        "regions": {REGION: {"seq": sequence, "scene": scene, "level": "county", "lead": ["市监局"]}},
    }


_REPRESENTATIVE = {"material": "identity", "holder": "legal_representative"}


def document() -> dict[str, Any]:
    """The first edition, a fresh copy each time."""
    scenes = {
        key: {
            "life_cycle": "enterprise",
            "number": key.removeprefix("enterprise-"),
            "stage": {"zh": "开办", "en": "Start"},
            "name": {"zh": "开办", "en": "Start"},
        }
        for key in (SCENE, "enterprise-2.1")
    }
    return {
        "regions": {REGION: {"name": {"zh": "枣庄市", "en": "Zaozhuang"}, "levels": ["city", "county"]}},
        "scenes": scenes,
        "sources": {
            LICENCES: _source("certshare", "113700000045046442001", "query", ["number", "name", "status", "valid_to"]),
            REGISTER: _source("exchange", "enterprise-register", "query", ["number", "name", "address"]),
            POPULATION: _source("exchange", "identity-check", "verify", ["match"]),
        },
        "materials": copy.deepcopy(_MATERIALS),
        "items": {
            SHOP: _item(
                SCENE, "1", _REPRESENTATIVE, {"material": "licence"}, {"material": "premises"}, {"material": "form"}
            ),
            KITCHEN: _item(SCENE, "2", {"material": "licence"}, _REPRESENTATIVE, {"material": "form"}),
            KIOSK: _item("enterprise-2.1", "3", {"material": "premises"}),
        },
    }


def second_edition() -> dict[str, Any]:
    """The licence is not asked for any more, and premises are proven by paper only."""
    changed = document()
    changed["items"][SHOP]["materials"] = [_REPRESENTATIVE, {"material": "premises"}]
    changed["materials"]["premises"]["chain"] = [{"mode": "submission"}]
    return changed
