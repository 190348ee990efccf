"""What entries can be searched by in the console, and the lists that somebody chooses it from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from broker.core.answer import Reason
from broker.core.catalog import Catalog, Text
from broker.core.day import CHINA
from broker.core.errors import CallerProblem
from broker.core.log_export import Filter
from broker.core.problems import PROBLEMS
from broker.core.reasons import REASONS
from broker.flow.find_person import require_no_person
from broker.flow.parts import Parts
from broker.ports import Work
from broker.web.console.audit_words import OUTCOME_GROUPS, OutcomeGroup
from broker.web.console.choices import Choice, choice_of, meant, names_of

TEXTS = (
    "kind", "case", "verification", "operator", "login", "source", "outcome", "region", "item", "material", "client",
    "unit", "subject",
)  # fmt: skip
FURTHER = ("region", "item", "material", "client", "unit", "subject")  # asked for less often: shown when wanted
FIELDS = (*TEXTS, "since", "until")
PICKED = {"item": "matter", "material": "material"}  # one of hundreds each; an entry is about an item or about a scene
_LONGEST = 200
_MOST_VALUES = 500  # of one fact: far more than the list and our own codes have
_WHOLE_DAY = timedelta(days=1)
IDS = ("verification", "subject")
_ID = re.compile(r"[0-9a-f]{32}\Z")


def is_id(text: str) -> bool:
    """Whether it has the form of a verification's id, which is a pseudonym's too."""
    return _ID.match(text) is not None


def filter_of(asked: Mapping[str, str]) -> Filter:
    """The filter that a form asks for; days are China's, the last one included.

    Raises ``CallerProblem``: ``request.parameter`` for a day that is none, ``sought.filter`` for a person's number:
    what is searched for stands in the address and in the log.
    """
    try:
        since, until = (date.fromisoformat(asked[name]) if asked[name] else None for name in ("since", "until"))
    except ValueError as error:
        raise CallerProblem("request.parameter", expected="YYYY-MM-DD") from error
    first, last = (datetime.combine(day, time(), CHINA) if day else None for day in (since, until))
    texts = {name: asked[name][:_LONGEST] or None for name in TEXTS}
    wanted = Filter(first, last + _WHOLE_DAY if last else None, **texts)
    require_no_person(wanted)
    return wanted


@dataclass(frozen=True, slots=True)
class Choices:
    """What there is to choose from: what the log has been told of, and what the list in force knows."""

    clients: Mapping[str, str]
    sources: Mapping[str, Text | str]
    outcomes: Sequence[tuple[Text, Mapping[str, Text | str]]]
    regions: Mapping[str, Text | str]


def choices(parts: Parts, work: Work, asked: Mapping[str, str]) -> Choices:
    """The lists; what is asked for is always among them, be it unknown."""
    pulse = work.pulse()
    catalog, clients = parts.catalog_in_force(work, pulse), parts.policy(work, pulse).clients
    sources = {name: _source(catalog, name) for name in work.values_of("source", _MOST_VALUES)}
    if catalog is not None:
        sources |= {one.key: one.name for one in catalog.sources.values()}
    return Choices(
        {name: name for name in sorted({*clients, asked["client"]} - {""})},
        _with(sources, asked["source"]),
        _outcomes({*work.values_of("outcome", _MOST_VALUES), *map(str, Reason), asked["outcome"]} - {""}),
        _with({} if catalog is None else {key: one.name for key, one in catalog.regions.items()}, asked["region"]),
    )


@dataclass(frozen=True, slots=True)
class Named:
    """What was typed for an item or a material: its key, how its input shows it, and what it could mean if several."""

    key: str
    words: str
    unclear: Sequence[Choice]


def named(parts: Parts, typed: Mapping[str, str]) -> Mapping[str, Named]:
    """Items and materials by what was typed for them, by the list in force; before there is one, keys alone."""
    with parts.store.read() as work:
        catalog = parts.catalog_in_force(work, work.pulse())
    return {name: _named(typed[name], {} if catalog is None else names_of(catalog, of)) for name, of in PICKED.items()}


def _named(typed: str, names: Mapping[str, Text]) -> Named:
    key, unclear = meant(typed, names)
    return Named(key, typed if unclear else choice_of(key, names).words, unclear)


def _source(catalog: Catalog | None, name: str) -> Text | str:
    return name if catalog is None or name not in catalog.sources else catalog.sources[name].name


def _with(known: Mapping[str, Text | str], wanted: str) -> Mapping[str, Text | str]:
    """These in order, and what is wanted."""
    found = {wanted: wanted, **known} if wanted and wanted not in known else known
    return dict(sorted(found.items()))


def _outcomes(values: set[str]) -> Sequence[tuple[Text, Mapping[str, Text | str]]]:
    """Reasons by their outcome, our own codes, and what else an entry came to."""
    grouped: dict[OutcomeGroup, dict[str, Text | str]] = {group: {} for group in OUTCOME_GROUPS}
    for value in sorted(values):
        group, words = outcome_of(value)
        grouped[group][value] = words
    return [(OUTCOME_GROUPS[group], found) for group, found in grouped.items() if found]


def outcome_of(value: str) -> tuple[OutcomeGroup, Text | str]:
    """Where a value stands, and its words; a code that nobody knows any more is its own."""
    head = value.partition(".")[0]
    if value in REASONS:
        text = REASONS[value]
        answers = {one.value for one in OutcomeGroup}
        return OutcomeGroup(head) if head in answers else OutcomeGroup.DECIDED, {"zh": text.zh, "en": text.en}
    if value in PROBLEMS:
        return OutcomeGroup.PROBLEM, {"zh": PROBLEMS[value].zh, "en": PROBLEMS[value].en}
    return OutcomeGroup.OTHER, value
