"""The web server with a certificate of its own, for a proxy on another machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.flow.test_cli import Desk, desk
from tests.flow.test_sandbox_transport import certificate

__all__ = ["certificate", "desk"]  # fixtures
_PATIENCE = 60.0  # seconds, for a machine that does much else


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answered(url: str, authority: Path) -> requests.Response:
    """The first answer of a server that is starting."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return requests.get(url, timeout=5, verify=str(authority))
        except requests.exceptions.SSLError:
            raise
        except requests.ConnectionError:
            assert time.monotonic() < until, "the server did not come"
            time.sleep(0.1)


def test_the_server_speaks_tls_with_its_certificate_and_no_plain_http(desk: Desk, certificate: Path) -> None:
    """Certificate and key may stand in one file."""
    port = free_port()
    settings = {
        "BROKER_PORT": str(port), "BROKER_PUBLIC_URL": "https://broker.example",
        "BROKER_TLS_CERTIFICATE_FILE": str(certificate), "BROKER_TLS_KEY_FILE": str(certificate),
    }  # fmt: skip
    command = [sys.executable, "-m", "broker.cli", "serve"]
    with subprocess.Popen(command, env=os.environ | desk.settings | settings, start_new_session=True) as server:
        try:
            answer = answered(f"https://localhost:{port}/health", certificate)
            assert answer.json() == {"status": "alive"}
            with pytest.raises(requests.ConnectionError):
                requests.get(f"http://127.0.0.1:{port}/health", timeout=5)
        finally:
            os.killpg(
                server.pid, signal.SIGKILL
            )  # its processes with it; how they end by themselves is tested elsewhere
