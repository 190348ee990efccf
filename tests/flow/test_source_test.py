"""`broker source test` at sources that are no interface: a department's database, and its people."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from broker.cli import main
from broker.sandbox.front_database import SOURCE
from broker.sandbox.servers import Postgres, fresh_database
from broker.sandbox.sources import PLATFORMS, Sandbox
from tests.asking import REPOSITORY

UNIT = "11370400MB9999999L"
PLACED = ["✓ 清单中有该数源", "✓ 平台已接入", "✓ 已配置探测对象"]


def probe(folder: Path, source: str, platforms: Path) -> Result:
    environment = {
        "BROKER_CATALOG_FILE": str(REPOSITORY / "data_catalog.yaml"),
        "BROKER_SCHEMAS_FOLDER": str(REPOSITORY / "schemas"),
        "BROKER_PLATFORMS_FILE": str(platforms),
        "BROKER_KEYS_FOLDER": str(folder),
    }
    return CliRunner().invoke(main, ["source", "test", source], env=environment)


def steps(run: Result) -> list[str]:
    """The lines in Chinese, without what each found."""
    return [line.partition(" / ")[0].partition(": ")[0] for line in run.output.splitlines() if line[:1] in "✓✗–"]


@pytest.fixture
def front(tmp_path: Path, postgres_server: Postgres) -> Path:
    """The sandbox's connection file, with a probe about somebody whom the database knows."""
    sandbox = Sandbox(tmp_path, ports=dict.fromkeys(PLATFORMS, 9), front=fresh_database(postgres_server))
    sandbox.write_files()
    known = sandbox.population["roles"]["person_single"]
    document = yaml.safe_load(sandbox.connections.read_text("utf-8"))
    about = {name: known[name] for name in ("id_type", "number", "name")} | {"expect": "held.valid"}
    document["platforms"]["city-front"]["options"]["probes"] = {SOURCE: about}
    sandbox.connections.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    sandbox.front.close()
    return sandbox.connections


def test_a_database_is_tried_by_name_port_and_answer(front: Path) -> None:
    run = probe(front.parent, SOURCE, front)
    assert run.exit_code == 0, run.output
    assert steps(run)[:6] == [*PLACED, "✓ 域名解析", "✓ 网络连接", "✓ 有应答"]
    assert {line[0] for line in steps(run)} == {"✓"}


def test_a_database_that_nobody_listens_at_fails_at_its_port(front: Path) -> None:
    document = yaml.safe_load(front.read_text("utf-8"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    document["platforms"]["city-front"]["endpoint"] = f"postgresql://reader@127.0.0.1:{port}/x"
    front.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    run = probe(front.parent, SOURCE, front)
    assert (run.exit_code, steps(run)) == (1, [*PLACED, "✓ 域名解析", "✗ 网络连接"])
    assert "ConnectionRefusedError" in run.output


@pytest.mark.parametrize(("region", "code"), [("370400", 0), ("371083", 1)])
def test_people_are_not_written_to_but_who_would_answer_by_when_is_told(tmp_path: Path, region: str, code: int) -> None:
    """In a region without its department the probe fails where a question would."""
    about = {"id_type": "111", "number": "370499196502020031", "name": "测试丙寅甲", "region": region}
    orders = {"connector": "work_order", "endpoint": "", "credentials": {}}
    orders["options"] = {"units": {"370400": UNIT}, "probes": {"ps-record-check": about}}
    platforms = tmp_path / "platforms.yaml"
    platforms.write_text(yaml.safe_dump({"platforms": {"ps-orders": orders}}, allow_unicode=True), "utf-8")
    run = probe(tmp_path, "ps-record-check", platforms)
    assert run.exit_code == code, run.output
    assert steps(run)[:3] == PLACED
    assert (UNIT in run.output) is (code == 0)
    assert steps(run)[3:] == (["✓ 有应答", "– 结果与约定一致"] if code == 0 else steps(run)[3:])
