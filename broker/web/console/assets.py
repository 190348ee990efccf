"""Style sheet and script, served under a name that changes with their content, so that browsers keep them for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import Response, abort

from broker.web.console.area import ROOT

_FOLDER = Path(__file__).parent / "static"
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
          ".txt": "text/plain; charset=utf-8"}  # fmt: skip
_FILES = {one.name: one.read_bytes() for one in sorted(_FOLDER.iterdir()) if one.suffix in _KINDS}
_VERSIONS = {name: hashlib.sha256(body).hexdigest()[:12] for name, body in _FILES.items()}
_FOR_EVER = "public, max-age=31536000, immutable"


def asset(name: str) -> str:
    """The address of a file, with its version."""
    return f"{ROOT}/static/{name}?v={_VERSIONS[name]}"


def static_file(name: str) -> Response:
    """One of the files; they are read when the process starts, and nothing else on the disk can be asked for."""
    body = _FILES.get(name)
    if body is None:
        abort(404)
    return Response(body, content_type=_KINDS[Path(name).suffix], headers={"Cache-Control": _FOR_EVER})
