"""The documents say what the code says: paths, commands, settings, words, links, queries, generated pages."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import click
import psycopg
import pytest

from broker import cli, core, flow
from broker.config import PREFIX, Settings
from broker.store.engine import Database
from broker.store.migrate import migrate
from broker.web.routes import ROUTES
from tests.docs import PAGES, commands, settings

REPOSITORY = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")
NAMED_ELSEWHERE = {"Reason", "CertificateCheck"}  # reasons have their own table of words; the other never leaves core

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
PATH_LINE = re.compile(r"^ *(\w+) {2,}(.+?) {2,}(flow/\w+\.py|ports\.\w+)$", re.MULTILINE)
MAKE = re.compile(r"\bmake ([a-z]+)((?: [A-Z_]+=\S+)*)")
BROKER = re.compile(r"\bbroker((?: [a-z][a-z-]*)+)")
VARIABLE = re.compile(rf"\b{PREFIX}[A-Z_]+\b")
POSTGRES_CLOCK = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
SQLITE_CLOCK = "unixepoch() * 1000"


def documents() -> list[Path]:
    """Every document of ours."""
    return sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("docker/*.md")])


def text_of(path: Path) -> str:
    return path.read_text("utf-8")


def code_of(text: str) -> Iterator[str]:
    """Everything that is set as code: lines of fenced blocks, and spans."""
    for _, block in FENCE.findall(text):
        yield from block.splitlines()
    yield from SPAN.findall(FENCE.sub("", text))


def named_commands(text: str) -> set[str]:
    """`make verb` with its variables, and `broker …` as far as it names commands."""
    found = set()
    for code in code_of(text):
        found |= {f"make {verb}{variables}" for verb, variables in MAKE.findall(code)}
        found |= {resolved(words.split()) for words in BROKER.findall(code)}
    return found


def resolved(words: list[str]) -> str:
    """The command that the words name, without its arguments; fails for a command that does not exist."""
    command: click.Command = cli.main
    path = ["broker"]
    for word in words:
        if not isinstance(command, click.Group):
            break
        assert word in command.commands, f"there is no command `{' '.join([*path, word])}`"
        command = command.commands[word]
        path.append(word)
    return " ".join(path)


def slug(heading: str) -> str:
    """The anchor under which a heading is reached."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", "")).replace(" ", "-")


def ids(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(REPOSITORY)) for path in paths]


# --- generated pages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_the_generated_page_is_current(name: str) -> None:
    """If this fails: python -m tests.docs --write."""
    assert text_of(REPOSITORY / name) == PAGES[name]()


def test_every_setting_has_a_sentence() -> None:
    found = {name: sentence for name, _, sentence in settings()}
    assert set(found) == {field.name for field in dataclasses.fields(Settings)}
    assert all(sentence.endswith(".") for sentence in found.values())


def test_every_command_has_a_sentence() -> None:
    assert all((command.help or "").strip() for _, command in commands())


# --- the READMEs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", READMES)
def test_the_readme_shows_the_path_as_the_code_does(name: str) -> None:
    expected = PATH_LINE.findall(flow.__doc__ or "")
    assert len(expected) == 11
    assert PATH_LINE.findall(text_of(REPOSITORY / name)) == expected


def test_both_readmes_name_the_same_commands_settings_and_links() -> None:
    english, chinese = (text_of(REPOSITORY / name) for name in READMES)
    assert named_commands(english) == named_commands(chinese)
    assert set(VARIABLE.findall(english)) == set(VARIABLE.findall(chinese))
    assert set(LINK.findall(english)) - {"README.zh-CN.md"} == set(LINK.findall(chinese)) - {"README.md"}
    assert english.count("\n## ") == chinese.count("\n## ")


def test_the_readmes_say_how_many_cases_there_are() -> None:
    cases = text_of(REPOSITORY / "broker" / "demo" / "cases.py").count("        Case(\n")
    assert cases == 8
    assert "eight cases" in text_of(REPOSITORY / "README.md")
    assert "八个案例" in text_of(REPOSITORY / "README.zh-CN.md")


def test_the_readme_names_three_commands_that_the_makefile_has() -> None:
    rows = re.findall(r"^\| `(make [a-z]+)` \|", text_of(REPOSITORY / "README.md"), re.MULTILINE)
    assert rows == ["make run", "make test", "make help"]


# --- words -----------------------------------------------------------------------------------------------------------


def enumerations() -> list[type[StrEnum]]:
    """Every enumeration of the core whose values people meet."""
    found = set()
    for info in pkgutil.iter_modules(core.__path__, f"{core.__name__}."):
        members = vars(importlib.import_module(info.name)).values()
        found |= {one for one in members if isinstance(one, type) and issubclass(one, StrEnum) and one is not StrEnum}
    return sorted((one for one in found if one.__name__ not in NAMED_ELSEWHERE), key=name_of)


