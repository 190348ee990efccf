"""Query parameters of the public routes. Their values are never shown: a person's number may be typed anywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping

from broker.core.errors import CallerProblem

_REGION = re.compile(r"[1-9][0-9]{5}")
_KEY = re.compile(r"[a-z][a-z0-9.-]{0,59}")
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


def _required(query: Mapping[str, str], name: str, form: re.Pattern[str]) -> str:
    value = query.get(name, "")
    if form.fullmatch(value) is None:
        raise CallerProblem("request.parameter", expected=f"{name}={form.pattern}")
    return value
