"""Reads the sharing list from its YAML files: strictly, within limits, and knowing on which line everything stands.

Stricter than YAML: a key may not stand twice, keys are always text, only JSON's values exist (a date stays text), and
``include`` reaches only files below the front door's folder, one level deep. What is wrong becomes a finding with its
file and line; nothing here raises for what a file says. Whether the content makes sense is ``broker.core.check``'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from broker.core.findings import Finding, Where, found

MAX_BYTES = 4 * 1024 * 1024  # the four plans whole are under half a megabyte
MAX_DEPTH = 20  # the list needs 9; yaml's composer recurses
MAX_VALUES = 500_000  # aliases of aliases grow without bound ("billion laughs")
MAX_INCLUDES = 200


@dataclass(frozen=True)
class CatalogFile:
    """The document with its includes merged, where each path stands, and what was wrong with the files."""

    document: Mapping[str, Any]
    places: Mapping[Where, str]
    findings: tuple[Finding, ...]


def read_catalog(path: Path) -> CatalogFile:
    """Read the front door and what it includes; with findings, the document holds what could be read."""
    reader = _Reader()
    front = reader.file(path, path.name)
    names = front.pop("include", [])
    document: dict[str, Any] = front
    for included, name in _included(path, names, reader):
        _merge(document, reader.file(included, name), reader)
    return CatalogFile(document, reader.places, tuple(reader.findings))


def read_row(text: str) -> tuple[Any, tuple[Finding, ...]]:
    """One value of the list as somebody typed it, as strictly as a file; None with findings where it cannot be read."""
    reader = _Reader()
    try:
        _check_depth(text)
        node = yaml.compose(text, Loader=_Loader)
        value = None if node is None else reader.value(node, (), "row")
    except (_TooLargeError, yaml.YAMLError, ValueError) as error:
        reader.note("unreadable", (), f"row:{_line(error)}", why=f"{_line(error)}: {_why(error)}")
        return None, tuple(reader.findings)
    return (None if reader.findings else value), tuple(reader.findings)


def _included(front: Path, names: Any, reader: _Reader) -> Iterable[tuple[Path, str]]:
    """The files an ``include`` list names, each below the front door's folder, each once."""
    if not isinstance(names, list) or len(names) > MAX_INCLUDES or not all(isinstance(name, str) for name in names):
        reader.note("include", ("include",), name="include", why=f"not a list of at most {MAX_INCLUDES} file names")
        return
    folder = front.parent.resolve()
    for position, name in enumerate(names):
        file = (folder / name).resolve()
        if not file.is_relative_to(folder) or file == front.resolve() or name in names[:position]:
            reader.note("include", ("include", position), name=name, why="outside the folder, itself, or a second time")
        else:
            yield file, name


def _merge(document: dict[str, Any], more: Mapping[str, Any], reader: _Reader) -> None:
    """Add the sections of an included file; the same key in two files is as wrong as twice in one."""
    for section, entries in more.items():
        mine = document.setdefault(section, {})
        if section == "include" or not isinstance(mine, dict) or not isinstance(entries, dict):
            reader.note("include", (section,), name=section, why="only sections of keys can be spread over files")
            continue
        for key, entry in entries.items():
            if key in mine:
                reader.note("duplicate-key", (section, key), key=key, first=reader.first.get((section, key), "-"))
            else:
                mine[key] = entry


