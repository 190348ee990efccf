"""A new source of a known family is configuration alone: list, schemas, connection – and what is simulated of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
import yaml

from broker.bootstrap import read_platforms
from broker.connectors import connectors
from broker.core.answer import Answer, Matter, Question, Reason, checked
from broker.core.catalog import Form, Source, catalog_from
from broker.core.working_days import Calendar
from broker.sandbox.configured import MORE
from broker.sandbox.holdings import type_code
from broker.transport.answers import load_answer_schemas
from tests.asking import OPERATOR, MemoryRoad, ask, decrypt, memory_road, memory_road_from, party

CARD = "ecert-library-card"
LISTED = f"""
pet-register:
  name: {{zh: 犬只登记信息, en: Register of dogs}}
  authority: {{zh: 公安部门, en: Public security authority}}
  level: province
  platform: sd-exchange
  connector: exchange
  service: null
  sharing: conditional
  forms: [query]
  fields: [tag_number, status]
  freshness_days: 30
  sensitivity: general
  budget_ms: 5000
  calls_per_second: 10
  state: confirmed
  options:
    shape: json
    request: {{sfzh: subject.number, xm: subject.name}}
    ok: {{path: code, values: ["0000"]}}
    codes: {{"4004": unknown.not-found, "4003": unknown.not-permitted, "4000": unknown.question-refused}}
    result: rows
    holder: sfzh
    as_of: gxsj
    fields: {{tag_number: qzh, status: zt}}
    values: {{status: {{"1": registered, "2": cancelled}}}}
    verdicts: {{zt: {{"1": held.valid, "2": not_held.cancelled}}}}
{CARD}:
  name: {{zh: 读者证电子证照, en: "E-certificate: library card"}}
  authority: {{zh: 文化和旅游部门, en: Culture and tourism authority}}
  level: province
  platform: sd-certshare
  connector: certshare
  service: null
  sharing: conditional
  forms: [query, file]
  fields: [holder_name, holder_number, certificate_number, file, file_type, file_digest]
  freshness_days: 30
  sensitivity: general
  budget_ms: 5000
  calls_per_second: 10
  state: confirmed
  options:
    holder: holdercode
    fields: {{holder_name: holder, holder_number: holdercode, certificate_number: certno}}
"""
SIMULATED = f"""
pet-register:
  platform: sd-exchange
  service: sd_pet-register
  ask: {{sfzh: number, xm: name}}
  ok: {{code: "0000"}}
  none: {{code: "4004", rows: null}}
  bad: {{code: "4000", rows: null}}
  result: rows
  of: persons
  records: [{{sfzh: "{{number}}", qzh: "MN-{{birth_date}}", zt: "{{insured}}", gxsj: "{{now}}"}}]
{CARD}:
  platform: sd-certshare
  service: "{type_code(CARD)}"
  of: persons
  number: "D-{{birth_date}}"
  face: {{zt: "1"}}
"""
TEXT = {"type": "string", "minLength": 1, "maxLength": 100}
ROW = {"type": "object", "properties": {"sfzh": TEXT, "qzh": TEXT, "zt": TEXT, "gxsj": TEXT}}
ROW |= {"required": ["sfzh", "qzh", "zt", "gxsj"]}
SCHEMAS: dict[str, dict[str, Any]] = {
    "pet-register": {"type": "object", "properties": {"rows": {"type": "array", "items": ROW}}, "required": ["rows"]},
    CARD: {"type": "array", "items": {"type": "object", "required": ["holder", "holdercode", "certno"]}},
}


class Deployment:
    """A broker's view of sources that no release knows."""

    def __init__(self, folder: Path) -> None:
        """Write what an operator writes, and read it as the broker does."""
        (folder / MORE).write_text(SIMULATED, encoding="utf-8")
        (folder / "schemas").mkdir()
        for key, schema in SCHEMAS.items():
            (folder / "schemas" / f"{key}.answer.schema.json").write_bytes(orjson.dumps(schema))
        nothing: dict[str, Any] = {}
        listed = {"regions": nothing, "materials": nothing, "items": nothing, "scenes": nothing}
        self.sources = catalog_from(listed | {"sources": yaml.safe_load(LISTED)}).sources
        self.road: MemoryRoad = memory_road(folder)
        self.connections = read_platforms(folder / "platforms.yaml")
        self.connectors = connectors(load_answer_schemas(folder / "schemas"), decrypt, Calendar())

    def ask(self, key: str, form: Form, role: str, behaviour: str = "ok") -> Answer:
        """One question about a person of the population."""
        source: Source = self.sources[key]
        subject, now = party(self.road.roles[role]), datetime.now(UTC)
        matter = Matter("模拟市审批系统", "370499-2026-0001", "item", "事项", "材料", "370400", "statutory_duty",
                        subject, OPERATOR)  # fmt: skip
        asked = Question("lk-0001", key, form, subject, None, source.fields, matter)
        connection = self.connections[source.platform]
        self.road.behave(source.platform, behaviour)
        answer = self.road.send(source, self.connectors[source.connector].ask(asked, source, connection, now))
        assert isinstance(answer, Answer)
        return checked(asked, answer, source, now)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return Deployment(tmp_path_factory.mktemp("new"))


