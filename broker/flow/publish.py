"""Publish: a checked catalogue becomes the next edition, signed and immutable; requests in flight keep theirs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from broker.core.catalog import catalog_from
from broker.core.entry import entry
from broker.core.envelope import canonical, seal
from broker.core.errors import OperatorProblem
from broker.core.receipt import moment
from broker.flow.parts import Parts
from broker.ports import NewEdition

EDITION_TYPE = "sharing-list-edition+jws"


def publish(parts: Parts, document: Mapping[str, Any], effective_at: datetime | None, publisher: str) -> NewEdition:
    """Make a catalogue document the next edition, effective now or later; the caller has checked it.

    The same document again as the newest edition is refused (``register.exists``), so a restart publishes nothing.
    """
    catalog_from(document)  # a document that does not become values is never stored
    body = orjson.dumps(document)  # in the file's order, which is the plan's; these very bytes are the edition
    digest = hashlib.sha256(body).hexdigest()
    with parts.store.write() as work:
        pulse = work.pulse()
        policy = parts.policy(work, pulse)
        newest = max((number for number, _ in policy.editions), default=0)
        if newest and work.edition(newest)[0] == digest:
            raise OperatorProblem("register.exists", got=str(newest))
        effective = effective_at or pulse.now
        said = {"number": newest + 1, "digest": digest, "effective_at": moment(effective), "published_by": publisher}
        signed = seal(canonical(said), parts.signer, EDITION_TYPE)
        edition = NewEdition(newest + 1, digest, effective, publisher, body, signed)
        if not work.add_edition(edition, pulse.now):
            raise OperatorProblem("register.exists", got=str(edition.number))
        work.move_policy()
        work.record([entry("published", pulse.now, edition=edition.number, digest=digest, by=publisher,
                           effective_at=moment(effective))])  # fmt: skip
        # Crash before this commit: the old edition stays in force. After it: the new one is, for every process, from
        # its next transaction on.
        work.commit()
    return edition
