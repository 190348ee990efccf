"""Choosing one of hundreds: an input that offers what fits as one types.

What is typed counts as it stands: a key, a name, or a part of a name that no other has – so that the input works
without a script, and from the keyboard. What could mean several is asked back, with those it could mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, request

from broker.core.catalog import Catalog, Text
from broker.core.errors import CallerProblem
from broker.web.console.area import EVERY_ROLE, Area, Console
from broker.web.console.page import shown
from broker.web.console.words import LANGUAGES, told

MOST = 20  # offered at once: what one reads before typing another letter
_JOIN = " · "  # between a name and its key


@dataclass(frozen=True, slots=True)
class Choice:
    """One row that can be chosen."""

    key: str
    words: str  # its name and its key, as the input shows it


def choices_area(console: Console) -> Area:
    """What inputs ask while one types; no page, and no look at anything that is not on every page."""
    area, pages = Area("choices"), _Choices(console)
    area.get("/choices/<of>", pages.options, EVERY_ROLE, progress=True)
    return area


def names_of(catalog: Catalog, of: str) -> Mapping[str, Text]:
    """The rows of the list that can be chosen in an input of this kind, by key. Raises ``page.unknown``."""
    if of not in _NAMES:
        raise CallerProblem("page.unknown")
    return _NAMES[of](catalog)


def drafted_names(document: Mapping[str, Any], of: str) -> Mapping[str, Text]:
    """The same of a draft: its items or materials, called by their keys where they have no name yet."""
    rows = document.get({"item": "items", "material": "materials"}.get(of, ""), {})
    names = ((key, row.get("name") if isinstance(row, dict) else None) for key, row in rows.items())
    return {
        key: {lang: str(name.get(lang) or key) if isinstance(name, dict) else key for lang in LANGUAGES}
        for key, name in names
    }


def choice_of(key: str, names: Mapping[str, Text]) -> Choice:
    """A row as the input shows it; what is no row stands for itself."""
    return Choice(key, f"{told(names[key])}{_JOIN}{key}" if key in names else key)


def meant(typed: str, names: Mapping[str, Text]) -> tuple[str, list[Choice]]:
    """The key of what was typed – or none, and those it could mean, where they are several.

    What fits nothing is taken for a key: of a row that the list in force does not know any more.
    """
    key = typed.rpartition(_JOIN)[2].strip()
    if key in names:
        return key, []
    called = {one: name for one, name in names.items() if typed in name.values()}
    fits = fitting(typed, called or names)
    if not typed or len(fits) < 2:
        return fits[0].key if typed and fits else typed, []
    return "", fits


def fitting(typed: str, names: Mapping[str, Text], most: int = MOST) -> list[Choice]:
    """The rows whose key or name holds every word that was typed, in the order of the list."""
    words = typed.replace(_JOIN.strip(), " ").casefold().split()
    found = (key for key, name in names.items() if all(word in f"{key} {' '.join(name.values())}".casefold()
                                                       for word in words))  # fmt: skip
    return [choice_of(key, names) for key, _ in zip(found, range(most), strict=False)]


class _Choices:
    def __init__(self, console: Console) -> None:
        self._lists = console.lists

    def options(self, of: str) -> Response:
        """What fits what was typed so far, as options of the input's list: of the list in force, or of a draft."""
        seen, _ = self._lists.seen(request.args.get("draft"))
        typed = request.args.get(request.args.get("field", ""), "").strip()[:200]
        # A draft need not hold together, so it is read as the plain values that it is.
        names = drafted_names(seen.listing.document, of) if seen.draft else names_of(seen.catalog, of)
        return shown("choices/options.html", found=fitting(typed, names))


def _items(catalog: Catalog) -> dict[str, Text]:
    return {key: one.name for key, one in catalog.items.items()}


def _materials(catalog: Catalog) -> dict[str, Text]:
    return {key: one.name for key, one in catalog.materials.items()}


def _matters(catalog: Catalog) -> dict[str, Text]:
    return {key: one.name for key, one in catalog.scenes.items()} | _items(catalog)


_NAMES: Mapping[str, Callable[[Catalog], Mapping[str, Text]]] = {
    "item": _items, "material": _materials, "matter": _matters,
}  # fmt: skip
