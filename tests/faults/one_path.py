"""One step of the path in a process of its own, to be killed; a process that has loaded everything forks them.

``python -m tests.faults.one_path`` reads lines ``<path> <number> <database> <keys>`` and answers each with the child's
pid and, when it has ended, with its status. The child waits for a tracer before it does anything, and its system calls
from there on are those of a process that was started for the step. The environment names Redis, and the file that is
told what the scripted sources are asked.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
import traceback
from pathlib import Path

from broker.bootstrap import open_office
from broker.core.answer import Question
from broker.flow.look_up import look_up
from broker.flow.publish import publish
from broker.flow.sequence import sequence
from broker.flow.sweep import sweep, tidy
from broker.wakes.fleet import FleetWake
from tests.flow import catalogue, kit
from tests.flow.catalogue import LICENCES, POPULATION, REGISTER, SHOP

PATHS = ("admit", "look_up", "sweep", "publish", "sequence")
TRACED_SECONDS = 30.0


def step(path: str, number: int, database: str, folder: Path) -> None:
    """Do it once, waking in this very thread: a tracer counts the calls of each thread by itself."""
    redis_url = os.environ["REDIS"]
    settings = kit.settings(database, folder, redis_url=redis_url)
    broker = kit.wired(open_office(settings, wake=FleetWake(redis_url)))
    broker.sources.meanwhile = _noted
    if path == "admit":
        broker.submit(kit.request(number), kit.as_client(nonce=secrets.token_hex(8)))
    elif path == "look_up":
        for source in (LICENCES, REGISTER, POPULATION):
            look_up(broker.parts, source)
    elif path == "sweep":
        sweep(broker.parts)
        tidy(broker.parts)
    elif path == "publish":
        publish(broker.parts, document(number), None, "editor")
    else:
        sequence(broker.parts)


def document(number: int) -> dict[str, object]:
    """A list that was not published before."""
    found = catalogue.document()
    found["items"][SHOP]["name"] = {"zh": f"事项{number}", "en": f"Item {number}"}
    return found


def _noted(_source: str, questions: list[Question]) -> None:
    with Path(os.environ["ASKED"]).open("a") as file:
        file.writelines(f"{one.lookup_id}\n" for one in questions)


def main() -> None:
    """Fork a child for each line, until there are no more."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _child(*line.split())
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _child(path: str, number: str, database: str, folder: str) -> None:
    """Leaves by ``_exit``: the parent's buffers are the parent's."""
    status = 1
    try:
        _wait_for_tracer()
        step(path, int(number), database, Path(folder))
        status = 0
    except BaseException:  # noqa: BLE001 - the process's edge: whatever it was, the harness is shown it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _wait_for_tracer() -> None:
    ends = time.monotonic() + TRACED_SECONDS
    while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
        if time.monotonic() > ends:
            raise TimeoutError("nobody traces this process")
        time.sleep(0.001)


if __name__ == "__main__":
    main()
