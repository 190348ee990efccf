"""Asking the sources with ``requests``: the connector's conversation, carried by one session per process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from jsonschema import Draft202012Validator

from broker.bootstrap import read_platforms
from broker.core.answer import Answer, Matter, Question
from broker.core.case import Operator, Party
from broker.core.catalog import Form
from broker.ports import HttpRequest, HttpResponse
from tests.bench.direct import exchange_connector
from tests.bench.work_unit import ITEM, REPOSITORY, SYSTEM, sharing_list

SECONDS = 8.0
FIELDS = {"ps-identity": ("number_match", "name_match", "life_status"), "mca-marriage": ("status",)}
MATERIALS = {  # material: source, whose identifier, and the other person asked about
    "identity": ("ps-identity", "applicant", None),
    "identity@spouse": ("ps-identity", "spouse", None),
    "marriage": ("mca-marriage", "applicant", "spouse"),
}


def party(role: str, entry: Mapping[str, Any]) -> Party:
    """A person of the request."""
    return Party(role, entry["id_type"], entry["number"], entry["name"])


class Sources:
    """Everything needed to ask, made once per process."""

    def __init__(self, platforms: Path) -> None:
        """Reads the connections and compiles the answers' schemas."""
        folder = REPOSITORY / "schemas" / "sources"
        validators = {
            key: Draft202012Validator(json.loads((folder / f"{key}.answer.schema.json").read_text("utf-8")))
            for key in FIELDS
        }
        self._connector = exchange_connector(lambda source, document: bool(validators[source].is_valid(document)))
        self._connections = read_platforms(platforms)
        self._catalog = sharing_list().catalog
        self._session = requests.Session()
        self._session.trust_env = False

    def ask(
        self, lookup_id: str, source: str, subject: Party, related: Party | None, request: Mapping[str, Any],
        material: str, now: datetime,
    ) -> Answer:  # fmt: skip
        """One source's answer."""
        entry = self._catalog.sources[source]
        question = Question(
            lookup_id, source, Form.VERIFY, subject, related, FIELDS[source], self._matter(request, material)
        )
        conversation = self._connector.ask(question, entry, self._connections[entry.platform], now)
        try:
            sent = next(conversation)
            while True:
                sent = conversation.send(self._exchange(sent))
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    def _exchange(self, sent: HttpRequest) -> HttpResponse:
        response = self._session.request(
            sent.method, sent.url, data=sent.body, headers=dict(sent.headers), timeout=SECONDS, allow_redirects=False
        )
        headers = {name.lower(): value for name, value in response.headers.items()}
        return HttpResponse(response.status_code, headers, response.content)

    def _matter(self, request: Mapping[str, Any], material: str) -> Matter:
        operator = request["operator"]
        return Matter(
            system=SYSTEM,
            case_number=request["case"]["number"],
            item_code=ITEM,
            item_name=self._catalog.items[ITEM].name["zh"],
            material_name=self._catalog.materials[material.partition("@")[0]].name["zh"],
            region=request["region"],
            basis=request["basis"]["kind"],
            applicant=party("applicant", request["applicant"]),
            operator=Operator(operator["id"], operator["name"], operator["unit"], operator["unit_name"]),
        )
