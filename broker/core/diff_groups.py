"""The differences between two lists row by row, each consequence under the change that causes it, for a reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from broker.core.catalog import Text
from broker.core.diff import Change, Difference, Document, Teller
from broker.core.findings import Where
from broker.core.list_terms import SECTIONS


@dataclass(frozen=True, slots=True)
class Group:
    """One row's changes, and what follows from them."""

    section: str
    key: str
    name: Text
    lines: tuple[Change, ...] = ()
    effects: tuple[Change, ...] = ()


_EFFECTS = frozenset({"exemption-gained", "exemption-lost", "callers-gain", "callers-lose"})


def grouped(difference: Difference, before: Document, after: Document) -> tuple[Group, ...]:
    """The changes by the row they are of, each consequence under the change that causes it; sorted by name."""
    teller = Teller(before, after)
    lines: dict[Where, list[Change]] = {}
    effects: dict[Where, list[Change]] = {}
    for one in difference.changes:
        if one.kind not in _EFFECTS:
            lines.setdefault(one.path[:2], []).append(one)
    for one in difference.changes:
        if one.kind in _EFFECTS:
            cause = next((row for row in _causes(one, lines, (before, after)) if row in lines), one.path[:2])
            effects.setdefault(cause, []).append(one)
    rows = [*lines, *(row for row in effects if row not in lines)]
    found = [_group(teller, row, lines.get(row, ()), effects.get(row, ())) for row in rows]
    order = list(SECTIONS)
    return tuple(sorted(found, key=lambda one: (order.index(one.section) if one.section in order else 9,
                                                one.name["zh"], one.key)))  # fmt: skip


def _group(teller: Teller, row: Where, lines: Iterable[Change], effects: Iterable[Change]) -> Group:
    section, key = str(row[0]) if row else "", str(row[1]) if len(row) > 1 else ""
    name: Text = {language: teller.name("items" if section == "master" else section, key, language)
                  for language in ("zh", "en")}  # fmt: skip
    if not key:
        name = SECTIONS.get(section, {"zh": "清单", "en": "list"})
    told = tuple(_without(one, teller, row) for one in lines) if key else tuple(lines)
    return Group(section, key, name, told, tuple(sorted(effects, key=lambda one: (one.kind, one.zh))))


def _without(line: Change, teller: Teller, row: Where) -> Change:
    """A line under the name of its row, which it need not say again."""
    zh = line.zh.removeprefix(teller.subject(row, "zh")).lstrip("： ")
    return replace(line, zh=zh, en=line.en.removeprefix(teller.subject(row, "en")).lstrip(": "))


def _causes(effect: Change, rows: Iterable[Where], documents: tuple[Document, Document]) -> Iterator[Where]:
    """The rows that may have caused an effect, the likeliest first."""
    if effect.kind.startswith("exemption"):
        material = str(effect.path[2]).partition("@")[0]
        yield ("materials", material)
        yield ("items", effect.path[1])
        yield from (("sources", name) for name in _sources(material, documents))
        return
    source = str(effect.path[1])
    yield from (row for row in rows if row[:1] == ("materials",) and source in _sources(str(row[1]), documents))
    yield ("sources", source)
    yield from (("items", key) for key in effect.items)


def _sources(material: str, documents: tuple[Document, Document]) -> list[str]:
    chains = (document["materials"].get(material, {}).get("chain", ()) for document in documents)
    return [str(step.get("source", "")) for chain in chains for step in chain]
