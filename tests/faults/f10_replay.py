"""Replay: the same request again and again, stale, altered, under another question.

One captured message is sent unchanged over eight connections; the same request is signed anew each time; both again
after every process was killed and after Redis was emptied. Then old messages, another body under the same id, and a
captured answer held against another question.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from broker.client import Answer, BrokerClient, Refused, pooled_road
from broker.core.errors import CallerProblem
from broker.signing import http_message, keys
from tests.bench.work_unit import JSON, PATH
from tests.faults.figure import Figure, Scale, Tally
from tests.faults.town import Town, town

DEMANDED = "the same request × 10,000: 1 row, 1 receipt, identical bytes; 409 for another body; 0 stale accepted"
WHOLE = 10_000
CONNECTIONS = 8
STALE_SECONDS = (-31, 31, -600, 600, -86_400)


def run(scale: Scale) -> Figure:
    """Replay it all against a running fleet."""
    tally, times = Tally(), scale.of(WHOLE, at_least=120)
    with town() as place:
        client = place.client()
        number = client.submit(place.request("same"), wait=30)["id"]
        receipt = client.receipt(number)
        captured = client.signed_headers("POST", PATH, _body(place, "captured"))
        seen = _storm(place, client, times // 3, captured, tally, number)
        place.world.empty_redis()
        seen += _storm(place, client, times // 3, captured, tally, number)
        for process in list(place.processes):
            place.kill(process)
        place.wait_until_up()
        seen += _storm(place, client, times - 2 * (times // 3), captured, tally, number)
        _others(place, client, tally)
        tally.note("the receipt's bytes changed", right=client.receipt(number) == receipt)
        rows = place.rows("SELECT request_id, count(*) FROM verification GROUP BY request_id")
        tally.note("more than one row", right=all(count == 1 for _, count in rows))
        tally.note("a delay", right=place.settled_within(60) is not None)
        place.check()
    measured = f"{sum(seen.values()):,} repeats ({_told(seen)}), {len(rows)} rows; {tally} expectations"
    return Figure("F10", DEMANDED, measured, tally.clean)


def _storm(
    place: Town, client: BrokerClient, times: int, captured: dict[str, str], tally: Tally, number: str
) -> Counter[str]:
    """Half of them captured and sent unchanged, half signed anew."""
    road, body, fresh = pooled_road(CONNECTIONS), _body(place, "captured"), _body(place, "same")

    def unchanged(_: int) -> Answer:
        return road("POST", place.url + PATH, captured, body, 30)

    def anew(_: int) -> Answer:
        return road("POST", place.url + PATH, client.signed_headers("POST", PATH, fresh), fresh, 30)

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


def _others(place: Town, client: BrokerClient, tally: Tally) -> None:
    """Another body, old messages, and an answer under another question."""
    try:
        client.submit(place.request("same") | {"channel": "kiosk"})
        tally.note("another body accepted", right=False)
    except Refused as refused:
        tally.note(f"another body: {refused.code}", right=(refused.code, refused.status) == ("request.conflict", 409))
    signer = keys.load_private(place.world.caller_key(place.algorithm).read_bytes())
    road, url, body = pooled_road(1), place.url + PATH, _body(place, "stale")
    for skew in STALE_SECONDS:
        now = int(time.time()) + skew
        headers = http_message.sign_request("POST", url, body, JSON, signer, now, f"stale-nonce-{skew:08}")
        status = road("POST", url, headers | {"Content-Type": JSON}, body, 30).status
        tally.note(f"{status} for {skew} s", right=status == 401)
    _answer_under_another_question(place, client, tally)


def _answer_under_another_question(place: Town, client: BrokerClient, tally: Tally) -> None:
    road, url, body = pooled_road(1), place.url + PATH, _body(place, "same")
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


def _body(place: Town, name: str) -> bytes:
    return orjson.dumps(place.request(name))


def _told(seen: Counter[str]) -> str:
    return ", ".join(f"{count:,} × {status}" for status, count in sorted(seen.items()))
