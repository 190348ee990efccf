"""The tables for what a verification waits for: work orders, consents, promises to be checked later."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from broker.store.tables import Moment, metadata

promise = Table(  # a commitment on which a decision rests
    "promise",
    metadata,
    Column("id", Text, primary_key=True),
    Column("verification_id", Text, ForeignKey("verification.id"), nullable=False, index=True),
    Column("material", Text, nullable=False),
    Column("text", Text, nullable=False),  # the commitment's text and version
    Column("state", Text, nullable=False),  # open | kept | broken | by_hand
    Column("lookup_id", Text, unique=True),
    Column("promised_at", Moment, nullable=False),
    Column("checked_at", Moment),
)

Index("promise_state", promise.c.state)

work_order = Table(  # a lookup that a person answers
    "work_order",
    metadata,
    Column("id", Text, primary_key=True),
    Column("lookup_id", Text, ForeignKey("lookup.id"), nullable=False, unique=True),
    Column("verification_id", Text, ForeignKey("verification.id"), nullable=False),
    Column("source", Text, nullable=False),
    Column("unit", Text, nullable=False),  # credit code of the body that answers
    Column("state", Text, nullable=False),  # open | answered | overdue | stopped
    Column("attempt", Integer, nullable=False),  # the claim that asked it
    Column("question", LargeBinary, nullable=False),  # encrypted with the case's key
    Column("asked_at", Moment, nullable=False),
    Column("remind_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("reminded_at", Moment),
    Column("ended_at", Moment),
    Column("reply", Text),  # confirm | deny | cannot_say
    Column("answered_by", Text),  # staff number, of the order's unit
    Column("remark", LargeBinary),  # encrypted
    Column("evidence", LargeBinary),  # encrypted: 16 bytes of salt, then media type and content
    Column("evidence_digest", Text),
    Column("holder", Text),  # person | organisation: what kind of holder is asked about; none on older rows
)
Index("work_order_unit", work_order.c.unit, work_order.c.state, work_order.c.due_at)
Index("work_order_due", work_order.c.state, work_order.c.due_at)
Index("work_order_ended", work_order.c.state, work_order.c.ended_at)
Index("work_order_unit_ended", work_order.c.unit, work_order.c.state, work_order.c.ended_at)
Index("work_order_verification", work_order.c.verification_id)

consent = Table(  # that a person is asked whether sources may be asked about them in one case, and what they said
    "consent",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("case_number", Text, nullable=False),
    Column("subject", Text, nullable=False),  # keyed pseudonym
    Column("sources", Text, nullable=False),  # JSON
    Column("text", Text, nullable=False),  # the version of the words that the holder is shown
    Column("requested_at", Moment, nullable=False),
    Column("until_at", Moment, nullable=False),  # by when to decide; once granted, how long it holds
    Column("state", Text, nullable=False),  # requested | waiting | granted | refused | expired | revoked
    Column("decided_at", Moment),
    Column("decided_by", Text),  # the portal's key
    Column("statement", Text),  # salted digest of what the holder declared
    Column("lookup_id", Text),  # whose source asks the holder itself; null: the portal does
)
Index("consent_lookup", consent.c.lookup_id, unique=True)
Index("consent_case", consent.c.client_id, consent.c.case_number)
Index("consent_subject", consent.c.subject)
Index("consent_until", consent.c.state, consent.c.until_at)
