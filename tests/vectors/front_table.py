"""The situations of a front-end exchange table."""

from __future__ import annotations

import orjson

from broker.core.answer import Reason
from broker.core.catalog import Form, Source
from tests.vectors.vector import Vector

DEPOSIT = "hf-front-deposit"
Q, V, F = Form.QUERY, Form.VERIFY, Form.FILE

VECTORS = (
    Vector("held", DEPOSIT, Q, "person_single", Reason.VALID),
    Vector("held", DEPOSIT, V, "person_single", Reason.VALID),
    Vector("not-held", DEPOSIT, Q, "person_retired", Reason.CANCELLED),
    Vector("ambiguous", DEPOSIT, Q, "person_single", Reason.AMBIGUOUS, "ambiguous"),
    Vector("not-found", DEPOSIT, Q, "stranger", Reason.NOT_FOUND),
    Vector("misnamed", DEPOSIT, V, "misnamed", Reason.NOT_FOUND),
    Vector("wrong-person", DEPOSIT, Q, "person_single", Reason.WRONG_PERSON, "wrong_person"),
    Vector("stale", DEPOSIT, Q, "person_single", Reason.STALE, "stale"),
    Vector("future", DEPOSIT, Q, "person_single", Reason.UNTRUSTED, "future"),
    Vector("malformed", DEPOSIT, Q, "person_single", Reason.MALFORMED, "malformed"),
    Vector("not-permitted", DEPOSIT, Q, "person_single", Reason.NOT_PERMITTED, "not_permitted"),
    Vector("moved", DEPOSIT, Q, "person_single", Reason.CATALOGUE_DRIFT, "ok", (), (("services", {DEPOSIT: "GONE"}),)),
    Vector(
        "injected", DEPOSIT, Q, "person_single", Reason.NOT_CONFIGURED, "ok", (), (("services", {DEPOSIT: 'T"; --'}),)
    ),
    Vector("file", DEPOSIT, F, "person_single", Reason.NOT_CONFIGURED),
)


def business_part(body: bytes, source: Source) -> object:
    """The columns of the condition and their values."""
    return orjson.loads(body)
