"""The simulated authoritative sources: processes, a database, the broker's connection file, and the population.

::

    with Sandbox(folder, seed=1) as sandbox:
        sandbox.connections          # platforms.yaml, for the broker
        sandbox.behave("sd-exchange", "slow", delay_ms=300, source="nr-title")
        sandbox.stop_platform("sd-certshare")
"""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, Self

import yaml

from broker.core.envelope import Algorithm
from broker.core.identifiers import credit_check_digit
from broker.sandbox.behaviours import BEHAVIOURS, Place
from broker.sandbox.configured import MORE, SHIPPED, described, on
from broker.sandbox.door import CA_FILE, Door, make_certificates
from broker.sandbox.front_database import FrontDatabase
from broker.sandbox.holdings import holdings, type_code
from broker.sandbox.population import Entry, populate
from broker.signing import keys

LOOPBACK: Final = "127.0.0.1"
READY_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0

_CERTIFICATES: Final = (
    "ecert-business-licence",
    "ecert-id-card",
    "ecert-real-estate-title",
    "ecert-real-estate-registration",
    "ecert-household-register",
    "ecert-marriage",
    "ecert-food-licence",
    "ecert-safety-officer",
)
_NATIONAL: Final = {
    "ps-identity": "s_1200000900000_2109",
    "ps-base": "s_1200000900000_2108",
    "mca-marriage": "s_1200000900000_9001",
    "mca-subsistence": "s_1200000900000_9002",
    "mca-cremation": "s_1200000900000_9003",
}
_PROVINCIAL: Final = (
    "samr-enterprise",
    "nr-title",
    "nr-house-count",
    "hc-contract",
    "tx-deed-tax",
    "hs-insurance",
    "hs-retirement",
    "nhc-death",
    "nhc-birth",
)
PLATFORMS: Final = ("sd-certshare", "gj-exchange", "sd-exchange", "gd-license", "sd-open", "zj-open")
FRONT: Final = "city-front"
"""The platform that is no process but a database."""
POLICE: Final = "ps-orders"
"""The platform that is people: nothing runs for it, and whoever uses the sandbox answers their work orders."""
POLICE_UNIT: Final = (_police := "11370400MB0000020") + credit_check_digit(_police)
"""Credit code of the police who answer, in every region: invented, with a right check digit."""
_REGIONS: Final = ("370400", "371083")


LEVERS_FILE: Final = "levers.json"
"""Where each platform's levers are, for whoever stands outside: port, whether it has a door, and its sources."""
_NEED_DOORS: Final = frozenset({Place.DOOR, Place.WIRE})


class SandboxUnavailable(RuntimeError):
    """A platform did not start; the message names it and where its output is."""


