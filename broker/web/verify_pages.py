"""The pages on which anybody – an inspector with a phone – verifies a receipt, and where a printed code leads.

The code on a sheet carries verification and digest: 256 bits nobody guesses, so whoever asks holds the sheet, and is
shown what it must say. No script runs, nothing is kept, and no page names a person, since a receipt names none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson
from flask import Flask, Response, render_template, request

from broker.core.decide import Kind
from broker.core.errors import CallerProblem
from broker.core.guide import role_name
from broker.core.receipt import MAX_RECEIPT, VerifiedReceipt, bundle_from, receipt_digest, verify_bundle
from broker.core.receipt_text import DECISIONS, words
from broker.flow import cases
from broker.flow.parts import Parts
from broker.web.console.words import clock
from broker.web.errors import problem_response
from broker.web.guide_pages import STYLE_VERSION
from broker.web.guide_words import WORDS
from broker.web.handed_in import handed_in
from broker.web.key_book import KeyBook
from broker.web.public_page import public_page
from broker.web.verify_words import VERIFY_WORDS

_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
_HEADERS = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_NUMBER, _DIGEST = re.compile(r"[0-9a-f]{32}\Z"), re.compile(r"[0-9a-f]{64}\Z")
_FORM = 16 * 1024  # what a form adds around the receipt


class VerifyPages:
    """The pages; one object per process."""

    def __init__(self, parts: Parts, book: KeyBook) -> None:
        """``book`` has our keys, historic ones included."""
        self._parts = parts
        self._book = book

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        sheet = "/verify/<number>/<digest>"
        for rule, view, method in (
            ("/verify", self.verify_page, "GET"),
            ("/verify", self.verify_file, "POST"),
            (sheet, self.verify_sheet, "GET"),
            (f"{sheet}/bundle", self.verify_bundle_file, "GET"),
        ):
            app.add_url_rule(rule, view.__name__, view, methods=[method], provide_automatic_options=False)

    def verify_page(self) -> Response:
        """How it is done without us, and the form."""
        return _page(lambda lang: _rendered("verify.html", lang, proven=None, problem=None))

    def verify_file(self) -> Response:
        """What was handed in, verified here and now."""
        return _page(self._verified)

    def verify_sheet(self, number: str, digest: str) -> Response:
        """What the sheet must say whose code was scanned."""
        return _page(lambda lang: self._sheet(lang, number, digest))

    def verify_bundle_file(self, number: str, digest: str) -> Response:
        """The file for verifying offline."""
        _named(number, digest)
        document = cases.bundle_by_digest(self._parts, number, digest)
        response = Response(orjson.dumps(document), content_type="application/json", headers=_HEADERS)
        response.headers["Content-Disposition"] = f'attachment; filename="receipt-{digest[:16]}.json"'
        return response

    def _verified(self, lang: str) -> str:
        request.max_content_length = 2 * MAX_RECEIPT + _FORM
        bundle = handed_in()
        try:
            proven = verify_bundle(bundle_from(bundle), self._book.receipt(), self._book.log())
        except CallerProblem as problem:
            told = orjson.loads(problem_response(problem).get_data())
            return _rendered("verify.html", lang, proven=None, problem=told)
        token = bundle_from(bundle).receipt
        return _rendered(
            "verify.html", lang, proven=proven, problem=None, digest=receipt_digest(token), **_told(proven)
        )

    def _sheet(self, lang: str, number: str, digest: str) -> str:
        _named(number, digest)
        sheet = cases.sheet_by_digest(self._parts, number, digest)
        receipt, catalog = sheet.receipt, sheet.edition.catalog
        item = catalog.items.get(receipt["item"]) if "item" in receipt else catalog.scenes.get(receipt["scene"])
        return _rendered("verify_sheet.html", lang, sheet=sheet, receipt=receipt, item=item, **_terms())


def _told(proven: VerifiedReceipt) -> dict[str, Any]:
    return {"receipt": proven.payload, **_terms()}


def _terms() -> dict[str, Any]:
    return {"clock": clock, "decision": lambda value: DECISIONS[Kind(value)], "reason": lambda value: words(value)[0],
            "role_name": role_name}  # fmt: skip


def _named(number: str, digest: str) -> None:
    if not (_NUMBER.match(number) and _DIGEST.match(digest)):
        raise CallerProblem("receipt.unknown")


def _page(make: Callable[[str], str]) -> Response:
    return public_page(
        lambda lang: _html(make(lang)),
        lambda lang, told, _: _html(_rendered("verify.html", lang, proven=None, problem=told)),
    )


def _html(page: str) -> Response:
    return Response(page, content_type="text/html; charset=utf-8", headers=_HEADERS)


def _rendered(template: str, lang: str, **values: Any) -> str:
    """A template, with links that hold under whatever path the broker is published."""
    root = "../" * (request.path.count("/") - 1)
    shared = {
        "lang": lang, "words": {**WORDS[lang], **VERIFY_WORDS[lang]}, "version": STYLE_VERSION, "root": f"{root}guide/",
        "home": f"{root}verify", "ask": "?lang=en" if lang == "en" else "", "base": root,
    }  # fmt: skip
    return render_template(template, **shared, **values)
