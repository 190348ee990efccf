"""The page for partners is true: its commands, typed one after another, make a working source."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "add-a-source.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """All commands of the page in one shell, in a folder of its own that has the checkout's environment."""
    folder = tmp_path_factory.mktemp("partner")
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True)
    for name, module in (("python", ""), ("broker", "-m broker.cli ")):
        (commands / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module}"$@"\n', "ascii")
        (commands / name).chmod(0o755)
    outside = {key: value for key, value in os.environ.items() if not key.startswith("BROKER_")}
    script = "set -e -m\n" + "\n".join(BLOCK.findall(PAGE.read_text("utf-8")))
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=outside | {"PYTHONPATH": str(ROOT)}, text=True, capture_output=True,
        timeout=120, check=False,
    )  # fmt: skip


def test_the_commands_of_the_page_run_as_they_stand(typed: subprocess.CompletedProcess[str]) -> None:
    assert typed.returncode == 0, typed.stdout + typed.stderr


def test_each_probe_tells_its_steps_and_the_failing_ones_what_to_do(typed: subprocess.CompletedProcess[str]) -> None:
    whole, bent, barred, again = re.split(r"^(?=✓ 清单中有该数源)", typed.stdout, flags=re.MULTILINE)[1:]
    for good in (whole, again):
        assert good.count("✓") == 15, "every step but TLS, which this road has not"
        assert "✗" not in good
    assert "✗ 应答符合模式 / the answer fits its schema" in bent
    assert "✗ 身份与权限 / authentication and permission" in barred
    for bad in (bent, barred):
        assert re.search(r"^  下一步：.+。\n  Next: .+\.$", bad, re.MULTILINE)


def test_no_step_repeats_what_the_source_says_about_anybody(typed: subprocess.CompletedProcess[str]) -> None:
    number = re.search(r'number: "(370499[0-9X]{12})"', PAGE.read_text("utf-8"))
    assert number is not None
    assert number[1] not in typed.stdout
