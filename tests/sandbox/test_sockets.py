"""Tests with real servers reach this machine and nothing else."""

from __future__ import annotations

import socket

import pytest
import pytest_socket

SOMEWHERE_ELSE = "192.0.2.1"  # TEST-NET-1 (RFC 5737): nobody's address


@pytest.mark.filterwarnings("ignore:A test tried to use")
def test_a_test_with_servers_cannot_leave_the_machine() -> None:
    with socket.socket() as client, pytest.raises(pytest_socket.SocketConnectBlockedError):
        client.connect((SOMEWHERE_ELSE, 443))
