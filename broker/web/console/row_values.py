"""What a sent form makes of a row of the list: its values put in place, entries added, moved and removed."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from werkzeug.datastructures import MultiDict

from broker.core.errors import CallerProblem
from broker.store.catalog_file import read_row
from broker.web.console.row_form import OF_A_MODE, TAKES, Field, blocks_of, fields_in, listed

_CONTAINERS = frozenset({"effective", "when", "withheld", "options", "expect"})  # left out where nothing is in them


def from_form(section: str, row: Any, document: Mapping[str, Any], form: MultiDict[str, str]) -> Any:
    """The row with the form's values; what the form does not name stays as it is."""
    changed = copy.deepcopy(row)
    for field in fields_in(blocks_of(section, row, document)):
        if field.name in form:
            _put(changed, field, form)
    if section == "materials":
        for before, after in zip(row.get("chain", []), changed["chain"], strict=True):
            if before.get("mode") != after.get("mode"):  # what only its old mode takes goes with that
                taken = TAKES.get(str(after.get("mode")), OF_A_MODE)
                for name in OF_A_MODE:
                    if name not in taken:
                        after.pop(name, None)
    _prune(changed)
    return changed


def acted(row: Any, act: str, form: MultiDict[str, str]) -> tuple[Any, str]:
    """The row after a button that adds, moves or removes an entry, and the name of the block to go on at.

    Raises ``CallerProblem`` ``draft.row`` for what is not there.
    """
    verb, _, name = act.partition(":")
    changed = copy.deepcopy(row)
    steps = name.split("/")
    try:
        if verb == "add":
            return changed, _add(changed, steps, form.get(f"new:{name}", ""))
        place = _walk(changed, steps[:-1])
        at: Any = int(steps[-1]) if isinstance(place, list) else steps[-1]
        if verb == "remove":
            del place[at]
            _prune(changed)
            return changed, "/".join(steps[:-1])
        to = at + {"up": -1, "down": 1}[verb]
        if not 0 <= to < len(place):
            return changed, name
        place.insert(to, place.pop(at))
        return changed, "/".join([*steps[:-1], str(to)])
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise CallerProblem("draft.row", got=act[:100]) from error


def _add(row: Any, steps: Sequence[str], chosen: str) -> str:
    """Put a new entry into the list or mapping at a path; returns its name."""
    above = _walk(row, steps[:-1])
    kind = steps[-1]
    if kind == "regions":
        entries = above.setdefault(kind, {})
        if chosen and chosen not in entries:
            entries[chosen] = {"seq": "", "scene": "", "level": "county", "lead": []}
        return "/".join([*steps, chosen])
    made = {"materials": {"material": chosen}, "chain": {"mode": chosen}, "expect": {"field": chosen, "op": "equals"}}
    entries = above.setdefault(kind, [])
    entry = made[kind]
    if not chosen:
        return "/".join(steps)
    last = len(entries)
    if kind == "chain" and last and entries[-1].get("mode") == "submission" and chosen != "submission":
        last -= 1  # the applicant comes last
    if kind == "chain" and chosen != "submission":
        entry["state"] = "proposed"  # nobody has confirmed it yet
    entries.insert(last, entry)
    return "/".join([*steps, str(last)])


def _walk(row: Any, steps: Sequence[str]) -> Any:
    place = row
    for step in steps:
        place = place[int(step)] if isinstance(place, list) else place[step]
    return place


def _put(row: Any, field: Field, form: MultiDict[str, str]) -> None:
    text = form[field.name].strip()
    given = [one for one in form.getlist(field.name) if one] if field.kind == "checks" else []
    place = row
    for step in field.path[:-1]:
        if isinstance(place, dict) and step not in place:
            if not text:
                return
            place[step] = {}
        place = place[step]
    last: Any = field.path[-1]
    if field.kind == "checks" and (given or not field.optional):
        place[last] = _in_order(given, listed(place.get(last)))
    elif field.kind == "flag":
        if text == "false" or last in place:
            place[last] = text != "false"
    elif field.kind != "checks" and (text or (field.kind == "list" and not field.optional)):
        place[last] = _value(field, text)
    elif field.null:
        place[last] = None
    elif field.optional:
        place.pop(last, None)
    else:
        place[last] = ""


def _in_order(given: Sequence[str], before: Sequence[Any]) -> list[str]:
    """What was ticked, in the order in which the row had it; what is new comes last."""
    return [*(one for one in before if one in given), *(one for one in given if one not in before)]


def _value(field: Field, text: str) -> Any:
    if field.kind == "list":
        parts = text.replace("，", "、").replace(",", "、").replace("\n", "、").split("、")
        return list(dict.fromkeys(one.strip() for one in parts if one.strip()))
    if field.kind == "number":
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else text  # else the check will say
    if field.kind == "value":
        return {"true": True, "false": False}.get(text, text)
    if field.kind == "yaml":
        value, findings = read_row(text)
        return text if findings else value
    return text


def _prune(row: Any) -> None:
    """Leave out the containers that are empty."""
    if isinstance(row, dict):
        for name in list(row):
            _prune(row[name])
            if name in _CONTAINERS and row[name] in ({}, []):
                del row[name]
    elif isinstance(row, list):
        for one in row:
            _prune(one)