class Sandbox:
    """All platforms, started and stopped together or one by one; they die with the process that started them."""

    def __init__(
        self,
        folder: Path,
        seed: int = 1,
        ports: Mapping[str, int] | None = None,
        host: str = LOOPBACK,
        *,
        doors: bool = False,
        front: str | None = None,
    ) -> None:
        """``host`` is the name under which the broker reaches them; any but the loopback opens all addresses.

        ``folder`` takes the files; ports not chosen are free ones, and stay the same for this sandbox. With ``doors``
        the platforms are reached by TLS under :attr:`ca_file`, and can misbehave below HTTP as well. ``front`` is the
        owner's URL of an empty PostgreSQL database for the front-end table, which otherwise is an SQLite file.
        """
        self.folder = folder
        self.host = host
        self.connections = folder / "platforms.yaml"
        self.population: Entry = populate(seed)
        chosen = dict(ports or {})
        self._ports = chosen | _free_ports([name for name in PLATFORMS if name not in chosen])
        self._inner = _free_ports(PLATFORMS) if doors else self._ports
        self._doors: dict[str, Door] = {}
        self._with_doors = doors
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.front = FrontDatabase(front or f"sqlite:///{folder.absolute() / 'front.db'}", holdings(self.population))

    def start(self) -> Self:
        """Write the files, start every platform, and wait until each answers."""
        self.write_files()
        for name in PLATFORMS:
            self._spawn(name)
        for name in PLATFORMS:
            self._wait_until_ready(name)
        self._open_doors()
        return self

    @property
    def ca_file(self) -> Path:
        """The authority of the doors' certificates."""
        return self.folder / CA_FILE

    def stop(self) -> None:
        """Stop every platform; the files stay."""
        for door in self._doors.values():
            door.stop()
        self._doors.clear()
        for name in PLATFORMS:
            self.stop_platform(name)
        self.front.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop_platform(self, name: str) -> None:
        """Take one platform away, as an outage does; nothing happens when it is not running."""
        process = self._running.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def restart_platform(self, name: str) -> None:
        """Stop it if it runs and start it again on the same port, with its memory (secrets, counts) gone."""
        self.stop_platform(name)
        self._spawn(name)
        self._wait_until_ready(name)

    def url(self, name: str) -> str:
        """Where a platform listens, without a path."""
        scheme = "https" if self._with_doors else "http"
        return f"{scheme}://{self.host}:{self._ports[name]}"

    def behave(self, name: str, behaviour: str, *, source: str | None = None, delay_ms: int = 0) -> None:
        """Change how a platform treats one of its sources, or all of them; names in :mod:`.behaviours`."""
        if name == FRONT:
            self.front.behave(behaviour)
            return
        if behaviour in BEHAVIOURS and BEHAVIOURS[behaviour].place in _NEED_DOORS and not self._with_doors:
            raise ValueError(f"{behaviour} needs a sandbox with doors")
        self._control(name, "POST", "behaviour", {"behaviour": behaviour, "source": source, "delay_ms": delay_ms})

    def calls(self, name: str) -> dict[str, dict[str, int]]:
        """``{"services": {source: count}, "lookups": {lookup id: count}}`` since the start or the last reset."""
        found: dict[str, dict[str, int]] = self._control(name, "GET", "calls")
        return found

    def reset(self) -> None:
        """Every running platform behaves again and forgets its counts."""
        self.front.behave("ok")
        for name in self._running:
            self._control(name, "POST", "reset")

    def _control(self, name: str, method: str, lever: str, wish: Mapping[str, object] | None = None) -> Any:
        return control(self._inner[name], method, lever, wish)

    def _open_doors(self) -> None:
        if not self._with_doors:
            return
        shown = make_certificates(self.folder)
        for name in PLATFORMS:
            self._doors[name] = Door(self._ports[name], self._inner[name], shown, partial(self._told, name))
            self._doors[name].start()

    def _told(self, name: str) -> str:
        """How a platform wants its door; as always, while it is away."""
        try:
            return str(self._control(name, "GET", "door")["door"])
        except OSError:
            return "ok"

    def write_files(self) -> None:
        """The population, the credentials and the connection file; existing credentials stay."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "population.json").write_text(
            json.dumps(self.population, ensure_ascii=False, indent=1), encoding="utf-8"
        )
        platforms = {name: self._connection(name) for name in PLATFORMS}
        levers = {
            name: {
                "port": self._inner[name],
                "doors": self._with_doors,
                "sources": sorted(entry["options"]["services"]),
            }
            for name, entry in platforms.items()
        }
        (self.folder / LEVERS_FILE).write_text(json.dumps(levers, indent=1), encoding="utf-8")
        document = {"platforms": platforms | {FRONT: self._front(), POLICE: self._police()}}
        self.connections.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")

    def _connection(self, name: str) -> dict[str, Any]:
        written: Mapping[str, Callable[[str], dict[str, Any]]] = {
            "sd-certshare": self._certshare,
            "gd-license": self._license,
            "sd-open": self._shandong,
            "zj-open": self._zhejiang,
        }
        return written.get(name, self._exchange)(name)

    def _exchange(self, name: str) -> dict[str, Any]:
        national = name == "gj-exchange"
        services = _NATIONAL if national else {source: f"sd_{source}" for source in _PROVINCIAL}
        services = {**services, **self._described(name)}
        return {
            "connector": "exchange",
            "endpoint": self.url(name),
            "credentials": {
                "rid": f"rid_{name}",
                "app_key": self._secret(f"{name}.app-key"),
                "ident_key": self._secret(f"{name}.ident-key"),
            },
            "options": {
                "prefix": "gjgxjhpt" if national else "sdjhpt",
                "secret_path": "/sysapi/auth/refreshappsecret" if national else "/sysapi/refreshappsecret",
                "proxy_path": "/httpproxy" if national else "/gateway/httpproxy",
                "wsproxy_path": "/wsproxy" if national else "/gateway/wsproxy",
                "system": {"code": "370400-BROKER", "name": "数据共享免提交平台"},
                "services": dict(services),
            },
        }

    def _certshare(self, name: str) -> dict[str, Any]:
        return {
            "connector": "certshare",
            "endpoint": f"{self.url(name)}/CertShare",
            "credentials": {
                "account": "demo-broker",
                "password": self._secret(f"{name}.password"),
                "private_key": self._key(f"{name}.sm2.pem"),
            },
            "options": {
                "use_cause": "object",
                "services": {**{source: type_code(source) for source in _CERTIFICATES}, **self._described(name)},
            },
        }

    def _described(self, platform: str) -> dict[str, str]:
        """The services of a platform that files describe, the shipped one and the folder's own."""
        return {key: one["service"] for key, one in on(platform, described(SHIPPED, self.folder / MORE)).items()}

    def _license(self, name: str) -> dict[str, Any]:
        return {
            "connector": "license_v1",
            "endpoint": f"{self.url(name)}/license-app/v1",
            "credentials": {
                "app_key": f"app_{name}",
                "app_secret": self._secret(f"{name}.app-secret"),
                "account": "demo-broker",
                "password": self._secret(f"{name}.password"),
            },
            "options": {
                "operator": {"role": "综合窗口", "division": "模拟市", "division_code": "370499"},
                "session_codes": ["TOKEN_INVALID"],
                "codes": {
                    "PARAM_ERROR": "unknown.question-refused",
                    "NO_PERMISSION": "unknown.not-permitted",
                    "CREDENTIAL_INVALID": "unknown.not-permitted",
                    "LOGIN_FAILED": "unknown.authentication",
                },
                "services": {"gd-business-licence": "100001001"},
            },
        }

    def _shandong(self, name: str) -> dict[str, Any]:
        return {
            "connector": "open_gateway",
            "endpoint": f"{self.url(name)}/gateway/api/1",
            "credentials": {"client_id": f"client_{name}", "secret": self._secret(f"{name}.secret")},
            "options": {"scheme": "shandong", "services": {"sdo-enterprise": "sdo-enterprise"}},
        }

    def _zhejiang(self, name: str) -> dict[str, Any]:
        return {
            "connector": "open_gateway",
            "endpoint": self.url(name),
            "credentials": {"app_key": f"AK_{name}", "app_secret": self._secret(f"{name}.app-secret")},
            "options": {
                "scheme": "zhejiang",
                "services": {"zj-insurance": "gateway/api/001003001/dataSharing/zj-insurance.htm"},
            },
        }

    def _front(self) -> dict[str, Any]:
        """The database is made anew with each writing of the files."""
        password = self._secret(f"{FRONT}.password")
        self.front.install((self.folder / password["file"]).read_text(encoding="ascii"))
        return {
            "connector": "front_table",
            "endpoint": self.front.endpoint,
            "credentials": {"password": password} if self.front.has_accounts else {},
            "options": {"services": {"hf-front-deposit": self.front.service}},
        }

    def _police(self) -> dict[str, Any]:
        units = dict.fromkeys(_REGIONS, POLICE_UNIT)
        return {
            "connector": "work_order",
            "endpoint": "",
            "credentials": {},
            "options": {"units": units, "services": {}},
        }

    def _secret(self, name: str) -> dict[str, str]:
        path = self.folder / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(16), encoding="ascii")
        return {"file": name}

    def _key(self, name: str) -> dict[str, str]:
        path = self.folder / name
        if not path.exists():
            keys.save_private(path, keys.generate(Algorithm.SM2))
        return {"file": name}

    def _spawn(self, name: str) -> None:
        argv = [sys.executable, "-m", "broker.sandbox", "--folder", str(self.folder), "--platform", name]
        with (self.folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                [*argv, "--port", str(self._inner[name]), "--host", LOOPBACK if self._with_doors else self.host],
                stdin=subprocess.PIPE,  # its end of file tells the child that we are gone
                stdout=log,
                stderr=log,
            )

    def _wait_until_ready(self, name: str) -> None:
        ends = time.monotonic() + READY_SECONDS
        while time.monotonic() < ends and self._running[name].poll() is None:
            try:
                self.calls(name)
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise SandboxUnavailable(f"{name} does not answer; see {name}.log in the sandbox's folder")


