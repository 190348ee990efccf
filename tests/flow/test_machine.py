"""Whatever a program of ``tests/flow/machine.py`` does, the invariants hold after each of its steps.

A normal run tries the same programs every time, so that it never fails by chance; ``BROKER_PROGRAMS`` asks for so many
others, ``BROKER_STEPS`` for longer ones, and F14 for many of both.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.flow import kit
from tests.flow.machine import run_programs

PROGRAMS, STEPS = os.environ.get("BROKER_PROGRAMS"), os.environ.get("BROKER_STEPS")
NORMAL_PROGRAMS, NORMAL_STEPS = 15, 25


def test_no_program_breaks_an_invariant(stormy_brokers: Callable[[], kit.Broker]) -> None:
    programs, steps = int(PROGRAMS or NORMAL_PROGRAMS), int(STEPS or NORMAL_STEPS)
    run_programs(stormy_brokers, programs, steps, derandomize=PROGRAMS is None)
