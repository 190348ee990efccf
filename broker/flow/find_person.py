"""Find what the log says of a person whose number somebody has: an auditor, who must say why.

The number becomes the pseudonym here and is kept nowhere. That it was asked for is an entry before anything is shown:
who, why, and about whom, so that whoever looks people up is found by the same means – among the entries of this kind,
among their own, and among those about the person. What an embargo hides from a person it does not hide here.
"""

from __future__ import annotations

from broker.core.case import Party
from broker.core.entry import entry
from broker.core.errors import CallerProblem
from broker.flow.annotate import require_text
from broker.flow.parts import Parts


def find_person(parts: Parts, holder: Party, by: str, reason: str) -> str:
    """The pseudonym by which the entries about somebody are found.

    Raises ``CallerProblem`` ``sought.reason`` without a reason, or with one in which a number stands.
    """
    require_text(reason, "sought.reason")
    if holder.number in reason:  # of whatever type: what is no identifier elsewhere is one here
        raise CallerProblem("sought.reason")
    subject = parts.vault.pseudonym(holder.subject)
    with parts.store.write() as work:
        said = {"login": by, "subject": subject, "id_type": holder.id_type, "why": reason.strip()}
        work.record([entry("person_sought", work.pulse().now, **said)])
        # Crash before this commit: nothing was given. After it: the entry says that it was sought, shown or not.
        work.commit()
    return subject
