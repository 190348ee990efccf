"""Does a sharing list make sense? Everything its grammar and its rules have against it, as findings.

(1) The schema: a document of another shape is looked at no further, so that (2) the rules may rely on its shape, and
``catalog_from`` never meets a document that it cannot read. Errors forbid publishing; warnings are the list's own
to-do list. Reading files and the schema is left outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from itertools import islice
from typing import Any, NamedTuple

import jsonschema
import jsonschema_rs
from jsonschema.exceptions import best_match, relevance

from broker.core.catalog import FILE_FIELDS, Form, Mode, names_holder
from broker.core.findings import Finding, Where, found
from broker.core.identifiers import is_certificate_type, is_credit_code

Document = Mapping[str, Any]

MAX_SCHEMA_FINDINGS = 50  # more only say the same again
MAX_WORDS = 200  # a schema message quotes what it found, which may be the whole list

# What an answer can say of the person it is about, and with what it is then compared.
_PERSON_FIELDS = {
    "holder_number": "holder.number",
    "holder_name": "holder.name",
    "owner_name": "holder.name",
    "buyer_name": "holder.name",
    "mother_name": "holder.name",
    "father_name": "holder.name",
}
_CATCH_ALLS = ("其他材料", "其它材料", "其他资料", "其他有关材料", "其他相关材料", "需要提交的其他", "other material")
_FORMS = {
    Mode.CERTIFICATE: {Form.QUERY, Form.VERIFY, Form.FILE},
    Mode.DATA_QUERY: {Form.QUERY},
    Mode.DATA_VERIFY: {Form.VERIFY},
    Mode.DEPARTMENT_CHECK: {Form.VERIFY},
}
_NEEDS = {  # what a row of each mode must say; what another mode must say, it may not
    Mode.CERTIFICATE: ("source", "form"),
    Mode.DATA_QUERY: ("source", "form"),
    Mode.DATA_VERIFY: ("source", "form"),
    Mode.REUSE: ("source", "form"),
    Mode.SCENE_RESULT: ("item",),
    Mode.DEPARTMENT_CHECK: ("unit",),
    Mode.COMMITMENT: ("text",),
    Mode.SUBMISSION: (),
}
_OF_A_MODE = ("source", "form", "fields", "expect", "related", "item", "unit", "text")
_ASKING = ("source", "form", "fields", "expect", "related")
_ORDERED = ("unit", "source", "form", "fields", "related")  # nothing is expected: what a person confirms is so
_PEOPLE = "work_order"  # the connector of sources whose people answer
_NEEDS_BASIS = {Mode.CERTIFICATE, Mode.DATA_QUERY, Mode.DATA_VERIFY, Mode.DEPARTMENT_CHECK, Mode.COMMITMENT}


def check(document: Any, schema: Mapping[str, Any]) -> list[Finding]:
    """Every finding, in the document's order of sections; without errors, the document may be published."""
    findings = list(_schema(document, schema))
    if findings:
        return findings
    return [finding for rule in _RULES for finding in rule(document)]


def _schema(document: Any, schema: Mapping[str, Any]) -> Iterator[Finding]:
    if jsonschema_rs.Draft202012Validator(dict(schema)).is_valid(document):
        return  # some 60 times faster than the validator whose messages people can read
    validator = jsonschema.Draft202012Validator(schema)
    for error in islice(sorted(validator.iter_errors(document), key=relevance), MAX_SCHEMA_FINDINGS):
        telling = best_match([error]) or error  # of a choice, the branch that came nearest
        words = telling.message if len(telling.message) <= MAX_WORDS else f"{telling.message[:MAX_WORDS]}…"
        yield found("schema", tuple(telling.absolute_path), why=words)


class _Row(NamedTuple):
    """One row of a material's chain, with where it stands."""

    material: str
    entry: Mapping[str, Any]
    where: Where

    @property
    def mode(self) -> Mode:
        return Mode(self.entry["mode"])

    @property
    def orders(self) -> bool:
        """Whether people of a source are asked."""
        return self.mode is Mode.DEPARTMENT_CHECK and "source" in self.entry

    @property
    def rests_on_source(self) -> bool:
        return self.mode.asks_source or self.mode is Mode.REUSE or self.orders

    @property
    def needs(self) -> tuple[str, ...]:
        return (*_NEEDS[self.mode], "source", "form") if self.orders else _NEEDS[self.mode]

    @property
    def takes(self) -> tuple[str, ...]:
        if self.orders:
            return _ORDERED
        return _ASKING if self.rests_on_source else self.needs

    @property
    def confirmed(self) -> bool:
        return bool(self.entry.get("state", "confirmed") == "confirmed")