@dataclass
class _Reader:
    """Collects places and findings over several files."""

    places: dict[Where, str] = field(default_factory=dict)
    first: dict[Where, str] = field(default_factory=dict)  # the first file's place where a later file overwrote it
    findings: list[Finding] = field(default_factory=list)
    values: int = 0

    def note(self, rule: str, path: Where, place: str = "", **names: str) -> None:
        """Keep a finding, at ``place`` or where the path now stands."""
        self.findings.append(replace(found(rule, path, **names), place=place or self.places.get(path, "")))

    def file(self, path: Path, name: str) -> dict[str, Any]:
        """The mapping one file holds; empty when it cannot be read."""
        try:
            text = _text(path)
            _check_depth(text)
            node = yaml.compose(text, Loader=_Loader)
            value = {} if node is None else self.value(node, (), name)
        except _TooLargeError as error:
            self.note("too-large", (), f"{name}:1", why=str(error))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
            self.note("unreadable", (), f"{name}:{_line(error)}", why=_why(error))
        else:
            if isinstance(value, dict):
                return value
            self.note("unreadable", (), f"{name}:1", why="a mapping is needed")
        return {}

    def value(self, node: yaml.Node, path: Where, name: str) -> Any:
        """The value of a node, its place noted; limits are counted here, because aliases are expanded here."""
        self.values += 1
        if self.values > MAX_VALUES or len(path) > MAX_DEPTH:
            raise _TooLargeError(f"more than {MAX_VALUES} values or {MAX_DEPTH} levels")
        place = f"{name}:{node.start_mark.line + 1}"
        if path in self.places:
            self.first.setdefault(path, self.places[path])
        self.places[path] = place
        if node.tag not in _TAGS:
            raise yaml.constructor.ConstructorError(None, None, f"the tag {node.tag} is not allowed", node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, name)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(entry, (*path, position), name) for position, entry in enumerate(node.value)]
        return _scalar(node)

    def mapping(self, node: yaml.MappingNode, path: Where, name: str) -> dict[str, Any]:
        """A mapping whose keys are text, each once."""
        entries: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key_node.start_mark)
            key = str(key_node.value)
            place = f"{name}:{key_node.start_mark.line + 1}"
            if key in entries:
                self.note("duplicate-key", (*path, key), place, key=key, first=self.places[*path, key])
                continue
            entries[key] = self.value(value_node, (*path, key), name)
            self.places[*path, key] = place
        return entries


class _TooLargeError(Exception):
    """A file is beyond one of the limits above."""


class _Loader(yaml.CSafeLoader):
    """Knows JSON's scalars only: no dates, no octal or sexagesimal numbers, no yes and no."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML reads the class attribute


_STR, _BOOL, _INT, _FLOAT, _NULL = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "bool", "int", "float", "null"))
_TAGS = {_STR, _BOOL, _INT, _FLOAT, _NULL, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_PLAIN = {
    _BOOL: (re.compile(r"(?:true|false)\Z"), ["t", "f"]),
    _INT: (re.compile(r"(?:0|-?[1-9][0-9]*)\Z"), list("-0123456789")),
    _FLOAT: (re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+\Z"), list("-0123456789")),
    _NULL: (re.compile(r"(?:null|~|)\Z"), ["n", "~", ""]),
}
for _tag, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(_tag, _pattern, _first)


def _scalar(node: yaml.Node) -> Any:
    text = str(node.value)
    if node.tag in _PLAIN and not _PLAIN[node.tag][0].match(text):  # an explicit tag on something else
        raise yaml.constructor.ConstructorError(None, None, f"not a value of {node.tag}", node.start_mark)
    if node.tag == _INT:
        return int(text)
    if node.tag == _FLOAT:
        return float(text)
    if node.tag == _BOOL:
        return text == "true"
    return None if node.tag == _NULL else text


def _text(path: Path) -> str:
    with path.open("rb") as file:
        body = file.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise _TooLargeError(f"more than {MAX_BYTES} bytes")
    return body.decode("utf-8")


def _check_depth(text: str) -> None:
    """Look at the events first: the parser keeps its own stack, the composer after it uses ours."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _TooLargeError(f"more than {MAX_DEPTH} levels")


def _line(error: Exception) -> int:
    mark = getattr(error, "problem_mark", None)
    return 1 if mark is None else int(mark.line) + 1


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "it cannot be opened"
    return str(getattr(error, "problem", None) or error)