def behave(folder: Path, source: str, behaviour: str, delay_ms: int = 0) -> None:
    """Tell a running sandbox, whoever started it, how a source shall behave. ``ValueError`` says what is wrong."""
    platforms = json.loads((folder / LEVERS_FILE).read_text(encoding="utf-8"))
    entry = next((one for one in platforms.values() if source in one["sources"]), None)
    if entry is None:
        raise ValueError(f"no platform of this sandbox carries {source}")
    if behaviour not in BEHAVIOURS:
        raise ValueError(f"no behaviour {behaviour}")
    if BEHAVIOURS[behaviour].place in _NEED_DOORS and not entry["doors"]:
        raise ValueError(f"{behaviour} needs a sandbox with doors")
    control(entry["port"], "POST", "behaviour", {"behaviour": behaviour, "source": source, "delay_ms": delay_ms})


def control(port: int, method: str, lever: str, wish: Mapping[str, object] | None = None) -> Any:
    """Use a platform's lever. ``ValueError`` where it refuses, ``OSError`` where it is away."""
    connection = HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request(method, f"/_sandbox/{lever}", json.dumps(wish or {}))
        response = connection.getresponse()
        document = json.loads(response.read())
    finally:
        connection.close()
    if response.status != 200:
        raise ValueError(f"the platform refuses {wish}: {document}")
    return document


def _free_ports(names: Sequence[str]) -> dict[str, int]:
    """Different free ports: all are held at once before any is given back."""
    held = [socket.create_server((LOOPBACK, 0)) for _ in names]
    try:
        return {name: server.getsockname()[1] for name, server in zip(names, held, strict=True)}
    finally:
        for server in held:
            server.close()
