"""The answer schemas of the sources, compiled once: what no schema describes is not believed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import jsonschema_rs
import orjson

_SUFFIX: Final = ".answer.schema.json"


def load_answer_schemas(folder: Path) -> Callable[[str, object], bool]:
    """A check of decoded business payloads by source key, from ``<source>.answer.schema.json`` in the folder.

    A source without a schema passes nothing; :func:`described` tells which have one.
    """
    validators = {
        path.name.removesuffix(_SUFFIX): jsonschema_rs.Draft202012Validator(orjson.loads(path.read_bytes()))
        for path in sorted(folder.glob(f"*{_SUFFIX}"))
    }

    def answer_ok(source: str, document: object) -> bool:
        validator = validators.get(source)
        return validator is not None and validator.is_valid(document)

    return answer_ok


def described(folder: Path) -> frozenset[str]:
    """The sources whose answers have a schema; the others can be configured, but never HELD."""
    return frozenset(path.name.removesuffix(_SUFFIX) for path in folder.glob(f"*{_SUFFIX}"))
