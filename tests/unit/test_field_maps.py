"""What the field maps of the list make of any record: never another meaning, never another field, never a raw text.

Records and maps are generated, and the maps of the shipped sources are among them. What must come out is worked out
here anew: by the path that the map gives for the field, and by nothing the readers contain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.connectors.reading import Settled, the_one, told
from broker.core.answer import Answer, Outcome, Question, Reason
from broker.core.case import Party
from broker.core.catalog import Form, Source
from tests.asking import SIMULATED, SOURCES, question

CHINA = timezone(timedelta(hours=8))
PATHS = ("A", "B", "C", "D.E", "D.F", "G")
OURS = ("status", "holder_name", "paid_on", "A", "B")  # of which two are called as another's path is
WORDS = ("alive", "married", "receiving")
MAPPED = [
    dict(SOURCES[key].options)
    for key in SIMULATED
    if isinstance(SOURCES[key].options.get("fields"), Mapping) and SOURCES[key].connector != "certshare"
]

moments = st.datetimes(datetime(1950, 1, 1), datetime(2090, 1, 1)).map(lambda when: when.replace(microsecond=0))  # noqa: DTZ001 - a wall clock's
dates = moments.map(lambda when: f"{when:%Y-%m-%d %H:%M:%S}")


def padded_text(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """The same, sometimes with spaces around it."""
    return st.builds(str.format, st.sampled_from(["{}", "{}", "{}", " {}", "{}\u3000", "\t{}\n"]), texts)


plain = st.one_of(
    st.sampled_from(["0", "1", "01", "１", "一", "", " ", "长期", "null", "1 0"]),
    st.text(max_size=6),
    dates,
    st.integers(-2, 3),
)
values = st.one_of(
    padded_text(st.sampled_from(["0", "1", "张三", "X1"])),
    plain,
    st.sampled_from([None, True, False, 1.0, [], ["1"], {"0": "1"}]),
)


@dataclass(frozen=True)
class Case:
    """What a list says of a source, what was asked for, and what came back."""

    options: Mapping[str, Any]
    asked: tuple[str, ...]
    records: Sequence[Mapping[str, Any]]


@st.composite
def maps(draw: st.DrawFn) -> dict[str, Any]:
    """Options as a list may have them: two fields may share a path, and a map of values may know nothing."""
    fields = draw(st.dictionaries(st.sampled_from(OURS), st.sampled_from(PATHS), min_size=1))
    known = st.dictionaries(st.sampled_from(["0", "1", "X1", "null"]), st.sampled_from(WORDS), max_size=3)
    options: dict[str, Any] = {"fields": fields}
    options["values"] = draw(st.dictionaries(st.sampled_from(sorted(fields)), known))
    for name in ("holder", "as_of"):
        if draw(st.booleans()):
            options[name] = draw(st.sampled_from(PATHS))
    if draw(st.booleans()):
        options |= {"pick": "latest", "latest": draw(st.sampled_from(PATHS))}
    return options


def _good(options: Mapping[str, Any], path: str) -> st.SearchStrategy[Any]:
    """What an orderly source has at a path, as far as its options tell."""
    if path in {options.get("as_of"), options.get("latest")}:
        return dates
    maps_there = [options.get("values", {}).get(ours) for ours, theirs in options["fields"].items() if theirs == path]
    codes = {code for known in (*maps_there, options.get("verdicts", {}).get(path)) if known for code in known}
    return padded_text(st.sampled_from(sorted(codes)) if codes else st.sampled_from(["张三", "X1", "甲\u3000乙", "36"]))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Records that mostly hold what they should at each path, or hardly any would be read to its end."""
    options = draw(st.one_of(maps(), maps(), st.sampled_from(MAPPED)))
    named = [options.get(name) for name in ("as_of", "latest", "holder")]
    paths = sorted({*PATHS, *options["fields"].values(), *options.get("verdicts", {}), *filter(None, named)})
    orderly = st.fixed_dictionaries({path: _good(options, path) for path in paths})
    records = draw(st.lists(orderly, min_size=1, max_size=3))
    for record in records[: draw(st.sampled_from([0, 0, 0, 1, 3]))]:
        record.update(draw(st.dictionaries(st.sampled_from(paths), values, max_size=2)))
        record.pop(draw(st.sampled_from([*paths, ""])), None)
    kept = records if options.get("pick") else records[: draw(st.sampled_from([0, 1, 1, 1, 1, 2]))]
    asked = draw(st.lists(st.sampled_from([*options["fields"], "never_mapped"]), unique=True, min_size=1))
    return Case(options, tuple(asked), [_nested(record) for record in kept])


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for path, value in flat.items():
        *above, last = path.split(".")
        place = document
        for step in above:
            place = place.setdefault(step, {})
        place[last] = value
    return document


