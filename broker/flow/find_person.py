"""Find what the log says of a person whose number somebody has: an auditor or the centre, who must say why.

The number becomes the pseudonym here and is kept nowhere. That it was asked for is an entry before anything is shown:
who, why, and about whom, so that whoever looks people up is found by the same means – among the entries of this kind,
among their own, and among those about the person. What an embargo hides from a person it does not hide here.
"""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import datetime

from broker.core.case import Party
from broker.core.entry import Entry, entry
from broker.core.errors import CallerProblem
from broker.core.identifiers import is_citizen_id
from broker.core.log_export import Filter
from broker.core.person import person
from broker.flow.annotate import require_text
from broker.flow.parts import Parts

_ID = re.compile("[0-9a-f]{32}")  # a verification's id, or a pseudonym


def find_person(parts: Parts, holder: Party, by: str, reason: str) -> str:
    """The pseudonym by which the entries about somebody are found.

    Raises ``CallerProblem`` ``sought.reason`` without a reason, or with one in which a number stands.
    """
    require_reason(reason, holder)
    subject = parts.vault.pseudonym(holder.subject)
    with parts.store.write() as work:
        work.record([sought(holder, subject, work.pulse().now, reason.strip(), login=by)])
        # Crash before this commit: nothing was given. After it: the entry says that it was sought, shown or not.
        work.commit()
    return subject


def require_reason(reason: str, holder: Party | None = None) -> None:
    """Raises ``CallerProblem`` ``sought.reason`` for none, or one with a number in it: the log keeps it for ever."""
    require_text(reason, "sought.reason")
    if holder is not None and names(reason, holder):
        raise CallerProblem("sought.reason")


def names(text: str, holder: Party) -> bool:
    """Whether somebody's number stands in a text: of whatever type, so also what looks like no number."""
    return person(holder.number) in person(text)


def require_no_person(wanted: Filter) -> None:
    """Raises ``CallerProblem`` ``sought.filter`` where a person's number would be a filter: its entry would repeat it.

    A pseudonym and a verification have their form; what else is sought is no citizen's number.
    """
    texts = [value for one in fields(wanted) if isinstance(value := getattr(wanted, one.name), str)]
    strange = any(value and not _ID.fullmatch(value) for value in (wanted.verification, wanted.subject))
    if strange or any(is_citizen_id(value.upper()) for value in texts):
        raise CallerProblem("sought.filter")


def sought(holder: Party, subject: str, now: datetime, why: str, **who: str) -> Entry:
    """The entry, whichever way somebody was sought: it has the pseudonym (``subject``) and the kind of number alone."""
    return entry("person_sought", now, subject=subject, id_type=holder.id_type, why=why, **who)
