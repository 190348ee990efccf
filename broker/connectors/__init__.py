"""Connectors speak the sources' real protocols without doing I/O; one module per protocol family.

A *family* is code, a *source* is configuration on top (the ``options`` of the sharing list). To add a family, write a
class with the one method of :class:`broker.ports.Connector` and name it in :func:`connectors`.
"""

from __future__ import annotations

from broker.connectors.certshare import CertShare, Decrypt
from broker.connectors.exchange import Exchange
from broker.connectors.front_table import FrontTable
from broker.connectors.license_v1 import LicenseV1
from broker.connectors.open_gateway import OpenGateway
from broker.connectors.reading import AnswerOk
from broker.connectors.work_order import WorkOrders
from broker.core.working_days import Calendar
from broker.ports import Connector

__all__ = [
    "AnswerOk",
    "CertShare",
    "Decrypt",
    "Exchange",
    "FrontTable",
    "LicenseV1",
    "OpenGateway",
    "WorkOrders",
    "connectors",
]


def connectors(answer_ok: AnswerOk, sm2_decrypt: Decrypt, calendar: Calendar) -> dict[str, Connector]:
    """Every family under the name the sharing list gives it.

    ``answer_ok(source key, decoded business payload)`` checks against the source's answer schema;
    ``sm2_decrypt(private key PEM, C1‖C2‖C3)`` raises ``SourceProblem`` for a text that is not for this key;
    ``calendar`` counts the days in which a person answers.
    """
    return {
        "certshare": CertShare(answer_ok, sm2_decrypt),
        "exchange": Exchange(answer_ok),
        "license_v1": LicenseV1(answer_ok),
        "open_gateway": OpenGateway(answer_ok),
        "front_table": FrontTable(answer_ok),
        "work_order": WorkOrders(calendar),
    }