def _rows(document: Document) -> Iterator[_Row]:
    for key, material in document["materials"].items():
        for position, entry in enumerate(material["chain"]):
            yield _Row(key, entry, ("materials", key, "chain", position))


def _asking(document: Document) -> Iterator[tuple[_Row, Mapping[str, Any]]]:
    """The rows that rest on the answers of a source which exists."""
    for row in _rows(document):
        source = document["sources"].get(row.entry.get("source"))
        if row.rests_on_source and source is not None:
            yield row, source


def _places(document: Document) -> Iterator[tuple[str, str, Mapping[str, Any], Where]]:
    for key, item in document["items"].items():
        for region, place in item["regions"].items():
            yield key, region, place, ("items", key, "regions", region)


def _requirements(document: Document) -> Iterator[tuple[str, Mapping[str, Any], Where]]:
    for key, item in document["items"].items():
        for position, need in enumerate(item["materials"]):
            yield key, need, ("items", key, "materials", position)


# ---- references


def _references(document: Document) -> Iterator[Finding]:
    for _, region, place, where in _places(document):
        if region not in document["regions"]:
            yield found("reference", where, kind="region", name=region)
        if place["scene"] not in document["scenes"]:
            yield found("reference", (*where, "scene"), kind="scene", name=place["scene"])
    for _, need, where in _requirements(document):
        if need["material"] not in document["materials"]:
            yield found("reference", (*where, "material"), kind="material", name=need["material"])
    for row in _rows(document):
        for kind in ("source", "item"):
            name = row.entry.get(kind)
            if name is not None and name not in document[f"{kind}s"]:
                yield found("reference", (*row.where, kind), kind=kind, name=name)


def _duplicates(document: Document) -> Iterator[Finding]:
    leaves: dict[tuple[str, ...], str] = {}
    for key, region, place, where in _places(document):
        item = document["items"][key]
        name = place.get("sub_wording") or (item["name"]["zh"] if "row" in item else "")
        leaf = (region, item["life_cycle"], place["seq"], name)
        if leaf in leaves:
            yield found("duplicate-item", where, other=leaves[leaf])
        leaves.setdefault(leaf, key)
    seen: set[tuple[str, str, str]] = set()
    for key, need, where in _requirements(document):
        holder = need.get("holder", "applicant")
        if (key, need["material"], holder) in seen:
            yield found("duplicate-requirement", where, name=need["material"])
        seen.add((key, need["material"], holder))


def _plan(document: Document) -> Iterator[Finding]:
    for key, _, place, where in _places(document):
        scene = document["scenes"].get(place["scene"])
        if scene is not None and scene["life_cycle"] != document["items"][key]["life_cycle"]:
            yield found("life-cycle", (*where, "scene"), name=place["scene"])
        if not place["lead"]:
            yield found("lead-missing", (*where, "lead"))


def _unused(document: Document) -> Iterator[Finding]:
    used = {need["material"] for _, need, _ in _requirements(document)}
    for key in document["materials"]:
        if key not in used:
            yield found("unused-material", ("materials", key))


def _master(document: Document) -> Iterator[Finding]:
    """What ties our items to an item library must name items that are there, and that are still there."""
    for key, places in document.get("master", {}).items():
        item = document["items"].get(key, {"regions": {}})
        for region, link in places.items():
            where: Where = ("master", key, region)
            if region not in item["regions"]:
                yield found("reference", where, kind="item", name=f"{key} {region}")
            elif "withdrawn" in link and "to" not in item.get("effective", {}):
                yield found("master-withdrawn", where, source=link["source"], version=link["version"])


# ---- who decides about grants


def _owners(document: Document) -> Iterator[Finding]:
    """One finding per authority, at the first of its sources that names no unit: the code is one for all of them."""
    without: dict[str, list[str]] = {}
    for key, source in document["sources"].items():
        if "unit" not in source and source["sharing"] != "none":
            without.setdefault(source["authority"]["zh"], []).append(key)
    for authority, keys in without.items():
        yield found("source-without-unit", ("sources", keys[0]), authority=authority, count=str(len(keys)))


# ---- codes and dates


