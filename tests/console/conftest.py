"""One server with the shipped list, one browser for the whole run; small houses of their own for what changes much."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import sync_playwright

from broker.bootstrap import make_keys
from broker.config import ROOT
from broker.core.envelope import Algorithm
from broker.store.catalog_file import read_catalog
from tests.console.kit import ARGUMENTS, CHROMIUM, Browser, House, Visitor, house
from tests.flow import catalogue


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys of all houses, made once."""
    folder = tmp_path_factory.mktemp("keys")
    make_keys(folder, Algorithm.ED25519)
    return folder


@pytest.fixture(scope="session")
def shipped_list() -> Any:
    """The list as the repository ships it."""
    return read_catalog(ROOT / "data_catalog.yaml").document


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory, keys_folder: Path, shipped_list: Any) -> Iterator[House]:
    """The console over the shipped list; tests may add to it, and must not rely on being alone."""
    with house(tmp_path_factory.mktemp("city"), keys_folder, shipped_list) as made:
        yield made


@pytest.fixture(scope="session")
def _chromium() -> Iterator[Chromium]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"{CHROMIUM} is missing: `make test` installs it, as root")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def browser(_chromium: Chromium, city: House) -> Iterator[Browser]:
    """The browser, before the console over the shipped list."""
    opened = Browser(_chromium, city)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def _small_template(tmp_path_factory: pytest.TempPathFactory, keys_folder: Path) -> Path:
    """A database with the small list published, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    with house(folder, keys_folder, catalogue.document()):
        pass
    return folder / "broker.db"


@pytest.fixture
def small(tmp_path: Path, keys_folder: Path, _small_template: Path) -> Iterator[House]:
    """A house of this test alone, with the small list."""
    shutil.copyfile(_small_template, tmp_path / "broker.db")
    with house(tmp_path, keys_folder, None) as made:
        yield made


@pytest.fixture
def small_browser(_chromium: Chromium, small: House) -> Iterator[Browser]:
    """The browser, before a house of this test alone."""
    opened = Browser(_chromium, small)
    yield opened
    opened.close()


@pytest.fixture
def editor(small: House) -> Visitor:
    """Somebody who drafts the list of the small house."""
    return small.http(small.account("list-editor", login="editor"))


@pytest.fixture
def approver(small: House) -> Visitor:
    """Somebody who reviews it."""
    return small.http(small.account("list-approver", login="approver"))
