"""Log lines: JSON, one a line, with names and numbers; a fault is told by class and place, never by its text."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import log

SECRET = "张某 11010519491231002X"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """The process's log, and the root logger put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    log.set_up("INFO", stream)
    yield stream
    root.handlers, root.level = handlers, level


def test_a_line_is_json_with_when_level_logger_and_event(stream: io.StringIO) -> None:
    logging.getLogger("broker.some").warning("wake not sent: %s", "TimeoutError")
    line = json.loads(stream.getvalue())
    assert (line["level"], line["logger"], line["event"]) == ("warning", "broker.some", "wake not sent: TimeoutError")
    assert datetime.fromisoformat(line["at"]).utcoffset() is not None


def test_levels_below_the_setting_are_silent(stream: io.StringIO) -> None:
    logging.getLogger("broker.some").debug("not this")
    assert stream.getvalue() == ""


@given(st.text(max_size=50))
def test_whatever_is_logged_stays_on_one_line(text: str) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(log._Lines())
    handler.emit(logging.LogRecord("x", logging.INFO, "f", 1, text, None, None))
    assert stream.getvalue().count("\n") == 1
    assert json.loads(stream.getvalue())["event"] == text


def _fail() -> None:
    try:
        dict[str, str]()[SECRET]
    except KeyError as error:
        raise RuntimeError(f"about {SECRET}") from error


def test_a_fault_tells_classes_and_places_and_no_text(stream: io.StringIO) -> None:
    try:
        _fail()
    except RuntimeError as error:
        log.fault(logging.getLogger("broker.x"), "look_up", error, source="register")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["source"], line["error"]) == ("look_up", "register", ["RuntimeError", "KeyError"])
    assert all(place.startswith("test_log.py:") for place in line["places"])
    assert SECRET not in stream.getvalue()
    assert "张" not in stream.getvalue()


def test_even_a_traceback_that_somebody_logs_is_not_printed(stream: io.StringIO) -> None:
    """`logger.exception` of a library must not bring what the exception quotes."""
    try:
        _fail()
    except RuntimeError:
        logging.getLogger("library").exception("it failed")
    assert json.loads(stream.getvalue())["event"] == "it failed"
    assert SECRET not in stream.getvalue()


def test_a_fault_without_a_cause_is_told_as_well(stream: io.StringIO) -> None:
    log.fault(logging.getLogger("broker.x"), "sweep", KeyError("x"))
    assert json.loads(stream.getvalue())["error"] == ["KeyError"]