def _codes(document: Document) -> Iterator[Finding]:
    for key, source in document["sources"].items():
        service = source["service"]
        if service is None and source["connector"] != _PEOPLE:
            yield found("service-unknown", ("sources", key, "service"))
        elif source["connector"] == "certshare" and not is_certificate_type(service or ""):
            yield found("check-digit", ("sources", key, "service"), code=service)
    for key, item in document["items"].items():
        code = item.get("task_code")
        if code is not None and not is_credit_code(code[:18]):
            yield found("check-digit", ("items", key, "task_code"), code=code)


def _dates(document: Document) -> Iterator[Finding]:
    for key, item in document["items"].items():
        whole = item.get("effective", {})
        yield from _period(whole, ("items", key, "effective"))
        if "to" in whole and "reason" not in whole:
            yield found("end-unexplained", ("items", key, "effective"))
        for position, need in enumerate(item["materials"]):
            part, where = need.get("effective", {}), ("items", key, "materials", position, "effective")
            yield from _period(part, where)
            if part.get("from", "") > whole.get("to", "9") or part.get("to", "9") < whole.get("from", ""):
                yield found("dates-outside", where)
    for row in _rows(document):
        if "due" in row.entry and not _is_date(row.entry["due"]):
            yield found("date", (*row.where, "due"), date=row.entry["due"])


def _period(period: Mapping[str, str], where: Where) -> Iterator[Finding]:
    for end in ("from", "to"):
        if end in period and not _is_date(period[end]):
            yield found("date", (*where, end), date=period[end])
    if period.get("from", "") > period.get("to", "9"):  # ISO days sort as text, and "9" comes after all of them
        yield found("dates-contradict", where, start=period["from"], end=period["to"])


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


# ---- materials and their chains


def _materials(document: Document) -> Iterator[Finding]:
    for key, material in document["materials"].items():
        names = material["name"]
        if any(words in text.lower() for words in _CATCH_ALLS for text in names.values()):
            yield found("catch-all", ("materials", key, "name"), name=names["zh"])
        if material["basis"] is None:
            yield found("no-basis", ("materials", key))


def _chains(document: Document) -> Iterator[Finding]:
    for key, material in document["materials"].items():
        modes = [Mode(entry["mode"]) for entry in material["chain"]]
        where: Where = ("materials", key, "chain")
        if Mode.SUBMISSION in modes[:-1]:
            yield found("chain-unreachable", (*where, modes.index(Mode.SUBMISSION)))
        elif modes[-1] not in {Mode.SUBMISSION, Mode.COMMITMENT}:
            yield found("chain-open", where)
        replacing = [entry for entry in material["chain"] if entry["mode"] != Mode.SUBMISSION]
        if replacing and not any(entry.get("state", "confirmed") == "confirmed" for entry in replacing):
            yield found("chain-proposed", where)


def _shape(document: Document) -> Iterator[Finding]:
    for row in _rows(document):
        for name in row.needs:
            if name not in row.entry:
                yield found("row-incomplete", row.where, mode=row.mode, name=name)
        for name in _OF_A_MODE:
            if name in row.entry and name not in row.takes:
                yield found("row-excess", (*row.where, name), mode=row.mode, name=name)
        form = row.entry.get("form")
        if form is not None and row.mode in _FORMS and form not in _FORMS[row.mode]:
            yield found("mode-form", (*row.where, "form"), mode=row.mode, form=form)


def _people(document: Document) -> Iterator[Finding]:
    """A check between departments asks people, nothing else does, and people are given days."""
    for row, source in _asking(document):
        if row.mode is not Mode.REUSE and row.orders != (source["connector"] == _PEOPLE):
            yield found("work-order", (*row.where, "source"), mode=row.mode, source=row.entry["source"])
    for key, source in document["sources"].items():
        if source["connector"] == _PEOPLE:
            options = source.get("options", {})
            days, before = options.get("sla_working_days"), options.get("remind_working_days")
            if not (type(days) is int and type(before) is int and 0 < before < days):
                yield found("work-order-days", ("sources", key), source=key)


def _offers(document: Document) -> Iterator[Finding]:
    """A row can exempt only by what its source gives, and what the row asks for."""
    for row, source in _asking(document):
        name, form = row.entry["source"], row.entry.get("form")
        if source["sharing"] == "none":
            yield found("not-shared", row.where, source=name)
        if form is not None and form not in source["forms"]:
            yield found("form-not-offered", (*row.where, "form"), source=name, form=form)
        asked = row.entry.get("fields", [])
        kept_back = source.get("withheld", {}).get("fields", ())
        for position, field in enumerate(asked):
            if field in kept_back:
                yield found("field-withheld", (*row.where, "fields", position), source=name, field=field)
            if field not in source["fields"]:
                yield found("field-not-offered", (*row.where, "fields", position), source=name, field=field)
        for position, rule in enumerate(row.entry.get("expect", [])):
            if rule["field"] not in asked:
                yield found("field-not-asked", (*row.where, "expect", position), field=rule["field"])


