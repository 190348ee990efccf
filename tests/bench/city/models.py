"""The models: every item and scene of the shipped list, asked for and decided by the real flow, with mixed answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from broker.connectors import WorkOrders
from broker.core.answer import Question, Reason, Reply
from broker.core.catalog import Catalog
from broker.core.errors import Problem
from broker.core.figures import Counted, counted
from broker.core.working_days import Calendar
from broker.flow import register
from broker.flow.sequence import indexed
from broker.ports import Client, Connection, Connector
from broker.ports.proof import MATERIAL
from broker.store.tables import milliseconds
from tests.flow import kit

SYSTEMS = 8
_GRANTS = 12  # of each system but the first, which has one for every source
_EVERY = 3  # of the list's items and scenes: some two hundred models
LEFT = (
    "entry",
    "entry_queue",
    "log_leaf",
    "log_index",
    "log_named",
    "log_tile",
    "log_checkpoint",
    "verification",
    "lookup",
    "case_file",
    "work_order",
    "nonce",
    "grant_usage",
    "source_health",
    "source_gate",
)  # by them, beside lists, systems and grants


@dataclass(frozen=True)
class Model:
    """One verification with its lookups and entries, as rows; moments are milliseconds."""

    verification: Mapping[str, Any]
    case: Mapping[str, Any]
    request: bytes  # plain
    lookups: Sequence[Mapping[str, Any]]
    questions: Sequence[bytes]  # plain, as the lookups
    answers: Sequence[bytes | None]
    entries: Sequence[Mapping[str, Any]]
    lines: Sequence[Counted]  # of the counters, with no day
    order: Mapping[str, Any] | None  # where a person is still to answer


def systems() -> list[str]:
    """The approval systems."""
    return [kit.CLIENT, *(f"approvals-{number}" for number in range(2, SYSTEMS + 1))]


def make(broker: kit.Broker, document: Mapping[str, Any]) -> list[Model]:
    """Carry them through the flow, and read them."""
    _connect(broker, document)
    with broker.parts.store.read() as work:
        catalog = broker.parts.edition(work, 1).catalog
    for name in systems()[1:]:
        register.register_client(broker.parts, Client(name, f"审批系统{name[-1]}", kit.UNIT, None, "active"))
        for source in list(catalog.sources.values())[:_GRANTS]:
            given = kit.grant(source.key, id=f"{name}-{source.key}", client=name, forms=source.forms,
                              fields=source.fields, items=tuple(catalog.items),
                              scenes=tuple(catalog.scenes))  # fmt: skip
            register.register_grant(broker.parts, given)
    return list(_decided(broker, catalog))


def _connect(broker: kit.Broker, document: Mapping[str, Any]) -> None:
    kinds = {source["connector"] for source in document["sources"].values()}
    scripted: dict[str, Connector] = dict.fromkeys(kinds, broker.sources)
    broker.parts.connectors = scripted | {"work_order": WorkOrders(Calendar())}
    options = {"units": dict.fromkeys(document["regions"], kit.DEPARTMENT)}
    platforms = {source["platform"] for source in document["sources"].values()}
    broker.parts.connections = {name: Connection(name, "", {}, options) for name in platforms}
    broker.sources.script = dict.fromkeys(document["sources"], _mixed)


def _mixed(question: Question) -> Reply:
    """Most sources hold what they are asked for; some do not, some are down. The same for the same lookup."""
    chance = int(question.lookup_id[-2:], 16)
    if chance < 20:
        return kit.just(Reason.NOT_FOUND)(question)
    return kit.just(Reason.SOURCE_DOWN)(question) if chance < 26 else kit.valid(question)


def _decided(broker: kit.Broker, catalog: Catalog) -> Iterator[Model]:
    made = []
    asked: list[dict[str, str | None]] = [
        {"item": item.key, "region": region} for item in catalog.items.values() for region in item.places
    ]
    asked += [{"scene": scene, "item": None, "region": region} for region, scene in sorted(catalog.scene_items)]
    for number, what in enumerate(asked[::_EVERY]):
        try:
            made.append(broker.submit(_whole(number, catalog, what)).verification.id)
        except Problem:
            continue  # abolished since, or decided elsewhere
    broker.work_off()
    broker.sequence_all()
    for name in made:
        yield _read(broker, catalog, name)


def _whole(number: int, catalog: Catalog, what: Mapping[str, str | None]) -> dict[str, object]:
    region = str(what["region"])
    return kit.whole_request(number, catalog, region, **{name: one for name, one in what.items() if name != "region"})


def _read(broker: kit.Broker, catalog: Catalog, number: str) -> Model:
    def rows(statement: str) -> list[Mapping[str, Any]]:
        return [row._mapping for row in broker.rows(statement, id=number)]

    (verification,) = rows("SELECT * FROM verification WHERE id = :id")
    (case,) = [
        row._mapping for row in broker.rows("SELECT * FROM case_file WHERE id = :id", id=verification["case_id"])
    ]
    lookups = rows("SELECT * FROM lookup WHERE verification_id = :id ORDER BY id")
    orders = rows("SELECT * FROM work_order WHERE verification_id = :id")
    vault, key = broker.parts.vault, broker.parts.vault.unwrap(case["wrapped_key"])
    payload = kit.payload(verification["receipt"]) if verification["receipt"] else None
    return Model(
        verification,
        case,
        vault.decrypt(key, verification["request"], number),
        lookups,
        [vault.decrypt(key, row["question"], row["id"]) for row in lookups],
        [None if row["answer"] is None else vault.decrypt(key, row["answer"], row["id"]) for row in lookups],
        rows("SELECT * FROM entry WHERE verification_id = :id ORDER BY id"),
        [] if payload is None else list(counted(payload, catalog, "").elements()),
        orders[0] if orders else None,
    )


# --- as texts to be filled in ---

AT, DIGEST, VERIFICATION, CASE, CLIENT, OPERATOR, SUBJECTS, LOOKUPS = 1, 2, 3, 4, 5, 6, 7, 11  # arguments of format()
_SUBJECTS, _LOOKUPS = LOOKUPS - SUBJECTS, 14  # how many of each a copy has of its own


def blank(model: Model, text: str, at: str = "", digest: str = "") -> str:
    """A text of the model as PostgreSQL's format() takes it, with a place for each thing that a copy has of its own."""
    row, case = model.verification, model.case
    subjects = list(dict.fromkeys([case["applicant"], *(one["about"] for one in model.lookups)]))[:_SUBJECTS]
    places = [(at, AT), (digest, DIGEST), (row["id"], VERIFICATION), (f'"{case["number"]}"', CASE)]
    places += [('"op1"', OPERATOR), (f'"{kit.CLIENT}"', CLIENT)]
    places += [(one, SUBJECTS + place) for place, one in enumerate(subjects)]
    places += [(one["id"], LOOKUPS + place) for place, one in enumerate(model.lookups[:_LOOKUPS])]
    text = text.replace("%", "%%")
    for found, place in places:
        if found:
            quote = '"' if found.startswith('"') else ""
            text = text.replace(found, f"{quote}%{place}$s{quote}")
    return text


def subject_place(model: Model, about: str) -> int:
    """Which of a copy's persons stands for one of the model's."""
    subjects = list(dict.fromkeys([model.case["applicant"], *(one["about"] for one in model.lookups)]))
    return subjects.index(about) % _SUBJECTS


def said_by(model: Model, body: bytes, position: int) -> tuple[int, list[str | None], list[str]]:
    """How long after admission an entry was written, its columns of the index as texts to be filled in, its materials.

    What a copy has of its own stands in the columns alone.
    """
    (found,) = indexed(position, [body])
    at = milliseconds(found.at) - model.verification["admitted_at"] + position
    texts = (found.client, found.case, found.operator, found.subject, found.unit, found.source, found.outcome,
             found.item, found.region)  # fmt: skip
    filled = [None if one is None else blank(model, f'"{one}"')[1:-1] for one in texts]
    return at, filled, [name for fact, name in found.named if fact == MATERIAL]


WITHIN = timedelta(days=365)
