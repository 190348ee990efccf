"""Processes under measurement: started so that they cannot outlive the benchmark, and weighed by role.

Every process gets a session of its own, so that a ^C at the terminal reaches the benchmark alone, which then stops
them in order; and the kernel ends each when the thread that started it dies, even by ``kill -9``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

STOP_SECONDS = 10.0
MIB = 1024 * 1024


class DidNotStart(RuntimeError):
    """A process under measurement ended, or did not answer in time; the message holds the end of its output."""


@dataclass
class Process:
    """One started program, its output in a file."""

    role: str
    popen: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """SIGTERM to the program, then SIGKILL to whatever is left of its session."""
        if self.popen.poll() is None:
            self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def complaint(self) -> str:
        """The end of its output."""
        return self.log.read_text(errors="replace")[-3000:]


def start(role: str, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """Start a program of a role; ``environment`` is added to ours, of which nothing of the broker's is passed on."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    with log.open("ab") as output:
        popen = subprocess.Popen(
            [*_dies_with_us(), *argv],
            env=inherited | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return Process(role, popen, log)


def python(*arguments: str) -> list[str]:
    """This interpreter with these arguments."""
    return [sys.executable, *arguments]


def script(name: str) -> str:
    """A program installed beside this interpreter."""
    return str(Path(sys.executable).with_name(name))


def _dies_with_us() -> list[str]:
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "TERM"] if found else []


def until(ready: Callable[[], bool], processes: Sequence[Process], seconds: float, what: str) -> None:
    """Wait until something holds, as long as every process lives."""
    deadline = time.monotonic() + seconds
    while not ready():
        for process in processes:
            if process.popen.poll() is not None:
                raise DidNotStart(f"{process.role} ended with {process.popen.returncode}:\n{process.complaint()}")
        if time.monotonic() > deadline:
            outputs = "\n".join(f"--- {one.role}\n{one.complaint()}" for one in processes)
            raise DidNotStart(f"{what} not ready within {seconds} s\n{outputs}")
        time.sleep(0.05)


@dataclass
class Weight:
    """What a role used: CPU seconds so far, and the largest single process in it."""

    cpu: float = 0.0
    processes: int = 0
    peak_rss: int = 0
    pss: int = 0


@dataclass
class Scales:
    """Weighs process trees by role; a role may have several trees."""

    trees: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def weigh(self, *, memory: bool = False) -> dict[str, Weight]:
        """CPU of every tree, and with ``memory`` also peak resident and proportional sizes (some milliseconds)."""
        return {role: self._role(pids, memory=memory) for role, pids in self.trees.items()}

    def _role(self, pids: Sequence[int], *, memory: bool) -> Weight:
        weight = Weight()
        for process in (one for pid in pids for one in _tree(pid)):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError, ProcessLookupError):
                times = process.cpu_times()
                weight.cpu += times.user + times.system + times.children_user + times.children_system
                weight.processes += 1
                if memory:
                    weight.peak_rss = max(weight.peak_rss, _peak_rss(process.pid))
                    weight.pss = max(weight.pss, process.memory_full_info().pss)
        return weight


def _tree(pid: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        yield root
        yield from root.children(recursive=True)


def _peak_rss(pid: int) -> int:
    """The largest resident size the process ever had (Linux's VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
