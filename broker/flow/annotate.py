"""Annotate: what a reviewer writes beside an entry or a flag. It changes neither; it is an entry of its own.

The entry holds the digest of the text, the table the text: nobody can alter it unseen, and should a person's data slip
into it against the rule, it can be taken away without touching the log.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import Any
from unicodedata import normalize

from broker.core.entry import Entry, entry
from broker.core.errors import CallerProblem
from broker.flow.parts import Parts, new_id
from broker.ports import Work
from broker.ports.audit import Annotation

LONGEST = 2000  # characters
_IDENTIFIERS = re.compile(r"(?<![0-9])(?:[0-9]{17}[0-9Xx]|1[3-9][0-9]{9})(?![0-9])|[0-9]{8}MA[0-9A-Z]{8}")


def annotate(parts: Parts, position: int, text: str, by: str) -> Annotation:
    """Write something about an entry. Raises ``CallerProblem``: ``annotation.text``, ``annotation.entry``."""
    require_text(text)
    with parts.store.write() as work:
        if not work.log_rows(position, position + 1):
            raise CallerProblem("annotation.entry", got=str(position))
        made = _kept(work, Annotation("", position, None, "", by, text.strip(), work.pulse().now))
        work.record([_told("annotated", made, position=position)])
        # Crash before this commit: nothing was written. After it, with the answer lost: it stands there, and writing it
        # again makes a second one.
        work.commit()
    return made


def confirm(parts: Parts, flag: str, text: str, by: str) -> Annotation:
    """Say that a flag is right. It stays open, and whoever it stopped stays stopped, until it is cleared.

    Raises ``CallerProblem``: ``annotation.text``, ``misuse.unknown``, ``misuse.cleared``.
    """
    require_text(text)
    with parts.store.write() as work:
        found = work.flag(flag)
        if found is None:
            raise CallerProblem("misuse.unknown")
        if found.state != "open":
            raise CallerProblem("misuse.cleared")
        made = _kept(work, Annotation("", None, flag, "confirmed", by, text.strip(), work.pulse().now))
        work.record([_told("flag_confirmed", made, flag=flag, rule=found.rule.value, client=found.client)])
        # Crash before this commit: nothing was said. After it: as with every annotation.
        work.commit()
    return made


def require_text(text: str, code: str = "annotation.text") -> None:
    """Raises ``CallerProblem`` of this code for nothing, for too much, and for what looks like a person's number."""
    if not 0 < len(text.strip()) <= LONGEST or _IDENTIFIERS.search(normalize("NFKC", text)):
        raise CallerProblem(code, expected=f"1 to {LONGEST} characters")


def _kept(work: Work, made: Annotation) -> Annotation:
    kept = replace(made, id=new_id(made.made_at))
    work.add_annotation(kept)
    return kept


def _told(kind: str, made: Annotation, **facts: Any) -> Entry:
    digest = hashlib.sha256(made.text.encode()).hexdigest()
    return entry(kind, made.made_at, by=made.by, annotation=made.id, digest=digest, **facts)
