"""The item library (事项库) is the only master of items: which of our items its entries are, and the ties kept of that.

:func:`match` finds our items for a library's entries, and :func:`tied` gives the ties as they would be after an import.
They are the section ``master`` of the list: the library's own elements, as they stood in one version. Nothing of ours
follows the library by itself; :mod:`broker.core.master_compare` tells where the two disagree, and a person decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from broker.core.catalog import Catalog, Item, MasterLink, MasterMaterial, Place
from broker.core.master_entries import Entry, plain_name

Key = tuple[str, str]  # item, region


@dataclass(frozen=True, slots=True)
class Matched:
    """Which of our items each entry is, and which entries could be several or none."""

    pairs: Mapping[Key, Entry]
    unknown: tuple[Entry, ...]
    ambiguous: tuple[tuple[Entry, tuple[str, ...]], ...]
    regions: frozenset[str]  # of all entries


def match(entries: Iterable[Entry], catalog: Catalog, source: str) -> Matched:
    """Tie by the link we have, else by our own code for the item, else by its name in the region.

    Two entries for one item, or two items for one entry, are ambiguous: a person must say which is meant, by giving
    the item its ``task_code``.
    """
    index = _Index(catalog, source)
    found = [(entry, index.items_of(entry)) for entry in entries]
    regions = frozenset(entry.region for entry, _ in found)
    claims = Counter((keys[0], entry.region) for entry, keys in found if len(keys) == 1)
    pairs: dict[Key, Entry] = {}
    ambiguous = []
    for entry, keys in found:
        if len(keys) == 1 and claims[keys[0], entry.region] == 1:
            pairs[keys[0], entry.region] = entry
        elif keys:
            ambiguous.append((entry, keys))
    return Matched(pairs, tuple(entry for entry, keys in found if not keys), tuple(ambiguous), regions)


class _Index:
    """Our items by everything an entry can be known by."""

    def __init__(self, catalog: Catalog, source: str) -> None:
        self.links: dict[tuple[str, str], dict[str, None]] = {}
        self.codes: dict[tuple[str, str], dict[str, None]] = {}
        self.names: dict[tuple[str, str], dict[str, None]] = {}
        for item, place in placed(catalog):
            if place.master is not None and place.master.source == source:
                self.links.setdefault((place.region, place.master.id), {})[item.key] = None
            if item.task_code is not None:
                self.codes.setdefault((place.region, item.task_code), {})[item.key] = None
            for name in names_of(item, place):
                self.names.setdefault((place.region, plain_name(name)), {})[item.key] = None

    def items_of(self, entry: Entry) -> tuple[str, ...]:
        """The items an entry may be, by the strongest sign there is."""
        for table, signs in (
            (self.links, (entry.id,)),
            (self.codes, (entry.id, entry.task_code)),
            (self.names, (plain_name(entry.name),)),
        ):
            for sign in signs:
                found = table.get((entry.region, sign))
                if found:
                    return tuple(found)
        return ()


def names_of(item: Item, place: Place) -> tuple[str, ...]:
    """What a library may call an item: its leaf, and its row with the leaf behind it."""
    row, leaf = item.printed(place.region)
    if not leaf:
        return (row, item.name["zh"])
    return (leaf, f"{row}({leaf})", f"{row}{leaf}", f"{row}-{leaf}")


def link_of(entry: Entry, item: Item, catalog: Catalog, source: str, version: str) -> MasterLink:
    """What is kept of an entry: its codes, its name, and of its materials those that are ours too."""
    ours = {requirement.key: catalog.materials[requirement.material] for requirement in item.requirements}
    papers = {plain_name(paper.name): paper for paper in entry.papers}
    materials = {}
    for key, material in ours.items():
        paper = papers.get(plain_name(material.name["zh"]))
        if paper is not None:
            materials[key] = MasterMaterial(paper.name, paper.code, paper.needed, paper.by_law)
    return MasterLink(
        source, entry.id, version, entry.task_code, entry.name, materials, entry.handling_code, entry.withdrawn
    )


def tied(matched: Matched, catalog: Catalog, source: str, version: str) -> dict[Key, MasterLink]:
    """Every tie as it would be: those of the entries, and untouched those of other libraries and absent entries."""
    links = links_of(catalog)
    for (item, region), entry in matched.pairs.items():
        old = links.get((item, region))
        if old is None or old.source == source:
            links[item, region] = link_of(entry, catalog.items[item], catalog, source, version)
    return links


def placed(catalog: Catalog) -> Iterator[tuple[Item, Place]]:
    """Every item in every region, in the list's order."""
    for item in catalog.items.values():
        for place in item.places.values():
            yield item, place


def links_of(catalog: Catalog) -> dict[Key, MasterLink]:
    """Every tie that the list has."""
    return {(item.key, place.region): place.master for item, place in placed(catalog) if place.master is not None}


def section(links: Mapping[Key, MasterLink]) -> dict[str, dict[str, dict[str, object]]]:
    """The links as the section ``master`` of the list, sorted by item and region."""
    found: dict[str, dict[str, dict[str, object]]] = {}
    for (item, region), link in sorted(links.items()):
        found.setdefault(item, {})[region] = _entry_of(link)
    return found


def _entry_of(link: MasterLink) -> dict[str, object]:
    entry: dict[str, object] = {name: getattr(link, name) for name in ("source", "id", "version", "task_code")}
    if link.handling_code is not None:
        entry["handling_code"] = link.handling_code
    entry["name"] = link.name
    if link.withdrawn:
        entry["withdrawn"] = True
    entry["materials"] = {
        key: {
            name: value
            for name, value in (("name", one.name), ("code", one.code), ("is_need", one.needed), ("by_law", one.by_law))
            if value is not None
        }
        for key, one in link.materials.items()
    }
    return entry
