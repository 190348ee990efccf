"""The table of problems is whole: every code that is raised is in it, every row can be met, and the page is current."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from broker.core.answer import Reason
from broker.core.catalog import Mode
from broker.core.decide import Kind
from broker.core.problems import _ROWS, PROBLEMS
from broker.core.reasons import REASONS, reason_text
from broker.core.receipt_text import DECISIONS, MODES
from broker.web.problem_page import problems_page

ROOT = Path(__file__).parents[2]
_PROBLEMS = {"Problem", "CallerProblem", "SourceProblem", "OperatorProblem", "BrokerProblem"}
_CODE = re.compile(r"[a-z]+(?:_[a-z]+)*\.[a-z][a-z-]*")


def _strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _raised() -> Iterator[tuple[str, str]]:
    """Every literal code handed to a problem's constructor, with the file it stands in."""
    for path in sorted((ROOT / "broker").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _PROBLEMS and node.args:
                for text in _strings(node.args[0]):
                    if _CODE.fullmatch(text):
                        yield text, path.name


def test_every_code_that_is_raised_is_in_the_table() -> None:
    assert {(code, name) for code, name in _raised() if code not in PROBLEMS} == set()


def test_every_row_is_used_somewhere() -> None:
    used = {
        text
        for path in (ROOT / "broker").rglob("*.py")
        if path.name != "problems.py"
        for text in _strings(ast.parse(path.read_text("utf-8")))
    }
    built = {f"grant.{state}" for state in ("revoked", "suspended")}  # core.authorise builds them from the state
    assert set(PROBLEMS) - used - built == set()


def test_no_code_stands_twice_and_every_row_speaks_both_languages() -> None:
    assert len(_ROWS) == len(PROBLEMS)
    for kind in PROBLEMS.values():
        assert _CODE.fullmatch(kind.code)
        assert 400 <= kind.status <= 599
        assert all((kind.zh, kind.en, kind.next_zh, kind.next_en))


def test_the_page_is_current() -> None:
    """If this fails: python -m broker.web.problem_page > docs/problems.md."""
    assert (ROOT / "docs" / "problems.md").read_text("utf-8") == problems_page()


def test_every_reason_decision_and_mode_has_its_words() -> None:
    assert {reason.value for reason in Reason} <= set(REASONS)
    assert set(DECISIONS) == set(Kind)
    assert set(MODES) == set(Mode)
    for mode in (Mode.SCENE_RESULT, Mode.DEPARTMENT_CHECK, Mode.COMMITMENT):
        assert reason_text(f"fallback.{mode}").zh
    for code in PROBLEMS:
        if code.startswith("grant."):
            assert reason_text(code).en == PROBLEMS[code].en
