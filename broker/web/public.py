"""What anyone may read: guide, plan and list of items, our public keys, the documents, and whether we are well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from flask import Flask, Response, request

from broker.core.catalog import Catalog, Edition, Item, Scene
from broker.core.day import day_of
from broker.core.errors import CallerProblem
from broker.core.guide import guide
from broker.core.scene_plan import scene_plan
from broker.flow.parts import Parts
from broker.web import parameters

_MINUTE = "public, max-age=60"  # an edition comes into force at an announced time; a minute later is early enough
_HTML_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


class Public:
    """The open routes; one object per process."""

    def __init__(
        self, parts: Parts, key_set: Callable[[], Mapping[str, Any]], openapi: Mapping[str, Any], docs: str
    ) -> None:
        """The documents do not change while the process lives, so they are bytes from the beginning; the keys may."""
        self._parts = parts
        self._key_set = key_set
        self._openapi = orjson.dumps(openapi)
        self._docs = docs.encode()

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        for rule, view in (
            ("/v1/guide", self.guide),
            ("/v1/plan", self.plan),
            ("/v1/items", self.items),
            ("/.well-known/jwks.json", self.jwks),
            ("/openapi.json", self.openapi),
            ("/docs", self.docs),
            ("/health", self.health),
            ("/ready", self.ready),
        ):
            app.add_url_rule(rule, view.__name__, view, methods=["GET"], provide_automatic_options=False)

    def guide(self) -> Response:
        """一次告知: what an item or a scene requires, and which of it need not be handed in."""
        region, item = parameters.region(request.args), parameters.key(request.args, "item")
        scene = parameters.key(request.args, "scene")
        edition, today = self._today()
        return _json(guide(edition, region=region, item=item, scene=scene, today=today), _MINUTE)

    def plan(self) -> Response:
        """一套材料、一表申请: what a scene, or several items, require together."""
        region, items = parameters.region(request.args), parameters.keys(request.args, "item")
        scene, situation = parameters.key(request.args, "scene"), parameters.situation(request.args)
        edition, today = self._today()
        told = scene_plan(edition, region=region, items=items, scene=scene, today=today, situation=situation)
        return _json(told, _MINUTE)

    def items(self) -> Response:
        """The scenes and items of a region's list, in its order."""
        region = parameters.region(request.args)
        edition, today = self._today()
        catalog = edition.catalog
        if region not in catalog.regions:
            raise CallerProblem("request.region", pointer="/region")
        listed = [item for item in catalog.items.values() if region in item.places]
        document = {
            "edition": edition.number,
            "region": {"code": region, "name": dict(catalog.regions[region].name)},
            "scenes": [
                _scene(scene) for scene in catalog.scenes.values() if (region, scene.key) in catalog.scene_items
            ],
            "items": [{**_item(item, region, catalog), "in_force": item.effective.covers(today)} for item in listed],
        }
        return _json(document, _MINUTE)

    def jwks(self) -> Response:
        """The public keys, historic ones included, by which receipts, answers and checkpoints are verified."""
        body = orjson.dumps(self._key_set())
        return Response(body, content_type="application/jwk-set+json", headers={"Cache-Control": _MINUTE})

    def openapi(self) -> Response:
        """The OpenAPI 3.1 document."""
        return Response(self._openapi, content_type="application/json", headers={"Cache-Control": _MINUTE})

    def docs(self) -> Response:
        """The same as a page to read, with nothing loaded from elsewhere."""
        headers = {"Content-Security-Policy": _HTML_POLICY, "Cache-Control": _MINUTE}
        return Response(self._docs, content_type="text/html; charset=utf-8", headers=headers)

    def health(self) -> Response:
        """That this process answers."""
        return _json({"status": "alive"}, "no-store")

    def ready(self) -> Response:
        """That this process can work: its database answers."""
        with self._parts.store.read() as work:
            work.pulse()
        return _json({"status": "ready"}, "no-store")

    def _today(self) -> tuple[Edition, Any]:
        with self._parts.store.read() as work:
            pulse = work.pulse()
            return self._parts.edition_in_force(work, self._parts.policy(work, pulse), pulse.now), day_of(pulse.now)


def _scene(scene: Scene) -> dict[str, Any]:
    return {
        "key": scene.key,
        "number": scene.number,
        "life_cycle": scene.life_cycle,
        "name": dict(scene.name),
        "stage": dict(scene.stage),
    }


def _item(item: Item, region: str, catalog: Catalog) -> dict[str, Any]:
    place = item.places[region]
    return {
        "key": item.key,
        "name": dict(item.name),
        "type": item.type,
        "scene": place.scene,
        "seq": place.sequence,
        "level": place.level.value,
        "decided_here": place.level in catalog.regions[region].levels,
    }


def _json(document: Mapping[str, Any], caching: str) -> Response:
    return Response(orjson.dumps(document), content_type="application/json", headers={"Cache-Control": caching})
