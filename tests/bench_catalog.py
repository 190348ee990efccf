"""``python -m tests.bench_catalog``: how fast and how small the sharing list is, on this machine, against its limits.

Not a timed test: a busy machine would fail it for nothing. It exits 1 where a limit is exceeded, so that a release can
be held to it. The large list has 10,000 items of ten materials each, twelve items to a scene; planning must not notice.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter

import orjson

from broker.core.case import Basis, Channel, Operator, Party, Request
from broker.core.catalog import Edition, Item, catalog_from
from broker.core.check import check
from broker.core.coverage import By, coverage
from broker.core.diff import diff
from broker.core.errors import CallerProblem
from broker.core.plan import plan
from broker.core.sharing_table import table_rows
from broker.store.catalog_file import read_catalog
from tests.lists import generated

REPOSITORY = Path(__file__).parents[1]
ITEMS, MATERIALS = 10_000, 10
DAY = date(2026, 1, 1)
SAMPLES = 2_000
PERSON = Party("applicant", "111", "110101199003070038", "测试")
OPERATOR = Operator("op-1", "测试经办", "11370499MB2811111A", "模拟单位")


@dataclass(frozen=True)
class Figure:
    """One measured figure with its limit, or without where nobody has set one."""

    name: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def line(self) -> str:
        """The figure as a row of the report."""
        verdict = (
            "" if self.limit is None else f"limit {self.limit:g} {self.unit}" + ("" if self.kept else "  EXCEEDED")
        )
        return f"{self.name:<58}{self.value:>10.4g} {self.unit:<4}{verdict}".rstrip()

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return self.limit is None or self.value <= self.limit


def main() -> int:
    """Measure and print; 1 where a limit is exceeded."""
    if sys.argv[1:] == ["--memory"]:
        _memory_child()
        return 0
    figures = []
    for figure in (*_shipped(), *_large(), *_memory()):
        figures.append(figure)
        sys.stdout.write(f"{figure.line}\n")
    return 0 if all(figure.kept for figure in figures) else 1


def _shipped() -> Iterable[Figure]:
    schema = json.loads((REPOSITORY / "schemas/catalog.schema.json").read_text("utf-8"))
    front = REPOSITORY / "data_catalog.yaml"
    document = read_catalog(front).document
    size = f"{len(document['items'])} items, {len(document['materials'])} materials"
    yield Figure(
        f"shipped list ({size}): read and check", _best(lambda: check(read_catalog(front).document, schema)), "s", 3
    )
    body = orjson.dumps(document)
    yield Figure("shipped list: load its edition", _best(lambda: catalog_from(json.loads(body))), "s", 1)
    edition = Edition(1, "", catalog_from(document))
    yield from _planning("shipped list", edition)
    yield Figure("shipped list: coverage by scene", _best(lambda: coverage(edition.catalog, DAY, By.SCENE)), "s")
    other = json.loads(body)
    for item in other["items"].values():
        item["basis"] = "某法"
    yield Figure("shipped list: diff, every item changed", _best(lambda: diff(document, other, DAY)), "s")
    yield Figure("shipped list: table for departments", _best(lambda: list(table_rows(edition.catalog, DAY))), "s")


def _large() -> Iterable[Figure]:
    body = orjson.dumps(generated(ITEMS, MATERIALS))
    name = f"{ITEMS} items × {MATERIALS}"
    yield Figure(
        f"{name}: load the edition ({len(body) / 1e6:.1f} MB)", _best(lambda: catalog_from(json.loads(body))), "s", 1
    )
    yield from _planning(name, Edition(1, "", catalog_from(json.loads(body))))


def _planning(name: str, edition: Edition) -> Iterable[Figure]:
    """Items all over the list, and the scenes that come nearest to twelve leaves."""
    catalog = edition.catalog
    items = [item for item in catalog.items.values() if "370400" in item.places]
    step = max(1, len(items) // SAMPLES)
    times = _plans(edition, [_request(item=item.key) for item in items[::step]])
    yield Figure(f"{name}: plan one item, median of {len(times)}", median(times) * 1e6, "µs", 100)
    yield Figure(f"{name}: plan one item, 99 of 100", sorted(times)[len(times) * 99 // 100] * 1e6, "µs")
    scenes = [
        (abs(len(keys) - 12), scene) for (region, scene), keys in catalog.scene_items.items() if region == "370400"
    ]
    nearest = [scene for distance, scene in scenes if distance == min(scenes)[0]]
    leaves = len(catalog.scene_items["370400", nearest[0]])
    needs = len(plan(edition, _request(scene=nearest[0]), DAY).needs)
    times = _plans(edition, [_request(scene=scene) for scene in nearest[:SAMPLES]])
    yield Figure(f"{name}: plan a scene of {leaves} leaves, {needs} needs", median(times) * 1e3, "ms", 1)


def _plans(edition: Edition, requests: list[Request]) -> list[float]:
    """How long each request takes to plan: the quickest of three, so that one interruption does not count."""
    times = []
    for request in requests:
        try:
            plan(edition, request, DAY)
        except (
            CallerProblem
        ):  # no longer in force, or decided elsewhere: such a request is refused before it is planned
            continue
        times.append(_best(lambda request=request: plan(edition, request, DAY)))  # type: ignore[misc]
    return times


def _request(item: str | None = None, scene: str | None = None) -> Request:
    return Request(
        request_id="r-1", region="370400", case_number="c-1", channel=Channel.WINDOW, applicant=PERSON,
        operator=OPERATOR, basis=Basis.STATUTORY_DUTY, item=item, scene=scene,
    )  # fmt: skip


def _best(work: Callable[[], object], rounds: int = 3) -> float:
    times = []
    for _ in range(rounds):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


def _memory() -> Iterable[Figure]:
    """A process of its own, which loads the large list as a broker does and holds nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench_catalog", "--memory"],
        input=orjson.dumps(generated(ITEMS, MATERIALS)), capture_output=True, check=True, cwd=REPOSITORY,
    )  # fmt: skip
    empty, full = map(float, done.stdout.split())
    yield Figure(f"{ITEMS} items × {MATERIALS}: peak memory of the process", full, "MB", 300)
    yield Figure(f"{ITEMS} items × {MATERIALS}: of which before the list is read", empty, "MB")


def _memory_child() -> None:
    before = _peak()
    body = sys.stdin.buffer.read()
    edition = Edition(1, "", catalog_from(json.loads(body)))
    sys.stdout.write(f"{before} {_peak()}\n")
    assert isinstance(next(iter(edition.catalog.items.values())), Item)  # it was there all the time


def _peak() -> float:
    """The most this process ever held, in MB: from /proc, because getrusage counts what the parent held too."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) / 1024


if __name__ == "__main__":
    sys.exit(main())