def _right_person(document: Document) -> Iterator[Finding]:
    """What comes back must be about the person asked about: the source names its holder, or the row compares a field.

    Who is named only by a name may be somebody else of that name; a verification that names nobody may answer another
    question than ours. Both are for the owner of the source to mend, and no error.
    """
    for row, source in _asking(document):
        if row.orders:
            continue  # a person answers, who has the question before them
        query = row.entry.get("form") == Form.QUERY
        offered = [field for field in _PERSON_FIELDS if field in source["fields"]]
        compared = {rule["field"] for rule in row.entry.get("expect", []) if rule["op"] == "equals" and "to" in rule}
        if query and offered and not compared & set(offered):
            example = offered[0]
            yield found("wrong-person", row.where, fields=", ".join(offered), field=example, to=_PERSON_FIELDS[example])
        elif not names_holder(source.get("options", {})) and "holder_number" not in compared:
            gate = query and row.confirmed and not offered
            yield found("holder-missing" if gate else "person-not-named", row.where, source=row.entry["source"])


def _answers_about_somebody(document: Document) -> Iterator[Finding]:
    """No source is confirmed for queries whose answers could as well be about anybody."""
    for key, source in document["sources"].items():
        queried = source["state"] == "confirmed" and Form.QUERY in source["forms"] and source["connector"] != _PEOPLE
        echoed = names_holder(source.get("options", {})) or _PERSON_FIELDS.keys() & set(source["fields"])
        if queried and not echoed:
            yield found("holder-missing", ("sources", key), source=key)


def _field_maps(document: Document) -> Iterator[Finding]:
    for key, source in document["sources"].items():
        known = source.get("options", {}).get("fields")
        if isinstance(known, Mapping):
            sent = FILE_FIELDS if Form.FILE.value in source["forms"] else frozenset()
            for position, field in enumerate(source["fields"]):
                if field not in known and field not in sent:
                    yield found("field-unmapped", ("sources", key, "fields", position), field=field)


def _confirmed(document: Document) -> Iterator[Finding]:
    for row in _rows(document):
        if row.confirmed and row.mode in _NEEDS_BASIS and "basis" not in row.entry:
            yield found("confirmed-without-basis", row.where)
    for row, source in _asking(document):
        if row.confirmed and source["state"] == "proposed":
            yield found("confirmed-on-proposed", row.where, source=row.entry["source"])


# ---- items and the chains of their materials


def _commitments(document: Document) -> Iterator[Finding]:
    allowing = {row.material for row in _rows(document) if row.mode is Mode.COMMITMENT}
    for key, need, where in _requirements(document):
        if need["material"] in allowing and "no_commitment" in document["items"][key]:
            yield found("commitment-excluded", where, item=key, material=need["material"])


def _scene_results(document: Document) -> Iterator[Finding]:
    """An item can use what another item issues only in a scene in which that other item comes before it."""
    items = document["items"]
    order = list(items)
    issuers = {row.material: row.entry.get("item") for row in _rows(document) if row.mode is Mode.SCENE_RESULT}
    for key, need, where in _requirements(document):
        material, issuer = need["material"], issuers.get(need["material"])
        if issuer is None or issuer not in items:
            continue
        if not _share_scene(items[key], items[issuer]):
            yield found("scene-result-elsewhere", where, material=material, issuer=issuer)
        elif order.index(issuer) >= order.index(key):
            yield found("scene-result-late", where, material=material, issuer=issuer)


def _share_scene(item: Mapping[str, Any], issuer: Mapping[str, Any]) -> bool:
    return all(
        region in issuer["regions"] and issuer["regions"][region]["scene"] == place["scene"]
        for region, place in item["regions"].items()
    )


_RULES: tuple[Callable[[Document], Iterator[Finding]], ...] = (
    _owners,
    _codes,
    _field_maps,
    _materials,
    _shape,
    _people,
    _chains,
    _offers,
    _right_person,
    _answers_about_somebody,
    _confirmed,
    _unused,
    _references,
    _master,
    _duplicates,
    _plan,
    _dates,
    _commitments,
    _scene_results,
)
