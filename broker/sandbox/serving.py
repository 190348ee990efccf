"""One simulated platform as a process: granian, one worker, raw WSGI; and the levers that make it misbehave.

``POST /_sandbox/behaviour {"behaviour": …, "delay_ms": …, "source": …}`` changes what happens from now on, to one
source or to all (:mod:`broker.sandbox.behaviours`); ``GET /_sandbox/calls`` counts what was asked;
``POST /_sandbox/reset`` forgets both; ``GET /_sandbox/door`` says how the platform's door shall be.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import yaml
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from broker.core.errors import OperatorProblem
from broker.sandbox.behaviours import AFTER_LEASE_SECONDS, BEHAVIOURS, HANG_SECONDS, Place, on_the_road
from broker.sandbox.certshare_platform import Account, CertSharePlatform
from broker.sandbox.configured import MORE, SHIPPED, described, hold
from broker.sandbox.door import WIRE_HEADER
from broker.sandbox.exchange_platform import ExchangePlatform
from broker.sandbox.gateway_platform import ShandongGateway, ZhejiangGateway
from broker.sandbox.holdings import Holdings, holdings
from broker.sandbox.license_platform import LicensePlatform
from broker.sandbox.platform import Call, Platform, Reply
from broker.signing import keys
from broker.signing.sm2 import Sm2Signer

FOLDER_VARIABLE: Final = "SANDBOX_FOLDER"
PLATFORM_VARIABLE: Final = "SANDBOX_PLATFORM"
THREADS: Final = 64  # a hanging source keeps its threads; twice what one broker process asks at a time
COUNTED_LOOKUPS: Final = 500_000  # a long benchmark must not fill the memory
_EVERY: Final = "*"
_PR_SET_PDEATHSIG: Final = 1

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Levers:
    """How to behave towards whom, and what was asked so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._behaviours: dict[str, tuple[str, float]] = {}
        self._told: dict[str, tuple[str, Reply]] = {}  # by source: the last reply and the lookup it was for
        self._known: dict[str, bool] = {}  # by source: whether a contradiction's last answer knew the record
        self._services: Counter[str] = Counter()
        self._lookups: Counter[str] = Counter()

    def set(self, wish: dict[str, Any]) -> None:
        """Take over one wish; KeyError for a behaviour nobody knows."""
        behaviour = wish.get("behaviour", "ok")
        if behaviour not in BEHAVIOURS:
            raise KeyError(behaviour)
        with self._lock:
            self._behaviours[wish.get("source") or _EVERY] = (behaviour, wish.get("delay_ms", 0) / 1000)
            self._known.clear()

    def reset(self) -> None:
        """Behave, and forget the counts."""
        with self._lock:
            self._behaviours.clear()
            self._services.clear()
            self._lookups.clear()
            self._told.clear()

    def behaviour(self, source: str) -> tuple[str, float]:
        """Name and delay in seconds."""
        return self._behaviours.get(source) or self._behaviours.get(_EVERY) or ("ok", 0.0)

    def lie(self, source: str) -> str:
        """As :meth:`behaviour`, but that of a contradiction every second answer is true."""
        name = self.behaviour(source)[0]
        return "ok" if name == "contradiction" and not self._known.get(source, False) else name

    def door(self) -> str:
        """What the door shall do: it cannot know for which source somebody knocks, so any source's wish counts."""
        names = [name for name, _ in self._behaviours.copy().values()]
        return next((name for name in names if BEHAVIOURS[name].place is Place.DOOR), "ok")

    def remember(self, reply: Reply, lookup: str) -> None:
        """Keep what was answered last, and that it was."""
        if reply.source and lookup:
            with self._lock:
                self._known[reply.source] = not self._known.get(reply.source, False)
                self._told[reply.source] = (lookup, reply)

    def last_of_others(self, reply: Reply, lookup: str) -> Reply:
        """The last reply to another lookup of the same source, or this one where there is none."""
        told = self._told.get(reply.source)
        return reply if told is None or told[0] == lookup else told[1]

    def count(self, source: str, lookup: str) -> None:
        """One more call of a source on behalf of a lookup; what the platform itself turned away counts for nobody."""
        if not source:
            return
        with self._lock:
            self._services[source] += 1
            if lookup and len(self._lookups) < COUNTED_LOOKUPS:
                self._lookups[lookup] += 1

    def calls(self) -> dict[str, dict[str, int]]:
        """The counts so far."""
        with self._lock:
            return {"services": dict(self._services), "lookups": dict(self._lookups)}


