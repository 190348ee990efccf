"""Drafts beside the straight way: back to their authors, onto a newer edition, given up, carried on, talked about.

``flow/publish.py`` has the way from a draft to an edition; here is what happens when it does not go straight. What is
said stands in the draft's thread, and its digest in the entry.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from broker.core.edition import digest_of
from broker.core.entry import entry
from broker.core.errors import CallerProblem
from broker.core.list_rows import Merged, RowKey, merge
from broker.flow.annotate import require_text
from broker.flow.caller import Identify
from broker.flow.parts import Parts, new_id
from broker.flow.publish import Act, changed, is_author, joined, locked, named, remarked
from broker.ports import Draft, Work

OPEN = ("draft", "submitted", "approved", "rejected")

Mine = Callable[[Mapping[str, Any], Mapping[str, Any], RowKey], None]  # (before, after, row); raises out of scope


def rework(parts: Parts, number: str, by: str, why: str = "", identify: Identify | None = None) -> Draft:
    """Take a returned draft up again, its comments kept. Raises ``edition.state``, ``draft.author``."""
    return _back(parts, number, ("rejected",), "draft", Act("draft_reworked", by, _said(why), identify))


def withdraw(parts: Parts, number: str, by: str, why: str = "", identify: Identify | None = None) -> Draft:
    """Take a draft back that was handed in or approved; it needs its review anew. Raises as ``rework``."""
    return _back(parts, number, ("submitted", "approved"), "draft", Act("draft_withdrawn", by, _said(why), identify))


def discard(parts: Parts, number: str, by: str, why: str = "", identify: Identify | None = None) -> Draft:
    """Give a draft up; it stays to be read, and to be carried on from. Raises as ``rework``."""
    return _back(parts, number, OPEN, "discarded", Act("draft_discarded", by, _said(why), identify))


def _back(parts: Parts, number: str, states: Sequence[str], state: str, act: Act) -> Draft:
    def change(found: Draft) -> Draft:
        if not is_author(found, act.by):
            raise CallerProblem("draft.author")
        return replace(found, state=state)

    return changed(parts, number, states, change, act)


def carry_on(parts: Parts, number: str, by: str, comment: str, identify: Identify | None = None) -> Draft:
    """A new draft of an earlier one's list, on the edition that one stood on; its author is whoever carries it on.

    Raises ``CallerProblem`` ``edition.unknown``.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        now, caller = pulse.now, named(parts, work, pulse, identify)
        found = work.read_draft(number)
        if found is None:
            raise CallerProblem("edition.unknown", got=number)
        old, body = found
        made = Draft(new_id(now), "draft", old.base, old.digest, comment, by, now, editors=_authors(old))
        work.add_draft(made, body)
        remarked(work, made, Act("continued", by), now, "continued", ("drafts", number))
        work.record([entry("drafted", now, draft=made.id, digest=made.digest, by=by, edition=made.base,
                           continues=number, **caller)])  # fmt: skip
        # Crash before this commit: there is no new draft. After it, with the answer lost: there are two, and one is
        # given up.
        work.commit()
    return made


def _authors(old: Draft) -> str:
    """Whose work the new draft carries: none of them may review it."""
    editors = ""
    for name in (old.drafted_by, *(old.editors or "").split(","), old.submitted_by or ""):
        editors = joined(editors, name)
    return editors


def rebase(
    parts: Parts,
    number: str,
    by: str,
    revision: int,
    choices: Mapping[RowKey, str],
    may_choose: Mine | None = None,
    identify: Identify | None = None,
) -> Merged:
    """Bring a draft's changes onto the newest edition, row by row; afterwards it is a draft again and needs review.

    ``choices`` says whose row stands where both changed one: ``mine``, the draft's, or ``theirs``, the edition's. With
    conflicts in what is returned nothing was done. ``may_choose`` raises where somebody may not decide about a row;
    None limits nobody. Raises ``CallerProblem``: ``edition.unknown``, ``edition.state``, ``draft.changed``,
    ``draft.newest``.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = named(parts, work, pulse, identify)
        found, body = locked(work, number, *OPEN)
        if found.revision != revision:
            raise CallerProblem("draft.changed", got=str(revision), expected=str(found.revision))
        newest = max((one for one, _ in parts.policy(work, pulse).editions), default=0)
        if found.base == newest:
            raise CallerProblem("draft.newest", got=str(newest))
        mine, theirs = json.loads(body), _list_of(work, newest)
        merged = merge(_list_of(work, found.base), mine, theirs, choices)
        if merged.conflicts:
            work.commit()  # a signed request's nonce is spent, and nothing else has happened
            return merged
        if may_choose is not None:
            for row in choices:
                may_choose(mine, theirs, row)
        kept = orjson.dumps(merged.document)
        moved = replace(
            found, state="draft", base=newest, digest=digest_of(kept), revision=revision + 1,
            editors=joined(found.editors, by),
        )  # fmt: skip
        work.change_draft(moved, kept)
        remarked(work, moved, Act("rebased", by), pulse.now, "rebased", ("editions", str(newest)))
        chosen = {"/".join(row): whose for row, whose in choices.items()}
        work.record([entry("draft_rebased", pulse.now, draft=number, by=by, base=found.base, edition=newest,
                           digest=moved.digest, revision=moved.revision, chosen=chosen or None, **caller)])  # fmt: skip
        # Crash before this commit: the draft stands where it stood. After it, with the answer lost: whoever repeats it
        # is told that the draft has moved on.
        work.commit()
    return merged


def merged_onto(work: Work, found: Draft, body: bytes, newest: int) -> Merged:
    """What a rebase onto this edition would make of a draft."""
    return merge(_list_of(work, found.base), json.loads(body), _list_of(work, newest))


def _list_of(work: Work, number: int) -> Any:
    return json.loads(work.edition(number)[1]) if number else {}


def remark(
    parts: Parts, number: str, by: str, text: str, about: RowKey = ("", ""), identify: Identify | None = None
) -> None:
    """Say something of a draft, or of one row in it. Raises ``draft.remark``, ``edition.unknown``."""
    require_text(text, "draft.remark")
    with parts.store.write() as work:
        pulse = work.pulse()
        now, caller = pulse.now, named(parts, work, pulse, identify)
        found = work.read_draft(number)
        if found is None:
            raise CallerProblem("edition.unknown", got=number)
        said = remarked(work, found[0], Act("remark", by, text), now, "remark", about)
        path = "/".join(filter(None, about))
        work.record([entry("draft_remarked", now, draft=number, by=by, path=path, **said, **caller)])
        # Crash before this commit: nothing was said. After it, with the answer lost: saying it again says it twice.
        work.commit()


def _said(text: str) -> str:
    """Words that may be left out, but are no person's number."""
    if text.strip():
        require_text(text, "draft.remark")
    return text
