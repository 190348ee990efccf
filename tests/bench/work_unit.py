"""The unit of work: one verification with three lookups at two sources, as a document and as a signed HTTP request.

购买自住住房提取住房公积金, restricted to identity, the spouse's identity and the marriage: two questions to the
population register (ps-identity, XML) and one to the marriage register (mca-marriage, JSON), all of which hold.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from broker.core.answer import Question
from broker.core.case import request_from
from broker.core.catalog import Edition, catalog_from
from broker.core.envelope import Signer
from broker.core.plan import plan, question
from broker.signing import http_message
from broker.store.catalog_file import read_catalog

REPOSITORY = Path(__file__).parents[2]
ITEM = "fund-withdrawal-purchase"
MATERIALS = ("identity", "identity@spouse", "marriage")
LOOKUPS = 3
SYSTEM = "模拟市公积金审批系统"
CLIENT = "bench-fund"
UNIT = "11370499MB2811111X"
PATH = "/v1/verifications"
JSON = "application/json"
FRESH_SECONDS = 20  # a signed request is used within this time; servers accept 30

Person = Mapping[str, Any]
Couple = tuple[Person, Person]


def couples(population: Mapping[str, Any]) -> list[Couple]:
    """The married couple of the simulated population, each of the two as applicant once."""
    married = population["roles"]["couple_married"]
    husband, wife = (_person(married[side]) for side in ("husband", "wife"))
    return [(husband, wife), (wife, husband)]


def _person(entry: Person) -> Person:
    return {name: entry[name] for name in ("id_type", "number", "name")}


def document(couple: Couple, number: str) -> dict[str, Any]:
    """A request as an approval system sends it; ``number`` tells case and request apart from all others."""
    applicant, spouse = couple
    return {
        "request_id": f"r-{number}",
        "region": "370400",
        "item": ITEM,
        "case": {"number": f"c-{number}"},
        "channel": "window",
        "applicant": dict(applicant),
        "parties": [{"role": "spouse", **spouse}],
        "operator": {"id": "op-0007", "name": "测试经办", "unit": UNIT, "unit_name": "模拟市住房公积金管理中心"},
        "basis": {"kind": "statutory_duty", "reference": "住房公积金管理条例 第二十四条"},
        "materials": list(MATERIALS),
    }


def documents(pairs: Sequence[Couple], label: str) -> Iterator[dict[str, Any]]:
    """Endless requests under numbers that nobody else uses."""
    prefix = f"{label}-{secrets.token_hex(4)}"
    for pair, position in zip(cycle(pairs), count(1), strict=False):
        yield document(pair, f"{prefix}-{position}")


def sharing_list() -> Edition:
    """The shipped sharing list, as an edition."""
    return Edition(1, "", catalog_from(read_catalog(REPOSITORY / "data_catalog.yaml").document))


def questions(edition: Edition, asked: Mapping[str, Any]) -> list[Question]:
    """The three questions that a request plans, under fresh lookup ids."""
    request = request_from(asked)
    planned = plan(edition, request, datetime.now(UTC).date())
    return [
        question(planned, one, secrets.token_hex(16), request, SYSTEM, edition.catalog)
        for one in planned.lookups.values()
    ]


@dataclass(frozen=True, slots=True)
class Message:
    """A signed request as it goes over the wire, and what its answer must be bound to."""

    wire: bytes = field(repr=False)
    question: http_message.Question
    signed_at: float


class Caller:
    """Makes an approval system's signed requests to one base URL."""

    def __init__(self, base_url: str, signer: Signer) -> None:
        """``base_url`` is both where the server listens and what it believes to be called."""
        self.base_url = base_url
        self.host = urlsplit(base_url).netloc
        self._signer = signer

    def submit(self, body: Mapping[str, Any], wait: int = 30) -> Message:
        """A verification, to be answered when decided."""
        return self._signed("POST", PATH, orjson.dumps(body), wait)

    def read(self, verification: str, wait: int = 30) -> Message:
        """A verification that was not decided in time."""
        return self._signed("GET", f"{PATH}/{verification}", None, wait)

    def _signed(self, method: str, path: str, body: bytes | None, wait: int) -> Message:
        now, url = time.time(), self.base_url + path
        headers = http_message.sign_request(method, url, body, JSON, self._signer, int(now), secrets.token_hex(16))
        headers |= {"Host": self.host, "Prefer": f"wait={wait}"}
        if body is not None:
            headers |= {"Content-Type": JSON, "Content-Length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        wire = f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + (body or b"")
        return Message(wire, http_message.Question(method, url, headers["Signature"]), now)
