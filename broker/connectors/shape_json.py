"""JSON services that configuration alone describes.

Source options: ``request`` {their parameter: what}, ``ok`` {path, values}, ``codes`` {their code: our reason},
``result`` (path to the record or the list of them), and those of :mod:`broker.connectors.reading`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from broker.connectors.reading import (
    at,
    code_of,
    json_of,
    parameter,
    records_of,
    refusal_of,
    settle,
    text_of,
    the_one,
    told,
)
from broker.connectors.shape import Asking, Proxy
from broker.core.answer import Answer, Reason
from broker.core.catalog import Source


class ConfiguredJson:
    """One flat JSON object out, one document back."""

    proxy: Final = Proxy.HTTP
    headers: Final[Mapping[str, str]] = {"Content-Type": "application/json"}

    def body(self, asking: Asking) -> bytes:
        """The parameters the list names, and no others."""
        wanted: Mapping[str, str] = asking.source.options.get("request") or settle(Reason.NOT_CONFIGURED)
        _ok(asking.source)
        return orjson.dumps({theirs: parameter(spec, asking.question) for theirs, spec in wanted.items()})

    def payload(self, body: bytes, asking: Asking) -> Any:
        """The document as sent, once it says that the service succeeded."""
        document, ok = json_of(body), _ok(asking.source)
        code = text_of(at(document, ok["path"]))
        if code is None or code not in ok["values"]:
            settle(refusal_of(code, asking.source.options.get("codes", {})), code)
        return document

    def answer(self, payload: Any, asking: Asking) -> Answer:
        """The single record's answer."""
        source = asking.source
        records = records_of(at(payload, source.options.get("result", "")))
        code = code_of(at(payload, _ok(source)["path"]))
        return told(the_one(records, source.options), asking.question, source, code)


def _ok(source: Source) -> Mapping[str, Any]:
    ok = source.options.get("ok")
    return ok if isinstance(ok, dict) and {"path", "values"} <= ok.keys() else settle(Reason.NOT_CONFIGURED)
