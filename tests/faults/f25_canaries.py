"""Privacy canaries: fifty planted identities under load and kills, then a search for them wherever they must not be.

Names and numbers are marked and belong to nobody. They are looked for as they are, in base64, URL-encoded and as JSON
escapes: in every process's output, in all of Redis, in command lines and environments, in every answer the client was
given – errors with their bodies and headers, the guide, metrics and checkpoints –, in exports of the log, and in every
table of the database.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from zlib import crc32

import psutil
import redis

from broker.client import Answer, BrokerClient, Refused, Road, pooled_road
from broker.core.case import Party
from broker.core.log_export import Filter, as_csv, as_json_lines
from broker.flow.export import Wanted, export_log
from broker.flow.parts import Parts
from tests.bench.work_unit import PATH
from tests.faults.f04_kill_storm import PAUSE, kill_somebody
from tests.faults.figure import Figure, Scale, Tally
from tests.faults.town import LOST, Load, Town, family, town
from tests.flow.checker import Checker
from tests.flow.kit import citizen

DEMANDED = (
    "50 marked identities under load and kills: 0 hits in logs, Redis, processes, errors, metrics, exports, tables"
)
IDENTITIES = 50
SECONDS, PER_SECOND = 60.0, 10.0
OPEN = ("/metrics", "/health", "/ready", "/v1/health", "/log/checkpoint", "/.well-known/jwks.json", "/v1/editions",
        "/v1/guide?region=370400&item=fund-withdrawal-purchase")  # fmt: skip


People = Sequence[dict[str, str]]
Places = Iterator[tuple[str, bytes]]
"""Wherever they must not be, by name."""


@dataclass(frozen=True)
class Site:
    """A broker in which marks are planted, and where they are looked for besides its answers."""

    url: str
    heard: Heard
    client: BrokerClient
    request: Callable[[str], dict[str, Any]]
    rows: Callable[[str], Sequence[Any]]
    parts: Parts
    outside: Callable[[], Places]  # what its processes print, keep in Redis, and show of themselves


def run(scale: Scale) -> Figure:
    """Plant, storm, search."""
    crowd, chance = people(), random.Random(25)
    with town() as place:
        heard = Heard(pooled_road(16))
        site = Site(place.url, heard, place.client(heard), place.request, place.rows, place._office.parts,
                    lambda: _outside(place))  # fmt: skip
        with Load(place, PER_SECOND, "canary", road=heard, request=planted(site, crowd)) as load:
            ends = time.monotonic() + max(10.0, SECONDS * scale.share)
            while time.monotonic() < ends:
                bad_requests(site, crowd, chance)
                time.sleep(chance.uniform(*PAUSE) / 2)
                kill_somebody(place, chance)
        place.wait_until_up()
        load.send_unknown_again()
        tally = Tally()
        tally.note("not settled", right=place.settled_within(60) is not None)
        tally.note(f"refused: {load.ledger.refused}", right=not load.ledger.refused)
        tally.note(f"{len(load.ledger.unknown)} unknown", right=not load.ledger.unknown)
        figure = searched(site, crowd, tally, len(load.ledger.acknowledged))
        place.check()
    return figure


def people() -> People:
    """The marked identities. No two are neighbours, or the rules against misuse stop the operator who asks for them."""
    return [
        {"id_type": "111", "number": citizen(70_000 + 977 * n), "name": f"测探{chr(0x4E10 + n)}雀"}
        for n in range(IDENTITIES)
    ]


def searched(site: Site, crowd: People, tally: Tally, asked: int) -> Figure:
    """Look everywhere, after so many verifications were asked for."""
    marks = sorted({mark for person in crowd for name in ("number", "name") for mark in _forms(person[name])})
    _control(crowd[0], marks, tally)
    _search(site, crowd[0], marks, tally)
    tally.note("nothing was admitted", right=asked > 0)
    measured = (
        f"{len(crowd)} identities ({len(marks)} spellings), {asked:,} verifications, "
        f"{len(site.heard.answers):,} answers: {tally} places clean"
    )
    return Figure("F25", DEMANDED, measured, tally.clean)


@dataclass
class Heard:
    """A road that keeps every answer."""

    road: Road
    answers: list[Answer] = field(default_factory=list)

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float) -> Answer:
        """Carry a request."""
        answer = self.road(method, url, headers, body, seconds)
        self.answers.append(answer)
        return answer


def planted(site: Site, crowd: People) -> Callable[[str], dict[str, Any]]:
    """The site's requests, about two of the crowd in the roles that it asks about."""

    def request(name: str) -> dict[str, Any]:
        first, second = (crowd[(crc32(name.encode()) + step) % len(crowd)] for step in (0, 1))
        document = site.request(name)
        return document | {"applicant": first, "parties": [{"role": document["parties"][0]["role"], **second}]}

    return request


