"""The same behaviours of a department's database: each as its true counterpart, over a real PostgreSQL and MariaDB.

What happens in SQL the table does itself (:mod:`broker.sandbox.front_database`), what happens below it a door
(:mod:`broker.sandbox.front_door`); the certificate is shown by the door for PostgreSQL, and by MariaDB itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from broker.core.answer import Reason, Reply, checked
from broker.core.catalog import Source
from broker.ports import Connection, Conversation
from broker.sandbox.door import CA_FILE
from broker.sandbox.front_database import SOURCE, FrontDatabase
from broker.sandbox.front_door import FrontDoor
from broker.sandbox.holdings import holdings
from broker.sandbox.mariadb import MariaDb
from broker.sandbox.population import populate
from broker.sandbox.servers import Postgres, fresh_database
from broker.transport.https import HttpsTransport
from tests.asking import CONNECTORS, SOURCES, answers_of, party, question
from tests.misbehaviour import PATIENT_MS

KINDS: Final = ("postgresql", "mariadb")
TABLE: Final[Mapping[str, Reason]] = {  # what the table is told, and what must come of it
    "ok": Reason.VALID,
    "slow": Reason.VALID,
    "hang": Reason.LATE,
    "after_lease": Reason.LATE,
    "huge": Reason.MALFORMED,
    "error500": Reason.SOURCE_DOWN,
    "empty": Reason.NOT_FOUND,
    "malformed": Reason.MALFORMED,
    "nan": Reason.MALFORMED,
    "gbk": Reason.MALFORMED,
    "schema": Reason.CATALOGUE_DRIFT,
    "not_permitted": Reason.NOT_PERMITTED,
    "throttled": Reason.THROTTLED,
    "wrong_person": Reason.WRONG_PERSON,
    "ambiguous": Reason.AMBIGUOUS,
    "stale": Reason.STALE,
    "future": Reason.UNTRUSTED,
    "ended": Reason.CANCELLED,
    "contradiction": Reason.NOT_FOUND,
}
DOOR: Final[Mapping[str, Mapping[str, Reason]]] = {  # by behaviour: what the door is told, and what must come of it
    "refuse": {"refuse": Reason.SOURCE_DOWN},
    "reset": {"reset": Reason.SOURCE_DOWN},
    "hang": {"speechless": Reason.LATE, "silent": Reason.LATE},
    "drip": {"drip": Reason.LATE},
    "error503": {"error503": Reason.SOURCE_DOWN},
    "page": {"page": Reason.SOURCE_DOWN},
    "tls_wrong_ca": {"tls_wrong_ca": Reason.UNTRUSTED},
    "tls_expired": {"tls_expired": Reason.UNTRUSTED},
    "tls_wrong_name": {"tls_wrong_name": Reason.UNTRUSTED},
}
OTHERWISE: Final[Mapping[tuple[str, str], Reason]] = {
    ("mariadb", "schema"): Reason.NOT_PERMITTED,  # who may not see a column is not told whether there is one
}
NOT_APPLICABLE: Final[Mapping[str, str]] = {
    "twice": "a database answers within one exchange; bytes that nobody asked for are no answer but a broken protocol",
    "replay": "the rows of another question are rows about another person: wrong_person",
    "redirect": "neither protocol can send a client elsewhere",
    "bomb": "compression is agreed on when connecting, and never asked for; a value that is too large is huge",
    "throttled_after": "no database says when to come back",
    "throttled_date": "no database says when to come back",
    "throttled_long": "no database says when to come back",
    "drip_headers": "neither protocol has headers: drip gives all that a server says byte by byte",
    "tls_slow": "TLS begins within the protocol: drip and hang hold up the handshake as they do the rest",
    "duplicate_keys": "columns are asked for by name, and a table has each name once",
    "unsigned": "rows carry no signature; who speaks is proved by TLS",
    "wrong_key": "rows carry no signature; who speaks is proved by TLS",
    "undecided": "a table asks no holder",
    "refused": "a table asks no holder",
    "secret_expired": "an account has no working secret that ends by itself; a changed password is AUTHENTICATION",
}
NOT_APPLICABLE_TO: Final[Mapping[tuple[str, str], str]] = {
    ("mariadb", "nan"): "its columns hold finite numbers only: what divides by zero is NULL",
}

WAYS: Final = [
    *(("table", name, name) for name in TABLE),
    *(("door", behaviour, told) for behaviour, tolds in DOOR.items() for told in tolds),
]
"""Where, which behaviour, and what is told there."""
CASES: Final = [(kind, *way) for kind in KINDS for way in WAYS if (kind, way[1]) not in NOT_APPLICABLE_TO]


def expected(kind: str, place: str, behaviour: str, told: str) -> Reason:
    """What must come of it."""
    return OTHERWISE.get((kind, told), TABLE[behaviour] if place == "table" else DOOR[behaviour][told])


@dataclass
class FrontStand:
    """One department's database behind its door, and a broker's way there."""

    kind: str
    server: Postgres | MariaDb
    database: FrontDatabase
    door: FrontDoor
    certificates: Mapping[str, Path]
    connection: Connection
    population: Mapping[str, Any]
    transport: HttpsTransport

    def meet(self, place: str, told: str, budget_ms: int) -> tuple[Reason, float]:
        """Let it misbehave, ask about somebody it knows, and let it behave again; the reason, and the seconds."""
        self.transport.close()  # the connections that there are; the next ones are made as things will stand then
        if told in {"contradiction", "reset", "speechless"}:  # the answer before; a connection that stands
            self.ask(budget_ms)
        self._tell(place, told)
        try:
            began = time.monotonic()
            reason = self.ask(budget_ms)
            return reason, time.monotonic() - began
        finally:
            self._tell(place, "ok")

    def ask(self, budget_ms: int = PATIENT_MS) -> Reason:
        """The answer as things stand."""
        source, now = replace(SOURCES[SOURCE], budget_ms=budget_ms), datetime.now(UTC)
        asked = question(SOURCE, source.forms[0], party(self.population["roles"]["person_single"]))
        conversation = CONNECTORS[source.connector].ask(asked, source, self.connection, now)
        return checked(asked, answers_of(self.transport.converse(source, [conversation]))[0], source, now).reason

    def _tell(self, place: str, told: str) -> None:
        if place == "table":
            self.database.behave(told)
        elif isinstance(self.server, MariaDb) and (told.startswith("tls_") or told == "ok"):
            self.server.present(self.certificates[told])
            self.door.behave("ok")
        else:
            self.door.behave(told)


@dataclass
class FrontRoad:
    """The stand as a road for the contract's vectors."""

    stand: FrontStand
    connections: dict[str, Connection]

    @property
    def roles(self) -> Mapping[str, Any]:
        """The named people and companies."""
        roles: Mapping[str, Any] = self.stand.population["roles"]
        return roles

    def behave(self, platform: str, behaviour: str) -> None:
        """Tell the table."""
        self.stand.database.behave(behaviour)

    def send(self, source: Source, conversation: Conversation) -> Reply:
        """Let the real transport drive it."""
        return self.stand.transport.converse(source, [conversation])[0]


def front_road(stand: FrontStand) -> FrontRoad:
    """The road to this stand."""
    return FrontRoad(stand, {stand.connection.platform: stand.connection})


@contextmanager
def front_stand(server: Postgres | MariaDb, certificates: Mapping[str, Path]) -> Iterator[FrontStand]:
    """A new database on this server, filled, with its door before it."""
    population, postgres = populate(1), isinstance(server, Postgres)
    url = server.fresh_database() if isinstance(server, MariaDb) else fresh_database(server)
    database = FrontDatabase(url, holdings(population))
    password = "0123456789abcdef"
    database.install(password)
    door = FrontDoor(urlsplit(url).port or 0, postgres=postgres, certificates=certificates if postgres else None)
    database.port = door.port
    options = {"services": {SOURCE: database.service}}
    connection = Connection("city-front", f"{database.endpoint}?tls=verify", {"password": password}, options)
    kind = "postgresql" if postgres else "mariadb"
    transport = HttpsTransport(ca_file=str(certificates["ok"].parent / CA_FILE))
    try:
        yield FrontStand(kind, server, database, door, certificates, connection, population, transport)
    finally:
        transport.close()
        door.close()
        database.close()
