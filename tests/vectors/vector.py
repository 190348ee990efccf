"""What a family's vectors are made of, and which situations every source must bring.

A family brings a module ``tests/vectors/<family>.py`` with two things::

    VECTORS: tuple[Vector, ...]                            of each source every situation, and whatever else
    def business_part(body: bytes, source: Source) -> object     what of a request the question schema describes

``tests/contract.py`` finds the modules by the names of ``connectors()``; nothing is listed by hand, but
``tests.asking.SILENT``: a family that sends nothing has no platform that could misbehave. ``CANNOT`` says what can not
happen at a source, and why; every other situation of every simulated source needs its vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.core.answer import Outcome, Reason
from broker.core.catalog import Form

COUPLE: Final = "couple_married"


@dataclass(frozen=True)
class Vector:
    """One situation: who is asked about where, how the platform behaves, and what must come of it.

    ``role`` is a role of the sandbox's population, or one that ``tests.contract.people`` knows; ``behaviour`` is a
    lever of the platform; ``credentials`` and ``options`` replace some of the connection's. With ``shown`` the holder
    shows a 用证码, and the question is asked again for as long as the answer is waited for.
    """

    name: str
    source: str
    form: Form
    role: str
    reason: Reason
    behaviour: str = "ok"
    credentials: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, object], ...] = ()
    shown: bool = False

    def __str__(self) -> str:
        return f"{self.source}-{self.form}-{self.name}"


SITUATIONS: Final[Mapping[str, frozenset[Reason]]] = {
    "held": frozenset({Reason.VALID}),
    "not-held": frozenset(reason for reason in Reason if reason.outcome is Outcome.NOT_HELD),
    "ambiguous": frozenset({Reason.AMBIGUOUS}),
    "not-found": frozenset({Reason.NOT_FOUND}),
    "wrong-person": frozenset({Reason.WRONG_PERSON}),
    "stale": frozenset({Reason.STALE, Reason.EXPIRED}),  # EXPIRED: a platform still calls valid what has run out
    "malformed": frozenset({Reason.MALFORMED}),
    "not-permitted": frozenset({Reason.NOT_PERMITTED}),
}
"""A vector's name that every source must have, and the reasons it may end in."""

_NO_TIME: Final = "the answer does not say from when its data are"
_NO_END: Final = "the certificate has no last day, and its platform tells no time of its data"
_RECORDS: Final = "it tells what is recorded, never that it holds no longer; the rows of the list judge the fields"
_UNDATED_RECORDS: Final = {"stale": _NO_TIME, "not-held": _RECORDS}
_ALWAYS_ONE: Final = "it answers with one record, whatever it knows"

CANNOT: Final[Mapping[str, Mapping[str, str]]] = {
    "ecert-household-register": {"stale": _NO_END},
    "ecert-marriage": {"stale": _NO_END},
    "ecert-real-estate-registration": {"stale": _NO_END},
    "ecert-real-estate-title": {"stale": _NO_END},
    "hc-contract": _UNDATED_RECORDS,
    "hs-insurance": {"not-held": _RECORDS, "ambiguous": _ALWAYS_ONE},
    "hs-personal": {"not-held": _RECORDS},
    "hs-retirement": {"not-held": _RECORDS, "ambiguous": _ALWAYS_ONE},
    "mca-cremation": _UNDATED_RECORDS,
    "mca-marriage": {"stale": _NO_TIME},
    "mca-special-poor": _UNDATED_RECORDS,
    "mca-subsistence": _UNDATED_RECORDS,
    "nhc-birth": {
        **_UNDATED_RECORDS,
        "wrong-person": "it names parents, and no number: the rows of the list compare the names",
    },
    "nhc-death": {"stale": _NO_TIME, "ambiguous": _ALWAYS_ONE},
    "nr-house-count": {"not-held": _RECORDS, "ambiguous": _ALWAYS_ONE},
    "nr-title": {"not-held": _RECORDS},
    "ps-base": {"stale": _NO_TIME},
    "ps-identity": {"stale": _NO_TIME},
    "tx-deed-tax": _UNDATED_RECORDS,
}
"""By source, which situation cannot happen there, and why; a test holds the technical ones to the source's options."""

LEVERS: Final[Mapping[str, tuple[str, Reason]]] = {
    "not-held": ("ended", Reason.REVOKED),
    "ambiguous": ("ambiguous", Reason.AMBIGUOUS),
    "wrong-person": ("wrong_person", Reason.WRONG_PERSON),
    "stale": ("stale", Reason.STALE),
    "malformed": ("malformed", Reason.MALFORMED),
    "not-permitted": ("not_permitted", Reason.NOT_PERMITTED),
}
"""The situations that a lever of the platform brings about, for whomever is asked about."""


def situations(source: str, form: Form, role: str, nobody: str = "stranger", **otherwise: Reason) -> tuple[Vector, ...]:
    """Every situation that can happen at a source, about somebody of whom it holds what is asked.

    ``nobody`` is of whom it holds nothing; ``otherwise`` names situations (``not_held``, ``stale`` …) that this
    source's protocol tells in other words.
    """
    told = {name.replace("_", "-"): reason for name, reason in otherwise.items()}
    cannot = CANNOT.get(source, {})
    pulled = [
        Vector(name, source, form, role, told.get(name, reason), lever)
        for name, (lever, reason) in LEVERS.items()
        if name not in cannot
    ]
    return (
        Vector("held", source, form, role, Reason.VALID),
        Vector("not-found", source, form, nobody, told.get("not-found", Reason.NOT_FOUND)),
        *pulled,
    )
