"""Query parameters of the public routes. Their values are never shown: a person's number may be typed anywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping

from werkzeug.datastructures import MultiDict

from broker.core.errors import CallerProblem
from broker.core.material_set import Situation
from broker.core.scene_plan import FACT, MAX_ITEMS, fact_from

MAX_FACTS = 20  # an item asks after three at most

_REGION = re.compile(r"[1-9][0-9]{5}")
_KEY = re.compile(r"[a-z][a-z0-9.-]{0,59}")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,59}")
_APPLICANT = re.compile(r"person|organisation")
_LANG = re.compile(r"zh|en")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")


def region(query: Mapping[str, str]) -> str:
    """The administrative code. Raises ``CallerProblem`` ``request.parameter``, as all of these do."""
    return _required(query, "region", _REGION)


def number(query: Mapping[str, str], name: str) -> int:
    """A size or an index."""
    return int(_required(query, name, _NUMBER))


def key(query: Mapping[str, str], name: str) -> str | None:
    """A key of the sharing list, where it is given."""
    return _required(query, name, _KEY) if name in query else None


def keys(query: MultiDict[str, str], name: str) -> tuple[str, ...]:
    """The keys given under a name, as often as it comes."""
    return _several(query, name, _KEY, MAX_ITEMS)


def language(query: Mapping[str, str]) -> str:
    """The language of a page; Chinese unless English is asked for."""
    return _required(query, "lang", _LANG) if "lang" in query else "zh"


def situation(query: MultiDict[str, str]) -> Situation:
    """What is said of the case: roles, the applicant's kind, facts."""
    roles = _several(query, "role", _WORD, MAX_FACTS)
    applicant = _required(query, "applicant", _APPLICANT) if "applicant" in query else None
    facts = dict(fact_from(text) for text in _several(query, "fact", FACT, MAX_FACTS))
    return Situation(frozenset(roles) if "role" in query else None, applicant, facts)


def _several(query: MultiDict[str, str], name: str, form: re.Pattern[str], most: int) -> tuple[str, ...]:
    values = query.getlist(name)
    if len(values) > most or not all(form.fullmatch(value) for value in values):
        raise CallerProblem("request.parameter", expected=f"at most {most} times {name}={form.pattern}")
    return tuple(values)


def _required(query: Mapping[str, str], name: str, form: re.Pattern[str]) -> str:
    value = query.get(name, "")
    if form.fullmatch(value) is None:
        raise CallerProblem("request.parameter", expected=f"{name}={form.pattern}")
    return value
