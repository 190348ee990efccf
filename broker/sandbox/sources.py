"""The simulated authoritative sources: one process per platform, the broker's connection file, and the population.

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
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, Self

import yaml

from broker.core.envelope import Algorithm
from broker.sandbox.holdings import type_code
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
PLATFORMS: Final = ("sd-certshare", "gj-exchange", "sd-exchange")


class SandboxUnavailable(RuntimeError):
    """A platform did not start; the message names it and where its output is."""


class Sandbox:
    """All platforms, started and stopped together or one by one; they die with the process that started them."""

    def __init__(
        self, folder: Path, seed: int = 1, ports: Mapping[str, int] | None = None, host: str = LOOPBACK
    ) -> None:
        """``host`` is the name under which the broker reaches them; any but the loopback opens all addresses.

        ``folder`` takes the files; ports not chosen are free ones, and stay the same for this sandbox.
        """
        self.folder = folder
        self.host = host
        self.connections = folder / "platforms.yaml"
        self.population: Entry = populate(seed)
        chosen = dict(ports or {})
        self._ports = chosen | _free_ports([name for name in PLATFORMS if name not in chosen])
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> Self:
        """Write the files, start every platform, and wait until each answers."""
        self.write_files()
        for name in PLATFORMS:
            self._spawn(name)
        for name in PLATFORMS:
            self._wait_until_ready(name)
        return self

    def stop(self) -> None:
        """Stop every platform; the files stay."""
        for name in PLATFORMS:
            self.stop_platform(name)

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
        return f"http://{self.host}:{self._ports[name]}"

    def behave(self, name: str, behaviour: str, *, source: str | None = None, delay_ms: int = 0) -> None:
        """Change how a platform treats one of its sources, or all of them."""
        self._control(name, "POST", "behaviour", {"behaviour": behaviour, "source": source, "delay_ms": delay_ms})

    def calls(self, name: str) -> dict[str, dict[str, int]]:
        """``{"services": {source: count}, "lookups": {lookup id: count}}`` since the start or the last reset."""
        found: dict[str, dict[str, int]] = self._control(name, "GET", "calls")
        return found

    def reset(self) -> None:
        """Every running platform behaves again and forgets its counts."""
        for name in self._running:
            self._control(name, "POST", "reset")

    def _control(self, name: str, method: str, lever: str, wish: Mapping[str, object] | None = None) -> Any:
        connection = HTTPConnection(LOOPBACK, self._ports[name], timeout=5)
        try:
            connection.request(method, f"/_sandbox/{lever}", json.dumps(wish or {}))
            response = connection.getresponse()
            document = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(f"{name} refuses {wish}: {document}")
        return document

    def write_files(self) -> None:
        """The population, the credentials and the connection file; existing credentials stay."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "population.json").write_text(
            json.dumps(self.population, ensure_ascii=False, indent=1), encoding="utf-8"
        )
        document = {"platforms": {name: self._connection(name) for name in PLATFORMS}}
        self.connections.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")

    def _connection(self, name: str) -> dict[str, Any]:
        if name == "sd-certshare":
            return self._certshare(name)
        national = name == "gj-exchange"
        services = _NATIONAL if national else {source: f"sd_{source}" for source in _PROVINCIAL}
        return {
            "connector": "exchange",
            "endpoint": self.url(name),
            "credentials": {"rid": f"rid_{name}", "app_key": self._secret(f"{name}.app-key")},
            "options": {
                "prefix": "gjgxjhpt" if national else "sdjhpt",
                "secret_path": "/sysapi/auth/refreshappsecret" if national else "/sysapi/refreshappsecret",
                "proxy_path": "/httpproxy" if national else "/gateway/httpproxy",
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
                "services": {source: type_code(source) for source in _CERTIFICATES},
            },
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
                [*argv, "--port", str(self._ports[name]), "--host", self.host],
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


def _free_ports(names: Sequence[str]) -> dict[str, int]:
    """Different free ports: all are held at once before any is given back."""
    held = [socket.create_server((LOOPBACK, 0)) for _ in names]
    try:
        return {name: server.getsockname()[1] for name, server in zip(names, held, strict=True)}
    finally:
        for server in held:
            server.close()
