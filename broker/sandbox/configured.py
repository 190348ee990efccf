"""Simulated sources that a file describes: what they are asked, what they answer, and what they hold about whom.

``configured.yaml``, by source::

    hs-personal:
      platform: sd-exchange
      service: sd_hs-personal
      ask: {AAC002: number, aac003: name}        # every parameter; any other, or one left out, is refused
      ok: {code: "200"}                          # what surrounds an answer, an answer with nothing, a refusal
      none: {code: "404", data: null}
      bad: {code: "400", data: null}
      result: data                               # where the list of records stands
      of: persons                                # or companies
      when: subsistence                          # only those of whom this is told; without it, all
      records: [{AAC002: "{number}", …}]         # for each of them; {now} is the time of the answer

A SOAP service has ``soap: {namespace, operation, type}`` besides, and says all this in XML. A certificate has ``of``,
``number`` and ``face`` instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from broker.core.identifiers import is_citizen_id, is_credit_code
from broker.sandbox.holdings import NAMES, UPDATED, Holdings, certificate
from broker.sandbox.platform import records

Described = Mapping[str, Mapping[str, Any]]
Service = Callable[[Holdings, str, dict[str, Any], str, float], dict[str, Any]]

SHIPPED: Final = Path(__file__).with_name("configured.yaml")

MORE: Final = "sources.yaml"  # in a sandbox's folder: what is simulated there besides


def described(*files: Path) -> Described:
    """The sources that these files describe; a missing file describes none."""
    found: dict[str, Mapping[str, Any]] = {}
    for file in files:
        if file.exists():
            found |= yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return found


def on(platform: str, sources: Described) -> Mapping[str, Mapping[str, Any]]:
    """Those of one platform."""
    return {key: one for key, one in sources.items() if one["platform"] == platform}


def hold(sources: Described, population: Mapping[str, Any], held: Holdings) -> None:
    """Give every source what it holds about the population."""
    for key, one in sources.items():
        about = [entry for entry in population[one["of"]] if "when" not in one or entry[one["when"]]]
        for entry in about:
            held[key][entry["number"]] += list(_records(key, one, entry))


def _records(key: str, one: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    words = {**entry, "now": UPDATED}
    if "face" in one:
        face = {name: str(text).format_map(words) for name, text in one["face"].items()}
        yield certificate(key, dict(entry), str(one["number"]).format_map(words), face, kind=one["service"])
    for record in one.get("records", ()):
        yield {name: str(text).format_map(words) for name, text in record.items()}


def service(one: Mapping[str, Any]) -> Service:
    """The JSON service that the description tells: exact parameters, and number and name of one person."""
    ask: Mapping[str, str] = one["ask"]
    number_at, name_at = (next(theirs for theirs, ours in ask.items() if ours == what) for what in ("number", "name"))

    def answer(held: Holdings, source: str, asked: dict[str, Any], behaviour: str, now: float) -> dict[str, Any]:
        whole = asked.keys() == ask.keys() and all(isinstance(text, str) and text for text in asked.values())
        if not whole or not (is_citizen_id(asked[number_at]) or is_credit_code(asked[number_at])):
            return dict(one["bad"])
        known = held[NAMES].get(asked[number_at], [{}])[0].get("name") == asked[name_at]
        found = records(held, source, asked[number_at], behaviour, now) if known else []
        return {**one["ok"], one["result"]: found} if found else dict(one["none"])

    return answer
