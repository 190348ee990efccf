"""The reader of the sharing list is strict, keeps within its limits, and knows on which line everything stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.findings import render
from broker.store.catalog_file import MAX_BYTES, CatalogFile, read_catalog


def read(folder: Path, front: str, **others: str) -> CatalogFile:
    """Write the files and read the first; in a name ``__`` stands for a slash."""
    for name, text in others.items():
        file = folder / f"{name.replace('__', '/')}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    (folder / "front.yaml").write_text(front)
    return read_catalog(folder / "front.yaml")


def rules(file: CatalogFile) -> list[str]:
    return [finding.rule for finding in file.findings]


def test_every_path_knows_its_file_and_line(tmp_path: Path) -> None:
    file = read(
        tmp_path,
        "include: [parts/more.yaml]\nitems:\n  one: {seq: '1'}\n",
        parts__more="items:\n  two:\n    - x\n    - y\n",
    )
    assert file.document == {"items": {"one": {"seq": "1"}, "two": ["x", "y"]}}
    assert file.findings == ()
    assert file.places["items", "one", "seq"] == "front.yaml:3"
    assert file.places["items", "two"] == "parts/more.yaml:2"
    assert file.places["items", "two", 1] == "parts/more.yaml:4"


def test_a_date_and_a_code_stay_text(tmp_path: Path) -> None:
    """YAML 1.1 would read a date, an octal number, a number of base 60, and two truths."""
    file = read(tmp_path, "a: 2025-05-10\nb: 0777\nc: 12:30\nd: no\ne: on\nf: 1_000\n")
    assert file.document == {"a": "2025-05-10", "b": "0777", "c": "12:30", "d": "no", "e": "on", "f": "1_000"}


def test_the_values_of_json_are_read(tmp_path: Path) -> None:
    file = read(tmp_path, "a: 30\nb: true\nc: null\nd: -1.5\ne:\n370400: x\n")
    assert file.document == {"a": 30, "b": True, "c": None, "d": -1.5, "e": None, "370400": "x"}


def test_a_key_twice_is_found_at_its_second_line(tmp_path: Path) -> None:
    file = read(tmp_path, "items:\n  one: 1\n  two: 2\n  one: 3\n")
    assert rules(file) == ["duplicate-key"]
    assert render(file.findings, file.places)[0].startswith(
        "front.yaml:4 error duplicate-key The key one stands twice, first at front.yaml:2"
    )


def test_a_key_in_two_files_is_found(tmp_path: Path) -> None:
    file = read(tmp_path, "include: [more.yaml]\nitems:\n  one: 1\n", more="items:\n  one: 2\n")
    assert rules(file) == ["duplicate-key"]
    assert file.findings[0].message_en == "The key one stands twice, first at front.yaml:3"
    assert file.findings[0].place == "more.yaml:2"
    assert file.document == {"items": {"one": 1}}


@pytest.mark.parametrize("name", ["../outside.yaml", "/etc/hostname", "front.yaml"])
def test_an_include_stays_below_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside.yaml").write_text("items: {stolen: 1}\n")
    folder = tmp_path / "list"
    folder.mkdir()
    file = read(folder, f"include: [{name}]\nitems: {{}}\n")
    assert rules(file) == ["include"]
    assert file.document == {"items": {}}


def test_an_include_through_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text("items: {stolen: 1}\n")
    folder = tmp_path / "list"
    folder.mkdir()
    (folder / "inside.yaml").symlink_to(tmp_path / "outside.yaml")
    assert rules(read(folder, "include: [inside.yaml]\n")) == ["include"]


@pytest.mark.parametrize(
    ("front", "more"),
    [
        ("include: more.yaml\n", "{}"),
        ("include: [1]\n", "{}"),
        ("include: [more.yaml, more.yaml]\n", "{}"),
        ("include: [more.yaml]\n", "include: [x.yaml]\n"),
        ("include: [more.yaml]\nitems: 1\n", "items: {}\n"),
    ],
)
def test_an_include_that_makes_no_sense_is_found(tmp_path: Path, front: str, more: str) -> None:
    assert rules(read(tmp_path, front, more=more)) == ["include"]


@pytest.mark.parametrize(
    "text",
    [
        "a: [1\n",
        "- a\n- b\n",
        "text",
        "a: !!python/object/apply:os.system [ls]\n",
        "a: !!binary aGk=\n",
        "a: !!int x\n",
        "a: !!bool maybe\n",
        "? [a]\n: b\n",
        "a: *nowhere\n",
        "a: 1\n---\nb: 2\n",
        "a: " + "9" * 5000 + "\n",
    ],
)
def test_what_cannot_be_read_is_a_finding(tmp_path: Path, text: str) -> None:
    assert rules(read(tmp_path, text)) == ["unreadable"]


def test_a_missing_file_is_a_finding(tmp_path: Path) -> None:
    assert rules(read_catalog(tmp_path / "nothing.yaml")) == ["unreadable"]
    assert rules(read(tmp_path, "include: [nothing.yaml]\n")) == ["unreadable"]


def test_bytes_that_are_not_text_are_a_finding(tmp_path: Path) -> None:
    (tmp_path / "front.yaml").write_bytes(b"a: \xff\xfe\n")
    assert rules(read_catalog(tmp_path / "front.yaml")) == ["unreadable"]


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 100_000,
        "a: " + "[" * 30 + "]" * 30,
        "a: &a [*a]\n",
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "a: " + "x" * MAX_BYTES,
    ],
)
def test_a_bomb_is_a_finding(tmp_path: Path, text: str) -> None:
    assert rules(read(tmp_path, text)) == ["too-large"]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#,? \n\t1éж公", max_size=60))
def test_any_text_is_read_or_found_wrong(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(text)
    assert isinstance(read_catalog(file).document, dict)
