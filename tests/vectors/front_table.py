"""The situations of a front-end exchange table."""

from __future__ import annotations

import orjson

from broker.core.answer import Reason
from broker.core.catalog import Form, Source
from tests.vectors.vector import Vector, situations

DEPOSIT = "hf-front-deposit"
Q, V, F = Form.QUERY, Form.VERIFY, Form.FILE

VECTORS = (
    *situations(DEPOSIT, Q, "person_single", not_held=Reason.CANCELLED),
    Vector("held", DEPOSIT, V, "person_single", Reason.VALID),
    Vector("cancelled", DEPOSIT, Q, "person_retired", Reason.CANCELLED),
    Vector("misnamed", DEPOSIT, V, "misnamed", Reason.NOT_FOUND),
    Vector("future", DEPOSIT, Q, "person_single", Reason.UNTRUSTED, "future"),
    Vector("moved", DEPOSIT, Q, "person_single", Reason.CATALOGUE_DRIFT, "ok", (), (("services", {DEPOSIT: "GONE"}),)),
    Vector(
        "injected", DEPOSIT, Q, "person_single", Reason.NOT_CONFIGURED, "ok", (), (("services", {DEPOSIT: 'T"; --'}),)
    ),
    Vector("file", DEPOSIT, F, "person_single", Reason.NOT_CONFIGURED),
)


def business_part(body: bytes, source: Source) -> object:
    """The columns of the condition and their values."""
    return orjson.loads(body)
