"""Rules about the repository as a whole: what its documents promise exists, and nothing ties it to one machine."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "README.zh-CN.md", "CONTRIBUTING.md")

# `make verb` in a code span or at the start of a line of a code block; prose such as "make sure" is not meant.
MAKE_IN_DOCUMENT = re.compile(r"(?:`|^\s*(?:\$ )?)make ([a-z][a-z-]*)", re.MULTILINE)
MAKE_VERB = re.compile(r"^([a-z-]+):.*## ", re.MULTILINE)

# Spelt in pieces, so that this file does not find itself.
REGISTRY = re.compile(
    "|".join(("pythonhosted" + r"\.org", r"pypi\.org/" + "simple", "--" + "index-url", "--" + "find-links"))
)
MACHINE_PATH = re.compile(
    "|".join((r"(?<![\w.])/(?:home|root|Users)/" + r"\w+", re.escape(str(REPOSITORY)), "file" + ":///"))
)


def tracked_files() -> list[Path]:
    """Every text file under version control, or, outside a checkout, nothing."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    return [path for name in listed.split("\0") if name and (path := REPOSITORY / name).is_file()]


def text_of(path: Path) -> str:
    """The file's text; what is not text reads as empty."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def findings(pattern: re.Pattern[str]) -> list[str]:
    """Every place in the tracked files that the pattern matches."""
    return [
        f"{path.relative_to(REPOSITORY)}:{number}: {match.group()}"
        for path in tracked_files()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        for match in pattern.finditer(line)
    ]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_verb_in_a_document_exists(name: str) -> None:
    verbs = set(MAKE_VERB.findall((REPOSITORY / "Makefile").read_text()))
    mentioned = set(MAKE_IN_DOCUMENT.findall((REPOSITORY / name).read_text(encoding="utf-8")))
    assert mentioned, f"{name} names no make verb"
    assert mentioned <= verbs


def test_make_help_lists_every_verb() -> None:
    verbs = MAKE_VERB.findall((REPOSITORY / "Makefile").read_text())
    printed = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make ([\w-]+)", printed, re.MULTILINE) == verbs


def test_no_file_names_a_registry() -> None:
    """Where packages come from is the machine's setting, never the repository's."""
    assert findings(REGISTRY) == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    assert findings(MACHINE_PATH) == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
def test_the_lock_holds_every_declared_dependency_with_hashes(name: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"] + (project["optional-dependencies"]["test"] if "test" in name else [])
    pins = re.findall(r"^([\w.-]+)==[^\s;]+.*\\\n +--hash=sha256:", (REPOSITORY / name).read_text(), re.MULTILINE)
    names = {re.split(r"[\[>=<!~ ;]", requirement, maxsplit=1)[0].lower() for requirement in declared}
    assert names <= set(pins)


def test_both_locks_pin_the_same_versions() -> None:
    """Tests run against what production runs."""
    runtime, test = (
        dict(re.findall(r"^([\w.-]+)==(\S+)", (REPOSITORY / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-test.lock")
    )
    assert runtime.items() <= test.items()
