"""Replay: the same request again and again, stale, altered, under another question.

One captured message is sent unchanged over eight connections; the same request is signed anew each time; both again
after every process was killed and after Redis was emptied. Then old messages, another body under the same id, and a
captured answer held against another question.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson

from broker.client import Answer, BrokerClient, Refused, Road, pooled_road
from broker.core.envelope import Signer
from broker.core.errors import CallerProblem
from broker.signing import http_message, keys
from tests.bench.work_unit import JSON, PATH
from tests.faults.figure import Figure, Scale, Tally
from tests.faults.town import Town, town

DEMANDED = "the same request × 10,000: 1 row, 1 receipt, identical bytes; 409 for another body; 0 stale accepted"
WHOLE = 10_000
CONNECTIONS = 8
STALE_SECONDS = (-31, 31, -600, 600, -86_400)


@dataclass(frozen=True)
class Target:
    """A broker to which messages are replayed."""

    url: str
    road: Road
    client: BrokerClient
    signer: Signer  # the client's
    request: Callable[[str], dict[str, Any]]  # the same document for the same name
    rows: Callable[[str], Sequence[Any]]
    settled: Callable[[], bool]  # lets everything be decided
    harms: Sequence[Callable[[], object]]  # done between one storm of messages and the next

    def body(self, name: str) -> bytes:
        """The document of this name as it is sent."""
        return orjson.dumps(self.request(name))


def run(scale: Scale) -> Figure:
    """Replay it all against a running fleet."""
    with town() as place:
        signer = keys.load_private(place.world.caller_key(place.algorithm).read_bytes())
        road = pooled_road(CONNECTIONS)
        target = Target(
            place.url, road, place.client(road), signer, place.request, place.rows,
            lambda: place.settled_within(60) is not None, (place.world.empty_redis, lambda: _restarted(place)),
        )  # fmt: skip
        figure = replayed(target, scale)
        place.check()
    return figure


def _restarted(place: Town) -> None:
    for process in list(place.processes):
        place.kill(process)
    place.wait_until_up()


def replayed(target: Target, scale: Scale) -> Figure:
    """One storm of messages before each harm and one after the last; then what is old, altered, or not the answer."""
    tally, times, client = Tally(), scale.of(WHOLE, at_least=120), target.client
    number = client.submit(target.request("same"))["id"]
    tally.note("not decided", right=target.settled())
    receipt = client.receipt(number)
    captured = client.signed_headers("POST", PATH, target.body("captured"))
    storms, seen = len(target.harms) + 1, Counter[str]()
    for turn, harm in enumerate([*target.harms, None]):
        share = times // storms if harm is not None else times - turn * (times // storms)
        seen += _storm(target, share, captured, tally, number)
        if harm is not None:
            harm()
    _others(target, tally)
    tally.note("the receipt's bytes changed", right=client.receipt(number) == receipt)
    rows = target.rows("SELECT request_id, count(*) FROM verification GROUP BY request_id")
    tally.note("more than one row", right=all(count == 1 for _, count in rows))
    tally.note("a delay", right=target.settled())
    measured = f"{sum(seen.values()):,} repeats ({_told(seen)}), {len(rows)} rows; {tally} expectations"
    return Figure("F10", DEMANDED, measured, tally.clean)


def _storm(target: Target, times: int, captured: dict[str, str], tally: Tally, number: str) -> Counter[str]:
    """Half of them captured and sent unchanged, half signed anew."""
    road, body, fresh, url = target.road, target.body("captured"), target.body("same"), target.url + PATH

    def unchanged(_: int) -> Answer:
        return road("POST", url, captured, body, 30)

    def anew(_: int) -> Answer:
        return road("POST", url, target.client.signed_headers("POST", PATH, fresh), fresh, 30)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        replays = list(pool.map(unchanged, range(times // 2)))
        again = list(pool.map(anew, range(times - times // 2)))
    accepted = [one for one in replays if one.status < 300]
    tally.note(f"{len(accepted)} of the captured accepted", right=len(accepted) <= 1)  # the first is no replay
    for one in again:
        tally.note(f"{one.status} for the same request", right=one.status == 200 and _number(one) == number)
    return Counter(str(one.status) for one in [*replays, *again])


def _number(answer: Answer) -> Any:
    return orjson.loads(answer.body).get("id")


def _others(target: Target, tally: Tally) -> None:
    """Another body, old messages, and an answer under another question."""
    try:
        target.client.submit(target.request("same") | {"channel": "kiosk"})
        tally.note("another body accepted", right=False)
    except Refused as refused:
        tally.note(f"another body: {refused.code}", right=(refused.code, refused.status) == ("request.conflict", 409))
    road, url, body = target.road, target.url + PATH, target.body("stale")
    for skew in STALE_SECONDS:
        now = int(time.time()) + skew
        headers = http_message.sign_request("POST", url, body, JSON, target.signer, now, f"stale-nonce-{skew:08}")
        status = road("POST", url, headers | {"Content-Type": JSON}, body, 30).status
        tally.note(f"{status} for {skew} s", right=status == 401)
    _answer_under_another_question(target, tally)


def _answer_under_another_question(target: Target, tally: Tally) -> None:
    client, road, url, body = target.client, target.road, target.url + PATH, target.body("same")
    first, second = (client.signed_headers("POST", PATH, body) for _ in range(2))
    answer = road("POST", url, first, body, 30)
    for headers, believed in ((first, True), (second, False)):
        question = http_message.Question("POST", url, headers["Signature"])
        try:
            http_message.verify_response(
                answer.status, answer.headers, answer.body, question, client_keys(client), int(time.time())
            )
            tally.note("an answer to another question believed", right=believed)
        except CallerProblem:
            tally.note("our own answer not believed", right=not believed)


def client_keys(client: BrokerClient) -> Any:
    """Finds the broker's keys by id."""
    return keys.from_jwks(client.jwks(), "receipt").get


def _told(seen: Counter[str]) -> str:
    return ", ".join(f"{count:,} × {status}" for status, count in sorted(seen.items()))