@pytest.mark.parametrize(
    ("key", "form", "role", "behaviour", "reason"),
    [
        ("pet-register", Form.QUERY, "person_single", "ok", Reason.VALID),
        ("pet-register", Form.QUERY, "person_on_subsistence", "ok", Reason.CANCELLED),
        ("pet-register", Form.QUERY, "company_valid", "ok", Reason.NOT_FOUND),
        ("pet-register", Form.QUERY, "person_single", "ambiguous", Reason.AMBIGUOUS),
        ("pet-register", Form.QUERY, "person_single", "wrong_person", Reason.WRONG_PERSON),
        ("pet-register", Form.QUERY, "person_single", "stale", Reason.STALE),
        ("pet-register", Form.QUERY, "person_single", "malformed", Reason.MALFORMED),
        ("pet-register", Form.QUERY, "person_single", "not_permitted", Reason.NOT_PERMITTED),
        (CARD, Form.QUERY, "person_single", "ok", Reason.VALID),
        (CARD, Form.FILE, "person_single", "ok", Reason.VALID),
        (CARD, Form.QUERY, "company_valid", "ok", Reason.NOT_FOUND),
        (CARD, Form.QUERY, "person_single", "wrong_person", Reason.WRONG_PERSON),
        (CARD, Form.QUERY, "person_single", "not_permitted", Reason.NOT_PERMITTED),
    ],
)
def test_a_source_that_no_release_knows_is_asked_like_any_other(
    deployment: Deployment, key: str, form: Form, role: str, behaviour: str, reason: Reason
) -> None:
    assert deployment.ask(key, form, role, behaviour).reason is reason


def test_its_fields_come_in_the_lists_words(deployment: Deployment) -> None:
    person = deployment.road.roles["person_single"]
    answer = deployment.ask("pet-register", Form.QUERY, "person_single")
    assert answer.fields == {"tag_number": f"MN-{person['birth_date']}", "status": "registered"}


# ---- the national platform's provincial twins differ in configuration only


@pytest.mark.parametrize(
    ("prefix", "secret_path", "proxy_path"),
    [
        ("gjgxjhpt", "/sysapi/auth/refreshappsecret", "/httpproxy"),
        ("hnjhpt", "/sysapi/refreshappsecret", "/httpproxy"),
        ("sdjhpt", "/sysapi/refreshappsecret", "/gateway/httpproxy"),
    ],
)
def test_prefix_and_paths_of_a_platform_are_configuration(
    tmp_path: Path, prefix: str, secret_path: str, proxy_path: str
) -> None:
    """Hainan's twin among them: the simulator, configured alike, accepts no other prefix and no other path."""
    folder = tmp_path / "twin"
    folder.mkdir()
    memory_road(folder)
    written = yaml.safe_load((folder / "platforms.yaml").read_text("utf-8"))
    written["platforms"]["gj-exchange"]["options"] |= {
        "prefix": prefix, "secret_path": secret_path, "proxy_path": proxy_path
    }  # fmt: skip
    (folder / "platforms.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    road = memory_road_from(folder)
    assert ask(road, "ps-identity", Form.VERIFY, party(road.roles["person_single"])).reason is Reason.VALID
    fetched, asked = road.sent
    assert (urlsplit(fetched.url).path, urlsplit(asked.url).path) == (secret_path, proxy_path)
    assert set(orjson.loads(fetched.body)) == {f"{prefix}_{name}" for name in ("rid", "sid", "rtime", "sign")}
    assert {f"{prefix}_rid", f"{prefix}_sid", f"{prefix}_rtime", f"{prefix}_sign"} <= asked.headers.keys()
