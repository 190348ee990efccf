"""The item guide (零基础 guide) as pages that anybody can read and print: an index, one page for each item and scene.

Nothing is loaded from elsewhere and no script runs. Whoever asks as a browser does is refused by a page too; everybody
else gets the one JSON shape.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from flask import Flask, Response, render_template, request

from broker.core.catalog import Catalog, Edition, Item, Scene, Text
from broker.core.day import day_of
from broker.core.errors import CallerProblem, Problem
from broker.core.guide import guide
from broker.core.material_set import Outcome
from broker.core.scene_plan import fields_of
from broker.flow.parts import Parts
from broker.web import parameters
from broker.web.guide_words import WORDS
from broker.web.public_page import public_page

_STYLE = (Path(__file__).parent / "templates" / "guide.css").read_bytes()
STYLE_VERSION = hashlib.sha256(_STYLE).hexdigest()[:12]
_MINUTE = "public, max-age=60"
_FOR_EVER = "public, max-age=31536000, immutable"  # the pages name the style sheet with its version
_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Shelf:
    """One scene of a region with its items, as the index shows it."""

    scene: Scene
    items: tuple[Item, ...]


class GuidePages:
    """The pages; one object per process."""

    def __init__(self, parts: Parts) -> None:
        """Reads the edition in force from these parts."""
        self._parts = parts

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
        for rule, view in (
            ("/guide", self.guide_index),
            ("/guide/<region>/<key>", self.guide_page),
            ("/guide/style.css", self.guide_style),
        ):
            app.add_url_rule(rule, view.__name__, view, methods=["GET"], provide_automatic_options=False)

    def guide_index(self) -> Response:
        """Regions, life cycles, stages, scenes, items."""
        return _page(self._index)

    def guide_page(self, region: str, key: str) -> Response:
        """One item, or one scene."""
        return _page(lambda lang: self._guide(lang, region, key))

    def guide_style(self) -> Response:
        """The style sheet of all pages."""
        return Response(_STYLE, content_type="text/css; charset=utf-8", headers={"Cache-Control": _FOR_EVER})

    def _index(self, lang: str) -> str:
        edition, today = self._today()
        catalog = edition.catalog
        regions = [(one, list(_stages(catalog, one.code))) for one in catalog.regions.values()]
        return _rendered("guide_index.html", lang, edition=edition, today=today, regions=regions)

    def _guide(self, lang: str, region: str, key: str) -> str:
        edition, today = self._today()
        catalog = edition.catalog
        region, key = parameters.region({"region": region}), parameters.key({"key": key}, "key") or ""
        scene = catalog.scenes.get(key)
        item = None if scene else key
        told = guide(edition, region=region, item=item, scene=scene.key if scene else None, today=today)
        fields = fields_of(edition, [one["key"] for one in told["items"]], today)
        place = scene or catalog.scenes[catalog.items[key].places[region].scene]
        return _rendered(
            "guide_page.html", lang, guide=told, scene=place, is_scene=scene is not None, fields=_by_holder(fields),
            groups=_groups(told["materials"]), numbers=_numbers(told),
        )  # fmt: skip

    def _today(self) -> tuple[Edition, date]:
        with self._parts.store.read() as work:
            pulse = work.pulse()
            return self._parts.edition_in_force(work, self._parts.policy(work, pulse), pulse.now), day_of(pulse.now)


def _stages(catalog: Catalog, region: str) -> Iterator[tuple[str, Text, list[_Shelf]]]:
    """Life cycle, stage and its scenes, in the plans' order."""
    found: dict[tuple[str, str], tuple[Text, list[_Shelf]]] = {}
    for scene in catalog.scenes.values():
        keys = catalog.scene_items.get((region, scene.key), ())
        if keys:
            shelf = _Shelf(scene, tuple(catalog.items[key] for key in keys))
            found.setdefault((scene.life_cycle, scene.stage["zh"]), (scene.stage, []))[1].append(shelf)
    for (life_cycle, _), (stage, shelves) in found.items():
        yield life_cycle, stage, shelves


def _groups(materials: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """What has to be brought first, then what a signature replaces, then what nobody has to bring."""
    order = (
        ("bring", (Outcome.SUBMIT, Outcome.SUBMIT_FOR_NOW)),
        ("sign", (Outcome.COMMITMENT,)),
        ("nothing", (Outcome.SKIPPED, Outcome.ISSUED_HERE, Outcome.CHECKED)),
    )
    groups = [(name, [one for one in materials if one["outcome"] in outcomes]) for name, outcomes in order]
    return [(name, found) for name, found in groups if found]


def _numbers(told: Mapping[str, Any]) -> dict[str, list[str]]:
    """By which numbers of the page's list of items each material is called for: ``1–3``, ``7``."""
    at = {one["key"]: number for number, one in enumerate(told["items"], 1)}
    return {one["key"]: _runs([at[key] for key in one["items"]]) for one in told["materials"]}


def _runs(numbers: list[int]) -> list[str]:
    """Ascending numbers, three or more in a row as one run."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [text for run in runs for text in ([f"{run[0]}–{run[-1]}"] if len(run) > 2 else map(str, run))]


def _by_holder(fields: list[dict[str, Any]]) -> list[tuple[Text, list[dict[str, Any]]]]:
    """The fields that are filled in, person by person."""
    found: dict[str, tuple[Text, list[dict[str, Any]]]] = {}
    for one in fields:
        found.setdefault(one["holder"]["role"], (one["holder"], []))[1].append(one)
    return list(found.values())


def _page(make: Callable[[str], str]) -> Response:
    return public_page(lambda lang: _html(make(lang), _MINUTE), _refusal)


def _refusal(lang: str, document: Mapping[str, Any], problem: Problem) -> Response:
    """A refusal as a page; an abolished item says by which law."""
    why = problem.expected if isinstance(problem, CallerProblem) and problem.code == "request.item-not-in-force" else ""
    return _html(_rendered("guide_refusal.html", lang, problem=document, why=why), "no-store")


def _rendered(template: str, lang: str, **values: Any) -> str:
    """A template, with links that hold under whatever path the broker is published."""
    is_index = request.path == "/guide"
    root, home = ("guide/", "guide") if is_index else ("../", "../../guide")
    ask = "?lang=en" if lang == "en" else ""
    shared = {"lang": lang, "words": WORDS[lang], "version": STYLE_VERSION, "root": root, "home": home, "ask": ask}
    return render_template(template, **shared, **values)


def _html(page: str, caching: str) -> Response:
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": caching, "Referrer-Policy": "same-origin"}
    return Response(page, content_type=_HTML, headers=headers)
