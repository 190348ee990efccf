"""What a serving process reads before its first request."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.bootstrap import Office, open_office
from broker.web.wsgi import preload
from tests.flow import kit

ON_SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """The tests after this one are collected over as ever."""
    yield
    gc.unfreeze()


@pytest.fixture
def process(prepared_url: str, keys_folder: Path) -> Iterator[Office]:
    """A process that has read nothing yet."""
    office = open_office(kit.settings(prepared_url, keys_folder), wake=kit.Bells())
    yield office
    office.close()


@ON_SQLITE
def test_the_list_in_force_is_read_and_no_collection_walks_over_it(process: Office) -> None:
    preload(process.parts)
    preload(process.parts)
    with process.parts.store.read() as work:
        catalog = process.parts.edition(work, 1).catalog
    assert all(one is not catalog.items for one in gc.get_objects()), "it is frozen, so it was there before"


def test_a_process_begins_without_a_database_too(tmp_path: Path, keys_folder: Path) -> None:
    office = open_office(kit.settings(f"sqlite:///{tmp_path / 'nowhere' / 'broker.db'}", keys_folder), wake=kit.Bells())
    preload(office.parts)
    office.close()
    assert gc.get_freeze_count() > 0