class Application:
    """The WSGI callable around one platform."""

    def __init__(self, platform: Platform, levers: Levers | None = None) -> None:
        self._platform = platform
        self._levers = levers or Levers()

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Answer a control request, or a caller of the platform."""
        path, body = environ["PATH_INFO"], environ["wsgi.input"].read()
        if path.startswith("/_sandbox/"):
            return self._control(path, body, start)
        headers = {key[5:].lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
        headers.setdefault("content_type", environ.get("CONTENT_TYPE", ""))  # the one that WSGI keeps apart
        method, query = environ.get("REQUEST_METHOD", "POST"), environ.get("QUERY_STRING", "")
        call = Call(path, headers, body, time.time(), method, query)
        reply = self._platform.handle(call, self._levers.lie)
        lookup = headers.get("x_request_id", "")
        self._levers.count(reply.source, lookup)
        return self._send(reply, lookup, start)

    def _control(self, path: str, body: bytes, start: StartResponse) -> Iterable[bytes]:
        if path == "/_sandbox/calls":
            return _respond(start, "200 OK", orjson.dumps(self._levers.calls()))
        if path == "/_sandbox/door":
            return _respond(start, "200 OK", orjson.dumps({"door": self._levers.door()}))
        if path == "/_sandbox/reset":
            self._levers.reset()
            return _respond(start, "200 OK", b"{}")
        try:
            self._levers.set(orjson.loads(body))
        except (KeyError, ValueError, TypeError, AttributeError):
            return _respond(start, "400 Bad Request", orjson.dumps({"behaviours": sorted(BEHAVIOURS)}))
        return _respond(start, "200 OK", b"{}")

    def _send(self, reply: Reply, lookup: str, start: StartResponse) -> Iterable[bytes]:
        name, delay = self._levers.behaviour(reply.source)
        if delay:
            time.sleep(delay)
        if name in _SILENT:
            self._keep_silent(reply.source, name)
        if name == "replay":
            reply = self._levers.last_of_others(reply, lookup)
        self._levers.remember(reply, lookup)
        status, headers, body = on_the_road(name, reply)
        if BEHAVIOURS[name].place is Place.WIRE:
            headers = [*headers, (WIRE_HEADER.decode(), name)]
        start(status, headers)
        return body

    def _keep_silent(self, source: str, name: str) -> None:
        ends = time.monotonic() + _SILENT[name]
        while self._levers.behaviour(source)[0] == name and time.monotonic() < ends:
            time.sleep(0.05)


_SILENT: Final = {"hang": HANG_SECONDS, "after_lease": AFTER_LEASE_SECONDS}


def _respond(start: StartResponse, status: str, body: bytes, kind: str = "application/json") -> list[bytes]:
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def application() -> Application:
    """What granian's worker loads: the platform that the environment names."""
    _die_with_parent()
    folder, name = Path(os.environ[FOLDER_VARIABLE]), os.environ[PLATFORM_VARIABLE]
    connection = yaml.safe_load((folder / "platforms.yaml").read_text(encoding="utf-8"))["platforms"][name]
    return Application(platform_from(connection, folder))


def platform_from(connection: Mapping[str, Any], folder: Path) -> Platform:
    """The far end of a connection: it accepts exactly the credentials and services that the connection file has."""
    population = orjson.loads((folder / "population.json").read_bytes())
    held, more = holdings(population), described(SHIPPED, folder / MORE)
    hold(more, population, held)
    told = {name: _credential(value, folder) for name, value in connection["credentials"].items()}
    options = connection["options"]
    if connection["connector"] == "certshare":
        private = keys.load_private(told["private_key"].encode())
        if not isinstance(private, Sm2Signer):
            raise OperatorProblem("key.unusable", expected="an SM2 key")
        encrypt = private.verifier().encrypt
        account = Account(told["account"], told["password"], encrypt, options["services"])
        return CertSharePlatform(account, held, connection["endpoint"].rpartition("/")[0])
    if connection["connector"] == "license_v1":
        return LicensePlatform(told, options["services"], held)
    if connection["connector"] == "open_gateway":
        return _gateway(told, options, held)
    return ExchangePlatform(
        rid=told["rid"],
        app_key=told["app_key"],
        ident_key=told["ident_key"],
        options=options,
        held=held,
        described={source: one for source, one in more.items() if "ask" in one},
    )


def _gateway(told: Mapping[str, str], options: Mapping[str, Any], held: Holdings) -> Platform:
    if options["scheme"] == "shandong":
        return ShandongGateway(told["client_id"], told["secret"], options["services"], held)
    return ZhejiangGateway(told["app_key"], told["app_secret"], options["services"], held)


def _credential(value: str | Mapping[str, str], folder: Path) -> str:
    return value if isinstance(value, str) else (folder / value["file"]).read_text(encoding="utf-8").strip()


def serve(folder: Path, name: str, port: int, address: str = "127.0.0.1") -> None:
    """Run one platform until SIGTERM, or until the other end of standard input is gone with our parent."""
    os.environ |= {FOLDER_VARIABLE: str(folder), PLATFORM_VARIABLE: name}
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    Granian(
        "broker.sandbox.serving:application",
        address=address,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=THREADS,
        factory=True,
        log_level=LogLevels.error,
        workers_kill_timeout=1,
    ).serve()


def _leave_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _die_with_parent() -> None:
    """A granian worker outlives a killed granian otherwise (Linux only; elsewhere it is merely untidy)."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return
