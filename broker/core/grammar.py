"""A JSON Schema compiled once, and what it says of a document: where it breaks the grammar, never with which value."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import jsonschema_rs

from broker.core.errors import CallerProblem

_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,40}")  # what a field is called; a number typed as a key is not shown


class Grammar:
    """Checks documents; safe to share between threads."""

    def __init__(self, schema: dict[str, Any]) -> None:
        """``schema`` is of the 2020-12 dialect."""
        self._validator = jsonschema_rs.Draft202012Validator(schema)

    def check(self, document: Any) -> None:
        """Raises ``CallerProblem`` ``request.schema``: ``pointer`` says where, ``expected`` which keyword failed."""
        if self._validator.is_valid(document):
            return
        error = next(iter(self._validator.iter_errors(document)))
        kind = error.kind.as_dict()
        path = [*error.instance_path, *_field(kind)]
        raise CallerProblem("request.schema", pointer=pointer(path), expected=error.kind.name)


def pointer(path: Iterable[str | int]) -> str:
    """The path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _field(kind: dict[str, Any]) -> list[str]:
    """The field that is missing or unknown, if the keyword is about one and it looks like a field's name."""
    name = kind.get("property") or next(iter(kind.get("unexpected", ())), "")
    return [name] if isinstance(name, str) and _FIELD.fullmatch(name) else []
