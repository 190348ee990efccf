"""Pictures of the console's main pages for the documents: ``make screenshots`` writes ``docs/img/*.png``.

The pages are those of the shipped list with a draft that an editor has begun, those of what ``make run`` leaves behind,
and those of a small city that has worked for a while (``tests/bench/city``); people and verifications are invented.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from playwright.sync_api import sync_playwright
from sqlalchemy import text

from broker.bootstrap import make_keys
from broker.config import ROOT
from broker.core.envelope import Algorithm
from broker.flow import publish
from broker.store.catalog_file import read_catalog
from tests.bench.city.pages import targets
from tests.bench.console import KEYS, filled
from tests.console.kit import ARGUMENTS, CHROMIUM, PHONE, Browser, House, house
from tests.flow import kit

FOLDER = ROOT / "docs" / "img"
MOST_BYTES = 150_000
_ITEM, _MATERIAL = "company-setup", "identity"


@dataclass(frozen=True)
class Shot:
    """One picture: its file, who looks, at which path (``{…}`` are the rows at hand), in which language and size."""

    name: str
    role: str
    path: str
    lang: str = "zh"
    size: tuple[int, int] = (1280, 760)


LIST_SHOTS = (
    Shot("sign-in", "", "/console/sign-in"),
    Shot("home", "list-editor", "/console"),
    Shot("list", "reader", "/console/list?region=370400&q=公司"),
    Shot("item", "reader", f"/console/list/items/{_ITEM}"),
    Shot("item-en", "reader", f"/console/list/items/{_ITEM}", "en"),
    Shot("draft", "list-editor", "/console/drafts/{draft}"),
    Shot("row", "list-editor", f"/console/drafts/{{draft}}/rows/materials/{_MATERIAL}"),
    Shot("coverage", "reader", "/console/coverage"),
    Shot("sources", "reader", "/console/sources?q=信用"),
    Shot("supply", "reader", "/console/supply"),
    Shot("supply-phone", "reader", "/console/supply", "zh", PHONE),
    Shot("coverage-phone", "reader", "/console/coverage", "en", PHONE),
    Shot("list-phone", "reader", "/console/list?q=公司", "zh", PHONE),
)

_VERIFICATION = "/console/verifications/{verification}"
_SOURCE = f"source-department:unit={kit.DEPARTMENT}"

CASE_SHOTS = (
    Shot("case", "clerk", _VERIFICATION),
    Shot("case-phone", "clerk", _VERIFICATION, "zh", PHONE),
    Shot("sheet", "clerk", f"{_VERIFICATION}/sheet", size=(1000, 900)),
)
CITY_SHOTS = (
    Shot("orders", _SOURCE, "/console/orders"),
    Shot("objection", "operator", "/console/objections/{objection}"),
    Shot("grants", "operator", "/console/grants/matrix"),
    Shot("source", "operator", "/console/sources/ps-identity"),
    Shot("papers", "reader", "/console/papers"),
    Shot("figures", "reader", "/console/figures"),
    Shot("figures-en", "reader", "/console/figures", "en"),
    Shot("audit", "auditor", "/console/audit?kind=decided"),
    Shot("flag", "auditor", "/console/audit/flags/{flag}"),
    Shot("log", "auditor", "/console/audit/log"),
)
CITY_SIZE = 3_000  # verifications


def main() -> int:
    """Write every picture; 1 where one is larger than a document should carry."""
    FOLDER.mkdir(exist_ok=True)
    document = read_catalog(ROOT / "data_catalog.yaml").document
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_keys(folder / KEYS, Algorithm.ED25519)
        with house(folder, folder / KEYS, document) as city:
            large = _written(city, LIST_SHOTS, {"draft": _draft(city, document)})
        with _demonstrated(folder / "demo") as city:
            large += _written(city, CASE_SHOTS, {"verification": _first(city)})
    with filled(None, document, CITY_SIZE) as (url, folder), house(folder, folder / KEYS, None, url) as city:
        large += _written(city, CITY_SHOTS, targets(city))
    return int(large > 0)


@contextmanager
def _demonstrated(folder: Path) -> Iterator[House]:
    """The console over what ``make run`` has left behind: eight cases, carried through by processes."""
    subprocess.run([sys.executable, "-m", "broker.demo", "--once", "--folder", str(folder)], check=True, stdout=DEVNULL)
    with house(folder, folder / KEYS, None, f"sqlite:///{folder / 'broker.db'}") as city:
        yield city


def _first(city: House) -> str:
    """The first verification of all."""
    with city.office.database.begin(write=False) as connection:
        return str(connection.execute(text("SELECT min(id) FROM verification")).scalar_one())


def _draft(city: House, document: Any) -> str:
    """A draft that changes one material, handed in."""
    city.account("list-editor", login="zhang")
    made = publish.draft(city.parts, document, "zhang", "身份证明改为待确认")
    row = json.loads(json.dumps(document["materials"][_MATERIAL]))
    row["chain"][0]["state"] = "proposed"
    publish.edit(city.parts, made.id, "zhang", 1, "materials", _MATERIAL, row, lambda _before, _after: None)
    return made.id


def _written(city: House, shots: Sequence[Shot], rows: Mapping[str, str]) -> int:
    """Take the pictures; how many are too large."""
    too_large = 0
    roles = sorted({shot.role for shot in shots} - {""})
    people = {role: city.account(role, login=f"{role.partition(':')[0]}-1") for role in roles}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, "--disable-lcd-text"])
        browser = Browser(chromium, city)
        for shot in shots:
            watched = browser.page(people.get(shot.role), shot.lang, shot.size)
            watched.go(shot.path.format(**rows))
            size = len(watched.page.screenshot(path=FOLDER / f"{shot.name}.png"))
            too_large += size > MOST_BYTES
            sys.stdout.write(f"{shot.name}.png {size}\n")
        browser.close()
        chromium.close()
    return too_large


if __name__ == "__main__":
    raise SystemExit(main())
