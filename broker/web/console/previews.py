"""Preview: what a draft would have made of the last days' verifications – asked for, watched, left, cancelled."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, request

from broker.core.catalog import Catalog
from broker.core.errors import CallerProblem, OperatorProblem
from broker.flow import preview
from broker.ports import Draft
from broker.ports.console import Job
from broker.web.console.area import LIST_KEEPERS, Area, Console
from broker.web.console.lists import Lists, Seen
from broker.web.console.page import said_of, shown, to
from broker.web.console.visit import visitor
from broker.web.console.words import told

_LOOKED_AT = 200  # jobs looked through for those of one draft


def previews_area(console: Console) -> Area:
    """The pages of previews; they are reached from their draft."""
    area, previews = Area("previews"), _Previews(console)
    one = "/drafts/<number>/preview"
    area.get(one, previews.preview, LIST_KEEPERS)
    area.post(one, previews.ask, LIST_KEEPERS)
    area.post(f"{one}/cancel", previews.cancel, LIST_KEEPERS)
    return area


class _Previews:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts
        self._check = console.check
        self._lists = Lists(console.parts, console.check)

    def preview(self, number: str) -> Response:
        """The newest preview of a draft: its progress, or its result."""
        return self._page(number, "", 200)

    def ask(self, number: str) -> Response:
        """Begin one."""
        try:
            preview.ask(self._parts, number, request.form.get("days", 7, type=int), visitor().login, self._check)
        except (CallerProblem, OperatorProblem) as problem:
            return self._page(number, said_of(problem), 422)
        return to("previews_preview", number=number)

    def cancel(self, number: str) -> Response:
        """Stop the one that runs."""
        job = self._newest(number)
        if job is None:
            raise CallerProblem("job.unknown")
        preview.cancel(self._parts, job.id, visitor().login)
        return to("previews_preview", number=number)

    def _page(self, number: str, wrong: str, status: int) -> Response:
        seen, _ = self._lists.seen(number)
        job = self._newest(number)
        result = json.loads(job.result) if job and job.result and job.state == "done" else None
        names = _Names(seen.catalog) if result else None
        return shown(
            "previews/preview.html", status=status, draft=_of(seen), job=job, result=result, names=names, wrong=wrong,
            outdated=job is not None and json.loads(job.asked)["digest"] != seen.listing.digest,
            days=json.loads(job.asked)["days"] if job else 7, longest=preview.LONGEST_DAYS,
        )  # fmt: skip

    def _newest(self, number: str) -> Job | None:
        with self._parts.store.read() as work:
            jobs = work.jobs(preview.KIND, _LOOKED_AT)
        return next((one for one in jobs if json.loads(one.asked)["draft"] == number), None)


class _Names:
    """The names behind the keys of a result, as the draft has them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def material(self, key: str) -> str:
        """A material, with its holder where that is not the applicant."""
        name, _, holder = key.partition("@")
        known: Any = self._catalog.materials.get(name)
        words = told(known.name) if known else name
        return f"{words} @{holder}" if holder else words

    def source(self, key: str) -> str:
        """A source."""
        known = self._catalog.sources.get(key)
        return told(known.name) if known else key


def _of(seen: Seen) -> Draft:
    if seen.draft is None:
        raise CallerProblem("edition.unknown")
    return seen.draft