def name_of(enumeration: type[StrEnum]) -> str:
    return f"{enumeration.__module__}.{enumeration.__name__}"


@pytest.mark.parametrize("enumeration", enumerations(), ids=name_of)
def test_the_glossary_explains_every_value(enumeration: type[StrEnum]) -> None:
    glossary = text_of(REPOSITORY / "docs" / "glossary.md")
    assert {one.value for one in enumeration} <= set(SPAN.findall(glossary))


def test_the_enumerations_are_found() -> None:
    assert {"broker.core.catalog.Mode", "broker.core.decide.Kind", "broker.core.case.Basis"} <= set(
        map(name_of, enumerations())
    )


# --- what the documents name exists ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", documents(), ids=ids(documents()))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for link in LINK.findall(FENCE.sub("", text_of(path))):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.is_relative_to(REPOSITORY), link
        assert file.exists(), link
        if anchor:
            assert anchor in map(slug, re.findall(r"^#+ (.+)$", text_of(file), re.MULTILINE)), link


@pytest.mark.parametrize("path", documents(), ids=ids(documents()))
def test_every_command_and_setting_that_is_named_exists(path: Path) -> None:
    verbs = set(re.findall(r"^([a-z]+):.*## ", text_of(REPOSITORY / "Makefile"), re.MULTILINE))
    known = {PREFIX + field.name.upper() for field in dataclasses.fields(Settings)}
    known |= {"BROKER_TEST_DATABASE_URL", "BROKER_TEST_MARIADB_URL", "BROKER_TEST_REDIS_URL"}
    text = text_of(path)
    for command in named_commands(text):
        assert not command.startswith("make ") or command.split()[1] in verbs, command
    assert set(VARIABLE.findall(text)) <= known


@pytest.mark.parametrize("path", documents(), ids=ids(documents()))
def test_a_path_from_the_root_is_one_of_the_api(path: Path) -> None:
    """Or of the console; so no place on anybody's machine stands in a document."""
    served = {route.path.split("/")[1] for route in ROUTES} | {"console"}
    for span in SPAN.findall(FENCE.sub("", text_of(path))):
        if span.startswith("/"):
            assert span.split("/")[1] in served, span


def test_every_page_is_in_the_index() -> None:
    folder = REPOSITORY / "docs"
    linked = {(folder / link.partition("#")[0]).resolve() for link in LINK.findall(text_of(folder / "README.md"))}
    assert {path for path in folder.glob("**/*.md") if path.name != "README.md"} <= linked


# --- decisions -------------------------------------------------------------------------------------------------------


def test_decisions_have_a_number_of_their_own_and_are_named_by_their_title() -> None:
    pages = sorted((REPOSITORY / "docs" / "adr").glob("*.md"))
    index = text_of(REPOSITORY / "docs" / "README.md")
    assert len({page.name[:4] for page in pages}) == len(pages)
    for page in pages:
        title = text_of(page).splitlines()[0].removeprefix("# ")
        assert re.match(r"\d{4}-", page.name)
        assert title.startswith(f"{page.name[:4]} ")
        assert f"* [{title}](adr/{page.name})" in index


@pytest.mark.parametrize("page", sorted((REPOSITORY / "docs" / "adr").glob("*.md")), ids=lambda page: page.stem)
def test_a_decision_says_its_status_context_and_consequences(page: Path) -> None:
    text = text_of(page)
    assert re.search(r"^Status: (accepted|superseded by \[\d{4}\])", text, re.MULTILINE)
    assert "\n## Context\n" in text
    assert "\n## Consequences\n" in text


# --- operations ------------------------------------------------------------------------------------------------------


def queries() -> list[str]:
    """The queries that operations.md tells people to run."""
    blocks = FENCE.findall(text_of(REPOSITORY / "docs" / "operations.md"))
    return [block for language, block in blocks if language == "sql"]


def test_every_query_of_operations_runs_on_sqlite(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'broker.db'}")
    migrate(database)
    database.dispose()
    assert queries()
    connection = sqlite3.connect(tmp_path / "broker.db")
    try:
        for query in queries():
            connection.execute(query.replace(POSTGRES_CLOCK, SQLITE_CLOCK)).fetchall()
    finally:
        connection.close()


@pytest.mark.real_network  # the queries are PostgreSQL's, so only a PostgreSQL can say that they run
def test_every_query_of_operations_runs_on_postgresql(postgres_url: str) -> None:
    database = Database(postgres_url)
    migrate(database)
    database.dispose()
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        for query in queries():
            connection.execute(query.encode()).fetchall()
