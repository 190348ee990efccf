"""The big-data centre beside a broker: ``broker serve`` shows the log, ``broker witness`` watches it, each a process.

The witness knows the broker by HTTP alone, co-signs what continues what it saw, and keeps it in a folder of its own.
Its alarms reach us as they would reach the centre: by the hook. The broker's database belongs to whoever tampers with
it.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from broker.core.roles import Role
from broker.flow import register
from broker.ports import Client, ClientKey
from broker.signing import keys
from broker.witness import Kind
from tests.bench.processes import Process, python, start, until
from tests.bench.world import free_port
from tests.flow import kit
from tests.flow.kit import Broker

NAME = "centre.example/witness"
LOOK_SECONDS = 0.2
SILENCE_MINUTES = 600.0  # longer than a campaign; silence is shown by looks that wait for nothing
ALARM_SECONDS = 60.0  # far beyond a look: an alarm that does not come fails the campaign
POLL_SECONDS = 0.02


class Centre:
    """Both processes over one broker's database, and what the witness has kept and told."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        """Nothing runs before ``start``."""
        self._broker, self._folder = broker, folder
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._home, self._rung = folder / "centre", folder / "rung"
        self._processes: dict[str, Process] = {}

    def start(self) -> None:
        """The broker's front, a witness known to it, and its first co-signature."""
        self.serve()
        key_set = self._folder / "keys.json"
        key_set.write_bytes(requests.get(f"{self.url}/.well-known/jwks.json", timeout=30).content)
        origin = self._broker.office.settings.log_origin
        made = ("--name", NAME, "--url", self.url, "--origin", origin, "--keys", str(key_set))
        self._typed("init", str(self._home), *made)
        self._register()
        self._rung.touch()
        self.watch()
        self.cosigns(0)

    def stop(self) -> None:
        """End both."""
        for process in self._processes.values():
            process.stop()

    def serve(self) -> None:
        """Start the broker's front: without workers and sequencer, so that the log is as its owner leaves it."""
        self._start("web", "serve", "--accept-edition")
        web = self._processes["web"]
        until(lambda: bool(self._served()), [web], ALARM_SECONDS, "the log's checkpoint")

    def watch(self) -> None:
        """Start the witness."""
        self._start("witness", "witness", "run", str(self._home), "--every", str(LOOK_SECONDS), "--silence",
                    str(SILENCE_MINUTES), "--hook", self._hook)  # fmt: skip

    def end(self, role: str) -> None:
        """End ``web`` or ``witness``."""
        self._processes.pop(role).stop()

    def looked_impatiently(self) -> bool:
        """Whether one look that waits for nothing sounds an alarm; no other witness may run beside it."""
        patience = ("--once", "--silence", "0", "--hook", self._hook)
        return self._typed("run", str(self._home), *patience, allowed=(0, 3)) == 3

    @property
    def _hook(self) -> str:
        return f"""sh -c 'echo "$0" >> {self._rung}'"""

    def cosigned(self) -> int:
        """How many checkpoints the witness has co-signed and kept."""
        return len(list((self._home / "checkpoints").glob("*.note")))

    def cosigns(self, before: int) -> None:
        """Wait until it has co-signed more than so many, and the broker shows the last of them."""
        self._wait(lambda: self.cosigned() > before, "no checkpoint is co-signed")
        last = max((self._home / "checkpoints").glob("*.note")).read_text("utf-8")
        self._wait(lambda: self._served() == last, "the co-signature is not handed in")

    def evidence(self) -> int:
        """How many checkpoints that convict their signer the witness has kept."""
        return len(list((self._home / "evidence").glob("*.note")))

    def alarms(self) -> list[str]:
        """The kinds of the alarms that were sounded so far."""
        return self._rung.read_text().split()

    def alarmed(self, before: int) -> Kind:
        """The alarm that is sounded after so many."""
        self._wait(lambda: len(self.alarms()) > before, "no alarm")
        return Kind(self.alarms()[before])

    def audited(self) -> bool:
        """Whether reading every entry of the last co-signed checkpoint sounds an alarm."""
        return self._typed("audit", str(self._home), allowed=(0, 3)) == 3

    def cleared(self) -> bool:
        """Take the alarm back, and tell whether the next looks are content."""
        told = len(self.alarms())
        self._typed("clear", str(self._home))
        self.content()
        return len(self.alarms()) == told

    def content(self) -> None:
        """Wait for two looks that find all well: the first may have begun before."""
        for _ in range(2):
            self._next_look()
            if json.loads((self._home / "state.json").read_bytes())["alarm"]:
                raise AssertionError("the witness finds something wrong")

    def _next_look(self) -> None:
        written = self._written()
        self._wait(lambda: self._written() != written, "the witness looks no more")

    def _written(self) -> int:
        """When the state was written last: every look without an alarm does so."""
        return (self._home / "state.json").stat().st_mtime_ns

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        ends = time.monotonic() + ALARM_SECONDS
        while not holds():
            if time.monotonic() > ends:
                raise AssertionError(what)
            time.sleep(POLL_SECONDS)

    def _register(self) -> None:
        parts = self._broker.parts
        pem = (self._home / "witness.pub.pem").read_text("ascii")
        begin = datetime.now(UTC) - timedelta(minutes=1)
        register.register_client(parts, Client("witness", "见证", kit.UNIT, None, "active", (Role.WITNESS,)))
        register.register_key(parts, ClientKey("witness", keys.load_public(pem.encode()), begin, None, None), pem)

    def _start(self, role: str, *command: str) -> None:
        settings = self._broker.office.settings
        told = {
            "DATABASE_URL": settings.database_url, "KEYS_FOLDER": settings.keys_folder,
            "PLATFORMS_FILE": settings.platforms_file, "PUBLIC_URL": self.url, "PORT": str(self._port),
            "REDIS_URL": "redis://127.0.0.1:1/0", "WEB_PROCESSES": "1", "WEB_THREADS": "16",
        }  # fmt: skip
        environment = {f"BROKER_{name}": value for name, value in told.items()} if role == "web" else {}
        log = self._folder / f"{role}.log"
        self._processes[role] = start(role, python("-m", "broker.cli", *command), environment, log)

    def _served(self) -> str:
        """The checkpoint as anybody is shown it, empty where nobody answers."""
        try:
            answer = requests.get(f"{self.url}/log/checkpoint", timeout=5)
        except requests.RequestException:
            return ""
        return answer.content.decode() if answer.ok else ""

    def _typed(self, *words: str, allowed: tuple[int, ...] = (0,)) -> int:
        """A command of the centre's, and its exit status."""
        done = subprocess.run(python("-m", "broker.cli", "witness", *words), capture_output=True, check=False)
        if done.returncode not in allowed:
            raise AssertionError(f"witness {words[0]}: {done.returncode} {done.stderr.decode(errors='replace')[-300:]}")
        return done.returncode


@contextmanager
def centre(broker: Broker, folder: Path) -> Iterator[Centre]:
    """Both processes, running."""
    found = Centre(broker, folder)
    try:
        found.start()
        yield found
    finally:
        found.stop()
