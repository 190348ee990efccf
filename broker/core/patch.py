"""What turns one document into another, value by value, so that nothing that differs can stay unsaid.

An edit has the operations of JSON Patch (RFC 6902) – ``add``, ``remove``, ``replace`` at a pointer – and one of our
own, ``order``, which gives the order of a mapping's keys: items stand in the order of the plan, and that order means
something. Lists are short here (chains, requirements) and are replaced whole. ``true`` is not ``1`` and ``1`` is not
``1.0``, as in JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from broker.core.findings import Where


class PatchError(Exception):
    """The edits were not made for this document."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change at one path; ``before`` is what stood there, for a reader and against the wrong document."""

    op: str  # add | remove | replace | order
    path: Where
    before: Any = None
    after: Any = None


def edits(before: Any, after: Any, path: Where = ()) -> Iterator[Edit]:
    """The edits that turn ``before`` into ``after``, in an order in which they can be applied."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        if not same(before, after):
            yield Edit("replace", path, before, after)
        return
    kept = [key for key in before if key in after]
    added = [key for key in after if key not in before]
    for key in before:
        if key not in after:
            yield Edit("remove", (*path, key), before=before[key])
    for key in kept:
        yield from edits(before[key], after[key], (*path, key))
    for key in added:
        yield Edit("add", (*path, key), after=after[key])
    if [*kept, *added] != list(after):
        yield Edit("order", path, [*kept, *added], list(after))


def same(first: Any, second: Any) -> bool:
    """Whether two JSON values are the same, down to type and the order of keys."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    return type(first) is type(second) and bool(first == second)


def apply_edits(document: Any, changes: Iterable[Edit]) -> Any:
    """The document after the edits; the one given stays as it is. Raises ``PatchError``."""
    result = _copied(document)
    for edit in changes:
        if edit.path:
            _apply(_place(result, edit), edit)
        else:
            result = _changed(result, edit)
    return result


def _place(document: Any, edit: Edit) -> dict[str, Any]:
    """The mapping in which the edit's last key stands."""
    place = document
    for step in edit.path[:-1]:
        place = place.get(step) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise PatchError(pointer(edit.path))
    return place


def _apply(place: dict[str, Any], edit: Edit) -> None:
    key = str(edit.path[-1])
    if (key in place) == (edit.op == "add"):
        raise PatchError(pointer(edit.path))
    if edit.op == "add":
        place[key] = _copied(edit.after)
    elif edit.op == "remove" and same(place[key], edit.before):
        del place[key]
    else:
        place[key] = _changed(place[key], edit)


def _changed(value: Any, edit: Edit) -> Any:
    if edit.op == "replace" and same(value, edit.before):
        return _copied(edit.after)
    if edit.op == "order" and isinstance(value, dict) and list(value) == edit.before:
        return {key: value[key] for key in edit.after}
    raise PatchError(pointer(edit.path))


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(entry) for key, entry in value.items()}
    return [_copied(entry) for entry in value] if isinstance(value, list) else value


def pointer(path: Where) -> str:
    """The path as a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def as_values(changes: Iterable[Edit]) -> list[dict[str, Any]]:
    """The edits as plain values; ``value`` is left out where something is removed, as in JSON Patch."""
    return [
        {"op": edit.op, "path": pointer(edit.path), **({} if edit.op == "remove" else {"value": edit.after})}
        for edit in changes
    ]