def _text(record: Mapping[str, Any], path: str) -> str:
    """What stands there as text; "" for nothing, and for what is no single plain value."""
    found: Any = record
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return str(found) if isinstance(found, (str, int)) and not isinstance(found, bool) else ""


def _time(record: Mapping[str, Any], path: str) -> datetime | None:
    written = _text(record, path)
    digits = written.replace("-", "").replace(":", "").replace(" ", "").replace("T", "")
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S" if len(digits) == 14 else "%Y%m%d").replace(tzinfo=CHINA)
    except ValueError:
        return None


def _read(case: Case) -> Answer:
    source: Source = replace(SOURCES["hs-personal"], options=case.options)
    subject = Party("applicant", "111", "370499196601100010", "测试甲子甲")
    asked: Question = replace(question("hs-personal", Form.QUERY, subject), fields=case.asked)
    try:
        return told(the_one(case.records, case.options), asked, source)
    except Settled as end:
        return end.answer


def _meant(case: Case) -> Mapping[str, Any] | None:
    """The record that an answer may come from: the only one, or the one that is later than every other."""
    if len(case.records) == 1:
        return case.records[0]
    path = case.options.get("latest", "")
    days = [_time(record, path) for record in case.records]
    known = [day for day in days if day is not None]
    if case.options.get("pick") != "latest" or not known or len(known) < len(days) or days.count(max(known)) > 1:
        return None
    return case.records[days.index(max(known))]


@settings(max_examples=80, deadline=None)
@given(case=cases())
def test_an_answer_says_what_its_record_says_at_each_fields_own_path_in_our_words(case: Case) -> None:
    answer, record = _read(case), _meant(case)
    if answer.outcome is Outcome.UNKNOWN:
        assert (dict(answer.fields), answer.holder_number, answer.as_of) == ({}, "", None)
        return
    assert record is not None, "nobody could say which record is meant"
    expected = {}
    for ours, theirs in case.options["fields"].items():
        text = _text(record, theirs).strip()
        if ours in case.asked and text:
            known = case.options.get("values", {}).get(ours)
            expected[ours] = text if known is None else known[text]  # KeyError: HELD with what the list does not know
    assert dict(answer.fields) == expected
    assert all(text and text == text.strip() for text in answer.fields.values())
    assert answer.holder_number == (_text(record, case.options["holder"]).strip() if "holder" in case.options else "")
    assert "holder" not in case.options or answer.holder_number
    assert answer.as_of == (_time(record, case.options["as_of"]) if "as_of" in case.options else None)
    assert "as_of" not in case.options or (answer.as_of is not None and answer.as_of.tzinfo is UTC)


@settings(max_examples=40, deadline=None)
@given(case=cases(), value=st.text(min_size=1, max_size=6).filter(str.strip))
def test_a_value_that_the_list_does_not_know_is_never_held(case: Case, value: str) -> None:
    """Put at the path of any asked field with a list of values, into every record."""
    for ours, known in case.options.get("values", {}).items():
        if ours not in case.asked or value.strip() in known:
            continue
        path = case.options["fields"][ours]
        spoilt = [
            _nested({**{one: _raw(record, one) for one in _leaves(record)}, path: value}) for record in case.records
        ]
        assert _read(replace(case, records=spoilt)).outcome is not Outcome.HELD


def _leaves(record: Mapping[str, Any], above: str = "") -> list[str]:
    found = []
    for name, value in record.items():
        nested = isinstance(value, dict) and name == "D"
        found += _leaves(value, f"{name}.") if nested else [above + name]
    return found


def _raw(record: Mapping[str, Any], path: str) -> Any:
    found: Any = record
    for step in path.split("."):
        found = found[step]
    return found


@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_the_order_of_the_records_and_of_their_fields_changes_nothing(case: Case) -> None:
    turned = [dict(reversed(list(record.items()))) for record in reversed(case.records)]
    first, second = _read(case), _read(replace(case, records=turned))
    doubtful = {Reason.MALFORMED, Reason.AMBIGUOUS}  # of two doubts the first is named
    assert first == second or {first.reason, second.reason} <= doubtful
