"""The audit log as anyone may see it, by C2SP tlog-tiles: checkpoint, hash tiles and consistency proofs.

Hashes only. Entries name operators and pseudonyms, so their bundles are ``web.audit``'s, for those who may read them.
"""

from __future__ import annotations

import base64

import orjson
from flask import Flask, Response, request

from broker.core import merkle
from broker.core.errors import CallerProblem
from broker.flow.parts import Parts
from broker.flow.prove import checkpoint_size, tile_reader
from broker.ports import Work
from broker.web.parameters import number

_FOR_EVER = "public, max-age=31536000, immutable"  # a full tile never changes
_SHORT = "public, max-age=60"  # nor does a partial one of a given width, but a wider one soon takes its place
_SOON = "public, max-age=2"  # as long as an entry waits for its place under load: a newer checkpoint is never far


class Log:
    """The log's routes; one object per process."""

    def __init__(self, parts: Parts) -> None:
        """Reads the store of these parts."""
        self._parts = parts

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        for rule, view in (
            ("/log/checkpoint", self.checkpoint),
            ("/log/tile/<path:path>", self.tile),
            ("/log/proof/consistency", self.consistency),
        ):
            app.add_url_rule(rule, f"log_{view.__name__}", view, methods=["GET"], provide_automatic_options=False)

    def checkpoint(self) -> Response:
        """The latest signed checkpoint."""
        with self._parts.store.read() as work:
            note, witnessed = _latest(work), work.witnessed_checkpoint() or ""
        if witnessed.startswith(note):
            note = witnessed
        response = Response(note.encode(), content_type="text/plain; charset=utf-8")
        response.headers["Cache-Control"] = _SOON
        return response

    def tile(self, path: str) -> Response:
        """A tile of hashes; a partial one is cut from whatever is stored by now."""
        wanted = merkle.parse_tile_path(f"tile/{path}")
        with self._parts.store.read() as work:
            stored = work.tiles([(wanted.level, wanted.index)]).get((wanted.level, wanted.index), b"")
        size = wanted.width * merkle.HASH_SIZE
        if len(stored) < size:
            raise CallerProblem("log.not-yet")
        response = Response(stored[:size], content_type="application/octet-stream")
        response.headers["Cache-Control"] = _FOR_EVER if wanted.width == merkle.TILE_WIDTH else _SHORT
        return response

    def consistency(self) -> Response:
        """The hashes that show one size of the log to begin with another."""
        old, new = number(request.args, "old"), number(request.args, "new")
        with self._parts.store.read() as work:
            if new > checkpoint_size(_latest(work)):
                raise CallerProblem("log.not-yet")
            hashes = merkle.consistency_proof(old, new, tile_reader(work))
        proof = {"old": old, "new": new, "hashes": [base64.b64encode(one).decode() for one in hashes]}
        return Response(orjson.dumps(proof), content_type="application/json")


def _latest(work: Work) -> str:
    note = work.latest_checkpoint()
    if note is None:
        raise CallerProblem("log.not-yet", retry_after=1)
    return note
