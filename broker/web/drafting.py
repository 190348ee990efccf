"""The list by API, beside the straight way: rows, other ways of a draft, what is said of it, editions to come.

What the pages of the console do can be scripted here, by the same steps (``flow.drafts``, ``flow.publish``). A system
answers for whom it names in ``by``; limits of stage or department are the console's accounts', not a system's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from flask import Flask, Response, request

from broker.core.errors import CallerProblem
from broker.core.grammar import Grammar
from broker.core.roles import Role
from broker.flow import drafts as ways
from broker.flow import publish as steps
from broker.flow.caller import Identify
from broker.flow.parts import Parts
from broker.ports import Draft
from broker.web.editions import as_json_answer, as_new_draft, draft_view, edition_view, moment_from
from broker.web.guard import MAX_BODY, Signed, read_body, recorded, verified_document

MAX_ROW = 1024 * 1024  # an item's row whole is below 100 KB, choices of a rebase are names
_BODIES = ("row", "way", "continuation", "rebase", "saying", "withdrawal", "move")
_KEEPERS = (Role.LIST_EDITOR, Role.LIST_APPROVER)
_WAYS = {"rework": ways.rework, "withdraw": ways.withdraw, "discard": ways.discard}

Step = Callable[[Mapping[str, Any], Identify], Response]


class Drafting:
    """The further routes of drafts and editions; one object per process."""

    def __init__(self, parts: Parts, public_url: str, schema: Mapping[str, Any]) -> None:
        """``schema`` is that of drafts."""
        self._parts = parts
        self._public_url = public_url
        definitions = schema["$defs"]
        self._grammars = {name: Grammar({**definitions[name], "$defs": definitions}) for name in _BODIES}

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        draft, edition = "/v1/drafts/<number>", "/v1/editions/<number>"
        for rule, view in (
            (f"{draft}/rows", self.edit_row),
            (f"{draft}/way", self.another_way),
            (f"{draft}/continuation", self.carry_on_draft),
            (f"{draft}/rebase", self.rebase_draft),
            (f"{draft}/remarks", self.remark_on_draft),
            (f"{edition}/draft", self.draft_of_edition),
            (f"{edition}/withdrawal", self.withdraw_edition),
            (f"{edition}/move", self.move_edition),
        ):
            app.add_url_rule(rule, view.__name__, view, methods=["POST"], provide_automatic_options=False)

    # --- drafts

    def edit_row(self, number: str) -> Response:
        """Put one row into a draft, or take it out."""

        def step(said: Mapping[str, Any], identify: Identify) -> Response:
            row = (said["section"], said["key"], said["row"])
            changed = steps.edit(self._parts, number, said["by"], said["revision"], *row, identify=identify)
            return as_json_answer(draft_view(changed))

        return self._done("row", step, Role.LIST_EDITOR, limit=MAX_ROW)

    def another_way(self, number: str) -> Response:
        """Take it up again, take it back, or give it up."""

        def step(said: Mapping[str, Any], identify: Identify) -> Response:
            way = _WAYS[said["way"]]
            return as_json_answer(draft_view(way(self._parts, number, said["by"], said.get("comment", ""), identify)))

        return self._done("way", step, Role.LIST_EDITOR)

    def carry_on_draft(self, number: str) -> Response:
        """A new draft with this one's list."""

        def step(said: Mapping[str, Any], identify: Identify) -> Response:
            comment = said.get("comment", "")
            return as_new_draft(ways.carry_on(self._parts, number, said["by"], comment, identify), self._public_url)

        return self._done("continuation", step, Role.LIST_EDITOR)

    def rebase_draft(self, number: str) -> Response:
        """Bring it onto the newest edition, or tell for which rows somebody must choose."""

        def step(said: Mapping[str, Any], identify: Identify) -> Response:
            choices = {(one["section"], one["key"]): one["whose"] for one in said.get("choices", ())}
            merged = ways.rebase(self._parts, number, said["by"], said["revision"], choices, identify=identify)
            conflicts = [asdict(one) for one in merged.conflicts]
            return as_json_answer(
                {"done": not conflicts, "draft": draft_view(self._draft(number)), "conflicts": conflicts}
            )

        return self._done("rebase", step, Role.LIST_EDITOR, limit=MAX_ROW)

    def remark_on_draft(self, number: str) -> Response:
        """Say something of it, or of one row in it."""

        def step(said: Mapping[str, Any], identify: Identify) -> Response:
            about = (said.get("section", ""), said.get("key", ""))
            ways.remark(self._parts, number, said["by"], said["text"], about, identify)
            return as_json_answer(draft_view(self._draft(number)))

        return self._done("saying", step, *_KEEPERS)

    # --- editions

    def draft_of_edition(self, number: str) -> Response:
        """A draft with the list of an earlier edition."""

        def step(said: Mapping[str, Any], identify: Identify) -> Response:
            comment = said.get("comment", "")
            made = steps.go_back(self._parts, _number(number), said["by"], comment, identify)
            return as_new_draft(made, self._public_url)

        return self._done("continuation", step, Role.LIST_EDITOR)

    def withdraw_edition(self, number: str) -> Response:
        """Take it back before it takes effect."""

        def step(said: Mapping[str, Any], identify: Identify) -> Response:
            gone = steps.withdraw_edition(self._parts, _number(number), said["by"], said["reason"], identify)
            with self._parts.store.read() as work:
                found = next(one for one in work.published() if one.number == gone)
            return as_json_answer(edition_view(found))

        return self._done("withdrawal", step, Role.LIST_APPROVER)

    def move_edition(self, number: str) -> Response:
        """Let it take effect on another day, as the next edition."""

        def step(said: Mapping[str, Any], identify: Identify) -> Response:
            day = moment_from(said["effective_at"])
            told = (_number(number), said["by"], day, said["reason"])
            return as_json_answer(edition_view(steps.move_edition(self._parts, *told, identify)))

        return self._done("move", step, Role.LIST_APPROVER)

    # --- inside

    def _done(self, body: str, step: Step, *roles: Role, limit: int = MAX_BODY) -> Response:
        signed = Signed(request, self._public_url, read_body(request, limit), roles)
        with recorded(self._parts, signed):
            return step(verified_document(self._parts, signed, self._grammars[body]), signed.identify)

    def _draft(self, number: str) -> Draft:
        with self._parts.store.read() as work:
            found = work.read_draft(number)
        if found is None:
            raise CallerProblem("edition.unknown", got=number)
        return found[0]


def _number(text: str) -> int:
    """An edition's number as a path has it; what is none is no edition's."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and str(int(text)) == text):
        raise CallerProblem("edition.unknown")
    return int(text)
