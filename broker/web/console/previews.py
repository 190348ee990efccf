"""Preview: what a draft would have made of the last days' verifications – asked for, watched, left, cancelled."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flask import Response, request

from broker.core.catalog import Catalog, Text
from broker.core.diff import held
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.field_names import field_name
from broker.core.problems import PROBLEMS
from broker.flow import jobs, preview
from broker.ports import Draft
from broker.web.console.area import LIST_KEEPERS, Area, Console
from broker.web.console.lists import Lists, Seen
from broker.web.console.page import said_of, shown, to
from broker.web.console.visit import visitor
from broker.web.console.words import told


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
        self._lists: Lists = console.lists

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
        with self._parts.store.read() as work:
            job = work.newest_job(preview.KIND, number)
        if job is None:
            raise CallerProblem("job.unknown")
        preview.cancel(self._parts, job.id, visitor().login)
        return to("previews_preview", number=number)

    def _page(self, number: str, wrong: str, status: int) -> Response:
        seen, _ = self._lists.seen(number)
        draft = _of(seen)
        with self._parts.store.read() as work:
            pulse = work.pulse()
            job = work.newest_job(preview.KIND, number)
            clients = {one.id: one.name for one in self._parts.policy(work, pulse).clients.values()}
        result = json.loads(job.result) if job and job.result and job.state == "done" else None
        failed = json.loads(job.result or "{}").get("why", "job.failed") if job and job.state == "failed" else ""
        base = self._lists.edition(draft.base) if result and draft.base else None
        names = _Names(seen.catalog, base.catalog if base else None, clients) if result else None
        return shown(
            "previews/preview.html", status=status, draft=draft, job=job, result=result, names=names, wrong=wrong,
            outdated=job is not None and preview.digest_of_job(job) != draft.digest, failed=failed and _problem(failed),
            days=json.loads(job.asked)["days"] if job else 7, longest=preview.LONGEST_DAYS,
            stalled=job is not None and jobs.stalled(job, pulse.now),
        )  # fmt: skip


def _problem(code: str) -> str:
    return said_of(CallerProblem(code if code in PROBLEMS else "job.failed"))


class _Names:
    """The names behind the keys of a result, as the draft has them, else the edition it stands on."""

    def __init__(self, catalog: Catalog, base: Catalog | None, clients: Mapping[str, str]) -> None:
        self._catalogs = [catalog, *([base] if base else [])]
        self._clients = clients

    def material(self, key: str) -> str:
        """A material, with its holder where that is not the applicant."""
        name, _, holder = key.partition("@")
        return told(held(self._named("materials", name), holder))

    def item(self, key: str) -> str:
        """An item."""
        return told(self._named("items", key))

    def what(self, key: str) -> str:
        """An item, or a scene that was asked for whole."""
        found = next((one.scenes[key].name for one in self._catalogs if key in one.scenes), None)
        return told(found or self._named("items", key))

    def region(self, code: str) -> str:
        """A region."""
        return told(self._named("regions", code))

    def department(self, item: str, region: str) -> str:
        """Who leads an item in a region."""
        for catalog in self._catalogs:
            place = catalog.items[item].places.get(region) if item in catalog.items else None
            if place is not None:
                return "、".join(place.lead)
        return ""

    def client(self, key: str) -> str:
        """An approval system."""
        return self._clients.get(key, key)

    def field(self, name: str) -> str:
        """A field of an answer."""
        return told(field_name(name))

    def source(self, key: str) -> str:
        """A source."""
        return told(self._named("sources", key))

    def problem(self, code: str) -> str:
        """Why a request is refused."""
        kind = PROBLEMS.get(code)
        return told({"zh": kind.zh, "en": kind.en}) if kind else code

    def limits(self, key: str) -> tuple[int | None, int | None]:
        """What a source takes in a day and in a second."""
        one = next((catalog.sources[key] for catalog in self._catalogs if key in catalog.sources), None)
        return (one.calls_per_day, one.calls_per_second) if one else (None, None)

    def _named(self, section: str, key: str) -> Text:
        rows = (getattr(catalog, section) for catalog in self._catalogs)
        found = next((one[key].name for one in rows if key in one), None)
        return found or {"zh": key, "en": key}


def _of(seen: Seen) -> Draft:
    if seen.draft is None:
        raise CallerProblem("edition.unknown")
    return seen.draft
