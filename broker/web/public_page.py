"""A page for anybody, in the language asked for; a refusal is a page too where a browser asks, else the one shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from flask import Response, request

from broker.core.errors import Problem
from broker.web import parameters
from broker.web.errors import problem_response


def public_page(
    make: Callable[[str], Response], refused: Callable[[str, Mapping[str, Any], Problem], Response]
) -> Response:
    """``make`` in a language, or what ``refused`` shows of a problem's document: with its status, and when to return.

    A program that does not say it reads HTML is given the document itself.
    """
    lang = "zh"
    try:
        lang = parameters.language(request.args)
        return make(lang)
    except Problem as problem:
        response = problem_response(problem)
        if "text/html" not in request.headers.get("Accept", ""):
            return response
        page = refused(lang, orjson.loads(response.get_data()), problem)
        page.status_code = response.status_code
        if "Retry-After" in response.headers:
            page.headers["Retry-After"] = response.headers["Retry-After"]
        return page