def _forms(text: str) -> Iterator[bytes]:
    """A text as itself, in base64 at each of the three places it may begin, URL-encoded, and as JSON escapes."""
    raw = text.encode()
    yield raw
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw)
        yield coded[(0, 2, 3)[before] : len(coded) // 4 * 4 - 4]
    if not text.isascii():
        yield quote(text).encode()
        yield json.dumps(text)[1:-1].encode()


def bad_requests(site: Site, crowd: People, chance: random.Random) -> None:
    """Every way we know of to make an error tell what it was given."""
    person, client, heard = chance.choice(crowd), site.client, site.heard
    good = site.request(f"bad-{chance.random()}") | {"applicant": person}
    documents = (
        good | {"item": person["name"]}, good | {"region": person["number"]}, good | {person["name"]: person["number"]},
        good | {"applicant": person | {"number": person["number"][:-1]}}, good | {"case": {"number": ""}},
        good | {"parties": [{"role": person["name"], **person}]}, good | {"materials": [person["number"]]},
        good | {"applicant": person | {"name": person["name"] * 100}}, good | {"channel": person["name"]},
    )  # fmt: skip
    for document in documents:
        with contextlib.suppress(Refused, *LOST):
            client.submit(document)
    body, url = json.dumps(good, ensure_ascii=False).encode(), site.url + PATH
    cut = body[:-9]
    for sent, headers in (
        (body, {}), (cut, client.signed_headers("POST", PATH, body)), (cut, client.signed_headers("POST", PATH, cut)),
    ):  # fmt: skip
        with contextlib.suppress(*LOST):
            heard("POST", url, headers, sent, 30)
    for path in OPEN:
        with contextlib.suppress(*LOST):
            heard("GET", site.url + path, {}, None, 30)


def _control(person: Mapping[str, str], marks: Sequence[bytes], tally: Tally) -> None:
    """The search finds what is there."""
    for value in (person["number"], person["name"]):
        plain = json.dumps({"value": value}, ensure_ascii=False).encode()
        spelt = (plain, base64.b64encode(plain), base64.b64encode(b"-" + plain), quote(value).encode())
        tally.note("a planted mark is overlooked", right=all(any(mark in data for mark in marks) for data in spelt))


def _search(site: Site, person: Mapping[str, str], marks: Sequence[bytes], tally: Tally) -> None:
    """Every place is one trial; it is told by its name alone."""
    for name, data in (*_places(site), *_exports(site.parts, person)):
        found = sum(mark in data for mark in marks)
        tally.note(f"{name}: {found} marks", right=found == 0)


def _places(site: Site) -> Places:
    yield from site.outside()
    for number, answer in enumerate(site.heard.answers):
        yield f"answer {number} ({answer.status})", repr(dict(answer.headers)).encode() + _opened(answer.body)
    for table in Checker.TABLES:
        rows = site.rows(f"SELECT * FROM {table}")  # noqa: S608 - ours
        yield f"table {table}", b"\n".join(_bytes(value) for row in rows for value in row)


def _exports(parts: Parts, person: Mapping[str, str]) -> Places:
    """What the centre takes out of the log: all of it, and what is about one person, in both forms."""
    for name, holder in (
        ("all", None),
        ("one person", Party("applicant", person["id_type"], person["number"], person["name"])),
    ):
        for form, written in (("JSON Lines", as_json_lines), ("CSV", as_csv)):
            head, lines = export_log(parts, Wanted(Filter(), "审计员", "年度检查", holder))
            yield f"export of {name} as {form}", b"".join(written(head, lines))


def _outside(place: Town) -> Places:
    for log in (*place.logs, place.world.postgres._ours().log):
        yield f"log {log.name}", log.read_bytes()
    yield "Redis", _all_of_redis(place)
    for process in place.processes:
        for one in family(process):
            with contextlib.suppress(psutil.Error):
                yield f"process {process.role}", repr((one.cmdline(), one.environ())).encode()


def _opened(body: bytes) -> bytes:
    """A body, and where it is or holds a receipt, what that says."""
    receipts = re.findall(rb"[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}", body)
    payloads = [base64.urlsafe_b64decode(token.split(b".")[1] + b"==") for token in receipts]
    return b"\n".join([body, *payloads])


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, (bytes, memoryview)) else _opened(str(value).encode())


def _all_of_redis(place: Town) -> bytes:
    with redis.Redis.from_url(place.world.redis.url) as client:
        names: Any = client.keys("*")
        return b"\n".join(part for name in names for part in (name, bytes(client.dump(name) or b"")))
