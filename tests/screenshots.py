"""Pictures of the console's main pages for the documents: ``make screenshots`` writes ``docs/img/*.png``.

The pages are those of the shipped list with a draft that an editor has begun; people and verifications are invented.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from broker.bootstrap import make_keys
from broker.config import ROOT
from broker.core.envelope import Algorithm
from broker.flow import publish
from broker.store.catalog_file import read_catalog
from tests.console.kit import ARGUMENTS, CHROMIUM, PHONE, Browser, House, house

FOLDER = ROOT / "docs" / "img"
MOST_BYTES = 150_000
_ITEM, _MATERIAL = "company-setup", "identity"


@dataclass(frozen=True)
class Shot:
    """One picture: its file, who looks, at which path (``{draft}`` is the draft), in which language and size."""

    name: str
    role: str
    path: str
    lang: str = "zh"
    size: tuple[int, int] = (1280, 760)


SHOTS = (
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


def main() -> int:
    """Write every picture; 1 where one is larger than a document should carry."""
    FOLDER.mkdir(exist_ok=True)
    document = read_catalog(ROOT / "data_catalog.yaml").document
    with tempfile.TemporaryDirectory() as folder:
        make_keys(Path(folder) / "keys", Algorithm.ED25519)
        with house(Path(folder), Path(folder) / "keys", document) as city:
            draft = _draft(city, document)
            return _written(city, draft)


def _draft(city: House, document: Any) -> str:
    """A draft that changes one material, handed in."""
    city.account("list-editor", login="zhang")
    made = publish.draft(city.parts, document, "zhang", "身份证明改为待确认")
    row = json.loads(json.dumps(document["materials"][_MATERIAL]))
    row["chain"][0]["state"] = "proposed"
    publish.edit(city.parts, made.id, "zhang", 1, "materials", _MATERIAL, row, lambda _before, _after: None)
    return made.id


def _written(city: House, draft: str) -> int:
    too_large = 0
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, "--disable-lcd-text"])
        browser = Browser(chromium, city)
        for shot in SHOTS:
            account = city.account(shot.role, login=f"{shot.role}-{shot.name}") if shot.role else None
            watched = browser.page(account, shot.lang, shot.size)
            watched.go(shot.path.format(draft=draft))
            size = len(watched.page.screenshot(path=FOLDER / f"{shot.name}.png"))
            too_large += size > MOST_BYTES
            sys.stdout.write(f"{shot.name}.png {size}\n")
        browser.close()
        chromium.close()
    return int(too_large > 0)


if __name__ == "__main__":
    raise SystemExit(main())
