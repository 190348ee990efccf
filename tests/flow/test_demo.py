"""The main job as a newcomer runs it: processes started, cases asked over signed HTTP, receipts proved."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import requests


def _demo(folder: Path, *flags: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_TEST")}
    return subprocess.Popen(
        [sys.executable, "-m", "broker.demo", "--folder", str(folder), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )


@pytest.mark.parametrize("flags", [(), ("--fleet",)], ids=["embedded", "fleet"])
def test_every_case_comes_out_as_it_should(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Exit 0 says that each decision and refusal was the expected one, and each source asked once in the scene."""
    process = _demo(tmp_path / "demo", "--once", *flags)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    assert printed.count("离线验证") == 8, "a receipt with its log proof for every decided case, and a preliminary one"
    assert printed.count("核查任务") == 1
    assert "grant.none" in printed
    assert "not_held.revoked" in printed
    assert "unknown.source-down" in printed


def test_it_stays_up_answers_and_ends_cleanly_on_ctrl_c(tmp_path: Path) -> None:
    """No process of its own is left behind."""
    process = _demo(tmp_path / "demo")
    url = ""
    assert process.stdout is not None
    for line in process.stdout:
        if "openapi.json" in line:
            url = line.split("OpenAPI: ")[1].strip()
            break
    assert requests.get(url, timeout=5).json()["openapi"] == "3.1.0"
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    printed = process.stdout.read()
    assert process.wait(30) == 0, printed
    assert "已停止" in printed
    process.stdout.close()
    until = time.monotonic() + 5
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children):
        assert time.monotonic() < until, "a process was left behind"
        time.sleep(0.1)
